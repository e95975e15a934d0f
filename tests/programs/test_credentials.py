"""No credential is in git, and the README tells how to create each Secret that is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.checks import credentials
from scripts.checks.credentials import Secret
from scripts.manifests import ENCRYPTED, Repository
from scripts.yamlfile import maps
from tests.programs.entries import FLUX, OPTIONS, Edit, added, assert_says, edited, holding, named

ROWS = {
    Secret("monitoring", "grafana-admin", frozenset({"admin-user", "admin-password"})): 1,
    Secret("monitoring", "alertmanager-config", frozenset({"alertmanager.yaml"})): 2,
    Secret("monitoring", "alloy-pseudonym-salt", frozenset({"salt"})): 3,
    Secret("monitoring-node", "alloy-pseudonym-salt", frozenset({"salt"})): 4,
    Secret("monitoring", "redpanda-metrics", frozenset({"username", "password"})): 5,
}


def test_the_table_has_just_the_secrets_that_are_read(repository: Repository) -> None:
    assert credentials.check(repository) == []
    assert credentials.table(repository.root).keys() == ROWS.keys()


def test_rows_are_read_from_their_section_alone(tmp_path: Path) -> None:
    (tmp_path / credentials.README).write_text(
        "# Title\n\n| `a` | `b` | `c` |\n\n## Secrets\n\n| Secret | Namespace | Keys | How |\n"
        "|---|---|---|---|\n| `token` (opt-in) | `one`, `two` | `k1`, `k.2` | `a | b` |\n\n"
        "## Sizes\n\n| `d` | `e` | `f` |\n"
    )
    keys = frozenset({"k1", "k.2"})
    expected = {Secret("one", "token", keys): 9, Secret("two", "token", keys): 9}
    assert credentials.table(tmp_path) == expected


def test_no_readme_no_rows(tmp_path: Path) -> None:
    assert credentials.table(tmp_path) == {}


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
            r"grafana.yaml:\d+: .+: reads Secret monitoring/smtp, which no row",
        ),
        (
            "HelmRelease",
            "loki",
            lambda o: _values(o).update(gateway={"basicAuth": {"existingSecret": "users"}}),
            r"loki.yaml:\d+: .+: reads Secret monitoring/users, which no row",
        ),
        (
            "HelmRelease",
            "alloy",
            lambda o: _values(o)["alloy"].update(envFrom=[{"secretRef": {"name": "more"}}]),
            r"alloy.yaml:\d+: .+: reads Secret monitoring-node/more, which no row",
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
            r"stack.yaml:\d+: .+: reads Secret monitoring/mimir with password, which no row",
        ),
        (
            "HelmRelease",
            "alloy",
            lambda o: _values(o)["alloy"]["extraEnv"].append(
                {"name": "X", "valueFrom": {"secretKeyRef": {"name": "grafana-admin", "key": "x"}}}
            ),
            r"alloy.yaml:\d+: .+: reads Secret monitoring-node/grafana-admin with x, which no row",
        ),
        (
            "HelmRelease",
            "loki",
            lambda o: _values(o).update(
                extraVolumes=[{"name": "tls", "secret": {"secretName": "loki-tls"}}]
            ),
            r"loki.yaml:\d+: .+: reads Secret monitoring/loki-tls, which no row",
        ),
        (
            "HelmRelease",
            "kube-prometheus-stack",
            lambda o: _values(o)["prometheus"]["prometheusSpec"].update(secrets=["etcd-client"]),
            r"stack.yaml:\d+: .+: reads Secret monitoring/etcd-client, which no row",
        ),
        (
            "HelmRelease",
            "kube-prometheus-stack",
            lambda o: _values(o).update({"global": {"imagePullSecrets": [{"name": "registry"}]}}),
            r"stack.yaml:\d+: .+: reads Secret monitoring/registry, which no row",
        ),
        (
            "HelmRelease",
            "grafana",
            lambda o: _values(o).update(image={"pullSecrets": ["registry"]}),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/registry, which no row",
        ),
        (
            "OCIRepository",
            "grafana",
            lambda o: o["spec"].update(secretRef={"name": "registry"}),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/registry, which no row",
        ),
        (
            "OCIRepository",
            "grafana",
            lambda o: o["spec"].update(certSecretRef={"name": "ca"}),
            r"grafana.yaml:\d+: .+: reads Secret monitoring/ca, which no row",
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
            r"dapr.yaml:\d+: .+: reads Secret monitoring/dapr with api, which no row",
        ),
    ],
)
def test_a_secret_that_the_table_does_not_describe(
    repository: Repository, kind: str, name: str, edit: Edit, says: str
) -> None:
    entry = edited(named(repository, OPTIONS), kind, name, edit)
    assert_says(repository.locate(entry, credentials.undocumented(entry, ROWS)), says)


def test_a_configmap_s_key_is_no_secret(repository: Repository) -> None:
    def edit(item: dict[str, Any]) -> None:
        source = {"configMapKeyRef": {"name": "application", "key": "ROUTES"}}
        _values(item)["alloy"]["extraEnv"].append({"name": "X", "valueFrom": source})

    entry = edited(named(repository, FLUX), "HelmRelease", "alloy", edit)
    assert not list(credentials.undocumented(entry, ROWS))


@pytest.mark.parametrize(
    "values",
    [
        {"collectors": {"secrets": True}},
        {"secrets": [{"name": "made", "data": {}}]},
        {"imagePullSecrets": []},
    ],
)
def test_what_names_no_secret(values: dict[str, Any]) -> None:
    assert list(credentials.in_values("any", "monitoring", values)) == []


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
        found = credentials.in_values("any", "monitoring", values)
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
def test_a_secret_made_otherwise_than_the_table_says(repository: Repository, edit: Edit) -> None:
    entry = edited(named(repository, OPTIONS), "ExternalSecret", "grafana-admin", edit)
    findings = repository.locate(entry, credentials.undocumented(entry, ROWS))
    assert_says(findings, r"external-secrets.yaml:\d+: ExternalSecret grafana-admin: makes grafana")


def test_rows_that_nothing_reads() -> None:
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
        credentials.idle(rows, read),
        "README.md:10: nothing reads Secret monitoring/unread",
        "README.md:11: nothing reads b of monitoring/half",
    )


def test_a_plain_secret(repository: Repository) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "x"}, "stringData": {"password": "hunter2"}}
    entry = added(named(repository, FLUX), secret)
    assert_says(repository.locate(entry, credentials.plain(entry)), "Secret x: a plain Secret")


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
    entry = added(named(repository, FLUX), configmap)
    says = "ConfigMap x: data.text looks like a credential"
    assert_says(repository.locate(entry, credentials.plain(entry)), says)


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
    entry = edited(
        named(repository, FLUX), "HelmRelease", "grafana", lambda o: _values(o).update({key: value})
    )
    says = [rf"grafana.yaml:\d+: HelmRelease grafana: spec.values.{key} is a credential"]
    assert_says(repository.locate(entry, credentials.plain(entry)), *(says if found else []))


@pytest.mark.parametrize(("sops", "count"), [("sops:\n  age: []\n", 0), ("", 1)])
def test_secrets_beside_the_engines_are_encrypted(tmp_path: Path, sops: str, count: int) -> None:
    path = tmp_path / "clusters/oke-free" / ENCRYPTED / "grafana.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"kind: Secret\nmetadata:\n  name: grafana-admin\n{sops}")
    findings = credentials.encrypted(Repository(tmp_path))
    assert_says(findings, *[r"secrets/grafana.yaml:.+: a Secret that SOPS has not"] * count)


def test_the_suite_reads_what_the_entries_read(repository: Repository) -> None:
    only_flux = holding(repository, named(repository, FLUX))
    unread = credentials.check(only_flux)
    assert_says(unread, r"README.md:\d+: nothing reads Secret monitoring/redpanda-metrics")
