"""Renovate sees every version of this tree, and moves together what belongs together."""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any, NamedTuple

import pytest

from scripts import tools
from scripts.core import git
from scripts.core.yamlfile import load, load_all
from scripts.model.images import IMAGES

ROOT = tools.ROOT
RENOVATE = ROOT / ".github/renovate.json5"
# What the preset `config:recommended` ignores.
IGNORED = ["tests/**", "**/tests/**"]
# A Go module and its version, as they stand in YAML files of scripts/.
PIN = re.compile(r"(?m)^(?:- |  )module: \S+\n  version: v")

Config = dict[str, Any]


class Pin(NamedTuple):
    """A version that Renovate moves: by which of its managers, in which file, of what."""

    manager: str
    datasource: str
    path: str
    package: str
    version: str


def parsed(text: str) -> Config:
    """Parse Renovate's configuration: without comments, YAML's flow style is a superset of it."""
    config: Config = load_all(re.sub(r"(?m)^\s*//.*$", "", text), RENOVATE.name)[0]
    return config


@functools.cache
def files() -> set[str]:
    """Every file that is, or would be, committed."""
    listed = git.output(ROOT, "ls-files", "--cached", "--others", "--exclude-standard")
    return {path for path in listed.splitlines() if (ROOT / path).is_file()}


def matching(manager: Config) -> set[str]:
    """The files of this repository that a manager reads."""
    expressions = [re.compile(pattern.strip("/")) for pattern in manager["managerFilePatterns"]]
    return {
        path
        for path in files()
        if any(e.search(path) for e in expressions)
        and not any(fnmatch(path, pattern) for pattern in IGNORED)
    }


def tags(values: Any) -> Iterator[str]:
    """Every tag of an image in a chart's values, but those that kustomize copies."""
    if isinstance(values, dict):
        for key, value in values.items():
            if key == "tag" or (key == "image" and isinstance(value, str)):
                tag = str(value).partition("@")[0].rpartition(":")[2]
                if not tag.startswith("copied"):
                    yield tag
            yield from tags(value)


def custom(config: Config) -> Iterator[Pin]:
    """What the managers find that the configuration itself describes."""
    for manager in config["customManagers"]:
        expression = re.compile(manager["matchStrings"][0].replace("(?<", "(?P<"))
        for path in matching(manager):
            for match in expression.finditer((ROOT / path).read_text()):
                found = {"datasource": manager.get("datasourceTemplate"), **match.groupdict()}
                name, version = found["depName"], found["currentValue"]
                yield Pin("custom.regex", found["datasource"], path, name, version)


def pins(config: Config) -> Iterator[Pin]:
    """What the configuration's own managers find, and Renovate's for go.mod, mise and npm."""
    yield from custom(config)
    for tool in tools.NAMES:
        for module, version in tools.modules(tool).items():
            yield Pin("gomod", "go", f"scripts/tools/{tool}/go.mod", module, version)
    named = tomllib.loads((ROOT / "mise.toml").read_text())["tools"]
    for name, version in named.items():
        # Others are Renovate's own names of programs.
        if name.startswith("aqua:"):
            yield Pin("mise", "github-tags", "mise.toml", name.removeprefix("aqua:"), version)
    for path in sorted(files()):
        if path.endswith("/package.json") and not path.startswith("tests/"):
            for name, version in json.loads((ROOT / path).read_text())["dependencies"].items():
                yield Pin("npm", "npm", path, name, version)


def named(package: str, pattern: str) -> bool:
    """Whether one of Renovate's patterns matches: an expression between slashes, or a glob."""
    if re.fullmatch("/.*/", pattern):
        return re.search(pattern.strip("/"), package) is not None
    return fnmatch(package, pattern)


def applies(rule: Config, pin: Pin) -> bool:
    """Whether a rule is for every update of a version, by the fields that are used here."""
    names = rule.get("matchPackageNames", ["**"])
    wanted = [name for name in names if not name.startswith("!")] or ["**"]
    return (
        "matchUpdateTypes" not in rule
        and "matchDepNames" not in rule
        and "matchDepTypes" not in rule
        and pin.manager in rule.get("matchManagers", [pin.manager])
        and pin.datasource in rule.get("matchDatasources", [pin.datasource])
        and any(fnmatch(pin.path, glob) for glob in rule.get("matchFileNames", ["*"]))
        and any(named(pin.package, name) for name in wanted)
        and not any(named(pin.package, name[1:]) for name in names if name.startswith("!"))
    )


def branch(config: Config, pin: Pin) -> str | None:
    """The group that a version moves with, its own name where it has none, None if by hand."""
    effective: Config = {"groupName": pin.package, "enabled": True}
    for rule in config["packageRules"]:
        if applies(rule, pin):
            effective |= {key: rule[key] for key in effective if key in rule}
    return effective["groupName"] if effective["enabled"] else None


