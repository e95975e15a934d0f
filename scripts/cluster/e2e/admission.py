"""The opt-in admission policies, as the API server evaluates them: every request is a dry run.

They say in CEL what `scripts/checks/rendered/pods.py` says in Python. Where both disagree, either
may be wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

from scripts.checks.rendered import pods
from scripts.checks.static.admission import POLICY
from scripts.cluster.e2e.admission_cases import BAD, CASES, GOOD, AdmissionCase
from scripts.cluster.e2e.background_workloads import APPLICATION
from scripts.cluster.e2e.environment import Environment
from scripts.core.findings import Finding
from scripts.model.rendered import JOBS, WORKLOADS, Cluster, Item
from scripts.servers.kubernetes.client import KubernetesError, Object, qualified_name

COMPONENT = "base/optional/admission-policies"
# Seconds until the API server has compiled a policy that has long been applied.
IN_FORCE = 30.0
FIELD_MANAGER = "reviewer"
CHECKS = (
    pods.images_pinned,
    pods.resources_set,
    pods.keeps_to_restricted,
    pods.host_paths_allowed,
)
DISAGREES = f"correct {COMPONENT}/policy.yaml, or scripts/checks/rendered/pods.py"


def check(env: Environment, expected: Iterable[Object]) -> list[Finding]:
    """Return where the policies refuse what they should not, or do not refuse what they should.

    Args:
        env: The cluster, whose overlay has the component.
        expected: What is rendered for it, under its engine.

    Raises:
        RepositoryError: If they refuse nothing at all.
    """
    bad, place = workload("Deployment", BAD), f"{env.sync.name} {COMPONENT}"
    env.until(
        lambda: "" if refusal(env, bad) else "a bad pod is admitted",
        f"{COMPONENT} refuses nothing",
        IN_FORCE,
    )
    return [
        *compile_warnings(env),
        *(Finding(place, None, text, DISAGREES) for text in disagreements(env)),
        *(
            Finding(place, None, text, "see what the message says")
            for item in expected
            if item["kind"] in WORKLOADS | JOBS
            for text in _ours(env, item)
        ),
    ]


def _ours(env: Environment, item: Object) -> Iterator[str]:
    """Yield what is wrong with the answers to a workload of ours, and to a bad change of it."""
    name = qualified_name(item)
    # Under another name, as the policies do not look at what does not change.
    metadata = {**item["metadata"], "name": f"{item['metadata']['name']}-copy"}
    yield from _unexpected(env, {**item, "metadata": metadata}, "", name)
    if item["kind"] not in JOBS:
        spec = copy.deepcopy(item["spec"])
        for container in spec["template"]["spec"]["containers"]:
            container.update(BAD.container)
        yield from _unexpected(env, {**item, "spec": spec}, BAD.says, f"{name}, with {BAD.what}")


def disagreements(env: Environment) -> Iterator[str]:
    """Yield where the API server's answer is not that of `make render`, or is another namespace's.

    Each case goes through a Deployment: of a pod itself, Pod Security would refuse some first.
    """
    for case in CASES:
        item = workload("Deployment", case)
        text = f"{case.what}, in {case.namespace}"
        rendered = Cluster(env.repository, env.sync, (Item(item),))
        found = "; ".join(one.message for check in CHECKS for one in check(rendered))
        if bool(found) != bool(case.says):
            yield f"{text}: make render says {found or 'nothing'}"
        yield from _unexpected(env, item, case.says, text)
        foreign = workload("Deployment", case, APPLICATION[0].namespace)
        yield from _unexpected(env, foreign, "", f"{case.what}, in a namespace that is not ours")
    for kind in sorted(WORKLOADS | JOBS | {"Pod"}):
        for case in (GOOD, BAD):
            yield from _unexpected(env, workload(kind, case), case.says, f"{case.what}, a {kind}")


def _unexpected(env: Environment, item: Object, says: str, text: str) -> Iterator[str]:
    message = refusal(env, item)
    if not says and message:
        yield f"{text}: is refused: {message}"
    elif says and (POLICY not in message or says not in message):
        yield f"{text}: should be refused with {says!r}, but: {message or 'it is admitted'}"


def refusal(env: Environment, item: Object) -> str:
    """Return what the API server says of an object that it would refuse, empty if it would not."""
    try:
        env.client.apply(item, FIELD_MANAGER, dry_run=True)
    except KubernetesError as error:
        return str(error)
    return ""


def compile_warnings(env: Environment) -> Iterator[Finding]:
    """Yield what the API server's compiler warns of in an expression."""

    def unseen() -> str:
        items = env.client.all("admissionregistration.k8s.io/v1", POLICY)
        seen = {item["status"].get("observedGeneration") for item in items if "status" in item}
        wanted = {item["metadata"]["generation"] for item in items}
        return "" if items and seen == wanted else "kube-controller-manager has not looked"

    env.until(unseen, f"no {POLICY} is type-checked", IN_FORCE)
    for item in env.client.all("admissionregistration.k8s.io/v1", POLICY):
        for one in (item["status"].get("typeChecking") or {}).get("expressionWarnings") or ():
            place = f"{env.sync.name} {POLICY} {item['metadata']['name']}"
            text = f"{one['fieldRef']}: {one['warning']}"
            yield Finding(place, None, text, "correct the expression")


def workload(kind: str, case: AdmissionCase, namespace: str = "") -> Object:
    """Return an object of a kind whose pods are those of a case.

    Args:
        kind: A kind that has pods, or Pod.
        case: The case.
        namespace: In place of the case's.
    """
    labels = {"app": "admission-case"}
    metadata = {"name": "admission-case", "namespace": namespace or case.namespace}
    if kind == "Pod":
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": case.spec()}
    spec = {**case.spec(), **({"restartPolicy": "Never"} if kind in JOBS else {})}
    template = {"template": {"metadata": {"labels": labels}, "spec": spec}}
    more = {
        "CronJob": {"schedule": "0 0 * * *", "jobTemplate": {"spec": template}},
        "Job": template,
        "StatefulSet": {"serviceName": "any", "selector": {"matchLabels": labels}, **template},
    }
    own = more.get(kind, {"selector": {"matchLabels": labels}, **template})
    version = "batch/v1" if kind in JOBS else "apps/v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": own}
