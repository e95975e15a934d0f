"""One round: Grafana's pod is deleted, and the clocks run until its home page is there again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.live.verify.grafana import Credentials, Grafana, Visit, is_local
from scripts.live.verify.home import Home
from scripts.live.verify.kubectl import Kubectl, Pod, Watch
from scripts.live.verify.waiting import until

# Seconds for what should be there before anything is deleted.
_PRESENT = 10.0
# Events of one object that a message quotes.
_QUOTED = 3


@dataclass(frozen=True)
class Round:
    """What one round took, in seconds since the API server accepted that the pod is deleted.

    Attributes:
        warm: Whether every image was on the node before.
        pod: Until the new pod was Ready.
        dashboard: Until the first row of the home dashboard had data.
        public: Until it had through the public URL, which is asked last; None where there is none.
    """

    warm: bool
    pod: float
    dashboard: float
    public: float | None


@dataclass(frozen=True)
class Measurement:
    """What a round needs to know.

    Attributes:
        url: The public URL; empty for none.
        limit: Seconds that each wait may take.
    """

    kubectl: Kubectl
    home: Home
    credentials: Credentials
    url: str
    limit: float

    def check(self) -> None:
        """Open the home page of the pod that is there, on every way.

        Raises:
            RepositoryError: With what is missing before anything is deleted.
        """
        with contextlib.closing(self.kubectl.forward(self.kubectl.pod())) as forward:
            self._open(self._within(forward.url), _PRESENT)
        if self.url:
            self._open(self._outside(), _PRESENT)

    def round(self) -> Round:
        """Delete the pod, and measure.

        Raises:
            RepositoryError: With what is missing at the end of a wait.
        """
        old = self.kubectl.pod()
        with contextlib.closing(self.kubectl.watch()) as watch:
            watch.begin()
            self.kubectl.delete(old)
            started = time.monotonic()
            deadline = started + self.limit
            new = self._await(watch, old, lambda pod: _follows(pod, old) and _runs(pod), deadline)
            # Connected while Grafana starts, so that kubectl's own start is not measured.
            with contextlib.closing(self.kubectl.forward(new)) as forward:
                if not new.ready:
                    self._await(watch, old, lambda p: p.uid == new.uid and p.ready, deadline, new)
                pod = time.monotonic() - started
                self._open(self._within(forward.url), self.limit)
                dashboard = time.monotonic() - started
        public = None
        if self.url:
            self._open(self._outside(), self.limit)
            public = time.monotonic() - started
        return Round(self.kubectl.warm(new), pod, dashboard, public)

    def _await(
        self,
        watch: Watch,
        old: Pod,
        wanted: Callable[[Pod], bool],
        deadline: float,
        last: Pod | None = None,
    ) -> Pod:
        """Return the first pod that is as wanted; where none is, tell of the last that was seen."""
        for pod in watch.pods(deadline):
            if wanted(pod):
                return pod
            if _follows(pod, old):
                last = pod
        raise self._stuck(old, last)

    def _stuck(self, old: Pod, new: Pod | None) -> RepositoryError:
        place = f"Pod {new.name}" if new else f"ReplicaSet {old.owner}"
        message = f"is not Ready: {new.reason}" if new else f"made no pod in place of {old.name}"
        events = self.kubectl.events(new.name if new else old.owner)[-_QUOTED:]
        told = "; ".join(f"{e.get('reason')}: {e.get('message')}" for e in events)
        message += f" (after {self.limit:g} s); events: {told or 'none'}"
        fix = f"see `kubectl --namespace={self.kubectl.namespace} get events`"
        return RepositoryError(Finding(place, None, message, fix))

    def _open(self, grafana: Grafana, limit: float) -> None:
        progress(f"opening the home dashboard through {grafana.name}")
        until(Visit(grafana, self.home).attempt, time.monotonic() + limit, limit)

    def _within(self, url: Callable[[], str]) -> Grafana:
        return Grafana("kubectl port-forward", url, self.credentials, local=True)

    def _outside(self) -> Grafana:
        return Grafana(self.url, lambda: self.url, self.credentials, is_local(self.url))


def _follows(pod: Pod, old: Pod) -> bool:
    return pod.uid != old.uid and not pod.gone


def _runs(pod: Pod) -> bool:
    return pod.phase == "Running"
