"""Programs of the stack, run beside the cluster with what they have in it.

Each has the configuration that is in the cluster, and reads the API as its own service account, so
that its roles are proven too. Prometheus scrapes through a proxy that leads from the addresses of
pods, which nobody listens on, to the programs that run here; all others refuse.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from scripts.cluster.e2e.background import LAYOUTS
from scripts.cluster.e2e.world import API_SERVER, World, is_address
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository
from scripts.model.rendered import CONFIG_MAP, Cluster, Item
from scripts.servers.api import Api
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import ApiError, Object, namespace
from scripts.servers.monitoring import Change, loki_config
from scripts.servers.processes import LOOPBACK, free_port, free_ports
from scripts.servers.tcp_proxy import joined

MONITORING = "monitoring"
OPERATOR = "prometheus-operator"
OPERATOR_GROUP = "monitoring.coreos.com"
PROGRAMS = ("alertmanager", "kube-state-metrics", "loki", "prometheus")
# What Helm writes on each object that it installs, and Argo CD on each that it applies: there, what
# the Application is called comes first.
RELEASE = "meta.helm.sh/release-name"
TRACKING = "argocd.argoproj.io/tracking-id"


class Proxy:
    """Leads from the address of a pod to a program on loopback; refuses all others.

    Attributes:
        port: Where it listens.
        routes: Port on loopback, by `address:port` of the pod.
    """

    def __init__(self) -> None:
        """Listen."""
        self.routes: dict[str, int] = {}
        routes = self.routes

        class Handler(_Forward):
            known = routes

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


class _Forward(BaseHTTPRequestHandler):
    known: Mapping[str, int]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        """Forward a request for an absolute address (RFC 9112, 3.2.2)."""
        self._forward()

    def do_POST(self) -> None:
        """Forward one with a body: alerts, for Alertmanager."""
        self._forward()

    def _forward(self) -> None:
        parts = urlsplit(self.path)
        port = self.known.get(parts.netloc)
        if port is None:
            self.send_error(502, "nothing runs there")
            return
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kept = {k: v for k, v in self.headers.items() if k in ("Accept", "Content-Type")}
            connection.request(self.command, target, body, kept)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.send_error(502, repr(error))
            return
        finally:
            connection.close()
        # Who asked may be gone meanwhile, as Prometheus is when it is ended in a scrape.
        with contextlib.suppress(ConnectionError):
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type") or "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_CONNECT(self) -> None:
        """Open a tunnel, for TLS (RFC 9110, 9.3.6)."""
        port = self.known.get(self.path)
        if port is None:
            self.send_error(502, "nothing runs there")
            return
        with socket.create_connection((LOOPBACK, port)) as target:
            self.send_response(200)
            self.end_headers()
            joined(self.connection, target)
        self.close_connection = True


@dataclass
class Stack:
    """The programs, as they run.

    Attributes:
        prometheus: Prometheus' API.
        alertmanager: Alertmanager's API.
        loki: Loki's API.
        rendered: Prometheus' configuration as the operator makes it.
    """

    prometheus: Api
    alertmanager: Api
    loki: Api
    rendered: Json = field(repr=False)


@contextlib.contextmanager
def running(world: World) -> Iterator[Stack]:
    """Run the operator and what it makes, beside a synced cluster.

    When the block ends, all but the operator end: its objects need it as long as the cluster lives.
    """
    with contextlib.ExitStack() as block:
        proxy = block.enter_context(contextlib.closing(Proxy()))
        for name in PROGRAMS:
            block.callback(world.processes.kill, name)

        def api(port: int) -> Api:
            return block.enter_context(contextlib.closing(Api(port)))

        port, labels = operator(world)
        _route(world, proxy, labels, 8080, port)
        world.settled([MONITORING])
        _kube_state_metrics(world, proxy)
        loki = api(_loki(world, proxy))
        alertmanager = api(_alertmanager(world, proxy))
        for name, port in world.engine_ports.items():
            _route(world, proxy, {"app": name}, 8080, port)
        proxy.routes[API_SERVER] = urlsplit(world.client.url).port or 0
        port, config = _prometheus(world, proxy)
        yield Stack(api(port), alertmanager, loki, config)


def _pods(world: World, labels: Mapping[str, str]) -> list[Object]:
    return [
        pod
        for pod in world.client.all("v1", "Pod")
        if labels.items() <= pod["metadata"].get("labels", {}).items()
    ]


def _route(world: World, proxy: Proxy, labels: Mapping[str, str], pod_port: int, port: int) -> None:
    """Lead to a program from the address of the pod that it stands for."""
    for pod in _pods(world, labels):
        proxy.routes[f"{pod['status']['podIP']}:{pod_port}"] = port


def _container(world: World, kind: str, name: str, container: str) -> Json:
    workload = world.client.get("apps/v1", kind, name, MONITORING)
    spec = workload["spec"]["template"]["spec"]
    found = next(c for c in spec["containers"] if c["name"] == container)
    return found, spec, workload["spec"]["selector"]["matchLabels"]


def _without(arguments: Sequence[str], *flags: str) -> list[str]:
    """Return arguments without some flags, whose values here are others."""
    return [one for one in arguments if one.partition("=")[0].lstrip("-") not in flags]


def operator(world: World) -> tuple[int, Mapping[str, str]]:
    """Run the operator of a synced cluster, and wait until what it makes is ready.

    One that runs already ends: what it may do is bound to a service account that is there now.

    Returns:
        Its port on loopback, and the labels of the pod that it stands for.
    """
    name = "kube-prometheus-stack-operator"
    container, spec, labels = _container(world, "Deployment", name, "kube-prometheus-stack")
    config = control_plane.account(
        world.processes, world.client, MONITORING, spec["serviceAccountName"]
    )
    port = free_port()
    world.processes.kill(OPERATOR)
    world.processes.start(
        OPERATOR,
        *_without(container["args"], "web.listen-address"),
        f"--web.listen-address={LOOPBACK}:{port}",
        environment={"KUBECONFIG": str(config)},
    )
    world.processes.wait(OPERATOR, f"http://{LOOPBACK}:{port}/healthz")
    made(world)
    return port, labels


def made(world: World) -> float:
    """Wait until what the operator makes is ready; return how long it took, in seconds."""
    kinds = {"Prometheus": "prometheus", "Alertmanager": "alertmanager"}

    def missing() -> str:
        for kind, prefix in kinds.items():
            for item in world.client.all(f"{OPERATOR_GROUP}/v1", kind):
                owner = f"{prefix}-{item['metadata']['name']}"
                try:
                    set_ = world.client.get("apps/v1", "StatefulSet", owner, MONITORING)
                except ApiError as error:
                    return str(error)
                if set_.get("status", {}).get("readyReplicas", 0) < set_["spec"]["replicas"]:
                    return f"{owner} is not ready"
        return ""

    return world.until(missing, "the operator makes no StatefulSets")


def _port(container: Json) -> int:
    return int(container["ports"][0]["containerPort"])


def _kube_state_metrics(world: World, proxy: Proxy) -> None:
    name = "kube-prometheus-stack-kube-state-metrics"
    container, spec, labels = _container(world, "Deployment", name, "kube-state-metrics")
    config = control_plane.account(
        world.processes, world.client, MONITORING, spec["serviceAccountName"]
    )
    port, own = free_ports(2)
    arguments = _without(container["args"], "host", "port", "telemetry-host", "telemetry-port")
    world.processes.start(
        "kube-state-metrics",
        *_files(world, "kube-state-metrics", arguments, spec),
        f"--kubeconfig={config}",
        f"--host={LOOPBACK}",
        f"--port={port}",
        f"--telemetry-host={LOOPBACK}",
        f"--telemetry-port={own}",
    )
    world.processes.wait("kube-state-metrics", f"http://{LOOPBACK}:{port}/metrics")
    _route(world, proxy, labels, _port(container), port)


def _files(world: World, name: str, arguments: Sequence[str], spec: Json) -> list[str]:
    """Return arguments with the paths of mounted ConfigMaps replaced by those of copies."""
    folder = world.processes.folder(name)
    replaced: dict[str, Path] = {}
    mounts = {m["name"]: m for c in spec["containers"] for m in c.get("volumeMounts") or ()}
    for volume in spec.get("volumes") or ():
        if "configMap" in volume and volume["name"] in mounts:
            found = world.client.get("v1", "ConfigMap", volume["configMap"]["name"], MONITORING)
            mount = mounts[volume["name"]]["mountPath"]
            for key, text in found["data"].items():
                (folder / key).write_text(text)
                replaced[f"{mount.rstrip('/')}/{key}"] = folder / key
                replaced[mount] = folder / key
    result = []
    for one in arguments:
        flag, _, value = one.partition("=")
        result.append(f"{flag}={replaced[value]}" if value in replaced else one)
    return result


def _live(world: World) -> Cluster:
    """Return what is in the cluster in the form that other programs here read what is rendered."""
    items = tuple(
        Item(item, brought_by(item)) for item in world.client.all("v1", "ConfigMap", MONITORING)
    )
    return Cluster(Repository(world.remote.tree), world.sync, items)


def brought_by(item: Object) -> str | None:
    """Return the release, or the Application, that an object in the cluster is from, if any."""
    annotations = item["metadata"].get("annotations", {})
    tracked = str(annotations.get(TRACKING, "")).partition(":")[0]
    return annotations.get(RELEASE) or tracked or None


def _loki(world: World, proxy: Proxy) -> int:
    folder = world.processes.folder("loki-data")
    http_port, grpc, gossip = free_ports(3)
    numbers = {"folder": str(folder), "http": http_port, "grpc": grpc, "gossip": gossip}
    config = folder / "loki.yaml"
    config.write_text(yaml.safe_dump(loki_config(_live(world), folder, numbers, (RULER,))))
    world.processes.start("loki", f"-config.file={config}")
    world.processes.wait("loki", f"http://{LOOPBACK}:{http_port}/ready")
    _route(world, proxy, {"app.kubernetes.io/name": "loki"}, 3100, http_port)
    return http_port


def _made(world: World, kind: str, suffix: str, key: str) -> tuple[Object, Json]:
    """Return the one object of a kind, and the configuration that the operator makes of it."""
    (item,) = world.client.all(f"{OPERATOR_GROUP}/v1", kind)
    name = f"{kind.lower()}-{item['metadata']['name']}{suffix}"
    secret = world.client.get("v1", "Secret", name, MONITORING)
    return item, unpacked(secret, key)


def unpacked(secret: Object, key: str) -> Json:
    """Return a configuration that the operator has packed into a Secret."""
    return yaml.safe_load(gzip.decompress(base64.b64decode(secret["data"][key])))


def _alertmanager(world: World, proxy: Proxy) -> int:
    _, config = _made(world, "Alertmanager", "-generated", "alertmanager.yaml.gz")
    folder = world.processes.folder("alertmanager")
    # Templates are in the user's Secret, which there is none of here.
    (folder / "alertmanager.yml").write_text(yaml.safe_dump({**config, "templates": []}))
    port, gossip = free_ports(2)
    world.processes.start(
        "alertmanager",
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        f"--cluster.listen-address={LOOPBACK}:{gossip}",
    )
    world.processes.wait("alertmanager", f"http://{LOOPBACK}:{port}/-/ready")
    _route(world, proxy, {"app.kubernetes.io/name": "alertmanager"}, 9093, port)
    return port


def _prometheus(world: World, proxy: Proxy) -> tuple[int, Json]:
    item, config = _made(world, "Prometheus", "", "prometheus.yaml.gz")
    processes, client = world.processes, world.client
    account = control_plane.account(
        processes, client, MONITORING, item["spec"]["serviceAccountName"]
    )
    folder = processes.folder("prometheus")
    rules = folder / "rules"
    rules.mkdir()
    for found in client.all("v1", "ConfigMap", MONITORING):
        if found["metadata"]["name"].startswith(f"prometheus-{item['metadata']['name']}-rulefiles"):
            for name, text in found["data"].items():
                groups = yaml.safe_load(text)["groups"]
                for group in groups:
                    group.pop("interval", None)  # All of them are to be evaluated soon.
                (rules / name).write_text(yaml.safe_dump({"groups": groups}))
    token = folder / "token"
    token.write_text(yaml.safe_load(account.read_text())["users"][0]["user"]["token"])
    port = free_port()
    ours = adapted(config, account, token, client.authority, f"http://{LOOPBACK}:{proxy.port}")
    ours["rule_files"] = [f"{rules}/*.yaml"]
    text = yaml.safe_dump(ours, sort_keys=False)
    # What the reloader beside Prometheus fills in.
    text = text.replace("$(SHARD)", "0").replace("$(POD_NAME)", "prometheus-0")
    (folder / "prometheus.yml").write_text(text)
    _route(world, proxy, {"app.kubernetes.io/name": "prometheus"}, 9090, port)
    processes.start(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    )
    processes.wait("prometheus", f"http://{LOOPBACK}:{port}/-/ready")
    return port, config


_SOON = {"evaluation_interval": "4s", "scrape_interval": "4s", "scrape_timeout": "3s"}
RULER = Change(
    "ruler.evaluation_interval",
    _SOON["evaluation_interval"],
    "rules are looked at as soon as it runs",
)
_TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - its path
_AUTHORITY_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"


def adapted(value: Json, account: Path, token: Path, authority: Path, proxy: str) -> Json:
    """Return the operator's configuration as it is right outside of a pod.

    The API is found by a kubeconfig of the same service account, its token and the cluster's
    certificate are files elsewhere, whatever is asked over HTTP is asked through the proxy, and
    soon.
    """
    if isinstance(value, list):
        return [adapted(one, account, token, authority, proxy) for one in value]
    if not isinstance(value, dict):
        return {_TOKEN_FILE: str(token), _AUTHORITY_FILE: str(authority)}.get(str(value), value)
    result = {k: adapted(v, account, token, authority, proxy) for k, v in value.items()}
    if "role" in result:
        result["kubeconfig_file"] = str(account)
    if "kubernetes_sd_configs" in result or "static_configs" in result:
        result["proxy_url"] = proxy
    for key in result.keys() & _SOON.keys():
        result[key] = _SOON[key]
    return result


@dataclass(frozen=True)
class Engine:
    """The scrape pools that are about one engine, and find something where it syncs.

    Attributes:
        pool: What their names in Prometheus begin with.
        answers: Whether its programs run here and answer a scrape.
    """

    pool: str
    answers: bool


# Of Argo CD, what the cluster has are the pods of its release, which kwok plays.
ENGINES = {
    "argocd": Engine("serviceMonitor/monitoring/argocd/", answers=False),
    "flux": Engine("podMonitor/monitoring/flux/", answers=True),
}
# Whose programs run here, and so have to be up.
ANSWERING = (
    "podMonitor/monitoring/loki/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-alertmanager/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-apiserver/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-kube-state-metrics/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-operator/0",
    "serviceMonitor/monitoring/kube-prometheus-stack-prometheus/0",
)
WHOSE = "find whose pods it selects"
# Kind of monitor: its name in a scrape pool, and its list of endpoints if it has one.
_MONITORS = {
    ("v1", "ServiceMonitor"): ("serviceMonitor", "endpoints"),
    ("v1", "PodMonitor"): ("podMonitor", "podMetricsEndpoints"),
    ("v1", "Probe"): ("probe", ""),
    ("v1alpha1", "ScrapeConfig"): ("scrapeConfig", ""),
}


def _awaited(world: World, missing: Callable[[], str], what: str) -> list[Finding]:
    """Wait for a minute until nothing is missing; return what still is."""
    try:
        world.until(missing, what, patience=60)
    except RepositoryError as error:
        return list(error.findings)
    return []


def declared(world: World) -> set[str]:
    """Return the scrape pools that the monitors in the cluster ask for."""
    found = set()
    for (version, kind), (prefix, endpoints) in _MONITORS.items():
        for item in world.client.all(f"{OPERATOR_GROUP}/{version}", kind):
            name = f"{prefix}/{item['metadata']['namespace']}/{item['metadata']['name']}"
            if endpoints:
                found |= {f"{name}/{index}" for index, _ in enumerate(item["spec"][endpoints])}
            else:
                found.add(name)
    return found


def targets(stack: Stack) -> list[Json]:
    """Return every target that Prometheus has found."""
    found: list[Json] = stack.prometheus.get("/api/v1/targets")["data"]["activeTargets"]
    return found


def monitored(world: World, stack: Stack) -> list[Finding]:
    """See that Prometheus scrapes what is declared, and that what runs here answers it."""
    place = world.sync.name
    wanted = declared(world)
    configured = {job["job_name"] for job in stack.rendered["scrape_configs"]}
    findings = [
        Finding(f"{place} {pool}", None, "the operator makes no scrape job of it", "see its status")
        for pool in sorted(wanted - configured)
    ]
    findings += [
        Finding(f"{place} {pool}", None, "is scraped and nothing declares it", "find what makes it")
        for pool in sorted(configured - wanted)
    ]
    own = ENGINES[world.sync.engine]
    others = [engine.pool for engine in ENGINES.values() if engine is not own]
    quiet = {pool for pool in wanted if pool.startswith(tuple(others))}
    answering = {pool for pool in wanted if own.answers and pool.startswith(own.pool)}

    def missing() -> str:
        found = targets(stack)
        without = wanted - quiet - {one["scrapePool"] for one in found}
        down = [
            f"{pool}: {[one['lastError'] for one in found if one['scrapePool'] == pool]}"
            for pool in (*ANSWERING, *sorted(answering))
            if not any(one["scrapePool"] == pool and one["health"] == "up" for one in found)
        ]
        return "; ".join([*(f"{pool} has no target" for pool in sorted(without)), *down])

    findings += _awaited(world, missing, "monitors find nothing")
    findings += [
        Finding(f"{place} {one['scrapePool']}", None, "has a target of the other engine", WHOSE)
        for one in targets(stack)
        if one["scrapePool"] in quiet
    ]
    return findings


def ruled(world: World, stack: Stack) -> list[Finding]:
    """See that both servers evaluate every rule that is in the cluster, and none with a fault."""
    objects = world.client.all(f"{OPERATOR_GROUP}/v1", "PrometheusRule")
    files = [yaml.safe_load(text) for text in _log_rules(world)]
    servers = (
        ("Prometheus", stack.prometheus, "/api/v1/rules", [o["spec"] for o in objects]),
        ("Loki", stack.loki, "/prometheus/api/v1/rules", files),
    )

    def missing() -> str:
        said = []
        for name, api, path, groups in servers:
            rules = [r for one in groups for g in one["groups"] for r in g.get("rules") or ()]
            wanted = Counter(str(rule.get("alert") or rule.get("record")) for rule in rules)
            found = [r for g in api.get(path)["data"]["groups"] for r in g["rules"]]
            there = Counter(str(rule["name"]) for rule in found)
            said += [f"{name} lacks {rule}" for rule in sorted(wanted - there)]
            said += [
                f"{name} has {rule}, which nothing declares" for rule in sorted(there - wanted)
            ]
            said += [
                f"{name}, {rule['name']}: {rule.get('lastError') or rule['health']}"
                for rule in found
                if rule["health"] != "ok"
            ]
        return "; ".join(said)

    return _awaited(world, missing, "rules are not evaluated as they are declared")


def _log_rules(world: World) -> list[str]:
    found = world.client.get("v1", "ConfigMap", CONFIG_MAP, MONITORING)
    return list(found["data"].values())


def alerting(world: World, stack: Stack) -> list[Finding]:
    """See that Prometheus has found one Alertmanager, and that the Watchdog arrives there."""

    def missing() -> str:
        known = stack.prometheus.get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        if len(known) != 1:
            return f"Prometheus knows {len(known)} Alertmanagers"
        alerts = stack.alertmanager.get("/api/v2/alerts")
        names = {alert["labels"]["alertname"] for alert in alerts}
        return "" if "Watchdog" in names else f"Alertmanager has {sorted(names)}"

    return _awaited(world, missing, "alerts go nowhere")


def seen(world: World, stack: Stack) -> list[Finding]:
    """See that kube-state-metrics says of each object of Flux that it is ready."""
    wanted = {
        (item["kind"], item["metadata"]["name"])
        for item in world.objects()
        if item["kind"] != "HelmChart" and not is_address(item)
    }

    def missing() -> str:
        query = {"query": 'gotk_resource_info{ready="True"}'}
        series = stack.prometheus.get("/api/v1/query", query)["data"]["result"]
        found = {(s["metric"]["customresource_kind"], s["metric"]["name"]) for s in series}
        return ", ".join(f"{kind} {name}" for kind, name in sorted(wanted - found))

    return _awaited(world, missing, "kube-state-metrics does not say that they are ready")


def sidecars(world: World, stack: Stack) -> list[Finding]:
    """Install the application as each public deployment lays it out, and see it found.

    Returns:
        A finding for each sidecar that the PodMonitor does not find.
    """
    others = [workload for layout in LAYOUTS.values() for workload in layout]
    world.apply(*(namespace(name) for name in sorted({w.namespace for w in others})))
    world.apply(*(item for workload in others for item in workload.objects()))
    world.settled({w.namespace for w in others})

    def missing() -> str:
        found = {
            (
                one["discoveredLabels"]["__meta_kubernetes_namespace"],
                one["discoveredLabels"]["__meta_kubernetes_pod_label_dapr_io_app_id"],
            )
            for one in targets(stack)
            if one["scrapePool"] == "podMonitor/monitoring/dapr-sidecars/0"
        }
        return ", ".join(
            f"{w.namespace}/{w.app_id}"
            for w in others
            if w.app_id and (w.namespace, w.app_id) not in found
        )

    return _awaited(world, missing, "sidecars are not found")
