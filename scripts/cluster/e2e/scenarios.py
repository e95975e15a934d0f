"""What is done with a cluster: it is synced, checked, disrupted and, by Argo CD, removed."""

from __future__ import annotations

import contextlib
import os
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from scripts.cluster.e2e import (
    admission,
    agents,
    argocd,
    checks,
    disruptions,
    drains,
    monitoring_checks,
    monitoring_programs,
    public_scenario,
    sync_latency,
)
from scripts.cluster.e2e.background_workloads import APPLICATION
from scripts.cluster.e2e.environment import Environment
from scripts.cluster.e2e.monitoring_programs import MonitoringPrograms
from scripts.cluster.e2e.prometheus_operator import MONITORING
from scripts.cluster.e2e.step_table import StepTable
from scripts.core.findings import GREEN, RED, Finding, RepositoryError, colour
from scripts.model.manifests import ClusterSync, Repository
from scripts.servers.kubernetes.client import Object
from scripts.servers.processes import Processes

MONITORING_CHECKS: dict[str, Callable[[Environment, MonitoringPrograms], list[Finding]]] = {
    "each monitor is a scrape job that has a target": monitoring_checks.check_targets,
    "Prometheus and Loki evaluate each rule": monitoring_checks.check_rules,
    "the Watchdog arrives at Alertmanager": monitoring_checks.check_alerting,
    "each target leaves its sample limit room": monitoring_checks.check_sample_limits,
}


def opt_ins(root: Path) -> list[str]:
    """Return the opt-ins that are checked from the start, where a repository still has them."""
    return [name for name in (admission.COMPONENT, agents.COMPONENT) if (root / name).is_dir()]


def sync_with_flux(
    processes: Processes,
    repository: Repository,
    sync: ClusterSync,
    *,
    disrupted: bool,
    public: bool,
) -> list[Finding]:
    """Sync a cluster with Flux and check it; return what is wrong.

    Args:
        processes: Where it runs.
        repository: Ours.
        sync: The cluster.
        disrupted: Whether to go through the disruptions, too.
        public: Whether to take the parts of the public address in, too.

    Raises:
        RepositoryError: If a step cannot be done.
    """
    table = StepTable(f"{sync.cluster}, synced by Flux")
    began = time.monotonic()
    with table.step("Kubernetes, Flux, the Git remote and the registry run"):
        optional = opt_ins(repository.root)
        env = Environment(processes, repository, sync, components=optional)
    with table.step("make preflight finds the cluster ready") as found:
        found += _preflight(env)
    before, others = checks.inventory(env.client), checks.foreign_versions(env.client)
    with table.step("everything is synced"), sync_latency.measured(env) as latency:
        env.bootstrap()
        env.wait_for_sync()
    synced = time.monotonic() - began
    expected = _check_objects(table, env, before)
    with table.step("these checks find what is wrong when it is") as found:
        found += _check_checks(env, before, expected)
    others = checks.foreign_versions(env.client)
    with _monitoring(table, env) as programs:
        with table.step("all pods fit beside the application's") as found:
            found += checks.unscheduled(env)
        _check_others(table, env, before, others)
        with table.step("sidecars of each public layout of the application are found") as found:
            found += monitoring_checks.check_sidecars(env, programs)
    if drains.replicated(env):
        with table.step("pods of one workload are on different nodes, in different zones") as found:
            found += drains.check_spread(env)
        with table.step("drained nodes never take two pods of a workload") as found:
            found += drains.check(env)
    if public:
        public_scenario.with_flux(table, env, _disrupt)
    if disrupted:
        before = checks.inventory(env.client)
        table.findings += _disrupt(env, disruptions.DISRUPTIONS)
        _check_objects(table, env, before)
        with table.step("all pods fit, as before") as found:
            found += checks.unscheduled(env)
    print(f"\n{latency.table()}")
    within = latency.added <= sync_latency.LIMIT
    verdict = colour("within", GREEN) if within else colour("over", RED)
    # A busy machine makes each step longer.
    load = f"at a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    limit = f"the bar of {sync_latency.LIMIT:.0f} s"
    print(f"GitOps adds {latency.added:.1f} s: {verdict} {limit}, {load}")
    _print_totals(processes, synced, time.monotonic() - began)
    return table.findings


def sync_with_argocd(
    processes: Processes, repository: Repository, sync: ClusterSync, *, public: bool
) -> list[Finding]:
    """Sync a cluster with Argo CD, check it and remove it; return what is wrong.

    Args:
        processes: Where it runs.
        repository: Ours.
        sync: The cluster.
        public: Whether to take the parts of the public address in, too.

    Raises:
        RepositoryError: If a step cannot be done.
    """
    table = StepTable(f"{sync.cluster}, synced by Argo CD")
    began = time.monotonic()
    with table.step("Kubernetes, Argo CD, the Git remote and the registry run"):
        optional = opt_ins(repository.root)
        env = Environment(processes, repository, sync, components=optional)
        argo = argocd.ArgoCD(env)
    before, others = checks.inventory(env.client), checks.foreign_versions(env.client)
    with table.step("everything is synced and healthy"):
        env.provision_volumes()
        argo.bootstrap()
    synced = time.monotonic() - began
    expected = _check_objects(table, env, before)
    with _monitoring(table, env):
        _check_others(table, env, before, others)
    with table.step("what is edited or deleted by hand is put back"):
        argo.wait_for_self_heal(expected)
    with table.step("a commit that cannot be applied is told, and its revert synced"):
        argo.commit_and_revert()
    if public:
        public_scenario.with_argocd(table, env, argo)
    with table.step("all of it goes with the root Application"):
        argo.remove()
    _print_totals(processes, synced, time.monotonic() - began)
    return table.findings


