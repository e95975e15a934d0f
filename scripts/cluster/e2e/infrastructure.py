"""Nodes, storage classes and volumes of a cluster, by its budget."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.core.quantities import mebibytes, quantity
from scripts.model.requirements import DEFAULT_CLASS, Requirements
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import Object

# What a virtual machine of a provider's tier does not leave to pods: the kubelet's share, in cores,
# and of the memory. OKE's default network gives a node this many pods.
KUBELET_CPU = 0.06
KUBELET_MEMORY = 0.25
TIER_PODS = 31
# A node of an environment that no tier bounds.
LARGE = {"cpu": "8", "memory": "32Gi", "pods": "110"}
# As many as a large region of the provider's has; each node is in the next one.
ZONES = 3
ZONE = "topology.kubernetes.io/zone"
# Whose driver makes the volumes; nobody runs it here.
DRIVER = "blockvolume.csi.oraclecloud.com"
# What claims get that name no class.
STANDARD = "standard"


class Infrastructure:
    """Nodes, storage classes and volumes, as objects."""

    def __init__(self, needed: Requirements) -> None:
        """Take an environment's budget, and what is claimed there."""
        self._budget = needed.limits
        self._claims = needed.claims

    def nodes(self) -> Iterator[Object]:
        """Yield as many nodes as the budget counts on, each with its share of the tier."""
        count = int(self._budget.get("nodes", 1))
        architecture = str(self._budget.get("architecture", "amd64"))
        for number in range(count):
            labels = {"kubernetes.io/arch": architecture, ZONE: f"zone-{number % ZONES}"}
            node = control_plane.node(f"node-{number}", self._allocatable(count), labels)
            node["status"]["addresses"] = [
                {"type": "InternalIP", "address": f"10.0.0.{number + 2}"},
                {"type": "Hostname", "address": f"node-{number}"},
            ]
            yield node

    def _allocatable(self, count: int) -> dict[str, str]:
        tier = self._budget.get("tier")
        if not tier:
            return LARGE
        cpu = quantity(tier["cpu"]) / count - KUBELET_CPU
        memory = quantity(tier["memory"]) / count * (1 - KUBELET_MEMORY)
        return {
            "cpu": f"{cpu * 1000:.0f}m",
            "memory": mebibytes(memory),
            "pods": str(TIER_PODS),
        }

    def storage_classes(self) -> Iterator[Object]:
        """Yield the classes that are claimed, and the default one."""
        named = {claim.storage_class for claim in self._claims if claim.storage_class}
        for name in sorted(named | {STANDARD}):
            annotations = {DEFAULT_CLASS[0]: "true"} if name == STANDARD else {}
            yield {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": name, "annotations": annotations},
                "provisioner": DRIVER,
                "volumeBindingMode": "WaitForFirstConsumer",
            }

    def volumes(self) -> Iterator[Object]:
        """Yield the volumes that the driver would make on demand, one for each claim.

        Each is as large as all together: an older revision may have asked for more than this one.
        """
        total = sum(claim.size for claim in self._claims)
        for number, claim in enumerate(self._claims):
            yield {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"volume-{number}"},
                "spec": {
                    "storageClassName": claim.storage_class or STANDARD,
                    "capacity": {"storage": f"{total:.0f}"},
                    "accessModes": ["ReadWriteOnce"],
                    "csi": {"driver": DRIVER, "volumeHandle": str(number)},
                },
            }
