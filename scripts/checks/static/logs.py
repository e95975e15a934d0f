"""The log pipelines parse, have every variable that they read, and send only allowed labels.

Whether Alloy loads them, `tests/repository` asks Alloy itself, which takes minutes to build.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping

from scripts import tools
from scripts.checks.static.queries import STREAM_LABELS
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, line_with
from scripts.model.manifests import Repository

# Which HelmRelease runs which pipeline.
PIPELINES = {"alloy": "base/logs/pods.alloy", "alloy-events": "base/logs/events.alloy"}
# Set by the chart.
FROM_CHART = {"HOSTNAME": "node"}
# Set for a hub's Loki alone; our own asks nobody.
UNSET = {"LOKI_USERNAME": "", "LOKI_PASSWORD": ""}
FROM_FILES = "loki.source.file"
UNWRAPPED = re.compile(r"^\s*stage\.(cri|docker)\b", re.MULTILINE)


def environment(values: Mapping[str, Json]) -> dict[str, str]:
    """Return the environment variables of a release of Alloy, with a placeholder for Secrets."""
    extra = values.get("alloy", {}).get("extraEnv", [])
    return FROM_CHART | {e["name"]: str(e.get("value", "from-a-secret")) for e in extra}


def check(repository: Repository) -> list[Finding]:
    """Check each pipeline with the values of each cluster sync."""
    seen: set[tuple[str, str]] = set()
    findings: list[Finding] = []
    for sync in repository.syncs:
        for release in sync.releases:
            path = PIPELINES.get(release.name)
            variables = environment(release.values)
            if path and (path, json.dumps(variables)) not in seen:
                seen.add((path, json.dumps(variables)))
                findings.extend(_pipeline(repository, path, release.name, variables))
    return findings


def _pipeline(
    repository: Repository, path: str, release: str, variables: dict[str, str]
) -> list[Finding]:
    run = subprocess.run(
        [str(tools.path("obscheck")), "check", str(repository.root / path)],
        env={"PATH": os.environ.get("PATH", "")} | UNSET | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        text = run.stderr.strip().replace(f"{repository.root}/", "")
        match = re.match(r"(\S+?):(\d+):\d+: (.*)", text, re.DOTALL)
        file, line, message = match.groups() if match else (path, "0", text)
        return [
            Finding(file, int(line) or None, message, "correct the pipeline, or alloy.extraEnv")
        ]
    answer = json.loads(run.stdout)
    findings = []
    text = (repository.root / path).read_text()
    if FROM_FILES in text and not UNWRAPPED.search(text):
        message = (
            "reads files of the container runtime, and no stage takes off what it wrote around"
        )
        fix = "begin with stage.cri: without it a line has neither its time nor its beginning"
        line = line_with(repository.root / path, FROM_FILES)
        findings.append(Finding(path, line, message, fix))
    for name in sorted(set(answer["labels"]) - STREAM_LABELS):
        message = f"sends the label {name!r}: each of its values makes streams of its own"
        findings.append(Finding(path, None, message, "make it structured metadata"))
    for name in sorted(set(variables) - set(FROM_CHART) - set(answer["environment"])):
        keys = ("spec", "values", "alloy", "extraEnv")
        place, number = repository.where("HelmRelease", release, *keys)
        message = f"no pipeline reads the variable {name}"
        findings.append(Finding(place, number, message, "remove it, or correct its name"))
    return findings
