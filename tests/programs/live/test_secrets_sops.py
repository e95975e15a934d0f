"""Secrets that the real sops encrypts into a cluster's folder, and decrypts again."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import tools
from scripts.checks import validate
from scripts.checks.static import sync_order
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.secrets import __main__ as command
from scripts.live.secrets.cluster import ClusterSecrets
from scripts.live.secrets.encrypted_folder import EncryptedFolder
from scripts.model import credentials, secretfile
from scripts.model.credentials import NeededSecret
from scripts.model.manifests import ENCRYPTED, Repository
from tests.fixtures import CODE

CLUSTER = "oke-free"
# A pair that nothing but these tests uses, put together so that no scanner takes it for a leak.
RECIPIENT = "age1z5qvw9yqftmma2tpym8q4s7yzf7k3m7dzcw2v4f0ehmxtrgkdvcq0m9ncs"
IDENTITY = "AGE-SECRET-KEY-" + "1PWJAR6ZHKXH0L9S8YE6SSN85FFYLP3T0D3AZPTV2Q7ADQQLL4NJQS9L0S4"
# As `flux create kustomization … --export` prints it.
KUSTOMIZATION = """\
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: monitoring-secrets
  namespace: flux-system
spec:
  decryption:
    provider: sops
    secretRef:
      name: sops-age
  interval: 10m0s
  path: ./clusters/oke-free/secrets
  prune: true
  retryInterval: 30s
  sourceRef:
    kind: GitRepository
    name: flux-system
"""


@pytest.fixture
def sops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program on PATH, the user's own not, and no key of theirs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sops").symlink_to(tools.path("sops"))
    others = [f for f in os.environ["PATH"].split(os.pathsep) if not (Path(f) / "sops").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), *others]))
    # Where sops looks for keys; the programs stay where they are.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tools.cache().parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("SOPS_")]:
        monkeypatch.delenv(name)
    return folder / "sops"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who decrypts."""
    monkeypatch.setenv("SOPS_AGE_KEY", IDENTITY)


def write(copy: Repository, age: str = RECIPIENT) -> int:
    """Run the command with --sops on a copy of the tree as it is now."""
    repository = Repository(copy.root)
    sync = repository.cluster(CLUSTER)["flux"]
    folder = EncryptedFolder(copy.root, CLUSTER, age)
    return command.encrypt(sync, credentials.needed_secrets(sync, repository), folder)


def wanted(copy: Repository) -> list[NeededSecret]:
    repository = Repository(copy.root)
    needed = credentials.needed_secrets(repository.cluster(CLUSTER)["flux"], repository)
    return [n for n in needed if not n.optional and n.declared and not n.declared.given]


def file(copy: Repository, one: NeededSecret) -> Path:
    return copy.root / "clusters" / CLUSTER / ENCRYPTED / one.namespace / f"{one.name}.yaml"


def pair(copy: Repository) -> tuple[NeededSecret, NeededSecret]:
    needed = wanted(copy)
    names = [one.name for one in needed]
    first, second, *_ = (one for one in needed if names.count(one.name) > 1)
    assert first.name == second.name
    return first, second


