"""What Prometheus scrapes: monitors, probes and scrape configurations, the charts' included."""

from __future__ import annotations

from scripts.core.findings import counted
from scripts.diff import normalization
from scripts.diff.analyzers import selection
from scripts.diff.analyzers.wording import described, listed
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.diff.value_diff import differences
from scripts.model.scraping import MONITORS

TOPIC = "Scrape targets"


def analyze(pair: ClusterPair) -> Analysis:
    """Compare the objects that say what is scraped, and whether Prometheus takes them up."""
    for kind in sorted(MONITORS):
        if names := selection.unselected(pair, kind):
            why = "No Prometheus selects this any more: what it scrapes is not measured."
            yield Flag(Danger.MONITOR_UNSELECTED, listed(names), why, selection.fix(kind))
    if not pair.before.sync.units:
        new = sum(key.kind in MONITORS for key, _, _ in pair.differing)
        yield Sentence(TOPIC, f"{counted(new, 'monitor')} of a new cluster")
        return
    for key, before, after in pair.differing:
        if key.kind not in MONITORS:
            continue
        if before is None:
            yield Sentence(TOPIC, f"{key}: new")
        elif after is None:
            yield Sentence(TOPIC, f"{key}: removed")
        else:
            old, new = (
                normalization.normalized(manifest, names)["spec"]
                for manifest, names in zip((before, after), pair.names, strict=True)
            )
            if parts := [described(one) for one in differences(old, new)]:
                yield Sentence(TOPIC, f"{key}: {listed(parts)}")
