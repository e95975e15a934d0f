"""Thanos beside a synced cluster: each part with the arguments that its pods have there.

Of pods that are alike one stands for all, as elsewhere: one sidecar beside the one Prometheus. What
a querier asks is looked up as in a cluster, by Services and their EndpointSlices.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import yaml

from scripts.cluster.e2e.environment import Environment
from scripts.cluster.e2e.pod_proxy import PodProxy
from scripts.cluster.e2e.prometheus_operator import API_GROUP, MONITORING, without_flags
from scripts.core.findings import Finding, RepositoryError
from scripts.servers.api import Api
from scripts.servers.kubernetes.client import Object
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.thanos import (
    COMPACT,
    FRONTEND,
    PARTS,
    QUERY,
    SIDECAR,
    STORE,
    Component,
    Thanos,
    bucket_of,
)

# The content of a Secret, which has another endpoint here; a file by which the sidecar trusts the
# other container.
_OTHERWISE = ("objstore.config", "prometheus.http-client-file")
_HTTP, _GRPC = 10902, 10901
# What a querier looks up: the SRV records of a port of a Service.
_LOOKED_UP = re.compile(
    r"dnssrv\+_(?P<port>[\w-]+)\._tcp\.(?P<service>[\w-]+)\.(?P<namespace>[\w-]+)\.svc.*"
)


class DeployedPart(NamedTuple):
    """A part of Thanos as a workload of the cluster runs it.

    Attributes:
        arguments: Its container's; the first is its command.
        labels: What selects its pods.
    """

    arguments: Sequence[str]
    labels: Mapping[str, str]


def bucket(env: Environment) -> str:
    """Return the bucket that Prometheus' sidecar ships to; empty where it has none."""
    (prometheus,) = env.client.all(f"{API_GROUP}/v1", "Prometheus")
    selector = (prometheus["spec"].get("thanos") or {}).get("objectStorageConfig")
    if not selector:
        return ""
    data = env.client.get("v1", "Secret", selector["name"], MONITORING)["data"]
    config = yaml.safe_load(base64.b64decode(data[selector["key"]]))
    return str(config["config"]["bucket"])


def deployed_parts(workloads: Sequence[Object]) -> dict[str, DeployedPart]:
    """Return the parts that some workloads run, by command."""
    found = {}
    for item in workloads:
        for container in item["spec"]["template"]["spec"]["containers"]:
            arguments = [str(one) for one in container.get("args") or ()]
            if arguments and arguments[0] in PARTS:
                own = without_flags(arguments, *_OTHERWISE)
                labels = item["spec"]["selector"]["matchLabels"]
                found[arguments[0]] = DeployedPart(own, labels)
    return found


@contextlib.contextmanager
def running(
    env: Environment, proxy: PodProxy, storage: ObjectStorage, name: str, prometheus: int
) -> Iterator[Api | None]:
    """Run the parts that the cluster has, and yield the API that Grafana asks.

    Args:
        env: The cluster.
        proxy: Where Prometheus finds them.
        storage: The S3 server.
        name: The bucket.
        prometheus: The port of Prometheus, which runs as `prometheus`.

    Raises:
        RepositoryError: If one does not start, or a querier's endpoints are not there.
    """
    kinds = ("Deployment", "StatefulSet")
    workloads = [item for kind in kinds for item in env.client.all("apps/v1", kind, MONITORING)]
    parts = deployed_parts(workloads)
    declared = {command: part.arguments for command, part in parts.items()}
    folder = env.processes.folder("thanos-bucket")
    thanos = Thanos(env.processes, declared, bucket_of(storage, name, folder))
    routes: dict[str, Component] = {}

    def add(command: str, part: Component) -> Component:
        for address in env.pod_addresses(parts[command].labels):
            proxy.routes[f"{address}:{_HTTP}"] = part.api.port
            routes[f"{address}:{_GRPC}"] = part
        return part

    try:
        add(SIDECAR, thanos.sidecar("prometheus", prometheus))
        if STORE in parts:
            add(STORE, thanos.store())
        if COMPACT in parts:
            add(COMPACT, thanos.compact())
        answering = None
        if QUERY in parts:
            asked = {one.name: one for one in _endpoints(env, declared[QUERY], routes)}
            answering = add(QUERY, thanos.query(list(asked.values())))
        if answering and FRONTEND in parts:
            answering = add(FRONTEND, thanos.frontend(answering))
        yield answering.api if answering else None
    finally:
        thanos.stop(*thanos.parts.values())


def _endpoints(
    env: Environment, arguments: Sequence[str], routes: Mapping[str, Component]
) -> Iterator[Component]:
    """Yield what a querier's arguments lead to.

    Raises:
        RepositoryError: If one of them leads to no pod, or to one that is no part of Thanos.
    """
    for argument in arguments:
        flag, _, value = argument.partition("=")
        if flag != "--endpoint":
            continue
        found = _LOOKED_UP.fullmatch(value)
        addresses = _addresses(env, **found.groupdict()) if found else []
        missing = [one for one in addresses if one not in routes]
        if missing or not addresses:
            text = f"asks {value}, which leads to {', '.join(missing) or 'no pod'}"
            fix = "name the port of a Service in front of sidecars or store gateways"
            raise RepositoryError(Finding(f"{env.sync.name} Thanos query", None, text, fix))
        yield from (routes[one] for one in addresses)


def _addresses(env: Environment, service: str, namespace: str, port: str) -> list[str]:
    """Return address and port of each endpoint of a Service's port."""
    return [
        f"{address}:{one['port']}"
        for item in env.client.all("discovery.k8s.io/v1", "EndpointSlice", namespace)
        if item["metadata"]["labels"].get("kubernetes.io/service-name") == service
        for one in item["ports"]
        if one["name"] == port
        for endpoint in item["endpoints"]
        for address in endpoint["addresses"]
    ]
