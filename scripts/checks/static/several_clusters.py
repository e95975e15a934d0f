"""Each panel can be asked for one cluster or several, and nothing of one is taken for another's.

Through Thanos, one Grafana shows the metrics of several clusters, and a hub's Loki has their lines.
A pod, an app or a namespace of the same name in two clusters is two things.

Rules of Prometheus need no label: each cluster's own Prometheus evaluates them over its own series,
and adds its external label to the alerts that it sends. One Loki evaluates its rules over the lines
of all clusters, so these aggregate by the cluster, which the alerts keep: the notifier that Loki
has of Prometheus adds an external label only to an alert without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scripts.checks.static import alerts, queries
from scripts.checks.static.queries import Clause, ParsedQuery
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model import dashboards
from scripts.model.clusters import LABEL
from scripts.model.dashboards import FOLDER, LOGQL, DashboardQuery
from scripts.model.manifests import Repository

# `|`: or no label. One Prometheus, asked without Thanos, answers whatever is chosen.
MATCHER = f'{LABEL}=~"${LABEL}|"'
# A histogram's buckets are no things with a name.
_BUCKETS = frozenset({"le"})
_ADD = f"add `{LABEL}`: things of one name in two clusters are two"


def check(repository: Repository) -> list[Finding]:
    """Check every committed dashboard, then the rules that Loki evaluates."""
    found = [
        finding
        for board in dashboards.load(repository.root).values()
        for finding in of_dashboard(board)
    ]
    rules = {
        alert.query: alert
        for sync in repository.syncs
        for alert in alerts.alerts_of(sync)
        if alert.lang == LOGQL
    }
    return found + list(of_log_rules(rules))


def of_dashboard(board: Json) -> Iterator[Finding]:
    """Yield what is wrong with one dashboard: its variable, its selectors, its clauses."""
    place = f"{FOLDER}/{board['uid']}.json"
    variables = {v["name"]: v for v in board["templating"]["list"]}
    chosen = variables.get(LABEL)
    if chosen is None or chosen.get("allValue") != ".*":
        fault = "has no variable" if chosen is None else "does not match every cluster by All of"
        yield Finding(
            place,
            None,
            f"{fault} {LABEL!r}",
            "make it with dashboard() of dashboards_py/definition.py, which adds it",
        )
        return
    asked = [q for q in dashboards.queries(board, {LABEL: f"${LABEL}"}) if not _lists(q)]
    for query, parsed in queries.parse(asked).items():
        for text, fix in (*_selectors(parsed), *_clauses(query.lang, parsed)):
            yield Finding(query.where, None, text, fix)


def of_log_rules(rules: Iterable[DashboardQuery]) -> Iterator[Finding]:
    """Yield each aggregation or match of Loki's rules that mixes the lines of clusters."""
    for query, parsed in queries.parse(rules).items():
        aggregations = [c for c in parsed.clauses if c.keyword in ("by", "without")]
        if not parsed.error and not aggregations:
            text = "the alert does not say of which cluster it is, and counts the lines of all"
            yield Finding(query.where, None, text, f"aggregate by ({LABEL}, …)")
        for clause in parsed.clauses:
            if _mixes(clause):
                text = f"{clause} mixes the lines of clusters, where one Loki has several's"
                yield Finding(query.where, None, text, _ADD)


def _lists(query: DashboardQuery) -> bool:
    """Whether a query is that of the variable itself."""
    return query.where.endswith(f": variable {LABEL!r}")


def _selectors(parsed: ParsedQuery) -> Iterator[tuple[str, str]]:
    for selector in parsed.selectors:
        if (LABEL, "=~", f"${LABEL}|") not in selector.matchers:
            others = ", ".join(f'{name}{how}"{value}"' for name, how, value in selector.matchers)
            text = f"{selector.metric}{{{others}}} is not of the clusters that are chosen"
            yield text, f"add {MATCHER}; what dashboards_py makes has it"


def _clauses(lang: str, parsed: ParsedQuery) -> Iterator[tuple[str, str]]:
    for clause in parsed.clauses:
        # Log lines always have the label: by app alone, they are added up over clusters.
        if _mixes(clause) and not (lang == LOGQL and clause.keyword == "by"):
            yield f"{clause} mixes what is of different clusters", _ADD


def _mixes(clause: Clause) -> bool:
    if clause.keyword in ("without", "ignoring"):
        return LABEL in clause.labels
    if clause.keyword == "by":
        return bool(clause.labels - _BUCKETS) and LABEL not in clause.labels
    # `or on ()` takes the other side where there is nothing at all, of whatever cluster.
    return LABEL not in clause.labels and not (clause.operator == "or" and not clause.labels)
