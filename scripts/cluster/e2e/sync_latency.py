"""How long a sync takes from a commit to Grafana, step by step, by watches on the API server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.cluster.e2e.environment import Environment
from scripts.model.api_groups import HELM, KUSTOMIZE, SOURCE
from scripts.servers.kubernetes.client import Object, ResourceWatch, condition

APPLIED = "Grafana's Deployment is applied"
# Seconds that GitOps may add, so that with its own start Grafana is open within 30.
LIMIT = 5.0


@dataclass(frozen=True)
class SyncStep:
    """One step between a commit and the dashboard.

    Attributes:
        text: What happened.
        kind: The API version and the kind of object that shows it.
        name: The object's name.
        done: Whether a state of it shows that it happened.
    """

    text: str
    kind: tuple[str, str]
    name: str
    done: Callable[[Environment, Object], bool]


STEPS = (
    SyncStep(
        "the source controller has the commit",
        (f"{SOURCE}/v1", "GitRepository"),
        "flux-system",
        lambda env, item: _artifact(item) == env.flux_revision,
    ),
    SyncStep(
        "the cluster's folder is applied",
        (f"{KUSTOMIZE}/v1", "Kustomization"),
        "flux-system",
        lambda env, item: item.get("status", {}).get("lastAppliedRevision") == env.flux_revision,
    ),
    SyncStep(
        "Grafana's HelmRelease is there",
        (f"{HELM}/v2", "HelmRelease"),
        "grafana",
        lambda _, __: True,
    ),
    SyncStep(
        "the dashboards' ConfigMap is there",
        ("v1", "ConfigMap"),
        "grafana-dashboards-todo",
        lambda _, __: True,
    ),
    SyncStep(
        "Grafana's chart is pulled",
        (f"{SOURCE}/v1", "OCIRepository"),
        "grafana",
        lambda _, item: bool(_artifact(item)),
    ),
    SyncStep(
        "the chart is rendered, Helm installs",
        (f"{HELM}/v2", "HelmRelease"),
        "grafana",
        lambda _, item: bool(item.get("status", {}).get("lastAttemptedRevision")),
    ),
    SyncStep(APPLIED, ("apps/v1", "Deployment"), "grafana", lambda _, __: True),
    SyncStep(
        "Grafana's pod is ready, without its own start",
        ("apps/v1", "Deployment"),
        "grafana",
        lambda _, item: bool(item.get("status", {}).get("readyReplicas")),
    ),
    SyncStep(
        "Flux knows that Grafana is ready",
        (f"{HELM}/v2", "HelmRelease"),
        "grafana",
        lambda _, item: condition(item, "Ready").get("status") == "True",
    ),
)


def _artifact(item: Object) -> str:
    artifact = item.get("status", {}).get("artifact") or {}
    return str(artifact.get("revision", ""))


@dataclass
class SyncLatency:
    """When each step happened.

    Attributes:
        seconds: Since the source controller had the commit, by step; without what did not happen.
    """

    seconds: dict[str, float]

    @property
    def added(self) -> float:
        """Seconds from the commit's arrival until Grafana's Deployment is applied."""
        return self.seconds[APPLIED]

    def table(self) -> str:
        """Return the steps, with the time since the commit and since the step before."""
        lines = [f"{'from a commit to the dashboard':<48}{'s':>7}{'+':>7}"]
        before = 0.0
        for text, at in sorted(self.seconds.items(), key=lambda one: one[1]):
            lines.append(f"{text:<48}{at:>7.2f}{at - before:>7.2f}")
            before = at
        return "\n".join(lines)


@contextlib.contextmanager
def measured(env: Environment) -> Iterator[SyncLatency]:
    """Watch a sync; the result is filled when the block ends."""
    latency = SyncLatency({})
    with contextlib.ExitStack() as block:
        kinds = {step.kind for step in STEPS}
        watches = {kind: block.enter_context(env.client.watch(*kind)) for kind in kinds}
        yield latency
    found = {step.text: _first(env, step, watches[step.kind]) for step in STEPS}
    start = found[STEPS[0].text]
    if start is not None:
        latency.seconds = {text: at - start for text, at in found.items() if at is not None}


def _first(env: Environment, step: SyncStep, watch: ResourceWatch) -> float | None:
    for at, item in watch.seen:
        if item.get("metadata", {}).get("name") == step.name and step.done(env, item):
            return at
    return None
