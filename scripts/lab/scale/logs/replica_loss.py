"""One of three replicas dies while lines are written and read: none is lost, none is there twice.

Alloy itself sends, from a file, through something like a Service, and tries again what is refused.
In the end every volume is taken away, so that the bucket alone has to have all.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scripts.core.findings import Finding
from scripts.lab.scale.logs.writing import SELECTOR, Writer, alloy, counted, stored
from scripts.model.rendered import Cluster
from scripts.servers.api import ApiError
from scripts.servers.loki_cluster import ALL, LokiCluster, buckets
from scripts.servers.monitoring import Override
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.polling import poll
from scripts.servers.processes import Processes

# Lines a second; Alloy drops what a pod writes beyond 50 (base/logs/pods.alloy, stage.limit).
RATE = 40
# Seconds that the last line may take: Alloy's pipeline waits for sequels.
_LATEST = 30
# Seconds that a push may take where nothing is wrong.
_UNDER_WAY = 2
# Seconds after which a reader gives up: Loki itself may wait for the dead for minutes.
_PATIENCE = 3
_SECOND = 10**9
_BUCKET = 5 * _SECOND
PLACE = "base/optional/scale/loki-replicas"


@dataclass
class Phase:
    """What readers and writers saw in a part of the time.

    Attributes:
        name: What is so in it.
        written: How many lines had been written in it.
        found: How many of those were there in the end.
        reads: How often all lines so far were counted.
        refused: How many of these got no answer.
        slowest: Seconds of the slowest that got one.
        message: What the last that was refused said.
    """

    name: str
    written: int = 0
    found: int = 0
    reads: int = 0
    refused: int = 0
    slowest: float = 0.0
    message: str = ""


@dataclass
class Outcome:
    """What became of all lines.

    Attributes:
        phases: In their order.
        retried: How often Alloy sent a batch again.
        findings: What was lost, doubled or answered wrongly.
    """

    phases: list[Phase] = field(default_factory=list)
    retried: int = 0
    findings: list[Finding] = field(default_factory=list)

    def table(self) -> str:
        """Return a line for each phase."""
        lines = [
            f"{'one of three replicas dies':34}{'written':>9}{'found':>7}"
            f"{'reads':>7}{'refused':>9}{'slowest, s':>12}"
        ]
        for one in self.phases:
            lines.append(
                f"{one.name:34}{one.written:>9}{one.found:>7}"
                f"{one.reads:>7}{one.refused:>9}{one.slowest:>12.2f}"
            )
        lines += [f"{one.name}: {one.message}" for one in self.phases if one.message]
        return "\n".join([*lines, f"batches that Alloy sent again: {self.retried}"])


class _Watch:
    """Counts all lines again and again while they are written."""

    def __init__(self, loki: LokiCluster, writer: Writer, outcome: Outcome) -> None:
        self._loki, self._writer, self._outcome = loki, writer, outcome
        # In front of the first line, however late this is.
        self._began = time.time_ns() - 60 * _SECOND
        self._settled = 0
        self._marks: list[int] = []

    def during(self, name: str, seconds: float) -> None:
        """Watch for a time."""
        phase = Phase(name)
        self._outcome.phases.append(phase)
        end = time.monotonic() + seconds
        found: list[tuple[float, int]] = []
        while time.monotonic() < end:
            time.sleep(0.4)
            count = self._read(phase)
            found.append((time.monotonic(), count))
        # Lines of a push that is under way may be found here and not there. What has been found for
        # a while before something dies has been acknowledged, and must always be found.
        if not phase.refused:
            early = (count for at, count in found if at < end - _UNDER_WAY)
            self._settled = max(early, default=self._settled)
        self._marks.append(len(self._writer.moments))

    def _read(self, phase: Phase) -> int:
        phase.reads += 1
        began = time.monotonic()
        try:
            # Each time at another replica, as a Service leads to any of them.
            with self._loki.api(ALL, timeout=_PATIENCE) as api:
                found = counted(api, SELECTOR, self._began, time.time_ns())
        except ApiError as error:
            phase.refused += 1
            phase.message = str(error)[:160]
            return 0
        phase.slowest = max(phase.slowest, time.monotonic() - began)
        written = len(self._writer.moments)
        if not self._settled <= found <= written:
            text = f"{phase.name}: {found} lines are found, after {self._settled}, of {written}"
            self._outcome.findings.append(Finding(PLACE, None, text, "see the table"))
        return found

    def judge(self, name: str, found: Counter[int]) -> None:
        """Compare what is stored in the end with what was written."""
        total = len(self._writer.moments)
        self._outcome.findings += compare(name, total, found)
        begin = 0
        for phase, mark in zip(self._outcome.phases, self._marks, strict=True):
            end = total if mark == self._marks[-1] else mark
            phase.written = end - begin
            phase.found = sum(1 for number in range(begin, end) if found[number])
            begin = end


def compare(name: str, written: int, found: Counter[int]) -> Iterator[Finding]:
    """Find numbers that are missing, or that are there more than once.

    Args:
        name: Where they were looked for.
        written: How many there are, from 0 on.
        found: How often each was found.
    """
    missing = [number for number in range(written) if not found[number]]
    doubled = [number for number, times in found.items() if times > 1]
    for numbers, what in ((missing, "lost"), (doubled, "stored more than once")):
        if numbers:
            text = f"{name}: {len(numbers)} of {written} lines are {what}, such as {numbers[0]}"
            yield Finding(PLACE, None, text, "see what the replicas' logs say")


def by_time(name: str, loki: LokiCluster, moments: Sequence[int]) -> Iterator[Finding]:
    """Compare `count_over_time`, as panels ask it, with what was written in each five seconds."""
    first, last = moments[0] // _BUCKET * _BUCKET, moments[-1] // _BUCKET * _BUCKET + _BUCKET
    # A range reaches back from its step, and its beginning is not in it.
    written = Counter(-(-moment // _BUCKET) * _BUCKET // _SECOND for moment in moments)
    seconds = _BUCKET // _SECOND
    form = {
        "query": f"sum(count_over_time({SELECTOR}[{seconds}s]))",
        "start": str(first),
        "end": str(last),
        "step": f"{seconds}s",
    }
    with loki.api(ALL) as api:
        result = api.get("/loki/api/v1/query_range", form)["data"]["result"]
    found = {int(at): int(value) for one in result for at, value in one["values"]}
    for at in sorted(set(found) | set(written)):
        if found.get(at, 0) != written[at]:
            text = f"{name}: {found.get(at, 0)} lines in the 5 s before {at}, of {written[at]}"
            yield Finding(PLACE, None, text, "see what the replicas' logs say")


def prove(
    cluster: Cluster,
    seconds: float = 8,
    overrides: Sequence[Override] = (),
    *,
    lose_volume: bool = False,
) -> Outcome:
    """Write and read while replicas die and come back.

    Args:
        cluster: A cluster whose Loki has three replicas and a bucket.
        seconds: How long each phase lasts.
        overrides: Of Loki's configuration.
        lose_volume: Whether the first that dies comes back with nothing.
    """
    outcome = Outcome()
    with Processes() as processes:
        storage = ObjectStorage(processes, *buckets(cluster))
        loki = LokiCluster(processes, cluster, storage, overrides)
        loki.start()
        logs = processes.folder("pods")
        with (
            loki.service(ALL) as service,
            Writer(logs, RATE) as writer,
            alloy(processes, logs, service.host),
        ):
            watch = _Watch(loki, writer, outcome)
            watch.during("all three run", seconds)
            first, second, *_ = sorted(loki.members, key=loki.streams, reverse=True)
            loki.kill(first)
            if lose_volume:
                loki.lose_volumes(first)
            watch.during("one is dead", seconds)
            loki.restart(first)
            watch.during("it is back", seconds)
            loki.kill(first, second)
            watch.during("two are dead", seconds / 2)
            loki.restart(first, second)
            watch.during("they are back", seconds)
            writer.end()
            _settle(loki, writer)
            outcome.retried = processes.log("alloy").count("error sending batch")
        began, now = writer.moments[0], writer.moments[-1]
        with loki.api(ALL) as api:
            watch.judge("in the end", stored(api, SELECTOR, began, now))
        outcome.findings += by_time("in the end", loki, writer.moments)
        loki.stop()
        loki.lose_volumes()
        loki.restart(*loki.members)
        with loki.api(ALL) as api:
            found = stored(api, SELECTOR, began, now)
        outcome.findings += compare("without any volume", len(writer.moments), found)
        outcome.findings += by_time("without any volume", loki, writer.moments)
    return outcome


def _settle(loki: LokiCluster, writer: Writer) -> None:
    """Wait until the last line is there; where one is lost, as long as it may take."""

    def missing() -> str:
        with contextlib.suppress(ApiError), loki.api(ALL) as api:
            found = counted(api, SELECTOR, writer.moments[0] - 1, time.time_ns())
            return "" if found >= len(writer.moments) else f"{found} lines"
        return "no answer"

    poll(missing, _LATEST)
