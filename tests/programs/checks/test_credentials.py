"""No credential is in git, and each Secret that is read is declared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scripts.checks.static import credentials, encrypted, file_schemas
from scripts.core.yamlfile import maps
from scripts.model import credentials as model_credentials
from scripts.model import secretfile
from scripts.model.credentials import Secret
from scripts.model.manifests import ENCRYPTED, Repository
from tests.programs.cluster_syncs import (
    FLUX,
    OPTIONS,
    Edit,
    added,
    assert_says,
    edited,
    holding,
    named,
)

ROWS = {
    Secret("monitoring", "grafana-admin", frozenset({"admin-user", "admin-password"})): 1,
    Secret("monitoring", "alertmanager-config", frozenset({"alertmanager.yaml"})): 2,
    Secret("monitoring", "alloy-pseudonym-salt", frozenset({"salt"})): 3,
    Secret("monitoring-node", "alloy-pseudonym-salt", frozenset({"salt"})): 4,
    Secret("monitoring", "redpanda-metrics", frozenset({"username", "password"})): 5,
    Secret("monitoring", "grafana-github", frozenset({"client-id", "client-secret"}), True): 6,
    Secret("monitoring", "cloudflared", frozenset({"token"})): 7,
}


FILE = """\
# Two Secrets.
token:
  why: for a test
  optional: nothing happens
  namespaces: [one, two]
  keys:
    k1: { value: same }
    k.2: { random: 16, encoding: hex }
other:
  why: for a test
  namespaces: [one]
  keys: { k: { given: what you have } }
