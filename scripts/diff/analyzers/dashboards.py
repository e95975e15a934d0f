"""Dashboards and data sources, as Grafana gets them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Set

from scripts.core.findings import Finding, RepositoryError, counted
from scripts.core.yamlfile import Json
from scripts.diff.analyzers.wording import described, listed, query_changes, transition
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.diff.value_diff import Difference, differences
from scripts.model import dashboards
from scripts.model.manifests import Release
from scripts.model.rendered import Cluster

TOPIC = "Dashboards"
# Of a panel, what is compared for itself.
PARTS = frozenset({"gridPos", "id", "title"})
Model = Mapping[str, Json]


def analyze(pair: ClusterPair) -> Analysis:
    """Compare the dashboards by their uids, and their panels by their titles."""
    before, after = _by_uid(pair.before), _by_uid(pair.after)
    added = [uid for uid in after if uid not in before]
    # Where Grafana itself is removed, `removal` has a flag for it.
    served = bool(_grafana(pair.after))
    for uid, old in before.items():
        if uid in after:
            yield from _compared(old, after[uid])
            continue
        twin = next((new for new in added if after[new]["title"] == old["title"]), None)
        if twin is None:
            yield Sentence(TOPIC, f"{old['title']}: removed")
            now, fix = "is gone", f"Keep it, or take {uid} out of all that names it."
        else:
            added.remove(twin)
            yield from _compared(old, after[twin])
            now, fix = f"is now {twin}", f"Keep the uid {uid}, or change all that names it."
        if served:
            why = (
                f"{uid} {now}: links, alerts, bookmarks and a home page that name it lead nowhere."
            )
            yield Flag(Danger.DASHBOARD_UID, f"dashboard {old['title']}", why, fix)
    for uid in added:
        new = after[uid]
        panels = counted(len(list(dashboards.panels(new))), "panel")
        yield Sentence(TOPIC, f"{new['title']}: new, {panels}")


def datasources(pair: ClusterPair) -> Analysis:
    """Compare the uids of the data sources, which panels name, and whom they ask."""
    if not _grafana(pair.after):
        return  # There are no panels either.
    before, after = _datasources(pair.before), _datasources(pair.after)
    renamed = {name: uid for uid, name in after.items()}
    for uid, name in before.items():
        if uid not in after:
            now = f"is now {renamed[name]}" if name in renamed else "is gone"
            why = f"Panels ask the data source {uid}, which {now}: they stay empty."
            fix = f"Keep the uid {uid}."
            yield Flag(Danger.DATASOURCE_UID, f"data source {name}", why, fix)
        elif (old := _asked(pair.before, uid)) != (new := _asked(pair.after, uid)):
            yield Sentence(TOPIC, transition(f"The data source {name} asks", old, new))


def of(cluster: Cluster) -> dict[str, Model]:
    """Return every dashboard that a ConfigMap holds, by its file's name."""
    found = {}
    for item in cluster.of("ConfigMap"):
        for file, text in item.data.items():
            if file.endswith(".json") and '"panels"' in text:
                found[file] = _parsed(file, text)
    return found


@functools.lru_cache(maxsize=256)
def _parsed(file: str, text: str) -> Model:
    """Parse a dashboard, which most clusters have in common."""
    try:
        parsed: Model = json.loads(text)
    except json.JSONDecodeError as error:
        place, message = f"{dashboards.FOLDER}/{file}", f"not JSON: {error.msg}"
        finding = Finding(place, error.lineno, message, "run `make dashboards`")
        raise RepositoryError(finding) from error
    return parsed


def _by_uid(cluster: Cluster) -> dict[str, Model]:
    return {str(model.get("uid") or file): model for file, model in of(cluster).items()}


def _grafana(cluster: Cluster) -> list[Release]:
    return [release for release in cluster.sync.releases if release.chart == "grafana"]


def _datasources(cluster: Cluster) -> dict[str, str]:
    """Names of the data sources, by uid; without one, no panel can name it."""
    return {
        str(source["uid"]): source["name"]
        for release in _grafana(cluster)
        for source in dashboards.datasources(release.values)
        if source.get("uid")
    }


def _asked(cluster: Cluster, uid: str) -> str | None:
    """Return the address of a data source."""
    sources = (s for one in _grafana(cluster) for s in dashboards.datasources(one.values))
    return next((source.get("url") for source in sources if source.get("uid") == uid), None)


def _compared(old: Model, new: Model) -> Iterator[Sentence]:
    if old != new:
        yield from (Sentence(TOPIC, f"{new['title']}: {text}") for text in _differences(old, new))


def _differences(old: Model, new: Model) -> Iterator[str]:
    before, after = _panels(old), _panels(new)
    removed = [title for title in before if title not in after]
    for title in after:
        if title in before:
            continue
        # A panel with the same queries is the same panel by another name.
        queries = _queries(after[title])
        twin = next((o for o in removed if queries and _queries(before[o]) == queries), None)
        if twin is None:
            yield f"panel “{title}” added"
        else:
            removed.remove(twin)
            yield f"panel “{twin}” is called “{title}”"
    yield from (f"panel “{title}” removed" for title in removed)
    places = 0
    for title in (title for title in after if title in before):
        one, other = before[title], after[title]
        places += one.get("gridPos") != other.get("gridPos")
        for text in _panel(one, other):
            yield f"“{title}”: {text}"
    if places:
        yield f"{counted(places, 'panel')} at another place or of another size"
    one, other = ({k: v for k, v in model.items() if k != "panels"} for model in (old, new))
    yield from _settings(list(differences(one, other)))


def _panels(model: Model) -> dict[str, Model]:
    """Panels by title; a second one of the same title by its place among them."""
    found: dict[str, Model] = {}
    for panel in dashboards.panels(model):
        title, number = panel.get("title") or "untitled", 1
        while (name := f"{title} ({number})" if number > 1 else title) in found:
            number += 1
        found[name] = panel
    return found


def _queries(panel: Model) -> dict[str, str]:
    return {t["refId"]: str(t.get("expr", "")) for t in panel.get("targets") or ()}


def _panel(old: Model, new: Model) -> Iterator[str]:
    before, after = _queries(old), _queries(new)
    for reference in sorted({*before, *after}):
        if reference not in after:
            yield f"query {reference} removed"
        elif reference not in before:
            yield f"query {reference} added"
        elif before[reference] != after[reference]:
            parts = query_changes(before[reference], after[reference])
            yield f"query {reference}: {', '.join(parts)}"
    common = before.keys() & after.keys()
    yield from _settings(list(differences(_rest(old, common), _rest(new, common))))


def _rest(panel: Model, common: Set[str]) -> dict[str, Json]:
    """A panel without what is compared for itself; of its queries, those of both revisions."""
    targets = [
        {key: value for key, value in target.items() if key != "expr"}
        for target in panel.get("targets") or ()
        if target["refId"] in common
    ]
    return {key: value for key, value in panel.items() if key not in PARTS} | {"targets": targets}


def _settings(found: list[Difference]) -> Iterator[str]:
    if found:
        yield listed(described(one) for one in found)
