"""Which receivers are notified of which alerts, by the template of Alertmanager's configuration.

Which receivers an alert reaches is Alertmanager's own answer, from amtool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.core.yamlfile import Json, load
from scripts.diff.analyzers import amtool, inhibition
from scripts.diff.analyzers.alerts import named
from scripts.diff.analyzers.amtool import KNOWN_LABELS, Alert, Config
from scripts.diff.analyzers.wording import described, listed
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import RevisionPair
from scripts.diff.value_diff import differences
from scripts.model.alertmanager import TEMPLATE, matchers

TOPIC = "Routes"
# Keys of a route that keep times of silence.
MUTES = ("mute_time_intervals", "active_time_intervals")
# Keys of a route that are no settings of its own.
NOT_OWN = frozenset({"matchers", "routes"})


def analyze(revisions: RevisionPair) -> Analysis:
    """Compare the templates, and where they route the alerts that a cluster has at both revisions.

    Raises:
        RepositoryError: If one is no YAML.
    """
    alerts: set[Alert] = set()
    for pair in revisions.clusters:
        before, after = ({*named(cluster)} for cluster in (pair.before, pair.after))
        alerts |= before & after
    yield from compared(revisions.before, revisions.after, sorted(alerts))


def compared(before: Path, after: Path, alerts: Sequence[Alert]) -> Analysis:
    """Compare the templates of two trees, by the alerts that are in both."""
    paths = [root / TEMPLATE for root in (before, after)]
    there = [path.exists() for path in paths]
    if all(there):
        old, new = (load(path, root)[0] for path, root in zip(paths, (before, after), strict=True))
        yield from (Sentence(TOPIC, text) for text in _differences(old, new))
        if [old["route"], old["receivers"]] != [new["route"], new["receivers"]]:
            yield from _silenced(paths, (old, new), alerts)
            yield from _unnotified(old, new)
        yield from inhibition.analyze(old, new, alerts)
    elif any(there):
        yield Sentence(TOPIC, f"{TEMPLATE}: {'new' if there[1] else 'removed'}")
        if there[0]:
            why = "Who copies it from here has no configuration, and Alertmanager tells nobody."
            yield Flag(
                Danger.ALERT_SILENCED, TEMPLATE, why, "Keep it, or say what takes its place."
            )
    texts = [_messages(path.parent) for path in paths]
    if texts[0] != texts[1]:
        yield Sentence(TOPIC, "The messages' texts change.")


def _messages(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*.tmpl"))}


def _differences(old: Config, new: Config) -> Iterator[str]:
    for name, parts in (("route", _routes), ("receiver", _receivers), ("inhibition", _inhibitions)):
        before, after = parts(old), parts(new)
        for key in dict.fromkeys((*before, *after)):
            if key not in after:
                yield f"{name} {key}: removed"
            elif key not in before:
                yield f"{name} {key}: new"
            elif found := list(differences(before[key], after[key])):
                yield f"{name} {key}: {listed(map(described, found))}"
    one, other = (
        {k: v for k, v in config.items() if k not in {"route", "receivers", "inhibit_rules"}}
        for config in (old, new)
    )
    yield from map(described, differences(one, other))


def _routes(config: Config) -> dict[str, Json]:
    """Routes by what they match, in the order in which they are tried."""
    return {
        _name(path): {key: value for key, value in route.items() if key not in NOT_OWN}
        for path, _, route in _walk_routes(config["route"])
    }


def _walk_routes(
    route: Config, above: tuple[str, ...] = (), inherited: str = ""
) -> Iterator[tuple[tuple[str, ...], str, Config]]:
    """Yield each route after what it matches, from the first route down, and its receiver."""
    path = (*above, ", ".join(map(str, route.get("matchers") or ())))
    receiver = route.get("receiver", inherited)
    yield path, receiver, route
    for child in route.get("routes") or ():
        yield from _walk_routes(child, path, receiver)


def _name(path: tuple[str, ...]) -> str:
    return " > ".join(filter(None, path)) or "of all"


def _receivers(config: Config) -> dict[str, Json]:
    return {
        receiver["name"]: {key: value for key, value in receiver.items() if key != "name"}
        for receiver in config["receivers"]
    }


def _inhibitions(config: Config) -> dict[str, Json]:
    rules = config.get("inhibit_rules") or ()
    return {inhibition.name(rule): {"equal": rule.get("equal")} for rule in rules}


def _silenced(
    paths: list[Path], configs: tuple[Config, Config], alerts: Sequence[Alert]
) -> Iterator[Flag]:
    """Find the alerts that reached somebody and reach nobody any more."""
    before, after = (
        {name for name, receivers in amtool.receivers(path, alerts).items() if receivers & notified}
        for path, notified in zip(paths, map(_notified, configs), strict=True)
    )
    silent = [alert[0] for alert in alerts if alert in before and alert not in after]
    if silent:
        why = "Their route ends at a receiver without an integration: nobody is told."
        fix = "Give them a receiver; if nobody is to be told, take the alerts away."
        yield Flag(Danger.ALERT_SILENCED, f"{TEMPLATE}: {listed(dict.fromkeys(silent))}", why, fix)
    routes = [_routes(config) for config in configs]
    for name, route in routes[1].items():
        for key in MUTES:
            if route.get(key) and route.get(key) != routes[0].get(name, {}).get(key):
                why = f"{key} {', '.join(route[key])}: there are times when nobody is told."
                fix = "Look whether what is critical may wait so long."
                yield Flag(Danger.ALERT_SILENCED, f"{TEMPLATE}: route {name}", why, fix)


def _notified(config: Config) -> set[str]:
    """Return the receivers with an integration."""
    return {name for name, own in _receivers(config).items() if any(own.values())}


def _unnotified(old: Config, new: Config) -> Iterator[Flag]:
    """Find routes to nobody that go by labels which are not known of every alert."""
    known = _to_nobody(old)
    for name, labels in _to_nobody(new).items():
        if name not in known:
            why = f"Whatever alert matches it by {listed(labels)} is told to nobody."
            fix = "Give it a receiver with an integration, or be sure that nobody misses them."
            yield Flag(Danger.ALERT_SILENCED, f"{TEMPLATE}: route {name}", why, fix)


def _to_nobody(config: Config) -> dict[str, list[str]]:
    """Return routes that end at a receiver without an integration, with such labels."""
    notified = _notified(config)
    found = {
        _name(path): sorted({m.label for m in matchers(path)} - set(KNOWN_LABELS))
        for path, receiver, route in _walk_routes(config["route"])
        if receiver not in notified and not route.get("continue")
    }
    return {name: labels for name, labels in found.items() if labels}
