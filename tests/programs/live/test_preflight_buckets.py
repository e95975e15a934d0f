"""Buckets are asked with their keys, and each way in which that fails has a message of its own."""

from __future__ import annotations

import dataclasses
import datetime
import re
import socket
import threading
from collections.abc import Iterator, Mapping

import pytest
import yaml

from scripts.core.yamlfile import Json
from scripts.live.preflight import buckets, checks, s3
from scripts.live.preflight.check_result import CheckResult, CheckStatus
from scripts.live.preflight.s3 import Answer, Bucket
from scripts.live.secrets.cluster import ClusterSecrets
from scripts.model import object_storage as object_storages
from scripts.model.credentials import NeededSecret
from scripts.model.manifests import Repository
from scripts.model.object_storage import ObjectStorage
from scripts.model.opt_ins import OwnerConfig
from scripts.model.rendered import Cluster
from scripts.model.requirements import Requirements
from scripts.model.secrets import Place, Values
from scripts.servers.object_storage import ObjectStorage as Server
from scripts.servers.object_storage import object_storage
from tests.programs.checks.rendered_edits import named
from tests.programs.live.preflight_cluster import assert_is, node, oke, seen

pytest_plugins = ["tests.programs.live.preflight_cluster"]

HIDDEN = "nobody-may-see-this"
STORAGE = ObjectStorage(
    OwnerConfig("overlays/x/releases/object-storage.yaml", {}, {"": 1}),
    "https://tenancy.compat.objectstorage.eu-frankfurt-1.oraclecloud.com",
    "eu-frankfurt-1",
    "logs",
    "metrics",
)
S3: Mapping[str, Json] = {
    "bucket": "metrics",
    "endpoint": STORAGE.host,
    "region": STORAGE.region,
    "access_key": HIDDEN,
    "secret_key": HIDDEN,
}
RAW: Mapping[str, Json] = {
    "provider": "raw",
    "bucket": "metrics",
    **dict.fromkeys(("compartment_ocid", *buckets.OCI_RAW_KEYS), "x"),
    "region": STORAGE.region,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with object_storage("logs", "metrics") as running:
        yield running


@pytest.fixture
def bucket(server: Server) -> Bucket:
    return Bucket(server.endpoint, server.region, "logs", server.access_key, server.secret_key)


@pytest.mark.prove
@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({}, "ok", "logs at .* is there, and the key of the Secret may list it"),
        ({"name": "elsewhere"}, "missing", "no bucket elsewhere at .*404 NoSuchBucket"),
        ({"access_key": HIDDEN}, "missing", "does not take the key .*404 XAdminUserNotFound"),
        ({"secret_key": HIDDEN}, "missing", "does not take the key .*403 SignatureDoesNotMatch"),
        ({"region": "eu-west-1"}, "missing", "is not in the region eu-west-1, but in us-east-1"),
    ],
)
def test_a_real_server(bucket: Bucket, change: dict[str, str], status: str, says: str) -> None:
    asked = dataclasses.replace(bucket, **change)
    result = buckets.told(asked, s3.ask(asked), "the Secret")
    assert_told(result, status, says)
    assert HIDDEN not in f"{asked}{result}"


@pytest.mark.prove
def test_a_bucket_is_only_listed(server: Server, bucket: Bucket) -> None:
    before = server.requests("metrics")
    s3.ask(dataclasses.replace(bucket, name="metrics"))
    made = server.requests("metrics") - before
    assert {operation for operation, _ in made} == {"ListObjectsV2"}
    assert server.objects("metrics") == []


