"""The Secrets that something reads, none of which is in git."""

from __future__ import annotations

from scripts.diff.model import Analysis, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model import credentials
from scripts.model.rendered import Cluster

TOPIC = "Secrets"
# By namespace and name; none where a Secret is read as a whole.
Keys = dict[str, frozenset[str]]


def analyze(pair: ClusterPair) -> Analysis:
    """Compare the Secrets and keys that values, objects and the charts' pods name."""
    (before, needed), (after, needs) = _read_keys(pair.before), _read_keys(pair.after)
    for place, keys in after.items():
        if place not in needs:
            if place not in before:
                text = f"{_with_keys(place, keys)} is read where there is one: nothing waits for it"
                yield Sentence(TOPIC, text)
            elif place in needed:
                yield Sentence(TOPIC, f"{place} is still read, but nothing waits for it any more")
        elif place not in needed:
            what = _with_keys(place, needs[place])
            text = f"{what} is needed: create it before the merge, with `make secrets`"
            yield Sentence(TOPIC, text)
        elif more := needs[place] - needed[place]:
            text = f"{place} needs {', '.join(sorted(more))}, too: add it before the merge"
            yield Sentence(TOPIC, text)
    for place in before.keys() - after.keys():
        yield Sentence(TOPIC, f"{place} is not read any more: it may be deleted after the sync")


def _with_keys(place: str, keys: frozenset[str]) -> str:
    return f"{place} with {', '.join(sorted(keys))}" if keys else place


def _read_keys(cluster: Cluster) -> tuple[Keys, Keys]:
    """The keys that are read of each Secret, and those without which something waits."""
    every: Keys = {}
    needed: Keys = {}
    named = [reference.secret for reference in credentials.secrets_read(cluster.sync)]
    for pod in cluster.pods:
        own = credentials.secrets_in_values("", pod.owner.namespace, pod.spec)
        named += [secret for _, secret in own]
    for secret in named:
        place = f"{secret.namespace}/{secret.name}"
        for found in (every,) if secret.optional else (every, needed):
            found[place] = found.get(place, frozenset()) | secret.keys
    return every, needed
