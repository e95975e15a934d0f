"""What clusters ask for before and after, beside their budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from scripts.core.quantities import gibibytes, mebibytes, millicores, quantity
from scripts.core.yamlfile import get
from scripts.diff.analyzers.wording import sentence, transition
from scripts.diff.model import Amount, Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair
from scripts.model import budget
from scripts.model.rendered import Cluster

Rows = list[budget.Usage]


def _count(number: float) -> str:
    return f"{number:.0f}"


class BudgetLine(NamedTuple):
    """One line of a budget.

    Attributes:
        total: Takes together what the releases ask for.
        write: Returns a total with its unit.
        limit: Keys of the limit in the overlay's budget; none where there is no limit.
    """

    total: Callable[[Rows], float]
    write: Callable[[float], str] = _count
    limit: tuple[str, ...] = ()


LINES: Mapping[str, BudgetLine] = {
    "CPU": BudgetLine(lambda rows: sum(r.cpu for r in rows), millicores, ("requests", "cpu")),
    "memory": BudgetLine(
        lambda rows: sum(r.memory for r in rows), mebibytes, ("requests", "memory")
    ),
    "memory limits": BudgetLine(lambda rows: sum(r.limit for r in rows), mebibytes),
    "volumes": BudgetLine(
        lambda rows: sum(len(r.volumes) for r in rows), limit=("volumes", "count")
    ),
    "storage": BudgetLine(
        lambda rows: sum(size for r in rows for size, _ in r.volumes),
        gibibytes,
        ("volumes", "total"),
    ),
    "images": BudgetLine(lambda rows: len({image for r in rows for image in r.images})),
    "series": BudgetLine(lambda rows: sum(r.series for r in rows), limit=("series", "limit")),
}


def amounts(pair: ClusterPair) -> Iterator[Amount]:
    """Yield the lines of a cluster; it is whole."""
    totals = [_totals(cluster) for cluster in (pair.before, pair.after)]
    limits_ = [_limits(cluster) for cluster in (pair.before, pair.after)]
    for resource, budget_line in LINES.items():
        write = budget_line.write
        before, after = (write(total[resource]) if total else "" for total in totals)
        old, limit = (write(most[resource]) if resource in most else "" for most in limits_)
        over = bool(limit and after) and totals[1][resource] > limits_[1][resource] + 1e-9
        former = (old or "none") if before and after and old != limit else ""
        yield Amount(pair.after.sync.cluster, resource, before, after, limit, over, former)


def analyze(pair: ClusterPair) -> Analysis:
    """Find limits that are raised, and what is above one from now on."""
    if not pair.whole:
        return
    before, after = _faults(pair.before), _faults(pair.after)
    for text in after.keys() - before.keys():
        yield after[text]
    if pair.before.sync.units and pair.after.sync.units:
        yield from _raised(pair)


def _raised(pair: ClusterPair) -> Iterator[Flag]:
    texts = []
    for resource, before, after in limits(pair):
        if before is not None and (after is None or after > before):
            write = LINES[resource].write
            new = None if after is None else write(after)
            texts.append(transition(resource, write(before), new))
    if texts:
        text = ", ".join(texts)
        why = f"{text}: what was too much is not any more, and no node grows with it."
        fix = "Raise it only by what the nodes, or the bill, really have."
        yield Flag(Danger.BUDGET_RAISED, _place(pair.after), why, fix)


def limits(pair: ClusterPair) -> Iterator[tuple[str, float | None, float | None]]:
    """Yield each limit that differs, by its resource; None at the revision that has none."""
    old, new = _limits(pair.before), _limits(pair.after)
    for resource in LINES:
        before, after = old.get(resource), new.get(resource)
        if before != after:
            yield resource, before, after


def _place(cluster: Cluster) -> str:
    return f"overlays/{budget.environment(cluster)}/{budget.FILE}"


def _totals(cluster: Cluster) -> dict[str, float]:
    if not cluster.sync.units:
        return {}
    rows = list(budget.usage_by_release(cluster, budget.limits(cluster)).values())
    return {resource: line.total(rows) for resource, line in LINES.items()}


def _limits(cluster: Cluster) -> dict[str, float]:
    found = {}
    written = budget.limits(cluster)
    for resource, line in LINES.items():
        if line.limit and (limit := get(written, *line.limit)) is not None:
            found[resource] = quantity(limit)
    return found


def _faults(cluster: Cluster) -> dict[str, Flag]:
    """Flags by what they say of a cluster, whichever engine syncs it."""
    place = _place(cluster)
    found = {}
    for fault in budget.exceeded(cluster):
        text = fault.message.removeprefix(f"{cluster.name}: ")
        found[text] = Flag(Danger.OVER_BUDGET, place, sentence(text), sentence(fault.fix))
    return found
