"""Objects refer to what exists: Services, accounts, roles, ConfigMaps, Secrets, and their keys."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.checks.static import credentials
from scripts.core.findings import Finding
from scripts.core.yamlfile import leaves, maps
from scripts.model import secretfile
from scripts.model.manifests import NAMESPACES, OPTIONAL_NAMESPACES
from scripts.model.rendered import Cluster, Item, Pod

_OURS = sorted(NAMESPACES | OPTIONAL_NAMESPACES)
# The address of one of our Services: a URL's host, or a name that ends with `.svc`.
_ADDRESS = re.compile(
    rf"(?:(?P<scheme>\w+)://)?(?P<name>[a-z0-9][a-z0-9-]*)\.(?P<namespace>{'|'.join(_OURS)})"
    r"(?P<suffix>\.svc(?:\.cluster\.local)?)?(?::(?P<port>\d+))?(?![\w.-])"
)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Reference:
    """A ConfigMap or Secret that an object reads, or one key of it."""

    kind: str
    namespace: str
    name: str
    key: str | None = None


def service_addresses(cluster: Cluster) -> Iterator[Finding]:
    """Every address of one of our Services, in any string of any object, exists with its port."""
    services: dict[tuple[str, str], set[int]] = {
        (s.namespace, s.name): {p["port"] for p in s.spec.get("ports") or []}
        for s in cluster.of("Service")
    }
    for item in cluster.items:
        if item.kind == "CustomResourceDefinition":
            continue
        for address, service, port in sorted(addresses_of(item)):
            if service not in services:
                text = f"{address}: there is no Service {service[1]} in {service[0]}"
                fix = f"use one of {', '.join(sorted(n for s, n in services if s == service[0]))}"
                yield cluster.finding(item, text, fix)
            elif port and port not in services[service]:
                text = f"{address}: the Service {service[1]} has no port {port}"
                ports = ", ".join(map(str, sorted(services[service])))
                yield cluster.finding(item, text, f"use {ports}")


def alertmanager_service(cluster: Cluster) -> Iterator[Finding]:
    """Prometheus sends its alerts to a Service and port that exist."""
    ports = {
        (s.namespace, s.name, p.get("name")) for s in cluster.of("Service") for p in s.spec["ports"]
    }
    for item in cluster.of("Prometheus"):
        targets = (item.spec.get("alerting") or {}).get("alertmanagers") or []
        for target in targets:
            place = target.get("namespace", item.namespace)
            if (place, target["name"], target["port"]) not in ports:
                text = f"there is no Service {target['name']} with a port {target['port']}"
                yield cluster.finding(item, f"{text} in {place}", "correct prometheusSpec.alerting")
        if not targets:
            yield cluster.finding(item, "sends its alerts nowhere", "enable Alertmanager")


def accounts_and_roles(cluster: Cluster) -> Iterator[Finding]:
    """ServiceAccounts of pods, and accounts and roles of bindings, exist."""
    existing = {(i.kind, i.namespace, i.name) for i in cluster.all}
    for pod in cluster.pods:
        name = pod.spec.get("serviceAccountName") or "default"
        if name != "default" and ("ServiceAccount", pod.owner.namespace, name) not in existing:
            text = f"there is no ServiceAccount {name} in {pod.owner.namespace}"
            yield cluster.finding(pod.owner, text, "let the chart make it, or correct its name")
    for item in cluster.of("ClusterRoleBinding", "RoleBinding"):
        role = item.manifest["roleRef"]
        place = "" if role["kind"] == "ClusterRole" else item.namespace
        if (role["kind"], place, role["name"]) not in existing:
            text = f"there is no {role['kind']} {role['name']}"
            yield cluster.finding(item, text, "let the chart make it, or correct its name")
        for subject in item.manifest.get("subjects") or []:
            key = (subject["kind"], subject.get("namespace", item.namespace), subject["name"])
            if subject["kind"] == "ServiceAccount" and key not in existing:
                text = f"there is no ServiceAccount {subject['name']} in {key[1]}"
                yield cluster.finding(item, text, "let the chart make it, or correct its name")


def configmaps_and_secrets(cluster: Cluster) -> Iterator[Finding]:
    """Every ConfigMap and Secret that is read exists, with the keys that are read.

    Secrets are not in git; those that `base/secrets.yaml` declares count as existing.
    """
    existing = _existing(cluster)
    read: list[tuple[Item, Reference]] = [(p.owner, r) for p in cluster.pods for r in _of_pod(p)]
    for item in cluster.items:
        if item.manifest["apiVersion"].startswith("monitoring.coreos.com/"):
            read += [(item, reference) for reference in _of_custom(item)]
    for item, wanted in sorted(read, key=str):
        found = existing.get((wanted.kind, wanted.namespace, wanted.name))
        if found is None:
            text = f"there is no {wanted.kind} {wanted.name} in {wanted.namespace}"
            fix = f"add it to {secretfile.PATH}"
            if wanted.kind == "ConfigMap":
                fix = "let a configMapGenerator make it, or correct its name"
            yield cluster.finding(item, text, fix)
        elif wanted.key and wanted.key not in found:
            text = f"the {wanted.kind} {wanted.name} has no key {wanted.key}"
            yield cluster.finding(item, text, f"use one of {', '.join(sorted(found))}")


def configmaps_before_pods(cluster: Cluster) -> Iterator[Finding]:
    """What a release's pods cannot start without is applied no later than the release itself.

    A pod that starts without it is tried again by its kubelet at intervals that grow to two
    minutes, so that it is ready long after everything is there. What one unit brings is in order:
    both engines apply ConfigMaps before HelmReleases and Applications, and Helm before workloads.
    """
    if not cluster.sync.synced:
        return  # No engine syncs it.
    units = {
        (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): unit
        for unit in cluster.sync.units
        for item in unit.objects
    }
    declared_by = {(kind, name): unit for (kind, _, name), unit in units.items()}
    makers = {(i.namespace, i.name): i.release for i in cluster.of("ConfigMap") if i.release}
    for pod in cluster.pods:
        release, place = pod.owner.release, pod.owner.namespace
        if release is None:
            continue
        own = declared_by[cluster.release(release).owner]
        for name in sorted({one.name for one in _of_pod(pod) if one.kind == "ConfigMap"}):
            unit, maker = units.get(("ConfigMap", place, name)), makers.get((place, name))
            # One that nobody makes is a finding of its own.
            if unit and unit.name not in {own.name, *cluster.sync.before(own)}:
                text = f"{unit.name} applies it, which {own.name} does not wait for"
            elif maker and maker != release:
                text = f"the release {maker} makes it, perhaps later"
            else:
                continue
            values = cluster.release(release).values
            text = f"does not start without the ConfigMap {name}, and {text}"
            fix = "list it in base/releases/kustomization.yaml, with what the releases mount"
            written = [(keys[-1:], name) for keys, value in leaves(values) if value == name]
            yield cluster.finding(pod.owner, text, fix, *written)


def addresses_of(item: Item) -> set[tuple[str, tuple[str, str], int | None]]:
    """Return each address of a Service of ours in an object: its text, Service and port."""
    return {
        address
        for _, text in leaves(item.manifest)
        # Most texts are none of these; the expression takes its time.
        if isinstance(text, str) and ("://" in text or ".svc" in text)
        for address in _in_text(text)
    }


@functools.lru_cache(maxsize=4096)
def _in_text(text: str) -> tuple[tuple[str, tuple[str, str], int | None], ...]:
    return tuple(
        (
            match[0],
            (match["namespace"], match["name"]),
            int(match["port"]) if match["port"] else _PORTS.get(match["scheme"] or ""),
        )
        for match in _ADDRESS.finditer(text)
        # Not such as a label's value; an address has one or the other.
        if match["scheme"] or match["suffix"]
    )


def _existing(cluster: Cluster) -> dict[tuple[str, str, str], set[str]]:
    found = {(i.kind, i.namespace, i.name): {*i.data} for i in cluster.of("ConfigMap")}
    for secret in credentials.declared(cluster.repository.root):
        found["Secret", secret.namespace, secret.name] = {*secret.keys}
    return found


def _of_pod(pod: Pod) -> Iterator[Reference]:
    """Yield the ConfigMaps and Secrets that a pod cannot start without."""
    yield from _of_volumes(pod)
    yield from _of_environment(pod)
    yield from _of_sub_paths(pod)


def _of_volumes(pod: Pod) -> Iterator[Reference]:
    for volume in pod.spec.get("volumes") or []:
        for source in (volume.get("projected") or {}).get("sources") or [volume]:
            for kind, field, name in (
                ("ConfigMap", "configMap", "name"),
                ("Secret", "secret", "secretName"),
            ):
                found = source.get(field) or {}
                target = found.get(name) or found.get("name")
                if target and not found.get("optional"):
                    yield Reference(kind, pod.owner.namespace, target)
                    for wanted in found.get("items") or []:
                        yield Reference(kind, pod.owner.namespace, target, wanted["key"])


def _of_environment(pod: Pod) -> Iterator[Reference]:
    for container in pod.containers:
        sources = [one.get("valueFrom") or {} for one in container.get("env") or []]
        for source in [*sources, *(container.get("envFrom") or [])]:
            for kind, field in (
                ("ConfigMap", "configMapKeyRef"),
                ("Secret", "secretKeyRef"),
                ("ConfigMap", "configMapRef"),
                ("Secret", "secretRef"),
            ):
                found = source.get(field) or {}
                if found and not found.get("optional"):
                    yield Reference(kind, pod.owner.namespace, found["name"], found.get("key"))


def _of_sub_paths(pod: Pod) -> Iterator[Reference]:
    """Yield the keys of ConfigMaps that are mounted as single files."""
    mounts = {
        (m["name"], m["subPath"])
        for c in pod.containers
        for m in c.get("volumeMounts") or []
        if m.get("subPath")
    }
    for volume in pod.spec.get("volumes") or []:
        found = volume.get("configMap") or {}
        for name, path in sorted(mounts):
            if found and name == volume["name"] and not found.get("items"):
                yield Reference("ConfigMap", pod.owner.namespace, found["name"], path.split("/")[0])


def _of_custom(item: Item) -> Iterator[Reference]:
    """Yield what one of the operator's custom resources names, by the operator's conventions."""
    if item.kind == "Alertmanager":
        name = item.spec.get("configSecret") or f"alertmanager-{item.name}"
        yield Reference("Secret", item.namespace, name, "alertmanager.yaml")
    for name in item.spec.get("secrets") or []:
        yield Reference("Secret", item.namespace, name)
    for name in item.spec.get("configMaps") or []:
        yield Reference("ConfigMap", item.namespace, name)
    for _, selector in maps(item.spec):
        # A SecretKeySelector, in any field.
        known = {"name", "key"} <= selector.keys() <= {"name", "key", "optional"}
        if known and not selector.get("optional"):
            yield Reference("Secret", item.namespace, selector["name"], selector["key"])
