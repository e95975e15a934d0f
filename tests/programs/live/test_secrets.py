"""Secrets that are made: values and plans, and the command with a kubectl that keeps a cluster."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.preflight import buckets
from scripts.live.secrets import __main__ as secrets_main
from scripts.model import credentials, object_storage, secretfile
from scripts.model.credentials import NeededSecret
from scripts.model.manifests import Repository
from scripts.model.secretfile import DeclaredSecret, SecretKey
from scripts.model.secrets import MissingSecret, administrator, manifest, plan, redacted, values
from tests.fixtures import CODE
from tests.programs.cluster_syncs import named

Keys = frozenset[str] | None
CLUSTER = "oke-free"


# Plans and values

RANDOM = SecretKey("secret", random=24, encoding="base64url")
PAIR = DeclaredSecret("pair", ("one", "two"), (RANDOM,), "a test")
FIXED = DeclaredSecret("fixed", ("one",), (SecretKey("user", value="me"), RANDOM), "a test")
GIVEN = DeclaredSecret(
    "given", ("one",), (SecretKey("user", value="me"), SecretKey("code", given="yours")), "a test"
)
OPTIONAL = DeclaredSecret("optional", ("one",), (RANDOM,), "a test", optional="nobody minds")


def need(*secrets: DeclaredSecret) -> list[NeededSecret]:
    return [
        NeededSecret(namespace, one.name, one.names, one)
        for one in secrets
        for namespace in one.namespaces
    ]


def there(needed: list[NeededSecret], **keys: Keys) -> dict[tuple[str, str], Keys]:
    """The keys of what is there, by `namespace_name`."""
    return {(n.namespace, n.name): keys.get(f"{n.namespace}_{n.name}") for n in needed}


def test_what_is_missing_is_made_or_given() -> None:
    needed = need(PAIR, FIXED, GIVEN, OPTIONAL)
    found = plan(needed, there(needed))
    assert [str(one) for one in found.make] == ["one/pair", "two/pair", "one/fixed"]
    assert [str(one) for one in found.give] == ["one/given", "one/optional"]
    assert found.existing == ()


def test_what_is_there_is_left() -> None:
    needed = need(FIXED, OPTIONAL)
    found = plan(needed, there(needed, one_fixed=frozenset({"user", "secret", "more"})))
    assert (found.make, found.existing) == ((), (("one", "fixed"),))


def test_the_other_of_a_pair_is_like_the_one_that_is_there() -> None:
    needed = need(PAIR)
    (made,) = plan(needed, there(needed, two_pair=frozenset({"secret"}))).make
    assert (str(made), made.copy_from) == ("one/pair", "two")
    known = {("two", "pair"): {"secret": b"\xff\x00", "other": b"x"}}
    assert values([made], known) == {("one", "pair"): {"secret": b"\xff\x00"}}


def test_what_only_a_user_has_is_copied_all_the_same() -> None:
    both = dataclasses.replace(GIVEN, namespaces=("one", "two"))
    needed = need(both)
    found = plan(needed, there(needed, one_given=both.names))
    assert ([str(one) for one in found.make], found.give) == (["two/given"], ())


def test_one_that_is_there_in_part_ends_it() -> None:
    needed = need(PAIR, FIXED, OPTIONAL)
    half = there(needed, one_fixed=frozenset({"user"}), one_optional=frozenset())
    with pytest.raises(RepositoryError) as told:
        plan(needed, half)
    assert [f.path for f in told.value.findings] == ["Secret one/fixed", "Secret one/optional"]
    assert all("is there without secret" in f.message for f in told.value.findings)


def test_one_that_nobody_declares_ends_it() -> None:
    needed = [NeededSecret("one", "unknown", frozenset(), None), *need(PAIR)]
    with pytest.raises(RepositoryError, match="nothing says how Secret one/unknown is made"):
        plan(needed, there(needed))


def test_values_are_random_and_the_same_in_each_namespace() -> None:
    make = [MissingSecret("one", PAIR), MissingSecret("two", PAIR), MissingSecret("one", FIXED)]
    first, second = values(make, {}), values(make, {})
    assert first["one", "pair"] == first["two", "pair"] != second["one", "pair"]
    assert first["one", "fixed"]["user"] == b"me"
    assert first["one", "fixed"]["secret"] != first["one", "pair"]["secret"]
    assert len(base64.urlsafe_b64decode(first["one", "pair"]["secret"])) == RANDOM.random
    assert len(bytes.fromhex(SecretKey("k", random=16, encoding="hex").make())) == 16
    with pytest.raises(ValueError, match="given by the user"):
        SecretKey("k", given="yours").make()


def test_a_form_is_filled_in_with_what_the_environment_says() -> None:
    text = "bucket: ${METRICS_BUCKET}\nregion: ${REGION}\nkey: <yours>\n"
    key = SecretKey("objstore.yml", given="a text", forms={"S3": text})
    filled = dict(key.filled({"METRICS_BUCKET": "metrics", "REGION": ""}))
    assert filled == {"S3": "bucket: metrics\nregion: <REGION>\nkey: <yours>\n"}


def test_the_forms_of_what_only_a_user_has_are_shown(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = secretfile.read(repository.root)["thanos-object-storage"]
    storage = object_storage.read(repository, named(repository, "options/scale/flux"))
    assert storage
    give = [MissingSecret("monitoring", declared)]
    (finding,) = secrets_main.report_given(give, "kubectl", storage.facts)
    assert "--from-file=objstore.yml" in finding.fix
    shown = capsys.readouterr().out
    forms = shown.split("  objstore.yml of monitoring/thanos-object-storage, ")[1:]
    configs = [yaml.safe_load(form.split(":\n", 1)[1]) for form in forms]
    assert [config["type"] for config in configs] == ["S3", "OCI"]
    assert {config["config"]["bucket"] for config in configs} == {storage.metrics}
    s3 = configs[0]["config"]
    assert (s3["endpoint"], s3["region"]) == (storage.host, storage.region)
    assert [list(buckets.faults(config, storage)) for config in configs] == [[], []]


def test_an_empty_value_is_not_copied() -> None:
    for content in ({"secret": b""}, {"other": b"x"}):
        with pytest.raises(RepositoryError, match="Secret two/pair: has no value of secret"):
            values([MissingSecret("one", PAIR, "two")], {("two", "pair"): content})


def test_a_manifest_holds_any_bytes() -> None:
    item = manifest(("one", "pair"), {"secret": b"\xff\x00"})
    assert item["metadata"] == {"name": "pair", "namespace": "one"}
    assert base64.b64decode(item["data"]["secret"]) == b"\xff\x00"


def test_no_value_is_in_what_is_passed_on() -> None:
    value = RANDOM.make().encode()
    encoded = base64.b64encode(value).decode()
    said = redacted(f"me: {value.decode()} or {encoded} of me", {"secret": value, "user": b"me"})
    assert said == "me: … or … of me"


# The command, with a kubectl that keeps Secrets and namespaces in a file

KUBECTL = '''#!{python} -IS
"""Plays kubectl: state.json is the cluster; `refuses` has an answer to a verb and a name."""
import json, pathlib, sys

folder = pathlib.Path(__file__).parent
path = folder / "state.json"
state = json.loads(path.read_text())
words = [a for a in sys.argv[1:] if not a.startswith("-")]
options = dict(a[2:].split("=", 1) for a in sys.argv[1:] if "=" in a)
with (folder / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
if words == ["config", "current-context"]:
    sys.exit(print(state["context"]))
if words[0] != "config" and options.get("context") != state["context"]:
    sys.exit("error: of another context")
item = json.loads(sys.stdin.read()) if words[0] == "create" else None
if item:
    kind, name = item["kind"].lower(), item["metadata"]["name"]
    space = item["metadata"].get("namespace", "")
elif words[0] == "get":
    kind, name, space = words[1], words[2], options.get("namespace", "")
else:
    kind, name, space = "", "", ""
key = "/".join(filter(None, (kind, space, name)))
for refused, answer in state["refuses"].items():
    if refused == " ".join(filter(None, (words[0], key))):
        sys.exit(answer.replace("DATA", json.dumps(item and item.get("data"))))
if words[0] == "version":
    print('{{"serverVersion": {{"gitVersion": "v1.36.1"}}}}')
if words[0] == "get" and key in state["objects"]:
    print(json.dumps(state["objects"][key]))
if item:
    if space and "namespace/" + space not in state["objects"]:
        sys.exit('Error from server (NotFound): namespaces "' + space + '" not found')
    if key in state["objects"]:
        sys.exit("Error from server (AlreadyExists): " + key + " already exists")
    state["objects"][key] = item
    path.write_text(json.dumps(state))
    print(key, "created")
'''


@dataclasses.dataclass
class Played:
    """A cluster, and what was asked of it."""

    folder: Path

    @property
    def state(self) -> dict[str, Json]:
        state: dict[str, Json] = json.loads((self.folder / "state.json").read_text())
        return state

    def set(self, **changes: Json) -> None:
        (self.folder / "state.json").write_text(json.dumps(self.state | changes))

    @property
    def objects(self) -> dict[str, Json]:
        objects: dict[str, Json] = self.state["objects"]
        return objects

    def put(self, *items: Json) -> None:
        self.set(objects=self.objects | {_key(item): item for item in items})

    def drop(self, key: str) -> Json:
        objects = self.objects
        gone = objects.pop(key)
        self.set(objects=objects)
        return gone

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command; no value that the cluster holds may be told, or be in an argument."""
        environment = os.environ | {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}
        answer = subprocess.run(
            [sys.executable, "-m", "tests.fixtures.run", "scripts.live.secrets", *arguments],
            cwd=CODE,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        told = answer.stdout + answer.stderr + "\n".join(self.calls)
        assert "Traceback" not in told, told
        for item in self.objects.values():
            for value in item.get("data", {}).values():
                assert value not in told
                decoded = base64.b64decode(value).decode()
                assert len(decoded) < 12 or decoded not in told
        return answer

    def created(self) -> int:
        return sum(call.startswith("create ") for call in self.calls)


def _key(item: Json) -> str:
    metadata = item["metadata"]
    parts = (item["kind"].lower(), metadata.get("namespace"), metadata["name"])
    return "/".join(filter(None, parts))


@pytest.fixture
def played(tmp_path: Path) -> Played:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(KUBECTL.format(python=sys.executable))
    (folder / "kubectl").chmod(0o755)
    state: Json = {"context": "test", "objects": {}, "refuses": {}}
    (folder / "state.json").write_text(json.dumps(state))
    return Played(folder)


@pytest.fixture(scope="module")
def wanted(repository: Repository) -> list[NeededSecret]:
    """What the cluster reads and a run makes, whatever that is in this tree."""
    sync = repository.cluster(CLUSTER)["flux"]
    needed = credentials.needed_secrets(sync, repository)
    made = [n for n in needed if not n.optional and n.declared and not n.declared.given]
    assert {n.name for n in made} < {n.name for n in needed}, "one that is not made, too"
    return made


def paired(wanted: list[NeededSecret]) -> tuple[str, str]:
    """The keys of a Secret that is in two namespaces."""
    names = [one.name for one in wanted]
    name = next(name for name in names if names.count(name) > 1)
    first, second, *_ = (f"secret/{one}" for one in wanted if one.name == name)
    return first, second


def test_everything_that_is_needed_is_made_once(
    played: Played, wanted: list[NeededSecret], repository: Repository
) -> None:
    first = played.run("--yes")
    assert first.returncode == 0, first.stderr
    secrets = {k: o for k, o in played.objects.items() if o["kind"] == "Secret"}
    assert {k: frozenset(o["data"]) for k, o in secrets.items()} == {
        f"secret/{one}": one.keys for one in wanted
    }
    one, other = paired(wanted)
    assert secrets[one]["data"] == secrets[other]["data"]
    sync = repository.cluster(CLUSTER)["flux"]
    declared = {_key(o): o for o in sync.objects() if o["kind"] == "Namespace"}
    for one_ in wanted:
        key = f"namespace/{one_.namespace}"
        assert played.objects[key] == declared[key], "as the sync has it"
    before, count = played.objects, played.created()
    second = played.run("--yes")
    assert (second.returncode, played.created(), played.objects) == (0, count, before)
    assert "nothing to create" in second.stdout


def test_the_command_for_the_password_is_told(played: Played, repository: Repository) -> None:
    account = administrator(repository.cluster(CLUSTER)["flux"])
    assert account
    namespace, name = account.place
    answer = played.run("--yes")
    command = f"--context=test --namespace={namespace} get secret {name}"
    assert f"kubectl {command} '--output=jsonpath={{.data.{account.password}}}' | base" in (
        answer.stdout
    )


def test_nothing_is_created_without_a_yes(played: Played) -> None:
    answer = played.run()
    assert answer.returncode == 1
    assert "would create" in answer.stderr
    assert "add --yes" in answer.stderr
    assert "test" in answer.stdout.splitlines()[0], "the context"
    assert played.created() == 0


def test_the_lost_one_of_a_pair_is_made_like_the_other(
    played: Played, wanted: list[NeededSecret]
) -> None:
    played.run("--yes")
    one, other = paired(wanted)
    for lost in (one, other):
        before = played.drop(lost)
        answer = played.run("--yes")
        assert answer.returncode == 0
        assert "read for that" in answer.stdout
        assert played.objects[lost]["data"] == before["data"]


@pytest.mark.parametrize("optional", [False, True])
def test_with_a_secret_in_part_nothing_is_made(
    played: Played, wanted: list[NeededSecret], repository: Repository, optional: bool
) -> None:
    sync = repository.cluster(CLUSTER)["flux"]
    optionals = [one for one in credentials.needed_secrets(sync, repository) if one.optional]
    one = (optionals if optional else wanted)[0]
    played.put({"kind": "Secret", "metadata": {"name": one.name, "namespace": one.namespace}})
    before = played.objects
    answer = played.run("--yes")
    assert (answer.returncode, played.objects, played.created()) == (1, before, 0)
    finding, fix = answer.stderr.splitlines()[1:]
    assert finding.startswith(f"Secret {one}: is there without {', '.join(sorted(one.keys))}")
    assert fix.startswith("    fix: ")


def test_what_was_made_before_an_end_stays_and_the_rest_follows(
    played: Played, wanted: list[NeededSecret]
) -> None:
    *_, last = wanted
    refused = {f"create secret/{last}": "error: connection lost, with DATA"}
    played.set(refuses=refused)
    answer = played.run("--yes")
    assert answer.returncode == 1
    assert f"Secret {last}: was not made: " in answer.stderr
    made = {k: o for k, o in played.objects.items() if o["kind"] == "Secret"}
    assert len(made) == len(wanted) - 1
    played.set(refuses={})
    assert played.run("--yes").returncode == 0
    assert f"secret/{last}" in played.objects
    assert made.items() <= played.objects.items(), "what was there is as it was"


def test_what_is_sent_is_not_told(played: Played, wanted: list[NeededSecret]) -> None:
    first = wanted[0]
    played.set(refuses={f"create secret/{first}": "error: a webhook denies DATA"})
    answer = played.run("--yes")
    (line,) = (x for x in answer.stderr.splitlines() if "a webhook denies" in x)
    assert "…" in line


def test_another_s_secret_is_not_overwritten(played: Played, wanted: list[NeededSecret]) -> None:
    first = wanted[0]
    taken = f'Error from server (AlreadyExists): secrets "{first.name}" already exists'
    played.set(refuses={f"create secret/{first}": taken})
    answer = played.run("--yes")
    assert answer.returncode == 1
    assert f"Secret {first}: was made by somebody else just now" in answer.stderr
    verbs = {next(w for w in call.split() if not w.startswith("-")) for call in played.calls}
    assert verbs <= {"get", "create", "version", "config"}


def test_a_namespace_that_another_makes_is_used(played: Played, wanted: list[NeededSecret]) -> None:
    taken = "Error from server (AlreadyExists): already exists"
    space = wanted[0].namespace
    played.put({"kind": "Namespace", "metadata": {"name": space}})
    played.set(
        refuses={
            f"create namespace/{space}": taken,
            f"get namespace/{space}": 'Error from server (Forbidden): "me" cannot get it',
        }
    )
    assert played.run("--yes").returncode == 0
    assert f"secret/{wanted[0]}" in played.objects


def test_a_namespace_that_goes_ends_it(played: Played, wanted: list[NeededSecret]) -> None:
    space = wanted[0].namespace
    status = {"phase": "Terminating"}
    played.put({"kind": "Namespace", "metadata": {"name": space}, "status": status})
    answer = played.run("--yes")
    assert (answer.returncode, played.created()) == (1, 0)
    assert f"namespace {space}: is being deleted, so nothing was made" in answer.stderr


def test_a_secret_that_may_not_be_read_ends_it(played: Played, wanted: list[NeededSecret]) -> None:
    forbidden = 'Error from server (Forbidden): User "me" cannot get resource "secrets"'
    played.set(refuses={f"get secret/{wanted[-1]}": forbidden})
    answer = played.run("--yes")
    assert (answer.returncode, played.created()) == (1, 0)
    assert f"Secret {wanted[-1]}: may not be read, so nothing was made" in answer.stderr


def test_a_cluster_that_cannot_be_reached_is_one_message(played: Played) -> None:
    refused = "E1 memcache.go\nThe connection to the server localhost:8080 was refused"
    played.set(refuses={"version": refused})
    answer = played.run("--yes")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.splitlines()[1:] == [
        "kubectl version --context=test: The connection to the server localhost:8080 was refused",
        "    fix: choose a context that reaches the cluster: `kubectl config get-contexts`",
    ]


def test_no_kubectl_is_one_message(played: Played, tmp_path: Path) -> None:
    answer = played.run(PATH=str(tmp_path))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "kubectl: is not on PATH\n    fix: install it" in answer.stderr


def test_a_cluster_that_this_tree_does_not_have(played: Played) -> None:
    answer = played.run("--cluster=nowhere")
    assert (answer.returncode, played.created()) == (1, 0)
    assert "there is no cluster nowhere" in answer.stderr
