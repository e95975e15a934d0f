"""Where an environment's buckets are: its `object-storage.yaml`, which components copy from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from scripts.model.manifests import ClusterSync, Repository
from scripts.model.opt_ins import OwnerConfig, owner_config

NAME = "object-storage"
FILE = f"{NAME}.yaml"
ENDPOINT, REGION = "ENDPOINT", "REGION"
LOGS, METRICS = "LOGS_BUCKET", "METRICS_BUCKET"
SINCE = "LOGS_SINCE"
# What stands in the file until an owner writes the tenancy's.
PLACEHOLDER = "namespace"
# Hosts that say their region. https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/s3compatibleapi.htm
ORACLE = re.compile(
    r"(?P<namespace>[^.]+)\.compat\.objectstorage\.(?P<region>[a-z0-9-]+)"
    r"\.(?:oraclecloud\.com|oci\.customer-oci\.com)"
)
# https://docs.aws.amazon.com/general/latest/gr/s3.html
AMAZON = re.compile(r"s3[.-](?:dualstack\.)?(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")


@dataclass(frozen=True)
class ObjectStorage:
    """What an environment says of its buckets; empty where it says nothing.

    Attributes:
        config: Where it says so.
        endpoint: The URL of the S3 interface.
        region: What requests are signed for.
        logs: Loki's bucket.
        metrics: Thanos' bucket.
    """

    config: OwnerConfig
    endpoint: str
    region: str
    logs: str
    metrics: str

    @property
    def host(self) -> str:
        """The endpoint's host and port; empty where it is no URL."""
        try:
            return urlsplit(self.endpoint).netloc
        except ValueError:
            return ""

    @property
    def namespace(self) -> str:
        """The namespace of Oracle's tenancy; empty at another provider."""
        found = ORACLE.fullmatch(self.host)
        return found["namespace"] if found else ""

    @property
    def facts(self) -> dict[str, str]:
        """What forms of `base/secrets.yaml` may name: the file's keys, and the host as HOST."""
        return {**self.config.data, "HOST": self.host}

    @property
    def placeholder(self) -> bool:
        """Whether nobody has written the tenancy's namespace yet."""
        return self.namespace == PLACEHOLDER


def region_of(host: str) -> str:
    """Return the region that a provider's host is in; empty where the host does not say so."""
    found = ORACLE.fullmatch(host) or AMAZON.fullmatch(host)
    return found["region"] if found else ""


def read(repository: Repository, sync: ClusterSync) -> ObjectStorage | None:
    """Return what a cluster's environment says of its buckets; None where it has no such file.

    Raises:
        RepositoryError: If the file is not YAML.
    """
    config = owner_config(repository, sync, NAME)
    if config is None:
        return None
    values = (config.data.get(key, "") for key in (ENDPOINT, REGION, LOGS, METRICS))
    return ObjectStorage(config, *values)
