"""This commit on kind: programs that play kind, kubectl and node, and a real git and browser."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from scripts import tools
from scripts.checks.static import schema
from scripts.core.findings import RepositoryError, execute
from scripts.core.yamlfile import Json, load
from scripts.live.kind import __main__ as command
from scripts.live.kind import engines, picture, prepared, ready, source
from scripts.live.kind.cluster import Cluster
from scripts.live.kind.source import Source
from scripts.model import api_groups, dashboards, requirements, schemas
from scripts.model.manifests import ENGINES, ClusterSync, Repository, group, identity
from scripts.servers import browser
from tests.fixtures import CODE
from tests.programs.test_verify import HIDDEN, KUBECTL, PASSWORD, WARM, played, playing
from tests.programs.test_verify import Server as Grafana

COMMIT = "0123456789abcdef0123456789abcdef01234567"
URL = "https://git.example.com/team/todo-monitoring.git"
REF = "refs/pull/7/merge"
SOURCE = Source(URL, REF, COMMIT)
PODS = "pods"
OPERATED = ",".join(ready.OPERATED)


def sync_of(repository: Repository, engine: str) -> ClusterSync:
    return next(e for e in repository.syncs if e.name == f"local/{engine}")


# What a cluster says


def conditions(kind: str, status: str = "True", **words: str) -> Json:
    return {"conditions": [{"type": kind, "status": status, **words}]}


def of_flux(item: Json) -> Json:
    """An object of Flux that is ready, and at the commit."""
    status = {"observedGeneration": 1, **conditions("Ready")}
    status |= {"lastAppliedRevision": f"{REF}@sha1:{COMMIT}"}
    return {**item, "metadata": item["metadata"] | {"generation": 1}, "status": status}


def of_argocd(item: Json) -> Json:
    """An Application that is ready, and at the commit where it comes from git."""
    revision = COMMIT if "path" in item["spec"]["source"] else item["spec"]["source"]["chart"]
    sync = {"status": "Synced", "revision": revision}
    return {**item, "status": {"sync": sync, "health": {"status": "Healthy"}}}


def engine_objects(sync: ClusterSync) -> list[Json]:
    """What an engine's resources list once all is ready."""
    if sync.engine == "argocd":
        return [of_argocd(o) for o in sync.objects() if o["kind"] == "Application"]
    own = [o for o in sync.objects() if group(o) in api_groups.FLUX]
    return [of_flux(o) for o in [*engines.sync(sync, SOURCE), *own]]


def pod(name: str, **status: Json) -> Json:
    metadata = {"namespace": "monitoring", "name": name, "uid": name}
    return {"metadata": metadata, "status": {"phase": "Running", **conditions("Ready")} | status}


def operated(kind: str) -> Json:
    metadata = {"namespace": "monitoring", "name": kind.lower()}
    return {"kind": kind, "metadata": metadata, "status": conditions("Available")}


PENDING = pod(
    "loki-0",
    phase="Pending",
    **conditions("PodScheduled", "False", reason="Unschedulable", message="no node has the memory"),
)


def lists(sync: ClusterSync) -> dict[str, list[Json]]:
    """The answers to all that is asked, of a cluster in which everything is ready."""
    return {
        ",".join(ready.RESOURCES[sync.engine]): engine_objects(sync),
        PODS: [pod("grafana-0"), pod("evicted", phase="Failed", **conditions("Ready", "False"))],
        OPERATED: [operated("Prometheus"), operated("Alertmanager")],
        "events": [],
    }


class Listed(Cluster):
    """A cluster that is only read."""

    answers: dict[str, list[Json]]

    def listed(self, *resources: str, selector: str = "") -> list[Json]:
        return self.answers[",".join(resources)]


def said(sync: ClusterSync, answers: dict[str, list[Json]]) -> dict[str, str]:
    cluster = Listed(Path())
    cluster.answers = answers
    return {f.path: f.message for f in ready.unready(cluster, sync, COMMIT)}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cluster_where_all_is_ready_misses_nothing(engine: str, repository: Repository) -> None:
    sync = sync_of(repository, engine)
    assert said(sync, lists(sync)) == {}


