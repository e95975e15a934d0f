"""Pictures of dashboards that changed: what is drawn, where it is kept, and what finds it."""

from __future__ import annotations

import copy as copying
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import simulation
from scripts.core import git
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.diff.analyzers import pictures
from scripts.diff.model import ABSENT, Picture
from scripts.diff.outputs import formatting
from scripts.grafana import picture_store
from scripts.lab.preview import drawing
from scripts.lab.preview.changed import main
from scripts.model import revisions
from scripts.model.manifests import Repository
from scripts.servers import browser
from tests.fixtures import CODE
from tests.programs.diff.diff_pairs import cluster, pair
from tests.programs.diff.test_command import commit
from tests.programs.diff.test_dashboards import board as configmap
from tests.programs.lab.test_preview import board, panel
from tests.programs.tsdb_fixtures import small_day

DAYS = ("2026-01-01-healthy-1-a", "2026-01-02-healthy-1-a")
NEVER_OLD = "2999-01-01-healthy-1-a"
FOLDER = "base/dashboards"
PODS = panel("timeseries", {"expr": "count(pod_info)"})
# What a change adds.
CPU = panel(
    "timeseries", {"expr": "sum by (pod) (rate(cpu_seconds_total[$__rate_interval]))"}, id=2
)


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pictures without any."""
    folder = tmp_path / "pictures"
    monkeypatch.setattr(picture_store, "folder", lambda: folder)
    return folder


def drawn(model: Json, day: str = DAYS[0]) -> Path:
    """A picture in the cache."""
    path = picture_store.place(day, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PNG")
    return path


def dashboard(uid: str, *panels: Json) -> Json:
    """A dashboard that can be drawn, whose panels stand below each other."""
    copies = [copying.deepcopy(one) for one in panels or (PODS,)]
    for at, one in enumerate(copies):
        one["gridPos"]["y"] = 8 * at
    return board(*copies) | {"uid": uid, "title": uid}


def write(root: Path, *models: Json) -> None:
    """Let the tree have these dashboards and no others."""
    shutil.rmtree(root / FOLDER, ignore_errors=True)
    (root / FOLDER).mkdir(parents=True)
    for model in models:
        (root / FOLDER / f"{model['uid']}.json").write_text(json.dumps(model))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose only commit has dashboards and nothing else, on the branch `main`."""
    root = tmp_path / "clone"
    write(root, dashboard("kept"), dashboard("changed"), dashboard("removed"))
    git.isolated(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "first")
    return root


def differing(root: Path) -> tuple[list[drawing.ChangedDashboard], list[Finding]]:
    """What `make pictures BASE=main` would draw."""
    before, after = revisions.named(root, "main"), revisions.working_tree(root)
    paths = sorted(set(revisions.differing(root, before, after, (FOLDER,))))
    return drawing.changes(root, before, after, paths)


# Where pictures are kept


def test_a_picture_is_found_by_what_the_dashboard_holds() -> None:
    model = dashboard("a")
    path = drawn(model)
    os.utime(path, (0, 0))
    assert picture_store.find(dict(reversed(model.items()))) == [path]
    assert picture_store.find(model | {"title": "other"}) == [None]


def test_both_pictures_are_of_one_day_and_of_the_newest_that_has_both() -> None:
    one, other = dashboard("a"), dashboard("b")
    first, second = drawn(one, DAYS[0]), drawn(other, DAYS[1])
    assert picture_store.find(one, other) == [None, second]
    assert picture_store.find(one, None) == [first, None]
    both = [first, drawn(other, DAYS[0])]
    assert picture_store.find(one, other) == both
    newest = [drawn(one, DAYS[1]), second]
    assert picture_store.find(one, other) == newest


def test_the_digest_is_another_where_what_decides_a_picture_is(copy: Repository) -> None:
    """The file, and whether a picture drawn before is still right."""
    root = copy.root

    def digest() -> str:
        picture_store.sources_digest.cache_clear()
        return picture_store.sources_digest(root)

    for file, same in (
        ("base/config/rules/new.yaml", False),
        ("base/dashboards/new.json", True),
        ("base/logs/pods.alloy", False),
        ("overlays/local/new.yaml", False),
        ("scripts/lab/preview/drawing.py", False),
        ("scripts/lab/preview/__pycache__/drawing.pyc", True),
        ("scripts/servers/monitoring.py", False),
        ("scripts/grafana/page.css", False),
        ("scripts/simulation/model.py", False),
        ("scripts/tools/loki/go.mod", False),
        ("tests/options/flux/new.yaml", False),
        ("README.md", True),
    ):
        before = digest()
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        with (root / file).open("a") as text:
            text.write("# more\n")
        assert (digest() == before) is same, file
    picture_store.sources_digest.cache_clear()


