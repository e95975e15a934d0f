"""What every pod keeps to: pinned images, resources, and its namespace's Pod Security Standard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster

RESTRICTED = frozenset({"monitoring"})
# What the pods of monitoring-node may see of their node.
HOST_PATHS = {
    "/": "node-exporter: file systems",
    "/proc": "node-exporter",
    "/sys": "node-exporter",
    "/var/lib/alloy": "Alloy: positions in the log files",
    "/var/log": "Alloy: the pods' logs",
}
# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
SELINUX = frozenset(
    {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
PROFILES = frozenset({"RuntimeDefault", "Localhost"})
SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_IMAGE = re.compile(
    r"(?P<repository>[^@]+?)(:(?P<tag>[^/:@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def repository(image: str) -> str:
    """Return an image's repository, without tag and digest."""
    match = _IMAGE.fullmatch(image)
    return match["repository"] if match else image


def version(image: str) -> str:
    """Return the version that an image's tag names, such as `3.14.0`; empty if it has no tag."""
    match = _IMAGE.fullmatch(image)
    return ((match and match["tag"]) or "").removeprefix("v").removesuffix("-distroless")


def images(cluster: Cluster) -> Iterator[Finding]:
    """Every image is pinned by a tag other than `latest`, or by its digest."""
    for pod in cluster.pods:
        for container in pod.containers:
            image = str(container.get("image") or "")
            match = _IMAGE.fullmatch(image)
            if not match or (match["tag"] in {None, "latest"} and not match["digest"]):
                text = f"container {container['name']}: the image {image!r} is not pinned"
                yield cluster.finding(pod.owner, text, "set its tag in the values")


def resources(cluster: Cluster) -> Iterator[Finding]:
    """Every container requests CPU and memory and has a limit of memory."""
    for pod in cluster.pods:
        for container in pod.containers:
            has = container.get("resources") or {}
            missing = [
                f"{bound[:-1]} of {resource}"
                for bound, resource in (
                    ("requests", "cpu"),
                    ("requests", "memory"),
                    ("limits", "memory"),
                )
                if resource not in (has.get(bound) or {})
            ]
            if missing:
                text = f"container {container['name']} has no {' and no '.join(missing)}"
                yield cluster.finding(pod.owner, text, "set the resources in the values")


def restricted(cluster: Cluster) -> Iterator[Finding]:
    """Pods of a restricted namespace keep to the profile, so that the API server admits them."""
    for pod in cluster.pods:
        if pod.owner.namespace in RESTRICTED:
            for text in violations(pod.spec):
                fix = "set the security context in the values"
                yield cluster.finding(pod.owner, f"not `restricted`: {text}", fix)


def host_paths(cluster: Cluster) -> Iterator[Finding]:
    """Pods see no more of their node than the paths above."""
    for pod in cluster.pods:
        for volume in pod.spec.get("volumes") or []:
            path = (volume.get("hostPath") or {}).get("path")
            if path and path not in HOST_PATHS:
                text = f"mounts {path} of its node"
                yield cluster.finding(pod.owner, text, "do without, or add it to HOST_PATHS")


def violations(spec: Mapping[str, Json]) -> Iterator[str]:
    """Yield what of a PodSpec the Pod Security profile `restricted` forbids.

    Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/, Linux pods.
    """
    pod = spec.get("securityContext") or {}
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield key
    for volume in spec.get("volumes") or []:
        yield from (f"volume {volume['name']} is a {t}" for t in volume.keys() - {"name"} - VOLUMES)
    for sysctl in pod.get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    if pod.get("runAsUser") == 0:
        yield "runAsUser 0"
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        yield from (f"container {container['name']}: {text}" for text in _container(container, pod))


def _container(container: Mapping[str, Json], pod: Mapping[str, Json]) -> Iterator[str]:
    own = container.get("securityContext") or {}
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("runAsUser") == 0:
        yield "runAsUser 0"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    seccomp = own.get("seccompProfile") or pod.get("seccompProfile") or {}
    if seccomp.get("type") not in PROFILES:
        yield "no seccompProfile"
    capabilities = own.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "capabilities are not dropped"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield "capabilities are added"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "a host port"
    for context in (own, pod):
        if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
            yield "AppArmor unconfined"
        options = context.get("seLinuxOptions") or {}
        if options.get("user") or options.get("role") or options.get("type") not in SELINUX:
            yield "SELinux options"
