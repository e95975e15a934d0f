"""The monitoring's own lines, the cluster's, and those of the GitOps engines."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.core.yamlfile import load
from scripts.simulation.logs.lines import ISO, Line, LinePlan

_LINES = Path(__file__).with_name("platform.yaml")


def add(plan: LinePlan) -> None:
    """Add lines that are written now and then, and what Flux says of its objects."""
    sim = plan.sim
    for row in load(_LINES, _LINES.parent)[0]:
        of, texts = row["of"], row["lines"]
        pods = sim.pods_of(of["workload"], of["namespace"])
        rate = sim.clock.constant(len(pods) / of["seconds"] / len(texts))
        for number, text in enumerate(texts):
            name = f"{of['workload']} {number}"
            line = Line(name=name, text=text, stream="stderr")
            plan.write(line, pods, of["container"], sim.noise.counts(name, rate))
    _flux(plan)


def _flux(plan: LinePlan) -> None:
    sim = plan.sim
    usual, often = sim.clock.constant(1 / 600), sim.during("sync fails") / 120
    fresh, same = "artifact up-to-date with remote", "release in-sync with desired state"
    done = "Reconciliation finished in 1.2s, next run in 10m0s"
    for name, kind, about, rate, level, message in (
        ("source", "OCIRepository", "loki", 6 * usual, "info", fresh),
        ("kustomize", "Kustomization", "monitoring-config", 3 * usual, "info", done),
        ("helm", "HelmRelease", "loki", 8 * usual, "info", same),
        ("helm", "HelmRelease", "grafana", often, "error", "Reconciler error"),
    ):
        content = {
            "level": level,
            "ts": f"{ISO}.123Z",
            "msg": message,
            "controller": kind.lower(),
            "controllerKind": kind,
            kind: {"name": about, "namespace": "monitoring"},
            "namespace": "monitoring",
            "name": about,
        }
        if level == "error":
            reason = "upgrade retries exhausted: context deadline exceeded"
            content["error"] = f"Helm upgrade failed for release monitoring/{about}: {reason}"
        controller = f"{name}-controller"
        line = Line(name=f"{controller} {level}", text=json.dumps(content), stream="stderr")
        counts = sim.noise.counts(f"{controller} {level}", rate)
        plan.write(line, sim.pods_of(controller, "flux-system"), "manager", counts)
