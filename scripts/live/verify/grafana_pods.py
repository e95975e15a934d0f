"""Grafana's pods in the cluster: found, deleted, watched, and forwarded to a port.

What changes within seconds is watched, not polled: on OKE, each start of kubectl first has the
`oci` program make a token, which takes longer than some of what is measured.
"""

from __future__ import annotations

import base64
import binascii
import json
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.core.findings import Finding, RepositoryError
from scripts.core.kubectl import Kubectl, reason
from scripts.core.yamlfile import Json
from scripts.live.port_forward import PortForward, Process

SELECTOR = "app.kubernetes.io/name=grafana"
# Seconds that one answer of the API server may take, a login by the kubeconfig's program included.
_TIMEOUT = 60
_ACCESS = (
    "check KUBECONFIG, its context, and that it may list, watch and delete pods, forward their "
    "ports, list events and read the Secret"
)
_WATCH = "kubectl get pods --watch"
_WARM = "already present on machine"


@dataclass(frozen=True)
class GrafanaPod:
    """A pod, as it was at one moment.

    Attributes:
        owner: Name of its ReplicaSet; empty for none.
        phase: Kubernetes' own, as `Running`.
        ready: Whether its condition Ready is true.
        gone: Whether it has ended, or has been deleted and is on its way out.
        reason: Why it is not Ready, as far as its status says.
    """

    name: str
    uid: str
    owner: str
    phase: str
    ready: bool
    gone: bool
    reason: str

    @classmethod
    def of(cls, document: Json) -> GrafanaPod:
        """Read the pod of Kubernetes' API."""
        metadata, status = document["metadata"], document.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or []}
        states = [c.get("state") or {} for c in status.get("containerStatuses") or []]
        waiting = [s["waiting"] for s in states if s.get("waiting")]
        owners = metadata.get("ownerReferences") or []
        unmet = waiting or [c for c in conditions.values() if c["status"] != "True"]
        reasons = (f"{t.get('reason', '')} {t.get('message', '')}".strip() for t in unmet)
        phase = str(status.get("phase") or "Pending")
        return cls(
            name=str(metadata["name"]),
            uid=str(metadata["uid"]),
            owner=str(owners[0]["name"]) if owners else "",
            phase=phase,
            ready=conditions.get("Ready", {}).get("status") == "True",
            gone="deletionTimestamp" in metadata or phase in ("Failed", "Succeeded"),
            reason=", ".join(dict.fromkeys(filter(None, reasons))) or phase,
        )


