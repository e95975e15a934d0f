"""What names something else in what is rendered names what is there.

A kind of link is a function in a module of this folder that yields a `Link` for whatever names
something, and its name in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from scripts.checks.rendered.links import cluster_wide, network, paths, ports
from scripts.checks.rendered.links.model import Link
from scripts.core.findings import Finding
from scripts.model.rendered import Cluster

KINDS: tuple[Callable[[Cluster], Iterable[Link]], ...] = (
    ports.probes,
    ports.services,
    ports.listening,
    ports.of_nodes,
    ports.modules,
    paths.volumes,
    paths.writable,
    paths.readable,
    paths.receivers,
    network.selected,
    network.opened,
    network.effective,
    network.admitting,
    cluster_wide.priorities,
    cluster_wide.custom_resources,
    cluster_wide.file_systems,
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
