"""Phrases that several analyzers use: a value that moves, a query that changes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable

from scripts.core.yamlfile import Json
from scripts.diff.model import ABSENT
from scripts.diff.value_diff import Difference

# Parts of a query around those that differ, and characters of either query at most.
AROUND = 6
WIDTH = 140
# Names in one sentence at most, and characters of a value.
NAMES = 6
VALUE = 60
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|[\w.:$]+|[<>=!~]+|.', re.DOTALL)
_NUMBER = re.compile(r"[\d.]+(e[+-]?\d+)?|(\d+(ms|[smhdwy]))+", re.IGNORECASE)


def transition(what: str, before: Json, after: Json) -> str:
    """Return `what old → new`, with `none` where there is nothing."""
    old, new = map(_value, (before, after))
    return f"{what} {old} → {new}"


def described(found: Difference) -> str:
    """Return a difference with its values; without them where they would fill a sentence."""
    values = [value for value in (found.before, found.after) if value is not ABSENT]
    if any(isinstance(value, dict | list) or len(str(value)) > VALUE for value in values):
        return found.path
    return transition(found.path, found.before, found.after)


def sentence(text: str) -> str:
    """Return what a finding says as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def listed(names: Iterable[str]) -> str:
    """Return names in one line: the first ones, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - NAMES} more" if len(every) > NAMES else ""
    return f"{', '.join(every[:NAMES])}{more}"


def query_changes(before: str, after: str) -> list[str]:
    """Return what differs between two queries in words; nothing where only their layout does."""
    old, new = _QueryText(before), _QueryText(after)
    pairs = list(zip(old.tokens, new.tokens, strict=False))
    apart = [index for index, (one, other) in enumerate(pairs) if one != other]
    numbers = all(_NUMBER.fullmatch(token) for index in apart for token in pairs[index])
    if len(old.tokens) == len(new.tokens) and numbers:
        return list(dict.fromkeys(transition(old.role(index), *pairs[index]) for index in apart))
    start = apart[0] if apart else len(pairs)
    back = zip(reversed(old.tokens[start:]), reversed(new.tokens[start:]), strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], back))
    one, other = (text.part(start, len(text.tokens) - same) for text in (old, new))
    return [f"{one} → {other}"]


def _value(value: Json) -> str:
    if value is None or value is ABSENT:
        return "none"
    return value if isinstance(value, str) and value else json.dumps(value)


class _QueryText:
    """A query's text and its tokens."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        found = [match for match in _TOKEN.finditer(self.text) if match[0].strip()]
        self.tokens = [match[0] for match in found]
        self._spans = [match.span() for match in found]

    def role(self, index: int) -> str:
        """Say what the number at an index is."""
        before = self.tokens[index - 1] if index else ""
        if before in {">", ">=", "<", "<=", "==", "!="}:
            return "threshold"
        return "window" if before == "[" else "number"

    def part(self, start: int, end: int) -> str:
        """Return these tokens with some around them, as they are written."""
        first, last = max(start - AROUND, 0), min(end + AROUND, len(self.tokens))
        if not self.tokens[first:last]:
            return "``"
        text = self.text[self._spans[first][0] : self._spans[last - 1][1]]
        text = text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
        left, right = "…" if first else "", "…" if last < len(self.tokens) else ""
        return f"`{left}{text}{right}`"
