"""What `make diff` says of routes and inhibitions."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.diff.analyzers import routing
from scripts.diff.model import Flag
from scripts.model.alertmanager import TEMPLATE
from tests.programs.diff.diff_pairs import Edit, put

ROUTES: Json = {
    "route": {
        "receiver": "all",
        "routes": [{"receiver": "team", "matchers": ['alertname=~"Todo.+"']}],
    },
    "receivers": [
        {"name": "all", "webhook_configs": [{"url_file": "f"}]},
        {"name": "team", "webhook_configs": [{"url_file": "g"}]},
        {"name": "nobody"},
    ],
    "inhibit_rules": [
        {"source_matchers": ["a=b"], "target_matchers": ['c=~"d|e"'], "equal": ["namespace"]},
        {
            "source_matchers": ["severity=critical"],
            "target_matchers": ["severity=warning"],
            "equal": ["namespace"],
        },
    ],
}
KNOWN = [("TodoDown", "critical"), ("NodeDown", "critical"), ("TodoSlow", "warning")]


def templates(folder: Path, before: Json | None, after: Json | None) -> tuple[Path, Path]:
    """The trees before and after, each with its template if it has one."""
    roots = folder / "before", folder / "after"
    for root, config in zip(roots, (before, after), strict=True):
        if config is not None:
            path = root / TEMPLATE
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(config))
    return roots


def route(*matchers: str, **settings: Any) -> Edit:
    """An edit that puts a route before the others."""
    added = {"matchers": list(matchers), **settings}
    return lambda config: config["route"]["routes"].insert(0, added)


def inhibition(source: str, target: str) -> Edit:
    """An edit that adds one."""
    added = {"source_matchers": [source], "target_matchers": [target]}
    return lambda config: config["inhibit_rules"].append(added)


def inhibited(source: str, target: str, *flags: str) -> list[str]:
    """What is said of an inhibition that is new."""
    name = f"inhibition of {target} by {source}"
    return [f"{name}: new", *(f"{flag}: {TEMPLATE}: {name}" for flag in flags)]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            put("route/routes/0/receiver", "nobody"),
            [
                'route alertname=~"Todo.+": receiver team → nobody',
                f"alert-silenced: {TEMPLATE}: TodoDown, TodoSlow",
            ],
        ),
        (
            put("receivers/0/webhook_configs", None),
            [
                "receiver all: webhook_configs",
                f"alert-silenced: {TEMPLATE}: NodeDown",
            ],
        ),
        (
            put("receivers/0/webhook_configs", []),
            [
                "receiver all: webhook_configs[0]",
                f"alert-silenced: {TEMPLATE}: NodeDown",
            ],
        ),
        (put("route/routes/0/receiver", "all"), ['route alertname=~"Todo.+": receiver team → all']),
        (put("route/routes", []), ['route alertname=~"Todo.+": removed']),
        (
            put("inhibit_rules", []),
            [
                'inhibition of c=~"d|e" by a=b: removed',
                "inhibition of severity=warning by severity=critical: removed",
            ],
        ),
        (
            put("inhibit_rules/1/equal", ["pod"]),
            [
                "inhibition of severity=warning by severity=critical: "
                "equal[namespace] namespace → none, equal[pod] none → pod",
                f"alert-silenced: {TEMPLATE}: inhibition of severity=warning by severity=critical",
            ],
        ),
        (
            put("inhibit_rules/1/equal", None),
            [
                "inhibition of severity=warning by severity=critical: equal",
                f"alert-silenced: {TEMPLATE}: inhibition of severity=warning by severity=critical",
            ],
        ),
        (
            put("inhibit_rules/0/equal", ["pod", "namespace"]),
            ['inhibition of c=~"d|e" by a=b: equal[pod] none → pod'],
        ),
        (
            put("inhibit_rules/0/target_matchers", ['c =~ "e|d"']),
            ['inhibition of c=~"d|e" by a=b: removed', 'inhibition of c =~ "e|d" by a=b: new'],
        ),
        (
            inhibition("severity=info", "severity=none"),
            inhibited("severity=info", "severity=none", "alert-silenced"),
        ),
        (
            inhibition("alertname=Watchdog", "severity=warning"),
            inhibited("alertname=Watchdog", "severity=warning", "alert-silenced"),
        ),
        (
            inhibition("severity=warning", 'severity=~"critical|info"'),
            inhibited("severity=warning", 'severity=~"critical|info"', "alert-silenced"),
        ),
        (
            inhibition("severity=warning", 'alertname=~"Node.+", namespace=n'),
            inhibited("severity=warning", 'alertname=~"Node.+", namespace=n', "alert-silenced"),
        ),
        (
            inhibition("severity=warning", "severity=info"),
            inhibited("severity=warning", "severity=info"),
        ),
        (
            inhibition("severity=critical", 'alertname="TodoSlow",namespace=n'),
            inhibited("severity=critical", 'alertname="TodoSlow",namespace=n'),
        ),
        (
            route('namespace=~".+"', receiver="nobody"),
            [
                'route namespace=~".+": new',
                f'alert-silenced: {TEMPLATE}: route namespace=~".+"',
            ],
        ),
        (
            route("severity=info, namespace=n", receiver="nobody"),
            [
                "route severity=info, namespace=n: new",
                f"alert-silenced: {TEMPLATE}: route severity=info, namespace=n",
            ],
        ),
        (
            route(
                "a=b",
                receiver="team",
                routes=[{"matchers": ["severity=info"], "receiver": "nobody"}],
            ),
            [
                "route a=b: new",
                "route a=b > severity=info: new",
                f"alert-silenced: {TEMPLATE}: route a=b > severity=info",
            ],
        ),
        (
            route("a=b", receiver="nobody", routes=[{"matchers": ["c=d"]}]),
            [
                "route a=b: new",
                "route a=b > c=d: new",
                f"alert-silenced: {TEMPLATE}: route a=b",
                f"alert-silenced: {TEMPLATE}: route a=b > c=d",
            ],
        ),
        (route("a=b", receiver="nobody", **{"continue": True}), ["route a=b: new"]),
        (route("a=b", receiver="team"), ["route a=b: new"]),
        (route("severity=info", receiver="nobody"), ["route severity=info: new"]),
        (put("global", {"resolve_timeout": "1m"}), ["global"]),
        (put("route/repeat_interval", "1h"), ["route of all: repeat_interval none → 1h"]),
    ],
)
def test_routes(edit: Edit, expected: list[str], tmp_path: Path) -> None:
    after = copy.deepcopy(ROUTES)
    edit(after)
    found = routing.compared(*templates(tmp_path, ROUTES, after), KNOWN)
    said = [f"{one.name}: {one.where}" if isinstance(one, Flag) else one.text for one in found]
    assert said == expected


def test_routes_that_alertmanager_refuses_are_said_to_be_so(tmp_path: Path) -> None:
    before, after = ({**ROUTES, "route": {"receiver": name}} for name in ("all", "undeclared"))
    with pytest.raises(RepositoryError, match=r"amtool: .*undeclared"):
        list(routing.compared(*templates(tmp_path, before, after), KNOWN))


def test_a_route_to_nobody_that_was_there_is_none_of_this_change(tmp_path: Path) -> None:
    before = copy.deepcopy(ROUTES)
    route("a=b", receiver="nobody")(before)
    after = copy.deepcopy(before)
    route("severity=info", receiver="team")(after)
    found = routing.compared(*templates(tmp_path, before, after), KNOWN)
    assert not [one for one in found if isinstance(one, Flag)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ROUTES, None, ["removed", "alert-silenced"]),
        (None, ROUTES, ["new"]),
        (None, None, []),
    ],
)
def test_the_template_is_gone_or_new(
    before: Json | None, after: Json | None, expected: list[str], tmp_path: Path
) -> None:
    found = routing.compared(*templates(tmp_path, before, after), KNOWN)
    said = [one.name if isinstance(one, Flag) else one.text for one in found]
    assert said == [
        text if text == "alert-silenced" else f"{TEMPLATE}: {text}" for text in expected
    ]