@pytest.mark.parametrize(
    ("answer", "says", "fix"),
    [
        (Answer(0, "does not resolve"), "s3.example.com does not resolve", "correct ENDPOINT"),
        (Answer(301, "PermanentRedirect", "", "eu-west-1"), "but in eu-west-1", "that region"),
        (Answer(301), "but in another one", "that region"),
        (Answer(400, "AuthorizationHeaderMalformed", "", "eu-west-1"), "eu-west-1", "region"),
        (Answer(400, "AuthorizationHeaderMalformed"), "but in another one", "that region"),
        (Answer(403, "AccessDenied"), "lets the key of it not list", "read and write objects"),
        (Answer(403, "RequestTimeTooSkewed"), "clock of this machine", "NTP"),
        (Answer(403, "InvalidAccessKeyId"), "does not take the key of it", "make the Secret anew"),
        (Answer(404, "NoSuchBucket"), "no bucket logs", "create it"),
        (Answer(503, "SlowDown", "Reduce"), "answers 503 SlowDown: Reduce", "provider"),
    ],
)
def test_what_an_answer_means(answer: Answer, says: str, fix: str) -> None:
    asked = Bucket("https://s3.example.com", "us-east-1", "logs", HIDDEN, HIDDEN)
    result = buckets.told(asked, answer, "it")
    assert result.status is CheckStatus.MISSING
    assert says in result.text
    assert fix in result.fix
    assert HIDDEN not in f"{result}"


def test_a_host_that_does_not_resolve() -> None:
    asked = Bucket("https://s3.invalid", "us-east-1", "logs", HIDDEN, HIDDEN)
    assert s3.ask(asked).status == 0
    assert s3.ask(asked).code.startswith("does not ")


@pytest.fixture
def redirecting() -> Iterator[str]:
    """A server that leads elsewhere, as S3 does with a bucket of another region."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                head = "HTTP/1.1 301 Moved\r\nx-amz-bucket-region: eu-west-1\r\n"
                head += f"Location: http://127.0.0.1:{port}/key\r\nContent-Length: 0\r\n\r\n"
                connection.sendall(head.encode())

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{port}"


def test_a_key_does_not_follow_a_redirect(redirecting: str) -> None:
    asked = Bucket(redirecting, "us-east-1", "logs", HIDDEN, HIDDEN)
    assert s3.ask(asked) == Answer(301, "", "", "eu-west-1")


def test_a_signature_is_for_a_day_and_a_region() -> None:
    asked = Bucket("https://b.s3.amazonaws.com", "us-east-1", "b", "AKIA", "secret")
    now = datetime.datetime(2026, 1, 31, 20, 0, tzinfo=datetime.UTC)
    headers = s3.signed(asked, now)
    scope = "Credential=AKIA/20260131/us-east-1/s3/aws4_request"
    assert scope in headers["authorization"]
    assert headers["x-amz-date"] == "20260131T200000Z"
    later = s3.signed(asked, now + datetime.timedelta(days=1))
    assert later["authorization"] != headers["authorization"]


@pytest.mark.parametrize(
    ("kind", "own", "says"),
    [
        ("S3", {**S3, "bucket": "logs"}, "has bucket logs, and object-storage.yaml says metrics"),
        ("S3", {**S3, "endpoint": f"https://{STORAGE.host}"}, "has a URL as its endpoint"),
        ("S3", {**S3, "endpoint": "s3.example.com"}, "has endpoint s3.example.com"),
        ("S3", {**S3, "region": "eu-west-1"}, "has region eu-west-1"),
        ("S3", {**S3, "secret_key": ""}, "lacks secret_key"),
        ("S3", {}, "lacks bucket, endpoint, access_key, secret_key"),
        ("OCI", {**RAW, "bucket": "logs"}, "has bucket logs"),
        ("OCI", {**RAW, "region": "eu-west-1"}, "has region eu-west-1"),
        ("OCI", {**RAW, "privatekey": None}, "lacks privatekey"),
        ("OCI", {**RAW, "provider": "instance-principals"}, "has no provider that Thanos knows"),
        ("OCI", {"provider": "instance-principal", "bucket": "metrics"}, "lacks compartment_ocid"),
    ],
)
def test_a_configuration_that_does_not_fit(kind: str, own: Json, says: str) -> None:
    ((text, _),) = buckets.faults({"type": kind, "config": own}, STORAGE)
    assert says in text


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("S3", S3),
        ("S3", {key: S3[key] for key in ("bucket", "endpoint")} | {"aws_sdk_auth": True}),
        ("OCI", RAW),
        (
            "OCI",
            {"provider": "instance-principal", "bucket": "metrics", "compartment_ocid": "x"},
        ),
        ("GCS", {"bucket": "other"}),
    ],
)
def test_a_configuration_that_fits(kind: str, own: Json) -> None:
    assert list(buckets.faults({"type": kind, "config": own}, STORAGE)) == []


@pytest.fixture(scope="module")
def scaled(needed: Requirements, rendered: list[Cluster], repository: Repository) -> Requirements:
    """What the opt-ins for more than one require."""
    cluster = named(rendered, "options/scale/flux")
    secrets = (
        NeededSecret("monitoring", "loki", frozenset({*KEYS}), None),
        NeededSecret("monitoring", "thanos-object-storage", frozenset({"objstore.yml"}), None),
    )
    storage = object_storages.read(repository, cluster.sync)
    return dataclasses.replace(
        needed, rendered=cluster, pods=cluster.pods, secrets=secrets, storage=storage
    )


KEYS = (buckets.ACCESS_KEY, buckets.SECRET_KEY)


def holding(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Every Secret has these values."""

    def read(_: ClusterSecrets, place: Place) -> Values:
        del place
        return {key.replace("__", "."): value.encode() for key, value in values.items()}

    monkeypatch.setattr(ClusterSecrets, "values", read)
    asked = Answer(404, "NoSuchBucket")
    monkeypatch.setattr(s3, "ask", lambda _: asked)


