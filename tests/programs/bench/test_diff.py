"""`make diff` beside flate: trees, edits, what is read of flate's diffs, and the tables."""

from __future__ import annotations

import itertools
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from scripts import tools
from scripts.bench import diff, flate, trees
from scripts.bench.__main__ import main
from scripts.bench.diff import ComparedChange, DiffSummary
from scripts.bench.flate import Flate, FlateResult
from scripts.core import git
from scripts.core.findings import RepositoryError
from scripts.model.manifests import Repository
from scripts.servers.processes import LOOPBACK
from tests.fixtures import DIFF_CHANGES, FROZEN

HOST = f"{LOOPBACK}:5000"
# As flate 0.6.5 writes it.
DIFF = """
@@ spec.values.grafana.ini.analytics.check_for_updates @@
# helm.toolkit.fluxcd.io/v2/HelmRelease/monitoring/grafana
! ± value change
- false
+ true

@@ data.grafana.ini @@
# v1/ConfigMap/monitoring/grafana
! ± value change in multiline text (one insert, one deletion)
  [analytics]
  # a comment of the file
- check_for_updates = false
+ check_for_updates = true
  [dashboards]
  [23 lines unchanged)]

@@ data.other.ini @@
# v1/ConfigMap/monitoring/grafana
! + one map entry added:
+ other.ini: ""

"""
ORDER = """
@@ spec.groups.todo-stack.rules @@
# monitoring.coreos.com/v1/PrometheusRule/monitoring/alerts-stack
! ⇆ order changed
  Watchdog             TargetDown
  TargetDown           Watchdog

"""
NOTHING = FlateResult(frozenset(), 0, ())
Answer = Callable[[str], tuple[int, str, str]]


