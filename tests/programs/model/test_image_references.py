"""Which images a cluster pulls, and where somebody wrote them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.core.yamlfile import Json
from scripts.model import image_references
from scripts.model.image_references import ImageReference, references
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster, Item
from tests.programs.diff.diff_pairs import cluster, manifest

DIGEST = f"sha256:{'0' * 64}"


def images(*manifests: Json) -> list[str]:
    return [one.image for one in references(cluster(*manifests))]


def pod(*containers: Json, **spec: Json) -> Json:
    return manifest("Pod", spec={"containers": list(containers), **spec})


def test_every_container_and_volume_of_every_kind_of_pod() -> None:
    container = {"name": "c", "image": "a:1"}
    init = [{"name": "i", "image": "b:1"}]
    volumes = [{"name": "v", "image": {"reference": "c.io/x:1"}}, {"name": "w", "emptyDir": {}}]
    template = {"spec": {"containers": [container]}}
    job = manifest(
        "CronJob", api="batch/v1", spec={"jobTemplate": {"spec": {"template": template}}}
    )
    assert images(pod(container, initContainers=init, volumes=volumes)) == [
        "b:1",
        "a:1",
        "c.io/x:1",
    ]
    assert images(job) == ["a:1"]


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ({"args": ["--acme-http01-solver-image=quay.io/jetstack/solver:v1.21.1"]}, True),
        ({"command": ["run", f"--image=a.io/b@{DIGEST}"]}, True),
        ({"env": [{"name": "RELATED_IMAGE_X", "value": "localhost:5000/b/c:1"}]}, True),
        ({"env": [{"name": "SIDECAR_IMAGE", "value": "a.io/b/c:1.0"}]}, True),
        # The operator's own: what its pods run is known.
        ({"args": ["--thanos-default-base-image=quay.io/thanos/thanos:v0.42.5"]}, False),
        # No whole name, or none of an image.
        ({"args": ["--image=nginx"]}, False),
        ({"args": ["--image=a.io/b"]}, False),
        ({"args": ["--image-pull-policy=Always", "--listen=host.example/x:80"]}, False),
        ({"args": ["--web.external-url=https://a.io/b:1"]}, False),
        ({"args": ["--site-image=https://a.io/b.png"]}, False),
        ({"env": [{"name": "IMAGE", "value": "a.io/b:1"}]}, False),
        ({"env": [{"name": "X_IMAGE", "valueFrom": {}}]}, False),
        ({"env": [{"name": "X_IMAGE", "value": "/usr/share/picture.png"}]}, False),
    ],
)
def test_images_that_a_controller_is_told(container: Json, found: bool) -> None:
    assert len(images(pod({"name": "c", "image": "own:1", **container}))) == 1 + found


def test_what_a_kubelet_never_pulls_is_left_out() -> None:
    never = {"name": "c", "image": "loaded:1", "imagePullPolicy": "Never"}
    assert images(pod(never, {"name": "d"})) == []


@pytest.mark.parametrize(
    ("api", "spec", "found"),
    [
        ("postgresql.cnpg.io/v1", {"imageName": "a", "image": "ghcr.io/a/b:16.2"}, True),
        ("k8s.mariadb.com/v1", {"metrics": {"exporterImage": f"a.io/b@{DIGEST}"}}, True),
        ("grafana.integreatly.org/v1", {"image": "logo"}, False),
        ("example.com/v1", {"image": {"tag": "1"}}, False),
        ("example.com/v1", {"backgroundImage": "https://a.io/b.png"}, False),
        ("apiextensions.k8s.io/v1", {"image": "a.io/b:1"}, False),
        ("v1", {"image": "a.io/b:1"}, False),
    ],
)
def test_images_of_custom_resources(api: str, spec: Json, found: bool) -> None:
    assert len(images(manifest("Thing", api=api, spec=spec))) == found


OPERATOR = {
    "name": "o",
    "image": "quay.io/prometheus-operator/prometheus-operator:v0.93.1",
    "args": [
        "--prometheus-config-reloader=r.io/reloader:v0.93.1",
        "--thanos-default-base-image=t.io/thanos:v0.42.4",
        "--alertmanager-default-base-image=m.io/alertmanager",
    ],
}


@pytest.mark.parametrize(
    ("kind", "spec", "image"),
    [
        ("Prometheus", {"image": "a.io/p:1", "version": "v3.14.0"}, "a.io/p:1"),
        ("Prometheus", {"version": "v3.14.0"}, "quay.io/prometheus/prometheus:v3.14.0"),
        ("Prometheus", {"sha": "ab"}, "quay.io/prometheus/prometheus@sha256:ab"),
        ("Alertmanager", {"version": "v0.34.1"}, "m.io/alertmanager:v0.34.1"),
        ("Prometheus", {"image": "a:1", "thanos": {"logLevel": "info"}}, "t.io/thanos:v0.42.4"),
        ("Prometheus", {"image": "a:1", "thanos": {"version": "v1"}}, "t.io/thanos:v0.42.4"),
        ("Prometheus", {"image": "a:1"}, "r.io/reloader:v0.93.1"),
    ],
)
def test_what_the_operator_makes_of_its_resources(kind: str, spec: Json, image: str) -> None:
    resource = manifest(kind, api="monitoring.coreos.com/v1", spec=spec)
    assert image in images(pod(OPERATOR), resource)


def test_a_version_that_only_the_operator_s_code_names_is_not_known() -> None:
    resource = manifest("Prometheus", api="monitoring.coreos.com/v1", spec={})
    assert set(images(pod(OPERATOR), resource)) == {OPERATOR["image"], "r.io/reloader:v0.93.1"}


GRAFANA = "docker.io/grafana/grafana"


def test_the_line_of_a_tag_else_of_the_chart_s_version(rendered: list[Cluster]) -> None:
    one = next(each for each in rendered if each.name == "oke-free/argocd")
    found = {each.image.partition(":")[0]: each for each in references(one)}
    places = {
        name: image_references.place(one, each)
        for name, each in found.items()
        if name in (GRAFANA, "quay.io/prometheus/blackbox-exporter", "docker.io/grafana/alloy")
    }
    root = one.repository.root
    said = {
        name: (path, (root / path).read_text().splitlines()[(line or 0) - 1].strip())
        for name, (path, line) in places.items()
    }
    tag = found[GRAFANA].image.rpartition(":")[2]
    assert said[GRAFANA] == ("base/releases/grafana.yaml", f'tag: "{tag}"')
    path, text = said["quay.io/prometheus/blackbox-exporter"]
    assert (path, text[:4]) == ("base/releases/prometheus-blackbox-exporter.yaml", "tag:")
    path, text = said["docker.io/grafana/alloy"]
    assert path.startswith("base/releases/alloy")
    assert text == 'version: "1.11.1"'


@pytest.mark.parametrize(
    ("values", "image", "keys"),
    [
        ({"image": {"tag": "1", "repository": "a/b"}}, "q.io/a/b:1", ("image", "tag")),
        # The same tag of another image.
        (
            {"image": {"tag": "1", "repository": "a/b"}, "x": {"tag": "1", "repository": "c/d"}},
            "c/d:1",
            ("x", "tag"),
        ),
        ({"image": {"tag": "1", "repository": "a/b"}}, "c/d:1", ()),
        ({"image": {"tag": "1", "digest": DIGEST}}, f"a:1@{DIGEST}", ("image", "digest")),
        ({"image": {"sha": "0" * 64}}, f"a:1@{DIGEST}", ("image", "sha")),
        ({"sidecar": "a.io/b:1"}, "a.io/b:1", ("sidecar",)),
        ({"extraArgs": ["--image=a.io/b:1"]}, "a.io/b:1", ("extraArgs", "0")),
        ({"image": {"repository": "a/b"}}, "q.io/a/b:1", ("image", "repository")),
        ({"replicas": "1", "port": 1}, "a:1", ()),
        ({}, "a:1", ()),
    ],
)
def test_what_makes_a_name(values: Json, image: str, keys: tuple[str, ...]) -> None:
    assert image_references._written(values, image) == keys


def test_an_object_of_the_tree_is_found_by_its_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base").mkdir()
    text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n"
    (tmp_path / "base/pod.yaml").write_text(f"{text}    - name: c\n      image: x:1\n")
    own = pod({"name": "c", "image": "x:1"})
    one = dataclasses.replace(cluster(own), repository=Repository(tmp_path))
    monkeypatch.setattr(one.repository, "files", lambda _: frozenset({"base/pod.yaml"}))
    where = image_references.place(one, ImageReference("x:1", Item(own), "c"))
    assert where == ("base/pod.yaml", 8)
