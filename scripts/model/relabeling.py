"""What relabelings drop, of series and of targets whose labels are known in part.

As Prometheus does it (model/relabel/relabel.go): the values of all source labels are joined, and an
expression has to match the whole of that. Expressions are Python's, which mean the same as RE2's
where both take them.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scripts.core.yamlfile import Json

# The value of a label of which nothing is known.
SOME = "some-value"
# Of so many label sets at most each is tried.
MOST = 4096


class Relabeling(NamedTuple):
    """A rule that keeps or drops, as it is written in a monitor."""

    action: str
    sources: tuple[str, ...]
    separator: str
    regex: str
    target: str

    def drops(self, labels: Mapping[str, str]) -> bool:
        """Say whether a series or target with these labels goes; an absent label is empty."""
        value = self.separator.join(labels.get(name, "") for name in self.sources)
        match self.action:
            case "keepequal":
                return labels.get(self.target, "") != value
            case "dropequal":
                return labels.get(self.target, "") == value
        expression = compiled(self.regex)
        if expression is None:
            return False  # Prometheus' own parser has a say about it.
        return (expression.fullmatch(value) is not None) == (self.action == "drop")


@functools.cache
def compiled(regex: str) -> re.Pattern[str] | None:
    """Compile an expression as relabelings do; None where Python does not take it."""
    try:
        return re.compile(regex, re.DOTALL)
    except re.error:
        return None


def read(rules: Iterable[Mapping[str, Json]]) -> tuple[Relabeling, ...]:
    """Return the rules that keep or drop; the others change labels and lose nothing."""
    return tuple(
        Relabeling(
            action,
            tuple(map(str, rule.get("sourceLabels") or ())),
            str(rule.get("separator", ";")),
            str(rule.get("regex", "(.*)")),
            str(rule.get("targetLabel", "")),
        )
        for rule in rules
        if (action := str(rule.get("action", "replace")).lower())
        in {"drop", "keep", "dropequal", "keepequal"}
    )


def kept(rules: Sequence[Relabeling], samples: Iterable[tuple[str, frozenset[str], int]]) -> int:
    """Return how many samples stay at least.

    Args:
        rules: In their order.
        samples: Name, labels and number of each metric's. Where a rule reads a label of theirs,
            whose values are not known, none is counted.
    """
    asked = {label for rule in rules for label in (*rule.sources, rule.target)}
    return sum(
        number
        for name, labels, number in samples
        if not labels & asked and not any(rule.drops({"__name__": name}) for rule in rules)
    )


def loss(
    rules: Sequence[Relabeling], known: Mapping[str, Sequence[str]], absent: Iterable[str] | None
) -> Relabeling | None:
    """Return the rule by which the last of the possible series or targets goes; None if one stays.

    Args:
        rules: In their order.
        known: The values that a label may have.
        absent: Labels that are not there; None where every label that is not known is absent. A
            label that is neither may have any value: a rule that keeps some is taken to keep it.
    """
    asked = dict.fromkeys(label for r in rules for label in (*r.sources, r.target) if label)
    values = []
    for label in asked:
        if label in known:
            values.append(tuple(known[label]))
        elif absent is None or label in absent:
            values.append(("",))
        else:
            values.append(_any(rules, label))
    last = -1
    for chosen in itertools.islice(itertools.product(*values), MOST):
        labels = dict(zip(asked, chosen, strict=True))
        stopped = next((n for n, rule in enumerate(rules) if rule.drops(labels)), None)
        if stopped is None:
            return None
        last = max(last, stopped)
    return rules[last] if last >= 0 else None


def _any(rules: Sequence[Relabeling], label: str) -> tuple[str, ...]:
    """Return values to try: one that nobody means, and the words of what is to be kept."""
    kept = [r.regex for r in rules if r.action == "keep" and label in r.sources]
    words = [word for regex in kept for word in re.findall(r"[\w./-]+", regex)]
    return (SOME, "", *dict.fromkeys(words))