FAILED = conditions("Ready", "False", reason="InstallFailed", message="context deadline exceeded")
GRAFANA = "HelmRelease monitoring/grafana"
CONFIG = "Kustomization flux-system/monitoring-config"


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        (GRAFANA, FAILED, "InstallFailed: context deadline exceeded"),
        (GRAFANA, {"conditions": []}, "says nothing of Ready yet"),
        (GRAFANA, {"observedGeneration": 0}, "has changed, and is not looked at yet"),
        ("OCIRepository monitoring/loki", FAILED, "InstallFailed: context deadline exceeded"),
        (CONFIG, {"lastAppliedRevision": "main@sha1:abc"}, f"is at main@sha1:abc, not at {COMMIT}"),
    ],
)
def test_what_flux_is_not_done_with_is_told_in_its_words(
    name: str, status: Json, text: str, repository: Repository
) -> None:
    sync = sync_of(repository, "flux")
    answers = lists(sync)
    items = next(iter(answers.values()))
    (item,) = [i for i in items if identity(i) == name]
    item["status"] |= status
    assert said(sync, answers) == {name: text}
    items.remove(item)
    declared = name != "OCIRepository monitoring/loki"
    assert said(sync, answers) == ({name: "is not there yet"} if declared else {})


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("loki", {"sync": {"status": "OutOfSync"}}, "is OutOfSync and Healthy"),
        (
            "loki",
            {"health": {"status": "Degraded", "message": "0 of 1 replicas"}},
            "is Synced and Degraded: 0 of 1 replicas",
        ),
        (
            "monitoring-config",
            {"sync": {}, "conditions": [{"type": "ComparisonError", "message": "no such ref"}]},
            "is not compared and Healthy: no such ref",
        ),
        (
            "monitoring",
            {"sync": {"status": "Synced", "revision": "abc"}},
            f"is at abc, not at {COMMIT}",
        ),
    ],
)
def test_what_argo_cd_is_not_done_with_is_told_in_its_words(
    name: str, status: Json, text: str, repository: Repository
) -> None:
    sync = sync_of(repository, "argocd")
    answers = lists(sync)
    items = next(iter(answers.values()))
    (item,) = [i for i in items if i["metadata"]["name"] == name]
    item["status"] |= status
    assert said(sync, answers) == {f"Application argocd/{name}": text}
    items.remove(item)
    assert said(sync, answers) == {f"Application argocd/{name}": "is not there yet"}


def test_pods_and_what_the_operator_makes_are_waited_for_after_the_engine(
    repository: Repository,
) -> None:
    sync = sync_of(repository, "flux")
    answers = lists(sync)
    answers[PODS].append(PENDING)
    answers[OPERATED][0]["status"] = conditions("Available", "Degraded", message="no replica")
    assert said(sync, answers) == {
        "Pod monitoring/loki-0": "Unschedulable no node has the memory",
        "Prometheus monitoring/prometheus": "no replica",
    }


# Where the commit is


