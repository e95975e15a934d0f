"""How long data is kept, and how Loki stores it: what cannot be taken back."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator, Mapping

import yaml

from scripts.core.quantities import byte_size, duration
from scripts.core.yamlfile import Json, get
from scripts.diff.analyzers.wording import transition
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model.rendered import Cluster

TOPIC = "Retention"
FOREVER = float("inf")
LOKI, STREAM = "Loki, retention_period", "Loki, {"
# What the Prometheus operator sets where neither a time nor a size is (pkg/prometheus/common.go).
DEFAULT = "24h"
Periods = Mapping[str, Mapping[str, Json]]


def retention(pair: ClusterPair) -> Analysis:
    """Compare for how long, and how much, Prometheus and Loki keep."""
    before, after = _retentions(pair.before), _retentions(pair.after)
    for what in sorted({*before, *after}):
        # A stream without a limit of its own has that of all.
        rest = LOKI if what.startswith(STREAM) else what
        limits = [limit for own in (before, after) if (limit := own.get(what, own.get(rest)))]
        if len(limits) < 2:
            continue
        (old, old_size), (new, new_size) = limits
        if old_size == new_size:
            continue
        yield Sentence(TOPIC, transition(f"{what}:", old, new))
        if new_size < old_size:
            why = "What is older, or more, is deleted within hours of the sync, for good."
            fix = "Keep it, or export what somebody may still need."
            yield Flag(Danger.RETENTION_SHORTENED, what, why, fix)


def schema(pair: ClusterPair, today: datetime.date | None = None) -> Analysis:
    """Compare the periods of Loki's schema: one that has begun holds data in that form.

    Args:
        pair: A cluster at both revisions.
        today: Periods that begin later hold none yet; by default today's date.
    """
    now = (today or datetime.datetime.now(tz=datetime.UTC).date()).isoformat()
    before, after = (_periods(cluster) for cluster in (pair.before, pair.after))
    if not before or not after:
        return
    for start, period in before.items():
        if start <= now and after.get(start) != period:
            verb = "is gone" if start not in after else "changes"
            why = f"The period from {start} {verb}: Loki cannot read what it stored in it."
            fix = "Restore it, and add a period with a date in the future."
            yield Flag(Danger.LOKI_SCHEMA, "Loki's schema_config", why, fix)
    for start in after.keys() - before.keys():
        if start <= now:
            why = (
                f"The new period from {start} has begun: what was stored since is in another form."
            )
            yield Flag(
                Danger.LOKI_SCHEMA, "Loki's schema_config", why, "Give it a date in the future."
            )
        else:
            yield Sentence(TOPIC, f"Loki's schema: a new period from {start}")


def seconds(text: Json) -> float:
    """Return a duration in seconds; 0 or nothing means for ever."""
    return duration(str(text or "0")) or FOREVER


def _retentions(cluster: Cluster) -> dict[str, tuple[str | None, float]]:
    """Return each limit as it is written, and as a number: seconds or bytes."""
    found: dict[str, tuple[str | None, float]] = {}
    for item in cluster.of("Prometheus"):
        size = item.spec.get("retentionSize")
        kept = item.spec.get("retention") or (None if size else DEFAULT)
        found[f"Prometheus {item.name}, retention"] = kept, seconds(kept)
        found[f"Prometheus {item.name}, retentionSize"] = size, byte_size(size) if size else FOREVER
    for config in _loki(cluster):
        deletes = get(config, "compactor", "retention_enabled") is True
        kept = get(config, "limits_config", "retention_period") if deletes else None
        found[LOKI] = kept, seconds(kept)
        for stream in get(config, "limits_config", "retention_stream") or ():
            kept = stream["period"] if deletes else None
            found[f"Loki, {stream['selector']}"] = kept, seconds(kept)
    return found


def _periods(cluster: Cluster) -> Periods:
    return {
        str(period["from"]): period
        for config in _loki(cluster)
        for period in get(config, "schema_config", "configs") or ()
    }


def _loki(cluster: Cluster) -> Iterator[Mapping[str, Json]]:
    """Yield Loki's configuration, whatever the ConfigMap's name."""
    for item in cluster.of("ConfigMap"):
        for text in item.data.values():
            if "\nschema_config:" in text:
                yield _parsed(text)


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Mapping[str, Json]:
    """Parse a configuration, which several analyzers read."""
    parsed: Mapping[str, Json] = yaml.load(text, yaml.CSafeLoader)
    return parsed
