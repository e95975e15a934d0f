"""Which alerts hold others back, by the template of Alertmanager's configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import amtool
from scripts.diff.analyzers.alerts import WATCHDOG
from scripts.diff.analyzers.amtool import KNOWN_LABELS, Alert, Config
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Danger, Flag
from scripts.model.alertmanager import TEMPLATE, AlertMatcher, matchers

ALWAYS: Alert = (WATCHDOG, "none")
Rule = Mapping[str, Json]


def name(rule: Rule) -> str:
    """Return what an inhibition is known by."""
    source, target = (", ".join(rule[f"{end}_matchers"]) for end in ("source", "target"))
    return f"of {target} by {source}"


def analyze(old: Config, new: Config, alerts: Iterable[Alert]) -> Iterator[Flag]:
    """Find inhibitions that hold back what nobody may miss, or all that there is.

    Args:
        old: The template before.
        new: The template after.
        alerts: Each alert that is in both.
    """
    added = {
        str(number): (rule, lost)
        for number, rule in enumerate(new.get("inhibit_rules") or ())
        if (lost := _lost_equal(rule, old.get("inhibit_rules") or [])) is not None
    }
    lists: dict[str, list[AlertMatcher]] = {}
    for number, (rule, _) in added.items():
        source, target = (_matchers(rule, end) for end in ("source", "target"))
        lists |= {f"{number} source": source, f"{number} target": target}
        # Any alert may have the other labels.
        lists[f"{number} may"] = [one for one in target if one.label in KNOWN_LABELS]
    found = amtool.matched(lists, {*alerts, ALWAYS}) if lists else {}
    for number, (rule, lost) in added.items():
        critical = [alert for alert, severity in found[f"{number} may"] if severity == "critical"]
        if ALWAYS in found[f"{number} target"]:
            why = "While it holds, the dead man's switch outside takes alerting for dead."
            fix = f'Add `alertname != "{WATCHDOG}"` to its target_matchers.'
        elif ALWAYS in found[f"{number} source"]:
            why = f"{WATCHDOG} is a source of it and always fires: its targets may never be told."
            fix = f"Leave {WATCHDOG} out of its source_matchers."
        elif lost:
            why = f"One alert holds back others whatever their {' and '.join(lost)}."
            fix = f"Keep {', '.join(lost)} in `equal`."
        elif critical:
            why = f"What is critical may not be told: {listed(critical)}."
            fix = "Be sure that the source says it, or narrow target_matchers or `equal`."
        else:
            continue
        yield Flag(Danger.ALERT_SILENCED, f"{TEMPLATE}: inhibition {name(rule)}", why, fix)


def _lost_equal(rule: Rule, old: list[Rule]) -> list[str] | None:
    """Return the labels that `equal` no longer has; None if as much was held back before."""
    equal = set(rule.get("equal") or ())
    known = [
        sorted(set(other.get("equal") or ()) - equal)
        for other in old
        if _canonical(other) == _canonical(rule)
    ]
    least = min(known, key=len, default=[])
    return None if known and not least else least


def _canonical(rule: Rule) -> list[set[tuple[str, str, frozenset[str]]]]:
    """Return both lists of matchers, however they are ordered and written."""
    return [
        {(m.label, m.operator, frozenset(m.value.split("|"))) for m in _matchers(rule, end)}
        for end in ("source", "target")
    ]


def _matchers(rule: Rule, end: str) -> list[AlertMatcher]:
    return matchers(rule[f"{end}_matchers"])
