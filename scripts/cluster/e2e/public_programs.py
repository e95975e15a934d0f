"""What answers at the public address, run for real: Traefik, cert-manager, and an ACME server.

Each has the arguments and files that are in the cluster, and reads the API as its own service
account, so that its roles are proven too. No object is another one for it: Pebble answers for the
host of the Issuer's server, and Traefik listens on the ports of the Gateway, on a loopback address
of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

from scripts.cluster.e2e.environment import Environment
from scripts.cluster.e2e.monitoring_programs import with_copied_files
from scripts.cluster.e2e.pod_proxy import PodProxy
from scripts.cluster.e2e.prometheus_operator import MONITORING, deployed, without_flags
from scripts.cluster.e2e.public_parts import PARTS
from scripts.cluster.e2e.socks_proxy import SocksProxy
from scripts.core.yamlfile import load
from scripts.servers.acme import AcmeServer
from scripts.servers.http_client import TRANSIENT
from scripts.servers.kubernetes.client import KubernetesError, Object
from scripts.servers.processes import LOOPBACK, free_port

TRAEFIK = "traefik"
CERT_MANAGER = "cert-manager"
GRAFANA = "grafana"
GATEWAY = "gateway"
CERTIFICATE = "grafana-public"
WEB, WEBSECURE = "web", "websecure"
GATEWAY_API = "gateway.networking.k8s.io/v1"
CERTIFICATES = "cert-manager.io/v1"
ACME = "acme.cert-manager.io/v1"
# Seconds that a certificate is valid; cert-manager renews it when two thirds of them are over.
LIFETIME = 75
# Where the pods of Grafana and of a challenge answer; the label of the latter.
_GRAFANA_PORT = 3000
_SOLVER_PORT = 8089
_SOLVER = "acme.cert-manager.io/http01-solver=true"
# Seconds between two looks at the pods that are there.
_LOOK = 0.2
# How often a challenge is tried, in place of 10 s.
_RETRY = "1s"
_ADDRESS = re.compile(r"--entry[Pp]oints\.(\w+)\.address=:(\d+)(.*)")
# What Grafana is asked for, in its place.
PAGE = b"the page of Grafana"


class Answer(NamedTuple):
    """What the public address answers.

    Attributes:
        status: The HTTP status.
        headers: Its headers, names in lower case.
        content: Its body.
        serial: Of the certificate; empty over plain HTTP.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    serial: str = ""


@dataclass
class PublicPrograms:
    """The programs, as they run.

    Attributes:
        env: The cluster.
        proxy: How cert-manager reaches the ACME server.
        pods: How Traefik reaches pods.
        address: Where Traefik listens.
        acme: The ACME server.
        ports: Traefik's, by its entry point.
    """

    env: Environment
    proxy: PodProxy
    pods: SocksProxy
    address: str
    acme: AcmeServer
    ports: Mapping[str, int]

    def start_cert_manager(self) -> None:
        """Start cert-manager; one that runs already ends."""
        program = deployed(self.env, CERT_MANAGER, f"{CERT_MANAGER}-controller", CERT_MANAGER)
        processes, port = self.env.processes, free_port()
        arguments = without_flags(program.container["args"], "v", "leader-election-namespace")
        arguments = with_copied_files(self.env, CERT_MANAGER, arguments, program.pod, CERT_MANAGER)
        processes.kill(CERT_MANAGER)
        processes.start(
            CERT_MANAGER,
            *(one.replace("$(POD_NAMESPACE)", CERT_MANAGER) for one in arguments),
            f"--kubeconfig={program.kubeconfig}",
            f"--metrics-listen-address={LOOPBACK}:{port}",
            f"--dns01-check-retry-period={_RETRY}",
            environment={
                "SSL_CERT_FILE": str(self.acme.authority),
                # It tries a challenge at port 80 of its host before the ACME server does.
                "HTTP_PROXY": f"http://{self.address}:{self.ports[WEB]}",
                "HTTPS_PROXY": self.proxy.url,
                "NO_PROXY": LOOPBACK,
            },
        )
        processes.wait(CERT_MANAGER, f"http://{LOOPBACK}:{port}/metrics")

    def start_traefik(self) -> None:
        """Start Traefik."""
        program = deployed(self.env, TRAEFIK, TRAEFIK, GATEWAY)
        processes, health = self.env.processes, free_port()
        own = {"traefik": f"{LOOPBACK}:{health}"}
        own |= {name: f"{self.address}:{self.ports[name]}" for name in (WEB, WEBSECURE)}

        def local(argument: str) -> str:
            found = _ADDRESS.fullmatch(argument)
            if not found:
                return argument
            where = own.get(found[1]) or f"{LOOPBACK}:{free_port()}"
            return f"--entryPoints.{found[1]}.address={where}{found[3]}"

        arguments = with_copied_files(
            self.env, TRAEFIK, program.container["args"], program.pod, GATEWAY
        )
        processes.start(
            TRAEFIK,
            *map(local, arguments),
            environment={
                "KUBECONFIG": str(program.kubeconfig),
                "HTTP_PROXY": self.pods.url,
                "NO_PROXY": LOOPBACK,
            },
        )
        processes.wait(TRAEFIK, f"http://{LOOPBACK}:{health}/ping")

    def get(
        self, host: str, path: str = "/", *, secure: bool = True, method: str = "GET"
    ) -> Answer:
        """Ask the public address, as a browser does that trusts the ACME server's root.

        Raises:
            OSError: If there is no answer, or its certificate is not good for the host.
        """
        port = self.ports[WEBSECURE if secure else WEB]
        connection = socket.create_connection((self.address, port), timeout=20)
        serial = ""
        if secure:
            context = ssl.create_default_context(cafile=str(self.acme.root()))
            tls = context.wrap_socket(connection, server_hostname=host)
            serial = str((tls.getpeercert() or {}).get("serialNumber", ""))
            connection = tls
        client = http.client.HTTPConnection(host)
        client.sock = connection
        with contextlib.closing(client):
            client.request(method, path)
            answer = client.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read(), serial)


