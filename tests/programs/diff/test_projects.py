"""What `make diff` says of Argo CD's projects."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import projects
from scripts.diff.model import Flag
from tests.programs.diff.diff_pairs import analyzed, cluster, manifest, pair

ANY_KIND = [{"group": "*", "kind": "*"}]
JOB = {"group": "batch", "kind": "Job"}
NODE = {"group": "", "kind": "Node"}


def project(**spec: Any) -> Json:
    return manifest("AppProject", api="argoproj.io/v1alpha1", spec=spec)


@pytest.mark.parametrize(
    ("field", "narrow", "wide"),
    [
        ("sourceRepos", ["a"], ["a", "b"]),
        ("sourceRepos", ["a"], ["*"]),
        ("sourceRepos", ["https://a/b"], ["https://a/*"]),
        ("sourceRepos", ["https://a/*"], ["https://a/*", "https://a/b/c"]),
        ("sourceRepos", ["https://a/*"], ["https://a/**"]),
        ("sourceRepos", ["a?"], ["a*"]),
        ("sourceRepos", ["*", "!b"], ["*"]),
        ("sourceRepos", ["a"], ["a", "!b"]),
        ("sourceNamespaces", None, ["n"]),
        (
            "destinations",
            [{"server": "s", "namespace": "n"}],
            [{"server": "s", "namespace": "n*"}],
        ),
        (
            "destinations",
            [{"server": "*", "namespace": "!kube-system"}],
            [{"server": "*", "namespace": "*"}],
        ),
        ("destinations", None, [{"name": "s", "namespace": "n"}]),
        ("namespaceResourceWhitelist", [JOB], None),
        ("namespaceResourceWhitelist", [], [JOB]),
        ("namespaceResourceWhitelist", [JOB], ANY_KIND),
        ("namespaceResourceBlacklist", [JOB], None),
        ("clusterResourceWhitelist", None, [NODE]),
        ("clusterResourceWhitelist", [{**NODE, "name": "a"}], [NODE]),
    ],
)
def test_projects(field: str, narrow: Any, wide: Any) -> None:
    one, other = (project(**({} if value is None else {field: value})) for value in (narrow, wide))
    widened = ["project-widened: AppProject n/a"]
    assert analyzed(projects.analyze, one, lambda m: m.update(other)) == widened
    assert analyzed(projects.analyze, other, lambda m: m.update(one)) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # What is not allowed need not be forbidden.
        ({"clusterResourceBlacklist": [NODE]}, {}),
        ({"sourceRepos": ["a", "b"]}, {"sourceRepos": ["b", "a"]}),
        ({"sourceRepos": ["*"]}, {"sourceRepos": ["*", "!b"]}),
        ({"sourceRepos": ["!b"]}, {"sourceRepos": ["*", "!b"]}),
        ({"sourceRepos": ["a*"]}, {"sourceRepos": ["a*", "ab"]}),
        ({}, {"description": "text"}),
    ],
)
def test_projects_that_allow_no_more(before: Json, after: Json) -> None:
    edit = project(**after)
    assert analyzed(projects.analyze, project(**before), lambda m: m.update(edit)) == []


def application(name: str) -> Json:
    return manifest("Application", api="argoproj.io/v1alpha1", spec={"project": name})


def test_an_application_that_leaves_its_project() -> None:
    narrow = project(sourceRepos=["a"])
    one, other = (cluster(narrow, application(name)) for name in ("a", "default"))
    (flag,) = projects.analyze(pair(one, other))
    assert isinstance(flag, Flag)
    assert (flag.name, flag.where) == ("project-widened", "Application n/a")
    assert flag.why == (
        "Its project a → default, so it may do more: "
        "destinations: any, sourceRepos: any, cluster resources: any."
    )
    assert list(projects.analyze(pair(other, one))) == []


def test_a_project_beside_others() -> None:
    narrow, wide = project(sourceRepos=["a"]), project(sourceRepos=["*"])
    wide["metadata"] = {**wide["metadata"], "name": "b"}
    (flag,) = projects.analyze(pair(cluster(narrow), cluster(narrow, wide)))
    assert isinstance(flag, Flag)
    assert flag.where == "AppProject n/b"
    assert list(projects.analyze(pair(cluster(wide), cluster(narrow, wide)))) == []
    # One of the others allows as much.
    third = {**wide, "metadata": {**wide["metadata"], "name": "c"}}
    assert list(projects.analyze(pair(cluster(narrow, wide), cluster(narrow, wide, third)))) == []
    assert list(projects.analyze(pair(cluster(), cluster(wide)))) == []
