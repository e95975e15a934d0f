"""How long a commit takes to become Grafana: each step, as watches on the API server see it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scripts.cluster.e2e.world import HELM, KUSTOMIZE, SOURCE, World
from scripts.servers.kubernetes.client import Object, Watch, condition

APPLIED = "Grafana's Deployment is applied"
# Seconds that GitOps may add to what Grafana itself needs to be open within 30.
BAR = 5.0


@dataclass(frozen=True)
class Step:
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
    done: Callable[[World, Object], bool]


STEPS = (
    Step(
        "the source controller has the commit",
        (f"{SOURCE}/v1", "GitRepository"),
        "flux-system",
        lambda world, item: _artifact(item) == world.at,
    ),
    Step(
        "the cluster's folder is applied",
        (f"{KUSTOMIZE}/v1", "Kustomization"),
        "flux-system",
        lambda world, item: item.get("status", {}).get("lastAppliedRevision") == world.at,
    ),
    Step(
        "Grafana's HelmRelease is there",
        (f"{HELM}/v2", "HelmRelease"),
        "grafana",
        lambda _, __: True,
    ),
    Step(
        "the dashboards' ConfigMap is there",
        ("v1", "ConfigMap"),
        "grafana-dashboards-todo",
        lambda _, __: True,
    ),
    Step(
        "Grafana's chart is pulled",
        (f"{SOURCE}/v1", "OCIRepository"),
        "grafana",
        lambda _, item: bool(_artifact(item)),
    ),
    Step(
        "the chart is rendered, Helm installs",
        (f"{HELM}/v2", "HelmRelease"),
        "grafana",
        lambda _, item: bool(item.get("status", {}).get("lastAttemptedRevision")),
    ),
    Step(APPLIED, ("apps/v1", "Deployment"), "grafana", lambda _, __: True),
    Step(
        "Grafana's pod is ready, without its own start",
        ("apps/v1", "Deployment"),
        "grafana",
        lambda _, item: bool(item.get("status", {}).get("readyReplicas")),
    ),
    Step(
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
class Timeline:
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
def recorded(world: World) -> Iterator[Timeline]:
    """Follow what a sync does; the timeline is filled when the block ends."""
    timeline = Timeline({})
    with contextlib.ExitStack() as stack:
        kinds = {step.kind for step in STEPS}
        watches = {kind: stack.enter_context(world.client.watch(*kind)) for kind in kinds}
        yield timeline
    found = {step.text: _first(world, step, watches[step.kind]) for step in STEPS}
    start = found[STEPS[0].text]
    if start is not None:
        timeline.seconds = {text: at - start for text, at in found.items() if at is not None}


def _first(world: World, step: Step, watch: Watch) -> float | None:
    for at, item in watch.seen:
        if item.get("metadata", {}).get("name") == step.name and step.done(world, item):
            return at
    return None