def results(need: Requirements) -> dict[str, CheckResult]:
    return {check.name: r for check, r in checks.run(need, seen(), checks.BUCKETS)}


def test_the_rendered_buckets_are_asked(
    scaled: Requirements, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = scaled.storage
    assert storage
    own = {**S3, "endpoint": storage.host, "bucket": storage.metrics}
    text = yaml.safe_dump({"type": "S3", "config": own})
    holding(monkeypatch, **dict.fromkeys(KEYS, HIDDEN), objstore__yml=text)
    found = results(scaled)
    assert f"no bucket {storage.logs} at {storage.host}" in found["logs"].text
    assert f"no bucket {storage.metrics} at {storage.host}" in found["metrics"].text
    assert HIDDEN not in repr(found)


@pytest.mark.parametrize(
    ("values", "name", "says"),
    [
        (dict.fromkeys(KEYS, f"{HIDDEN}\n"), "logs", "ends with a blank or a line break"),
        (dict.fromkeys(KEYS[:1], HIDDEN), "logs", "lacks AWS_SECRET_ACCESS_KEY"),
        ({"objstore__yml": f"{HIDDEN}: ["}, "metrics", "is not YAML with type and config"),
        ({"objstore__yml": "type: S3\nconfig: {}\n"}, "metrics", "objstore.yml: lacks bucket"),
    ],
)
def test_values_that_cannot_be_right(
    scaled: Requirements,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, str],
    name: str,
    says: str,
) -> None:
    holding(monkeypatch, **values)
    found = results(scaled)[name]
    assert_told(found, "missing", says)
    assert HIDDEN not in repr(found)


def test_a_cluster_without_buckets_has_nothing_to_ask(fitted: Requirements) -> None:
    assert results(fitted) == {}
    assert "buckets" not in [check.name for check, _ in checks.run(fitted, seen())]


def test_the_placeholder_of_the_tenancy_is_told(scaled: Requirements) -> None:
    assert_is(scaled, seen(), "buckets", "ok", "metrics at tenancy.compat.*--buckets")
    assert scaled.storage
    url = scaled.storage.endpoint.replace("tenancy", "namespace")
    storage = dataclasses.replace(scaled.storage, endpoint=url)
    shipped = dataclasses.replace(scaled, storage=storage)
    assert_is(shipped, seen(), "buckets", "missing", "placeholder 'namespace'.*oci os ns get")


def test_pods_that_keep_apart_have_nodes(scaled: Requirements) -> None:
    assert_is(scaled, seen(), "nodes apart", "missing", "loki: 3 pods, no two on one .*2 nodes")
    three = [node(name) for name in ("a", "b", "c")]
    lists = {**oke(), "nodes": three}
    assert_is(scaled, seen(lists), "nodes apart", "ok", "3 nodes")


def assert_told(result: CheckResult, status: str, says: str) -> None:
    assert result.status == status
    assert re.search(says, result.text), result.text
    assert bool(result.fix) == (status != "ok")
