"""What is done with the public address on a synced cluster, by either engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

from scripts.cluster.e2e import checks, public_address, public_probe, public_programs
from scripts.cluster.e2e.argocd import ArgoCD
from scripts.cluster.e2e.disruptions import Disruption
from scripts.cluster.e2e.environment import Environment
from scripts.cluster.e2e.public_faults import faults, wait_for_other
from scripts.cluster.e2e.public_parts import (
    GATEWAY,
    HOST,
    INGRESS,
    TUNNEL,
    Combination,
    take,
    trust,
)
from scripts.cluster.e2e.public_programs import PublicPrograms
from scripts.cluster.e2e.step_table import StepTable
from scripts.core import git
from scripts.core.findings import Finding

Disrupt = Callable[[Environment, Sequence[Disruption]], list[Finding]]


def with_flux(table: StepTable, env: Environment, disrupt: Disrupt) -> None:
    """Take each combination of parts in, have it answer, break it, and remove it.

    Args:
        table: Where each step is written.
        env: A cluster that Flux has synced.
        disrupt: Goes through disruptions, and prints what came of each.

    Raises:
        RepositoryError: If a step cannot be done.
    """
    public_address.apply_gateway_crds(env)
    before, revision = checks.inventory(env.client), env.revision
    engine = (env.reconcile_source, env.wait_for_sync)
    for parts in (TUNNEL, INGRESS):
        _take(table, env, parts, before, *engine)
        leave(env, revision)
    _take(table, env, GATEWAY, before, *engine)
    with public_programs.running(env) as programs:
        _check_answers(table, programs)
        table.findings += disrupt(env, faults(programs))
    with table.step("nothing of it stays") as found:
        leave(env, revision)
        env.reconcile_source()
        env.wait_for_sync()
        found += public_address.remaining(env, before)


def with_argocd(table: StepTable, env: Environment, argo: ArgoCD) -> None:
    """Take the parts in, with a real certificate, as Argo CD waits for it; then remove them.

    Raises:
        RepositoryError: If a step cannot be done.
    """
    public_address.apply_gateway_crds(env)
    before, revision = checks.inventory(env.client), env.revision
    with contextlib.ExitStack() as block:

        def run_once_possible() -> None:
            """Run the programs, which an Application is only healthy with, when they can be."""
            if programs or not public_programs.possible(env):
                return
            programs.append(block.enter_context(public_programs.running(env)))

        programs: list[PublicPrograms] = []
        _take(
            table,
            env,
            GATEWAY,
            before,
            argo.refresh_all,
            lambda: argo.wait_for_sync(run_once_possible),
        )
        with table.step("the address answers with a certificate, and redirects http") as found:
            found += public_address.check_served(programs[0])
        with table.step("nothing of it stays") as found:
            leave(env, revision)
            argo.refresh_all()
            argo.wait_for_sync()
            found += public_address.remaining(env, before)


def leave(env: Environment, revision: str) -> None:
    """Commit the tree as it was at a revision; the engine has yet to fetch it."""
    env.revision = env.remote.commit(
        "Without a public address",
        lambda tree: git.isolated(tree, "read-tree", "--reset", "-u", revision),
    )


def _take(
    table: StepTable,
    env: Environment,
    parts: Combination,
    before: Mapping[str, str],
    fetch: Callable[[], object],
    wait: Callable[[], object],
) -> None:
    """Commit parts, wait until they are synced, and compare the cluster with what is rendered."""
    with table.step(f"public address: {parts.name}") as found:
        env.revision = env.remote.commit(
            parts.name, lambda tree: take(tree, env.cluster, env.sync.engine, parts)
        )
        public_address.fill_registry(env)
        fetch()
        wait()
        expected = checks.rendered_objects(env)
        found += checks.drifted(env.client, expected, env.sync.name)
        found += checks.orphaned(env, before, expected)
        found += checks.unscheduled(env)
        found += public_address.check_secrets(env)


def _check_answers(table: StepTable, programs: PublicPrograms) -> None:
    env = programs.env
    with table.step("Pebble gives a certificate, by a challenge through Traefik"):
        env.until(lambda: public_address.why_not_issued(env), "there is no certificate")
    with table.step("the address answers with it, and redirects http"):
        env.until(
            lambda: "; ".join(map(str, public_address.check_served(programs))),
            "the address does not answer",
        )
        serial = programs.get(HOST).serial
    with table.step("a probe finds it, and the alerts how long it is good") as found:
        found += public_probe.check_alerts(programs, public_probe.EXPIRING)
    with table.step("passwords cannot be guessed for long") as found:
        found += public_address.check_rate_limit(programs)
    with table.step("the certificate is renewed before it expires"):
        wait_for_other(programs, serial)
    with table.step("production in place of staging has it issued anew"):
        staging = public_address.issuer(env)
        env.push("Production", lambda tree: trust(tree, env.cluster))
        env.wait_for_sync()

        def same() -> str:
            found = public_address.issuer(env) == staging
            return public_address.why_not_issued(env) or "it is kept" if found else ""

        env.until(same, f"the certificate is still of {staging}")
