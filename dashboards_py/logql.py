"""LogQL expressions over the streams that Alloy writes; each selector names its namespace."""

from __future__ import annotations

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

LOKI = Source("Loki, filled by Alloy", "no log line seen")

# The labels that Alloy's pipeline keeps; everything else becomes structured metadata.
STREAM_LABELS = frozenset({"cluster", "namespace", "app", "container", "level"})
METADATA = frozenset(
    # Of log lines, then of Kubernetes events.
    {"pod", "node", "logger", "trace_id", "request_id"}
    | {"kind", "name", "reason", "count", "component"}
)

# Grafana sets it to one step of the graph, so that no line is counted twice or left out.
STEP = "$__auto"
# The whole time range: for one number or one table row, never for a graph.
WHOLE_RANGE = "$__range"


@attrs.frozen
class Stream:
    """A log query: a stream selector with its filters."""

    text: str

    def containing(self, expression: str) -> Stream:
        """Keep lines that match a regular expression, in any case."""
        return Stream(f"{self.text} |~ `(?i){expression}`")

    def with_text(self, text: str) -> Stream:
        """Keep lines that contain a text."""
        return Stream(f"{self.text} |= `{text}`")

    def containing_text_of(self, variable: str) -> Stream:
        """Keep lines that contain the text of a variable, in any case.

        It is no regular expression: what a reader types, such as `[`, would not always be one.
        """
        return Stream(f"{self.text} |~ `(?i){escaped(variable)}`")

    def where(self, **matchers: Matcher) -> Stream:
        """Keep lines whose labels or structured metadata match."""
        check_labels("a log line", matchers, STREAM_LABELS | METADATA)
        filters = (f"{key}{found.operator}`{found.value}`" for key, found in matchers.items())
        return Stream(f"{self.text} | {', '.join(filters)}")

    def lines(self) -> Query:
        """Return the lines themselves."""
        return self._query(self.text, lines=True)

    def count(self, *by: str, over: str = STEP) -> Query:
        """Return the number of lines, for each `by`.

        Args:
            by: Stream labels or structured metadata to keep.
            over: STEP for a graph, WHOLE_RANGE for one number.
        """
        return self._aggregate(f"count_over_time({self.text} [{over}])", by)

    def rate(self, *by: str) -> Query:
        """Return lines per second, for each `by`."""
        return self._aggregate(f"rate({self.text} [{STEP}])", by)

    def top(self, number: int, *by: str) -> Query:
        """Return the `by` with the most lines in the whole range.

        For an instant query: in a graph, topk chooses again at each step and returns more.
        """
        counted = self.count(*by, over=WHOLE_RANGE)
        return attrs.evolve(counted, expr=f"topk({number}, {counted.expr})")

    def _aggregate(self, inner: str, by: tuple[str, ...]) -> Query:
        check_labels("a log line", by, STREAM_LABELS | METADATA)
        grouping = f" by ({', '.join(by)}) " if by else ""
        return self._query(f"sum{grouping}({inner})", by=by)

    @staticmethod
    def _query(expr: str, by: tuple[str, ...] = (), lines: bool = False) -> Query:
        labels = STREAM_LABELS | METADATA if lines else frozenset(by)
        return Query(
            language=Language.LOGQL, expr=expr, labels=labels, sources=(LOKI,), lines=lines
        )


def escaped(variable: str) -> str:
    """Return a variable as a part of a regular expression that stands for its text."""
    return f"${{{variable}:regex}}"


def stream(namespace: Matcher, /, **matchers: str | Matcher) -> Stream:
    """Select streams of a namespace; a query over all streams would be slow.

    Raises:
        QueryError: For a label that streams do not have, or no namespace.
    """
    if namespace.operator not in ("=", "=~"):
        raise QueryError("a log query must name its namespace; it may not only exclude some")
    check_labels("a log stream", matchers, STREAM_LABELS)
    return Stream(selector({"namespace": namespace, **matchers}))
