"""`make diff` of a chart's new version: archives are made from those that are here."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import tools
from scripts.bench.trees import apply, copied
from scripts.diff.model import Action, Report
from scripts.model import charts
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from scripts.servers.registry import renumbered
from tests.fixtures import FROZEN
from tests.programs.diff.test_changes import compared, objects

CHART = "prometheus-blackbox-exporter"
Publish = Callable[..., str]


@pytest.fixture
def publish(rendered: list[Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Put another version of a chart into a cache of its own, which has the rest of the user's.

    It takes the chart, its version, and texts to put in place of others; it returns the version
    that there is.
    """
    releases = {release.chart: release for release in rendered[0].sync.releases}
    archives = {chart: charts.archive(release) for chart, release in releases.items()}
    real = tools.cache()
    cache = tmp_path / "cache" / real.name
    (cache / "charts").mkdir(parents=True)
    for path in real.iterdir():
        if path.name != "charts":
            (cache / path.name).symlink_to(path)
    for chart, path in archives.items():
        (cache / "charts" / f"{chart}-{releases[chart].version}.tgz").symlink_to(path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    # Nothing listens there: what is not in the cache cannot be had.
    monkeypatch.setenv(charts.MIRROR, "oci://127.0.0.1:1/charts")

    def make(chart: str, version: str, *edits: tuple[str, str]) -> str:
        archive = renumbered(archives[chart], version, tmp_path)
        unpacked = tmp_path / "unpacked" / chart
        for path in unpacked.rglob("*") if edits else ():
            if path.is_file():
                text = path.read_text()
                for old, new in edits:
                    text = text.replace(old, new)
                path.write_text(text)
        with tarfile.open(cache / "charts" / archive.name, "w:gz") as new_archive:
            new_archive.add(unpacked, chart)
        return releases[chart].version

    return make


def bumped(copy: Repository, old: str, new: str) -> Report:
    """Compare the repository with itself at another version of a chart."""
    for path in (copy.root / "base/releases").glob("*.yaml"):
        path.write_text(path.read_text().replace(f'"{old}"', f'"{new}"'))
    return compared(FROZEN, copy.root)


@pytest.mark.parametrize(
    "chart",
    [
        "alloy",
        "grafana",
        "kube-prometheus-stack",
        "loki",
        "prometheus-blackbox-exporter",
        "prometheus-operator-crds",
    ],
)
def test_a_version_that_changes_only_its_own_number(
    chart: str, copy: Repository, publish: Publish, rendered: list[Cluster]
) -> None:
    (old,) = {r.version for r in rendered[0].sync.releases if r.chart == chart}
    new = re.sub(r"\d+$", lambda number: str(int(number[0]) + 1), old)
    publish(chart, new)
    report = bumped(copy, old, new)
    assert (report.faults, report.flags) == ((), ())
    assert {(b.chart, b.before, b.after, len(b.places)) for b in report.bumps} == {
        (chart, old, new, 4)
    }
    kinds = {change.kind for change in report.changes}
    assert kinds in ({"Application", "OCIRepository"}, {"Application", "HelmRelease"})
    assert {path.path.rpartition(".")[2] for c in report.changes for path in c.edits} <= {
        "tag",
        "targetRevision",
        "version",
    }
    # Labels that say the version are on some pods.
    assert {sentence.topic for sentence in report.sentences} <= {"Restarts"}


def test_a_major_version_names_its_notes(copy: Repository, publish: Publish) -> None:
    heading = ("## Upgrading Chart", "## Upgrading Chart\n\n### To 12.0.0\n\nRead this.")
    old = publish(CHART, "12.0.0", heading, ("restartPolicy: Always", "restartPolicy: OnFailure"))
    report = bumped(copy, old, "12.0.0")
    flags = {str(flag.name): flag for flag in report.flags}
    assert flags.keys() == {"major-version"}
    assert flags["major-version"].where == f"release {CHART}"
    assert "“To 12.0.0” in the chart's README.md" in flags["major-version"].fix
    assert "~ Deployment monitoring/blackbox-exporter" in objects(report)


def test_a_value_that_the_new_version_does_not_read(copy: Repository, publish: Publish) -> None:
    old = publish(CHART, "11.18.0", ("podSecurityContext", "securityOfPods"))
    report = bumped(copy, old, "11.18.0")
    keys = "podSecurityContext.seccompProfile.type"
    assert [(f.name, f.where) for f in report.flags] == [
        ("privileged", "Deployment monitoring/blackbox-exporter"),
        ("dead-value", f"release {CHART}, {keys}"),
    ]


@pytest.mark.usefixtures("publish")
def test_a_version_that_was_pushed_again(
    copy: Repository, rendered: list[Cluster], tmp_path: Path
) -> None:
    release = next(one for one in rendered[0].sync.releases if one.chart == CHART)
    tag = f'    tag: "{release.version}"\n'
    first, other, third = (character * 64 for character in "abc")
    path = copy.root / "base/releases" / f"{CHART}.yaml"
    path.write_text(path.read_text().replace(tag, f"{tag}    digest: sha256:{first}\n"))
    before = copied(copy.root, tmp_path / "pinned")
    path.write_text(path.read_text().replace(first, other))
    unseen = compared(before, copy.root)
    assert (objects(unseen), unseen.faults) == (["~ OCIRepository monitoring/" + CHART], ())
    assert [str(flag.name) for flag in unseen.flags] == ["digest-changed"]
    assert unseen.flags[0].why.endswith("what that changes is not shown.")
    assert unseen.flags[0].places == ("local/flux", "oke-free/flux")
    # Where the archive of a digest can be had, it is what is rendered.
    pulled = renumbered(charts.archive(release), release.version, tmp_path)
    values = tmp_path / "unpacked" / CHART / "values.yaml"
    values.write_text(values.read_text().replace("restartPolicy: Always", "restartPolicy: Never"))
    folder = tools.cache() / "charts" / release.repository.replace("/", "-")
    folder.mkdir()
    with tarfile.open(folder / f"{pulled.stem}@sha256-{third}.tgz", "w:gz") as archive:
        archive.add(values.parent, CHART)
    path.write_text(path.read_text().replace(other, third))
    seen = compared(before, copy.root)
    assert "~ Deployment monitoring/blackbox-exporter" in objects(seen)
    assert [flag.why for flag in seen.flags] == [unseen.flags[0].why.partition(" The archive")[0]]


def test_a_chart_that_cannot_be_had_leaves_the_rest(copy: Repository, publish: Publish) -> None:
    apply(
        {
            "file": "base/config/monitors/stack.yaml",
            "replace": "sampleLimit: 500",
            "by": "sampleLimit: 400",
        },
        copy.root,
    )
    old = publish(CHART, "98.0.0")
    report = bumped(copy, old, "99.0.0")
    assert [fault.path for fault in report.faults] == [f"chart {CHART} 99.0.0"]
    assert "after: neither the cache nor" in report.faults[0].message
    assert [(b.before, b.after) for b in report.bumps] == [(old, "99.0.0")]
    assert "~ PodMonitor monitoring/grafana" in objects(report)
    assert not any(c.release for c in report.changes)
    assert [flag.name for flag in report.flags] == ["major-version"]
    assert all(c.action is Action.CHANGED for c in report.changes)
