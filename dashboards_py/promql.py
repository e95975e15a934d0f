"""PromQL that knows the type and the labels of what it reads.

A `Metric` gives `Series` (a selector); `Series` gives a `Vector` in the one way its type allows;
a `Vector` is aggregated and joined. A wrong label or a rate over a gauge raises QueryError.
"""

from __future__ import annotations

from enum import Enum

import attrs

from dashboards_py.query import (
    Language,
    Matcher,
    Query,
    QueryError,
    Source,
    check_labels,
    selector,
)

# Grafana: at least four scrape intervals, and never narrower than one step of the graph.
RANGE = "$__rate_interval"
# The whole time range: for one number, never for a graph.
WHOLE_RANGE = "$__range"


class Kind(Enum):
    """Prometheus' metric types, as far as they decide which functions make sense."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@attrs.frozen
class Metric:
    """One metric, declared once.

    Attributes:
        name: As exported; a histogram without `_bucket`, `_sum`, `_count`.
        kind: Its type.
        labels: The labels that queries may name.
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
    """The selected series of a metric; not a query until its type's function is chosen."""

    metric: Metric
    matchers: dict[str, str | Matcher]

    def selector(self) -> str:
        """Return the bare selector, for a variable that lists label values."""
        return self.metric.name + selector(self.matchers)

    def value(self) -> Vector:
        """Return a gauge's value."""
        return self._vector("value", Kind.GAUGE, "{}")

    def value_a_step_ago(self) -> Vector:
        """Return a gauge's value at the step of the graph before this one."""
        return self._vector("value_a_step_ago", Kind.GAUGE, "{} offset $__interval")

    def rate(self) -> Vector:
        """Return a counter's increase per second."""
        return self._vector("rate", Kind.COUNTER, f"rate({{}}[{RANGE}])")

    def increase(self) -> Vector:
        """Return a counter's increase over one step of the graph."""
        return self._vector("increase", Kind.COUNTER, f"increase({{}}[{RANGE}])")

    def increase_in_range(self) -> Vector:
        """Return a counter's increase over the whole time range."""
        return self._vector("increase_in_range", Kind.COUNTER, f"increase({{}}[{WHOLE_RANGE}])")

    def so_far(self) -> Vector:
        """Return a counter as it stands: one scrape is enough, resets show."""
        return self._vector("so_far", Kind.COUNTER, "{}")

    def changes(self) -> Vector:
        """Return how often a gauge changed over one step of the graph."""
        return self._vector("changes", Kind.GAUGE, f"changes({{}}[{RANGE}])")

    def quantile(self, q: float, *by: str) -> Vector:
        """Return a histogram's quantile, in the metric's unit, for each combination of `by`.

        Args:
            q: Between 0 and 1.
            by: Labels to keep; `le` is added and consumed.
        """
        buckets = self._vector("quantile", Kind.HISTOGRAM, f"rate({{}}[{RANGE}])", "_bucket")
        check_labels(self.metric.name, by, self.metric.labels)
        grouping = ", ".join(("le", *by))
        expr = f"histogram_quantile({q}, sum by ({grouping}) ({buckets.expr}))"
        return attrs.evolve(buckets, expr=expr, labels=frozenset(by))

    def _vector(self, function: str, kind: Kind, template: str, suffix: str = "") -> Vector:
        """Fill a template with the selector, after checking that the type allows it."""
        metric = self.metric
        if metric.kind is not kind:
            fault = f"{function}() needs a {kind.value}"
            raise QueryError(f"{fault}; {metric.name} is a {metric.kind.value}")
        return Vector(
            language=Language.PROMQL,
            expr=template.format(metric.name + suffix + selector(self.matchers)),
            labels=metric.labels,
            sources=(metric.source,),
        )


