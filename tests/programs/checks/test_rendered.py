"""The checks of rendered objects: all run, and each finding says where."""

from __future__ import annotations

from scripts.checks import rendered as checks
from scripts.checks.rendered import (
    access,
    arithmetic,
    kubernetes,
    links,
    loki,
    metrics_exposed,
    objects,
    pods,
    programs,
    public_address,
    references,
    relabelings,
    scrape,
    sign_in,
    thanos,
)
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import container, edited, named

MODULES = (
    access,
    arithmetic,
    kubernetes,
    metrics_exposed,
    links,
    loki,
    objects,
    pods,
    programs,
    public_address,
    references,
    relabelings,
    scrape,
    sign_in,
    thanos,
)


def test_nothing_rendered_breaks_a_promise(rendered: list[Cluster]) -> None:
    assert list(map(str, checks.findings(rendered))) == []


def test_every_check_is_run() -> None:
    named = {
        function
        for module in MODULES
        for function in vars(module).values()
        if callable(function)
        and getattr(function, "__annotations__", {}).get("return") == "Iterator[Finding]"
        and next(iter(function.__annotations__)) == "cluster"
        and function.__module__ == module.__name__
    }
    assert named == set(checks.CHECKS)


def test_a_finding_names_the_file_that_declares_the_release(rendered: list[Cluster]) -> None:
    broken = edited(
        named(rendered), "StatefulSet", "loki", lambda m: container(m).update(image="loki")
    )
    (finding,) = pods.images_pinned(broken)
    assert finding.path == "base/releases/loki.yaml"
    assert finding.line
    assert finding.message.startswith("StatefulSet monitoring/loki: ")


def test_a_finding_of_one_cluster_names_it(rendered: list[Cluster]) -> None:
    broken = edited(named(rendered), "StatefulSet", "loki", lambda m: container(m).pop("image"))
    (finding,) = [
        f
        for f in checks.findings([broken, named(rendered, "local/flux")])
        if "not pinned" in f.message
    ]
    assert finding.message.endswith("(oke-free/flux)")
