"""The opt-in public address: one host, both engines, and nothing left when it is taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.checks.validate import validate
from scripts.core.yamlfile import load
from scripts.model.files import INVENTORY
from scripts.model.manifests import ClusterSync, Repository
from scripts.rules import alerts
from tests.adoption import edits, public

Parts = Mapping[str, tuple[str, ...]]
WAYS = pytest.mark.parametrize("parts", public.WAYS.values(), ids=public.WAYS.keys())


def with_parts(root: Path, parts: Parts, host: str = public.HOST) -> Repository:
    public.taken(root, "oke-free", parts, host)
    for path, text in alerts.render(root).items():
        (root / path).write_text(text)
    return Repository(root)


def texts(repository: Repository) -> dict[str, str]:
    """The objects of each cluster sync, as one text."""
    return {sync.name: _text(sync) for sync in repository.syncs if sync.synced}


def _text(sync: ClusterSync) -> str:
    objects = sorted(json.dumps(item, sort_keys=True) for item in sync.objects())
    return "\n".join(objects)


@WAYS
def test_each_way_is_valid_with_both_engines(copy: Repository, parts: Parts) -> None:
    assert validate(with_parts(copy.root, parts)) == []


@WAYS
def test_everything_follows_one_host(copy: Repository, tmp_path: Path, parts: Parts) -> None:
    one = texts(with_parts(copy.root, parts))
    edits.put(copy.root / INVENTORY, "data.GRAFANA_URL", "https://other.acme.test")
    for path, text in alerts.render(copy.root).items():
        (copy.root / path).write_text(text)
    other = texts(Repository(copy.root))
    for name in ("oke-free/flux", "oke-free/argocd"):
        assert one[name].count(public.HOST) >= 3
        assert public.HOST not in other[name]
        assert one[name].replace(public.HOST, "other.acme.test") == other[name]


@WAYS
def test_nothing_is_left_when_it_is_taken_away(copy: Repository, parts: Parts) -> None:
    before = texts(copy)
    url = load(copy.root / INVENTORY, copy.root)[0]["data"]["GRAFANA_URL"]
    assert texts(with_parts(copy.root, parts)) != before
    public.given_back(copy.root, "oke-free", url)
    for path, text in alerts.render(copy.root).items():
        (copy.root / path).write_text(text)
    assert texts(Repository(copy.root)) == before


def test_two_clusters_have_one_address(copy: Repository) -> None:
    public.taken(copy.root, "local", public.TUNNEL)
    (finding,) = validate(with_parts(copy.root, public.DOOR))
    assert finding.path == "overlays/oke-free/releases/kustomization.yaml"
    assert finding.line
    assert "oke-free has the public address that local has" in finding.message


def test_a_cluster_may_watch_the_address_of_another(copy: Repository) -> None:
    path = copy.root / "overlays/local/config/kustomization.yaml"
    path.write_text(f"{path.read_text()}components:\n  - {public.PARTS}/watch\n")
    assert validate(with_parts(copy.root, public.DOOR)) == []


@pytest.mark.parametrize(
    ("folder", "part", "host", "says"),
    [
        ("config", "watch/address", public.HOST, "too late"),
        ("public", "certificate/address", "8.8.8.8", "too early"),
    ],
)
def test_a_certificate_is_watched_by_how_long_it_is_valid(
    copy: Repository, folder: str, part: str, host: str, says: str
) -> None:
    parts = {**public.DOOR, folder: (*public.DOOR[folder], part)}
    parts["releases"] = (*parts["releases"], *(["traefik/address"] if folder == "public" else []))
    (finding,) = validate(with_parts(copy.root, parts, host))
    assert finding.path == "overlays/oke-free/config/kustomization.yaml"
    assert finding.line
    assert finding.message.endswith(says)


def test_an_address_needs_the_short_lived_profile(copy: Repository) -> None:
    host = "8.8.8.8"
    (fault,) = validate(with_parts(copy.root, public.DOOR, host))
    assert fault.path == INVENTORY
    assert "is an IP address, for which an issuer needs the profile shortlived" in fault.message


def test_the_parts_of_an_address_fit(copy: Repository) -> None:
    address = {
        "releases": (*public.DOOR["releases"], "traefik/address"),
        "config": (*public.DOOR["config"], "watch/address"),
        "public": (*public.DOOR["public"], "certificate/address"),
    }
    repository = with_parts(copy.root, address, "8.8.8.8")
    assert validate(repository) == []
    (sync,) = (s for s in repository.syncs if s.name == "oke-free/flux")
    (certificate,) = (o["spec"] for o in sync.objects() if o["kind"] == "Certificate")
    assert certificate["ipAddresses"] == ["8.8.8.8"]
    assert "dnsNames" not in certificate
    assert all("hostnames" not in o["spec"] for o in sync.objects() if o["kind"] == "HTTPRoute")
