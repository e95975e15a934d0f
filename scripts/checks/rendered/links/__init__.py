"""What names something else in what is rendered names what is there.

A kind of link is a function in a module of this folder that yields a `Link` for whatever names
something, and its name in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from scripts.checks.rendered.links import cluster_wide, network, paths, ports, public_address
from scripts.checks.rendered.links.model import Link
from scripts.core.findings import Finding
from scripts.model.rendered import Cluster

KINDS: tuple[Callable[[Cluster], Iterable[Link]], ...] = (
    ports.probes_ask_own_ports,
    ports.services_lead_to_pods,
    ports.programs_listen_on_declared_ports,
    ports.node_ports_free,
    ports.probe_modules_fit,
    paths.mounts_have_volumes,
    paths.written_paths_writable,
    paths.log_files_mounted,
    paths.receiver_files_mounted,
    network.policies_select_pods,
    network.opened_ports_exist,
    network.policies_admit_somebody,
    network.needed_traffic_admitted,
    cluster_wide.priority_classes_exist,
    cluster_wide.custom_resources_listable,
    cluster_wide.volumes_are_file_systems,
    public_address.routes_have_the_host,
    public_address.listeners_take_routes,
    public_address.certificates_name_the_host,
    public_address.issuers_exist,
    public_address.probes_ask_the_address,
)


def resolved(cluster: Cluster) -> Iterator[Finding]:
    """Every link leads somewhere."""
    for kind in KINDS:
        for link in kind(cluster):
            if link.broken:
                text = f"{link.source} {link.target}: {link.effect}"
                if link.place:
                    yield Finding(*link.place, f"{link.item}: {text}", link.advice)
                else:
                    yield cluster.finding(link.item, text, link.advice, *link.written)
