"""`make plan`: what another number of nodes, clusters and months takes, and which step is due.

Run as `python -m scripts.model.plan [--cluster=NAME] [--nodes=3 --pods=120 …]`. What is not given
is taken from the cluster's budget and from what it renders; else from the simulated day.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scripts import tools
from scripts.core.columns import aligned
from scripts.core.findings import Finding, RepositoryError, execute
from scripts.core.quantities import gibibytes, mebibytes, millicores, quantity
from scripts.core.yamlfile import Json
from scripts.model import clusters
from scripts.model.plan import FACTOR, sizes, steps
from scripts.model.plan import constants as c
from scripts.model.plan.retention import Retention, retention
from scripts.model.plan.sizes import GB, GI, MONTH, Bucket, Prices, Workload

COMMAND = "make plan"
_FIRST = "the first whose budget has volumes"
# The most that an argument may be: past it, a figure would be read off the end of the model.
_MOST = 1e9


class Input(NamedTuple):
    """An argument, and the query that a running cluster answers it with."""

    name: str
    text: str
    query: str
    whole: bool = False


_SERIES = "prometheus_tsdb_head_series"
_RECEIVED = "rate(loki_distributor_bytes_received_total[1d])"
_LINES = "rate(loki_distributor_lines_received_total[1d])"
INPUTS = (
    Input("clusters", "clusters that one Grafana shows", "count(group by (cluster) (up))", True),
    Input("nodes", "nodes of a cluster", "max(count by (cluster) (kube_node_info))", True),
    Input("pods", "pods of a cluster", "max(count by (cluster) (kube_pod_info))", True),
    Input("series", "series of a Prometheus", f"max({_SERIES})", True),
    Input("log-lines", "lines a second of a cluster", f"sum({_LINES})"),
    Input("line-bytes", "bytes of a line", f"sum({_RECEIVED}) / sum({_LINES})"),
    Input("streams", "streams of a cluster", "max(loki_ingester_memory_streams)", True),
    Input("months", "months of metrics to keep", ""),
    Input("log-days", "days of lines to keep", ""),
    Input("opened", "dashboards a day opened on what is in buckets", ""),
)
PRICES = tuple(Prices.__dataclass_fields__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan; return the exit code."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--cluster", default="", help=f"a folder of clusters/ (default: {_FIRST})")
    _add_numbers(parser)
    parser.add_argument("--sources", action="store_true", help="what the plan counts with, and why")
    options = parser.parse_args(arguments)
    if options.sources:
        print(sources())
        return 0
    root = tools.ROOT
    name = options.cluster or clusters.smallest_with_volumes(root, clusters.known(root) or [""])
    name = clusters.chosen(root, name)
    given = {one.name: _number(options, one.name, whole=one.whole) for one in INPUTS}
    prices = {p: _number(options, f"price-{p.replace('_', '-')}", least=0) for p in PRICES}
    paid = Prices(**{name: value for name, value in prices.items() if value is not None})
    budget = clusters.budget(root, name)
    workload = planned(budget, retention(root, name), given)
    print(text(name, workload, budget, given, paid))
    return 0


def planned(
    budget: Mapping[str, Json], kept: Retention, given: Mapping[str, float | None]
) -> Workload:
    """Return the workload of a cluster with what is given, and its own figures for the rest.

    Args:
        budget: Of its environment.
        kept: How long it keeps what.
        given: By name of INPUTS; None for what is not given.
    """
    nodes = int(given.get("nodes") or budget.get("nodes", 1))

    def or_else(name: str, other: float) -> float:
        value = given.get(name)
        return other if value is None else value

    return Workload(
        clusters=int(or_else("clusters", 1)),
        nodes=nodes,
        pods=int(or_else("pods", nodes * c.PODS_NODE.value)),
        log_lines=or_else("log-lines", nodes * c.LOG_LINES.value),
        months=or_else("months", kept.metrics_days * sizes.DAY / MONTH),
        series=int(or_else("series", 0)),
        series_limit=int(budget.get("series", {}).get("limit", 0)),
        interval=kept.interval,
        line_bytes=or_else("line-bytes", c.LINE_BYTES.value),
        streams=int(or_else("streams", c.STREAMS.value)),
        local_days=kept.local_days,
        log_days=or_else("log-days", kept.log_days),
        raw_days=kept.raw_days,
        five_minute_days=kept.five_minute_days,
        hour_days=kept.hour_days,
        opened=or_else("opened", c.OPENED.value),
        smallest_volume=quantity(budget.get("volumes", {}).get("smallest", 0)),
        recursive=kept.recursive,
    )


def text(
    name: str,
    w: Workload,
    budget: Mapping[str, Json],
    given: Mapping[str, float | None],
    prices: Prices,
) -> str:
    """Return the plan as it is printed."""
    parts = [
        f"{name}: what {w.clusters} x {w.nodes} nodes take, within a factor of {FACTOR:g}",
        _inputs(w, given),
        _components(w),
        _buckets(w, prices),
        _steps(w, budget),
    ]
    return "\n\n".join(parts)


def sources() -> str:
    """Return what the plan counts with."""
    rows = [("what", "value", "unit", "source")]
    rows += [(one.what, f"{one.value:,g}", one.unit, one.source) for one in c.constants()]
    for size in c.pods():
        value = f"{millicores(size.cores)} {size.memory:g}Mi {size.limit:g}Mi"
        rows.append((size.what, value, "CPU, memory, limit", size.source))
    for part in c.DISTRIBUTED:
        value = f"{part.daily_cores:g} {part.daily_memory:g}Mi"
        unit = f"for 1 TB a day, {millicores(part.cores)} {part.memory:g}Mi at least"
        rows.append((f"Loki's {part.what}", value, unit, f"{c.DOCS}setup/size/_index.md"))
    return table(rows, left=(0, 2, 3))


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Return rows in columns, those of `left` flush left."""
    return "\n".join(f"  {line}" for line in aligned(rows, left))


