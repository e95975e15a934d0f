"""From one Loki on a volume to a bucket, to three, to its parts, and back: what loses nothing.

Each step restarts Loki with what the step's parts render, on the volumes and the bucket that the
step before left, and writes lines on both sides of the date from which on the bucket is used. Every
line of every step so far is then counted, several times, as replicas may answer differently.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scripts.core.findings import Finding, progress
from scripts.lab.scale.logs.variants import (
    BUCKET,
    DISTRIBUTED,
    FROM_VOLUME,
    NEW,
    REPLICAS,
    variant,
)
from scripts.lab.scale.logs.writing import counted
from scripts.model.opt_ins import SCALE
from scripts.servers.api import ApiError
from scripts.servers.loki_cluster import ALL, DISTRIBUTOR, FRONTEND, LokiCluster, buckets
from scripts.servers.monitoring import push_streams
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.polling import poll
from scripts.servers.processes import Processes

# Lines of each age that a step writes.
LINES = 100
OLD, FRESH = "old", "new"
# How often they are counted, each time by any replica.
_TIMES = 6
# Seconds that a count may take until it is what it has to be.
_PATIENCE = 15
_SECOND = 10**9
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR

# A step's name, and an age.
Kind = tuple[str, str]


@dataclass(frozen=True)
class Step:
    """A state that Loki is brought to.

    Attributes:
        name: What is done.
        parts: Of base/optional/scale.
        since: The day from which on the bucket is used, from today on: -1 is yesterday.
        killed: Whether the Lokis before were killed, not asked to end.
        expired: Whether what the volume had is so old by now that nobody asks for it.
        loses: What is not always found then, as is to be shown.
    """

    name: str
    parts: tuple[str, ...] = ()
    since: int = 0
    killed: bool = False
    expired: bool = False
    loses: tuple[Kind, ...] = ()


@dataclass
class Found:
    """How many lines were found after a step.

    Attributes:
        step: Which one.
        written: Lines of each kind.
        counts: The fewest and the most that were found of each.
    """

    step: Step
    written: dict[Kind, int]
    counts: dict[Kind, tuple[int, int]] = field(default_factory=dict)

    @property
    def lost(self) -> list[Kind]:
        """The kinds of which not all were found each time."""
        return [kind for kind, count in self.written.items() if self.counts[kind] != (count, count)]


_VOLUME = Step("one, on its volume")
_PERIOD = Step("the bucket from today on", (BUCKET, FROM_VOLUME))
_EXPIRED = Step("the volume's have expired", (BUCKET, FROM_VOLUME), expired=True)
_THREE = Step("three", (BUCKET, FROM_VOLUME, REPLICAS))
_PARTS = Step("its parts", (BUCKET, FROM_VOLUME, DISTRIBUTED))
_OUT = "the bucket taken out again"
_NEW = Step("one, in a bucket", (BUCKET, NEW))
_NEW_THREE = Step("three, in a bucket", (BUCKET, NEW, REPLICAS))
# What to do, forth and back; then what not to do, and what that loses.
SCENARIOS: tuple[tuple[Step, ...], ...] = (
    (
        _VOLUME,
        _PERIOD,
        _EXPIRED,
        _THREE,
        _PARTS,
        Step("back to three", _THREE.parts),
        Step("back to one", _PERIOD.parts),
    ),
    (
        _VOLUME,
        _PERIOD,
        Step(
            "three while lines are on the volume",
            _THREE.parts,
            loses=((_VOLUME.name, OLD), (_PERIOD.name, OLD)),
        ),
    ),
    (
        _VOLUME,
        _PERIOD,
        Step(_OUT, loses=((_PERIOD.name, FRESH),)),
        Step("and in again", _PERIOD.parts, loses=((_OUT, FRESH),)),
    ),
    (
        _VOLUME,
        Step(
            "the bucket from yesterday on",
            _PERIOD.parts,
            since=-1,
            loses=((_VOLUME.name, OLD),),
        ),
    ),
    (
        _NEW,
        Step(
            "three, the one was killed",
            _NEW_THREE.parts,
            killed=True,
            loses=((_NEW.name, FRESH), (_NEW.name, OLD)),
        ),
        Step("once these are in the bucket", _NEW_THREE.parts),
    ),
    (
        _NEW_THREE,
        Step(
            "its parts, the three were killed",
            (BUCKET, NEW, DISTRIBUTED),
            killed=True,
            loses=((_NEW_THREE.name, OLD), (_NEW_THREE.name, FRESH)),
        ),
    ),
)


def prove(steps: Sequence[Step]) -> tuple[list[Found], list[Finding]]:
    """Go through steps on the same volumes and the same bucket.

    Args:
        steps: In their order; the first begins with nothing.

    Returns:
        What was found after each, and what is not as the steps say.
    """
    results: list[Found] = []
    written: dict[Kind, int] = {}
    with Processes() as processes:
        storage = ObjectStorage(processes, *buckets(variant(BUCKET, NEW)))
        before: LokiCluster | None = None
        for step in steps:
            progress(f"Loki: {step.name}")
            if before:
                _end(before, killed=step.killed)
            if step.expired and before:
                before.lose_volumes()
                written = {kind: n for kind, n in written.items() if _in_bucket(kind, results)}
            since = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(step.since)
            cluster = variant(*step.parts, since=str(since) if FROM_VOLUME in step.parts else "")
            loki = LokiCluster(processes, cluster, storage if step.parts else None)
            loki.start()
            # Before anything is in the bucket, it is the day before the date.
            first = FRESH if results or step.parts else OLD
            _write(loki, (step.name, first))
            written[step.name, first] = LINES
            results.append(_count(loki, step, written))
            # Lines that come hours late are found as soon as they are in a chunk that is stored.
            if first == FRESH and not any(one.step.expired for one in results):
                _write(loki, (step.name, OLD))
                written[step.name, OLD] = LINES
            before = loki
    return results, [f for one in results for f in judge(one)]


def _end(loki: LokiCluster, *, killed: bool) -> None:
    if killed:
        loki.kill(*loki.members)
        return
    # All is stored then, and days later the write-ahead log has none of it any more.
    loki.stop()
    loki.lose_write_ahead_logs()


def _in_bucket(kind: Kind, results: Sequence[Found]) -> bool:
    """Say whether lines were written to the bucket: today, while it was used."""
    name, age = kind
    return age == FRESH and next(bool(r.step.parts) for r in results if r.step.name == name)


def _selector(kind: Kind) -> str:
    return f'{{app="{kind[0]}", level="{kind[1]}"}}'


def _times(age: str) -> tuple[int, int]:
    """Return when lines may be from: yesterday evening, or today until now (ns)."""
    now = time.time_ns()
    midnight = now // _DAY * _DAY
    return (midnight - 7 * _HOUR, midnight - 6 * _HOUR) if age == OLD else (midnight, now)


def _write(loki: LokiCluster, kind: Kind) -> None:
    first, last = _times(kind[1])
    first = max(first, last - 60 * _SECOND)
    gap = (last - first) // LINES
    values = [[str(first + number * gap), f"line {number}"] for number in range(LINES)]
    labels = {"namespace": "default", "cluster": "scale", "app": kind[0], "level": kind[1]}
    with loki.api(ALL, DISTRIBUTOR) as api:
        push_streams(api, {json.dumps(labels): values})


def _count(loki: LokiCluster, step: Step, written: dict[Kind, int]) -> Found:
    found = Found(step, dict(written))

    def missing() -> str:
        for kind in written:
            numbers = [_counted(loki, kind) for _ in range(_TIMES)]
            found.counts[kind] = min(numbers), max(numbers)
        # Two answers of three are enough for a query: what one replica alone has is found or not.
        return "" if set(found.lost) == set(step.loses) else "lines"

    poll(missing, _PATIENCE)
    return found


def _counted(loki: LokiCluster, kind: Kind) -> int:
    first, last = _times(kind[1])
    try:
        with loki.api(ALL, FRONTEND) as api:
            return counted(api, _selector(kind), max(first, last - _HOUR) - 1, last)
    except ApiError:
        return 0


def judge(found: Found) -> Iterator[Finding]:
    """Compare what was found after a step with what it says."""
    for name, age in found.lost:
        if (name, age) not in found.step.loses:
            least, most = found.counts[name, age]
            few = f"{least} to {most} of {LINES}"
            text = f"{found.step.name}: {few} {age} lines of {name!r} are found"
            yield Finding(SCALE, None, text, "see the table")
    for name, age in set(found.step.loses) - set(found.lost):
        text = f"{found.step.name}: all {age} lines of {name!r} are found, although it says not"
        yield Finding(SCALE, None, text, "correct the step, and what is written about it")


def table(results: Sequence[Found]) -> str:
    """Return a line for each step: of the lines of each step so far, the fewest and most found."""
    lines = [f"{'step':38}of the lines of each step so far, found"]
    for one in results:
        names = list(dict.fromkeys(name for name, _ in one.written))
        cells = []
        for name in names:
            ages = {age: one.counts[name, age] for age in (FRESH, OLD) if (name, age) in one.counts}
            cells.append(
                ", ".join(
                    f"{age} {least if least == most else f'{least}-{most}'}"
                    for age, (least, most) in ages.items()
                )
            )
        lines.append(f"{one.step.name:38}{' | '.join(f'{cell:<18}' for cell in cells).rstrip()}")
    return "\n".join(lines)
