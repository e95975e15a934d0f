"""What an assistant is told of a report, each answer short enough to be read with others."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.diff.model import Action
from scripts.diff.outputs import DATA, formatting

Report = Mapping[str, Json]
Answer = dict[str, Json]
# Characters of an answer, some 6,000 tokens. What a report says has less, as names of fields and
# the words around them take some; and one text has so much that it cannot push out all others.
MOST, LIMIT, TEXT = 20_000, 17_000, 1_000
# Items of a page, if they have room.
PAGE = 50


class _Room:
    """The characters that an answer has left."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.left = limit

    def take(self, items: Sequence[Json], most: int | None = None) -> list[Json]:
        """Return items up to the first that has no room."""
        kept: list[Json] = []
        for item in items[:most]:
            length = len(json.dumps(item, ensure_ascii=False)) + 2
            if length > self.left:
                break
            self.left -= length
            kept.append(item)
        return kept


def summary(report: Report, cluster: str = "") -> Answer:
    """Return the whole change in short: flags, charts, budget, sentences, counts.

    Args:
        report: The report.
        cluster: What concerns it alone; `cluster` or `cluster/engine`.

    Raises:
        RepositoryError: If nothing in the report is about that cluster.
    """
    _check_cluster(report, cluster)
    about = _about(cluster)
    answer: Answer = {
        "change": f"{report['base']} → {report['head']}",
        "written": report["written"],
        "cluster": cluster or "all",
        "clusters_that_change": sorted(_clusters(report)),
        "headline_of_all": " · ".join(report["headline"]),
    }
    if report["blocking"]:
        answer["blocking"] = (
            "The change must not be merged as it is: see flags that block, and not_compared."
        )
    parts: dict[str, list[Json]] = {
        "flags": [_flag(one) for one in report["flags"] if about(one)],
        "not_compared": [_fault(one) for one in report["faults"]],
        "charts": [_bump(one) for one in report["bumps"] if about(one)],
        "budget": list(_budget(report, cluster)),
        "sentences": [_sentence(*one) for one in _sentences(report) if about(one[1])],
        "objects": [_count(one) for one in report["counts"] if about(one)],
        "dashboards": [one["dashboard"] for one in report["pictures"]],
    }
    # Each has its own, so that many flags leave room for the rest.
    rooms = {"flags": _Room(LIMIT // 2), "sentences": _Room(LIMIT // 4)}
    others = _Room(LIMIT // 4)
    left = {}
    for name, items in parts.items():
        answer[name] = rooms.get(name, others).take(items)
        if more := len(items) - len(answer[name]):
            left[name] = more
    if left:
        words = ", ".join(f"{number} {name}" for name, number in left.items())
        pages = "diff_list has pages of objects, flags and sentences"
        answer["more"] = f"Left out, as there is no room: {words}; {pages}."
    return answer


def listing(
    report: Report,
    what: str = "objects",
    cluster: str = "",
    kind: str = "",
    flag: str = "",
    text: str = "",
    offset: int = 0,
) -> Answer:
    """Return a page of objects, flags or sentences, those that match all that is given.

    Args:
        report: The report.
        what: `objects`, `flags` or `sentences`.
        cluster: `cluster` or `cluster/engine`.
        kind: Of an object.
        flag: A flag's name: those flags, or the objects that they are about.
        text: What an item holds, in letters of either case.
        offset: How many to pass over.

    Raises:
        RepositoryError: If the report knows no such cluster, kind or flag.
    """
    _check_cluster(report, cluster)
    _check("kind", kind, {change["kind"] for change in report["changes"]})
    _check("flag", flag, {one["name"] for one in report["flags"]})
    about = _about(cluster)
    raised = [one for one in report["flags"] if about(one) and flag in ("", one["name"])]
    if what == "flags":
        found = [_flag(one) for one in raised]
    elif what == "sentences":
        found = [_sentence(*one) for one in _sentences(report) if about(one[1])]
    else:
        found = [
            _listed(change, report["flags"])
            for change in report["changes"]
            if about(change)
            and kind in ("", change["kind"])
            and (not flag or any(_concerns(one, change) for one in raised))
        ]
    found = [one for one in found if text.lower() in json.dumps(one, ensure_ascii=False).lower()]
    page = _Room().take(found[offset:], PAGE)
    answer: Answer = {"total": len(found), what: page}
    if (end := offset + len(page)) < len(found):
        answer["more"] = f"{len(found) - end} more: ask again with offset={end}"
    return answer


def difference(report: Report, title: str, cluster: str = "", offset: int = 0) -> Answer:
    """Return the difference of one object, with its flags; where it is long, a page of it.

    Args:
        report: The report.
        title: Of the object: `Kind namespace/name`.
        cluster: `cluster` or `cluster/engine`.
        offset: How many characters of the difference to pass over.

    Raises:
        RepositoryError: If no such object differs, there or anywhere.
    """
    _check_cluster(report, cluster)
    titles = [change["title"] for change in report["changes"]]
    if title not in titles:
        alike = difflib.get_close_matches(title, dict.fromkeys(titles), 3, 0.5)
        holding = [one for one in dict.fromkeys(titles) if title.lower() in one.lower()]
        near = list(dict.fromkeys((*holding[:5], *alike)))
        hint = f"take one of: {', '.join(near)}" if near else "diff_list lists those that do"
        raise _error(f"no object {_clip(title)} differs", hint)
    about = _about(cluster)
    found = [one for one in report["changes"] if one["title"] == title and about(one)]
    if not found:
        raise _error(f"{title} does not differ in {cluster}", "ask without cluster")
    flags = [one for one in report["flags"] if any(_concerns(one, each) for each in found)]
    told = _Room(LIMIT // 2)
    raised = told.take([_flag(one) for one in flags])
    left, passed, shown = LIMIT // 2 + told.left, offset, 0
    differences: list[Json] = []
    for change in found:
        piece = _fitting(change["text"][passed : passed + left], left)
        passed = max(passed - len(change["text"]), 0)
        left = max(left - len(json.dumps(piece, ensure_ascii=False)), 0)
        shown += len(piece)
        differences.append(
            {
                "action": change["action"],
                "by": _owner(change),
                "where": _clip(formatting.places(change["places"])),
                "edits": len(change["edits"]),
                "difference": piece,
            }
        )
    answer: Answer = {"title": title, "flags": raised, "differences": differences}
    total, end = sum(len(change["text"]) for change in found), offset + shown
    if end < total:
        answer["more"] = f"{total - end} more characters: ask again with offset={end}"
    return answer


def _fitting(text: str, room: int) -> str:
    """Return as much of a text as has room in JSON, where quotes and ends of lines take two."""
    while text and (length := len(json.dumps(text, ensure_ascii=False))) > room:
        text = text[: len(text) * room // length]
    return text


# What items look like


def _owner(item: Report) -> str:
    return _clip(f"release {item['unit']}" if item["release"] else item["unit"])


def _flag(flag: Report) -> Json:
    return {
        "flag": flag["name"],
        "about": _clip(flag["where"]),
        "where": _clip(formatting.places(flag["places"])) or "no cluster",
        "why": _clip(flag["why"]),
        "fix": _clip(flag["fix"]),
        **({"blocks": True} if flag["blocks"] else {}),
    }


def _fault(fault: Report) -> str:
    place = f"{fault['path']}:{fault['line']}" if fault["line"] else fault["path"]
    return _clip(f"{place}: {fault['message']} Fix: {fault['fix']}")


def _bump(bump: Report) -> str:
    before = formatting.chart_version(bump["before"], bump["application"]["before"])
    after = formatting.chart_version(bump["after"], bump["application"]["after"])
    own = "" if bump["chart"] == bump["release"] else f" (release {bump['release']})"
    return _clip(f"{bump['chart']}{own} {before} → {after}: {formatting.places(bump['places'])}")


def _budget(report: Report, cluster: str) -> Iterator[str]:
    """Yield the lines that move, are above their limit, or whose limit moves."""
    for one in report["budget"]:
        before, after, limit = one["before"], one["after"], one["limit"]
        moved = bool(before and after) and limit["before"] != limit["after"]
        if cluster.partition("/")[0] in ("", one["cluster"]) and (
            one["over"] or moved or before != after
        ):
            amounts = f"{before or formatting.NONE} → {after or formatting.NONE}"
            most = limit["after"] or formatting.NONE
            most = f"{limit['before'] or formatting.NONE} → {most}" if moved else most
            over = ", which is over it" if one["over"] else ""
            yield f"{one['cluster']}: {one['resource']} {amounts}, limit {most}{over}"


def _sentences(report: Report) -> Iterator[tuple[str, Report]]:
    for topic in report["topics"]:
        yield from ((topic["topic"], one) for one in topic["sentences"])


def _sentence(topic: str, sentence: Report) -> str:
    where = _clip(formatting.places(sentence["places"]))
    return _clip(f"{topic}: {sentence['text']}") + (f" [{where}]" if where else "")


def _count(row: Report) -> str:
    counts = ", ".join(f"{row[action]} {action.value}" for action in Action if row[action])
    return _clip(f"{_owner(row)}: {counts} [{formatting.places(row['places'])}]")


def _listed(change: Report, flags: Iterable[Report]) -> Json:
    raised = dict.fromkeys(one["name"] for one in flags if _concerns(one, change))
    return {
        "title": _clip(change["title"]),
        "action": change["action"],
        "by": _owner(change),
        "where": _clip(formatting.places(change["places"])),
        "edits": len(change["edits"]),
        **({"flags": list(raised)} if raised else {}),
        **({"only_declares": True} if change["declares"] else {}),
    }


# What is about what


def _about(cluster: str) -> Callable[[Report], bool]:
    """Return whether an item is about a cluster; what has no place is about each."""

    def about(item: Report) -> bool:
        names = item["places"]
        return not cluster or not names or any(_in(name, cluster) for name in names)

    return about


def _in(place: str, cluster: str) -> bool:
    return cluster in (place, place.partition("/")[0])


def _concerns(flag: Report, change: Report) -> bool:
    """Say whether a flag is about an object, or about the release that brings it."""
    if flag["places"] and not {*flag["places"]} & {*change["places"]}:
        return False
    release = f"release {change['unit']}" if change["release"] else ""
    return change["title"] in flag["objects"] or release in flag["where"].split(", ")


def _clusters(report: Report) -> set[str]:
    lists: list[Iterable[Any]] = [report["changes"], report["bumps"], report["flags"]]
    lists.append(one for _, one in _sentences(report))
    places = {place for items in lists for item in items for place in item["places"]}
    return {place.partition("/")[0] for place in places} | {
        one["cluster"] for one in report["budget"]
    }


def _check_cluster(report: Report, cluster: str) -> None:
    """Raise if nothing is about a cluster; its engine may be one that does not change."""
    _check("cluster", cluster.partition("/")[0], _clusters(report))


def _check(what: str, given: str, known: set[str]) -> None:
    if given and given not in known:
        listed = ", ".join(sorted(known)[:PAGE]) or formatting.NONE
        raise _error(f"nothing in the report is about {what} {_clip(given)}", f"there is: {listed}")


def _clip(text: str) -> str:
    return formatting.clip(formatting.line(text), TEXT)


def _error(message: str, fix: str) -> RepositoryError:
    return RepositoryError(Finding(DATA, None, message, fix))
