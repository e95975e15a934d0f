"""Which alerts routes and inhibitions are about: Alertmanager's own answers, from amtool."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, load, maps
from scripts.model.alertmanager import TEMPLATE, AlertMatcher, matchers

# The labels that are known of every alert; others come from its query.
KNOWN_LABELS = ("alertname", "severity")
# Its values of KNOWN_LABELS.
Alert = tuple[str, str]
Config = Mapping[str, Json]


def receivers(path: Path, alerts: Iterable[Alert]) -> dict[Alert, set[str]]:
    """Return the names of the receivers that each alert reaches.

    Args:
        path: Alertmanager's configuration.
        alerts: Those to route.

    Raises:
        RepositoryError: If Alertmanager refuses it.
    """
    names = {
        matcher.value
        for _, holder in maps(load(path, path.parent)[0]["route"])
        for matcher in matchers(holder.get("matchers") or ())
        if matcher.label == "alertname"
    }
    # Alerts of one severity whose names match the same take the same route: amtool routes one.
    alike: dict[tuple[str, ...], list[Alert]] = {}
    for name, severity in sorted(set(alerts)):
        key = (severity, *(value for value in sorted(names) if re.fullmatch(value, name)))
        alike.setdefault(key, []).append((name, severity))
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda own: _routed(path, own[0]), alike.values())
        pairs = list(zip(alike.values(), answers, strict=True))
    return {alert: answer for own, answer in pairs for alert in own}


def matched(
    lists: Mapping[str, Iterable[AlertMatcher]], alerts: Iterable[Alert]
) -> dict[str, list[Alert]]:
    """Return the alerts that each list of matchers chooses."""
    config = {
        "route": {
            "receiver": "nobody",
            "routes": [
                {"receiver": name, "matchers": list(map(str, own)), "continue": True}
                for name, own in lists.items()
            ],
        },
        "receivers": [{"name": name} for name in ("nobody", *lists)],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alertmanager.yaml"
        path.write_text(json.dumps(config))
        answers = receivers(path, alerts)
    return {name: [a for a, answer in answers.items() if name in answer] for name in lists}


def _routed(path: Path, alert: Alert) -> set[str]:
    labels = (f"{label}={value}" for label, value in zip(KNOWN_LABELS, alert, strict=True))
    run = tools.run("amtool", "config", "routes", "test", f"--config.file={path}", *labels)
    if run.returncode:
        text = f"amtool: {(run.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        raise RepositoryError(Finding(TEMPLATE, None, text, "correct what it names"))
    return set(run.stdout.strip().split(","))
