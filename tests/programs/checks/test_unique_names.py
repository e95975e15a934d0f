"""Of what has a name there is one."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.checks.rendered import objects, pods
from scripts.checks.static import unique_names
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster, Item
from tests.programs.checks.rendered_edits import container, edited, named


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"env": [{"name": "A"}, {"name": "B"}]}, []),
        ({"env": [{"name": "A"}, {"name": "A", "value": "x"}]}, [("env.1", "A")]),
        ({"a": [{"b": [{"name": "A"}] * 3}]}, [("a.0.b.1", "A")]),
        ([{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}], []),
        ([{"name": "v", "mountPath": "/a"}, {"name": "w", "mountPath": "/a"}], [("1", "/a")]),
        ([{"name": "s", "namespace": "a"}, {"name": "s", "namespace": "b"}], []),
        ([{"name": "s", "kind": "A"}, {"name": "s", "kind": "B"}], []),
        (["a", "a", {"value": 1}, {"value": 1}, {"name": ["a"]}, {"name": ["a"]}], []),
    ],
)
def test_items_of_one_name(value: Json, found: list[tuple[str, str]]) -> None:
    assert [(".".join(keys), name) for keys, name in unique_names.repeated(value)] == found


def test_nothing_is_there_twice(repository: Repository) -> None:
    assert unique_names.check(repository) == []


def test_rendered_pods_and_objects(rendered: list[Cluster]) -> None:
    cluster = named(rendered)
    assert not [*pods.list_names_unique(cluster), *objects.brought_once(cluster)]

    def more(manifest: Json) -> None:
        container(manifest)["env"] = [{"name": "A"}, {"name": "A"}]

    (fault,) = pods.list_names_unique(edited(cluster, "Deployment", "grafana", more))
    assert "containers.0.env has A a second time" in fault.message
    (item,) = (item for item in cluster.items if str(item) == "Deployment monitoring/grafana")
    both = dataclasses.replace(cluster, items=(*cluster.items, Item(item.manifest)))
    (fault,) = objects.brought_once(both)
    assert "the release grafana and a unit create it" in fault.message
