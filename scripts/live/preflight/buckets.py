"""Whether the buckets are there, and the Secrets fit to them.

What is in a Secret is read only where somebody asks for it, with `--buckets`: `make preflight` does
without, as who looks whether a cluster is ready need not be one who may read its keys. No value is
printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml

from scripts.checks.rendered import loki, thanos
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json, get
from scripts.live.preflight import s3
from scripts.live.preflight.check_result import CheckResult, missing, ok, warning
from scripts.live.preflight.cluster_state import ClusterState
from scripts.live.preflight.s3 import Answer, Bucket
from scripts.live.secrets.cluster import ClusterSecrets
from scripts.model.credentials import NeededSecret
from scripts.model.object_storage import ENDPOINT, FILE, METRICS, ObjectStorage
from scripts.model.requirements import Requirements

# What AWS' libraries read, and with them Loki.
ACCESS_KEY, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
# https://thanos.io/tip/thanos/storage.md/
S3_KEYS = ("bucket", "endpoint", "access_key", "secret_key")
OCI_KEYS = ("bucket", "compartment_ocid")
OCI_RAW_KEYS = ("tenancy_ocid", "user_ocid", "region", "fingerprint", "privatekey")
OCI_PROVIDERS = ("default", "instance-principal", "raw", "oke-workload-identity")
# Words for a key that is not known, the last of VersityGW, and for one whose secret is another.
KEY_REFUSED = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "XAdminUserNotFound"})
Fault = tuple[str, str]


def named(required: Requirements, _: ClusterState) -> CheckResult:
    """See that somebody has written whose buckets they are."""
    storage = required.storage
    if storage is None:
        return ok(f"no {FILE}")
    place = f"overlays/{required.environment}/releases/{FILE}"
    if storage.placeholder:
        text = f"{ENDPOINT} has the placeholder {storage.namespace!r} for the tenancy's namespace"
        return missing(text, f"write what `oci os ns get` prints into {place}")
    buckets = " and ".join(filter(None, (storage.logs, storage.metrics)))
    text = f"{buckets} at {storage.host}"
    return ok(f"{text}; whether they are there, and the keys fit: PREFLIGHT=--buckets")


def logs(required: Requirements, _: ClusterState) -> CheckResult:
    """Ask Loki's bucket with Loki's key."""
    secret = _reading(required, {ACCESS_KEY, SECRET_KEY})
    values = _values(secret)
    if isinstance(values, CheckResult):
        return values
    spoilt = [key for key in (ACCESS_KEY, SECRET_KEY) if values[key] != values[key].strip()]
    if spoilt:
        text = f"{' and '.join(spoilt)} of the Secret {secret} ends with a blank or a line break"
        return missing(text, "make it anew of a file without: `printf %s <value>` writes one")
    for one in loki.installed(required.rendered):
        s3_ = get(one.config, "common", "storage", "s3") or {}
        bucket = Bucket(
            str(s3_.get("endpoint")),
            str(s3_.get("region")),
            str(s3_.get("bucketnames")),
            values[ACCESS_KEY],
            values[SECRET_KEY],
        )
        return told(bucket, s3.ask(bucket), f"the Secret {secret}")
    return warning("no Loki is rendered", "see what `make render` says")


def metrics(required: Requirements, _: ClusterState) -> CheckResult:
    """Read Thanos' configuration, and ask its bucket."""
    name, key = next(
        (own["name"], own["key"])
        for item in thanos.shipping(required.rendered)
        for own in [item.spec["thanos"]["objectStorageConfig"]]
    )
    secret = next((one for one in required.secrets if one.name == name), None)
    values = _values(secret)
    if isinstance(values, CheckResult):
        return values
    place = f"the Secret {secret}, {key}"
    config = _parsed(values[key])
    if config is None:
        return missing(f"{place} is not YAML with type and config", _anew(required))
    wrong = list(faults(config, required.storage))
    if wrong:
        text = "; ".join(text for text, _ in wrong)
        return missing(f"{place}: {text}", wrong[0][1] or _anew(required))
    own = config["config"]
    if config["type"] != "S3" or not own.get("access_key"):
        text = f"{own.get('bucket')}, as {METRICS} says"
        return ok(f"{text}; {config['type']} with this sign-in is not asked from here")
    scheme = "http" if own.get("insecure") else "https"
    bucket = Bucket(
        f"{scheme}://{own['endpoint']}",
        str(own.get("region") or ""),
        own["bucket"],
        own["access_key"],
        own["secret_key"],
    )
    return told(bucket, s3.ask(bucket), place)