def test_sources_of_a_picture_are_there() -> None:
    assert [path for path in picture_store._SOURCES if not (CODE / path).is_dir()] == []


def test_all_that_draws_is_a_source_of_a_picture() -> None:
    """But for `scripts.core`: how a file is read and a finding printed is in no picture."""
    script = (
        "import scripts.lab.preview.drawing, sys\n"
        "for name, module in sys.modules.items():\n"
        "    if name.startswith(('scripts.', 'dashboards_py')): print(module.__file__)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=CODE, capture_output=True, text=True, check=True
    )
    loaded = {Path(line).relative_to(CODE) for line in answer.stdout.splitlines()}
    drawing = {path for path in loaded if path.name != "__init__.py" and path.parts[1] != "core"}
    assert drawing
    sources = picture_store._SOURCES
    assert {p for p in drawing if not any(p.is_relative_to(source) for source in sources)} == set()


def test_pictures_of_days_long_past_are_removed() -> None:
    old = drawn(dashboard("a"), "2020-01-01-healthy-1-a")
    new = drawn(dashboard("a"), NEVER_OLD)
    picture_store.prune()
    assert (old.parent.exists(), new.exists()) == (False, True)
    shutil.rmtree(new.parent)
    drawn(dashboard("a"), "2020-01-01-healthy-1-a")
    picture_store.prune()
    assert list(picture_store.folder().iterdir()) == []


# What `make diff` shows


def test_the_report_has_the_pictures_of_what_it_compares() -> None:
    one, other = configmap(), configmap(refresh="5s")
    models = [json.loads(each["data"]["b.json"]) for each in (one, other)]
    changed = [pair(cluster(one), cluster(other))]
    assert list(pictures.pictures(changed)) == [Picture("b", None, None)]
    before = str(drawn(models[0]))
    assert list(pictures.pictures(changed)) == [Picture("b", before, None)]
    after = str(drawn(models[1]))
    assert list(pictures.pictures(changed)) == [Picture("b", before, after)]
    # Drawn, and edited since.
    later = [pair(cluster(one), cluster(configmap(refresh="9s")))]
    assert list(pictures.pictures(later)) == [Picture("b", before, None)]
    assert list(pictures.pictures([pair(cluster(one), cluster(one))])) == []


def test_a_dashboard_that_comes_or_goes_has_one_side() -> None:
    path = str(drawn(json.loads(configmap()["data"]["b.json"])))
    came, went = pair(cluster(), cluster(configmap())), pair(cluster(configmap()), cluster())
    assert list(pictures.pictures([came])) == [Picture("b", ABSENT, path)]
    assert list(pictures.pictures([went])) == [Picture("b", path, ABSENT)]
    assert formatting.undrawn(pictures.pictures([came, went])) == ""


# What is to be drawn


def test_dashboards_that_differ_are_read_from_both_sides(clone: Path) -> None:
    """The revision before is only JSON here: nothing of it could be run."""
    write(clone, dashboard("kept"), dashboard("changed", PODS, CPU), dashboard("added"))
    # The same, written otherwise.
    (clone / FOLDER / "kept.json").write_text(json.dumps(dashboard("kept"), indent=2))
    found, findings = differing(clone)
    assert findings == []
    sides = [(one.name, *(side and len(side.model.panels) for side in one)) for one in found]
    assert sides == [("added", None, 1), ("changed", 1, 2), ("removed", 1, None)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("\xff", "UnicodeDecodeError"),
        ("[]", "AttributeError"),
        ("null", "AttributeError"),
        (json.dumps({"uid": "changed", "panels": []}), "KeyError 'title'"),
        (
            json.dumps(board(panel("stat", {"expr": "up", "datasource": {"uid": "lost"}}))),
            "panel 'Panel' asks data source 'lost', which Grafana is not given",
        ),
    ],
)
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_side_that_is_refused_is_one_finding(
    clone: Path, side: str, text: str, reason: str
) -> None:
    refused = clone / FOLDER / "changed.json"
    sound = json.dumps(dashboard("changed", CPU))
    refused.write_text(text if side == "before" else sound, encoding="latin-1")
    commit(clone, "second")
    refused.write_text(sound if side == "before" else text, encoding="latin-1")
    found, (finding,) = differing(clone)
    assert [(one.before is None, one.after is None) for one in found] == [
        (side == "before", side == "after")
    ]
    assert finding.path == f"{FOLDER}/changed.json"
    assert reason in finding.message
    if side == "before":
        assert re.match(r"main \(\w+\): ", finding.message)
        assert finding.fix == "name a newer BASE, or do without this picture"
    else:
        assert finding.message.startswith("working tree: ")
        assert "BASE" not in finding.fix


