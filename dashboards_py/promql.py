"""PromQL expressions that know the type and the labels of the metrics they read.

Calling a `Metric` selects `Series`. The methods of `Series` that fit the metric's type return a
`Vector`, and those of `Vector` aggregate it and combine it with others. A label that does not
exist, or a rate of a gauge, raises QueryError.
"""

from __future__ import annotations

from enum import Enum

import attrs

from dashboards_py.query import (
    CLUSTER,
    Language,
    Matcher,
    Query,
    QueryError,
    Source,
    check_labels,
    selector,
)

# Grafana sets it to at least four scrape intervals, and to at least one step of the graph.
RANGE = "$__rate_interval"
# One step of the graph.
STEP_SECONDS = "$__interval_ms / 1000"
# The whole time range: for one number, never for a graph.
WHOLE_RANGE = "$__range"
# The label of `Vector.named_by_cluster`.
IN_CLUSTER = "in_cluster"


class Kind(Enum):
    """Prometheus' metric types; they decide which functions may be applied."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@attrs.frozen
class Metric:
    """A metric.

    Attributes:
        name: As exported; a histogram without `_bucket`, `_sum`, `_count`.
        kind: Its type.
        labels: Those that queries may use, beside CLUSTER, which all have.
        source: Who exports it.
    """

    name: str
    kind: Kind
    labels: frozenset[str]
    source: Source

    def __call__(self, **matchers: str | Matcher) -> Series:
        """Select series; a plain string means equality.

        Raises:
            QueryError: For a label that the metric does not have.
        """
        check_labels(self.name, matchers, self.labels | set(self.source.matchers))
        return Series(self, {**self.source.matchers, **matchers})


@attrs.frozen
class Series:
    """A metric's series that matchers select; a method for its type makes a query of them."""

    metric: Metric
    matchers: dict[str, str | Matcher]

    def selector(self) -> str:
        """Return the selector, for a variable that lists label values."""
        return self.metric.name + selector(self.matchers)

    def value(self) -> Vector:
        """Return a gauge's value."""
        return self._vector("value", Kind.GAUGE, "{}")

    def previous_value(self) -> Vector:
        """Return a gauge's value one step of the graph earlier."""
        return self._vector("previous_value", Kind.GAUGE, "{} offset $__interval")

    def rate(self) -> Vector:
        """Return a counter's increase per second."""
        return self._vector("rate", Kind.COUNTER, f"rate({{}}[{RANGE}])")

    def increase(self) -> Vector:
        """Return how many events a counter counted in one step of the graph: each in one step.

        RANGE is one scrape longer than a step, so that no event falls between two steps. `increase`
        would extrapolate to the whole of it, and show one event as 1.25; the rate over it times the
        step is exact. That holds from steps of three scrapes on: see `panels.stacked_bars`.
        """
        counted = f"round(rate({{}}[{RANGE}]) * {STEP_SECONDS})"
        return self._vector("increase", Kind.COUNTER, counted)

    def increase_in_range(self) -> Vector:
        """Return how many events a counter counted in the whole time range."""
        counted = f"round(increase({{}}[{WHOLE_RANGE}]))"
        return self._vector("increase_in_range", Kind.COUNTER, counted)

    def total(self) -> Vector:
        """Return a counter's value: the total since its program started. One scrape is enough."""
        return self._vector("total", Kind.COUNTER, "{}")

    def changes(self) -> Vector:
        """Return how often a gauge changed over one step of the graph."""
        return self._vector("changes", Kind.GAUGE, f"changes({{}}[{RANGE}])")

    def changes_in_range(self) -> Vector:
        """Return how often a gauge changed in the whole time range; 0 after one scrape."""
        return self._vector("changes_in_range", Kind.GAUGE, f"changes({{}}[{WHOLE_RANGE}])")

    def quantile(self, q: float, *by: str) -> Vector:
        """Return a histogram's quantile, in the metric's unit, for each combination of `by`.

        Args:
            q: Between 0 and 1.
            by: Labels to keep beside `le` and, where there are some, CLUSTER.
        """
        buckets = self._vector("quantile", Kind.HISTOGRAM, f"rate({{}}[{RANGE}])", "_bucket")
        check_labels(self.metric.name, by, self.metric.labels)
        kept = _in_each_cluster(by, buckets.labels)
        grouping = ", ".join(("le", *kept))
        expr = f"histogram_quantile({q}, sum by ({grouping}) ({buckets.expr}))"
        return attrs.evolve(buckets, expr=expr, labels=frozenset(kept))

    def _vector(self, function: str, kind: Kind, template: str, suffix: str = "") -> Vector:
        """Fill a template with the selector.

        Raises:
            QueryError: Where the metric is of another type.
        """
        metric = self.metric
        if metric.kind is not kind:
            fault = f"{function}() needs a {kind.value}"
            raise QueryError(f"{fault}; {metric.name} is a {metric.kind.value}")
        return Vector(
            language=Language.PROMQL,
            expr=template.format(metric.name + suffix + selector(self.matchers)),
            labels=metric.labels | {CLUSTER},
            sources=(metric.source,),
        )