def parted(text: str) -> Iterator[str]:
    """Say which versions of one program would come in several pull requests."""
    config = parsed(text)
    images = load(ROOT / IMAGES, ROOT)[0]
    branches: dict[str, set[str]] = defaultdict(set)
    for pin in pins(config):
        if pin.manager == "mise":
            project = f"github.com/{pin.package}"
        else:
            project = images.get(pin.package, {}).get("module") or pin.package
        if found := branch(config, pin):
            branches[re.sub(r"/v\d+$", "", project)].add(found)
    for project, found_in in sorted(branches.items()):
        if len(found_in) > 1:
            yield f"{project} moves in {', '.join(sorted(found_in))}"


def unwatched(text: str) -> Iterator[str]:
    """Say which version of this repository Renovate's configuration would miss."""
    config = parsed(text)
    charts = {
        path
        for path in files()
        if re.match("(base|overlays)/.*yaml$", path)
        and re.search(r'(?m)^ +(tag|version): "?v?\d', (ROOT / path).read_text())
    }
    yield from (f"chart of {path}" for path in charts - matching(config["flux"]))
    locks = {
        path
        for path in files()
        if path.endswith(".txt") and "uv pip compile" in (ROOT / path).read_text()[:200]
    }
    yield from (f"lock file {path}" for path in locks - matching(config["pip-compile"]))
    found = list(custom(config))
    watched = {pin.version for pin in found}
    for path in charts:
        for document in load(ROOT / path, ROOT):
            values = document.get("spec", {}).get("values", {})
            yield from (f"image tag {t} of {path}" for t in tags(values) if t not in watched)
    modules = {
        path
        for path in files()
        if re.match("scripts/.*yaml$", path) and PIN.search((ROOT / path).read_text())
    }
    yield from (f"modules of {path}" for path in modules - {pin.path for pin in found})
    if "mise" not in config["enabledManagers"]:
        yield "mise.toml"


def stale(text: str) -> Iterator[str]:
    """Say which rule is for a file or a package that this repository has no longer."""
    config = parsed(text)
    named_in = [path for path in files() if re.search(r"\.(ya?ml|json|mod|toml|txt)$", path)]
    everything = "".join((ROOT / p).read_text() for p in named_in if not p.startswith("tests/"))
    for rule in config["packageRules"]:
        for path in rule.get("matchFileNames", []):
            if not any(fnmatch(one, path) for one in files()):
                yield f"rule for {path}"
        if "groupName" in rule:
            for name in rule.get("matchPackageNames", []):
                if name.removesuffix("/**") not in everything:
                    yield f"rule for {name}"


def test_renovate_sees_every_version() -> None:
    assert list(unwatched(RENOVATE.read_text())) == []


def test_what_belongs_together_comes_in_one_pull_request() -> None:
    assert list(parted(RENOVATE.read_text())) == []


def test_every_rule_of_renovate_is_for_something_here() -> None:
    assert list(stale(RENOVATE.read_text())) == []


@pytest.mark.parametrize(
    ("old", "new", "missed"),
    [
        ("base/releases", "base/release", "chart of base/releases/"),
        (r"\^requirements", "^require", "lock file requirements.txt"),
        (r"\^scripts/tools/requirements", "^tools/", "lock file scripts/tools/requirements-mcp"),
        (r"module: \(", "modul: (", "modules of scripts/schemas.yaml"),
        (r"live/kind/engines", "kind/engines", "modules of scripts/live/kind/engines.yaml"),
        ('"mise", ', "", "mise.toml"),
        ("# renovate: ", "#renovate: ", "image tag "),
        (r"\^\(base\|", "^(basis|", "image tag "),
    ],
)
def test_a_version_that_renovate_misses_is_named(old: str, new: str, missed: str) -> None:
    broken, times = re.subn(old, lambda _: new, RENOVATE.read_text(), count=1)
    assert times == 1
    assert [found for found in unwatched(broken) if found.startswith(missed)]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        # A rule that is more general, but later.
        (
            r"(?s)(.*)\n  \],\n\}",
            r'\1\n{groupName: "x", matchManagers: ["gomod"]},\n],\n}',
            "github.com/grafana/loki moves in Loki, x",
        ),
        ('"docker.io/grafana/loki", ', "", "github.com/grafana/loki moves in Loki, docker.io/"),
        (r'\n +"prometheus/alertmanager",', "", "github.com/prometheus/alertmanager moves in Al"),
        ("github.com/argoproj/argo-cd/", "github.com/argoproj/cd/", "github.com/argoproj/argo-cd"),
    ],
)
def test_a_program_that_renovate_parts_is_named(old: str, new: str, named: str) -> None:
    broken, times = re.subn(old, new, RENOVATE.read_text(), count=1)
    assert times == 1
    assert [found for found in parted(broken) if found.startswith(named)]


def test_a_rule_for_what_is_gone_is_named() -> None:
    text = RENOVATE.read_text()
    assert list(stale(text.replace("charts/kube-prom", "chart/kube-prom"))) == [
        "rule for ghcr.io/prometheus-community/chart/kube-prometheus-stack"
    ]
    assert "rule for scripts/obscheck/go.mod" in stale(
        text.replace("scripts/tools/obscheck", "scripts/obscheck")
    )
