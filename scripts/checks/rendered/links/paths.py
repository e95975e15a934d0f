"""Paths that programs write to and read from, and the volumes behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scripts.checks.rendered import loki
from scripts.checks.rendered.links.model import Link
from scripts.core.yamlfile import Json, leaves, line_with, load
from scripts.model import alertmanager, readers
from scripts.model.rendered import Cluster, Pod, Written, command_line, mount_of

# Flags that name a folder to write to.
_STORAGE = re.compile(r"--?(?:storage\.(?:tsdb\.)?path|data\.dir)=(/.*)")
# Keys of Loki's configuration that do.
LOKI = frozenset(
    {
        "active_index_directory",
        "cache_location",
        "chunks_directory",
        "dir",
        "path_prefix",
        "rule_path",
        "working_directory",
    }
)
# What Grafana writes besides `paths.data`: pictures, uploads.
GRAFANA = ("/tmp",)  # noqa: S108 - a path in a container
# Where the operator mounts an Alertmanager's Secrets and ConfigMaps.
MOUNTS = "/etc/alertmanager"
READ_ONLY = frozenset({"configMap", "downwardAPI", "projected", "secret"})
_GLOB = re.compile(r'"(/[^"*$]*/)[^"/]*[*$][^"]*"')


def mounts_have_volumes(cluster: Cluster) -> Iterator[Link]:
    """Each volumeMount names a volume of its pod."""
    for pod in cluster.pods:
        if _of_operator(pod):
            continue  # Of the volumes that it adds, only what is read is modelled.
        names = {str(v["name"]) for v in pod.spec.get("volumes") or []} | _claimed(pod)
        for container in pod.containers:
            for mount in container.get("volumeMounts") or []:
                path = mount["mountPath"]
                yield Link(
                    pod.owner,
                    f"container {container['name']}: {path} is mounted from the volume",
                    str(mount["name"]),
                    names,
                    "the pod has no such volume, and the API server refuses it",
                    written=((("mountPath",), path),),
                )


def written_paths_writable(cluster: Cluster) -> Iterator[Link]:
    """Where a container's own file system is read-only, its program writes to a volume."""
    for pod in cluster.pods:
        for container in pod.spec["containers"] if not _of_operator(pod) else ():
            if not (container.get("securityContext") or {}).get("readOnlyRootFilesystem"):
                continue
            for path, written in _written(cluster, pod, container):
                yield Link(
                    pod.owner,
                    f"container {container['name']} writes to",
                    path,
                    (path,) if _is_writable(pod, container, path) else (),
                    "no writable volume is mounted there, and all else in it is read-only",
                    "mount a volume there, such as an emptyDir, or name a path on one",
                    (*written, (("readOnlyRootFilesystem",), True)),
                )


def log_files_mounted(cluster: Cluster) -> Iterator[Link]:
    """Alloy mounts the folders of the node in which it looks for log files."""
    for pod in cluster.pods:
        for container in pod.spec["containers"]:
            for item in cluster.mounted(pod, container):
                for key, text in item.data.items():
                    if not any(a.endswith(f"/{key}") for a in command_line(container)):
                        continue
                    for folder in sorted({m[1].rstrip("/") for m in _GLOB.finditer(str(text))}):
                        yield Link(
                            pod.owner,
                            f"container {container['name']} reads files of {key} below",
                            folder,
                            (folder,) if mount_of(container, folder) else (),
                            "nothing is mounted there, so no file is found, and nothing is said",
                            "mount it: alloy.mounts.varlog for /var/log, else alloy.mounts.extra",
                            ((("varlog",), False), (("varlog",), None)),
                        )


def receiver_files_mounted(cluster: Cluster) -> Iterator[Link]:
    """The files that Alertmanager's configuration names are in folders that its pod mounts."""
    root = cluster.repository.root
    template = root / alertmanager.TEMPLATE
    content = load(template, root)[0] if template.exists() else {}
    for item in cluster.of("Alertmanager"):
        folders = [f"{MOUNTS}/config"]
        for key in ("secrets", "configMaps"):
            folders += [f"{MOUNTS}/{key.lower()}/{name}" for name in item.spec.get(key) or []]
        for path in dict.fromkeys(str(v) for _, v in leaves(content) if str(v).startswith("/")):
            folder = path.rpartition("/")[0]
            yield Link(
                item,
                "its configuration reads",
                path,
                (path,) if folder in folders else (),
                f"its pod has nothing at {folder}",
                f"use {' or '.join(folders)}, or name the Secret in alertmanagerSpec.secrets",
                place=(alertmanager.TEMPLATE, line_with(template, path)),
            )


def _written(
    cluster: Cluster, pod: Pod, container: Mapping[str, Json]
) -> Iterator[tuple[str, tuple[Written, ...]]]:
    """Yield each folder that a program writes to, and what names it in values."""
    for argument in command_line(container):
        if match := _STORAGE.fullmatch(argument):
            yield match[1], ((("storagePath",), match[1]),)
    items = cluster.mounted(pod, container)
    for one in loki.installed(cluster):
        if one.item in items:
            for keys, value in leaves(dict(one.config)):
                if keys[-1] in LOKI and str(value).startswith("/"):
                    yield str(value), (((keys[-1],), value),)
    for settings in readers.grafana(cluster):
        if settings.item in items:
            yield from ((path, ()) for path in GRAFANA)
            logged = "file" in (settings.get("log", "mode") or "console file")
            for key in ("data", "logs") if logged else ("data",):
                if path := settings.get("paths", key):
                    yield path.rstrip("/"), (((key,), path),)


def _is_writable(pod: Pod, container: Mapping[str, Json], path: str) -> bool:
    mount = mount_of(container, path)
    if not mount or mount.get("readOnly"):
        return False
    volumes = {v["name"]: v for v in pod.spec.get("volumes") or []}
    return not READ_ONLY & volumes.get(mount["name"], {}).keys()


def _claimed(pod: Pod) -> set[str]:
    templates = pod.owner.spec.get("volumeClaimTemplates") or []
    return {str(template["metadata"]["name"]) for template in templates}


def _of_operator(pod: Pod) -> bool:
    return pod.owner.labels.get("app.kubernetes.io/managed-by") == "prometheus-operator"
