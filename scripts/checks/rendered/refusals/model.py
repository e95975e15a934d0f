"""A job: a program, what it gets, and where what it refuses is written."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, leaves
from scripts.model import images
from scripts.model.rendered import Cluster, Item, Pod

# The tools that answer, of scripts/tools.
CONFIGCHECK, LOKI = "configcheck", "loki"
NODE_EXPORTER, OPERATOR = "node_exporter", "prometheus-operator"
API_SERVER = "kube-apiserver"
# Who refuses, by the program that is asked; the others are called as they are.
NAMES = {
    "alertmanager": "the Prometheus operator",
    "blackbox_exporter": "the blackbox exporter",
    API_SERVER: "the API server",
    "prometheus": "the Prometheus operator",
    "prometheus-operator": "the Prometheus operator",
}
LEFT_OUT = "correct it: the operator leaves the whole object out"
# Of a message, not more than this is shown.
LONGEST = 300
# A name of so many letters may be part of other words.
SHORT = 3
_LINE = re.compile(r"(yaml: unmarshal errors: )?line \d+: ")
# What messages quote; what they name as a field; words that are no plain English.
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)+)"|`([^`]+)`')
_FIELD = re.compile(r"field (\S+) not found|flag: -*(\S+)|resource (\S+) does not exist")
_TECHNICAL = re.compile(r"[A-Za-z][\w./-]*[_.A-Z/-][\w./-]*")
_WORD = re.compile(r"[A-Za-z]\w{3,}")


class Refusal(NamedTuple):
    """What a program says.

    Attributes:
        message: Its words, on one line.
        object: What of its input it is about, as `Kind namespace/name`; empty for the whole.
        by: Who says it, if it is not the program that was asked.
    """

    message: str
    object: str = ""
    by: str = ""


# Where a refusal is written, if neither objects nor values have it.
Place = Callable[[Refusal], tuple[str, int | None] | None]


@dataclass(frozen=True)
class Job:
    """Something that a program is asked about.

    Attributes:
        tool: The tool that answers.
        program: The program whose code it runs.
        input: What it gets, as JSON.
        cluster: Whose configuration it is.
        item: The object that findings are about.
        fix: What happens if nothing is done, and what to do.
        others: Other objects that the input has, by what `Refusal.object` calls them.
        hints: Keys of values that a refusal may be about if it names none.
        place: File and line of a refusal, where neither objects nor values have it.
    """

    tool: str
    program: str
    input: Json
    cluster: Cluster
    item: Item
    fix: str
    others: Mapping[str, Item] = field(default_factory=dict)
    hints: tuple[str, ...] = ()
    place: Place = field(default=lambda _: None)

    def finding(self, refusal: Refusal) -> Finding:
        """Return a refusal as a finding, at what somebody wrote."""
        place = self.place(refusal)
        # The lines are those of what was rendered, or said by the place.
        message = _LINE.sub("", refusal.message)
        if len(message) > LONGEST:
            message = f"{message[:LONGEST]} …"
        text = f"{refusal.by or NAMES.get(self.program, self.program)} refuses it: {message}"
        if place:
            return Finding(*place, text, self.fix)
        item = self.others.get(refusal.object, self.item)
        release = self.cluster.release(item.release) if item.release else None
        whole = release.values if release else dict(item.manifest)
        keys = _keys(whole, refusal.message, self.hints)
        fix = self.fix if item is self.item else LEFT_OUT
        return Finding(*self.cluster.place(item, *keys), f"{item}: {text}", fix)


def _keys(whole: Json, message: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return what leads to the value that a message most likely is about; nothing if none is found.

    Args:
        whole: What somebody wrote.
        message: What a program says of what became of it.
        names: Keys that it may be about if it names none.
    """
    texts = [(keys, str(value)) for keys, value in leaves(whole)]
    above = dict.fromkeys(keys[:depth] for keys, _ in texts for depth in range(1, len(keys) + 1))
    for hint in (*_named(message), *names):
        for keys, text in texts:
            if text == hint or (len(hint) > SHORT and hint in text):
                return keys
        for keys in above:
            if keys[-1] == hint:
                return keys
    words = {match[0] for match in _WORD.finditer(message)}
    return next((keys for keys, text in texts if text in words), ())


def _named(message: str) -> Iterator[str]:
    """Yield what a message names, the most telling first."""
    for match in (*_FIELD.finditer(message), *_QUOTED.finditer(message)):
        yield next(group for group in match.groups() if group).replace("\\\\", "\\")
    for match in _TECHNICAL.finditer(message):
        # A flag has dashes where the key of a configuration file has not.
        yield from (part.replace("-", "_") for part in reversed(match[0].split(".")) if part)


def containers(cluster: Cluster, name: str) -> Iterator[tuple[Pod, Mapping[str, Json]]]:
    """Yield the pods and containers that run an image of this name, whatever its registry."""
    for pod in cluster.pods:
        for container in pod.spec["containers"]:
            if images.repository(str(container.get("image"))).rpartition("/")[2] == name:
                yield pod, container


def files(cluster: Cluster, pod: Pod, container: Mapping[str, Json]) -> dict[str, tuple[str, Item]]:
    """Return the text of each file that a container mounts from a ConfigMap or Secret, by path."""
    found: dict[str, tuple[str, Item]] = {}
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes") or []}
    for mount in container.get("volumeMounts") or []:
        volume = volumes.get(mount["name"]) or {}
        name = (volume.get("configMap") or {}).get("name")
        secret = (volume.get("secret") or {}).get("secretName")
        for item in cluster.of("ConfigMap", "Secret"):
            wanted = name if item.kind == "ConfigMap" else secret
            if item.name != wanted or item.namespace != pod.owner.namespace:
                continue
            for key, text in _content(item).items():
                folder = str(mount["mountPath"]).rstrip("/")
                own = mount.get("subPath") == key
                if own or not mount.get("subPath"):
                    found[folder if own else f"{folder}/{key}"] = (text, item)
    return found


def argument(container: Mapping[str, Json], name: str) -> str:
    """Return the value of a container's flag, `-name=value` or `--name=value`; empty without it."""
    return next(
        (a.partition("=")[2] for a in arguments(container) if a.lstrip("-").startswith(f"{name}=")),
        "",
    )


def arguments(container: Mapping[str, Json]) -> list[str]:
    """Return a container's arguments."""
    return [str(argument) for argument in container.get("args") or []]


def _content(item: Item) -> dict[str, str]:
    data = {key: str(text) for key, text in item.data.items()}
    if item.kind == "Secret":
        data = {k: base64.b64decode(text).decode(errors="replace") for k, text in data.items()}
        data |= item.manifest.get("stringData") or {}
    return data
