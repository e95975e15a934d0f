"""`make capture`: run real programs, scrape them, and write the catalogue of metric names."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from scripts.cluster.capture import (
    dapr,
    kubernetes_programs,
    metric_storage,
    pipeline,
    standalone_programs,
)
from scripts.cluster.capture.families import Captured, write
from scripts.core.findings import Finding, RepositoryError, execute, progress, report
from scripts.servers.processes import Processes

Capture = Callable[[Processes], list[Captured]]
SOURCES: dict[str, Capture] = {
    "kubernetes": kubernetes_programs.listed,
    "cadvisor": kubernetes_programs.cadvisor,
    "log-pipeline": pipeline.capture,
    "node-exporter": standalone_programs.node_exporter,
    "alertmanager": standalone_programs.alertmanager,
    "prometheus": standalone_programs.prometheus,
    "loki": standalone_programs.loki,
    "thanos": metric_storage.thanos,
    "prometheus-config-reloader": standalone_programs.config_reloader,
    "kube-apiserver": kubernetes_programs.kube_apiserver,
    "kube-state-metrics": kubernetes_programs.kube_state_metrics,
    "prometheus-operator": kubernetes_programs.prometheus_operator,
    "blackbox-exporter": kubernetes_programs.blackbox_exporter,
    "flux-source-controller": kubernetes_programs.flux("source-controller"),
    "flux-kustomize-controller": kubernetes_programs.flux("kustomize-controller"),
    "flux-helm-controller": kubernetes_programs.flux("helm-controller"),
    "daprd": dapr.capture,
    "dapr-control-plane": dapr.control_plane,
}


def main() -> int:
    """Capture the sources named, or all; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="*", help=f"of {', '.join(SOURCES)}; all by default")
    names = parser.parse_args().source or list(SOURCES)
    if unknown := sorted(set(names) - SOURCES.keys()):
        text, fix = f"no source named {', '.join(unknown)}", f"use some of {', '.join(SOURCES)}"
        raise RepositoryError(Finding("scripts/cluster/capture", None, text, fix))
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