def decrypted(path: Path) -> Json:
    program = ("sops", "decrypt", "--output-type=json", path)
    run = subprocess.run(program, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def written(copy: Repository) -> dict[Path, bytes]:
    folder = copy.root / "clusters" / CLUSTER / ENCRYPTED
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(copy: Repository, message: str, age: str = RECIPIENT) -> None:
    """The command ends with just this finding, and has written nothing."""
    before = written(copy)
    with pytest.raises(RepositoryError, match=message) as told:
        write(copy, age)
    assert len(told.value.findings) == 1
    assert all(finding.fix for finding in told.value.findings)
    assert written(copy) == before


@pytest.mark.usefixtures("sops", "key")
def test_what_is_written_is_encrypted_and_can_be_decrypted(
    copy: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write(copy) == 0
    told = capsys.readouterr()
    needed = wanted(copy)
    assert set(written(copy)) == {file(copy, one) for one in needed}
    values = set()
    for one in needed:
        item = decrypted(file(copy, one))
        assert item["metadata"] == {"name": one.name, "namespace": one.namespace}
        assert item["data"].keys() == one.keys
        values |= {value for value in item["data"].values() if len(value) > 12}
    values |= {base64.b64decode(value).decode() for value in values}
    every = [path for path in copy.root.rglob("*") if path.is_file()]
    for text in (told.out, told.err, *(p.read_bytes().decode(errors="replace") for p in every)):
        assert not [value for value in values if value in text]
    first, second = pair(copy)
    assert decrypted(file(copy, first))["data"] == decrypted(file(copy, second))["data"]


@pytest.mark.usefixtures("sops")
def test_the_tree_is_valid_with_it_and_says_what_is_to_be_done_once(
    copy: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    write(copy)
    assert "--export > clusters/oke-free/flux/secrets.yaml" in capsys.readouterr().out
    assert validate.validate(Repository(copy.root)) == []
    (copy.root / f"clusters/{CLUSTER}/flux/secrets.yaml").write_text(KUSTOMIZATION)
    assert validate.validate(Repository(copy.root)) == []
    write(copy)
    told = capsys.readouterr().out
    assert "flux create" not in told
    assert "commit them" in told
    sync = copy.root / f"clusters/{CLUSTER}/flux/secrets.yaml"
    sync.write_text(KUSTOMIZATION.replace("provider: sops", "provider: none"))
    (finding,) = sync_order.check(Repository(copy.root))
    assert "applies ./clusters/oke-free/secrets without decrypting it" in finding.message
    sync.write_text(KUSTOMIZATION)
    path = file(copy, wanted(copy)[0])
    path.write_text(path.read_text().replace("ENC[", "plain[", 1))
    (finding,) = validate.validate(Repository(copy.root))
    assert (finding.path, bool(finding.line)) == (str(path.relative_to(copy.root)), True)


@pytest.mark.usefixtures("sops")
def test_what_is_there_is_left(copy: Repository) -> None:
    write(copy)
    before = written(copy)
    assert write(copy) == 0
    assert written(copy) == before


@pytest.mark.usefixtures("sops", "key")
def test_the_lost_one_of_a_pair_is_made_like_the_other(copy: Repository) -> None:
    write(copy)
    first, second = pair(copy)
    data = decrypted(file(copy, first))["data"]
    for lost in (first, second):
        file(copy, lost).unlink()
        write(copy)
        assert decrypted(file(copy, lost))["data"] == data


@pytest.mark.usefixtures("sops")
def test_without_the_key_no_other_value_is_made_for_the_lost_one(copy: Repository) -> None:
    write(copy)
    first, second = pair(copy)
    file(copy, first).unlink()
    refused(copy, f"{second.namespace}/{second.name}.yaml: cannot be decrypted here")


@pytest.mark.usefixtures("sops", "key")
def test_the_other_of_a_pair_may_be_in_a_file_of_several(copy: Repository) -> None:
    write(copy)
    first, second = pair(copy)
    texts = [f"--- # {one}\n{json.dumps(decrypted(file(copy, one)))}\n" for one in wanted(copy)]
    plain = "".join(text for text in texts if not text.startswith(f"--- # {first}\n"))
    data = decrypted(file(copy, second))["data"]
    folder = copy.root / "clusters" / CLUSTER / ENCRYPTED
    shutil.rmtree(folder)
    folder.mkdir()
    options = (f"--age={RECIPIENT}", "--encrypted-regex=^data$", "--filename-override=all.yaml")
    run = subprocess.run(
        ("sops", "encrypt", *options), input=plain, capture_output=True, text=True, check=True
    )
    (folder / "all.yaml").write_text(run.stdout)
    write(copy)
    assert set(written(copy)) == {folder / "all.yaml", file(copy, first)}
    assert decrypted(file(copy, first))["data"] == data


@pytest.mark.usefixtures("sops")
def test_a_file_of_another_is_not_overwritten(copy: Repository) -> None:
    one = wanted(copy)[0]
    file(copy, one).parent.mkdir(parents=True)
    file(copy, one).write_text("kind: ConfigMap\n")
    refused(copy, f"{one.name}.yaml: is there and holds no Secret {one}")


@pytest.mark.usefixtures("sops")
def test_a_file_with_a_part_of_it_ends_it(copy: Repository) -> None:
    one = wanted(copy)[0]
    file(copy, one).parent.mkdir(parents=True)
    metadata = f"{{name: {one.name}, namespace: {one.namespace}}}"
    file(copy, one).write_text(f"kind: Secret\nmetadata: {metadata}\nsops: {{}}\n")
    refused(copy, f"Secret {one}: is there without {', '.join(sorted(one.keys))}")


@pytest.mark.usefixtures("sops")
def test_nobody_to_encrypt_for_is_one_message(copy: Repository) -> None:
    refused(copy, r"was not encrypted: .*no keys provided.*\n.*--age=<recipient>", age="")
    refused(copy, "was not encrypted: .*malformed recipient", age="age1nobody")


@pytest.mark.parametrize("folder", [".", f"clusters/{CLUSTER}", f"clusters/{CLUSTER}/secrets"])
@pytest.mark.usefixtures("sops")
def test_a_creation_rule_says_for_whom(copy: Repository, folder: str) -> None:
    rule = {"path_regex": r"secrets/.*\.yaml$|^[a-z-]+/[a-z-]+\.yaml$", "age": RECIPIENT}
    (copy.root / folder).mkdir(exist_ok=True)
    (copy.root / folder / ".sops.yaml").write_text(json.dumps({"creation_rules": [rule]}))
    assert write(copy, age="") == 0
    assert all(RECIPIENT.encode() in file(copy, one).read_bytes() for one in wanted(copy))
    assert validate.validate(Repository(copy.root)) == []


def test_what_a_sops_leaves_in_plain_text_is_not_written(copy: Repository, sops: Path) -> None:
    sops.unlink()
    sops.write_text("#!/bin/sh\ncat\n")
    sops.chmod(0o755)
    refused(copy, r"would be written with values in plain text: data\.")


def test_no_sops_is_one_message(copy: Repository, sops: Path) -> None:
    sops.unlink()
    refused(copy, "sops: is not on PATH\n.*github.com/getsops/sops")


def test_argo_cd_decrypts_nothing(copy: Repository) -> None:
    sync = copy.cluster(CLUSTER)["argocd"]
    with pytest.raises(RepositoryError, match="synced by Argo CD, which decrypts nothing"):
        command.encrypt(sync, [], EncryptedFolder(copy.root, CLUSTER))


@pytest.mark.usefixtures("sops")
def test_a_cluster_is_left_to_the_sync(
    copy: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With everything in git, nothing is created; with one of a pair, the other is not, either."""
    write(copy)
    monkeypatch.setattr(ClusterSecrets, "check_reachable", lambda _: None)
    monkeypatch.setattr(ClusterSecrets, "keys", lambda *_: None)
    monkeypatch.setattr(ClusterSecrets, "lacks", lambda *_: False)
    repository = Repository(copy.root)
    sync = repository.cluster(CLUSTER)["flux"]
    assert (
        command.create(
            sync, credentials.needed_secrets(sync, repository), ClusterSecrets(""), yes=True
        )
        == 0
    )
    told = capsys.readouterr().out
    for one in wanted(copy):
        assert f"synced   {one}: {file(copy, one).relative_to(copy.root)}" in told
    assert "nothing to create" in told
    first, second = pair(copy)
    file(copy, second).unlink()
    needed = credentials.needed_secrets(sync, repository)
    with pytest.raises(RepositoryError, match=f"Secret {second}: must have .* as {first}"):
        command.create(sync, needed, ClusterSecrets(""), yes=True)


def test_what_only_a_user_has_is_told_with_a_command(
    copy: Repository, sops: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every Secret here is made what only a user has; each is told, and none is written."""
    path = copy.root / secretfile.PATH
    text = path.read_text()
    for declared in secretfile.read(copy.root).values():
        for key in declared.keys:
            if key.random:
                old = f"{key.name}: {{random: {key.random}, encoding: {key.encoding}}}"
                assert old in text
                text = text.replace(old, f"{key.name}: {{given: yours}}")
    needed = wanted(copy)
    path.write_text(text)
    assert sops.exists()
    assert write(copy) == 1
    assert written(copy) == {}
    told = capsys.readouterr().err
    for one in needed:
        assert f"Secret {one}: is missing, and only you have " in told
        assert f"--namespace={one.namespace} create secret generic {one.name} " in told


def test_a_recipient_alone_is_a_mistake() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "scripts.live.secrets", "--age=age1x"],
        cwd=CODE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "--age goes with --sops" in run.stderr
