"""Commands end as a shell expects."""

from __future__ import annotations

import subprocess
import sys


def test_a_reader_that_has_enough_ends_a_command_without_a_traceback() -> None:
    program = (
        "from scripts.core.findings import execute\n"
        "execute(lambda: [print('a line') for _ in range(100_000)] and 0)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "a line\n"
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 141