@attrs.frozen(kw_only=True)
class Vector(Query):
    """An instant vector.

    Attributes:
        compound: True where the text must stand in parentheses beside an operator.
    """

    compound: bool = False

    def sum(self, *by: str) -> Vector:
        """Add up, keeping the labels in `by`."""
        return self._aggregate("sum", by)

    def max(self, *by: str) -> Vector:
        """Take the largest for each `by`: one series even where an exporter runs twice."""
        return self._aggregate("max", by)

    def min(self, *by: str) -> Vector:
        """Take the smallest for each `by`."""
        return self._aggregate("min", by)

    def count(self, *by: str) -> Vector:
        """Count series for each `by`."""
        return self._aggregate("count", by)

    def where(self, condition: str) -> Vector:
        """Keep only the series that meet a condition such as `> 0`."""
        return self._compound(f"{self._operand()} {condition}")

    def is_zero(self) -> Vector:
        """Return 1 for 0, and 0 for everything else."""
        return self._compound(f"{self._operand()} == bool 0")

    def times(self, factor: float | Vector) -> Vector:
        """Multiply by a number, or by series with the same labels."""
        if isinstance(factor, Vector):
            return self._combine("*", factor)
        return self._compound(f"{self._operand()} * {_number(factor)}")

    def at_least(self, floor: float | Vector) -> Vector:
        """Raise smaller values to a number, or to that of the one series in `floor`."""
        if not isinstance(floor, Vector):
            expr = f"clamp_min({self.expr}, {_number(floor)})"
            return attrs.evolve(self, expr=expr, compound=False)
        if floor.labels:
            raise QueryError(f"at_least() needs one series, without labels: {floor.expr}")
        expr = f"clamp_min({self.expr}, scalar({floor.expr}))"
        return attrs.evolve(self._with(floor, expr), compound=False)

    def until(self) -> Vector:
        """Return the seconds from now until a time stamp in seconds."""
        return self._compound(f"{self._operand()} - time()")

    def rename(self, label: str, to: str) -> Vector:
        """Move a label's value to another name."""
        check_labels("the query", (label,), self.labels)
        expr = f'label_replace({self.expr}, "{to}", "$1", "{label}", "(.*)")'
        kept = sorted(self.labels - {label} | {to})
        renamed = attrs.evolve(self, expr=expr, labels=self.labels | {to}, compound=False)
        return renamed.max(*kept)

    def extract(self, label: str, to: str, pattern: str) -> Vector:
        """Add a label: the first group of a regular expression that matches all of another's value.

        Where it does not match, the new label is missing.
        """
        check_labels("the query", (label,), self.labels)
        pattern = pattern.replace("\\", "\\\\")
        expr = f'label_replace({self.expr}, "{to}", "$1", "{label}", "{pattern}")'
        return attrs.evolve(self, expr=expr, labels=self.labels | {to}, compound=False)

    def labelled(self, label: str, value: str) -> Vector:
        """Add a label with the same value for every series."""
        expr = f'label_replace({self.expr}, "{label}", "{value}", "", "")'
        return attrs.evolve(self, expr=expr, labels=self.labels | {label}, compound=False)

    def joined(self, to: str, *labels: str) -> Vector:
        """Add a label with the values of others, a space between them."""
        check_labels("the query", labels, self.labels)
        names = ", ".join(f'"{label}"' for label in labels)
        expr = f'label_join({self.expr}, "{to}", " ", {names})'
        return attrs.evolve(self, expr=expr, labels=self.labels | {to}, compound=False)

    def with_label_of(self, label: str, other: Vector) -> Vector:
        """Add a label of the one series in `other`, always 1, that has all other labels in common.

        What has no partner there is lost.
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

    def only_where(self, other: Vector) -> Vector:
        """Keep the series that have a partner in `other`, matched on all of its labels."""
        return self._filter("and", other)

    def unless(self, other: Vector) -> Vector:
        """Drop the series that have a partner in `other`, matched on all of its labels."""
        return self._filter("unless", other)

    def otherwise(self, other: Vector) -> Vector:
        """Take the series of `other` that are missing here; both have the same labels."""
        self._check_same_labels("or", other)
        return self._with(other, f"{self._operand()} or {other._operand()}")

    def or_zero_for(self, other: Vector) -> Vector:
        """Add a 0 for each series of `other` that is missing here; nothing where both are.

        So that "none" and "nobody looked" do not look alike.
        """
        self._check_same_labels("or", other)
        return self._with(other, f"{self._operand()} or {self._on(other)}0 * {other._operand()}")

    def _aggregate(self, function: str, by: tuple[str, ...]) -> Vector:
        check_labels("the query", by, self.labels)
        grouping = f" by ({', '.join(by)}) " if by else ""
        expr = f"{function}{grouping}({self.expr})"
        return attrs.evolve(self, expr=expr, labels=frozenset(by), compound=False)

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


def _number(value: float) -> str:
    """Write a number in full: PromQL reads 1e+10, people do not."""
    return str(int(value)) if value == int(value) else str(value)
