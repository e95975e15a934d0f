"""The buckets of Loki and Thanos: an environment's `object-storage.yaml`, and who writes to them.

Whether the tenancy's namespace is still the placeholder is asked by `make preflight`: until there
is an account, nobody knows it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from scripts.core.findings import Finding
from scripts.core.yamlfile import get
from scripts.model import object_storage
from scripts.model.manifests import ClusterSync, Repository
from scripts.model.object_storage import (
    ENDPOINT,
    FILE,
    LOGS,
    METRICS,
    ORACLE,
    REGION,
    SINCE,
    ObjectStorage,
    region_of,
)
from scripts.model.opt_ins import SCALE, listed, takes

LOKI, SIDECAR = f"{SCALE}/object-storage", f"{SCALE}/thanos/sidecar"
NEW, FROM_VOLUME = f"{LOKI}/new", f"{LOKI}/from-volume"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
S3_NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/managingbuckets.htm
ORACLE_NAME = re.compile(r"[A-Za-z0-9._-]{1,256}")
NATIVE = re.compile(r"objectstorage\.[a-z0-9-]+\.(oraclecloud\.com|oci\.customer-oci\.com)")
WRITE = "write https://<host of the S3 interface>, without a bucket"
# Key, what is wrong, what to do.
Fault = tuple[str, str, str]


def check(repository: Repository) -> list[Finding]:
    """Check what each environment says of its buckets, then the clusters against each other."""
    findings: dict[Finding, None] = {}
    compactors: dict[tuple[str, str], ClusterSync] = {}
    for sync in repository.syncs:
        storage = object_storage.read(repository, sync)
        found = [*periods(repository, sync), *parts(repository, sync, storage)]
        if storage:
            for key, text, fix in faults(storage):
                found.append(Finding(*storage.config.place(key), f"{key} {text}", fix))
            bucket = storage.host, storage.metrics
            if sync.synced and _compacts(sync) and all(bucket):
                first = compactors.setdefault(bucket, sync)
                found += one_compactor(repository, first, sync, storage)
        findings.update(dict.fromkeys(found))
    return list(findings)


def faults(storage: ObjectStorage) -> Iterator[Fault]:
    """Yield what is wrong with what an environment says of its buckets."""
    yield from _endpoint(storage)
    host, region = storage.host, storage.region
    where = region_of(host)
    if not region:
        write = where or "the provider's region; any word, such as us-east-1, where it has none"
        yield REGION, "is empty: requests are signed for a region", f"write {write}"
    elif where and region != where:
        yield REGION, f"is {region}, and {ENDPOINT} is in {where}", f"write {where}"
    valid = ORACLE_NAME if ORACLE.fullmatch(host) else S3_NAME
    for key, bucket in ((LOGS, storage.logs), (METRICS, storage.metrics)):
        if bucket and (not valid.fullmatch(bucket) or _is_address(bucket)):
            fix = "name the bucket with 3 to 63 small letters, digits and dashes"
            yield key, f"is no name of a bucket: {bucket}", fix
    if storage.logs and storage.logs == storage.metrics:
        text = f"is {LOGS}, too: what one of Loki and Thanos expires or lists is the other's"
        yield METRICS, text, "make a bucket for each"
    since = storage.config.data.get(SINCE)
    if since is not None and not _is_date(since):
        yield SINCE, f"is no date: {since}", 'write a day in the future as "2030-01-31"'


def _endpoint(storage: ObjectStorage) -> Iterator[Fault]:
    url = storage.endpoint
    try:
        parts_ = urlsplit(url)
        host = parts_.hostname or ""
        _ = parts_.port
    except ValueError as error:
        yield ENDPOINT, f"is no URL: {error}", WRITE
        return
    if parts_.scheme != "https" or not host:
        yield ENDPOINT, f"is no https URL: {url or 'it is empty'}", WRITE
        return
    if parts_.path.strip("/") or parts_.query or parts_.fragment:
        yield ENDPOINT, f"has a path: {url}; buckets have keys of their own here", WRITE
    if parts_.username or parts_.password:
        text = f"has a key in it; keys are in Secrets, see base/secrets.yaml: {host}"
        yield ENDPOINT, text, WRITE
    for bucket in {storage.logs, storage.metrics}:
        if bucket and host.startswith(f"{bucket}."):
            yield ENDPOINT, f"has the bucket {bucket} in its host: {host}", WRITE
    if NATIVE.fullmatch(host):
        text = f"is Oracle's own interface, and Loki speaks S3's: {host}"
        fix = "write https://<namespace of the tenancy>.compat.objectstorage.<region>"
        yield ENDPOINT, text, f"{fix}.oraclecloud.com"


def parts(
    repository: Repository, sync: ClusterSync, storage: ObjectStorage | None
) -> Iterator[Finding]:
    """Yield what is missing beside a part that a cluster takes in, and parts that exclude another.

    Without what `object-storage` itself copies, kustomize builds nothing.
    """
    # tests/options has one of them besides what its environment has.
    if sync.synced and takes(repository, sync, NEW) and takes(repository, sync, FROM_VOLUME):
        text = "is beside object-storage/new: one says that nothing is on the volume, one that "
        text += "something is"
        fix = "list from-volume where Loki has stored lines already, else new"
        yield Finding(*listed(repository, sync, FROM_VOLUME), text, fix)
    if takes(repository, sync, SIDECAR) and not (storage and storage.metrics):
        place = storage.config.place(METRICS) if storage else listed(repository, sync, SIDECAR)
        text = f"nothing says which bucket Thanos ships to: no {METRICS}"
        fix = f"name it in {FILE} of the environment: see base/optional/scale/README.md"
        yield Finding(*place, text, fix)


def periods(repository: Repository, sync: ClusterSync) -> Iterator[Finding]:
    """Loki whose storage is a bucket has a period of its schema that is stored in it."""
    at = ("loki", "storage", "type")
    for release in sync.releases:
        kind = get(release.values, *at)
        if release.chart != "loki" or kind in {None, "filesystem"}:
            continue
        configs = get(release.values, "loki", "schemaConfig", "configs") or []
        if not any(period.get("object_store") == kind for period in configs):
            place = repository.where("HelmRelease", release.owner[1], "spec", "values", *at)
            if takes(repository, sync, LOKI):
                place = listed(repository, sync, LOKI)
            text = f"Loki's storage is {kind}, and no period of its schema is stored there: "
            text += "every line goes to the volume"
            fix = "list object-storage/new behind object-storage, or object-storage/from-volume "
            fix += "where Loki has stored lines already"
            yield Finding(*place, text, fix)


def one_compactor(
    repository: Repository, first: ClusterSync, sync: ClusterSync, storage: ObjectStorage
) -> Iterator[Finding]:
    """A bucket has one compactor: two write the same blocks anew, and delete the other's."""
    if sync.cluster != first.cluster:
        text = f"{METRICS} is that of the cluster {first.cluster}, which has a compactor, as "
        text += f"{sync.cluster} has: two compactors spoil a bucket's blocks"
        fix = "list thanos/sidecar in place of thanos for one of them, or give it a bucket"
        yield Finding(*storage.config.place(METRICS), text, fix)


def _compacts(sync: ClusterSync) -> bool:
    values = (r.values for r in sync.releases if r.chart == "thanos")
    return any(get(one, "compact", "enabled") for one in values)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
