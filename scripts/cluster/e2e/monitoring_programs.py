"""Prometheus, Alertmanager, Loki and kube-state-metrics beside a synced cluster, run for real.

Each has the configuration that is in the cluster, and reads the API as its own service account, so
that its roles are proven too. Prometheus scrapes through a `PodProxy`. Of pods that are alike one
stands for all, but for Loki's, which are one only together. Buckets are an S3 server's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from scripts.cluster.e2e import thanos_programs
from scripts.cluster.e2e.environment import API_SERVER, Environment
from scripts.cluster.e2e.pod_proxy import PodProxy
from scripts.cluster.e2e.prometheus_operator import (
    MONITORING,
    deployed,
    generated,
    run_operator,
    without_flags,
)
from scripts.core.yamlfile import Json
from scripts.model.api_groups import TRACKING_ID
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster, Item
from scripts.servers import object_storage
from scripts.servers.api import Api
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import Object
from scripts.servers.loki_cluster import ALL, RELEASE, LokiCluster
from scripts.servers.monitoring import Override, start_alertmanager
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.processes import LOOPBACK, free_port, free_ports

PROGRAMS = ("alertmanager", "kube-state-metrics", "prometheus", object_storage.NAME)
# What Helm writes on each object that it installs.
RELEASE_NAME = "meta.helm.sh/release-name"
# So that nobody waits for a minute.
_INTERVALS = {"evaluation_interval": "4s", "scrape_interval": "4s", "scrape_timeout": "3s"}
_RULER_INTERVAL = Override(
    "ruler.evaluation_interval", _INTERVALS["evaluation_interval"], "so that nobody waits a minute"
)
_TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - its path
_AUTHORITY_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"


@dataclass
class MonitoringPrograms:
    """The programs, as they run.

    Attributes:
        prometheus: Prometheus' API.
        alertmanager: Alertmanager's API.
        loki: Loki's API.
        thanos: What Grafana asks where there is Thanos, else None.
        generated: Prometheus' configuration as the operator generates it.
    """

    prometheus: Api
    alertmanager: Api
    loki: Api
    thanos: Api | None
    generated: Json = field(repr=False)


@contextlib.contextmanager
def running(env: Environment) -> Iterator[MonitoringPrograms]:
    """Run the operator and the programs that it and the releases would run in the cluster.

    When the block ends, all but the operator end: its objects need it as long as the cluster lives.
    """
    with contextlib.ExitStack() as block:
        proxy = block.enter_context(contextlib.closing(PodProxy()))
        for name in PROGRAMS:
            block.callback(env.processes.kill, name)

        def api(port: int) -> Api:
            return block.enter_context(contextlib.closing(Api(port)))

        port, labels = run_operator(env)
        _route(env, proxy, labels, 8080, port)
        env.wait_for_pods([MONITORING])
        _run_kube_state_metrics(env, proxy)
        live = _live_cluster(env)
        metrics_bucket = thanos_programs.bucket(env)
        storage = _object_storage(env, live, metrics_bucket)
        loki = block.enter_context(_loki(env, proxy, live, storage))
        alertmanager = api(_run_alertmanager(env, proxy))
        for name, port in env.flux_metrics_ports.items():
            _route(env, proxy, {"app": name}, 8080, port)
        proxy.routes[API_SERVER] = urlsplit(env.client.url).port or 0
        port, config = _run_prometheus(env, proxy)
        thanos = None
        if storage and metrics_bucket:
            thanos = block.enter_context(
                thanos_programs.running(env, proxy, storage, metrics_bucket, port)
            )
        yield MonitoringPrograms(api(port), alertmanager, loki, thanos, config)


def _route(
    env: Environment, proxy: PodProxy, labels: Mapping[str, str], pod_port: int, port: int
) -> None:
    """Forward to a program from the addresses of the pods that it stands for."""
    for address in env.pod_addresses(labels):
        proxy.routes[f"{address}:{pod_port}"] = port


def _run_kube_state_metrics(env: Environment, proxy: PodProxy) -> None:
    name = "kube-state-metrics"
    program = deployed(env, f"kube-prometheus-stack-{name}", name)
    port, telemetry_port = free_ports(2)
    arguments = without_flags(
        program.container["args"], "host", "port", "telemetry-host", "telemetry-port"
    )
    env.processes.start(
        name,
        *with_copied_files(env, name, arguments, program.pod),
        f"--kubeconfig={program.kubeconfig}",
        f"--host={LOOPBACK}",
        f"--port={port}",
        f"--telemetry-host={LOOPBACK}",
        f"--telemetry-port={telemetry_port}",
    )
    env.processes.wait(name, f"http://{LOOPBACK}:{port}/metrics")
    pod_port = int(program.container["ports"][0]["containerPort"])
    _route(env, proxy, program.labels, pod_port, port)


def with_copied_files(
    env: Environment,
    name: str,
    arguments: Sequence[str],
    pod: Json,
    namespace: str = MONITORING,
) -> list[str]:
    """Return arguments with the paths of mounted ConfigMaps replaced by those of copies."""
    copies: dict[str, Path] = {}
    mounts = {m["name"]: m for c in pod["containers"] for m in c.get("volumeMounts") or ()}
    for volume in pod.get("volumes") or ():
        if "configMap" in volume and volume["name"] in mounts:
            found = env.client.get("v1", "ConfigMap", volume["configMap"]["name"], namespace)
            mount, folder = mounts[volume["name"]], env.processes.folder(f"{name}-{volume['name']}")
            path = mount["mountPath"].rstrip("/")
            for key, text in found["data"].items():
                (folder / key).write_text(text)
                copies[f"{path}/{key}"] = folder / key
            copies[path] = folder / mount["subPath"] if "subPath" in mount else folder
    result = []
    for argument in arguments:
        flag, _, value = argument.partition("=")
        copy = copies.get(value.rstrip("/"))
        result.append(f"{flag}={copy}" if copy else argument)
    return result


def installed_by(item: Object) -> str | None:
    """Return the release, or the Application, that an object in the cluster is from, if any."""
    annotations = item["metadata"].get("annotations", {})
    application = str(annotations.get(TRACKING_ID, "")).partition(":")[0]
    return annotations.get(RELEASE_NAME) or application or None


def _live_cluster(env: Environment) -> Cluster:
    """Return ConfigMaps and workloads of the cluster in the form of what is rendered."""
    kinds = (("v1", "ConfigMap"), ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"))
    items = tuple(
        Item(item, installed_by(item))
        for version, kind in kinds
        for item in env.client.all(version, kind, MONITORING)
    )
    return Cluster(Repository(env.remote.tree), env.sync, items)


def _object_storage(env: Environment, live: Cluster, metrics: str) -> ObjectStorage | None:
    """Run an S3 server with Loki's bucket and with that of metrics, where there is one of them."""
    config = next(i for i in live.of("ConfigMap") if (i.name, i.release) == (RELEASE, RELEASE))
    common = yaml.safe_load(config.data["config.yaml"])["common"]
    logs = str((common["storage"].get("s3") or {}).get("bucketnames") or "")
    buckets = [bucket for bucket in (logs, metrics) if bucket]
    return ObjectStorage(env.processes, *buckets) if buckets else None


