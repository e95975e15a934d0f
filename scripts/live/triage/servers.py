"""Prometheus, Loki and Alertmanager of a cluster, each behind a port that kubectl forwards.

Where they are is what Grafana's data sources say. Nothing but GET and queries is sent to them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.kubectl import Kubectl
from scripts.core.waiting import until
from scripts.grafana import model
from scripts.live.port_forward import PortForward
from scripts.model import dashboards
from scripts.servers.api import Api

KINDS = ("prometheus", "loki", "alertmanager")
ACCESS = (
    "check KUBECONFIG, its context, that its login has not ended, and that it may get services and "
    "pods and create pods/portforward"
)
# Seconds that kubectl may take to answer, a login by the kubeconfig's program included, and then to
# forward a port.
_TIMEOUT, _CONNECTED = 60, 15
# Seconds after which somebody is told what is waited for.
PATIENCE = 2.0


@dataclass(frozen=True)
class Address:
    """Where a server is in the cluster.

    Attributes:
        kind: One of KINDS.
        name: What people call it.
    """

    kind: str
    name: str
    namespace: str
    service: str
    port: int


@dataclass
class Server:
    """A server behind a forwarded port.

    Attributes:
        timeout: Seconds that an answer may take.
        fault: Why it is asked no more.
    """

    address: Address
    forward: PortForward
    timeout: float
    fault: Finding | None = None
    _apis: dict[str, Api] = field(default_factory=dict)

    def api(self) -> Api:
        """Return its API, on the port that is forwarded now.

        Raises:
            RepositoryError: If no port is forwarded, or it did not answer before.
        """
        if self.fault:
            raise RepositoryError(self.fault)
        try:
            with patience(f"waiting for {self.address.name}"):
                url = until(self.forward.url, _CONNECTED)
        except RepositoryError as error:
            (self.fault, *_) = error.findings
            raise
        if url not in self._apis:
            self._apis[url] = Api(urlsplit(url).port or 80, self.timeout)
        return self._apis[url]

    def give_up(self, reason: str) -> Finding:
        """Ask it no more, and return why."""
        message = f"{reason}, so it is asked no more"
        fix = f"see whether its pod is well, or give it more time: --timeout={2 * self.timeout:g}"
        self.fault = Finding(self.address.name, None, message, fix)
        return self.fault

    def close(self) -> None:
        """Close every connection, and end kubectl."""
        for api in self._apis.values():
            api.close()
        self.forward.close()


def addresses() -> list[Address]:
    """Return where Grafana finds each server, in the order of KINDS.

    Raises:
        RepositoryError: If it is not a Service in a cluster.
    """
    found = {}
    for source in dashboards.datasources(model.release_values()):
        kind, url = str(source["type"]), urlsplit(str(source.get("url")))
        service, _, rest = (url.hostname or "").partition(".")
        namespace = rest.partition(".")[0]
        if kind in KINDS and service and namespace:
            port = url.port or 80
            found[kind] = Address(kind, str(source["name"]), namespace, service, port)
    if absent := [kind for kind in KINDS if kind not in found]:
        message = f"no data source of the type {absent[0]} is a Service of a cluster"
        fix = "give it a url such as http://loki.monitoring.svc:3100"
        raise RepositoryError(Finding(dashboards.GRAFANA, None, message, fix))
    return [found[kind] for kind in KINDS]


@contextlib.contextmanager
def reach(timeout: float) -> Iterator[tuple[Mapping[str, Server], list[Finding]]]:
    """Forward a port to each server that there is; kubectl ends with the block.

    Args:
        timeout: Seconds that an answer may take.

    Yields:
        The servers by kind, and a finding for each that is not there.

    Raises:
        RepositoryError: If the cluster cannot be reached or there is none of them.
    """
    known = addresses()
    with contextlib.ExitStack() as stack, patience("waiting for the cluster"):
        servers: dict[str, Server] = {}
        findings: list[Finding] = []
        for address in known:
            kubectl = Kubectl(ACCESS, _TIMEOUT, (f"--namespace={address.namespace}",), words=2)
            name = kubectl.text(
                "get", "service", address.service, "--ignore-not-found", "--output=name"
            )
            if not name.strip():
                message = f"there is no Service {address.service} in {address.namespace}"
                fix = "sync the repository first; see `kubectl get pods --all-namespaces`"
                findings.append(Finding(address.name, None, message, fix))
                continue
            forward = PortForward(kubectl, f"service/{address.service}", str(address.port))
            server = Server(address, forward, timeout)
            stack.callback(server.close)
            servers[address.kind] = server
        if not servers:
            raise RepositoryError(*findings)
        kept = stack.pop_all()
    with kept:
        yield servers, findings


@contextlib.contextmanager
def patience(text: str) -> Iterator[None]:
    """Say what is waited for, where the block takes longer than PATIENCE."""
    timer = threading.Timer(PATIENCE, progress, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