def test_nothing_is_started_where_no_dashboard_differs(clone: Path, tmp_path: Path) -> None:
    """No program is there to be started, and none is built."""
    (clone / "README.md").write_text("# Another text\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git") or "")
    empty = tmp_path / "empty"
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "scripts.lab.preview.changed", str(clone)],
        cwd=CODE,
        env={"XDG_CACHE_HOME": str(empty), "PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("No dashboard differs: merge base with main (")
    assert not empty.exists()
    assert "numpy" not in answer.stderr, "what draws takes its time to be imported"


def test_what_is_drawn_is_not_drawn_again(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulation, "day", lambda _: pytest.fail("a day is made"))
    after = dashboard("changed", PODS, CPU)
    write(clone, dashboard("kept"), after)
    paths = [drawn(model) for model in (dashboard("changed"), after, dashboard("removed"))]
    assert main(["--base=main", str(clone)]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == [
        *("changed", f"  before  {paths[0]}", f"  after   {paths[1]}"),
        *("removed", f"  before  {paths[2]}", "  after   none"),
    ]


def test_a_missing_browser_is_said_before_a_server_is_started(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    monkeypatch.setattr(simulation, "day", lambda _: pytest.fail("a day is made"))
    write(clone, dashboard("kept"))
    with pytest.raises(RepositoryError, match="set CHROMIUM to its path"):
        main(["--base=main", str(clone)])


def test_an_unknown_revision_is_bad_usage(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base=nowhere", str(clone)]) == 2
    assert "no revision nowhere" in capsys.readouterr().err


# Drawn, on real servers and in a real browser


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small day in place of the simulated one."""
    folder = tmp_path / NEVER_OLD
    folder.mkdir()
    day = small_day(folder)
    monkeypatch.setattr(simulation, "day", lambda _: day)


def width(picture: Path) -> int:
    """Pixels of a PNG."""
    return int.from_bytes(picture.read_bytes()[16:20], "big")


@pytest.mark.prove
@pytest.mark.usefixtures("rendered", "day")
def test_what_differs_is_drawn_before_and_after(
    clone: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One side is in a shape that cannot be drawn, another shows an error; the rest is as well."""
    misshapen = dashboard("mended")
    del misshapen["panels"][0]["fieldConfig"]
    write(clone, *map(dashboard, ("kept", "changed", "removed")), misshapen)
    commit(clone, "second")
    after = dashboard("changed", PODS, CPU)
    added = dashboard("added", panel("timeseries", {"expr": "sum(("}))
    write(clone, dashboard("kept"), after, added, dashboard("mended"))

    assert main(["--base=main", str(clone)]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith(FOLDER)]
    assert len(told) == 2, "\n".join(told)
    assert told[0].startswith(f"{FOLDER}/added.json: working tree: panel 'Panel' shows an error")
    assert re.match(rf"{FOLDER}/mended.json: main \(\w+\): .*KeyError 'fieldConfig'", told[1])

    one, other = (path for path in picture_store.find(dashboard("changed"), after) if path)
    assert (width(one), width(other)) == (browser.WIDTH, browser.WIDTH)
    content = other.read_bytes()
    assert one.read_bytes() != content
    assert None not in picture_store.find(dashboard("removed"), added, dashboard("mended"))
    pictures = {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()}
    assert len(pictures) == 5, "what did not change is drawn, or something is left behind"

    # Other servers with the same day draw the same, and that alone.
    other.unlink()
    write(clone, dashboard("kept"), after, dashboard("removed"), misshapen)
    assert main(["--base=main", str(clone)]) == 0
    assert other.read_bytes() == content
    del pictures[other]
    assert {path: path.stat().st_mtime_ns for path in pictures} == pictures
