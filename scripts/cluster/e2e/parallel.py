"""Several runs of a command beside each other, each printed as a whole when it is done."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO


def run_parallel(commands: Sequence[Sequence[str]], jobs: int) -> int:
    """Run commands; return 1 if one of them fails.

    Args:
        commands: In the order in which they begin.
        jobs: How many run at one time.
    """
    waiting, failed = list(commands), False
    running: dict[subprocess.Popen[bytes], IO[bytes]] = {}
    with contextlib.ExitStack() as files:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    output: IO[bytes] = files.enter_context(tempfile.TemporaryFile())
                    running[subprocess.Popen(waiting.pop(0), stdout=output)] = output
                for process in [one for one in running if one.poll() is not None]:
                    output = running.pop(process)
                    output.seek(0)
                    print(output.read().decode(), end="", flush=True)
                    failed |= process.returncode != 0
                time.sleep(0.2)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
    return int(failed)
