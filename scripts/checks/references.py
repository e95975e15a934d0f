"""What one object names, another one is: mounts, Secrets, data sources, Services, projects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scripts.checks import dashboards
from scripts.findings import Finding
from scripts.manifests import Entry, Release, Repository, identity
from scripts.yamlfile import Json, load

README = "README.md"
# A reference to a Secret: (namespace, name, keys); no keys where the whole Secret is read.
Secret = tuple[str, str, frozenset[str]]
_ROW = re.compile(r"^\| `([\w-]+)`[^|]*\| `([\w-]+)` \| ([^|]+)\|", re.MULTILINE)
_SERVICE = re.compile(
    r"(?:https?://)?([a-z][\w-]*)\.([a-z][\w-]*)\.svc(?:\.cluster\.local)?:?(\d+)?"
)
DASHBOARDS_PATH = "/var/lib/grafana/dashboards/"


def check(repository: Repository) -> list[Finding]:
    """Check the references of every entry."""
    findings: list[Finding] = []
    needed: set[Secret] = set()
    for entry in repository.entries:
        findings += namespaces(entry)
        findings += projects(entry)
        for item in entry.objects():
            needed |= set(object_secrets(item))
        for release in entry.releases:
            needed |= set(release_secrets(release))
            faults = [
                *mounts(entry, release),
                *(grafana(release) if release.chart == "grafana" else ()),
            ]
            for keys, text, fix in faults:
                place = repository.where("HelmRelease", release.owner[1], "spec", "values", *keys)
                findings.append(Finding(*place, text, fix))
    findings += secrets(needed, documented(repository.root))
    return findings + inventory(repository)


def documented(root: Path) -> set[Secret]:
    """Return the Secrets of the table in the README's section of that name."""
    text = (root / README).read_text() if (root / README).exists() else ""
    section = text.partition("\n## Secrets\n")[2].partition("\n## ")[0]
    return {
        (namespace, name, frozenset(re.findall(r"`([\w.-]+)`", keys)))
        for name, namespace, keys in _ROW.findall(section)
    }


def secrets(needed: set[Secret], table: set[Secret]) -> list[Finding]:
    """Compare the Secrets that are read with those that the README tells how to create."""
    findings = []
    rows = {(namespace, name): keys for namespace, name, keys in table}
    for namespace, name, keys in sorted(needed, key=str):
        if missing := keys - rows.get((namespace, name), frozenset()):
            text = f"no row tells how to create Secret {namespace}/{name} with {sorted(missing)}"
            findings.append(Finding(README, None, text, "add it to the table under Secrets"))
    used = {(namespace, name) for namespace, name, _ in needed}
    for namespace, name in sorted(rows.keys() - used):
        text = f"nothing reads the Secret {namespace}/{name}"
        findings.append(Finding(README, None, text, "remove its row from the table under Secrets"))
    return findings


def release_secrets(release: Release) -> Iterator[Secret]:
    """The Secrets that a release's values name."""
    for holder in _dicts(release.values):
        namespace = release.namespace
        if isinstance(name := holder.get("existingSecret"), str) and name:
            keys = {
                holder.get("userKey", "admin-user"),
                holder.get("passwordKey", "admin-password"),
            }
            yield namespace, name, frozenset(keys)
        if isinstance(name := holder.get("configSecret"), str) and name:
            yield namespace, name, frozenset({"alertmanager.yaml"})
        if isinstance(reference := holder.get("secretKeyRef"), dict):
            yield namespace, reference["name"], frozenset({reference["key"]})


def object_secrets(item: Mapping[str, Json]) -> Iterator[Secret]:
    """The Secrets that an object of ours names."""
    namespace = item["metadata"].get("namespace", "")
    if item["kind"] == "ExternalSecret":
        target = item["spec"].get("target", {}).get("name", item["metadata"]["name"])
        yield namespace, target, frozenset(d["secretKey"] for d in item["spec"].get("data", []))
    for holder in _dicts(item["spec"]) if item["kind"] == "ScrapeConfig" else ():
        if isinstance(holder.get("name"), str) and isinstance(holder.get("key"), str):
            yield namespace, holder["name"], frozenset({holder["key"]})


