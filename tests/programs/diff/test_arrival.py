"""What `make diff` says of changes that a merge takes to no cluster."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import arrival, suspension
from scripts.diff.model import Flag, Sentence
from scripts.diff.objects import ClusterPair, RevisionPair
from scripts.model import api_groups, charts
from scripts.model.manifests import Release, Repository, Unit
from scripts.model.rendered import Cluster, Item
from tests.programs.diff.diff_pairs import DEPLOYMENT, cluster, manifest, pair, put

ROOT = Path("/nonexistent")
SOURCE = f"{api_groups.SOURCE}/v1"
KUSTOMIZE = f"{api_groups.KUSTOMIZE}/v1"
ARGO_CD = f"{api_groups.ARGO_CD}/v1alpha1"
SYNCED = {"syncPolicy": {"automated": {"prune": True}}}


def revisions(*pairs: ClusterPair) -> RevisionPair:
    return RevisionPair(ROOT, ROOT, pairs)


def named(found: ClusterPair, name: str) -> ClusterPair:
    engine = name.rpartition("/")[2]
    before, after = (
        dataclasses.replace(one, sync=dataclasses.replace(one.sync, engine=engine))
        for one in (found.before, found.after)
    )
    return ClusterPair(name, before, after, found.releases, whole=True)


def held(*pairs: ClusterPair) -> list[str]:
    found = suspension.unreached(revisions(*pairs))
    return [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in found]


def kustomization(name: str, **spec: Any) -> Json:
    spec = {"sourceRef": {"kind": "GitRepository", "name": "s"}, **spec}
    return manifest("Kustomization", api=KUSTOMIZE, metadata={"name": name}, spec=spec)


def applied(number: int, *owners: Json, unit: str = "u", engine: str = "flux") -> Cluster:
    """A cluster whose unit applies one ConfigMap."""
    config = manifest("ConfigMap", data={"n": str(number)})
    found = cluster(config)
    units = [Unit("root", "root", list(owners)), Unit(unit, unit, [config])]
    sync = dataclasses.replace(found.sync, engine=engine, units=units)
    return dataclasses.replace(found, sync=sync)


def changed(*owners: Json, unit: str = "u", name: str = "one/flux") -> ClusterPair:
    return named(pair(applied(1, *owners, unit=unit), applied(2, *owners, unit=unit)), name)


SUSPENDED = manifest("GitRepository", api=SOURCE, metadata={"name": "s"}, spec={"suspend": True})


@pytest.mark.parametrize(
    ("owners", "flag"),
    [
        ([kustomization("u")], None),
        ([kustomization("u", suspend=True)], "Kustomization u"),
        ([kustomization("u"), SUSPENDED], "GitRepository s"),
        (
            [kustomization("u", sourceRef={"kind": "GitRepository", "name": "other"}), SUSPENDED],
            None,
        ),
        # It waits for each revision of what it depends on.
        (
            [kustomization("u", dependsOn=[{"name": "v"}]), kustomization("v", suspend=True)],
            "Kustomization v",
        ),
        ([kustomization("u"), kustomization("v", suspend=True)], None),
        (
            [
                kustomization("u", dependsOn=[{"name": "v"}]),
                kustomization("v", dependsOn=[{"name": "w"}]),
                kustomization("w", suspend=True),
            ],
            "Kustomization w",
        ),
    ],
)
def test_a_change_in_what_has_been_suspended(owners: list[Json], flag: str | None) -> None:
    assert held(changed(*owners)) == ([f"held-back: {flag}"] if flag else [])


@pytest.mark.parametrize("suspend", [True, False])
def test_what_flux_bootstrap_made_is_suspended(suspend: bool, tmp_path: Path) -> None:
    path = tmp_path / "clusters/one/flux/flux-system/gotk-sync.yaml"
    path.parent.mkdir(parents=True)
    root = kustomization("root", suspend=suspend)
    path.write_text(yaml.safe_dump(root))

    def of(number: int, interval: str) -> Cluster:
        found = applied(number, kustomization("u", interval=interval))
        return dataclasses.replace(found, repository=Repository(tmp_path))

    # Of the unit itself, Flux applies what its source has, as it was declared before.
    assert held(pair(of(1, "1m"), of(2, "1m"))) == []
    found = held(pair(of(1, "1m"), of(1, "2m")))
    assert found == ["held-back: Kustomization root"] * suspend


def test_what_another_cluster_gets_is_no_danger() -> None:
    stopped = changed(kustomization("u", suspend=True))
    other = changed(kustomization("u"), name="two/flux")
    text = "Kustomization u is suspended: 1 change in git alone"
    assert held(stopped, other) == [text]
    # Under the other engine, it may be no cluster at all.
    application = manifest("Application", api=ARGO_CD, metadata={"name": "u"}, spec=SYNCED)
    argo_cd = changed(application, name="one/argocd")
    assert held(stopped, argo_cd) == ["held-back: Kustomization u"]


def test_what_the_change_suspends_itself_has_a_flag_already() -> None:
    before = applied(1, kustomization("u"))
    after = applied(2, kustomization("u", suspend=True))
    assert held(pair(before, after)) == ["Kustomization u is suspended: 1 change in git alone"]


@pytest.mark.parametrize(
    ("annotation", "value", "engine", "count"),
    [
        (f"{api_groups.KUSTOMIZE}/ssa", "IfNotPresent", "flux", 1),
        (f"{api_groups.KUSTOMIZE}/ssa", "Ignore", "flux", 1),
        (f"{api_groups.KUSTOMIZE}/ssa", "Merge", "flux", 0),
        (f"{api_groups.KUSTOMIZE}/ssa", "IfNotPresent", "argocd", 0),
        # An upgrade of a release changes it all the same.
        (f"{api_groups.HELM}/driftDetection", "disabled", "flux", 0),
    ],
)
def test_an_object_that_flux_leaves_alone(
    annotation: str, value: str, engine: str, count: int
) -> None:
    one, other = (
        manifest("ConfigMap", metadata={"annotations": {annotation: value}}, data={"n": number})
        for number in "12"
    )
    found = held(named(pair(cluster(one), cluster(other)), f"one/{engine}"))
    assert found == ["held-back: ConfigMap n/a"] * count
    # What is not there yet is applied.
    assert not held(named(pair(cluster(), cluster(other)), f"one/{engine}"))


def test_a_chart_whose_source_is_suspended() -> None:
    spec = {"chartRef": {"kind": "OCIRepository", "name": "a"}}
    owner = manifest("HelmRelease", api=f"{api_groups.HELM}/v2", spec=spec)

    def of(version: str, *, suspend: bool) -> Cluster:
        source = manifest("OCIRepository", api=SOURCE, spec={"suspend": suspend})
        release = Release("a", "n", "c", version, "r", {}, ("HelmRelease", "a"))
        return cluster(owner, source, releases=(release,))

    assert held(pair(of("1", suspend=True), of("2", suspend=True))) == [
        "held-back: OCIRepository a"
    ]
    assert not held(pair(of("1", suspend=True), of("1", suspend=True)))
    assert not held(pair(of("1", suspend=False), of("2", suspend=False)))


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ({"branch": "main"}, None),
        ({}, None),
        ({"name": "refs/heads/main"}, None),
        ({"tag": "v1.2.3"}, "is fixed to v1.2.3"),
        ({"semver": ">=1.0.0"}, "is fixed to >=1.0.0"),
        ({"branch": "main", "commit": "0123456789abcdef"}, "is fixed to 0123456789abcdef"),
        ({"branch": "production"}, "is the branch production"),
    ],
)
def test_a_cluster_that_follows_another_revision(reference: Json, says: str | None) -> None:
    def of(own: Json, name: str) -> ClusterPair:
        metadata = {"name": "s"}
        source = manifest("GitRepository", api=SOURCE, metadata=metadata, spec={"ref": own})
        # fluxcd/flux2#1100: of another repository, a tag is what it should be.
        spec = {"ref": {"tag": "v1.1.1"}}
        other = manifest("GitRepository", api=SOURCE, metadata={"name": "other"}, spec=spec)
        return changed(kustomization("u"), source, other, name=name)

    found = list(
        arrival.branches(revisions(of(reference, "one/flux"), of({"branch": "main"}, "two/flux")))
    )
    places = ("one/flux",)
    own = [o.text for o in found if isinstance(o, Sentence) and o.places == places]
    assert [text for text in own if text.startswith(f"Its source {says}")] == own
    assert bool(own) is bool(says)


@pytest.mark.parametrize(
    ("revision", "fixed"),
    [
        ("HEAD", False),
        ("main", False),
        ("release-1.2", False),
        ("v1.2.3", True),
        ("1.2.*", True),
        ("0123456", True),
        ("refs/tags/stable", True),
    ],
)
def test_a_revision_of_an_application(revision: str, fixed: bool) -> None:
    source = {"source": {"path": "p", "targetRevision": revision}}
    application = manifest(
        "Application", api=ARGO_CD, metadata={"name": "u"}, spec={**SYNCED, **source}
    )
    found = list(arrival.branches(revisions(changed(application, name="one/argocd"))))
    assert len(found) == fixed


@pytest.mark.parametrize(
    ("rule", "options", "path", "count"),
    [
        ({"jsonPointers": ["/spec/replicas"]}, [arrival.RESPECT], "spec/replicas", 1),
        ({"jqPathExpressions": [".spec.replicas"]}, [arrival.RESPECT], "spec/replicas", 1),
        ({"jsonPointers": ["/spec/replicas"]}, [], "spec/replicas", 0),
        ({"jsonPointers": ["/spec/replicas"]}, [arrival.RESPECT], "spec/paused", 0),
        (
            {"name": "b", "jsonPointers": ["/spec/replicas"]},
            [arrival.RESPECT],
            "spec/replicas",
            0,
        ),
        (
            {"kind": "StatefulSet", "jsonPointers": ["/spec/replicas"]},
            [arrival.RESPECT],
            "spec/replicas",
            0,
        ),
        ({"managedFieldsManagers": ["x"]}, [arrival.RESPECT], "spec/replicas", 0),
        (
            {"jsonPointers": ["/metadata/annotations/example.com~1a"]},
            [arrival.RESPECT],
            "metadata/annotations/example.com~a",
            1,
        ),
    ],
)
def test_fields_that_an_application_ignores(
    rule: Json, options: list[str], path: str, count: int
) -> None:
    rules = [{"group": "apps", "kind": "Deployment", **rule}]
    policy = {"automated": {"prune": True}, "syncOptions": options}
    spec = {"ignoreDifferences": rules, "syncPolicy": policy}
    application = manifest("Application", api=ARGO_CD, metadata={"name": "unit"}, spec=spec)
    before, after = ({**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"]}} for _ in range(2))
    after["metadata"] = {**after["metadata"], "annotations": {}}
    before["metadata"] = {**before["metadata"], "annotations": {}}
    put(path, 5)(after)
    found = list(arrival.ignored(pair(cluster(application, before), cluster(application, after))))
    assert len(found) == count


@pytest.mark.parametrize(
    ("policy", "new", "count"),
    [
        (None, False, 1),
        ("Skip", False, 1),
        ("Create", False, 1),
        ("Create", True, 0),
        ("CreateReplace", False, 0),
        (None, True, 1),
    ],
)
def test_crds_that_an_upgrade_leaves(
    policy: str | None, new: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "crds", lambda _: frozenset({"a"}))
    spec = {"upgrade": {"crds": policy}} if policy else {}
    owner = manifest("HelmRelease", api=f"{api_groups.HELM}/v2", spec=spec)
    release = Release("a", "n", "c", "1", "r", {}, ("HelmRelease", "a"))

    def of(*names: str, number: int) -> Cluster:
        found = cluster(owner, releases=(release,))
        kind = "CustomResourceDefinition"
        own = (manifest(kind, metadata={"name": name}, spec={"n": number}) for name in names)
        return dataclasses.replace(found, items=tuple(Item(one, "a") for one in own))

    before, after = of(*(() if new else ("a",)), "b", number=1), of("a", "b", number=2)
    found = list(arrival.crds(pair(before, after)))
    assert [one.where for one in found if isinstance(one, Flag)] == ["release a"] * count
    # A template is changed as any other, and a release that is new brings all.
    assert not list(arrival.crds(pair(of("b", number=1), of("b", number=2))))
    assert not list(arrival.crds(pair(cluster(), after)))


TAKEN_OUT = "resources: [own.yaml]\n"
FILES = {
    "clusters/one/flux/unit.yaml": "a",
    "overlays/one/kustomization.yaml": "resources: [own.yaml, ../../base/optional/y/own.yaml]\n",
    "base/optional/y/own.yaml": "a",
    "overlays/one/own.yaml": "a",
    "overlays/one/other.yaml": "a",
    "overlays/one/budget.yaml": "a",
    "base/optional/x/own.yaml": "a",
    "base/optional/x/README.md": "a",
}


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ({"overlays/one/own.yaml": "b"}, []),
        ({"overlays/one/budget.yaml": "b"}, []),
        ({"overlays/one/README.md": "b"}, []),
        ({"base/optional/x/README.md": "b"}, []),
        ({"overlays/one/own.yaml": None, "overlays/one/kustomization.yaml": "{}\n"}, []),
        ({"overlays/one/kustomization.yaml": "{}\n"}, ["unlisted: overlays/one/own.yaml"]),
        (
            {"overlays/one/other.yaml": "b"},
            ["No cluster takes in overlays/one/other.yaml: in git alone"],
        ),
        (
            {"base/optional/x/own.yaml": "b", "overlays/one/new.yaml": "b"},
            ["No cluster takes in base/optional/x/own.yaml, overlays/one/new.yaml: in git alone"],
        ),
        # An opt-in that is taken out is no file that somebody forgot.
        ({"overlays/one/kustomization.yaml": TAKEN_OUT}, []),
        # Of what does not build, nobody knows what it reads.
        ({"overlays/one/other.yaml": "b", "clusters/two/flux/x.yaml": "b"}, []),
    ],
)
def test_files_that_no_cluster_reads(
    edits: dict[str, str | None], says: list[str], tmp_path: Path
) -> None:
    def of(name: str, files: dict[str, str | None]) -> Cluster:
        for path, text in files.items():
            if text is not None:
                (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name / path).write_text(text)
        found = cluster()
        sync = dataclasses.replace(found.sync, units=[Unit("u", "overlays/one", [])])
        return dataclasses.replace(found, sync=sync, repository=Repository(tmp_path / name))

    compared = pair(of("before", {**FILES}), of("after", {**FILES, **edits}))
    both = RevisionPair(tmp_path / "before", tmp_path / "after", [compared])
    found = list(arrival.files(both))
    assert [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in found] == says
    assert all(isinstance(one, Flag | Sentence) for one in found)


def test_an_edit_of_what_flux_does_not_get(tmp_path: Path) -> None:
    files = {
        "overlays/one/kustomization.yaml": "resources: [own.yaml]\n",
        "overlays/one/own.yaml": "a",
    }
    clusters = []
    for name, text in (("before", "a"), ("after", "b")):
        for path, content in {**files, "overlays/one/own.yaml": text}.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(content)
        (tmp_path / name / ".sourceignore").write_text("own.yaml\n")
        sync = dataclasses.replace(cluster().sync, units=[Unit("u", "overlays/one", [])])
        clusters.append(Cluster(Repository(tmp_path / name), sync, ()))
        (tmp_path / name / "clusters/one/flux").mkdir(parents=True)
    both = RevisionPair(tmp_path / "before", tmp_path / "after", [pair(*clusters)])
    (flag,) = suspension.packed(both)
    assert isinstance(flag, Flag)
    assert (flag.name, flag.where) == ("not-packed", ".sourceignore")
    (tmp_path / "after/overlays/one/own.yaml").write_text("a")
    assert not list(suspension.packed(both))
