"""What a program's own documents and sources say of its metrics, for what no run exposes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from scripts.cluster.capture.families import CapturedFamily, Families
from scripts.core.findings import Finding, RepositoryError

_TAGS = re.compile(r"`([a-zA-Z_][a-zA-Z0-9_]*)`\s*=")


_VIEWS = {"Count": "counter", "Sum": "counter", "LastValue": "gauge"}
CADVISOR = "github.com/google/cadvisor"


def required(folder: Path, name: str) -> str:
    """Return the version of a module that another one requires."""
    text = (folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*(?:require )?{re.escape(name)} (v\S+)", text, re.MULTILINE)
    if not found:
        text = f"{folder.name} requires no {name}"
        raise RepositoryError(Finding("scripts/cluster/capture", None, text, "correct it"))
    return found[1]


def kube_state_metrics(folder: Path) -> Families:
    """Read the tables of kube-state-metrics' `docs/metrics/`."""
    found: Families = {}
    for path in sorted(folder.glob("docs/metrics/*/*-metrics.md")):
        if path.parent.name == "extend":
            continue  # Of custom resources: their names are examples.
        column = 0
        for line in path.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if "Labels/tags" in cells:
                column = cells.index("Labels/tags")
            if not re.fullmatch(r"kube_[a-z0-9_]+", cells[0]) or len(cells) <= column:
                continue
            # In capitals stands what a flag names: labels and annotations, and we set none.
            labels = {label for label in _TAGS.findall(cells[column]) if label.islower()}
            found.setdefault(cells[0], CapturedFamily(cells[1].lower())).labels.update(labels)
    return found


def kubernetes(folder: Path) -> Families:
    """Read Kubernetes' own list of the metrics of all its components."""
    path = folder / "test/instrumentation/documentation/documentation-list.yaml"
    found: Families = {}
    for item in yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader):
        parts = (item.get("namespace"), item.get("subsystem"), item["name"])
        name = "_".join(part for part in parts if part)
        kind = {"Custom": "", "TimingRatioHistogram": "histogram"}.get(
            item["type"], item["type"].lower()
        )
        kind = kind or ("counter" if name.endswith("_total") else "gauge")
        labels = {*item.get("labels", ()), *item.get("constLabels", {})}
        found.setdefault(name, CapturedFamily(kind)).labels.update(labels)
    return found


def cadvisor(folder: Path) -> Families:
    """Read cAdvisor's metric declarations, with the labels that the kubelet gives to containers.

    The kubelet's are in `containerPrometheusLabelsFunc` of k8s.io/kubernetes' `pkg/kubelet/server`.
    """
    found: Families = {}
    container = {"container", "id", "image", "name", "namespace", "pod"}
    sources = "".join(p.read_text(encoding="utf-8") for p in folder.glob("metrics/*.go"))
    constants = dict(re.findall(r'(\w+)\s*=\s*"(\w+)"', sources))
    for path, base in (
        ("metrics/prometheus.go", container),
        ("metrics/prometheus_machine.go", {"boot_id", "machine_id", "system_uuid"}),
    ):
        text = (folder / path).read_text(encoding="utf-8")
        for item in re.split(r"\bname:\s*", text):
            name = re.match(r'"((?:container|machine)_\w+)"', item)
            if not name:
                continue
            kind = re.search(r"valueType:\s*prometheus\.(\w+)Value", item)
            extra = re.search(r"extraLabels:\s*\[\]string\{([^}]*)\}", item)
            labels = set(base)
            for word in re.findall(r'"\w+"|\w+', extra[1] if extra else ""):
                labels.add(word.strip('"') if word.startswith('"') else constants[word])
            family = found.setdefault(name[1], CapturedFamily(kind[1].lower() if kind else "gauge"))
            family.labels.update(labels)
    table = (folder / "docs/storage/prometheus.md").read_text(encoding="utf-8")
    # What is declared in another form than the rest is in its table only, without labels.
    for metric, type_ in re.findall(r"^`(container_\w+)` \| (\w+)", table, re.MULTILINE):
        found.setdefault(metric, CapturedFamily(type_.lower(), set(container)))
    return found


def dapr(folder: Path, *packages: str) -> Families:
    """Read the views that Dapr declares in some of its packages, with their tags.

    A view's count is a counter, its last value a gauge, anything else a distribution.
    """
    found: Families = {}
    for package in packages:
        text = "".join(
            path.read_text(encoding="utf-8")
            for path in sorted((folder / package).glob("*.go"))
            if not path.name.endswith("_test.go")
        )
        words = dict(re.findall(r'^\s*(?:const )?(\w+)\s*=\s*"([^"]*)"', text, re.MULTILINE))
        tags = {
            key: value.strip('"') if value.startswith('"') else words[value]
            for key, value in re.findall(r'(\w+)\s*=\s*tag\.MustNewKey\(("\w+"|\w+)\)', text)
        }
        measures = dict(
            re.findall(r'(\w+)(?::|\s*=)\s*stats\.(?:Int64|Float64)\(\s*"([^"]+)"', text)
        )
        views = (
            r"NewMeasureView\(\s*(?:\w+\.)?(\w+),\s*(\[\]tag\.Key\{[^}]*\}|\w+),\s*(?:view\.)?(\w+)"
        )
        for measure, keys, aggregation in re.findall(views, text):
            kind = _VIEWS.get(aggregation, "histogram")
            named = re.findall(r"\w+", keys.partition("{")[2])
            name = "dapr_" + re.sub(r"\W", "_", measures[measure])
            found.setdefault(name, CapturedFamily(kind)).labels.update(tags[key] for key in named)
    return found
