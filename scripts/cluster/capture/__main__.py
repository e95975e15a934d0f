"""`make capture`: run real programs, scrape them, and write the catalogue of metric names."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from scripts.cluster.capture import cluster, dapr, exporters, pipeline
from scripts.cluster.capture.families import Block, write
from scripts.core.findings import Finding, RepositoryError, execute, progress, report
from scripts.servers.processes import Processes

Capture = Callable[[Processes], list[Block]]
SOURCES: dict[str, Capture] = {
    "kubernetes": cluster.listed,
    "cadvisor": cluster.cadvisor,
    "log-pipeline": pipeline.capture,
    "node-exporter": exporters.node_exporter,
    "alertmanager": exporters.alertmanager,
    "prometheus": exporters.prometheus,
    "loki": exporters.loki,
    "prometheus-config-reloader": exporters.config_reloader,
    "kube-apiserver": cluster.kube_apiserver,
    "kube-state-metrics": cluster.kube_state_metrics,
    "prometheus-operator": cluster.prometheus_operator,
    "blackbox-exporter": cluster.blackbox_exporter,
    "flux-source-controller": cluster.flux("source-controller"),
    "flux-kustomize-controller": cluster.flux("kustomize-controller"),
    "flux-helm-controller": cluster.flux("helm-controller"),
    "daprd": dapr.capture,
    "dapr-control-plane": dapr.control_plane,
}


def main() -> int:
    """Capture the sources named, or all; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="*", help=f"of {', '.join(SOURCES)}; all by default")
    names = parser.parse_args().source or list(SOURCES)
    if unknown := sorted(set(names) - SOURCES.keys()):
        raise RepositoryError(
            Finding(
                "scripts/cluster/capture",
                None,
                f"no source named {', '.join(unknown)}",
                f"use some of {', '.join(SOURCES)}",
            )
        )
    failed: list[Finding] = []
    for name in names:
        started = time.monotonic()
        progress(f"capturing {name}")
        try:
            with Processes() as processes:
                count = write(name, *SOURCES[name](processes))
        except RepositoryError as error:
            failed += error.findings
            continue
        print(f"{name:<24} {count:>5} metrics {time.monotonic() - started:6.1f} s")
    report(failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(execute(main))