def _preflight(env: Environment) -> list[Finding]:
    """Run our own check of a cluster before an install, with kubectl.

    Whose buckets they are, only an owner can say.
    """
    run = env.run_command("scripts.live.preflight", f"--cluster={env.cluster}")
    words = [line.split()[:2] for line in run.stdout.splitlines()]
    lacking = [word[1:] for word in words if word[:1] == ["missing"]]
    if run.returncode and lacking != [["buckets"]]:
        text = f"says that the cluster is not ready: {run.stdout}{run.stderr}"
        return [Finding("make preflight", None, text, "correct the point, or the cluster here")]
    return []


def _check_objects(table: StepTable, env: Environment, before: Mapping[str, str]) -> list[Object]:
    """Check that what is rendered is there, and nothing else; return what is rendered."""
    expected = checks.rendered_objects(env)
    with table.step(f"each of {len(expected)} objects is there as it is rendered") as found:
        found += checks.drifted(env.client, expected, env.sync.name)
    with table.step("nothing else is there") as found:
        found += checks.orphaned(env, before, expected)
    if admission.COMPONENT in env.components:
        with table.step("bad pods are refused in our namespaces alone") as found:
            found += admission.check(env, expected)
    if agents.COMPONENT in env.components:
        with table.step("the kubeconfig for assistants reads, and does nothing else") as found:
            found += agents.check(env)
    return expected


@contextlib.contextmanager
def _monitoring(table: StepTable, env: Environment) -> Iterator[MonitoringPrograms]:
    """Run the monitoring programs until the block ends, and check what they find."""
    with contextlib.ExitStack() as block:
        with table.step("the operator makes what the stack runs from, and it runs"):
            programs = block.enter_context(monitoring_programs.running(env))
        for text, check in MONITORING_CHECKS.items():
            with table.step(text) as found:
                found += check(env, programs)
        if programs.thanos:
            with table.step("Thanos has each series once, with its cluster's name") as found:
                found += monitoring_checks.check_thanos(env, programs.thanos)
        if env.sync.engine == "flux":
            with table.step("kube-state-metrics says that all of Flux is ready") as found:
                found += monitoring_checks.check_flux_readiness(env, programs)
        yield programs


def _check_others(
    table: StepTable, env: Environment, before: Mapping[str, str], others: Mapping[str, str]
) -> None:
    """Check that the sync changes no object of others and gives no warning."""
    with table.step("no object of the application is touched") as found:
        found += checks.changed_by_sync(env.client, others, env.sync.name)
    with table.step("no warning was given") as found:
        found += checks.warnings(env.client, before, env.sync.name)


def _check_checks(
    env: Environment, before: Mapping[str, str], expected: list[Object]
) -> list[Finding]:
    """Add an object that is not rendered, edit one that is and one of others, and revert all.

    Returns:
        A finding for each check that does not find it.
    """
    client, place = env.client, env.sync.name
    metadata = {"name": "stray", "namespace": MONITORING}
    stray: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    grafana = client.get("apps/v1", "Deployment", "grafana", MONITORING)
    backend = client.get("apps/v1", "Deployment", APPLICATION[0].name, APPLICATION[0].namespace)
    others = checks.foreign_versions(client)
    env.apply(stray)
    client.patch(grafana, {"spec": {"revisionHistoryLimit": 1}})
    client.patch(backend, {"metadata": {"labels": {"stray": "true"}}})
    found = {
        "drifted": checks.drifted(client, expected, place),
        "orphaned": checks.orphaned(env, before, expected),
        "changed_by_sync": checks.changed_by_sync(client, others, place),
    }
    client.delete(stray)
    limit = grafana["spec"]["revisionHistoryLimit"]
    client.patch(grafana, {"spec": {"revisionHistoryLimit": limit}})
    client.patch(backend, {"metadata": {"labels": {"stray": None}}})
    return [
        Finding(f"scripts/cluster/e2e/checks.py {name}", None, f"finds {texts}", "find out why")
        for name, findings in found.items()
        if len(texts := [str(one) for one in findings]) != 1
    ]


def _disrupt(env: Environment, some: Sequence[disruptions.Disruption]) -> list[Finding]:
    """Go through disruptions, and print what came of each."""
    found: list[Finding] = []
    print(f"\n{'what goes wrong':<44}{'told':>7}{'mended':>8}  what is said")
    began = time.monotonic()
    for disruption in some:
        try:
            result, findings = disruptions.run(env, disruption)
        except RepositoryError as error:
            print(f"{disruption.name:<44}{'':>15}  {colour('wrong', RED)}", flush=True)
            return [*found, *error.findings]
        found += findings
        first, *rest = textwrap.wrap(result.message, 96) or [""]
        times = f"{result.reported:>7.1f}{result.recovered:>8.1f}"
        print(f"{disruption.name:<44}{times}  {first}", flush=True)
        for line in rest:
            print(f"{'':<61}{line}")
    print(f"all of them in {time.monotonic() - began:.0f} s", flush=True)
    return found


def _print_totals(processes: Processes, synced: float, whole: float) -> None:
    """Print how long the sync and all of the run took, in seconds, and the memory."""
    print(f"from nothing to synced: {synced:.1f} s, all of it: {whole:.0f} s; {_memory(processes)}")


def _memory(processes: Processes) -> str:
    peak = processes.peak_memory()
    parts = sorted(peak.items(), key=lambda one: -one[1])
    largest = ", ".join(f"{name} {size >> 20}" for name, size in parts[:4])
    return f"peak memory {sum(peak.values()) >> 20} MiB ({largest}, …)"