def git(folder: Path, *arguments: str) -> str:
    identity_ = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    run = ("git", *identity_, *arguments)
    return subprocess.run(
        run, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone, a commit ahead of its remote, which git reads from a folder in place of the web."""
    remote, tree = tmp_path / "remote", tmp_path / "tree"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(tmp_path, "init", "--quiet", "--initial-branch=work", str(tree))
    git(tree, "remote", "add", "origin", "git@git.example.com:team/todo-monitoring.git")
    git(tree, "commit", "--quiet", "--allow-empty", "--message=first")
    git(tree, "push", "--quiet", str(remote), "work:refs/heads/main")
    git(tree, "commit", "--quiet", "--allow-empty", "--message=second")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{remote}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", URL)
    return tree


def test_a_commit_is_found_at_the_ref_of_its_pull_request(clone: Path) -> None:
    git(clone, "push", "--quiet", URL, f"HEAD:{REF}")
    assert source.of_head(clone) == (URL, REF, git(clone, "rev-parse", "HEAD"))


def test_a_branch_is_preferred_and_the_commit_of_a_tag_is_no_ref(clone: Path) -> None:
    git(clone, "tag", "--annotate", "v1", "--message=v1")
    git(clone, "push", "--quiet", URL, "v1")
    with pytest.raises(RepositoryError, match="is at no ref of"):
        source.of_head(clone)
    git(clone, "push", "--quiet", URL, f"HEAD:{REF}", "HEAD:refs/heads/work", "HEAD:refs/an/other")
    assert source.of_head(clone).ref == "refs/heads/work"


def test_a_commit_that_is_not_pushed_is_told_so(clone: Path) -> None:
    commit = git(clone, "rev-parse", "HEAD")
    with pytest.raises(RepositoryError) as told:
        source.of_head(clone)
    (finding,) = told.value.findings
    assert finding.message.startswith(f"HEAD ({commit[:12]}) is at no ref of {URL}")
    assert finding.fix.startswith("push it to any branch")


def test_a_remote_that_cannot_be_read_is_told_in_the_words_of_git(clone: Path) -> None:
    shutil.rmtree(clone.parent / "remote")
    with pytest.raises(RepositoryError, match=r"git ls-remote: fatal: .*remote"):
        source.of_head(clone)


@pytest.mark.parametrize(
    "remote",
    [
        "git@git.example.com:team/todo-monitoring.git",
        "ssh://git@git.example.com/team/todo-monitoring.git",
        "ssh://git@git.example.com:2222/team/todo-monitoring.git",
        URL,
        f"https://somebody:{PASSWORD}@git.example.com/team/todo-monitoring.git",
    ],
)
def test_the_cluster_pulls_over_https_without_credentials(remote: str) -> None:
    assert source.anonymous(remote) == URL


@pytest.mark.parametrize("remote", ["/srv/todo", "file:///srv/todo", f"http://a:{PASSWORD}@b/todo"])
def test_a_remote_that_no_pod_reaches_is_refused_and_not_quoted(remote: str) -> None:
    with pytest.raises(RepositoryError, match="origin is reached neither over HTTPS") as told:
        source.anonymous(remote)
    assert remote not in str(told.value)
    assert PASSWORD not in str(told.value)


# What is applied


@pytest.mark.parametrize("engine", ENGINES)
def test_what_starts_the_sync_is_valid(engine: str, repository: Repository) -> None:
    objects = engines.sync(sync_of(repository, engine), SOURCE)
    assert schema.invalid(objects) == {}
    assert {o["metadata"]["namespace"] for o in objects} == {command.NAMESPACES[engine]}


def test_flux_pulls_the_ref_and_syncs_the_folder_of_the_cluster(repository: Repository) -> None:
    pulled, synced = engines.sync(sync_of(repository, "flux"), SOURCE)
    assert (pulled["spec"]["url"], pulled["spec"]["ref"]) == (URL, {"name": REF})
    assert synced["spec"]["path"] == "./clusters/local/flux"


def test_argo_cd_builds_the_folder_with_the_source_in_place_of_what_git_names(
    copy: Repository,
) -> None:
    """The patches are put where Argo CD puts them, and kustomize builds the folder with them."""
    sync = sync_of(copy, "argocd")
    folder = sync.units[0].path
    before = {identity(item): item for item in copy.build(folder)}
    (root,) = engines.sync(sync, SOURCE)
    assert root["spec"]["source"]["repoURL"] == URL
    assert root["spec"]["source"]["targetRevision"] == REF
    path = copy.root / folder / "kustomization.yaml"
    content = load(path, copy.root)[0]
    content.setdefault("patches", []).extend(root["spec"]["source"]["kustomize"]["patches"])
    path.write_text(yaml.safe_dump(content))
    after = {identity(item): item for item in Repository(copy.root).build(folder)}
    assert before.keys() - after.keys() == {"Application argocd/monitoring"}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"Application argocd/monitoring-config", "AppProject argocd/monitoring"}
    config = after["Application argocd/monitoring-config"]["spec"]["source"]
    assert (config["repoURL"], config["targetRevision"]) == (URL, REF)
    origin = before["Application argocd/monitoring"]["spec"]["source"]["repoURL"]
    assert origin not in json.dumps(list(after.values()))
    assert URL in after["AppProject argocd/monitoring"]["spec"]["sourceRepos"]


def test_every_secret_is_created_that_the_stack_needs(repository: Repository) -> None:
    needed = {
        (s.namespace, s.name): s.keys
        for s in requirements.read("local", repository).secrets
        if not s.optional
    }
    sync = sync_of(repository, "flux")
    items = list(prepared.objects(sync, "flux-system", prepared.values(sync, repository)))
    made = [o for o in items if o["kind"] == "Secret"]
    assert needed == {
        (o["metadata"]["namespace"], o["metadata"]["name"]): o["data"].keys() for o in made
    }
    alike: dict[str, set[str]] = {}
    for item in made:
        alike.setdefault(item["metadata"]["name"], set()).add(json.dumps(item["data"]))
    assert {len(values) for values in alike.values()} == {1}, "the same in each namespace"


def pinned(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: str) -> None:
    """Pin a manifest in a folder in place of the real one of each engine."""
    content = b"kind: Manifest\n"
    (folder / "v1.yaml").write_bytes(content)
    pin = {
        "version": "v1",
        "manifest": f"{folder.as_uri()}/{{version}}.yaml",
        "sha256": hashlib.sha256(content).hexdigest(),
    } | changes
    path = folder / "engines.yaml"
    path.write_text(yaml.safe_dump(dict.fromkeys(ENGINES, pin)))
    monkeypatch.setattr(engines, "PINS", path)


def test_a_manifest_is_taken_only_as_it_is_pinned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pinned(monkeypatch, tmp_path)
    assert engines.manifest("flux") == b"kind: Manifest\n"
    pinned(monkeypatch, tmp_path, sha256="0" * 64)
    with pytest.raises(RepositoryError, match=f"has the sha256 [0-9a-f]{{64}}, and {'0' * 64} is"):
        engines.manifest("flux")
    pinned(monkeypatch, tmp_path, version="v2")
    with pytest.raises(RepositoryError, match=r"v2\.yaml cannot be had: "):
        engines.manifest("flux")


def test_engines_are_pinned_and_argo_cd_is_the_one_that_is_checked() -> None:
    pins = load(engines.PINS, CODE)[0]
    assert pins.keys() == set(ENGINES) == ready.RESOURCES.keys() == command.NAMESPACES.keys()
    checked = {pin["module"]: pin["version"] for pin in load(schemas.PINS, CODE)[0]}
    assert pins["argocd"]["version"] == checked[pins["argocd"]["module"]]
    for pin in pins.values():
        assert pin["manifest"].startswith("https://")
        assert "{version}" in pin["manifest"]


# The whole of it


FAKE = """#!{python} -IS
import json, os, pathlib, shutil, signal, sys, time

folder = pathlib.Path(__file__).parent
name, arguments = pathlib.Path(__file__).name, sys.argv[1:]
state = json.loads((folder / "plays.json").read_text())
if arguments[0] == "--namespace=monitoring":
    # That is `make verify` and what is of it.
    os.execv(folder / "verified", [str(folder / "verified"), *arguments])
with (folder / "steps").open("a") as steps:
    print(name, *arguments, file=steps)
with (folder / "kubeconfigs").open("a") as file:
    print(os.environ.get("KUBECONFIG"), file=file)
verb = " ".join([name, *arguments[:2]])
if verb in state["signals"]:
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(20)
if verb in state["fails"]:
    sys.exit(state["fails"][verb])
if verb == "kind get clusters":
    print("\\n".join(state["clusters"]))
if verb.startswith("kubectl get "):
    print(json.dumps({{"items": state["lists"][arguments[1]]}}))
if verb.startswith("kubectl apply "):
    (path,) = [a.partition("=")[2] for a in arguments if a.startswith("--filename=")]
    number = len(list(folder.glob("applied-*")))
    shutil.copy(path, folder / f"applied-{{number}}")
if name == "node":
    job = json.loads(sys.stdin.read())
    pathlib.Path(job["picture"]).write_bytes(b"PNG")
    (folder / "login").write_text(json.dumps(job["login"]))
    print(json.dumps([state["panel"] | {{"title": title}} for title in job["titles"]]))
"""


@dataclass
class Machine:
    """What the programs on PATH play, and what they were asked."""

    folder: Path

    def set(self, **changes: Json) -> None:
        path = self.folder / "plays.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def steps(self) -> list[str]:
        """Each step without its options."""
        steps = (" ".join(w for w in s.split() if "=" not in w) for s in self.lines("steps"))
        return [step.partition(" -- ")[0] for step in steps]

    def applied(self, number: int) -> list[Json]:
        items: list[Json] = json.loads((self.folder / f"applied-{number}").read_text())["items"]
        return items


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with playing(Grafana()) as one:
        yield one


@pytest.fixture
def machine(
    tmp_path: Path, grafana: Grafana, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """A machine on which everything is ready at once, under Flux; PATH has no other programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "verified": KUBECTL,
        **dict.fromkeys(("kind", "kubectl", "node"), FAKE),
    }.items():
        (folder / name).write_text(text.format(python=sys.executable))
        (folder / name).chmod(0o755)
    (folder / "state.json").write_text(json.dumps(played(grafana.port)))
    plays = {
        "clusters": ["another"],
        "fails": {},
        "signals": [],
        "panel": {"drawn": True, "failed": False, "text": "1"},
        "lists": lists(sync_of(repository, "flux")) | lists(sync_of(repository, "argocd")),
    }
    (folder / "plays.json").write_text(json.dumps(plays))
    pinned(monkeypatch, tmp_path)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-the-user"))
    monkeypatch.setenv("GRAFANA_TOKEN", "of another Grafana")
    monkeypatch.setattr(browser, "modules", lambda: Path("node_modules"))
    monkeypatch.setattr(browser, "executable", lambda: "chromium")
    monkeypatch.setattr(source, "of_head", lambda _: SOURCE)
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: PASSWORD)
    monkeypatch.setattr(command, "ROUNDS", 1)
    monkeypatch.setattr(command, "VERIFY", ("tests.fixtures.run", "scripts.live.verify"))
    monkeypatch.setattr(command, "LIMIT", 30.0)
    monkeypatch.setattr(command, "OUTPUT", tmp_path / "build")
    monkeypatch.setattr(ready, "PAUSE", 0.01)
    return Machine(folder)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def kind(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """The command, as a person runs it: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kind", *arguments])
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ended:
                execute(command.interruptible)
        finally:
            signal.signal(signal.SIGTERM, handler)
        told = capfd.readouterr()
        seen = told.out + told.err + "".join(machine.lines("steps") + machine.lines("calls"))
        assert not [secret for secret in HIDDEN if secret in seen]
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out, told.err

    return run


BEFORE = ["kind get clusters", "kind create cluster"]
AFTER = ["kind delete cluster"]
INSTALL = [
    "kubectl apply --server-side --force-conflicts",
    "kubectl create deployment todo-ai-chatbot-release-frontend",
    "kubectl expose deployment todo-ai-chatbot-release-frontend",
    "kubectl create deployment todo-ai-chatbot-release-backend",
    "kubectl expose deployment todo-ai-chatbot-release-backend",
    "kubectl apply --server-side --force-conflicts",
    "kubectl wait crd --all",
    "kubectl apply --server-side --force-conflicts",
]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_cluster_is_made_synced_pictured_measured_and_deleted(
    engine: str, machine: Machine, kind: Run, repository: Repository, tmp_path: Path
) -> None:
    code, out, _ = kind(engine)
    assert code == 0
    looks = [",".join(ready.RESOURCES[engine]), PODS, OPERATED]
    asked = [f"kubectl get {look} --all-namespaces" for look in looks]
    browsed = [f"node {picture.SCRIPT} node_modules chromium"]
    assert machine.steps() == BEFORE + INSTALL + asked + browsed + AFTER
    assert f"local/{engine}: {REF} of {URL}, at {COMMIT}" in out
    assert "dashboard after" in out, "make verify has measured"
    assert (tmp_path / "build" / f"{engine}.png").read_bytes() == b"PNG"
    assert json.loads((machine.folder / "login").read_text())["password"] == PASSWORD
    namespaces = {i["metadata"]["name"] for i in machine.applied(0) if i["kind"] == "Namespace"}
    assert namespaces == {"monitoring", "monitoring-node", command.NAMESPACES[engine]}
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    assert encoded in (machine.folder / "applied-0").read_text()
    assert (machine.folder / "applied-1").read_bytes() == (tmp_path / "v1.yaml").read_bytes()
    assert machine.applied(2) == engines.sync(sync_of(repository, engine), SOURCE)


def test_the_cluster_has_a_name_and_a_kubeconfig_of_its_own(machine: Machine, kind: Run) -> None:
    assert kind("flux")[0] == 0
    of_kind = [step for step in machine.lines("steps") if step.startswith("kind ")]
    assert ["--name=todo-monitoring-flux" in step for step in of_kind] == [False, True, True]
    before, *after = machine.lines("kubeconfigs")
    (config,) = set(after)
    assert config != before
    assert all(f"--kubeconfig={config}" in step for step in of_kind[1:])
    assert not Path(config).parent.exists()


def test_a_cluster_that_is_there_is_neither_used_nor_deleted(machine: Machine, kind: Run) -> None:
    machine.set(clusters=["todo-monitoring-flux"])
    code, _, err = kind("flux")
    assert code == 1
    assert "kind cluster todo-monitoring-flux: is there already" in err
    assert machine.steps() == BEFORE[:1]


@pytest.mark.parametrize("name", ["kind", "kubectl", "node"])
def test_a_missing_program_is_told_before_anything_is_done(
    name: str, machine: Machine, kind: Run
) -> None:
    (machine.folder / name).unlink()
    code, _, err = kind("flux")
    assert code == 1
    assert f"{name}: is not on PATH" in err
    assert "fix: install" in err
    assert machine.steps() == []


def test_without_docker_the_words_of_kind_are_told(machine: Machine, kind: Run) -> None:
    machine.set(fails={"kind get clusters": "ERROR: Cannot connect to the Docker daemon"})
    code, _, err = kind("flux")
    assert code == 1
    assert "kind get clusters: ERROR: Cannot connect to the Docker daemon" in err
    assert machine.steps() == BEFORE[:1]


@pytest.mark.parametrize(
    "step",
    ["kind create cluster", "kubectl apply --server-side", "kubectl wait crd", "kubectl get pods"],
)
def test_the_cluster_is_deleted_after_a_step_that_fails(
    step: str, machine: Machine, kind: Run
) -> None:
    machine.set(fails={step: "error: no space left on device"})
    code, _, err = kind("flux")
    assert code == 1
    assert f"{step}: " in err
    assert "no space left on device" in err
    assert machine.steps()[-1:] == AFTER


def test_an_order_to_end_deletes_the_cluster(machine: Machine, kind: Run) -> None:
    machine.set(signals=["kubectl wait crd"])
    code, _, _ = kind("flux")
    assert code == 128 + signal.SIGTERM
    assert machine.steps()[-2:] == ["kubectl wait crd --all", *AFTER]


def test_what_is_not_ready_in_time_is_told_with_pods_and_warnings(
    machine: Machine, kind: Run, repository: Repository
) -> None:
    sync = sync_of(repository, "flux")
    answers = lists(sync)
    (release,) = [i for i in next(iter(answers.values())) if identity(i) == GRAFANA]
    release["status"] |= FAILED
    answers[PODS].append(PENDING)
    about = {"kind": "Pod", "namespace": "monitoring", "name": "loki-0"}
    answers["events"] = [
        {
            "involvedObject": about,
            "lastTimestamp": f"2026-01-01T00:00:{second:02}Z",
            "reason": "FailedScheduling",
            "message": f"at {second}",
        }
        for second in (30, 20)
    ]
    machine.set(lists=answers)
    code, out, err = kind("flux", "--limit=0.2")
    assert code == 1
    assert f"not ready yet: {GRAFANA}" in err
    assert f"{GRAFANA}: InstallFailed: context deadline exceeded (after 0.2 s)" in err
    at = [
        err.index(text)
        for text in (
            "what the cluster says:",
            "Pod monitoring/loki-0: Unschedulable no node has the memory",
            "Pod monitoring/loki-0: FailedScheduling: at 20",
            "Pod monitoring/loki-0: FailedScheduling: at 30",
        )
    ]
    assert at == sorted(at)
    assert "--field-selector=type=Warning" in machine.lines("steps")[-2]
    assert machine.steps()[-1:] == AFTER
    assert "everything is ready" not in out


def test_a_first_row_without_data_fails_before_a_picture(
    machine: Machine, kind: Run, grafana: Grafana, tmp_path: Path
) -> None:
    grafana.whole = (200, b'{"results": {}}')
    code, _, err = kind("flux", "--limit=4")
    assert code == 1
    assert "panel 'Probes': query A has no data (after 4 s)" in err
    assert not (tmp_path / "build").exists()
    assert machine.steps()[-1:] == AFTER


def test_a_measurement_that_fails_fails_the_run_and_leaves_the_picture(
    machine: Machine, kind: Run, tmp_path: Path
) -> None:
    path = machine.folder / "state.json"
    cold = {"events": {"*": [WARM | {"message": "Successfully pulled image"}]}}
    path.write_text(json.dumps(json.loads(path.read_text()) | cold))
    code, out, err = kind("flux")
    assert code == 1
    assert "no warm round" in out
    assert "make verify: the home page is not there, or not in time" in err
    assert (tmp_path / "build/flux.png").exists()
    assert machine.steps()[-1:] == AFTER


@pytest.mark.parametrize(
    ("panel", "text", "first"),
    [
        ({"drawn": False}, "panel 'Pods': is not drawn", False),
        ({"failed": True}, "panel 'Pods': shows an error", False),
        ({"text": "no pod found"}, "panel 'Restarts so far': has no data: no pod found", True),
    ],
)
def test_a_panel_that_a_person_would_miss_fails_the_run(
    panel: Json, text: str, first: bool, machine: Machine, kind: Run
) -> None:
    machine.set(panel={"drawn": True, "failed": False, "text": "1"} | panel)
    code, out, err = kind("flux")
    assert code == 1
    assert f"home page, {text}" in err
    # It says the same in place of data, and may.
    assert ("panel 'Pod readiness'" in err) is not first
    assert "dashboard after" in out, "it is measured all the same"


def test_a_browser_that_fails_is_told_without_the_password(machine: Machine, kind: Run) -> None:
    verb = f"node {picture.SCRIPT} node_modules"
    machine.set(fails={verb: f"Error: the login {PASSWORD} answers 401"})
    code, _, err = kind("flux")
    assert code == 1
    assert "home page: cannot be opened: Error: the login … answers 401" in err


def test_a_cluster_may_be_kept(machine: Machine, kind: Run) -> None:
    code, _, err = kind("flux", "--keep")
    assert code == 0
    assert "kind export kubeconfig --name=todo-monitoring-flux" in err
    assert "kind delete cluster" not in machine.steps()


def test_an_unknown_engine_is_refused(machine: Machine, kind: Run) -> None:
    code, _, err = kind("helm")
    assert code == 2
    assert "invalid choice: 'helm'" in err
    assert machine.steps() == []


def test_the_workflow_runs_both_engines_and_keeps_their_pictures() -> None:
    workflow = load(CODE / ".github/workflows/kind.yaml", CODE)[0]
    # YAML 1.1 takes the key `on` for a boolean.
    for path in workflow[True]["pull_request"]["paths"]:
        assert (CODE / path.removesuffix("/**")).exists(), path
    (job,) = workflow["jobs"].values()
    assert job["strategy"]["matrix"]["engine"] == list(ENGINES)
    (make,) = [step for step in job["steps"] if step.get("run") == "make kind"]
    assert make["env"] == {"ENGINE": "${{ matrix.engine }}"}
    (upload,) = [s for s in job["steps"] if "upload-artifact" in s.get("uses", "")]
    assert CODE / upload["with"]["path"] == command.OUTPUT


# A browser


PAGE = """<!doctype html><title>Home</title><main></main><script>
for (const [title, made] of Object.entries(%s)) setTimeout(() => {
  document.querySelector("main").insertAdjacentHTML("beforeend", `
    <section data-testid="data-testid Panel header ${title.replaceAll('"', "&quot;")}">
      ${made.loading ? '<div><div aria-label="Panel loading bar" role="status"></div></div>' : ""}
      <div data-testid="data-testid header-container"><h2>${title}</h2>
        ${made.failed ? '<button data-testid="data-testid Panel status error"></button>' : ""}
      </div>
      <div data-testid="data-testid panel content">${made.content}</div>
    </section>`);
}, made.after);
</script>"""
HEIGHT = {"h": 5, "w": 4, "x": 0}


@contextlib.contextmanager
def pages(html: str, password: str) -> Iterator[str]:
    """A Grafana's login and its home page, which is only for whoever has logged in."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            login = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = self.path == "/login" and login == {"user": "admin", "password": password}
            self.send_response(200 if known else 401)
            self.send_header("Set-Cookie", "grafana_session=1; Path=/; HttpOnly; SameSite=Lax")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            known = self.path == "/" and "grafana_session=1" in self.headers.get("Cookie", "")
            content = html.encode() if known else b"log in"
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def shown(tmp_path: Path, panels: dict[str, Json]) -> list[str]:
    """Open a page with panels, each below the one before; return what is wrong with it."""
    board = {
        "panels": [
            {
                "title": title,
                "type": "stat",
                "gridPos": HEIGHT | {"y": 0 if number < 2 else 5 * number},
                "fieldConfig": {"defaults": {"noValue": "no pod found"}},
            }
            for number, title in enumerate(panels)
        ]
    }
    made = {"after": 0, "loading": False, "failed": False, "content": "7"}
    html = PAGE % json.dumps({title: made | changes for title, changes in panels.items()})
    with pages(html, PASSWORD) as url:
        login = {"user": "admin", "password": PASSWORD}
        faults = picture.take(url, login, board, tmp_path / "home" / "page.png")
    return [f"{f.path}: {f.message}" for f in faults]


@pytest.mark.prove
def test_the_browser_logs_in_and_waits_for_every_panel(tmp_path: Path) -> None:
    panels = {
        "First": {},
        'A "quoted" title': {"after": 1500},
        "Graph": {"content": "<canvas></canvas>"},
        "Empty": {"content": "no pod found"},
    }
    assert shown(tmp_path, panels) == []
    header = (tmp_path / "home/page.png").read_bytes()[:24]
    assert header[:4] == b"\x89PNG"
    assert header[16:20] == browser.WIDTH.to_bytes(4, "big")
    assert int.from_bytes(header[20:24], "big") > 20 * 38


@pytest.mark.prove
def test_the_browser_sees_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "PATIENCE", 2)
    panels = {
        "No data": {"content": "<div>no pod found</div>"},
        "Failed": {"failed": True},
        "Loading": {"loading": True},
        "Blank": {"content": " "},
        "Late": {"after": 60000},
    }
    assert shown(tmp_path, panels) == [
        "home page, panel 'No data': has no data: no pod found",
        "home page, panel 'Failed': shows an error",
        "home page, panel 'Loading': is not drawn",
        "home page, panel 'Blank': is not drawn",
        "home page, panel 'Late': is not drawn",
    ]
    assert (tmp_path / "home/page.png").exists()


@pytest.mark.prove
def test_the_browser_tells_of_a_login_that_is_refused(tmp_path: Path) -> None:
    board = dashboards.load(tools.ROOT)["todo-overview.json"]
    login = {"user": "admin", "password": PASSWORD}
    with pages("", "another") as url, pytest.raises(RepositoryError) as told:
        picture.take(url, login, board, tmp_path / "page.png")
    assert "the login answers 401" in str(told.value)
    assert PASSWORD not in str(told.value)
