"""The plan: more never takes less, each step is due for its reason, and bad arguments are named."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import re

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.core.quantities import quantity
from scripts.model import budget, clusters
from scripts.model.manifests import Repository
from scripts.model.plan import FACTOR, retention, sizes, steps
from scripts.model.plan import constants as c
from scripts.model.plan.__main__ import INPUTS, main, planned, sources
from scripts.model.plan.sizes import GB, GI, Prices, Workload
from scripts.model.rendered import Cluster, Item
from tests.fixtures import CODE

SMALL = Workload(clusters=1, nodes=2, pods=52, log_lines=1.5, months=0.9, series_limit=30_000)
METRICS = {steps.THANOS, steps.AT_ONCE}
# One more of each, so that no step is left out.
GROWING = {
    "clusters": (1, 2, 5, 20),
    "nodes": (1, 2, 3, 10, 100),
    "pods": (1, 50, 500, 5000),
    "log_lines": (0.1, 10, 1000, 100_000),
    "months": (0.1, 1, 6, 24),
    "series": (1, 1000, 100_000, 10_000_000),
    "series_limit": (1000, 100_000),
    "line_bytes": (10, 200, 5000),
    "streams": (1, 45, 3000),
    "log_days": (1, 30, 400),
    "local_days": (1, 30, 400),
    "raw_days": (1, 30, 400),
    "opened": (0, 10, 1000),
}


def due(**changes: float) -> set[str]:
    return steps.names_due(dataclasses.replace(SMALL, **changes))  # type: ignore[arg-type]


def totals(w: Workload) -> dict[str, float]:
    """Everything that the plan says, in all."""
    found = sizes.components(w)
    lines, metrics = sizes.lines_bucket(w, 1), sizes.metrics_bucket(w)
    return {
        "pods": sum(one.pods * one.clusters for one in found),
        "CPU": sum(one.cpu * one.pods * one.clusters for one in found),
        "memory": sum(one.memory * one.pods * one.clusters for one in found),
        "limits": sum(one.limit * one.pods * one.clusters for one in found),
        "volumes": sum(one.volume * one.pods * one.clusters for one in found),
        "lines": lines.size,
        "requests for lines": lines.requests,
        "metrics": metrics.size,
        "requests for metrics": metrics.requests,
        "money": Prices().month(lines.size + metrics.size, lines.requests, lines.read),
    }


@pytest.mark.parametrize("name", GROWING)
def test_more_never_takes_less(name: str) -> None:
    planned = [
        totals(dataclasses.replace(SMALL, **{name: value}))  # type: ignore[arg-type]
        for value in GROWING[name]
    ]
    for less, more in itertools.pairwise(planned):
        assert {key for key in less if more[key] < less[key]} == set()
    assert planned[0] != planned[-1]


def test_more_frequent_scrapes_take_more() -> None:
    large = dataclasses.replace(SMALL, series=10**6)
    rare, often = (totals(dataclasses.replace(large, interval=s)) for s in (60, 15))
    assert often["CPU"] > rare["CPU"]
    assert often["metrics"] > rare["metrics"]


def test_a_limit_is_never_below_its_request() -> None:
    for lines in (0.1, 100_000):
        for one in sizes.components(dataclasses.replace(SMALL, log_lines=lines, series=10**6)):
            assert one.limit >= one.memory > 0, one.name


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"nodes": 3}, {steps.BUCKET, steps.THREE, steps.SECOND, *METRICS}),
        ({"clusters": 2}, {steps.HUB, *METRICS}),
        ({"months": 12}, METRICS),
        ({"months": 12, "recursive": True}, {steps.THANOS}),
        ({"log_lines": 3000}, {steps.BUCKET, steps.PARTS}),
        ({"log_lines": 1500, "log_days": 365}, {steps.BUCKET}),
        ({"nodes": 3, "log_lines": 3000}, {steps.BUCKET, steps.PARTS, steps.SECOND, *METRICS}),
        ({"series": 29_000}, {"raise series.limit of the budget"}),
        ({"streams": 2001}, {"raise max_global_streams_per_user"}),
    ],
)
def test_a_step_is_due_for_its_reason_alone(changes: dict[str, float], expected: set[str]) -> None:
    assert due(**changes) == expected


def test_one_loki_is_replaced_by_three_and_these_by_parts() -> None:
    for nodes, lines, pods in ((2, 1, 1), (3, 1, 3), (3, 3000, 15)):
        w = dataclasses.replace(SMALL, nodes=nodes, log_lines=lines)
        found = [one for one in steps.taken(w) if one.name.startswith("Loki")]
        assert sum(one.pods for one in found) == pods
        assert steps.copies(w) == (1 if pods == 1 else 3)


def test_every_step_and_component_is_there(repository: Repository) -> None:
    found = {one.step for one in sizes.components(SMALL)} - {""}
    assert found <= set(steps.COMPONENTS)
    assert {step.name for step in steps.steps(SMALL)} >= set(steps.COMPONENTS)


def test_a_month_costs_what_is_not_free() -> None:
    prices = Prices(1, 2, 3, free_storage=10, free_requests=20_000, free_egress=30)
    assert prices.month(10 * GB, 20_000, 30 * GB) == 0
    assert prices.month(11 * GB, 30_000, 31 * GB) == pytest.approx(1 + 2 + 3)


def test_a_bucket_holds_no_more_than_is_kept() -> None:
    years = dataclasses.replace(SMALL, months=100)
    kept = years.hour_days * sizes.DAY / sizes.MONTH
    assert sizes.metrics_bucket(years).size == pytest.approx(
        sizes.metrics_bucket(dataclasses.replace(SMALL, months=kept)).size
    )


def test_a_bucket_that_is_listed_at_once_is_asked_less() -> None:
    each = sizes.metrics_bucket(dataclasses.replace(SMALL, months=12))
    at_once = sizes.metrics_bucket(dataclasses.replace(SMALL, months=12, recursive=True))
    assert at_once.requests < each.requests / 10


def test_the_free_tier_has_an_end() -> None:
    limits = {"tier": {"cpu": 2}, "requests": {"cpu": "600m", "memory": "1792Mi"}}
    assert not any(step.due for step in steps.tier(SMALL, limits))
    assert all(s.due for s in steps.tier(dataclasses.replace(SMALL, nodes=3), limits))
    assert not list(steps.tier(SMALL, {"requests": limits["requests"]}))


def test_every_environment_is_as_large_as_planned(rendered: list[Cluster]) -> None:
    """Both ways: more than the factor would be waste, less would be too little."""
    checked = 0
    for cluster in rendered:
        limits = budget.limits(cluster)
        if not limits:
            continue
        w = planned(limits, retention.of_cluster(cluster), {})
        usage = budget.usage_by_release(cluster, limits).values()
        found = steps.taken(w)
        for ours, theirs in (
            (sum(one.cpu * one.pods for one in found), sum(row.cpu for row in usage)),
            (sum(one.memory * one.pods for one in found), sum(row.memory for row in usage)),
            (sum(one.limit * one.pods for one in found), sum(row.limit for row in usage)),
        ):
            assert 1 / FACTOR < ours / theirs < FACTOR, cluster.name
            checked += 1
    assert checked >= 6


def test_what_is_kept_is_read_from_what_is_rendered(rendered: list[Cluster]) -> None:
    cluster = next(one for one in rendered if budget.limits(one))
    found = retention.of_cluster(cluster)
    spec = copy.deepcopy(dict(cluster.of("Prometheus")[0].manifest))
    spec["spec"] |= {"retention": "3d", "scrapeInterval": "15s"}
    compactor = copy.deepcopy(
        dict(next(i for i in cluster.items if i.kind == "Deployment").manifest)
    )
    compactor["spec"]["template"]["spec"]["containers"][0]["args"] = [
        "--retention.resolution-raw=10d",
        "--retention.resolution-1h=500d",
        "--block-discovery-strategy=recursive",
    ]
    items = [i for i in cluster.items if i.kind != "Prometheus"]
    changed = dataclasses.replace(cluster, items=(*items, Item(spec), Item(compactor)))
    read = retention.of_cluster(changed)
    assert (read.local_days, read.interval) == (3, 15)
    assert (read.raw_days, read.hour_days, read.five_minute_days) == (10, 500, 180)
    assert read.thanos
    assert read.recursive
    assert read.metrics_days == 500
    assert not found.thanos
    assert found.log_days == read.log_days > 0


def test_the_plan_says_everything(capsys: pytest.CaptureFixture[str]) -> None:
    name = clusters.known(tools.ROOT)[-1]
    asked = ["--nodes=3", "--pods=120", "--log-lines=50", "--clusters=2", "--months=12"]
    assert main([f"--cluster={name}", *asked]) == 0
    said = capsys.readouterr().out
    w = dataclasses.replace(SMALL, nodes=3, pods=120, clusters=2, months=12, log_lines=50)
    for one in sizes.components(w):
        assert one.name in said
    for step in steps.steps(w):
        assert step.name in said
    assert "prometheus_tsdb_head_series" in said
    assert "  given " in said


def test_prices_are_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--nodes=3", "--months=12", "--price-free-storage=0", "--price-free-requests=0"]
    assert main([*asked, "--price-storage=1000"]) == 0
    dear = capsys.readouterr().out
    assert main([*asked, "--price-storage=0", "--price-requests=0", "--price-egress=0"]) == 0
    assert "of *: $0.00 a month" in capsys.readouterr().out
    assert "of *: $0.00 a month" not in dear


def test_every_constant_says_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sources"]) == 0
    assert capsys.readouterr().out.strip() == sources().strip()
    every = [(one.what, one.source) for one in c.constants()]
    every += [(one.what, one.source) for one in c.pods()]
    assert all(what and source for what, source in every)
    assert len(dict(every)) == len(every)


def test_a_running_cluster_has_what_the_queries_ask() -> None:
    folder = CODE / "scripts/model/catalogue"
    captured = "".join(path.read_text() for path in folder.glob("*.yaml"))
    for one in INPUTS:
        for metric in re.findall(r"\b(?:kube|loki|prometheus)_\w+", one.query):
            assert re.search(rf"\b{metric}\b", captured), one


@pytest.mark.parametrize(
    "argument",
    [
        "--nodes=0",
        "--nodes=two",
        "--nodes=2.5",
        "--pods=-1",
        "--clusters=",
        "--months=0",
        "--log-lines=nan",
        "--log-lines=inf",
        "--series=1e300",
        "--price-storage=-1",
        "--cluster=nowhere",
    ],
)
def test_a_bad_argument_is_named_in_one_message(
    argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RepositoryError) as error:
        main([argument])
    (finding,) = error.value.findings
    assert argument.partition("=")[2] in finding.message
    assert argument.partition("=")[0] in f"{finding.message} {finding.fix}" or "nowhere" in argument
    assert finding.fix
    assert not capsys.readouterr().out


def test_quantities_of_the_budget_are_read() -> None:
    limits = {"nodes": 4, "series": {"limit": 9000}, "volumes": {"smallest": "50Gi"}}
    kept = retention.Retention(30, 30, 7, 60, 180, 400, thanos=False, recursive=False)
    w = planned(limits, kept, {"pods": 7})
    assert (w.nodes, w.pods, w.series_limit) == (4, 7, 9000)
    assert w.smallest_volume == 50 * GI == quantity("50Gi")
    assert all(not one.volume or one.volume >= 50 * GI for one in sizes.components(w))