def _inputs(w: Workload, given: Mapping[str, float | None]) -> str:
    values = {
        "clusters": w.clusters,
        "nodes": w.nodes,
        "pods": w.pods,
        "series": w.expected_series,
        "log-lines": w.log_lines,
        "line-bytes": w.line_bytes,
        "streams": w.streams,
        "months": w.months,
        "log-days": w.log_days,
        "opened": w.opened,
    }
    rows = [("of each cluster", "", "", "in a running cluster")]
    for one in INPUTS:
        origin = "default" if given.get(one.name) is None else "given"
        rows.append((f"--{one.name}", f"{values[one.name]:,.4g}", origin, one.query))
    rows[4] = (*rows[4][:1], f"{w.expected_series:,}", *rows[4][2:])
    return table(rows, left=(0, 2, 3))


def _components(w: Workload) -> str:
    rows = [("component", "due", "clusters", "pods", "CPU", "memory", "limit", "volume")]
    taken = steps.taken(w)
    for one in sizes.components(w):
        rows.append(
            (
                one.name,
                "*" if one in taken else "",
                str(one.clusters),
                str(one.pods),
                millicores(one.cpu),
                mebibytes(one.memory),
                mebibytes(one.limit),
                gibibytes(one.volume) if one.volume else "",
            )
        )
    pods = sum(one.pods for one in taken)
    rows.append(
        (
            "in all, of *, in the hub",
            "",
            "1",
            str(pods),
            millicores(sum(one.cpu * one.pods for one in taken)),
            mebibytes(sum(one.memory * one.pods for one in taken)),
            mebibytes(sum(one.limit * one.pods for one in taken)),
            gibibytes(sum(one.volume * one.pods for one in taken)),
        )
    )
    return "each pod:\n" + table(rows, left=(0, 1))


