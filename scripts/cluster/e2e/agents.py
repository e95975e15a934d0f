"""The opt-in rights of assistants, as the API server grants them to who has the kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from scripts.cluster.e2e.environment import Environment
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.manifests import NAMESPACES
from scripts.servers.kubernetes.client import Client, KubernetesError, Object

COMPONENT = "base/optional/agents"
READING = frozenset({"get", "list", "watch"})
# What holds credentials, or lines that nobody has redacted.
HIDDEN = frozenset({"configmaps", "secrets"})
# What everybody may who is somebody: ask for their own rights, and read which kinds there are.
OWN_RIGHTS = frozenset(
    {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
)
# What an investigation reads first.
NEEDED = (
    *(
        f"/api/v1/{name}"
        for name in ("events", "nodes", "persistentvolumeclaims", "pods", "services")
    ),
    *(f"/apis/apps/v1/{name}" for name in ("daemonsets", "deployments", "statefulsets")),
    "/apis/batch/v1/jobs",
)
# Requests that must be refused: method, path, body.
_POD = "/api/v1/namespaces/monitoring/pods/any"
_SERVICE = "/api/v1/namespaces/monitoring/services/loki:3100/proxy/loki/api/v1/push"
_RELEASE = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/monitoring/helmreleases/grafana"
_SYNC = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/monitoring"
REFUSED: tuple[tuple[str, str, Json], ...] = (
    ("GET", "/api/v1/secrets", None),
    ("GET", "/api/v1/namespaces/monitoring/secrets/grafana-admin", None),
    ("GET", "/api/v1/configmaps", None),
    ("GET", f"{_POD}/log", None),
    ("GET", f"{_POD}/exec?command=id", None),
    ("POST", f"{_POD}/exec?command=id", None),
    ("POST", f"{_POD}/attach", None),
    ("POST", f"{_POD}/portforward", None),
    ("GET", f"{_POD}/proxy/", None),
    ("POST", f"{_POD}/eviction", {}),
    ("POST", _SERVICE, {}),
    ("GET", "/api/v1/nodes/any/proxy/logs/", None),
    ("DELETE", _POD, None),
    ("PATCH", _RELEASE, {"spec": {"suspend": True}}),
    ("PATCH", _SYNC, {"operation": {"sync": {}}}),
    ("POST", "/api/v1/namespaces/monitoring-agents/serviceaccounts/agent/token", {}),
    ("POST", "/api/v1/namespaces/monitoring-agents/pods", {}),
)


def check(env: Environment) -> list[Finding]:
    """Return where `make agent-kubeconfig` gives more than reading, or less than is needed."""
    path = env.processes.folder("agent") / "kubeconfig"
    run = env.run_command("scripts.live.agent.kubeconfig", f"--output={path}")
    place = f"{env.sync.name} {COMPONENT}"
    if run.returncode:
        text = f"make agent-kubeconfig fails: {run.stdout}{run.stderr}"
        return [Finding(place, None, text, "see what it says")]
    token = str(json.loads(path.read_text())["users"][0]["user"]["token"])
    agent = Client(env.client.url, token, env.client.authority)
    fix = "correct its ClusterRole, or say why in its comment"
    found = [*excess_rights(rules(agent)), *not_refused(agent), *not_readable(agent)]
    return [Finding(place, None, text, fix) for text in found]


def rules(agent: Client) -> Iterator[Object]:
    """Yield what the API server grants in our namespaces: `kubectl auth can-i --list`."""
    for name in sorted(NAMESPACES):
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": name},
        }
        status = agent.send("POST", path, None, review)["status"]
        if status["incomplete"]:
            raise RepositoryError(
                Finding("kubectl auth can-i --list", None, str(status), "see the API server's log")
            )
        yield from status["resourceRules"]


def excess_rights(granted: Iterable[Object]) -> Iterator[str]:
    """Yield rights that are more than reading, and of what nobody should read."""
    for rule in granted:
        resources, verbs = set(rule.get("resources") or ()), set(rule["verbs"])
        if resources <= OWN_RIGHTS:
            continue
        if verbs - READING:
            yield f"may {', '.join(sorted(verbs - READING))} {', '.join(sorted(resources))}"
        wide = {name for name in resources if name in HIDDEN or "/" in name or name == "*"}
        if wide:
            yield f"may read {', '.join(sorted(wide))}"


def not_refused(agent: Client) -> Iterator[str]:
    """Yield requests that are answered by anything but that they are forbidden."""
    for method, path, body in REFUSED:
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            agent.send(method, path, None, body, content)
        except KubernetesError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                yield f"{method} {path} is answered with {error.status}: {error}"
        else:
            yield f"{method} {path} is done"


def not_readable(agent: Client) -> Iterator[str]:
    """Yield what an investigation needs and may not read."""
    for path in NEEDED:
        try:
            agent.send("GET", path)
        except KubernetesError as error:
            yield f"may not read {path}: {error}"
