"""`make diff` as a command: revisions, what it leaves alone, and bad input."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core import git
from scripts.diff.__main__ import main
from scripts.model import revisions
from scripts.model.manifests import Repository
from tests.fixtures import CODE
from tests.programs.diff.report_schema import wrong

Run = Callable[..., tuple[int, str, str]]
MONITORS = "base/config/monitors/stack.yaml"
GRAFANA = "base/releases/grafana.yaml"


def commit(root: Path, message: str) -> None:
    git.isolated(root, "add", "--all")
    git.isolated(root, "commit", "--quiet", "--allow-empty", "--message", message)


def change(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))


def imported(*arguments: str) -> set[str]:
    """The modules that Python imports for a command, which succeeds."""
    command = (sys.executable, "-X", "importtime", *arguments)
    run = subprocess.run(command, cwd=CODE, capture_output=True, text=True, check=True)
    lines = (line for line in run.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.fixture
def clone(copy: Repository) -> Path:
    """A clone with one commit, on the branch `main`."""
    git.isolated(copy.root, "init", "--quiet", "--initial-branch=main")
    commit(copy.root, "first")
    return copy.root


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(root: Path, *options: str) -> tuple[int, str, str]:
        code = main([*options, str(root)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def test_nothing_is_told_where_nothing_differs(clone: Path, run: Run) -> None:
    (clone / "README.md").write_text("# Another text\n")
    code, out, err = run(clone, "--base=HEAD")
    assert (code, err) == (0, "")
    assert "Nothing changes in any cluster" in out


def test_what_compares_is_not_imported_where_nothing_differs(clone: Path) -> None:
    command = ("-m", "scripts.diff", "--base=HEAD", str(clone))
    assert {"scripts.diff.compare", "scripts.model.charts", "jsonschema"}.isdisjoint(
        imported(*command)
    )
    # Nor does it import, to compare, what validates and what only `make render` does.
    found = imported("-c", "import scripts.diff.compare, scripts.diff.rendering")
    assert "scripts.model.charts" in found
    assert {"jsonschema", "kubernetes_validate", "scripts.checks.rendered"}.isdisjoint(found)


@pytest.mark.usefixtures("rendered")
def test_what_is_not_committed_counts_and_is_left_alone(clone: Path, run: Run) -> None:
    change(clone, MONITORS, "sampleLimit: 500", "sampleLimit: 400")
    git.isolated(clone, "add", MONITORS)
    change(clone, MONITORS, "sampleLimit: 600", "sampleLimit: 550")
    (clone / "base/config/monitors/new.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: new\n  namespace: monitoring\n"
    )
    change(
        clone,
        "base/config/kustomization.yaml",
        "resources:\n",
        "resources:\n  - monitors/new.yaml\n",
    )
    state = [git.isolated(clone, "status", "--porcelain"), git.isolated(clone, "for-each-ref")]
    index = (clone / ".git/index").read_bytes()
    code, out, _ = run(clone)
    assert code == 0
    for text in ("500 → 400", "600 → 550", "+ ConfigMap monitoring/new", "→ working tree"):
        assert text in out
    assert [
        git.isolated(clone, "status", "--porcelain"),
        git.isolated(clone, "for-each-ref"),
    ] == state
    assert (clone / ".git/index").read_bytes() == index


@pytest.mark.usefixtures("rendered")
def test_what_the_main_branch_did_meanwhile_is_not_told(clone: Path, run: Run) -> None:
    git.isolated(clone, "switch", "--quiet", "--create", "mine")
    change(clone, MONITORS, "sampleLimit: 500", "sampleLimit: 400")
    commit(clone, "mine")
    git.isolated(clone, "switch", "--quiet", "main")
    change(clone, GRAFANA, "check_for_updates: false", "check_for_updates: true")
    commit(clone, "theirs")
    git.isolated(clone, "switch", "--quiet", "mine")
    code, out, _ = run(clone)
    assert code == 0
    assert "merge base with main" in out
    assert "500 → 400" in out
    assert "check_for_updates" not in out


@pytest.mark.usefixtures("rendered")
def test_two_commits_are_compared_whatever_the_working_tree_holds(clone: Path, run: Run) -> None:
    change(clone, MONITORS, "sampleLimit: 500", "sampleLimit: 400")
    commit(clone, "second")
    (clone / MONITORS).unlink()
    code, out, _ = run(clone, "--base=HEAD~1", "--head=HEAD")
    assert code == 0
    assert "500 → 400" in out


@pytest.mark.usefixtures("rendered")
def test_reports_and_both_rendered_trees_are_written(
    clone: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    change(clone, GRAFANA, "cpu: 100m", "cpu: 120m")
    folder = tmp_path_factory.mktemp("reports") / "new"
    code, out, _ = run(clone, "--base=HEAD", "--format=markdown", f"--output={folder}")
    assert code == 0
    assert out.startswith("<!--")
    assert {path.name for path in folder.iterdir()} == {
        "report.md",
        "report.html",
        "report.json",
        "before",
        "after",
    }
    for name, cpu in (("before", "100m"), ("after", "120m")):
        for sync in ("local/argocd", "oke-free/flux"):
            assert f"cpu: {cpu}" in (folder / name / sync / "releases/grafana.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--base=nowhere",), "no revision nowhere"),
        (("--base=HEAD", "--head=nowhere"), "no revision nowhere"),
        (("--base=--all",), "no revision --all"),
    ],
)
def test_an_unknown_revision_is_bad_usage(
    clone: Path, run: Run, options: tuple[str, ...], says: str
) -> None:
    code, out, err = run(clone, *options)
    assert (code, out) == (2, "")
    assert says in err
    assert "fix: " in err


def test_a_folder_that_is_no_clone_is_bad_usage(copy: Repository, run: Run) -> None:
    code, _, err = run(copy.root)
    assert code == 2
    assert "run it in a clone" in err


def test_without_a_main_branch_a_base_has_to_be_named(clone: Path, run: Run) -> None:
    git.isolated(clone, "branch", "--move", "trunk")
    code, _, err = run(clone)
    assert code == 2
    assert "make diff BASE=<revision>" in err


def test_a_shallow_clone_says_how_to_get_its_history(clone: Path, run: Run, tmp_path: Path) -> None:
    first = git.isolated(clone, "rev-parse", "HEAD").strip()
    (clone / "README.md").write_text("# Another text\n")
    commit(clone, "second")
    shallow = tmp_path / "shallow"
    git.isolated(clone, "clone", "--quiet", "--depth=1", f"file://{clone}", str(shallow))
    code, _, err = run(shallow, f"--base={first}")
    assert code == 2
    assert "in this shallow clone" in err
    assert "git fetch --unshallow" in err


def test_unrelated_histories_have_no_merge_base(clone: Path, run: Run) -> None:
    git.isolated(clone, "switch", "--quiet", "--orphan", "alone")
    (clone / "README.md").write_text("# Alone\n")
    commit(clone, "alone")
    code, _, err = run(clone)
    assert code == 2
    assert "have no commit in common" in err


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("side", ["before", "after"])
def test_what_does_not_build_on_one_side_leaves_the_rest(clone: Path, run: Run, side: str) -> None:
    overlay = "overlays/local/config/kustomization.yaml"
    whole = (clone / overlay).read_text()
    broken = whole.replace("../../../base/config", "../../../base/nowhere")
    (clone / overlay).write_text(broken if side == "before" else whole)
    commit(clone, "second")
    (clone / overlay).write_text(whole if side == "before" else broken)
    change(clone, GRAFANA, "cpu: 100m", "cpu: 120m")
    change(clone, MONITORS, "sampleLimit: 500", "sampleLimit: 400")
    code, out, _ = run(clone, "--base=HEAD")
    # The change may be what mends the revision before.
    assert code == (side == "after")
    title = "HEAD (" if side == "before" else "working tree: "
    assert out.count(f"{overlay}: {title}") == 1
    # The releases of all, and the configuration of the other cluster; none is told as removed.
    assert "cpu: 100m → 120m" in out
    assert "monitoring-config  oke-free (argocd, flux)" in out
    assert "\n  - " not in out
    assert "\n  + " not in out


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_release_that_does_not_render_leaves_the_rest(clone: Path, run: Run, side: str) -> None:
    whole = (clone / GRAFANA).read_text()
    broken = whole.replace("    datasources:\n", "    ingress: wrong\n    datasources:\n", 1)
    (clone / GRAFANA).write_text(broken if side == "before" else whole)
    commit(clone, "second")
    (clone / GRAFANA).write_text(whole if side == "before" else broken)
    change(clone, MONITORS, "sampleLimit: 500", "sampleLimit: 400")
    code, out, _ = run(clone, "--base=HEAD")
    # The change may be what mends the revision before.
    assert code == (side == "after")
    assert "does not render" in out
    assert "500 → 400" in out
    assert "~ HelmRelease monitoring/grafana" in out
    assert "Deployment monitoring/grafana" not in out


@pytest.mark.usefixtures("rendered")
def test_a_file_in_another_shape_is_said_and_leaves_the_rest(clone: Path, run: Run) -> None:
    change(clone, "clusters/local/flux/monitoring.yaml", "spec:\n", "specification:\n")
    change(clone, MONITORS, "sampleLimit: 500", "sampleLimit: 400")
    code, out, _ = run(clone, "--base=HEAD")
    assert code == 1
    assert "clusters/local/flux: working tree: is not in the shape that it has here" in out
    assert "monitoring-config  local (argocd); oke-free (argocd, flux)" in out


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("side", ["before", "after"])
def test_what_one_engine_alone_would_do_is_not_compared(clone: Path, run: Run, side: str) -> None:
    whole = (clone / GRAFANA).read_text()
    patched = whole.replace("\nspec:\n", "\nspec:\n  valuesFrom: [{kind: ConfigMap, name: a}]\n")
    (clone / GRAFANA).write_text(patched if side == "before" else whole)
    commit(clone, "second")
    (clone / GRAFANA).write_text(whole if side == "before" else patched)
    code, out, _ = run(clone, "--base=HEAD")
    assert code == (side == "after")
    title = r"HEAD \(\w+\)" if side == "before" else "working tree"
    said = rf"{GRAFANA}:\d+: {title}: HelmRelease grafana: valuesFrom is something that the other"
    assert len(re.findall(said, out)) == 1


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("limit", ["lots", "[1"])
def test_a_budget_that_cannot_be_read_leaves_the_rest(clone: Path, run: Run, limit: str) -> None:
    change(clone, "overlays/oke-free/budget.yaml", "  cpu: 600m\n", f"  cpu: {limit}\n")
    change(clone, MONITORS, "sampleLimit: 500", "sampleLimit: 400")
    for options in ((), ("--registries",)):
        code, out, _ = run(clone, "--base=HEAD", *options)
        assert code == 1
        assert "Not compared" in out
        assert "500 → 400" in out


@pytest.mark.usefixtures("rendered")
def test_a_revision_from_before_the_layout_says_so(clone: Path, run: Run) -> None:
    git.isolated(clone, "rm", "-r", "--quiet", "clusters")
    git.isolated(clone, "commit", "--quiet", "--message", "second")
    git.isolated(clone, "checkout", "--quiet", "HEAD~1", "--", "clusters")
    code, out, _ = run(clone, "--base=HEAD")
    assert code == 1
    assert "no cluster here" in out
    assert "+ Deployment monitoring/grafana" in out


def test_only_files_that_clusters_are_built_from_count(clone: Path) -> None:
    base = revisions.named(clone, "HEAD")
    tree = revisions.working_tree(clone)
    assert not revisions.differs(clone, base, tree)
    (clone / "tests/note.txt").write_text("note\n")
    assert not revisions.differs(clone, base, tree)
    (clone / "overlays/local/note.yaml").write_text("note: 1\n")
    assert revisions.differs(clone, base, tree)
    (clone / "overlays/local/note.yaml").unlink()
    git.isolated(clone, "mv", "base/config/thresholds.yaml", "moved.yaml")
    assert revisions.differs(clone, base, tree)


@pytest.mark.usefixtures("rendered")
def test_data_is_all_of_standard_output_and_the_same_as_the_file(
    clone: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    change(clone, GRAFANA, "cpu: 100m", "cpu: 120m")
    folder = tmp_path_factory.mktemp("reports")
    code, out, _ = run(clone, "--base=HEAD", "--format=json", f"--output={folder}")
    assert code == 0
    assert (folder / "report.json").read_text() == out
    document = json.loads(out)
    assert wrong(document) == []
    edited = {
        (edit["path"], edit["before"], edit["after"])
        for change in document["changes"]
        if change["title"] == "Deployment monitoring/grafana"
        for edit in change["edits"]
    }
    assert edited == {
        ("spec.template.spec.containers[name=grafana].resources.requests.cpu", "100m", "120m")
    }


def test_data_of_nothing_is_a_report_without_changes(clone: Path, run: Run) -> None:
    code, out, err = run(clone, "--base=HEAD", "--format=json")
    document = json.loads(out)
    assert (code, err, document["differs"], document["changes"]) == (0, "", False, [])
    assert wrong(document) == []


@pytest.mark.usefixtures("rendered")
def test_exit_codes_are_those_of_diff_where_they_are_asked_for(clone: Path, run: Run) -> None:
    def codes(*options: str) -> list[int]:
        return [run(clone, *options, *more)[0] for more in ((), ("--exit-code",))]

    assert codes("--base=HEAD") == [0, 0]
    assert codes("--base=nowhere") == [2, 2]
    # What no cluster is built from is no difference.
    (clone / "README.md").write_text("# Another text\n")
    assert codes("--base=HEAD") == [0, 0]
    change(clone, MONITORS, "sampleLimit: 500", "sampleLimit: 400")
    assert codes("--base=HEAD") == [0, 1]
    change(clone, "clusters/local/flux/monitoring.yaml", "spec:\n", "specification:\n")
    assert codes("--base=HEAD") == [1, 2]


def test_the_help_says_what_exit_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "With --exit-code, as of diff: 0 when nothing differs, 1 when something does" in text


@pytest.mark.parametrize("code", [(), ("--exit-code",)])
def test_a_folder_that_cannot_be_written_to_is_named(
    clone: Path, run: Run, code: tuple[str, ...]
) -> None:
    folder = clone / "README.md"
    status, out, err = run(clone, "--base=HEAD", f"--output={folder}", *code)
    assert (status, out) == (2 if code else 1, "")
    assert f"{folder}: cannot be written: File exists\n    fix: name another folder" in err
