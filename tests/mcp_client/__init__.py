"""A real MCP client, the SDK's own, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.yamlfile import Json
from scripts.tools import packages

FOLDER = Path(__file__).parent
Call = tuple[str, dict[str, Json]]


@dataclass(frozen=True)
class Answer:
    """What a tool answers.

    Attributes:
        failed: Whether the server, or the tool, refuses.
        kinds: Of each part of it.
        text: All text.
    """

    failed: bool
    kinds: tuple[str, ...]
    text: str

    @property
    def document(self) -> Json:
        return json.loads(self.text)


@dataclass(frozen=True)
class Talk:
    """The tools that a server offers, as the client reads them, and its answers in order."""

    tools: list[Json]
    answers: list[Answer]


def talk(server: Json, calls: Sequence[Call] = ()) -> Talk:
    """List a server's tools and call some.

    Args:
        server: Its entry in a client's configuration.
        calls: Tools with their arguments.

    Raises:
        AssertionError: If the server lets the client not in; with what the client says.
    """
    done = subprocess.run(
        (sys.executable, str(FOLDER / "client.py")),
        input=json.dumps({"server": server, "calls": calls}),
        env={**os.environ, "PYTHONPATH": str(packages.mcp_sdk())},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    answers = [
        Answer(
            failed=bool(answer.get("isError")),
            kinds=tuple(part["type"] for part in answer["content"]),
            text="".join(part.get("text", "") for part in answer["content"]),
        )
        for answer in found["answers"]
    ]
    return Talk(found["tools"], answers)
