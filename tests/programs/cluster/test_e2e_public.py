"""The public address in `make e2e`, as far as it needs no cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import yaml

from scripts import tools
from scripts.cluster.e2e import public_address, public_faults, public_probe, public_programs
from scripts.cluster.e2e.environment import Environment
from scripts.cluster.e2e.public_parts import GATEWAY, HOST, INGRESS, TUNNEL, Combination, take
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository

RULES = """
groups:
  - name: any
    rules:
      - alert: GrafanaPublicAddressDown
        expr: probe_success{job="public"} == 0 unless on () probe_success{job="grafana"} == 0
        for: 5m
        labels: {severity: critical}
      - alert: GrafanaCertificateExpiring
        expr: probe_ssl_earliest_cert_expiry - time() < 3600
        for: 15m
        labels: {severity: warning}
"""


def words(value: Json) -> Iterator[str]:
    """Every text of an object."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from words(one)
    else:
        yield str(value)


@pytest.mark.parametrize("engine", ["flux", "argocd"])
@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        (GATEWAY, {"HTTPRoute", "Certificate"}),
        (INGRESS, {"Ingress", "Certificate"}),
        (TUNNEL, set()),
    ],
)
def test_what_is_taken_in_has_the_host_and_its_releases(
    parts: Combination, kinds: set[str], engine: str, copy: Repository
) -> None:
    take(copy.root, "local", engine, parts)
    sync = Repository(copy.root).sync("local", engine)
    named = {o["kind"] for o in sync.objects() if HOST in words(o.get("spec"))}
    assert named >= kinds
    charts = {release.chart for release in sync.releases}
    wanted = {"traefik", "cert-manager"}
    assert charts & wanted == wanted & set(parts.releases)
    (grafana,) = (release for release in sync.releases if release.name == "grafana")
    ini = grafana.values["grafana.ini"]
    assert ini["server"]["root_url"] == f"https://{HOST}/"
    assert ini["auth.github"]["allowed_organizations"] == "example"


@pytest.mark.parametrize(
    ("success", "seconds", "expected"),
    [
        (1, 7200, set()),
        (1, 60, {"GrafanaCertificateExpiring warning"}),
        (0, None, {"GrafanaPublicAddressDown critical"}),
        (0, -60, {"GrafanaPublicAddressDown critical", "GrafanaCertificateExpiring warning"}),
    ],
)
def test_the_alerts_that_come_of_a_probe(
    success: int, seconds: int | None, expected: set[str], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    found = {"probe_success": str(success)}
    if seconds is not None:
        found["probe_ssl_earliest_cert_expiry"] = f"{time.time() + seconds:e}"

    def passes(alerts: set[str]) -> bool:
        test = public_probe.alert_test("public", "https://a/", found, frozenset(alerts))
        (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
        return tools.run("promtool", "test", "rules", tmp_path / "test.yaml").returncode == 0

    assert passes(expected)
    assert not passes(expected ^ {"GrafanaPublicAddressDown critical"})


class Certificates:
    """An API server's answers about certificates."""

    def __init__(self, ready: str, generation: int, challenges: list[Json]) -> None:
        told = {"type": "Ready", "status": ready, "message": "not yet", "observedGeneration": 1}
        self.item = {"metadata": {"generation": generation}, "status": {"conditions": [told]}}
        self.challenges = challenges

    def get(self, *_: str) -> Json:
        return self.item

    def all(self, _: str, kind: str, __: str) -> list[Json]:
        return self.challenges if kind == "Challenge" else []


@pytest.mark.parametrize(
    ("ready", "generation", "challenges", "says"),
    [
        ("True", 1, [], ""),
        ("True", 2, [], "not yet"),
        ("False", 1, [], "not yet"),
        (
            "False",
            1,
            [{"status": {"state": "invalid", "reason": "refused"}}],
            "not yet; Challenge invalid: refused",
        ),
    ],
)
def test_why_there_is_no_certificate(
    ready: str, generation: int, challenges: list[Json], says: str
) -> None:
    client = Certificates(ready, generation, challenges)
    env = cast(Environment, SimpleNamespace(client=client))
    assert public_address.why_not_issued(env) == says


@pytest.mark.parametrize(
    ("optional", "there", "missing"),
    [(True, [], False), (False, [], True), (False, ["grafana-github"], False)],
)
def test_grafana_may_wait_for_no_secret_that_is_missing(
    optional: bool, there: list[str], missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = {"name": "grafana-github", "key": "client-id", "optional": optional}
    variables = [{"name": "A", "value": "1"}, {"valueFrom": {"secretKeyRef": reference}}]
    program = SimpleNamespace(container={"env": variables})
    monkeypatch.setattr(public_address, "deployed", lambda *_: program)
    secrets = [{"metadata": {"name": name}} for name in there]
    client = SimpleNamespace(all=lambda *_: secrets)
    env = SimpleNamespace(client=client, sync=SimpleNamespace(name="local/flux"))
    assert bool(public_address.check_secrets(cast(Environment, env))) is missing


def test_faults_have_names_and_the_last_one_waits_for_a_certificate_to_expire() -> None:
    made = public_faults.faults(cast(public_programs.PublicPrograms, None))
    assert len({one.name for one in made}) == len(made)
    assert "expires" in made[-1].name


def test_an_address_is_of_the_loopback_network() -> None:
    assert public_programs.loopback_address().startswith("127.")
