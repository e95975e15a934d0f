"""Loki's own loader on its configuration, wherever the chart puts it, and on tenants' limits."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from scripts import tools
from scripts.checks.rendered.refusals.model import (
    LOKI,
    Job,
    Refusal,
    argument,
    arguments,
    containers,
    files,
)
from scripts.core.yamlfile import get
from scripts.model.rendered import Cluster, Item

FIX = "correct it: Loki does not start"
_ERROR = re.compile(r'err="((?:[^"\\]|\\.)*)"')
# Variables of the pod in arguments, which Kubernetes fills in.
_VARIABLE = re.compile(r"\$\((\w+)\)")
# Loki cannot know that its configuration is in a temporary file here, and has no variables.
_FOREIGN = re.compile(r"failed parsing config: \S+: | ?Use `-config\.expand-env.*|CONFIG ERROR: ")


def configurations(cluster: Cluster) -> Iterator[Job]:
    """Yield each Loki's configuration, and one with the limits of each tenant that has its own."""
    for pod, container in containers(cluster, "loki"):
        mounted = files(cluster, pod, container)
        path = argument(container, "config.file")
        if path not in mounted:
            continue
        text, item = mounted[path]
        flags = [a for a in arguments(container) if not a.lstrip("-").startswith("config.file=")]
        yield _job(cluster, item, text, flags)
        # Loki reads these limits as those of the configuration, but only once it runs.
        try:
            config = yaml.load(text, Loader=yaml.CSafeLoader)
            limits, limited = mounted.get(str(get(config, "runtime_config", "file")), ("", item))
            tenants = get(yaml.load(limits, Loader=yaml.CSafeLoader) or {}, "overrides") or {}
        except yaml.YAMLError:
            continue  # Loki says so itself.
        for own in tenants.values():
            merged = {**(config.get("limits_config") or {}), **(own or {})}
            tenant = yaml.safe_dump({**config, "limits_config": merged})
            yield _job(cluster, limited, tenant, flags)


def _job(cluster: Cluster, item: Item, text: str, flags: list[str]) -> Job:
    return Job(LOKI, "Loki", {"config": text, "flags": flags}, cluster, item, FIX)


def verify(job: Job) -> list[Refusal]:
    """Return what Loki says of its configuration and flags; nothing if it takes them."""
    flags = [_VARIABLE.sub("127.0.0.1", flag) for flag in job.input["flags"]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(job.input["config"])
        run = tools.run(LOKI, *flags, f"-config.file={path}", "-verify-config")
    if not run.returncode:
        return []
    output = run.stdout + run.stderr
    logged = _ERROR.search(output)
    lines = output.partition("\nRun with -help")[0].strip().splitlines() or ["no reason"]
    listed = "; ".join(line.strip() for line in lines[1:])
    text = logged[1].replace('\\"', '"') if logged else f"{lines[0]} {listed}".strip()
    return [Refusal(_FOREIGN.sub("", text))]
