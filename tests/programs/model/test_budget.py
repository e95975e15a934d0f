"""Each environment stays within its budget, and what is over it is found."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from scripts.core import quantities
from scripts.core.yamlfile import Json
from scripts.model import budget
from scripts.model.images import IMAGES
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster, Item, clusters


def named(every: list[Cluster], name: str = "oke-free/flux") -> Cluster:
    return next(cluster for cluster in every if cluster.name == name)


def messages(cluster: Cluster) -> list[str]:
    return [finding.message for finding in budget.findings(cluster)]


def edited(cluster: Cluster, kind: str, edit: Callable[[Json], object]) -> Cluster:
    """The cluster with every object of a kind changed."""
    items = []
    for item in cluster.items:
        manifest = copy.deepcopy(dict(item.manifest))
        if item.kind == kind:
            edit(manifest)
        items.append(Item(manifest, item.release))
    return dataclasses.replace(cluster, items=tuple(items))


@pytest.fixture
def limited(
    rendered: list[Cluster], tmp_path: Path
) -> Callable[[Callable[[Json], object]], Cluster]:
    """Make a cluster whose budget was changed."""

    def make(change: Callable[[Json], object]) -> Cluster:
        cluster = named(rendered)
        limits = copy.deepcopy(budget.limits(cluster))
        change(limits)
        path = tmp_path / "overlays/oke-free/budget.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(limits))
        (tmp_path / "scripts").mkdir(exist_ok=True)
        known = cluster.repository.root / IMAGES
        (tmp_path / IMAGES).write_text(known.read_text())
        return dataclasses.replace(cluster, repository=Repository(tmp_path))

    return make


def test_every_environment_keeps_its_budget(rendered: list[Cluster]) -> None:
    findings = [finding for cluster in rendered for finding in budget.findings(cluster)]
    assert list(map(str, [*findings, *budget.unused_images(rendered)])) == []


def container(cpu: str, **more: str) -> Json:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("init", "main", "cores"),
    [
        ([], ["1", "2"], 3),
        (["2"], ["1"], 2),
        (["2", "5"], ["1", "3"], 5),
        (["1*"], ["1", "1"], 3),
        (["1*", "5", "1*"], ["1"], 6),
        (["5", "1*"], ["1"], 5),
    ],
)
def test_init_containers_count_as_the_scheduler_counts(
    init: list[str], main: list[str], cores: float
) -> None:
    spec = {
        "initContainers": [
            container(cpu.rstrip("*"), **({"restartPolicy": "Always"} if "*" in cpu else {}))
            for cpu in init
        ],
        "containers": [container(cpu) for cpu in main],
    }
    assert budget.effective(spec, "cpu", "requests") == cores


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda b: b["requests"].update(cpu="100m"), r"\d+m of CPU, and 100m are allowed; most"),
        (lambda b: b["requests"].update(memory="1Gi"), r"\d+Mi of memory, and 1Gi are allowed"),
        (lambda b: b["series"].update(limit=20000), r"\d+ of series, and 20000 are allowed"),
        (lambda b: b["volumes"].update(count=1), "2 volumes, and 1 are allowed"),
        (lambda b: b["volumes"].update(total="60Gi"), "100Gi of volumes, and 60Gi are allowed"),
        (lambda b: b["volumes"].update(smallest="60Gi"), "a volume of 50Gi is rounded up to 60Gi"),
        (lambda b: b["volumes"].update(storageClass="oci"), "the storage class oci-bv, not oci"),
        (lambda b: b["tier"].update(storage="150Gi"), "are more than the tier's 150Gi"),
        (lambda b: b["tier"].update(memory="1Gi"), "of 1792Mi are more than the tier's 1Gi"),
        (lambda b: b["requests"].update(cpus="1"), "requests.cpus is no limit that is checked"),
        (lambda b: b.update(serie={}), "serie is no limit that is checked"),
        (lambda b: b["series"]["targets"].pop("flux"), "how many targets has the monitor 'flux'"),
        (lambda b: b.update(architecture="s390x"), "does not run on s390x"),
        (lambda b: b.clear(), "there is no budget"),
    ],
)
def test_what_is_over_a_limit_is_found(
    limited: Callable[[Callable[[Json], object]], Cluster],
    change: Callable[[Json], object],
    expected: str,
) -> None:
    found = messages(limited(change))
    assert any(re.search(expected, message) for message in found), found


@pytest.mark.usefixtures("rendered")
def test_both_ways_out_of_what_does_not_fit_are_named(copy: Repository) -> None:
    path = copy.root / "overlays/oke-free/budget.yaml"
    text = path.read_text().replace("smallest: 50Gi", "smallest: 60Gi")
    path.write_text(f"{text}replicas: 0\n")
    cluster = named(clusters(copy))
    places = {found.message: (found.path, found.fix) for found in budget.findings(cluster)}
    limit = "or change the limit in overlays/oke-free/budget.yaml"
    own = "overlays/oke-free/releases/loki.yaml"
    assert places["StatefulSet monitoring/loki: a volume of 50Gi is rounded up to 60Gi"] == (
        own,
        f"change it in {own}; {limit}",
    )
    base = "base/releases/grafana.yaml"
    ways = "for every environment, or by a patch in overlays/oke-free for this one"
    text = "Deployment monitoring/grafana: 1 replicas, and overlays/oke-free/budget.yaml allows 0"
    assert places[text] == (base, f"change it in {base} {ways}; {limit}")


def test_more_nodes_take_more(
    limited: Callable[[Callable[[Json], object]], Cluster],
) -> None:
    cluster = limited(lambda b: b.update(nodes=20))
    found = " ".join(messages(cluster))
    assert "of CPU" in found
    assert "of memory" in found
    assert "of series" in found


def test_a_higher_sample_limit_is_found(rendered: list[Cluster]) -> None:
    cluster = edited(named(rendered), "PodMonitor", lambda m: m["spec"].update(sampleLimit=2000))
    assert any("of series" in message for message in messages(cluster))


def test_a_second_replica_on_a_laptop_is_found(rendered: list[Cluster]) -> None:
    cluster = edited(
        named(rendered, "local/flux"), "Alertmanager", lambda m: m["spec"].update(replicas=2)
    )
    assert any("2 replicas" in message for message in messages(cluster))


def test_a_volume_on_a_laptop_is_found(rendered: list[Cluster]) -> None:
    claim = {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    cluster = edited(
        named(rendered, "local/flux"),
        "Prometheus",
        lambda m: m["spec"].update(storage={"volumeClaimTemplate": claim}),
    )
    assert any("1 volumes, and 0 are allowed" in message for message in messages(cluster))


def test_an_unknown_image_is_found(rendered: list[Cluster]) -> None:
    cluster = edited(
        named(rendered),
        "Alertmanager",
        lambda m: m["spec"].update(image="quay.io/other/alertmanager:v0.34.0"),
    )
    (message,) = messages(cluster)
    assert "whether quay.io/other/alertmanager runs on arm64 is not known" in message


def test_an_image_that_nothing_runs_is_found(rendered: list[Cluster]) -> None:
    clusters = [
        dataclasses.replace(c, items=tuple(i for i in c.items if i.name != "grafana"))
        for c in rendered
    ]
    (finding,) = budget.unused_images(clusters)
    assert finding.message == "nothing runs docker.io/grafana/grafana"


def test_a_cluster_runs_one_engine_only(rendered: list[Cluster]) -> None:
    limits = budget.limits(named(rendered))
    for cluster in (named(rendered), named(rendered, "oke-free/argocd")):
        counted = {
            item.name: budget.scrapes(cluster, item, limits)
            for item in cluster.of("PodMonitor", "ServiceMonitor")
            if item.name in ("flux", "argocd")
        }
        other = "argocd" if cluster.sync.engine == "flux" else "flux"
        assert counted[other] == 0
        assert counted[cluster.sync.engine] == limits["series"]["targets"][cluster.sync.engine]


def test_every_node_s_kubelet_is_scraped_twice(rendered: list[Cluster]) -> None:
    cluster = named(rendered)
    (kubelet,) = [i for i in cluster.of("ServiceMonitor") if i.name.endswith("-kubelet")]
    assert budget.scrapes(cluster, kubelet, budget.limits(cluster)) == 4


def test_the_table_sums_up(rendered: list[Cluster]) -> None:
    lines = budget.table(rendered).splitlines()
    assert "oke-free/argocd, oke-free/flux" in lines
    assert not any(line.startswith("options") for line in lines)
    body = lines[lines.index("oke-free/argocd, oke-free/flux") + 1 :]
    cpu = {line.split()[0]: line.split()[1] for line in body if re.search(r" \d+m ", line)}
    own = {name: int(value[:-1]) for name, value in cpu.items() if name not in ("total", "allowed")}
    assert cpu["total"] == f"{sum(own.values())}m"
    allowed = budget.limits(named(rendered))["requests"]["cpu"]
    assert cpu["allowed"] == f"{1000 * quantities.quantity(allowed):.0f}m"
