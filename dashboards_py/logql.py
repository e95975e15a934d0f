"""LogQL over streams whose labels are known; a narrow selector is part of the signature."""

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

# The log pipeline's allow-list. Anything else a line carries is structured metadata.
STREAM_LABELS = frozenset({"cluster", "namespace", "app", "container", "level"})
METADATA = frozenset(
    # Of a line, then of a Kubernetes event.
    {"pod", "node", "logger", "trace_id", "request_id"}
    | {"kind", "name", "reason", "count", "component"}
)

# Grafana: as wide as one step of the graph, so that no line is counted twice or left out.
STEP = "$__auto"
# The whole time range: for one number or one table row, never for a graph.
WHOLE_RANGE = "$__range"


@attrs.frozen
class Stream:
    """Log lines of some streams, after some filters."""

    text: str

    def containing(self, expression: str) -> Stream:
        """Keep lines that match a regular expression or a Grafana variable, ignoring case."""
        return Stream(f"{self.text} |~ `(?i){expression}`")

    def with_text(self, text: str) -> Stream:
        """Keep lines that contain a text as it stands."""
        return Stream(f"{self.text} |= `{text}`")

    def with_metadata(self, **matchers: Matcher) -> Stream:
        """Keep lines by structured metadata, which is no stream label."""
        check_labels("structured metadata", matchers, METADATA)
        filters = (f'{key}{found.operator}"{found.value}"' for key, found in matchers.items())
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

        Only one evaluation gives exactly `number` results; a graph's topk returns more.
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


def stream(namespace: Matcher, /, **matchers: str | Matcher) -> Stream:
    """Select streams of a namespace, always: a query over every stream is slow and is refused.

    Raises:
        QueryError: For a label that is no stream label.
    """
    if namespace.operator not in ("=", "=~"):
        raise QueryError("a log query must name its namespace; it may not only exclude some")
    check_labels("a log stream", matchers, STREAM_LABELS)
    return Stream(selector({"namespace": namespace, **matchers}))
