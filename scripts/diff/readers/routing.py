"""Who is told of what, by the template of Alertmanager's configuration.

Which receivers an alert reaches is Alertmanager's own answer, from amtool.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts import tools
from scripts.checks.routing import TEMPLATE
from scripts.diff.model import Flag, Sentence
from scripts.diff.readers.alerts import WATCHDOG
from scripts.diff.readers.words import Said, listed, setting
from scripts.diff.values import differences
from scripts.findings import Finding, RepositoryError
from scripts.yamlfile import Json, load, maps

TOPIC = "Routes"
# Keys of a route that keep times of silence.
MUTES = ("mute_time_intervals", "active_time_intervals")
Config = Mapping[str, Json]


def read(before: Path, after: Path, alerts: Iterable[tuple[str, str]]) -> Said:
    """Compare the templates of two trees.

    Args:
        before: The tree before.
        after: The tree after.
        alerts: Name and severity of each alert that is in both.

    Raises:
        RepositoryError: If one is no YAML.
    """
    paths = [root / TEMPLATE for root in (before, after)]
    if all(path.exists() for path in paths):
        old, new = (load(path, root)[0] for path, root in zip(paths, (before, after), strict=True))
        yield from (Sentence(TOPIC, text) for text in _told(old, new))
        if [old["route"], old["receivers"]] != [new["route"], new["receivers"]]:
            yield from _silenced(paths, (old, new), sorted(set(alerts)))
        yield from _held_back(old, new)
    texts = [_messages(path.parent) for path in paths]
    if texts[0] != texts[1]:
        yield Sentence(TOPIC, "The messages' texts change.")


def _messages(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*.tmpl"))}


def _told(old: Config, new: Config) -> Iterator[str]:
    for name, parts in (("route", _routes), ("receiver", _receivers), ("inhibition", _inhibitions)):
        before, after = parts(old), parts(new)
        for key in dict.fromkeys((*before, *after)):
            if key not in after:
                yield f"{name} {key}: removed"
            elif key not in before:
                yield f"{name} {key}: new"
            elif found := list(differences(before[key], after[key])):
                yield f"{name} {key}: {listed(map(setting, found))}"
    one, other = (
        {k: v for k, v in side.items() if k not in {"route", "receivers", "inhibit_rules"}}
        for side in (old, new)
    )
    yield from map(setting, differences(one, other))


def _routes(config: Config) -> dict[str, Json]:
    """Routes by what they match, in the order in which they are tried."""

    def walk(route: Config, above: str) -> Iterator[tuple[str, Json]]:
        own = ", ".join(map(str, route.get("matchers") or ()))
        name = " > ".join(filter(None, (above, own))) or "of all"
        yield (
            name,
            {key: value for key, value in route.items() if key not in {"matchers", "routes"}},
        )
        for child in route.get("routes") or ():
            yield from walk(child, "" if name == "of all" else name)

    return dict(walk(config["route"], ""))


def _receivers(config: Config) -> dict[str, Json]:
    return {
        receiver["name"]: {key: value for key, value in receiver.items() if key != "name"}
        for receiver in config["receivers"]
    }


def _inhibitions(config: Config) -> dict[str, Json]:
    found = {}
    for rule in config.get("inhibit_rules") or ():
        source, target = (", ".join(rule[f"{k}_matchers"]) for k in ("source", "target"))
        found[f"of {target} by {source}"] = {"equal": rule.get("equal")}
    return found


def _silenced(
    paths: list[Path], configs: tuple[Config, Config], alerts: list[tuple[str, str]]
) -> Iterator[Flag]:
    """Find the alerts that reached somebody and reach nobody any more."""
    heard = [{r["name"] for r in config["receivers"] if r.keys() - {"name"}} for config in configs]
    asked = {_alike(configs, alert): alert for alert in alerts}
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.map(_reached, itertools.repeat(path), asked.values()) for path in paths]
        told = [dict(zip(asked, own, strict=True)) for own in answers]
    silent = [
        alert[0]
        for alert in alerts
        if (like := _alike(configs, alert))
        and told[0][like] & heard[0]
        and not told[1][like] & heard[1]
    ]
    if silent:
        why = "Their route ends at a receiver without an integration: nobody is told."
        fix = "Give them a receiver; if nobody is to be told, take the alerts away."
        yield Flag("alert-silenced", f"{TEMPLATE}: {listed(dict.fromkeys(silent))}", why, fix)
    routes = [_routes(config) for config in configs]
    for name, route in routes[1].items():
        for key in MUTES:
            if route.get(key) and route.get(key) != routes[0].get(name, {}).get(key):
                why = f"{key} {', '.join(route[key])}: there are times when nobody is told."
                fix = "Look whether what is critical may wait so long."
                yield Flag("alert-silenced", f"{TEMPLATE}: route {name}", why, fix)


def _alike(configs: tuple[Config, Config], alert: tuple[str, str]) -> tuple[str, ...]:
    """Alerts for which this is equal take the same way: their severity, and what their name is."""
    name, severity = alert
    values = {
        re.split(r"=~|!~|!=|=", str(matcher), maxsplit=1)[-1].strip(' "')
        for config in configs
        for _, route in maps(config["route"])
        for matcher in route.get("matchers") or ()
    }
    return (severity, *(value for value in sorted(values) if re.fullmatch(value, name)))


def _held_back(old: Config, new: Config) -> Iterator[Flag]:
    """Find inhibitions of the alert that must always arrive."""
    known = _inhibitions(old)
    for rule in new.get("inhibit_rules") or ():
        (name,) = _inhibitions({"inhibit_rules": [rule]})
        if name in known:
            continue
        asked = {
            "route": {
                "receiver": "no",
                "routes": [{"receiver": "yes", "matchers": rule["target_matchers"]}],
            },
            "receivers": [{"name": "no"}, {"name": "yes"}],
        }
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write(json.dumps(asked))
            config.flush()
            if "yes" in _reached(Path(config.name), (WATCHDOG, "none")):
                why = "While it holds, the dead man's switch outside takes alerting for dead."
                fix = f'Add `alertname != "{WATCHDOG}"` to its target_matchers.'
                yield Flag("alert-silenced", f"{TEMPLATE}: inhibition {name}", why, fix)


def _reached(config: Path, alert: tuple[str, str]) -> set[str]:
    labels = (f"alertname={alert[0]}", f"severity={alert[1]}")
    run = tools.run("amtool", "config", "routes", "test", f"--config.file={config}", *labels)
    if run.returncode:
        text = f"amtool: {(run.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        raise RepositoryError(Finding(TEMPLATE, None, text, "correct what it names"))
    return set(run.stdout.strip().split(","))
