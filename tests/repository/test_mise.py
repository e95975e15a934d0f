"""mise.toml names the releases that the repository is pinned to, so that make takes them."""

from __future__ import annotations

import re
import tomllib

from scripts import tools

# A tool of mise: the programs of scripts/tools that its release holds.
PROGRAMS = {
    "actionlint": ["actionlint"],
    "aqua:google/go-containerregistry": ["crane"],
    "aqua:prometheus/alertmanager": ["alertmanager", "amtool"],
    "aqua:prometheus/prometheus": ["prometheus", "promtool"],
    "helm": ["helm"],
    "kubeconform": ["kubeconform"],
    "kustomize": ["kustomize"],
    "sops": ["sops"],
}


def test_mise_brings_the_pinned_versions() -> None:
    named = tomllib.loads((tools.ROOT / "mise.toml").read_text())["tools"]
    assert named.pop("go") == tools.go_version()
    pinned = {
        (tool, tools.released(program)) for tool, held in PROGRAMS.items() for program in held
    }
    assert set(named.items()) == pinned


def test_mise_brings_every_upstream_program_that_make_needs() -> None:
    text = (tools.ROOT / "Makefile").read_text()
    needed = re.findall(r"(?m)^TEST_TOOLS := (.+)$", text)[0].split()
    upstream = {name for name in needed if tools.released(name) != "local"}
    assert upstream <= {program for held in PROGRAMS.values() for program in held}
