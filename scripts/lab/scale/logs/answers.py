"""Every query on logs of every dashboard: what one Loki on a volume answers, three answer, too.

Between writing and reading all volumes are taken away: answers come from the bucket alone.
"""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.grafana import evaluation
from scripts.grafana.evaluation import QueryResult
from scripts.grafana.model import DashboardModel
from scripts.grafana.timing import TimeRange
from scripts.model.dashboards import LOGQL
from scripts.model.rendered import Cluster
from scripts.servers import monitoring
from scripts.servers.api import Api
from scripts.servers.loki_cluster import ALL, DISTRIBUTOR, FRONTEND, RULER, LokiCluster, buckets
from scripts.servers.monitoring import Override, Servers
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.polling import poll
from scripts.servers.processes import Processes
from scripts.simulation import Day

# Dashboard, panel, letter, and which of its copies, to what came back.
Answers = Mapping[tuple[str, str, str, int], QueryResult]
# So that nobody waits a minute.
_RULER_INTERVAL = Override("ruler.evaluation_interval", "2s", "so that nobody waits a minute")
# A line would have the number of its part as a label, whichever distributor took it.
_WHOLE_STREAMS = Override(
    "limits_config.shard_streams",
    {"enabled": False},
    "a day's lines in seconds are a rate at which Loki divides streams",
)
_PLACE = "base/optional/scale"
# Seconds that rules may take until they are evaluated.
_PATIENCE = 30
# What no pipeline lets through; the alert has no `for`.
_SECRET, _ALERT = "Bearer 0123456789abcdef0123456789", "LogsHoldSecrets"
_ONLY = {"namespace": "default", "app": "scale", "cluster": "scale", "container": "scale"}


@dataclass(frozen=True)
class Asked:
    """All queries, asked of one kind of Loki.

    Attributes:
        name: Which kind.
        processes: How many.
        answers: What came back.
        objects: In the bucket, where there is one.
        stored: Bytes of these, without copies.
        refused: Uploads that the server refused for their encoding.
        rules: How many rules are evaluated, and by how many rulers each.
    """

    name: str
    processes: int
    answers: Answers
    objects: int = 0
    stored: int = 0
    refused: int = 0
    rules: str = ""

    @property
    def seconds(self) -> float:
        """Of all queries, one after the other."""
        return sum(result.seconds for result in self.answers.values())


def ask(
    name: str,
    cluster: Cluster,
    prometheus: Api,
    day: Day,
    boards: Sequence[DashboardModel],
    *,
    refuse_chunked: bool = False,
) -> tuple[Asked, list[Finding]]:
    """Write a day, take the volumes away where there is a bucket, and ask every query.

    Args:
        name: What to call it.
        cluster: With the rendered Loki.
        prometheus: Holds the day's metrics, which variables ask for.
        day: Which day.
        boards: Whose queries.
        refuse_chunked: As of `ObjectStorage`.
    """
    progress(f"every query on logs: {name}")
    kept = buckets(cluster)
    with Processes() as processes:
        storage = ObjectStorage(processes, *kept, refuse_chunked=refuse_chunked) if kept else None
        loki = LokiCluster(processes, cluster, storage, (_RULER_INTERVAL, _WHOLE_STREAMS))
        loki.start()
        with loki.api(ALL, DISTRIBUTOR) as api:
            sent = monitoring.send(api, day.logs)
        if storage:
            loki.stop()
            loki.lose_volumes()
            loki.restart(*loki.members)
        with loki.api(ALL, FRONTEND) as api:
            _check_sent(api, sent)
            # The first time, what was read from the bucket is not in memory yet.
            answers = _answers(Servers(prometheus, api), boards, day)
        findings, rules = _rules(loki, cluster)
        objects = [one for bucket in kept for one in storage.objects(bucket)] if storage else []
        asked = Asked(
            name,
            len(loki.members),
            answers,
            len(objects),
            sum(one.size for one in objects),
            storage.refused if storage else 0,
            rules,
        )
    return asked, findings


def _check_sent(api: Api, sent: monitoring.Sent) -> None:
    """See that all lines are there, in one of a few answers.

    With a bucket, a Loki that does everything asks the ingesters for what is younger than some
    hours and the bucket for the rest, and the ingesters look at the clock a little later: a line of
    these milliseconds is missing in that answer, and is there in the next.
    """

    def missing() -> str:
        try:
            monitoring.check_sent(api, sent)
        except RepositoryError as error:
            return str(error)
        return ""

    if text := poll(missing, _PATIENCE):
        raise RepositoryError(Finding(_PLACE, None, text, "see what Loki's log says"))


