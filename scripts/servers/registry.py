"""The registry that Flux pulls charts from: a local one that is filled from the cache."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.model import charts
from scripts.model.images import DIGEST
from scripts.model.manifests import Release
from scripts.servers.processes import LOOPBACK, Processes, free_port
from scripts.servers.tcp_proxy import TcpProxy

NAME = "registry"
_DIGEST = re.compile(rf"(?m)^Digest: ({DIGEST.pattern})$")


class Registry:
    """An OCI registry on loopback with each chart at the path that it has in its own registry."""

    def __init__(self, processes: Processes) -> None:
        """Start one that is empty."""
        port = free_port()
        self._proxy = TcpProxy(port)
        folder = processes.folder("registry-content")
        arguments = (f"--address={LOOPBACK}:{port}", f"--disk={folder}")
        processes.start(NAME, "registry", "serve", *arguments, tool="crane")
        processes.wait(NAME, f"http://{LOOPBACK}:{port}/v2/")
        self.up()

    @property
    def host(self) -> str:
        """Its host and port, as they stand in an address."""
        return self._proxy.host

    def up(self) -> None:
        """Let it be reached."""
        self._proxy.open()

    def down(self) -> None:
        """Let it be reached no longer: connections are refused."""
        self._proxy.close()

    def fill(self, releases: Iterable[Release]) -> None:
        """Push the charts of releases, each once."""
        distinct = {(r.repository, r.chart, r.version): r for r in releases}
        for release in distinct.values():
            self.push(charts.archive(release), release)

    def push(self, archive: Path, release: Release) -> str:
        """Push a chart's archive to where the mirror has a release's chart; return its digest.

        It is another digest than in the chart's own registry, as Helm makes the manifest anew.
        """
        _, _, path = release.repository.removeprefix("https://").partition("/")
        pushed = tools.run("helm", "push", archive, f"oci://{self.host}/{path}", "--plain-http")
        digest = _DIGEST.search(pushed.stdout + pushed.stderr)
        if pushed.returncode or not digest:
            text = f"{archive.name} cannot be pushed: {pushed.stderr.strip()[-300:]}"
            raise RepositoryError(Finding("chart", None, text, "see Helm's message"))
        return digest[1]


def renumbered(archive: Path, version: str, folder: Path) -> Path:
    """Return a chart's archive under another version: it differs in the number, and labels with it.

    Args:
        archive: The chart.
        version: Its new version.
        folder: Where the new archive goes.
    """
    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive) as old:
        old.extractall(unpacked, filter="data")
    (chart,) = unpacked.glob("*/Chart.yaml")
    chart.write_text(re.sub(r"(?m)^version: .*$", f"version: {version}", chart.read_text()))
    target = folder / f"{chart.parent.name}-{version}.tgz"
    with tarfile.open(target, "w:gz") as new:
        new.add(chart.parent, chart.parent.name)
    return target
