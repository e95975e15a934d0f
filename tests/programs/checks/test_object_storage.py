"""Buckets of several environments, and what a part needs beside it.

What one file says is in `bad_changes/more-than-one.yaml`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks.static import clusters, object_storage
from scripts.model.manifests import Repository
from scripts.model.object_storage import region_of
from tests.programs.cluster_syncs import assert_says, take

FILE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: object-storage
  annotations:
    config.kubernetes.io/local-config: "true"
data:
  ENDPOINT: https://s3.eu-central-1.amazonaws.com
  REGION: eu-central-1
  LOGS_BUCKET: {logs}
  METRICS_BUCKET: {metrics}
  LOGS_SINCE: "2100-01-01"
"""


def scaled(root: Path, *parts: str, environment: str = "oke-free", metrics: str = "m") -> Path:
    """Let an environment take in parts of `base/optional/scale`; return its kustomization."""
    path = root / "overlays" / environment / "releases/kustomization.yaml"
    text = FILE.format(logs=f"{environment}-logs", metrics=metrics * 3)
    path.with_name("object-storage.yaml").write_text(text)
    path.write_text(
        path.read_text().replace("resources:\n", "resources:\n  - object-storage.yaml\n")
    )
    for part in parts:
        take(path, f"scale/{part}")
    return path


def test_parts_that_go_together(copy: Repository) -> None:
    scaled(copy.root, "object-storage", "object-storage/from-volume", "thanos")
    scaled(copy.root, "thanos/sidecar", environment="local")
    repository = Repository(copy.root)
    assert object_storage.check(repository) == []
    assert clusters.check(repository) == []


def test_a_bucket_from_the_start_and_from_a_date(copy: Repository) -> None:
    path = scaled(copy.root, "object-storage", "object-storage/new", "object-storage/from-volume")
    line = path.read_text().splitlines().index("- ../../../base/optional/scale/object-storage/new")
    says = f"overlays/oke-free/releases/kustomization.yaml:{line + 2}: is beside object-storage/new"
    assert_says(object_storage.check(Repository(copy.root)), says)


def test_two_compactors_of_one_bucket(copy: Repository) -> None:
    scaled(copy.root, "thanos")
    scaled(copy.root, "thanos", environment="local")
    says = (
        "overlays/oke-free/releases/object-storage.yaml:11: .*the cluster local, which has a comp"
    )
    assert_says(object_storage.check(Repository(copy.root)), says)


def test_two_compactors_of_two_buckets(copy: Repository) -> None:
    scaled(copy.root, "thanos")
    scaled(copy.root, "thanos", environment="local", metrics="n")
    assert object_storage.check(Repository(copy.root)) == []


def test_a_sidecar_whose_bucket_nothing_names(copy: Repository) -> None:
    path = copy.root / "overlays/local/releases/kustomization.yaml"
    take(path, "scale/thanos/sidecar")
    says = r"overlays/local/releases/kustomization.yaml:\d+: nothing says which bucket Thanos ships"
    assert_says(object_storage.check(Repository(copy.root)), says)


@pytest.mark.parametrize("own", ["oke-free", ""])
def test_two_clusters_of_one_name_whoever_wrote_it(copy: Repository, own: str) -> None:
    """External labels by hand: one more of the owner's does not tell two clusters apart."""
    path = copy.root / "overlays/local/releases/kube-prometheus-stack.yaml"
    at = "      prometheusSpec:\n"
    assert at in path.read_text()
    labels = f"        externalLabels: {{cluster: {own}, team: ours}}\n"
    path.write_text(path.read_text().replace(at, at + labels))
    name = copy.root / "overlays/local/releases/kustomization.yaml"
    name.write_text(name.read_text().replace("components:\n- ../../../base/cluster\n", ""))
    found = clusters.check(Repository(copy.root))
    assert any(("oke-free" in one.message) == bool(own) for one in found), found


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("tenancy.compat.objectstorage.eu-frankfurt-1.oraclecloud.com", "eu-frankfurt-1"),
        ("x.compat.objectstorage.us-ashburn-1.oci.customer-oci.com", "us-ashburn-1"),
        ("s3.eu-central-1.amazonaws.com", "eu-central-1"),
        ("s3.dualstack.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("s3.amazonaws.com", ""),
        ("minio.example.com", ""),
    ],
)
def test_hosts_that_say_their_region(host: str, region: str) -> None:
    assert region_of(host) == region
