"""Asks programs, once for all jobs of a tool; what they answered before is cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from scripts import tools
from scripts.checks.rendered.refusals import command_lines, loki
from scripts.checks.rendered.refusals.model import (
    CONFIGCHECK,
    LOKI,
    NODE_EXPORTER,
    OPERATOR,
    Job,
    Refusal,
)
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json

# Programs that are started for each job; `configcheck` takes all of them at once.
ALONE: Mapping[str, Callable[[Job], list[Refusal]]] = {
    LOKI: loki.verify,
    NODE_EXPORTER: command_lines.verify,
    OPERATOR: command_lines.verify,
}


def answers(jobs: Sequence[Job]) -> list[list[Refusal]]:
    """Return what is refused of each job.

    An answer depends on the tool's build and the job's input, and is cached by both.
    """
    keys = [_key(job) for job in jobs]
    distinct = dict(zip(keys, jobs, strict=True))
    known: dict[str, list[Refusal]] = {}
    for key in distinct:
        cached = tools.cache() / "refusals" / f"{key}.json"
        if cached.exists():
            known[key] = [Refusal(*one) for one in json.loads(cached.read_text())]
    pending = {key: job for key, job in distinct.items() if key not in known}
    alone = {key: job for key, job in pending.items() if job.tool in ALONE}
    together = {key: job for key, job in pending.items() if job.tool not in ALONE}
    with ThreadPoolExecutor(2) as pool:
        checked = pool.submit(_configcheck, together)
        said = pool.map(lambda job: ALONE[job.tool](job), alone.values())
        made = dict(zip(alone, said, strict=True))
        made |= checked.result()
    for key, refusals in made.items():
        tools.write(tools.cache() / "refusals" / f"{key}.json", json.dumps(refusals))
    known |= made
    return [known[key] for key in keys]


def _key(job: Job) -> str:
    text = json.dumps([job.program, job.input], sort_keys=True)
    return f"{tools.path(job.tool).parent.name}/{hashlib.sha256(text.encode()).hexdigest()}"


def _configcheck(jobs: Mapping[str, Job]) -> dict[str, list[Refusal]]:
    if not jobs:
        return {}
    asked: Json = [{"program": job.program, "input": job.input} for job in jobs.values()]
    run = tools.run(CONFIGCHECK, stdin=json.dumps(asked))
    if run.returncode:
        text = f"stops with an error: {' '.join(run.stderr.split())[-400:]}"
        fix = "correct what it names, or report it with the change that leads to it"
        raise RepositoryError(Finding(f"scripts/tools/{CONFIGCHECK}", None, text, fix))
    return {
        key: [Refusal(r["message"], r.get("object", ""), r.get("by", "")) for r in refusals]
        for key, refusals in zip(jobs, json.loads(run.stdout), strict=True)
    }
