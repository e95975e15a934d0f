"""Grafana's provisioning is complete: data sources, folders with ConfigMaps, the home dashboard."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping

from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, maps
from scripts.model import dashboards
from scripts.model.manifests import ClusterSync, Release, Repository, in_values

CHART = "grafana"
# Where the chart mounts `dashboardsConfigMaps`, each at its own name.
MOUNT = "/var/lib/grafana/dashboards/"


def check(repository: Repository) -> list[Finding]:
    """Check Grafana's values in every cluster sync."""
    return [
        finding
        for sync in repository.syncs
        for release in sync.releases
        if release.chart == CHART
        for rule in (datasources, folders, home)
        for finding in repository.locate(sync, rule(sync, release))
    ]


def datasources(sync: ClusterSync, release: Release) -> Iterator[Violation]:
    """One data source is the default, uids are unique, and dashboards name the right types."""
    sources = dashboards.datasources(release.values)
    at = ("datasources",)
    defaults = [source["name"] for source in sources if source.get("isDefault")]
    if len(defaults) != 1:
        text = f"{len(defaults)} data sources are the default: {', '.join(defaults) or 'none'}"
        yield in_values(release, at, text, "set isDefault: true on exactly one of them")
    uids = Counter(source.get("uid") for source in sources)
    for uid, count in uids.items():
        if not uid or count > 1:
            text = f"{count} data sources have the uid {uid}" if uid else "a data source has no uid"
            yield in_values(release, at, text, "give it a uid of its own: dashboards name it")
    types = {s["uid"]: s.get("type") for s in sources if "uid" in s and uids[s["uid"]] == 1}
    for name, text in _dashboards(sync, release):
        for uid, kind in _datasource_types(text):
            if uid in types and kind != types[uid]:
                text = f"{name} takes {uid} for {kind}; it is {types[uid]}"
                yield in_values(release, at, text, "run `make dashboards`, or correct the type")


def folders(_: ClusterSync, release: Release) -> Iterator[Violation]:
    """Each provider reads a folder that a ConfigMap is mounted at, and each such folder has one."""
    mounted = set(release.values.get("dashboardsConfigMaps") or {})
    providers = _providers(release)
    at = ("dashboardProviders",)
    for provider in providers:
        path = str(provider.get("options", {}).get("path")).rstrip("/")
        if not path.startswith(MOUNT) or path.removeprefix(MOUNT) not in mounted:
            folders = ", ".join(MOUNT + name for name in sorted(mounted)) or "nothing"
            text = f"provider {provider['name']} reads {path}, where nothing is mounted"
            yield in_values(release, at, text, f"the chart mounts {folders}: correct options.path")
        named = provider.get("folder") or provider.get("folderUid")
        if named and provider.get("options", {}).get("foldersFromFilesStructure"):
            text = (
                f"provider {provider['name']} has foldersFromFilesStructure and the folder {named}"
            )
            fix = "remove one of them: Grafana refuses the provider, and has none of its dashboards"
            yield in_values(release, at, text, fix)
    read = {str(provider.get("options", {}).get("path")).rstrip("/") for provider in providers}
    for name in sorted(mounted):
        if MOUNT + name not in read:
            text = f"no provider reads {MOUNT}{name}"
            yield in_values(release, ("dashboardsConfigMaps", name), text, "add a provider for it")
    for key in ("name", "folder", "folderUid"):
        for value, count in Counter(provider.get(key) for provider in providers).items():
            if count > 1:
                text = f"{count} providers have the {key} {value}"
                yield in_values(release, at, text, f"give each a {key} of its own")


def home(sync: ClusterSync, release: Release) -> Iterator[Violation]:
    """The home dashboard is mounted."""
    at = ("grafana.ini", "dashboards", "default_home_dashboard_path")
    path: Json = release.values
    for key in at:
        path = path.get(key, {})
    paths = [f"{MOUNT}{name}" for name, _ in _dashboards(sync, release)]
    if path not in paths:
        text = f"default_home_dashboard_path is {path or 'not set'}, where no dashboard is mounted"
        yield in_values(release, at, text, f"use one of {', '.join(paths) or 'none'}")


def _providers(release: Release) -> list[Mapping[str, Json]]:
    files = (release.values.get("dashboardProviders") or {}).values()
    return [provider for file in files for provider in file.get("providers", [])]


def _dashboards(sync: ClusterSync, release: Release) -> Iterator[tuple[str, str]]:
    """Yield the text of each dashboard that is mounted, by its path below the mount."""
    mounted = release.values.get("dashboardsConfigMaps") or {}
    for item in sync.objects():
        for folder, name in mounted.items():
            if item["kind"] == "ConfigMap" and item["metadata"]["name"] == name:
                for file, text in (item.get("data") or {}).items():
                    yield f"{folder}/{file}", text


@functools.cache
def _datasource_types(text: str) -> list[tuple[Json, Json]]:
    """Return uid and type of each data source in a dashboard; all clusters mount the same ones."""
    try:
        dashboard = json.loads(text)
    except json.JSONDecodeError:
        return []  # The check of dashboards names the line.
    found = {
        (source.get("uid"), source.get("type"))
        for _, holder in maps(dashboard)
        if isinstance(source := holder.get("datasource"), dict)
    }
    return sorted(found, key=str)
