"""Alloy looks for the logs of pods where the kubelet writes them.

Where no file is, Alloy reads nothing and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scripts.checks.static.logs import PIPELINES
from scripts.core.findings import Finding
from scripts.model import relabeling
from scripts.model.manifests import Repository

_RULE = re.compile(r"^[ \t]*rule \{\n(.*?)^[ \t]*\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r'(\w+)\s*=\s*(\[[^\]]*\]|"(?:[^"\\]|\\.)*")')
_GROUP = re.compile(r"\$\{?(\w+)\}?")
PATH = "__path__"
META = "__meta_kubernetes_"


class LoggingPod(NamedTuple):
    """A pod.

    Attributes:
        what: How it is called in findings.
        labels: Those that Alloy discovers of it.
        file: Its log.
    """

    what: str
    labels: Mapping[str, str]
    file: str


def pods() -> Iterator[LoggingPod]:
    """Yield pods whose folders the kubelet names differently.

    `<namespace>_<name>_<uid>`; of a static pod, the hash of its manifest stands for the uid
    (BuildPodLogsDirectory in pkg/kubelet/kuberuntime/helpers.go).
    """
    label = f"{META}pod_annotation_kubernetes_io_config_hash"
    for what, own, folder in (
        ("a pod", {}, "0b5f1c1e"),
        ("a static pod", {label: "c7a2f5b0"}, "c7a2f5b0"),
    ):
        labels = {
            f"{META}namespace": "default",
            f"{META}pod_name": "web-0",
            f"{META}pod_uid": "0b5f1c1e",
            f"{META}pod_container_name": "app",
            f"{META}pod_node_name": "node-1",
            **own,
        }
        yield LoggingPod(what, labels, f"/var/log/pods/default_web-0_{folder}/app/0.log")


def check(repository: Repository) -> list[Finding]:
    """Check the relabelings of each pipeline."""
    findings = []
    for path in PIPELINES.values():
        if (repository.root / path).exists():
            text = (repository.root / path).read_text(encoding="utf-8")
            findings += [Finding(path, *found) for found in misplaced(text)]
    return findings


def misplaced(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield where a pipeline looks for a pod's log in files that the kubelet does not write.

    Args:
        text: The pipeline. Of its rules, those that drop are left out.

    Yields:
        The line that makes the path, what is wrong, and what to do.
    """
    for pod in pods():
        labels, made = dict(pod.labels), 0
        for line, rule in _rules(text):
            if (value := _replaced(rule, labels)) is not None:
                labels[rule["target_label"]] = value
                made = line if rule["target_label"] == PATH else made
        glob = labels.get(PATH, pod.file)
        if not _globbed(glob).fullmatch(pod.file):
            message = (
                f"looks for the log of {pod.what} in {glob}, and the kubelet writes {pod.file}"
            )
            fix = "make it /var/log/pods/*<uid>/<container>/*.log"
            yield made, f"{message}: nothing is read, and nothing is said", fix
            return


def _rules(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the fields of each relabeling, with the line of its replacement."""
    for match in _RULE.finditer(text):
        fields = {key: value.strip('"') for key, value in _FIELD.findall(match[1])}
        offset = max(match[1].find("replacement"), 0)
        line = text.count("\n", 0, match.start(1) + offset) + 1
        yield line, {key: value.replace("\\\\", "\\") for key, value in fields.items()}


def _replaced(rule: Mapping[str, str], labels: Mapping[str, str]) -> str | None:
    """Return what a relabeling writes into its label; None where it leaves it as it is."""
    if rule.get("action", "replace") != "replace" or "target_label" not in rule:
        return None
    sources = re.findall(r'"([^"]*)"', rule.get("source_labels", ""))
    value = rule.get("separator", ";").join(labels.get(name, "") for name in sources)
    expression = relabeling.compiled(rule.get("regex", "(.*)"))
    found = expression.fullmatch(value) if expression else None
    if found is None:
        return None
    groups = {str(number): text or "" for number, text in enumerate((found[0], *found.groups()))}
    groups |= {name: text or "" for name, text in found.groupdict().items()}
    return _GROUP.sub(lambda group: groups.get(group[1], ""), rule.get("replacement", "$1"))


def _globbed(glob: str) -> re.Pattern[str]:
    """Return what a glob matches: `**` any path, `*` any part of a name."""
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*|\*|\?)", glob)
    return re.compile("".join(signs.get(part) or re.escape(part) for part in parts))
