"""The S3 server checks signatures, tells what it was asked, and refuses what it is told to."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Iterator, Mapping

import pytest

from scripts.servers.http_client import Response, request
from scripts.servers.object_storage import Object, ObjectStorage, object_storage

pytestmark = pytest.mark.prove
# A body in one part, as the AWS SDK sends it where it signs none of it beforehand.
CHUNKED = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
OF_CHUNKS: Mapping[str, str] = {
    "content-encoding": "aws-chunked",
    "x-amz-trailer": "x-amz-checksum-crc32",
    "x-amz-decoded-content-length": "5",
}


@pytest.fixture(params=[False, True], ids=["as it is", "refusing"])
def storage(request: pytest.FixtureRequest) -> Iterator[ObjectStorage]:
    with object_storage("logs", refuse_chunked=request.param) as running:
        yield running


def signed(
    storage: ObjectStorage,
    method: str,
    path: str,
    body: bytes = b"",
    more: Mapping[str, str] | None = None,
    key_of_another: bool = False,
) -> Response:
    """Send a request with AWS' signature, version 4."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = "STREAMING-UNSIGNED-PAYLOAD-TRAILER" if more else hashlib.sha256(body).hexdigest()
    headers = {"host": storage.host, "x-amz-content-sha256": digest, "x-amz-date": now}
    headers = dict(sorted((headers | dict(more or {})).items()))
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    scope = f"{now[:8]}/{storage.region}/s3/aws4_request"
    wanted = hashlib.sha256(f"{method}\n{path}\n\n{lines}\n{names}\n{digest}".encode()).hexdigest()
    key = f"AWS4{'another' if key_of_another else storage.secret_key}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{wanted}"
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    credential = f"Credential={storage.access_key}/{scope}"
    value = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    headers["authorization"] = value
    return request(f"{storage.endpoint}{path}", method=method, body=body, headers=headers)


def test_what_is_stored_is_there(storage: ObjectStorage) -> None:
    assert signed(storage, "PUT", "/logs/a/b", b"hello").status == 200
    assert signed(storage, "GET", "/logs/a/b").content == b"hello"
    assert storage.objects("logs") == [Object("a/b", 5)]
    assert storage.path("logs", "a/b").read_bytes() == b"hello"
    assert storage.requests("logs") == {("PutObject", 200): 1, ("GetObject", 200): 1}
    assert not storage.requests("metrics")


def test_a_wrong_key_and_a_missing_bucket_are_refused(storage: ObjectStorage) -> None:
    assert signed(storage, "PUT", "/logs/a", b"hello", key_of_another=True).status == 403
    assert signed(storage, "PUT", "/absent/a", b"hello").status == 404
    assert storage.objects("logs") == []


def test_it_is_away_and_comes_back(storage: ObjectStorage) -> None:
    signed(storage, "PUT", "/logs/a", b"hello")
    storage.down()
    with pytest.raises(OSError, match=r"no answer|refused"):
        signed(storage, "GET", "/logs/a")
    storage.up()
    assert signed(storage, "GET", "/logs/a").content == b"hello"


def test_signed_parts_are_refused_only_where_wanted() -> None:
    with object_storage("logs") as usual, object_storage("logs", refuse_chunked=True) as refusing:
        assert signed(usual, "PUT", "/logs/a", CHUNKED, OF_CHUNKS).status == 200
        assert usual.objects("logs") == [Object("a", 5)]
        answer = signed(refusing, "PUT", "/logs/a", CHUNKED, OF_CHUNKS)
        assert answer.status == 501
        assert b"NotImplemented" in answer.content
        assert (usual.refused, refusing.refused) == (0, 1)
        assert refusing.objects("logs") == []
