"""Asking a bucket by S3's interface: one list of at most one object, signed; nothing is written.

How a request is signed: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from scripts.core.redirects import NoRedirects

# Seconds for an answer.
TIMEOUT = 15
QUERY = "list-type=2&max-keys=1"
_EMPTY = hashlib.sha256(b"").hexdigest()
_SIGNED = "host;x-amz-content-sha256;x-amz-date"
# Answers are a few hundred bytes.
_MOST = 65536


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the key to ask it with.

    Attributes:
        endpoint: The URL of the interface.
        region: What the request is signed for.
        name: The bucket's name.
        access_key: Names who asks.
        secret_key: Proves it.
    """

    endpoint: str
    region: str
    name: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @property
    def host(self) -> str:
        """Host and port of the endpoint."""
        return urlsplit(self.endpoint).netloc


class Answer(NamedTuple):
    """What a bucket answers.

    Attributes:
        status: Of HTTP; 0 where nobody answered.
        code: S3's word for an error, such as NoSuchBucket; in place of it, why nobody answered.
        message: What is said besides.
        region: The region that the bucket is in, where the answer says so.
    """

    status: int
    code: str = ""
    message: str = ""
    region: str = ""


def ask(bucket: Bucket, context: ssl.SSLContext | None = None) -> Answer:
    """Ask for a list of at most one object.

    Args:
        bucket: The bucket.
        context: For TLS; by default, the authorities of this machine are trusted.
    """
    url = f"{bucket.endpoint.rstrip('/')}/{quote(bucket.name)}?{QUERY}"
    request = urllib.request.Request(url, headers=signed(bucket, _now()))  # noqa: S310 - http(s)
    # A redirect says that the region is another one.
    opener = urllib.request.build_opener(
        NoRedirects(), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            return Answer(int(answer.status))
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(_MOST).decode(errors="replace")
            region = error.headers.get("x-amz-bucket-region") or _element(text, "Region")
            return Answer(error.code, _element(text, "Code"), _element(text, "Message"), region)
    except (OSError, ValueError) as error:
        return Answer(0, _reason(error))


def signed(bucket: Bucket, now: datetime.datetime) -> dict[str, str]:
    """Return the headers of a request for QUERY, signed.

    Args:
        bucket: The bucket.
        now: The time, in UTC: an answer is given only within 15 minutes of it.
    """
    time, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": bucket.host, "x-amz-content-sha256": _EMPTY, "x-amz-date": time}
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    asked = f"GET\n/{quote(bucket.name)}\n{QUERY}\n{lines}\n{_SIGNED}\n{_EMPTY}"
    scope = f"{day}/{bucket.region}/s3/aws4_request"
    digest = hashlib.sha256(asked.encode()).hexdigest()
    key = f"AWS4{bucket.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={bucket.access_key}/{scope}"
    authorization = f"{credential}, SignedHeaders={_SIGNED}, Signature={signature}"
    return {**headers, "authorization": authorization}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _element(text: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return found[1] if found else ""


def _reason(error: Exception) -> str:
    """Return why nobody answered, in a word that `buckets` knows, or as it is said."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror):
        return "does not resolve"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"has a certificate that this machine does not trust ({cause.verify_message})"
    if isinstance(cause, TimeoutError):
        return f"does not answer within {TIMEOUT} s"
    return f"does not answer ({cause})"
