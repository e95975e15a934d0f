"""An application that writes numbered lines, and Alloy with base/logs, which sends them.

Each line is told from every other by its number, so that one that is lost, and one that is stored
twice, are found by counting.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from scripts import tools
from scripts.core.yamlfile import Json
from scripts.servers.api import Api
from scripts.servers.processes import Processes

PIPELINE = "base/logs/pods.alloy"
NAMESPACE, POD, CONTAINER = "default", "numbers-0", "numbers"
SELECTOR = f'{{namespace="{NAMESPACE}", container="{CONTAINER}"}}'
# Read by the configuration; only their presence matters here.
_ENVIRONMENT = {
    "APP_NAMESPACES": NAMESPACE,
    "APP_ROUTES": "/",
    "CLUSTER": "scale",
    "HOSTNAME": "node-1",
    "PSEUDONYM_SALT": "scale",
}
_NUMBER = re.compile(r"line n(\d+)x")
# Lines that Loki returns at once (limits_config.max_entries_limit_per_query).
_PAGE = 5000
_NANOSECOND = 10**9
_MILLISECOND = 10**6


class Writer:
    """A container's log that grows; it ends with the block.

    Attributes:
        moments: When each line was written (ns since the epoch), by its number.
    """

    def __init__(self, folder: Path, rate: float) -> None:
        """Write nothing yet.

        Args:
            folder: In place of /var/log/pods.
            rate: Lines a second.
        """
        self.moments: list[int] = []
        self._rate = rate
        path = folder / f"{NAMESPACE}_{POD}_7d0f0a52-0c5e-4d8e-a3f6-0c7a9f1b2c3d" / CONTAINER
        path.mkdir(parents=True)
        self._file = (path / "0.log").open("w")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        """Begin to write."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.end()
        self._file.close()

    def end(self) -> None:
        """Write no more."""
        self._done.set()
        self._thread.join()

    def _write(self) -> None:
        began = time.monotonic()
        while not self._done.wait(0.02):
            due = int((time.monotonic() - began) * self._rate)
            for number in range(len(self.moments), due):
                now = time.time_ns()
                seconds = datetime.fromtimestamp(now // _NANOSECOND, UTC)
                at = f"{seconds:%Y-%m-%dT%H:%M:%S}.{now % _NANOSECOND:09d}Z"
                self._file.write(f"{at} stdout F INFO:     line n{number}x\n")
                self.moments.append(now)
            self._file.flush()


@contextlib.contextmanager
def alloy(processes: Processes, logs: Path, loki: str) -> Iterator[None]:
    """Run Alloy with the files of base/logs until the block ends.

    Args:
        processes: What it is started with.
        logs: In place of /var/log/pods; a container's log is there.
        loki: Host and port that it pushes to.
    """
    url = f"http://{loki}/loki/api/v1/push"
    file = tools.ROOT / PIPELINE
    folder = processes.folder("alloy-data")
    processes.start("alloy", "run", file, folder, logs, url, environment=_ENVIRONMENT)
    try:
        yield
    finally:
        processes.end("alloy")


def stored(api: Api, selector: str, first: int, last: int) -> Counter[int]:
    """Return how often each number is found in the lines of a time (ns since the epoch).

    Raises:
        ApiError: With Loki's message.
    """
    found: Counter[int] = Counter()
    while first <= last:
        lines = sorted(_page(api, selector, first, last))
        found.update(_numbers(lines))
        if len(lines) < _PAGE:
            break
        # Of the last moment there may be more, so it is asked for again.
        first = lines[-1][0]
        found.subtract(_numbers(line for line in lines if line[0] == first))
    return +found


def _numbers(lines: Iterable[tuple[int, str]]) -> list[int]:
    return [int(match[1]) for _, text in lines if (match := _NUMBER.search(text))]


def _page(api: Api, selector: str, first: int, last: int) -> Iterator[tuple[int, str]]:
    parameters = {
        "query": selector,
        "start": str(first),
        "end": str(last + 1),
        "limit": str(_PAGE),
        "direction": "forward",
    }
    answer: Json = api.get("/loki/api/v1/query_range", parameters)
    for stream in answer["data"]["result"]:
        for at, text, *_ in stream["values"]:
            yield int(at), text


def counted(api: Api, selector: str, first: int, last: int) -> int:
    """Return how many lines there are after a moment and up to another (ns since the epoch).

    Raises:
        ApiError: With Loki's message.
    """
    # LogQL has no smaller unit.
    length = -(-(last - first) // _MILLISECOND)
    query = f"sum(count_over_time({selector}[{length}ms]))"
    answer = api.get("/loki/api/v1/query", {"query": query, "time": str(last)})
    result = answer["data"]["result"]
    return int(result[0]["value"][1]) if result else 0