"""


def test_the_tree_declares_what_it_reads(repository: Repository) -> None:
    assert credentials.check(repository) == []
    assert credentials.declared(repository.root)


def declaring(root: Path, text: str) -> Path:
    (root / secretfile.PATH).parent.mkdir(parents=True, exist_ok=True)
    (root / secretfile.PATH).write_text(text)
    return root


def test_a_secret_is_declared_for_each_of_its_namespaces(tmp_path: Path) -> None:
    keys = frozenset({"k1", "k.2"})
    assert credentials.declared(declaring(tmp_path, FILE)) == {
        Secret("one", "token", keys, optional=True): 2,
        Secret("two", "token", keys, optional=True): 2,
        Secret("one", "other", frozenset({"k"})): 9,
    }


def test_no_file_declares_nothing(tmp_path: Path) -> None:
    assert credentials.declared(tmp_path) == {}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("random: 16", "random: 8", "token.keys.k.2"),
        ("encoding: hex", "encoding: rot13", "token.keys.k.2"),
        ("{ value: same }", "{ value: same, given: no }", "token.keys.k1"),
        ("  why: for a test\n", "", "token: 'why' is a required property"),
        ("optional: nothing happens", "optional: true", "token.optional"),
        ("[one, two]", "[]", "token.namespaces"),
    ],
)
def test_the_file_s_shape(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert file_schemas.check(Repository(declaring(tmp_path, FILE))) == []
    declaring(tmp_path, FILE.replace(old, new, 1))
    findings = file_schemas.check(Repository(tmp_path))
    assert [f.path for f in findings] == [secretfile.PATH], findings
    assert findings[0].message.startswith(says)


def _values(item: Any) -> Any:
    return item["spec"]["values"]


@pytest.mark.parametrize(
    ("kind", "name", "edit", "says"),
    [
        (
            "HelmRelease",
            "grafana",
            lambda o: _values(o)["admin"].update(existingSecret="grafana"),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/grafana with admin-password, ",
        ),
        (
            "HelmRelease",
            "grafana",
            lambda o: _values(o)["admin"].update(passwordKey="password"),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/grafana-admin with .+, password",
        ),
        (
            "HelmRelease",
            "grafana",
            lambda o: _values(o).update(envFromSecret="smtp"),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/smtp, which is not declared",
        ),
        (
            "HelmRelease",
            "loki",
            lambda o: _values(o).update(gateway={"basicAuth": {"existingSecret": "users"}}),
            r"loki.yaml:\d+: .+: reads Secret monitoring/users, which is not declared",
        ),
        (
            "HelmRelease",
            "alloy",
            lambda o: _values(o)["alloy"].update(envFrom=[{"secretRef": {"name": "more"}}]),
            r"alloy.yaml:\d+: .+: reads Secret monitoring-node/more, which is not declared",
        ),
        (
            "HelmRelease",
            "kube-prometheus-stack",
            lambda o: _values(o)["alertmanager"]["alertmanagerSpec"].update(configSecret="x"),
            r"kube-prometheus-stack.yaml:\d+: .+: reads Secret monitoring/x with alertmanager.yaml",
        ),
        (
            "HelmRelease",
            "kube-prometheus-stack",
            lambda o: _values(o)["prometheus"]["prometheusSpec"].update(
                remoteWrite=[{"basicAuth": {"password": {"name": "mimir", "key": "password"}}}]
            ),
            r"stack.yaml:\d+: .+: reads Secret monitoring/mimir with password, which is",
        ),
        (
            "HelmRelease",
            "alloy",
            lambda o: _values(o)["alloy"]["extraEnv"].append(
                {"name": "X", "valueFrom": {"secretKeyRef": {"name": "grafana-admin", "key": "x"}}}
            ),
            r"alloy.yaml:\d+: .+: reads Secret monitoring-node/grafana-admin with x, which",
        ),
        (
            "HelmRelease",
            "loki",
            lambda o: _values(o).update(
                extraVolumes=[{"name": "tls", "secret": {"secretName": "loki-tls"}}]
            ),
            r"loki.yaml:\d+: .+: reads Secret monitoring/loki-tls, which is not declared",
        ),
        (
            "HelmRelease",
            "kube-prometheus-stack",
            lambda o: _values(o)["prometheus"]["prometheusSpec"].update(secrets=["etcd-client"]),
            r"stack.yaml:\d+: .+: reads Secret monitoring/etcd-client, which is not declared",
        ),
        (
            "HelmRelease",
            "kube-prometheus-stack",
            lambda o: _values(o).update({"global": {"imagePullSecrets": [{"name": "registry"}]}}),
            r"stack.yaml:\d+: .+: reads Secret monitoring/registry, which is not declared",
        ),
        (
            "HelmRelease",
            "grafana",
            lambda o: _values(o).update(image={"pullSecrets": ["registry"]}),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/registry, which is not declared",
        ),
        (
            "OCIRepository",
            "grafana",
            lambda o: o["spec"].update(secretRef={"name": "registry"}),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/registry, which is not declared",
        ),
        (
            "OCIRepository",
            "grafana",
            lambda o: o["spec"].update(certSecretRef={"name": "ca"}),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/ca, which is not declared",
        ),
        (
            "ScrapeConfig",
            "redpanda",
            lambda o: o["spec"]["basicAuth"]["username"].update(key="user"),
            r"scrape-config.yaml:\d+: .+: reads Secret monitoring/redpanda-metrics with user, ",
        ),
        (
            "PodMonitor",
            "dapr-sidecars",
            lambda o: o["spec"]["podMetricsEndpoints"][0].update(
                authorization={"credentials": {"name": "dapr", "key": "api"}}
            ),
            r"dapr.yaml:\d+: .+: reads Secret monitoring/dapr with api, which is not declared",
        ),
    ],
)
def test_a_secret_that_is_not_declared(
    repository: Repository, kind: str, name: str, edit: Edit, says: str
) -> None:
    sync = edited(named(repository, OPTIONS), kind, name, edit)
    found = credentials.all_declared(model_credentials.secrets_read(sync), ROWS)
    assert_says(repository.locate(sync, found), says)


def test_a_configmap_s_key_is_no_secret(repository: Repository) -> None:
    def edit(item: dict[str, Any]) -> None:
        source = {"configMapKeyRef": {"name": "application", "key": "ROUTES"}}
        _values(item)["alloy"]["extraEnv"].append({"name": "X", "valueFrom": source})

    sync = edited(named(repository, FLUX), "HelmRelease", "alloy", edit)
    assert not list(credentials.all_declared(model_credentials.secrets_read(sync), ROWS))


@pytest.mark.parametrize(
    "values",
    [
        {"collectors": {"secrets": True}},
        {"secrets": [{"name": "made", "data": {}}]},
        {"imagePullSecrets": []},
    ],
)
def test_what_names_no_secret(values: dict[str, Any]) -> None:
    assert list(model_credentials.secrets_in_values("any", "monitoring", values)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"envFrom": [{"secretRef": {"name": "s"}}]},
        {"secret": {"secretName": "s"}},
    ],
)
def test_a_secret_that_may_be_absent(values: dict[str, Any]) -> None:
    def optional() -> list[bool]:
        found = model_credentials.secrets_in_values("any", "monitoring", values)
        return [secret.optional for _, secret in found]

    assert optional() == [False]
    *_, (_, holder) = maps(values)
    holder["optional"] = True
    assert optional() == [True]


@pytest.mark.parametrize(
    "edit",
    [
        lambda o: o["spec"]["data"].pop(),
        lambda o: o["spec"]["target"].update(name="grafana"),
        lambda o: o["spec"]["data"].append({"secretKey": "theme"}),
    ],
)
def test_a_secret_made_otherwise_than_it_is_declared(repository: Repository, edit: Edit) -> None:
    sync = edited(named(repository, OPTIONS), "ExternalSecret", "grafana-admin", edit)
    findings = repository.locate(sync, credentials.made_as_declared(sync, ROWS))
    assert_says(findings, r"external-secrets.yaml:\d+: ExternalSecret grafana-admin: makes grafana")


def test_what_is_declared_and_not_read() -> None:
    rows = {
        Secret("monitoring", "unread", frozenset({"a"})): 10,
        Secret("monitoring", "half", frozenset({"a", "b"})): 11,
        Secret("monitoring", "whole", frozenset({"a", "b"})): 12,
        Secret("monitoring", "by-two", frozenset({"a", "b"})): 13,
    }
    read = {
        Secret("monitoring-node", "unread", frozenset({"a"})),
        Secret("monitoring", "half", frozenset({"a"})),
        Secret("monitoring", "whole", frozenset()),
        Secret("monitoring", "by-two", frozenset({"a"})),
        Secret("monitoring", "by-two", frozenset({"b"})),
    }
    assert_says(
        list(credentials.all_read(rows, read)),
        "base/secrets.yaml:10: nothing reads Secret monitoring/unread",
        "base/secrets.yaml:11: nothing reads b of monitoring/half",
    )


def test_a_plain_secret(repository: Repository) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "x"}, "stringData": {"password": "hunter2"}}
    sync = added(named(repository, FLUX), secret)
    assert_says(
        repository.locate(sync, credentials.no_plain_text(sync)), "Secret x: a plain Secret"
    )


# Put together here, so that no scanner takes the tests for a leak.
HEADER = "eyJ" + "hbGciOiJIUzI1NiJ9" + "."


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "0123456789abcdefghijABCDEFGHIJ",
        "https://hooks.slack.com/" + "services/T0000/B0000/XXXX",
        "postgres://todo:" + "hunter2@db.example.com/todo",
        'loki.write "x" {\n  basic_auth {\n    password = "' + 'hunter2hunter2"\n  }\n}',
    ],
)
def test_what_looks_like_a_credential_anywhere(repository: Repository, text: str) -> None:
    configmap = {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"text": text}}
    sync = added(named(repository, FLUX), configmap)
    says = "ConfigMap x: data.text looks like a credential"
    assert_says(repository.locate(sync, credentials.no_plain_text(sync)), says)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("adminPassword", "hunter2", True),
        ("password", "hunter2", True),
        ("secret_key", "hunter2", True),
        ("api_key", "hunter2", True),
        ("apiKey", "hunter2", True),
        ("accessToken", "hunter2", True),
        ("client-secret", "hunter2", True),
        ("password", "${GRAFANA_PASSWORD}", False),
        ("password", "", False),
        ("passwordKey", "admin-password", False),
        ("existingSecret", "grafana-admin", False),
        ("automountServiceAccountToken", False, False),
    ],
)
def test_a_key_whose_value_is_a_credential(
    repository: Repository, key: str, value: object, found: bool
) -> None:
    sync = edited(
        named(repository, FLUX), "HelmRelease", "grafana", lambda o: _values(o).update({key: value})
    )
    says = [rf"grafana.yaml:\d+: HelmRelease grafana: spec.values.{key} is a credential"]
    assert_says(repository.locate(sync, credentials.no_plain_text(sync)), *(says if found else []))


def test_an_opt_in_s_secret_is_for_the_opt_in_alone(repository: Repository) -> None:
    """Told of a Secret of this tree that only opt-ins read, whichever it is."""
    of_clusters = {
        reference.secret.name
        for sync in repository.syncs
        if sync.synced
        for reference in model_credentials.secrets_read(sync)
    }
    declared = secretfile.read(repository.root).values()
    (opt_in, *_) = (one for one in declared if one.name not in of_clusters)
    item = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Probe",
        "metadata": {"name": "x", "namespace": opt_in.namespaces[0]},
        "spec": {"bearerTokenSecret": {"name": opt_in.name, "key": opt_in.keys[0].name}},
    }
    sync = added(named(repository, FLUX), item)
    references = [(sync, model_credentials.secrets_read(sync))]
    found = list(credentials.component_named(holding(repository, sync), references))
    text = f"base/secrets.yaml:{opt_in.line}: {FLUX} reads {opt_in.name} without {opt_in.component}"
    assert_says(found, text)


def test_a_secret_of_no_cluster_names_its_opt_in(copy: Repository) -> None:
    path = copy.root / secretfile.PATH
    path.write_text(re.sub(r"(?m)^  component: .*\n", "", path.read_text()))
    references = [(sync, model_credentials.secrets_read(sync)) for sync in copy.syncs]
    found = list(credentials.component_named(copy, references))
    assert found
    assert all("it belongs to an opt-in" in one.message and one.line for one in found)


def test_what_the_sync_brings_is_known(repository: Repository, tmp_path: Path) -> None:
    metadata = {"name": "token", "namespace": "monitoring"}
    made = {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": metadata}
    sync = named(repository, FLUX)
    (release, *_) = (r for r in sync.releases if r.namespace == "monitoring")
    names = ("token", "in-git", "nowhere")
    sync = edited(
        sync,
        "HelmRelease",
        release.owner[1],
        lambda o: _values(o).update(x={"secrets": list(names)}),
    )
    sync = added(sync, {**made, "spec": {"dataFrom": []}})
    path = tmp_path / "clusters" / sync.cluster / ENCRYPTED / "monitoring/in-git.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("kind: Secret\nmetadata: {name: in-git, namespace: monitoring}\n")
    found = {
        one.name: one.created_by
        for one in model_credentials.needed_secrets(sync, Repository(tmp_path))
    }
    assert {name: found[name] for name in names} == {
        "token": "ExternalSecret token",
        "in-git": str(path.relative_to(tmp_path)),
        "nowhere": "",
    }


BEGIN = "kind: Secret\nmetadata: {name: x}\n"
SOPS = "sops: {mac: plain}\n"
DONE = f"{BEGIN}data: {{a: 'ENC[x]', b: ''}}\n{SOPS}"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.yaml", DONE, []),
        ("one/two/a.json", '{"kind": "Secret", "data": {"a": "ENC[x]"}, "sops": {}}', []),
        (".sops.yaml", "creation_rules: [{age: x}]\n", []),
        ("kustomization.yaml", "resources: [a.yaml]\n", []),
        ("a.yaml", BEGIN, [r"a.yaml:2: a Secret that SOPS has not encrypted"]),
        ("a.yaml", f"{BEGIN}data:\n  a: eA==\n{SOPS}", [r"a.yaml:4: data.a is not encrypted"]),
        ("a.yaml", f"{BEGIN}stringData:\n  a: 1\n{SOPS}", [r"a.yaml:4: stringData.a is not"]),
        ("a.yml", f"{DONE}---\n{BEGIN}data:\n  a: x\n{SOPS}", [r"a.yml:9: data.a is not"]),
        ("n/a.yaml", f"{BEGIN}data: {{a: x}}\n{SOPS}", [r"n/a.yaml:3: data.a is not"]),
        ("n/m/a.json", '{"kind": "Secret", "data": {"a": "x"}, "sops": {}}', [r"data.a is not"]),
        ("a.yaml.bak", f"{BEGIN}data: {{a: x}}\n{SOPS}", [r"a.yaml.bak:3: data.a is not"]),
        ("a.yaml", "kind: List\nitems:\n- data: {a: x}\n", [r"a.yaml:3: items.0.data.a is not"]),
        ("a.yaml", "kind: ConfigMap\ndata: {a: x}\n", [r"a.yaml:2: data.a is not encrypted"]),
        (".env", "PASSWORD=x\n", [r".env:None: is no Secret in YAML or JSON"]),
        (".env", "PASSWORD: x\n", [r".env:None: is no Secret in YAML or JSON"]),
        ("a.yaml", f"{DONE}---\n{BEGIN}stringData: {{a: x}}\n", [r"a.yaml:8: stringData.a is"]),
        ("a.yaml", f"{DONE}spec: {{a: x}}\n", [r"a.yaml:5: spec is not encrypted"]),
        ("a.yaml", f"# stringData: {{a: x}}\n{DONE}", [r"a.yaml:1: a comment has values"]),
        ("a.yaml", f"# Its password: hunter2\n{DONE}", [r"a.yaml:1: a comment has values"]),
        ("a.yaml", f"# Made by make secrets.\n#ENC[data: x]\n{DONE}", []),
        (
            "a.yaml",
            f"kind: Secret\nmetadata:\n  annotations:\n    {encrypted.APPLIED}: a\n{SOPS}",
            [r"a.yaml:4: metadata.annotations.kubectl.+ is not encrypted"],
        ),
        ("kustomization.yaml", "patches: [{path: a.yaml}]\n", []),
        ("kustomization.yaml", "patches: [{patch: '{metadata: {name: b}}'}]\n", []),
        (
            "one/kustomization.yml",
            "patches:\n- target: {kind: Secret}\n  patch: |\n    stringData: {a: x}\n",
            [r"kustomization.yml:3: a patch has values in plain text"],
        ),
        (
            "Kustomization",
            "patches:\n- patch: |\n    - {op: add, path: /data/a, value: x}\n",
            [r"Kustomization:2: a patch has values in plain text"],
        ),
        (
            "kustomization.yaml",
            "configMapGenerator:\n- {name: a, literals: [a=x]}\n",
            [r"kustomization.yaml:1: configMapGenerator has values in plain text"],
        ),
        ("a.bin", "\0x\n", [r"a.bin:None: is no Secret in YAML or JSON"]),
        ("a.yaml", "a: [\n", [r"a.yaml:None: is no Secret in YAML or JSON"]),
        (
            "kustomization.yaml",
            "secretGenerator:\n- {name: a, literals: [a=x]}\n",
            [r"kustomization.yaml:1: secretGenerator has values in plain text"],
        ),
    ],
)
def test_secrets_beside_the_engines_are_encrypted(
    tmp_path: Path, name: str, text: str, says: list[str]
) -> None:
    path = tmp_path / "clusters/any" / ENCRYPTED / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert_says(encrypted.check(Repository(tmp_path)), *says)


def test_the_suite_reads_what_the_entries_read(repository: Repository) -> None:
    only_flux = holding(repository, named(repository, FLUX))
    unread = credentials.check(only_flux)
    opt_ins = [one for one in secretfile.read(repository.root).values() if one.component]
    says = [f"base/secrets.yaml:{one.line}: nothing reads .*{one.name}" for one in opt_ins]
    assert_says(unread, *says)
