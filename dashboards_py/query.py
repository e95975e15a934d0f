"""What PromQL and LogQL have in common: where data comes from, matchers, a finished query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

import attrs


class QueryError(ValueError):
    """A query that can return nothing useful; the message names the metric and the label."""


class Language(Enum):
    """The language of a query; decides the datasource that answers it."""

    PROMQL = "promql"
    LOGQL = "logql"


@attrs.frozen
class Matcher:
    """One label matcher: an operator (`=`, `!=`, `=~`, `!~`) and the value beside it."""

    operator: str
    value: str


def regex(value: str) -> Matcher:
    """Match a regular expression, or a Grafana variable with several values."""
    return Matcher("=~", value)


def not_equal(value: str) -> Matcher:
    """Match everything but one value."""
    return Matcher("!=", value)


# The cluster that a series or a log line is of. Each line has it from Alloy, each series through
# Thanos. A Prometheus that is asked itself does not show its external labels.
CLUSTER = "cluster"
# Those that are chosen at the top of each dashboard, or, after `|`, no such label: without Thanos,
# a link of a notification names the cluster as well, and must not lead to an empty page.
CHOSEN_CLUSTERS = regex(f"${CLUSTER}|")


def selector(matchers: Mapping[str, str | Matcher]) -> str:
    r"""Return `{cluster=~"$cluster|", label="value",…}`, as every selector names its cluster.

    Values are escaped, except for Grafana variables.

    Args:
        matchers: Label to value; a plain string means equality.
    """
    parts = []
    for label, matcher in {CLUSTER: CHOSEN_CLUSTERS, **matchers}.items():
        found = matcher if isinstance(matcher, Matcher) else Matcher("=", matcher)
        value = found.value.replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'{label}{found.operator}"{value}"')
    return "{" + ", ".join(parts) + "}"


@attrs.frozen
class Source:
    """Where data comes from.

    Attributes:
        name: The program that exports it, such as "kube-state-metrics".
        no_value: What a panel shows when there is no data.
        matchers: Matchers that every series of this source needs.
    """

    name: str
    no_value: str
    matchers: Mapping[str, str | Matcher] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True)
class Query:
    """A finished query.

    Attributes:
        language: PromQL or LogQL.
        expr: The text, with Grafana variables in it.
        labels: Labels of the result; legends and columns may name no other.
        sources: Where the data comes from, in the order of first mention.
        lines: True where the result is log lines instead of numbers.
    """

    language: Language
    expr: str
    labels: frozenset[str]
    sources: tuple[Source, ...]
    lines: bool = False


def check_labels(what: str, labels: Iterable[str], known: frozenset[str]) -> None:
    """Raise QueryError for the first label that `what` does not have."""
    for label in labels:
        if label not in known:
            has = ", ".join(sorted(known)) or "none"
            raise QueryError(f"{what} has no label {label!r}; it has: {has}")
