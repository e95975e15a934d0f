"""Pod Security levels, and what the strictest of them forbids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scripts.core.yamlfile import Json

POD_SECURITY = "pod-security.kubernetes.io/enforce"


# https://kubernetes.io/docs/concepts/security/pod-security-standards/, the most permissive first.
LEVELS = ("privileged", "baseline", "restricted")


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
