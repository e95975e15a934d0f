"""Pods that the admission policies refuse or admit, each for one reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.checks.rendered.pods import HOST_PATHS
from scripts.core.yamlfile import Json
from scripts.model.pod_security import SYSCTLS, VOLUMES
from scripts.servers.kubernetes.client import Object

STRICT, NODE = "monitoring", "monitoring-node"
_DIGEST = f"sha256:{'0' * 64}"
_BOTH = {"cpu": "10m", "memory": "16Mi"}
_SOURCES: Mapping[str, Json] = {
    "configMap": {"name": "any"},
    "csi": {"driver": "any.example.com"},
    "ephemeral": {
        "volumeClaimTemplate": {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            }
        }
    },
    "persistentVolumeClaim": {"claimName": "any"},
    "projected": {"sources": [{"configMap": {"name": "any"}}]},
    "secret": {"secretName": "any"},
}


@dataclass(frozen=True)
class AdmissionCase:
    """A pod that is as it must be, but for what this says.

    Attributes:
        what: What it is, for a finding.
        says: What the policy's message says; empty where the pod is admitted.
        namespace: Where it would be.
        pod: Replaces keys of the PodSpec.
        container: Replaces keys of its container.
        context: Replaces keys of the container's security context; None removes one.
    """

    what: str
    says: str = ""
    namespace: str = STRICT
    pod: Mapping[str, Json] = field(default_factory=dict)
    container: Mapping[str, Json] = field(default_factory=dict)
    context: Mapping[str, Json] = field(default_factory=dict)

    def spec(self) -> Object:
        """Return the PodSpec."""
        context = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **self.context,
        }
        container = {
            "name": "app",
            "image": "registry.example.com:5000/app:1.0",
            "resources": {"requests": _BOTH, "limits": {"memory": "16Mi"}},
            "securityContext": {k: v for k, v in context.items() if v is not None},
            **self.container,
        }
        return {"containers": [container], **self.pod}


def _volumes(**sources: Json) -> dict[str, Json]:
    return {"volumes": [{"name": kind.lower(), kind: own} for kind, own in sources.items()]}


def _host_paths(*paths: str) -> dict[str, Json]:
    volumes = [{"name": f"v{n}", "hostPath": {"path": path}} for n, path in enumerate(paths)]
    return {"volumes": volumes}


_NODE_CONTEXT: Mapping[str, Json] = {"privileged": True, "allowPrivilegeEscalation": None}
_INIT = {"name": "init", "image": "registry.example.com/init:1.0"}

GOOD = AdmissionCase("a pod as it must be")
BAD = AdmissionCase("the tag latest", "pinned", container={"image": "example.com/app:latest"})
CASES = (
    GOOD,
    BAD,
    AdmissionCase("no tag", "pinned", container={"image": "example.com:5000/app"}),
    AdmissionCase("a digest", container={"image": f"example.com/app@{_DIGEST}"}),
    AdmissionCase("latest and a digest", container={"image": f"example.com/app:latest@{_DIGEST}"}),
    AdmissionCase(
        "no request of cpu",
        "no request of cpu",
        container={"resources": {"requests": {"memory": "1Mi"}, "limits": {"memory": "1Mi"}}},
    ),
    AdmissionCase(
        "no request of memory",
        "no request of memory",
        container={"resources": {"requests": {"cpu": "1m"}, "limits": {"memory": "1Mi"}}},
    ),
    AdmissionCase(
        "no limit of memory",
        "no limit of memory",
        container={"resources": {"requests": _BOTH, "limits": {"cpu": "1"}}},
    ),
    AdmissionCase(
        "an init container without resources",
        "container init has no limit of memory",
        pod={"initContainers": [_INIT]},
    ),
    AdmissionCase(
        "more than fits into a message",
        "too much is wrong",
        pod={"containers": [{"name": f"app-{n}", "image": "example.com/app"} for n in range(20)]},
    ),
    AdmissionCase("no resources on a node", "no limit", NODE, container={"resources": {}}),
    *(
        AdmissionCase(key, f"remove {key}", pod={key: True})
        for key in ("hostNetwork", "hostPID", "hostIPC")
    ),
    AdmissionCase(
        "a host port",
        "remove hostPort",
        container={"ports": [{"containerPort": 80, "hostPort": 80}]},
    ),
    AdmissionCase("privileged", "remove privileged", context=_NODE_CONTEXT),
    AdmissionCase(
        "privilege escalation left on",
        "set allowPrivilegeEscalation",
        context={"allowPrivilegeEscalation": None},
    ),
    AdmissionCase("root", "remove runAsUser 0", context={"runAsUser": 0, "runAsNonRoot": None}),
    AdmissionCase(
        "root, of the pod",
        "remove runAsUser 0",
        pod={"securityContext": {"runAsUser": 0}},
        context={"runAsNonRoot": None},
    ),
    AdmissionCase("perhaps root", "set runAsNonRoot", context={"runAsNonRoot": None}),
    AdmissionCase(
        "perhaps root, against the pod's",
        "set runAsNonRoot",
        pod={"securityContext": {"runAsNonRoot": True}},
        context={"runAsNonRoot": False},
    ),
    AdmissionCase("no seccomp profile", "set seccompProfile", context={"seccompProfile": None}),
    AdmissionCase(
        "seccomp unconfined",
        "set seccompProfile",
        context={"seccompProfile": {"type": "Unconfined"}},
    ),
    AdmissionCase(
        "what the container does not say, the pod does",
        pod={
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
                "sysctls": [{"name": name, "value": "0"} for name in sorted(SYSCTLS)],
            }
        },
        context={"runAsNonRoot": None, "seccompProfile": None},
    ),
    AdmissionCase("capabilities kept", "set capabilities.drop", context={"capabilities": None}),
    AdmissionCase(
        "a capability added",
        "remove capabilities.add",
        context={"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "SYS_TIME"]}},
    ),
    AdmissionCase(
        "the capability that is allowed",
        context={"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
    ),
    AdmissionCase(
        "procMount",
        "remove procMount",
        pod={"hostUsers": False},
        context={"procMount": "Unmasked"},
    ),
    AdmissionCase(
        "a sysctl",
        "remove the sysctl kernel.msgmax",
        pod={"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
    ),
    *(
        AdmissionCase(f"{text}, of the {'pod' if pod else 'container'}", says, **place)
        for text, says, context in (
            ("AppArmor unconfined", "remove appArmor", {"appArmorProfile": {"type": "Unconfined"}}),
            ("an SELinux user", "remove seLinux", {"seLinuxOptions": {"user": "system_u"}}),
            ("an SELinux role", "remove seLinux", {"seLinuxOptions": {"role": "system_r"}}),
            ("an SELinux type", "remove seLinux", {"seLinuxOptions": {"type": "spc_t"}}),
        )
        for pod, place in (
            (True, {"pod": {"securityContext": context}}),
            (False, {"context": context}),
        )
    ),
    AdmissionCase(
        "an SELinux type for containers", context={"seLinuxOptions": {"type": "container_t"}}
    ),
    AdmissionCase("a path of its node", "use another type", pod=_host_paths("/var/log")),
    AdmissionCase(
        "a volume of NFS",
        "use another type",
        pod=_volumes(nfs={"server": "example.com", "path": "/"}),
    ),
    AdmissionCase(
        "every volume that is allowed",
        pod=_volumes(**{kind: _SOURCES.get(kind, {}) for kind in sorted(VOLUMES)}),
    ),
    AdmissionCase(
        "what node-exporter and Alloy need",
        "",
        NODE,
        {"hostNetwork": True, "hostPID": True, **_host_paths(*HOST_PATHS)},
        {"ports": [{"containerPort": 9100, "hostPort": 9100}]},
        _NODE_CONTEXT,
    ),
    AdmissionCase("another path of its node", "mounts /etc", NODE, _host_paths("/etc")),
)
