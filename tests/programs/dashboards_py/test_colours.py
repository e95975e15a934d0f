"""Series have a colour of their name, none of which means a fault."""

from __future__ import annotations

import random
import string
from collections import Counter

from dashboards_py import colours, panels
from dashboards_py.queries import traffic
from scripts.core.yamlfile import Json
from scripts.grafana import frames
from scripts.lab.proof.colours import WARNING

DICE = random.Random(1)  # noqa: S311
NAMES = ["".join(DICE.choices(string.printable[:95], k=DICE.randint(1, 60))) for _ in range(2000)]


def graph(*legends: str) -> Json:
    """A graph of requests by app, as Grafana reads it."""
    shown = (panels.show(traffic.request_rate("app"), legend) for legend in legends)
    panel: Json = panels.timeseries("t", *shown, description="d", unit="reqps").to_json_data()
    return panel


def colour(panel: Json, name: str) -> str:
    return str(frames.config(panel, name, "A")["color"]["fixedColor"])


def test_a_name_has_one_colour_in_every_panel_and_it_is_no_warning() -> None:
    one, other = graph("{{app}}"), graph("{{app}} of today", "all")
    kinds = Counter(colour(one, name) for name in NAMES)
    assert set(kinds) == set(colours.CALM)
    assert min(kinds.values()) > len(NAMES) / 20, "each is taken by many names"
    assert all(colour(one, name) == colour(other, name) for name in NAMES)
    assert not [each for each in kinds if WARNING.fullmatch(each)]


def test_names_that_differ_in_a_digit_or_a_method_differ_in_colour() -> None:
    panel = graph("{{app}}")
    assert len({colour(panel, f"node-{number}") for number in range(8)}) == len(colours.CALM)
    methods = ("GET", "PUT", "POST", "DELETE", "PATCH")
    assert len({colour(panel, f"{method} /tasks") for method in methods}) > 3


def test_a_colour_that_is_given_wins() -> None:
    known = panels.timeseries(
        "t",
        panels.show(traffic.request_rate("app"), "{{app}}", colour=colours.RED),
        panels.show(traffic.request_rate("app"), "{{app}}"),
        description="d",
        unit="reqps",
        colours=None,
    ).to_json_data()
    assert {frames.config(known, name, "A")["color"]["fixedColor"] for name in NAMES} == {"red"}
    assert len({frames.config(known, name, "B")["color"]["fixedColor"] for name in NAMES}) == 8