class Asked(Flate):
    """flate without a program: it answers what it is told to, by the folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
        self._cache = Path("cache")
        self.asked: list[tuple[str, ...]] = []

        def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
            self.asked.append(arguments)
            (path,) = (a.removeprefix("--path=") for a in arguments if a.startswith("--path="))
            assert (cwd / path).is_dir()
            return subprocess.CompletedProcess((), *answer(path))

        monkeypatch.setattr(tools, "run", run)


@pytest.fixture
def clusters(tmp_path: Path) -> Path:
    for name in ("one/flux", "one/argocd", "two/flux", "three/argocd"):
        (tmp_path / "clusters" / name).mkdir(parents=True)
    return tmp_path


def test_each_cluster_of_flux_is_asked_once_with_the_same_flags(
    clusters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch, lambda _: (0, "", ""))
    assert asked.diff(clusters, flate.CRDS) == NOTHING
    common = ("flate", "diff", "all", "--base=HEAD", "--output=github", "--skip-crds=false")
    assert asked.asked == [
        (*common, f"--path=clusters/{name}/flux", "--cache-dir=cache") for name in ("one", "two")
    ]


def test_an_object_counts_once_and_its_lines_in_each_cluster(
    clusters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Asked(monkeypatch, lambda _: (0, DIFF, "")).diff(clusters)
    assert outcome.objects == {
        "helm.toolkit.fluxcd.io/v2/HelmRelease/monitoring/grafana",
        "v1/ConfigMap/monitoring/grafana",
    }
    assert (outcome.lines, outcome.failures) == (10, ())


def test_another_order_is_something_that_flate_says(
    clusters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Asked(monkeypatch, lambda _: (0, ORDER, "")).diff(clusters)
    assert (len(outcome.objects), outcome.lines) == (1, 0)


def test_a_cluster_that_flate_cannot_compare_is_named_with_its_reason(
    clusters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(
        monkeypatch,
        lambda path: (1, "", "flate error:\n  no chart\n") if "two" in path else (0, DIFF, ""),
    )
    assert asked.diff(clusters).failures == ("clusters/two/flux: flate error: no chart",)


def test_only_addresses_of_charts_are_others(copy: Repository) -> None:
    before = {sync.name: list(sync.objects()) for sync in copy.syncs}
    for path in (copy.root / "base/releases").glob("*.yaml"):
        path.write_text(flate.readdressed(path.read_text(), HOST))
    after = Repository(copy.root).syncs
    for sync in after:
        if sync.engine != "flux" or not sync.synced:
            continue
        kinds = set()
        for old, new in zip(before[sync.name], sync.objects(), strict=True):
            if old != new:
                kinds.add(new["kind"])
                _, _, path = old["spec"]["url"].partition("://")[2].partition("/")
                typed = {"type": "oci"} if new["kind"] == "HelmRepository" else {}
                url = {"url": f"oci://{HOST}/{path}", "insecure": True}
                assert new == {**old, "spec": {**old["spec"], **typed, **url}}
        assert kinds == {"OCIRepository", "HelmRepository"}
    assert {
        r.repository.partition("/")[0]
        for e in after
        for r in e.releases
        if e.engine == "flux" and e.synced
    } == {HOST}


def test_an_own_registry_is_asked_for_a_tag() -> None:
    tag = '    tag: "1.2.3"\n'
    pinned = f"spec:\n  ref:\n{tag}    digest: sha256:{'0f' * 32}\n---\n"
    assert flate.readdressed(pinned, HOST) == f"spec:\n  ref:\n{tag}---\n"


def test_a_server_speaks_tls_and_nothing_is_lost(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not on PATH")
    body = bytes(range(256)) * 8192

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer((LOOPBACK, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        host = flate.encrypted(f"{LOOPBACK}:{server.server_address[1]}", tmp_path)
        context = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
        context.check_hostname = False
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(f"https://{host}/", timeout=20) as answer:
            assert answer.read() == body
        server.shutdown()


def test_a_machine_without_openssl_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryError, match="openssl is not on PATH"):
        flate.encrypted(HOST, tmp_path)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        ({"append": "d"}, "abcabcd"),
        ({"cut": ["b", "c"]}, "acabc"),
        ({"cut": ["b", ""]}, "a"),
        ({"cut": ["a", "a"]}, "abc"),
        ({"swap": ["a", "b", "c"]}, "bacabc"),
        ({"replace": "bc", "by": "d"}, "adabc"),
    ],
)
def test_an_edit_changes_the_first_place(edit: dict[str, Any], text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("abcabc")
    trees.apply({"file": "file", **edit}, tmp_path)
    assert (tmp_path / "file").read_text() == text


@pytest.mark.parametrize(
    "edit",
    [
        {"cut": ["x", ""]},
        {"cut": ["a", "x"]},
        {"swap": ["a", "b", "x"]},
        {"replace": "x", "by": "y"},
    ],
)
def test_an_edit_that_no_longer_fits_is_refused(edit: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("abcabc")
    with pytest.raises(RepositoryError, match="file: does not have the text"):
        trees.apply({"file": "file", **edit}, tmp_path)
    assert (tmp_path / "file").read_text() == "abcabc"


@pytest.mark.parametrize("edit", [diff.VALUE, *diff.WARMING], ids=lambda edit: edit["file"])
def test_what_is_measured_can_be_changed(edit: dict[str, Any], copy: Repository) -> None:
    before = (copy.root / edit["file"]).read_text()
    trees.apply(edit, copy.root)
    assert (copy.root / edit["file"]).read_text() != before


def test_a_cluster_is_there_n_times_and_all_are_alike(tmp_path: Path) -> None:
    syncs = Repository(trees.multiply(FROZEN, tmp_path, 3)).syncs
    names = sorted(e.cluster for e in syncs if e.engine == "flux" and e.synced)
    assert names == ["oke-free", "oke-free-1", "oke-free-2"]
    by_name = {e.name: e for e in syncs}
    for name in names[1:]:
        copied = by_name[f"{name}/flux"]
        assert copied.releases == by_name["oke-free/flux"].releases
        assert {unit.path for unit in copied.units[1:]} == {
            f"overlays/{name}/releases",
            f"overlays/{name}/config",
        }


def test_the_tree_before_is_committed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    first = trees.commit(tmp_path)
    (tmp_path / "file").write_text("two")
    assert git.isolated(tmp_path, "status", "--porcelain").split() == ["M", "file"]
    assert trees.commit(tmp_path) != first
    assert git.isolated(tmp_path, "status", "--porcelain") == ""


def test_the_cache_knows_no_render_and_writes_none_into_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    user = tools.cache()
    for name in ("charts/a-1.tgz", "charts/one/b-1.tgz", "renders/x.json", "tools/helm/helm"):
        (user / name).parent.mkdir(parents=True, exist_ok=True)
        (user / name).touch()
    diff.share_cache(tmp_path / "own")
    own = tmp_path / "own" / user.name
    assert sorted(path.name for path in own.iterdir()) == ["charts", "tools"]
    found = (path.relative_to(own) for path in (own / "charts").rglob("*.tgz"))
    assert sorted(map(str, found)) == ["charts/a-1.tgz", "charts/one/b-1.tgz"]
    assert (own / "tools/helm/helm").exists()
    for name in ("charts/a-2.tgz", "charts/one/b-2.tgz"):
        (own / name).touch()
        assert not (user / name).exists()


def test_both_take_turns_and_every_failure_is_kept() -> None:
    calls: list[str] = []
    failing = itertools.chain(
        [NOTHING, FlateResult(frozenset(), 0, ("once",))], itertools.repeat(NOTHING)
    )

    def there() -> FlateResult:
        calls.append("there")
        return next(failing)

    *_, failures = diff.by_turns(lambda: calls.append("here"), there)
    assert calls == ["here", "there"] * (1 + diff.ROUNDS)
    assert failures == ("once",)


def test_the_table_says_what_each_says_and_how_long_it_takes() -> None:
    rows = [
        ComparedChange(
            "a value", DiffSummary(3, 1, ()), 0.5, FlateResult(frozenset({"a", "b"}), 8, ()), 2.25
        ),
        ComparedChange("a route", DiffSummary(0, 1, ("alert-silenced",)), 0.5, NOTHING, 1.0),
        ComparedChange("a comment", DiffSummary(0, 0, ()), 0.5, NOTHING, 1.0),
    ]
    _, _, value, route, comment, last = diff.changes_table(rows).splitlines()
    assert value.split() == ["a", "value", "3", "1", "0.50", "2", "8", "2.25"]
    assert route.split() == ["a", "route", "0", "1", "0.50", "0", "0", "1.00", "alert-silenced"]
    assert comment.split() == ["a", "comment", "0", "0", "0.50", "0", "0", "1.00"]
    assert last.split()[-4:] == ["2", "1.50", "1", "4.25"]


def test_nothing_is_said_of_what_flate_could_not_compare() -> None:
    broken = FlateResult(frozenset({"a"}), 4, ("clusters/one/flux: no chart",))
    rows = [
        ComparedChange("a value", DiffSummary(3, 1, ()), 0.5, broken, 2.25),
        ComparedChange("a comment", DiffSummary(0, 0, ()), 0.5, NOTHING, 1.0),
    ]
    _, _, value, _, last = diff.changes_table(rows).splitlines()
    assert value.split() == ["a", "value", "3", "1", "0.50", "–", "–", "–"]
    # What both compare is added up, so that the sums can be set side by side.
    assert last.split()[-6:] == ["both", "compare", "0", "0.50", "0", "1.00"]
    assert "among 1 that" in last
    assert diff.failed(rows) == ["a value: clusters/one/flux: no chart"]


def test_every_scripted_change_can_be_made_where_flate_finds_its_charts(tmp_path: Path) -> None:
    releases = Path("base/releases")
    for number, change in enumerate(trees.changes(DIFF_CHANGES)):
        root = tmp_path / str(number)
        shutil.copytree(FROZEN / releases, root / releases)
        for path in (root / releases).glob("*.yaml"):
            path.write_text(flate.readdressed(path.read_text(), HOST))
        # What is elsewhere is as it was.
        for edit in (*change.get("both", ()), *change["edits"]):
            if Path(edit["file"]).parent == releases:
                trees.apply(edit, root)


def test_what_is_measured_is_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bad-changes", f"--tree={FROZEN}"]) == 0
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit):
        main(["bad"])
    assert "no part bad: use targets, " in capsys.readouterr().err


def test_every_scripted_change_fits_into_the_table() -> None:
    assert max(len(change["change"]) for change in trees.changes(DIFF_CHANGES)) < 68