def mounts(entry: Entry, release: Release) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Check that each ConfigMap that values mount is built, in the release's namespace.

    Yields:
        Keys below `spec.values`, what is wrong, what to do.
    """
    built = {
        item["metadata"]["name"]: set(item.get("data") or {})
        for item in entry.objects()
        if item["kind"] == "ConfigMap" and item["metadata"].get("namespace") == release.namespace
    }
    wanted: list[tuple[tuple[str, ...], str, str | None]] = []
    for folder, name in (release.values.get("dashboardsConfigMaps") or {}).items():
        wanted.append((("dashboardsConfigMaps", folder), name, None))
    own = release.values.get("alloy", {}).get("configMap", {})
    if own.get("name"):
        wanted.append((("alloy", "configMap", "name"), own["name"], own.get("key")))
    for holder in _dicts(release.values):
        volume = holder.get("configMap") if "name" in holder else None
        if isinstance(volume, dict) and volume.get("name") and not volume.get("optional"):
            wanted.append(((), volume["name"], None))
    for keys, name, key in wanted:
        if name not in built:
            text = f"no ConfigMap {name} in {release.namespace} for release {release.name} to mount"
            yield keys, text, f"declare it there; there are {', '.join(sorted(built)) or 'none'}"
        elif key and key not in built[name]:
            text = f"ConfigMap {name} has no key {key}"
            yield keys, text, f"use one of {', '.join(sorted(built[name]))}"


def grafana(release: Release) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Check Grafana's data sources, and that provider, folder and mount are the same."""
    sources = dashboards.datasources(release.values)
    defaults = [s["name"] for s in sources if s.get("isDefault")]
    if len(defaults) != 1:
        text = f"{len(defaults)} data sources are the default, and Grafana starts only with one"
        yield ("datasources",), text, "set isDefault: true on one of them"
    uids = [s.get("uid") for s in sources]
    if None in uids or len(set(uids)) != len(uids):
        text = f"data sources need a uid each, of its own: {uids}"
        yield ("datasources",), text, "set uid: dashboards name it"
    mounted = set(release.values.get("dashboardsConfigMaps") or {})
    provided = {}
    for file in (release.values.get("dashboardProviders") or {}).values():
        for provider in file.get("providers", []):
            provided[provider["name"]] = provider.get("options", {}).get("path", "")
    if mounted != provided.keys():
        text = f"folders {sorted(provided)} are provided, but {sorted(mounted)} are mounted"
        yield ("dashboardProviders",), text, "one provider for each ConfigMap, by the same name"
    for name, path in provided.items():
        if path != DASHBOARDS_PATH + name:
            text = f"provider {name} reads {path}, but the chart mounts {DASHBOARDS_PATH}{name}"
            yield ("dashboardProviders",), text, "correct options.path"
    home = release.values.get("grafana.ini", {}).get("dashboards", {})
    path = home.get("default_home_dashboard_path", "")
    folder, _, file = path.removeprefix(DASHBOARDS_PATH).rpartition("/")
    if folder not in provided or not file.endswith(".json"):
        text = f"the home dashboard {path or 'is not set and'} is in no folder that is provided"
        yield ("grafana.ini", "dashboards"), text, "set default_home_dashboard_path"


def services(value: Json) -> set[tuple[str, str, int]]:
    """Return the (name, namespace, port) of every Service that texts in a value point at."""
    found = set()
    for text in _texts(value):
        for name, namespace, port in _SERVICE.findall(text):
            found.add((name, namespace, int(port or 80)))
    return found


def namespaces(entry: Entry) -> list[Finding]:
    """Check that every namespace that is used is declared, or an engine's own."""
    declared = {i["metadata"]["name"] for i in entry.objects() if i["kind"] == "Namespace"}
    declared |= {"flux-system", "argocd"}
    used = {(r.namespace, f"release {r.name}") for r in entry.releases}
    used |= {(i["metadata"]["namespace"], identity(i)) for i in entry.objects() if _namespaced(i)}
    return [
        Finding(
            f"{entry.name} {name}",
            None,
            f"namespace {n} is not declared",
            "add it to base/releases",
        )
        for n, name in sorted(used)
        if n not in declared
    ]


def projects(entry: Entry) -> list[Finding]:
    """Check that each project admits just the repositories and namespaces that are used."""
    found = {i["metadata"]["name"]: i for i in entry.objects() if i["kind"] == "AppProject"}
    findings = []
    for name, project in found.items():
        members = [
            i
            for i in entry.objects()
            if i["kind"] == "Application" and i["spec"].get("project") == name
        ]
        pairs = {
            "sourceRepos": (
                set(project["spec"]["sourceRepos"]),
                {i["spec"]["source"]["repoURL"] for i in members},
            ),
            "destinations": (
                {d["namespace"] for d in project["spec"]["destinations"]},
                {i["spec"]["destination"]["namespace"] for i in members},
            ),
        }
        for key, (allowed, used) in pairs.items():
            for item in sorted(allowed ^ used):
                verb = "admits, but nothing uses," if item in allowed else "does not admit"
                text = f"AppProject {name} {verb} {item}"
                fix = f"make {key} what its Applications use"
                findings.append(Finding("base/argocd/applications/project.yaml", None, text, fix))
    for item in entry.objects():
        if item["kind"] == "Application":
            project = item["spec"].get("project")
            if project not in {*found, "default"}:
                text = f"project {project} does not exist"
                findings.append(Finding(f"{entry.name} {identity(item)}", None, text, "name one"))
    return findings


def inventory(repository: Repository) -> list[Finding]:
    """Check that each key of the application's inventory is copied somewhere."""
    path = repository.root / "base/application/application.yaml"
    keys = set(load(path, repository.root)[0]["data"])
    copied = {
        replacement["source"]["fieldPath"].removeprefix("data.")
        for file in sorted(repository.root.glob("base/*/kustomization.yaml"))
        for replacement in load(file, repository.root)[0].get("replacements", [])
        if replacement["source"].get("name") == "application"
    }
    return [
        Finding(
            "base/application/application.yaml",
            None,
            f"{key} is {'copied nowhere' if key in keys else 'copied, but not here'}",
            "add the replacement, or remove the key",
        )
        for key in sorted(keys ^ copied)
    ]


def _namespaced(item: Mapping[str, Json]) -> bool:
    return bool(item["metadata"].get("namespace"))


def _dicts(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        yield value
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _dicts(item)


def _texts(value: Json) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _texts(item)