@attrs.frozen(kw_only=True)
class Vector(Query):
    """An instant vector.

    What aggregates by labels does it in each cluster: a pod, an app or a status of one cluster is
    another one's. What aggregates everything does it over all clusters that are chosen.

    Attributes:
        compound: Whether `expr` needs parentheses beside an operator.
    """

    compound: bool = False

    def sum(self, *by: str) -> Vector:
        """Add up, keeping the labels in `by`."""
        return self._aggregate("sum", by)

    def max(self, *by: str) -> Vector:
        """Take the largest for each `by`; one series even where an exporter runs twice."""
        return self._aggregate("max", by)

    def min(self, *by: str) -> Vector:
        """Take the smallest for each `by`."""
        return self._aggregate("min", by)

    def average(self, *by: str) -> Vector:
        """Take the mean for each `by`."""
        return self._aggregate("avg", by)

    def count(self, *by: str) -> Vector:
        """Count series for each `by`."""
        return self._aggregate("count", by)

    def where(self, condition: str) -> Vector:
        """Filter by a comparison such as `> 0`."""
        return self._compound(f"{self._operand()} {condition}")

    def smallest(self) -> Vector:
        """Keep the series with the smallest value, and its labels."""
        return attrs.evolve(self, expr=f"bottomk(1, {self.expr})", compound=False)

    def largest(self) -> Vector:
        """Keep the series with the largest value, and its labels."""
        return attrs.evolve(self, expr=f"topk(1, {self.expr})", compound=False)

    def round(self) -> Vector:
        """Round to whole numbers: a count that Prometheus extrapolated has a fraction."""
        return attrs.evolve(self, expr=f"round({self.expr})", compound=False)

    def is_zero(self) -> Vector:
        """Return 1 for 0, and 0 for everything else."""
        return self._compound(f"{self._operand()} == bool 0")

    def complement(self) -> Vector:
        """Return what a share lacks to the whole."""
        return self._compound(f"1 - {self._operand()}")

    def times(self, factor: float | Vector) -> Vector:
        """Multiply by a number, or by series with the same labels."""
        if isinstance(factor, Vector):
            return self._combine("*", factor)
        return self._compound(f"{self._operand()} * {_number(factor)}")

    def clamp_min(self, minimum: float) -> Vector:
        """Raise smaller values to a number."""
        expr = f"clamp_min({self.expr}, {_number(minimum)})"
        return attrs.evolve(self, expr=expr, compound=False)

    def at_least(self, minimum: Vector) -> Vector:
        """Raise smaller values to that of `minimum`, which has one series for each cluster."""
        if minimum.labels != {CLUSTER}:
            raise QueryError(f"at_least() needs one series for each cluster: {minimum.expr}")
        one = f"on ({CLUSTER}) group_left () {minimum._operand()}"
        above, raised = f"{self._operand()} > {one}", f"0 * {self._operand()} + {one}"
        return self._with(minimum, f"({above}) or {self._on(self)}({raised})")

    def seconds_until(self) -> Vector:
        """Return the seconds from now until this timestamp, in seconds."""
        return self._compound(f"{self._operand()} - time()")

    def rename(self, label: str, to: str) -> Vector:
        """Rename a label, by label_replace."""
        check_labels("the query", (label,), self.labels)
        expr = f'label_replace({self.expr}, "{to}", "$1", "{label}", "(.*)")'
        kept = sorted(self.labels - {label} | {to})
        renamed = attrs.evolve(self, expr=expr, labels=self.labels | {to}, compound=False)
        return renamed.max(*kept)

    def extract(self, label: str, to: str, pattern: str) -> Vector:
        """Add a label by label_replace: the first group of a regular expression.

        The expression must match the whole value of `label`; else the new label is missing.
        """
        check_labels("the query", (label,), self.labels)
        pattern = pattern.replace("\\", "\\\\")
        expr = f'label_replace({self.expr}, "{to}", "$1", "{label}", "{pattern}")'
        return attrs.evolve(self, expr=expr, labels=self.labels | {to}, compound=False)

    def with_label_where(self, label: str, value: str, source: str, pattern: str) -> Vector:
        """Set a label where the whole of another one matches a regular expression."""
        check_labels("the query", (source, label), self.labels)
        expr = f'label_replace({self.expr}, "{label}", "{value}", "{source}", "{pattern}")'
        return attrs.evolve(self, expr=expr, compound=False)

    def with_label(self, label: str, value: str) -> Vector:
        """Add a label with the same value to every series, by label_replace."""
        expr = f'label_replace({self.expr}, "{label}", "{value}", "", "")'
        return attrs.evolve(self, expr=expr, labels=self.labels | {label}, compound=False)

    def named_by_cluster(self) -> Vector:
        """Add label IN_CLUSTER for the end of a legend, as ` · oke`, to series with CLUSTER.

        Behind a space, CLUSTER itself would leave that space where a series does not have it.
        """
        check_labels("the query", (CLUSTER,), self.labels)
        expr = f'label_replace({self.expr}, "{IN_CLUSTER}", " · $1", "{CLUSTER}", "(.+)")'
        return attrs.evolve(self, expr=expr, labels=self.labels | {IN_CLUSTER}, compound=False)

    def label_join(self, to: str, *labels: str) -> Vector:
        """Add a label with the values of others, a space between them."""
        check_labels("the query", labels, self.labels)
        names = ", ".join(f'"{label}"' for label in labels)
        expr = f'label_join({self.expr}, "{to}", " ", {names})'
        return attrs.evolve(self, expr=expr, labels=self.labels | {to}, compound=False)

    def with_label_of(self, label: str, other: Vector) -> Vector:
        """Add a label of `other`, whose values are all 1, by group_left.

        Series match on all other labels of `other`; those without a match are dropped.
        """
        keys = sorted(other.labels - {label})
        check_labels("the other query", (label,), other.labels)
        check_labels("the query", keys, self.labels)
        expr = f"{self._operand()} * on ({', '.join(keys)}) group_left ({label}) {other._operand()}"
        return attrs.evolve(self._with(other, expr), labels=self.labels | {label})

    def plus(self, other: Vector) -> Vector:
        """Add series with the same labels."""
        return self._combine("+", other)

    def minus(self, other: Vector) -> Vector:
        """Subtract series with the same labels."""
        return self._combine("-", other)

    def ratio_to(self, other: Vector) -> Vector:
        """Divide by series with the same labels."""
        return self._combine("/", other)

    def and_(self, other: Vector) -> Vector:
        """Keep the series that match one in `other`, on all labels of `other`."""
        return self._filter("and", other)

    def unless(self, other: Vector) -> Vector:
        """Drop the series that match one in `other`, on all labels of `other`."""
        return self._filter("unless", other)

    def or_(self, other: Vector) -> Vector:
        """Add the series of `other` that are missing here; both have the same labels."""
        self._check_same_labels("or", other)
        return self._with(other, f"{self._operand()} or {other._operand()}")

    def or_else(self, other: Vector) -> Vector:
        """Take `other`, where this has no series at all."""
        return self._with(other, f"{self._operand()} or on () {other._operand()}")

    def or_zero_for(self, other: Vector) -> Vector:
        """Add a 0 for each series of `other` that is missing here.

        Where `other` is missing, too, there is no result: a 0 would hide that nothing was measured.
        """
        self._check_same_labels("or", other)
        return self._with(other, f"{self._operand()} or {self._on(other)}0 * {other._operand()}")

    def _aggregate(self, function: str, by: tuple[str, ...]) -> Vector:
        check_labels("the query", by, self.labels)
        kept = _in_each_cluster(by, self.labels)
        grouping = f" by ({', '.join(kept)}) " if kept else ""
        expr = f"{function}{grouping}({self.expr})"
        return attrs.evolve(self, expr=expr, labels=frozenset(kept), compound=False)

    def _combine(self, operator: str, other: Vector) -> Vector:
        self._check_same_labels(operator, other)
        expr = f"{self._operand()} {operator} {self._on(other)}{other._operand()}"
        return self._with(other, expr)

    def _filter(self, operator: str, other: Vector) -> Vector:
        check_labels(f"the left side of {operator!r}", other.labels, self.labels)
        return self._with(
            other, f"{self._operand()} {operator} {self._on(other)}{other._operand()}"
        )

    def _check_same_labels(self, operator: str, other: Vector) -> None:
        if self.labels != other.labels:
            left, right = sorted(self.labels), sorted(other.labels)
            raise QueryError(f"{operator!r} needs the same labels on both sides: {left}, {right}")

    @staticmethod
    def _on(other: Vector) -> str:
        return f"on ({', '.join(sorted(other.labels))}) " if other.labels else ""

    def _with(self, other: Vector, expr: str) -> Vector:
        sources = tuple(dict.fromkeys(self.sources + other.sources))
        return attrs.evolve(self, expr=expr, sources=sources, compound=True)

    def _compound(self, expr: str) -> Vector:
        return attrs.evolve(self, expr=expr, compound=True)

    def _operand(self) -> str:
        return f"({self.expr})" if self.compound else self.expr


def _in_each_cluster(by: tuple[str, ...], labels: frozenset[str]) -> tuple[str, ...]:
    """Return what to aggregate by, CLUSTER among it; nothing for what is over all clusters.

    Args:
        by: As the query says.
        labels: What is aggregated has these.
    """
    cluster = (CLUSTER,) if by and CLUSTER in labels else ()
    return (*cluster, *(label for label in by if label != CLUSTER))


def _number(value: float) -> str:
    """Write a number in full, without the exponent that Python gives large ones."""
    return str(int(value)) if value == int(value) else str(value)
