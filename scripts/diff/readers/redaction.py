"""What the log pipelines take out of an entry before it is stored.

Read from the text of Alloy's configuration: whether an expression matches less than the one before
cannot be told from it, so a person is asked to look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts.diff.model import Flag, Sentence
from scripts.diff.objects import Pair
from scripts.diff.readers.words import Said
from scripts.findings import counted
from scripts.rendered import Cluster

TOPIC = "Log redaction"
FIX = "Look at what tests/logs says of it, and add lines that only the old expression catches."
# What stands for a value that was taken out, and for a user's id.
PLACEHOLDER = re.compile(r"<redacted:(\w+)>")
PSEUDONYM = "| Hash "
_TEXT = r'"(?:[^"\\]|\\.)*"|`[^`]*`'
_PART = re.compile(rf"//[^\n]*|{_TEXT}|[{{}}]")
_REPLACE = re.compile(r"\n\s*replace\s*=")
_COMPONENT = re.compile(r'\n(?P<type>[\w.]+) "(?P<label>\w+)" \{')
_RECEIVER = re.compile(r"([\w.]+)\.receiver\b")


@dataclass(frozen=True)
class Stage:
    """A stage that takes something out.

    Attributes:
        expressions: Each is tried.
        replacement: What is put in its place.
    """

    expressions: tuple[str, ...]
    replacement: str


def read(pair: Pair) -> Said:
    """Compare the pipelines of a cluster by their files."""
    before, after = _files(pair.before), _files(pair.after)
    for place in sorted(before.keys() & after.keys()):
        if before[place] == after[place]:
            continue
        # Two ConfigMaps may hold one and the same file.
        name = place[1]
        old, new = stages(before[place]), stages(after[place])
        for kind in dict.fromkeys((*old, *new)):
            yield from _compared(f"{name}, {kind}", old.get(kind), new.get(kind))
        if bypassed(after[place]) and not bypassed(before[place]):
            why = "A way from the logs to Loki passes no redaction: what people wrote is stored."
            fix = "Send every entry through `redact` before anything else."
            yield Sentence(TOPIC, f"{name}: entries may reach Loki without it")
            yield Flag("redaction-weakened", name, why, fix)


def stages(text: str) -> dict[str, Stage]:
    """Return the stages of a configuration that take something out, by what they take."""
    found: dict[str, Stage] = {}
    for body in _blocks(_code(text), "stage.replace {"):
        expression, *replaced = (_literals(part) for part in _REPLACE.split(body))
        replacement = " ".join(literal for part in replaced for literal in part)
        placeholder = PLACEHOLDER.search(replacement)
        if placeholder or PSEUDONYM in replacement:
            kind = placeholder[1] if placeholder else "user id"
            known = found.get(kind, Stage((), ""))
            found[kind] = Stage((*known.expressions, *expression), replacement)
    return found


def bypassed(text: str) -> bool:
    """Say whether entries of a source reach Loki on a way that passes no redaction."""
    forwards: dict[str, list[str]] = {}
    code = f"\n{_code(text)}"
    for match in _COMPONENT.finditer(code):
        body = next(_blocks(code[match.start() :], match[0].strip()))
        forwards[f"{match['type']}.{match['label']}"] = _RECEIVER.findall(body)
    ways = [name for name in forwards if name.startswith("loki.source.")]
    seen: set[str] = set()
    while ways:
        name = ways.pop()
        if name in seen or ".redact." in f".{name}.":
            continue
        seen.add(name)
        ways += forwards.get(name, [])
    return any(".store." in f".{name}." or name.startswith("loki.write.") for name in seen)


def _compared(where: str, old: Stage | None, new: Stage | None) -> Iterator[Sentence | Flag]:
    if old == new:
        return
    if new is None:
        yield Sentence(TOPIC, f"{where}: is not taken out any more")
        why = "What it took out is stored in Loki from now on, and whoever reads logs reads it."
        yield Flag("redaction-weakened", where, why, "Keep the stage.")
    elif old is None:
        yield Sentence(TOPIC, f"{where}: is taken out from now on")
    else:
        removed = [e for e in old.expressions if e not in new.expressions]
        added = [e for e in new.expressions if e not in old.expressions]
        parts = [
            f"{counted(len(own), 'expression')} {verb}"
            for own, verb in ((removed, "removed"), (added, "added"))
            if own
        ]
        if old.replacement != new.replacement:
            parts.append("what stands in its place changes")
        yield Sentence(TOPIC, f"{where}: {', '.join(parts) or 'another order'}")
        if removed:
            name = "redaction-weakened" if len(removed) > len(added) else "redaction-changed"
            why = "What only the old expression caught is stored in Loki from now on."
            yield Flag(name, where, why, FIX)
        elif old.replacement != new.replacement:
            why = (
                "Pseudonyms and placeholders of stored entries do not match new ones, or hold more."
            )
            yield Flag("redaction-changed", where, why, FIX)


def _files(cluster: Cluster) -> Mapping[tuple[str, str], str]:
    return {
        (str(item), file): text
        for item in cluster.of("ConfigMap")
        for file, text in (item.manifest.get("data") or {}).items()
        if file.endswith(".alloy")
    }


def _code(text: str) -> str:
    """A configuration without its comments; a literal may hold what looks like one."""
    return _PART.sub(lambda part: "" if part[0].startswith("//") else part[0], text)


def _literals(text: str) -> list[str]:
    return re.findall(_TEXT, text)


def _blocks(text: str, start: str) -> Iterator[str]:
    """Yield what each block that starts so has between its braces."""
    at = text.find(start)
    while at >= 0:
        begin = at + len(start)
        depth, end = 1, len(text)
        for part in _PART.finditer(text, begin):
            depth += {"{": 1, "}": -1}.get(part[0], 0)
            if depth == 0:
                end = part.start()
                break
        yield text[begin:end]
        at = text.find(start, end)