def loopback_address() -> str:
    """Return an address of the loopback network that is most likely nobody else's."""
    if sys.platform != "linux":  # Only there, all of 127.0.0.0/8 is this machine.
        return LOOPBACK
    numbers = random.SystemRandom()
    return ".".join(["127", *(str(numbers.randint(1, 254)) for _ in range(3))])


def possible(env: Environment) -> bool:
    """Say whether the programs' pods are ready, and what they read is there."""
    wanted = ((TRAEFIK, GATEWAY), (CERT_MANAGER, CERT_MANAGER))
    with contextlib.suppress(KubernetesError):
        pods = [env.client.get("apps/v1", "Deployment", *one) for one in wanted]
        issuers = env.client.all(CERTIFICATES, "Issuer", GATEWAY)
        ready = [one.get("status", {}).get("readyReplicas") for one in pods]
        return bool(issuers and all(ready) and listeners(env))
    return False


def listeners(env: Environment) -> dict[str, int]:
    """Return the ports of the Gateway's listeners by their names."""
    gateway = env.client.get(GATEWAY_API, "Gateway", TRAEFIK, GATEWAY)
    return {one["name"]: one["port"] for one in gateway["spec"]["listeners"]}


@contextlib.contextmanager
def running(env: Environment) -> Iterator[PublicPrograms]:
    """Run the programs until the block ends; what stands in for pods is reached through a proxy."""
    with contextlib.ExitStack() as block:
        for name in (TRAEFIK, CERT_MANAGER, "pebble", "pebble-challtestsrv"):
            block.callback(env.processes.kill, name)
        proxy = block.enter_context(contextlib.closing(PodProxy()))
        pods = block.enter_context(contextlib.closing(SocksProxy(proxy.routes)))
        address, ports = loopback_address(), listeners(env)
        urls = _acme_urls(env)
        acme = AcmeServer(env.processes, urls, address, ports[WEB], LIFETIME)
        block.enter_context(contextlib.closing(acme))
        for url in urls:
            proxy.routes[f"{urlsplit(url).netloc}:443"] = acme.port
        block.enter_context(_pods(env, proxy))
        programs = PublicPrograms(env, proxy, pods, address, acme, ports)
        give_address(env)
        programs.start_traefik()
        programs.start_cert_manager()
        yield programs


def _acme_urls(env: Environment) -> list[str]:
    """Return the servers of all Issuers that an owner can take in."""
    paths = (env.remote.tree / PARTS / "certificate").glob("*/issuer.yaml")
    return sorted({load(path, env.remote.tree)[0]["spec"]["acme"]["server"] for path in paths})


def give_address(env: Environment) -> None:
    """Give each Service that wants a load balancer an address, as the provider does."""
    for service in env.client.all("v1", "Service"):
        if service["spec"].get("type") == "LoadBalancer":
            # Of the addresses for documentation (RFC 5737).
            status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
            path = f"{env.client.path(service)}/status"
            env.client.send("PATCH", path, None, {"status": status}, "application/merge-patch+json")


@contextlib.contextmanager
def _server(answer: Callable[[BaseHTTPRequestHandler], tuple[int, bytes]]) -> Iterator[int]:
    """Serve what a function answers until the block ends; yield the port on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

        def do_GET(self) -> None:
            """Answer."""
            status, content = answer(self)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name is http.server's

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _pods(env: Environment, proxy: PodProxy) -> Iterator[None]:
    """Answer in the place of the pods of Grafana and of challenges, which come and go."""
    keys: dict[tuple[str, str], str] = {}

    def page(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        seen = {name.lower(): value for name, value in request.headers.items()}
        return 200, PAGE + b" " + json.dumps(seen).encode()

    def key(request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        host = (request.headers.get("Host") or "").partition(":")[0]
        found = keys.get((host, request.path.removeprefix("/.well-known/acme-challenge/")))
        return (404, b"") if found is None else (200, found.encode())

    with _server(page) as grafana, _server(key) as solver:
        proxy.routes[f"{GRAFANA}.{MONITORING}.svc:80"] = grafana

        def look() -> None:
            for pod in _labelled(env, MONITORING, f"app.kubernetes.io/name={GRAFANA}"):
                proxy.routes[f"{pod['status'].get('podIP')}:{_GRAFANA_PORT}"] = grafana
            for pod in _labelled(env, GATEWAY, _SOLVER):
                arguments = (one.lstrip("-") for one in pod["spec"]["containers"][0]["args"])
                options = dict(one.split("=", 1) for one in arguments)
                keys[options["domain"], options["token"]] = options["key"]
                proxy.routes[f"{pod['status'].get('podIP')}:{_SOLVER_PORT}"] = solver

        with _repeated(look):
            yield


def _labelled(env: Environment, namespace: str, selector: str) -> list[Object]:
    path = env.client.resource("v1", "Pod").path(namespace)
    found: list[Object] = env.client.send("GET", path, {"labelSelector": selector})["items"]
    return found


@contextlib.contextmanager
def _repeated(look: Callable[[], None]) -> Iterator[None]:
    """Do something again and again until the block ends, on a thread of its own."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(_LOOK):
            with contextlib.suppress(*TRANSIENT):
                look()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
