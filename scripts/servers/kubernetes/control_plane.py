"""The programs of a cluster: the API server alone, or with all that acts on it."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

from scripts import tools
from scripts.core.yamlfile import Json, load_all
from scripts.servers.kubernetes.client import Client
from scripts.servers.processes import LOOPBACK, Processes, free_ports, openssl
from scripts.tools import sources

TOKEN = "todo-monitoring"  # noqa: S105 - of a server that only this machine reaches, for minutes
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.1/16"
KWOK = "sigs.k8s.io/kwok"
# Seconds that a node counts as alive after kwok has renewed its lease; the kubelet's default.
_LEASE = 40
# Which nodes kwok plays.
FAKE_NODE = {"kwok.x-k8s.io/node": "fake"}
# Nobody answers at the addresses of pods, so webhooks are not called.
_WEBHOOKS = ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook")
_UNCONTROLLED = (*_WEBHOOKS, "ServiceAccount")
# What kwok does: nodes and pods are ready at once, leases are renewed, deleted pods are gone.
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")


def api_server(processes: Processes, *, controlled: bool = False) -> Client:
    """Run etcd and kube-apiserver.

    Args:
        processes: Where they run.
        controlled: Whether `controllers` will follow. Without them nobody makes the account that
            the server would want in each pod.
    """
    folder = processes.folder("cluster")
    client, peer, port = free_ports(3)
    etcd = f"http://{LOOPBACK}:{client}"
    processes.start(
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={etcd}",
        f"--advertise-client-urls={etcd}",
        f"--listen-peer-urls=http://{LOOPBACK}:{peer}",
        f"--initial-advertise-peer-urls=http://{LOOPBACK}:{peer}",
        f"--initial-cluster=default=http://{LOOPBACK}:{peer}",
        "--unsafe-no-fsync",
    )
    processes.wait("etcd", f"{etcd}/health")
    arguments = ("genrsa", "-out", str(_key(processes)), "2048")
    openssl("scripts/servers/kubernetes", "kube-apiserver needs a key", *arguments)
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    processes.start(
        "kube-apiserver",
        f"--etcd-servers={etcd}",
        f"--cert-dir={folder / 'certificates'}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        # As in every cluster of today: who may is up to Pod Security and to policies.
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICES}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={_key(processes)}",
        f"--service-account-signing-key-file={_key(processes)}",
        # It would publish its address, and a loopback address is refused.
        "--endpoint-reconciler-type=none",
        f"--disable-admission-plugins={','.join(_WEBHOOKS if controlled else _UNCONTROLLED)}",
    )
    # Made by the server as it starts, for itself.
    authority = folder / "certificates" / "apiserver.crt"
    url = f"https://{LOOPBACK}:{port}"

    def missing() -> str:
        if not authority.exists():
            return "it has no certificate yet"
        answer = Client(url, TOKEN, authority).send("GET", "/readyz")
        return "" if answer == "ok" else str(answer)

    processes.until("kube-apiserver", missing)
    return Client(url, TOKEN, authority)


def kubeconfig(
    processes: Processes, client: Client, token: str = TOKEN, name: str = "admin"
) -> Path:
    """Write a file that leads a program to the API server as some user.

    Args:
        processes: Where the server runs.
        client: The server.
        token: Who the program is.
        name: What to call it.
    """
    cluster = {"server": client.url, "certificate-authority": str(client.authority)}
    context = {"cluster": "local", "user": name, "namespace": "default"}
    path = processes.folder("cluster") / f"{name}.kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": "local", "context": context}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def service_account_kubeconfig(
    processes: Processes, client: Client, namespace: str, name: str
) -> Path:
    """Return a kubeconfig of a service account, so that a program may what its roles let it."""
    resource = client.resource("v1", "ServiceAccount").path(namespace, name)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = client.send("POST", f"{resource}/token", None, request)
    return kubeconfig(processes, client, answer["status"]["token"], f"{namespace}-{name}")


def controllers(processes: Processes, client: Client) -> None:
    """Run kube-controller-manager, kube-scheduler and kwok; there are no nodes yet."""
    config = kubeconfig(processes, client)
    manager, scheduler, kwok = free_ports(3)
    processes.start(
        "kube-controller-manager",
        f"--kubeconfig={config}",
        "--leader-elect=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={manager}",
        f"--service-account-private-key-file={_key(processes)}",
        f"--root-ca-file={client.authority}",
        # What is deleted is gone when it is looked for.
        "--concurrent-gc-syncs=20",
    )
    processes.start(
        "kube-scheduler",
        f"--kubeconfig={config}",
        "--leader-elect=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={scheduler}",
    )
    folder = sources.module(KWOK, tools.version("kwok")) / "kustomize/stage"
    stages = [
        stage
        for part in STAGES
        for path in sorted((folder / part).glob("*.yaml"))
        for stage in load_all(path.read_text(encoding="utf-8"), path.name)
        if stage["kind"] == "Stage"
    ]
    config_file = processes.folder("kwok") / "stages.yaml"
    config_file.write_text(yaml.safe_dump_all(stages))
    (selector,) = (f"{key}={value}" for key, value in FAKE_NODE.items())
    processes.start(
        "kwok",
        f"--kubeconfig={config}",
        f"--config={config_file}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={selector}",
        f"--cidr={PODS}",
        f"--node-ip={LOOPBACK}",
        f"--node-lease-duration-seconds={_LEASE}",
        f"--server-address={LOOPBACK}:{kwok}",
    )
    processes.wait("kwok", f"http://{LOOPBACK}:{kwok}/healthz")


def _key(processes: Processes) -> Path:
    return processes.folder("cluster") / "accounts.key"


def apply_crds(processes: Processes, client: Client, *folders: Path) -> None:
    """Create every CRD of some folders, and wait until all are served."""
    crds = [crd for folder in folders for crd in _crds(folder)]
    for crd in crds:
        client.apply(crd, "setup")
    wanted = [
        (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"])
        for crd in crds
        for version in crd["spec"]["versions"]
        if version["served"]
    ]

    def missing() -> str:
        for version, kind in wanted:
            client.resource(version, kind)
        return ""

    processes.until("kube-apiserver", missing)


@functools.cache
def _crds(folder: Path) -> tuple[dict[str, Json], ...]:
    found = [
        crd
        for path in sorted(folder.glob("*.yaml"))
        for crd in load_all(path.read_text(encoding="utf-8"), path.name)
        if crd.get("kind") == "CustomResourceDefinition"
    ]
    return tuple({key: value for key, value in crd.items() if key != "status"} for crd in found)


def node(name: str, allocatable: dict[str, str], labels: dict[str, str]) -> dict[str, Json]:
    """Return a node that kwok plays.

    Args:
        name: Its name.
        allocatable: What its pods may take: cpu, memory, pods.
        labels: Besides those that every node has.
    """
    own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **labels}
    information = {"operatingSystem": "linux", "architecture": labels["kubernetes.io/arch"]}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": own, "annotations": dict(FAKE_NODE)},
        "status": {"allocatable": allocatable, "capacity": allocatable, "nodeInfo": information},
    }