@dataclass(frozen=True)
class GrafanaNamespace:
    """The namespace that Grafana is in."""

    name: str

    @property
    def kubectl(self) -> Kubectl:
        """Kubectl in this namespace."""
        return Kubectl(_ACCESS, _TIMEOUT, (f"--namespace={self.name}",), words=2)

    def pod(self) -> GrafanaPod:
        """Return Grafana's pod, which must be Ready.

        Raises:
            RepositoryError: If there is no such namespace, not one pod, or one that is not Ready.
        """
        listed = self.kubectl.json("get", "pods", f"--selector={SELECTOR}")
        # Evicted pods and those of Helm's tests stay until somebody deletes them.
        pods = [pod for document in listed["items"] if not (pod := GrafanaPod.of(document)).gone]
        if len(pods) == 1 and pods[0].ready:
            return pods[0]
        if len(pods) == 1:
            place, message = f"Pod {pods[0].name}", f"is not Ready: {pods[0].reason}"
            fix = f"see `kubectl --namespace={self.name} describe pod {pods[0].name}`"
        elif pods:
            place = f"namespace {self.name}"
            message = f"{len(pods)} pods have the label {SELECTOR}, and one is measured"
            fix = "wait until a rollout is over; run Grafana with one replica"
        else:
            place = f"namespace {self.name}"
            message = f"no pod has the label {SELECTOR}" if self._exists() else "does not exist"
            fix = "sync the repository first, or name Grafana's namespace by --namespace"
        raise RepositoryError(Finding(place, None, message, fix))

    def delete(self, pod: GrafanaPod) -> None:
        """Delete a pod; returns when the API server has accepted that."""
        self.kubectl.text("delete", "pod", pod.name, "--wait=false", "--output=name")

    def events(self, name: str) -> list[Json]:
        """Return the events of an object, the oldest first."""
        selector = f"--field-selector=involvedObject.name={name}"
        found = self.kubectl.json("get", "events", selector)["items"]
        return sorted(found, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))

    def warm(self, pod: GrafanaPod) -> bool:
        """Say whether every image of a pod was on its node before the pod was."""
        pulled = [e.get("message", "") for e in self.events(pod.name) if e["reason"] == "Pulled"]
        return bool(pulled) and all(_WARM in message for message in pulled)

    def secret(self, name: str, *keys: str) -> list[str]:
        """Return values of a Secret. Nothing but an HTTP header may be made of them.

        Raises:
            RepositoryError: If it cannot be read, or lacks a key.
        """
        try:
            data = self.kubectl.json("get", "secret", name).get("data") or {}
        except RepositoryError as error:
            if "(NotFound)" not in str(error):
                raise
            fix = "run `make secrets`, which makes it"
            raise RepositoryError(
                Finding(f"Secret {name}", None, f"is not in namespace {self.name}", fix)
            ) from None
        try:
            return [base64.b64decode(data[key], validate=True).decode() for key in keys]
        except (KeyError, binascii.Error, UnicodeDecodeError):
            message = f"has no usable {' and '.join(keys)}"
            fix = "delete it and run `make secrets`, which makes a new one"
            raise RepositoryError(Finding(f"Secret {name}", None, message, fix)) from None

    def watch(self) -> PodWatch:
        """Start to watch Grafana's pods, until it is closed."""
        return PodWatch(
            self.kubectl.command("get", "pods", f"--selector={SELECTOR}", "--watch", "-o=json")
        )

    def forward(self, pod: GrafanaPod) -> PortForward:
        """Start to forward a port to Grafana in a pod that runs, until it is closed."""
        port = "grafana"  # The container port's name in the chart.
        return PortForward(self.kubectl, f"pod/{pod.name}", port)

    def _exists(self) -> bool:
        try:
            names = self.kubectl.text(
                "get", "namespace", self.name, "--ignore-not-found", "-o=name"
            )
        except RepositoryError:
            return True  # Who may read the pods of one namespace need not see namespaces.
        return bool(names.strip())


class PodWatch:
    """The states of Grafana's pods as they come, the present ones first."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """Start kubectl."""
        self._process = Process(command)

    def close(self) -> None:
        """End kubectl."""
        self._process.end()

    def begin(self) -> None:
        """Wait until a present pod is seen; after that, nothing is missed.

        Raises:
            RepositoryError: If kubectl says nothing, or ends.
        """
        if not next(self.pods(time.monotonic() + _TIMEOUT), None):
            message = f"has said nothing for {_TIMEOUT} s"
            raise RepositoryError(Finding(_WATCH, None, message, _ACCESS))

    def pods(self, deadline: float) -> Iterator[GrafanaPod]:
        """Yield each state until the deadline, in seconds of `time.monotonic()`.

        Raises:
            RepositoryError: If kubectl ends.
        """
        document: list[str] = []
        other = ""
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._process.lines.get(timeout=left)
            except queue.Empty:
                return
            if line is None:
                message = f"has ended: {reason(other)}"
                raise RepositoryError(Finding(_WATCH, None, message, _ACCESS))
            # kubectl indents: only the outermost braces stand at the beginning of a line.
            if line[0] in "{} ":
                document.append(line)
            else:
                other = line
            if line[0] == "}":
                yield GrafanaPod.of(json.loads("".join(document)))
                document.clear()