def _answers(servers: Servers, boards: Sequence[DashboardModel], day: Day) -> Answers:
    time_range: TimeRange = evaluation.time_range_at(day.at)
    found = {}
    for board in boards:
        if not any(t.language == LOGQL for panel in board.panels for t in panel.targets):
            continue
        opened = evaluation.open_dashboard(servers, board, time_range)
        for number, result in enumerate(opened.results):
            if result.target.language == LOGQL:
                found[board.uid, result.title, result.target.ref, number] = result
    return found


def differences(one: Asked, other: Asked) -> Iterator[Finding]:
    """Find queries that are refused, or that have another answer.

    Args:
        one: What has to come back.
        other: What does.
    """
    for key, wanted in one.answers.items():
        uid, title, ref, _ = key
        found = other.answers.get(key)
        place = f"{other.name}: {uid}, panel {title!r}, query {ref}"
        if found is None or found.error:
            text = found.error if found else "it is not asked"
            yield Finding(_PLACE, None, f"{place}: {text}", "see Loki's message")
        elif wanted.error or _comparable(found) != _comparable(wanted):
            text = f"{place}: another answer than that of {one.name}: {found.expr}"
            yield Finding(_PLACE, None, text, "compare what both answer")


def _comparable(result: QueryResult) -> list[str]:
    """Return series, or lines, in an order of their own: servers need not keep any.

    Of lines of one moment, where the limit cuts, any may be left out.
    """
    if result.type != "streams":
        return sorted(json.dumps(one, sort_keys=True) for one in result.data)
    lines = [(entry[0], one["stream"], entry) for one in result.data for entry in one["values"]]
    oldest = min((moment for moment, _, _ in lines), default="")
    cut = len(lines) >= result.target.max_lines
    kept = (line for line in lines if not (cut and line[0] == oldest))
    return sorted(json.dumps(line, sort_keys=True) for line in kept)


def _rules(loki: LokiCluster, cluster: Cluster) -> tuple[list[Finding], str]:
    """See that each mounted rule is evaluated, and that an alert fires."""
    entry = [[str(time.time_ns()), _SECRET]]
    with loki.api(ALL, DISTRIBUTOR) as api:
        monitoring.push_streams(api, {json.dumps(_ONLY): entry})
    groups = [
        group
        for text in monitoring.loki_rule_texts(cluster).values()
        for group in yaml.safe_load(text)["groups"]
    ]
    wanted = {rule["alert"] for group in groups for rule in group["rules"]}
    findings = []
    rulers = loki.of(ALL, RULER)
    for member in rulers:
        with contextlib.closing(Api(member.http)) as api:
            if missing := poll(functools.partial(_unevaluated, api, wanted), _PATIENCE):
                text = f"the ruler of {member.name}: {missing}"
                findings.append(Finding("base/logs/rules", None, text, "see what its log says"))
    return findings, f"{len(wanted)} by {len(rulers)}"


def _unevaluated(api: Api, wanted: set[str]) -> str:
    groups = api.get("/prometheus/api/v1/rules")["data"]["groups"]
    rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
    if absent := wanted - set(rules):
        return f"{sorted(absent)} are not loaded"
    if bad := [rule["name"] for rule in rules.values() if rule["health"] != "ok"]:
        return f"{sorted(bad)} are not evaluated"
    return "" if rules[_ALERT]["state"] == "firing" else f"{_ALERT} does not fire"


def table(asked: Sequence[Asked]) -> str:
    """Return a line for each kind of Loki, seconds beside those of the first."""
    lines = [
        f"{'every query on logs':32}{'processes':>10}{'queries':>9}{'seconds':>9}{'ratio':>7}"
        f"{'objects':>9}{'MB':>7}{'refused':>9}{'rules':>8}"
    ]
    for one in asked:
        ratio = one.seconds / asked[0].seconds
        lines.append(
            f"{one.name:32}{one.processes:>10}{len(one.answers):>9}{one.seconds:>9.2f}{ratio:>7.2f}"
            f"{one.objects:>9}{one.stored / 1e6:>7.2f}{one.refused:>9}{one.rules:>8}"
        )
    return "\n".join(lines)