@contextlib.contextmanager
def _loki(
    env: Environment, proxy: PodProxy, live: Cluster, storage: ObjectStorage | None
) -> Iterator[Api]:
    """Run each of Loki's pods, as a ring needs a quorum; yield the API of one with the rules."""
    lokis = LokiCluster(env.processes, live, storage, (_RULER_INTERVAL,))
    try:
        lokis.start()
        for member in lokis.members.values():
            name = {"statefulset.kubernetes.io/pod-name": member.name}
            _route(env, proxy, name, 3100, member.http)
        ruler, *_ = lokis.of(ALL, "ruler")
        with contextlib.closing(Api(ruler.http)) as api:
            yield api
    finally:
        lokis.kill(*lokis.members)


def _run_alertmanager(env: Environment, proxy: PodProxy) -> int:
    _, config = generated(env, "Alertmanager", "-generated", "alertmanager.yaml.gz")
    # Templates are in the user's Secret, which is not here.
    port = start_alertmanager(env.processes, {**config, "templates": []})
    _route(env, proxy, {"app.kubernetes.io/name": "alertmanager"}, 9093, port)
    return port


def _run_prometheus(env: Environment, proxy: PodProxy) -> tuple[int, Json]:
    item, config = generated(env, "Prometheus", "", "prometheus.yaml.gz")
    processes, client = env.processes, env.client
    kubeconfig = control_plane.service_account_kubeconfig(
        processes, client, MONITORING, item["spec"]["serviceAccountName"]
    )
    folder = processes.folder("prometheus")
    _write_rules(env, item["metadata"]["name"], folder / "rules")
    token = folder / "token"
    token.write_text(yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"])
    adapted = outside_of_pod(config, kubeconfig, token, client.authority, proxy.url)
    # Prometheus then says each target's limit beside its samples.
    adapted["global"]["extra_scrape_metrics"] = True
    adapted["rule_files"] = [f"{folder}/rules/*.yaml"]
    text = yaml.safe_dump(adapted, sort_keys=False)
    # What the reloader beside Prometheus fills in.
    text = text.replace("$(SHARD)", "0").replace("$(POD_NAME)", "prometheus-0")
    (folder / "prometheus.yml").write_text(text)
    port = free_port()
    _route(env, proxy, {"app.kubernetes.io/name": "prometheus"}, 9090, port)
    processes.start(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        *_block_durations(env, item["metadata"]["name"]),
    )
    processes.wait("prometheus", f"http://{LOOPBACK}:{port}/-/ready")
    return port, config


def _block_durations(env: Environment, prometheus: str) -> list[str]:
    """Return what the operator sets where blocks are shipped: without it a sidecar ships none."""
    name = f"prometheus-{prometheus}"
    spec = env.client.get("apps/v1", "StatefulSet", name, MONITORING)["spec"]["template"]["spec"]
    arguments = next(c["args"] for c in spec["containers"] if c["name"] == "prometheus")
    return [one for one in arguments if one.endswith("-block-duration=2h")]


def _write_rules(env: Environment, prometheus: str, folder: Path) -> None:
    """Write the rule files that the operator has made for a Prometheus."""
    folder.mkdir()
    for found in env.client.all("v1", "ConfigMap", MONITORING):
        if found["metadata"]["name"].startswith(f"prometheus-{prometheus}-rulefiles"):
            for name, text in found["data"].items():
                groups = yaml.safe_load(text)["groups"]
                for group in groups:
                    group.pop("interval", None)  # All of them are to be evaluated soon.
                (folder / name).write_text(yaml.safe_dump({"groups": groups}))


def outside_of_pod(value: Json, kubeconfig: Path, token: Path, authority: Path, proxy: str) -> Json:
    """Return a configuration of Prometheus, or a part of it, as it has to be outside of a pod.

    The API is found by a kubeconfig of the same service account, its token and the cluster's
    certificate are files elsewhere, targets are scraped through the proxy, and intervals are short.
    """
    if isinstance(value, list):
        return [outside_of_pod(one, kubeconfig, token, authority, proxy) for one in value]
    if not isinstance(value, dict):
        return {_TOKEN_FILE: str(token), _AUTHORITY_FILE: str(authority)}.get(str(value), value)
    result = {k: outside_of_pod(v, kubeconfig, token, authority, proxy) for k, v in value.items()}
    if "role" in result:
        result["kubeconfig_file"] = str(kubeconfig)
    if "kubernetes_sd_configs" in result or "static_configs" in result:
        result["proxy_url"] = proxy
    return result | {key: value for key, value in _INTERVALS.items() if key in result}