def faults(config: Mapping[str, Json], storage: ObjectStorage | None) -> Iterator[Fault]:
    """Yield what is wrong with Thanos' object storage configuration, and what to do.

    Args:
        config: What is in `objstore.yml`.
        storage: What the environment says of its buckets; compared where it is there.
    """
    kind, own = config["type"], config["config"]
    if kind not in {"S3", "OCI"}:
        return  # Thanos knows more, and nothing here does.
    keys: tuple[str, ...] = S3_KEYS if kind == "S3" else OCI_KEYS
    if kind == "S3" and own.get("aws_sdk_auth"):
        keys = S3_KEYS[:2]
    if kind == "OCI" and own.get("provider") == "raw":
        keys = (*OCI_KEYS, *OCI_RAW_KEYS)
    if lacking := [key for key in keys if not own.get(key)]:
        yield f"lacks {', '.join(lacking)}", ""
    if kind == "OCI" and own.get("provider") not in OCI_PROVIDERS:
        yield "has no provider that Thanos knows", f"use one of {', '.join(OCI_PROVIDERS)}"
    if kind == "S3" and "://" in str(own.get("endpoint")):
        fix = "write the host alone; `insecure: true` is for one without TLS"
        yield "has a URL as its endpoint, which Thanos refuses", fix
    if storage is None:
        return
    wanted = {"bucket": storage.metrics, "region": storage.region}
    if kind == "S3" and "://" not in str(own.get("endpoint")):
        wanted["endpoint"] = storage.host
    for key, value in wanted.items():
        if own.get(key) and str(own[key]) != value:
            yield f"has {key} {own[key]}, and {FILE} says {value}", f"write {value}, or correct it"


def told(bucket: Bucket, answer: Answer, secret: str) -> CheckResult:
    """Say what a bucket's answer means, and what to do.

    Args:
        bucket: Who was asked.
        answer: What came.
        secret: Where the key is.
    """
    who = f"{bucket.name} at {bucket.host}"
    said = f"{answer.status} {answer.code}".strip()
    if answer.status == 200:
        return ok(f"{who} is there, and the key of {secret} may list it")
    if not answer.status:
        fix = f"correct {ENDPOINT} in {FILE}, or ask from where it is reached"
        return missing(f"{bucket.host} {answer.code}", fix)
    if answer.code in KEY_REFUSED:
        text = f"{who} does not take the key of {secret} ({said})"
        fix = "make the Secret anew with a valid key; Oracle says the same of a wrong region "
        return missing(text, f"{fix}({bucket.region})")
    if answer.status == 404:
        text = f"no bucket {who} for this key ({said})"
        return missing(text, "create it there, or correct its name")
    moved = answer.status in {301, 307} or answer.region not in {"", bucket.region}
    if moved or answer.code in {"AuthorizationHeaderMalformed", "PermanentRedirect"}:
        where = answer.region or "another one"
        text = f"{who} is not in the region {bucket.region}, but in {where} ({said})"
        return missing(text, f"write that region into {FILE}, and what Thanos reads")
    if answer.code == "RequestTimeTooSkewed":
        return missing(f"the clock of this machine is wrong ({said})", "set it by NTP")
    if answer.status in {401, 403}:
        text = f"{who} lets the key of {secret} not list objects ({said})"
        return missing(text, "let its user read and write objects of this bucket")
    text = f"{who} answers {said}"
    return missing(f"{text}: {answer.message}" if answer.message else text, "see the provider")


def reads_logs(required: Requirements) -> bool:
    """Say whether Loki writes to a bucket with a key of a Secret."""
    return _reading(required, {ACCESS_KEY, SECRET_KEY}) is not None


def ships_metrics(required: Requirements) -> bool:
    """Say whether Prometheus ships its blocks to a bucket."""
    return any(thanos.shipping(required.rendered))


def _reading(required: Requirements, keys: set[str]) -> NeededSecret | None:
    return next((secret for secret in required.secrets if keys <= secret.keys), None)


def _values(secret: NeededSecret | None) -> Mapping[str, str] | CheckResult:
    """Return the values of the keys of a Secret that are read, or why they are not known."""
    if secret is None:
        return warning("the Secret comes from the sync", "run this again after the first sync")
    try:
        found = ClusterSecrets("").values((secret.namespace, secret.name))
    except RepositoryError:
        return missing(
            f"not checked: the Secret {secret} is not there, or may not be read",
            "make it, or use an account that may get it; no value is kept or shown",
        )
    if lacking := sorted(secret.keys - found.keys()):
        return missing(f"the Secret {secret} lacks {', '.join(lacking)}", "add it")
    return {key: found[key].decode(errors="replace") for key in secret.keys}


def _parsed(text: str) -> Mapping[str, Json] | None:
    try:
        config = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        return None
    there = isinstance(config, dict) and isinstance(config.get("config"), dict)
    return config if there and "type" in config else None


def _anew(required: Requirements) -> str:
    return f"`make secrets SECRETS=--cluster={required.name}` shows what to write, where it is gone"
