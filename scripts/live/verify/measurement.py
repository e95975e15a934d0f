"""One round: Grafana's pod is deleted, and the time taken until its home page has data again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.waiting import until
from scripts.live.verify import viewer
from scripts.live.verify.grafana import Credentials, Grafana, PageLoad, is_local, of_token
from scripts.live.verify.grafana_pods import GrafanaNamespace, GrafanaPod, PodWatch
from scripts.live.verify.home_dashboard import HomeDashboard

# Seconds for what should be there before anything is deleted.
_PRESENT = 10.0
# The Viewer that asks through the public URL: what the names of its accounts begin with, and the
# seconds after which its token is of no use, should nobody be able to remove it.
_ACCOUNT, _LIFETIME = "make-verify-", 900
# Events of one object that a message quotes.
_QUOTED = 3


@dataclass(frozen=True)
class Round:
    """What one round took, in seconds since the API server accepted that the pod is deleted.

    Attributes:
        warm: Whether every image was on the node before.
        pod: Until the new pod was Ready.
        dashboard: Until the first row of the home dashboard had data.
        public: Until it had through the public URL, which is asked last, by a Viewer that is made
            first where the administrator asked; None where there is none.
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

    namespace: GrafanaNamespace
    home: HomeDashboard
    credentials: Credentials
    url: str
    limit: float

    def check(self) -> None:
        """Open the home page of the pod that is there, on every way.

        Raises:
            RepositoryError: With what is missing before anything is deleted.
        """
        with contextlib.closing(self.namespace.forward(self.namespace.pod())) as forward:
            inside = self._by_port_forward(forward.url)
            self._open(inside, _PRESENT)
            if self.url:
                self._open_publicly(inside, _PRESENT)

    def round(self) -> Round:
        """Delete the pod, and measure.

        Raises:
            RepositoryError: With what is missing at the end of a wait.
        """
        old = self.namespace.pod()
        with contextlib.closing(self.namespace.watch()) as watch:
            watch.begin()
            self.namespace.delete(old)
            started = time.monotonic()
            deadline = started + self.limit
            new = self._await(
                watch, old, lambda pod: _replaces(pod, old) and _is_running(pod), deadline
            )
            # Connected while Grafana starts, so that kubectl's own start is not measured.
            with contextlib.closing(self.namespace.forward(new)) as forward:
                if not new.ready:
                    self._await(watch, old, lambda p: p.uid == new.uid and p.ready, deadline, new)
                pod = time.monotonic() - started
                inside = self._by_port_forward(forward.url)
                self._open(inside, self.limit)
                dashboard = time.monotonic() - started
                public = None
                if self.url:
                    self._open_publicly(inside, self.limit)
                    public = time.monotonic() - started
        return Round(self.namespace.warm(new), pod, dashboard, public)

    def _await(
        self,
        watch: PodWatch,
        old: GrafanaPod,
        condition: Callable[[GrafanaPod], bool],
        deadline: float,
        last: GrafanaPod | None = None,
    ) -> GrafanaPod:
        """Return the first pod that meets a condition; else the error names the last."""
        for pod in watch.pods(deadline):
            if condition(pod):
                return pod
            if _replaces(pod, old):
                last = pod
        raise self._not_ready(old, last)

    def _not_ready(self, old: GrafanaPod, new: GrafanaPod | None) -> RepositoryError:
        place = f"Pod {new.name}" if new else f"ReplicaSet {old.owner}"
        message = f"is not Ready: {new.reason}" if new else f"made no pod in place of {old.name}"
        events = self.namespace.events(new.name if new else old.owner)[-_QUOTED:]
        reasons = "; ".join(f"{e.get('reason')}: {e.get('message')}" for e in events)
        message += f" (after {self.limit:g} s); events: {reasons or 'none'}"
        fix = f"see `kubectl --namespace={self.namespace.name} get events`"
        return RepositoryError(Finding(place, None, message, fix))

    def _open(self, grafana: Grafana, limit: float) -> None:
        progress(f"opening the home dashboard through {grafana.name}")
        until(PageLoad(grafana, self.home).attempt, limit)

    def _open_publicly(self, inside: Grafana, limit: float) -> None:
        """Open the home page through the public URL, where the administrator never asks."""
        with contextlib.ExitStack() as stack:
            who = self.credentials
            if who.admin:
                token = stack.enter_context(viewer.token(inside, _ACCOUNT, _LIFETIME))
                who = of_token(token, f"a {viewer.ROLE} of this measurement")
            self._open(Grafana(self.url, lambda: self.url, who, is_local(self.url)), limit)

    def _by_port_forward(self, url: Callable[[], str]) -> Grafana:
        return Grafana("kubectl port-forward", url, self.credentials, local=True)


def _replaces(pod: GrafanaPod, old: GrafanaPod) -> bool:
    return pod.uid != old.uid and not pod.gone


def _is_running(pod: GrafanaPod) -> bool:
    return pod.phase == "Running"