def _buckets(w: Workload, prices: Prices) -> str:
    rows: list[tuple[str, ...]] = [("bucket", "GB", "PUT", "GET, HEAD", "LIST", "of which")]
    due = steps.names_due(w)
    found = [
        (steps.BUCKET, sizes.lines_bucket(w, steps.copies(w))),
        (steps.THANOS, sizes.metrics_bucket(w)),
    ]
    total: list[Bucket] = []
    for step, bucket in found:
        parts = ", ".join(f"{name} {size / GB:.2f}" for name, size in bucket.parts.items())
        mark = "*" if step in due else ""
        counts = (bucket.puts, bucket.gets, bucket.lists)
        numbers = [f"{number:,.0f}" for number in counts]
        rows.append((f"{bucket.name}{mark}", f"{bucket.size / GB:.2f}", *numbers, parts))
        total += [bucket] if step in due else []
    size, requests = sum(b.size for b in total), sum(b.requests for b in total)
    money = prices.month(size, requests, 0)
    outside = prices.month(size, requests, sum(b.read for b in total))
    volumes = sum(one.volume * one.pods * one.clusters for one in steps.taken(w)) / GI
    price = c.PRICE_VOLUME.value
    return "\n".join(
        (
            f"after {w.months:.3g} months, requests a month (* is due):",
            table(rows, left=(0, 5)),
            f"  of *: ${money:.2f} a month; where the clusters are outside the provider's network,"
            f" ${outside:.2f}",
            f"  at ${prices.storage:g} a GB after {prices.free_storage:g},"
            f" ${prices.requests:g} for 10,000 requests after {prices.free_requests:,.0f},"
            f" ${prices.egress:g} a GB of egress after {prices.free_egress:,g}",
            f"  volumes: {volumes:,.0f} GiB, ${volumes * price:.2f} a month at ${price:g} a GB",
        )
    )


def _steps(w: Workload, budget: Mapping[str, Json]) -> str:
    rows = [("step", "", "reason", "by")]
    every = [*steps.steps(w), *steps.tier(w, budget)]
    rows += [(one.name, "due" if one.due else "", one.reason, one.where) for one in every]
    if not any(one.due for one in every):
        rows.append(("stay", "", "one of each does", ""))
    return table(rows, left=(0, 1, 2, 3))


def _add_numbers(parser: argparse.ArgumentParser) -> None:
    """Add what is planned for, and prices; `_number` reads them."""
    parser.add_argument("--clusters", metavar="N", help=_help("clusters"))
    parser.add_argument("--nodes", metavar="N", help=_help("nodes"))
    parser.add_argument("--pods", metavar="N", help=_help("pods"))
    parser.add_argument("--series", metavar="N", help=_help("series"))
    parser.add_argument("--log-lines", metavar="N", help=_help("log-lines"))
    parser.add_argument("--line-bytes", metavar="N", help=_help("line-bytes"))
    parser.add_argument("--streams", metavar="N", help=_help("streams"))
    parser.add_argument("--months", metavar="N", help=_help("months"))
    parser.add_argument("--log-days", metavar="N", help=_help("log-days"))
    parser.add_argument("--opened", metavar="N", help=_help("opened"))
    parser.add_argument("--price-storage", metavar="N", help=_price_help("storage"))
    parser.add_argument("--price-requests", metavar="N", help=_price_help("requests"))
    parser.add_argument("--price-egress", metavar="N", help=_price_help("egress"))
    parser.add_argument("--price-free-storage", metavar="N", help=_price_help("free-storage"))
    parser.add_argument("--price-free-requests", metavar="N", help=_price_help("free-requests"))
    parser.add_argument("--price-free-egress", metavar="N", help=_price_help("free-egress"))


def _help(name: str) -> str:
    one = next(one for one in INPUTS if one.name == name)
    return one.text + (f"; in a running cluster: {one.query}" if one.query else "")


def _number(
    options: argparse.Namespace, name: str, *, whole: bool = False, least: float = 1e-9
) -> float | None:
    """Return an argument's number; None where it is not given.

    Raises:
        RepositoryError: If it is no number, too small, or too large.
    """
    given = getattr(options, name.replace("-", "_"))
    if given is None:
        return None
    kind = "a whole number" if whole else "a number"
    least = 1 if whole else least
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not least <= value <= _MOST or (whole and value != int(value)):
        least_text = f"from {least:g}" if least >= 1 or not least else "above 0"
        text = f"--{name}={given} is not {kind} {least_text} up to {_MOST:g}"
        fix = "correct it, or leave it out for what the environment has"
        raise RepositoryError(Finding(COMMAND, None, text, fix))
    return value


def _price_help(name: str) -> str:
    default = getattr(Prices(), name.replace("-", "_"))
    return f"in place of Oracle's: {name.replace('-', ' ')} (default: {default:g})"


if __name__ == "__main__":
    execute(main)
