"""Log lines through Alloy itself, each case once for the same content."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json

# What Alloy makes of lines changes with their age at the hours at which it drops them.
_AGE = 1800
_KEPT = 7 * 86400


def pipeline(cases: Sequence[Json], environment: Mapping[str, str]) -> list[Json]:
    """Run cases through their configurations, side by side.

    What came of a case is kept, as it depends on nothing but the program, the configuration and the
    lines: Alloy takes seconds of real time for each. Only the lines' timestamps differ.

    Args:
        cases: As `alloy pipeline` takes them.
        environment: The variables that the configurations read.

    Returns:
        What `alloy pipeline` answers, in order; an entry's timestamp is spelled as its line's.

    Raises:
        RepositoryError: If it refuses a configuration or a case.
    """
    folder = tools.cache() / "pipeline"
    known = [folder / f"{key}.json" for key in _keys(cases, environment)]
    absent = [path for path in known if not path.exists()]
    if absent:
        with _alone(folder, absent):
            missing = {p: c for p, c in zip(known, cases, strict=True) if not p.exists()}
            for path, case, result in _run(missing, environment):
                tools.write(path, json.dumps(_without_times(case, result)))
            _tidy(folder)
    return [_with_times(c, json.loads(p.read_text())) for p, c in zip(known, cases, strict=True)]


def _keys(cases: Sequence[Json], environment: Mapping[str, str]) -> Iterator[str]:
    program = tools.path("alloy").parent.name
    folders = {Path(case["file"]).parent for case in cases}
    texts = {f: {p.name: p.read_text() for p in sorted(f.glob("*.alloy"))} for f in folders}
    for case in cases:
        file = Path(case["file"])
        lines = [
            (line["line"].removeprefix(line["timestamp"]), line.get("after", 0))
            for line in case["lines"]
        ]
        age = round((time.time() - _moment(case["lines"][0]).timestamp()) / _AGE) if lines else 0
        content = [program, texts[file.parent], file.name, dict(environment), case["target"]]
        text = json.dumps([*content, lines, age], sort_keys=True)
        yield hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def _alone(folder: Path, wanted: Sequence[Path]) -> Iterator[None]:
    """Let others that want the same wait for it, and those that want something else not."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{wanted[0].stem[:2]}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(
    cases: Mapping[Path, Json], environment: Mapping[str, str]
) -> Iterator[tuple[Path, Json, Json]]:
    if not cases:
        return
    done = subprocess.run(
        [tools.path("alloy"), "pipeline"],
        input=json.dumps(list(cases.values())),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RepositoryError(
            Finding("base/logs", None, done.stderr.strip(), "correct what it names")
        )
    for (path, case), result in zip(cases.items(), json.loads(done.stdout), strict=True):
        yield path, case, result


def _tidy(folder: Path) -> None:
    for path in folder.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _KEPT:
                path.unlink()


def _moment(timed: Json) -> datetime.datetime:
    return datetime.datetime.fromisoformat(timed["timestamp"])


def _without_times(case: Json, result: Json) -> Json:
    """Give entries the number of the line whose time they have."""
    numbers = {_moment(line): number for number, line in enumerate(case["lines"])}
    entries = [{**e, "timestamp": numbers[_moment(e)]} for e in result["entries"]]
    return {**result, "entries": entries}


def _with_times(case: Json, known: Json) -> Json:
    lines = case["lines"]
    entries = [{**e, "timestamp": lines[e["timestamp"]]["timestamp"]} for e in known["entries"]]
    return {**known, "id": case["id"], "entries": entries}
