"""A real MCP client, in a place of its own: with what it needs it is larger than all else here."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import tools
from scripts.core.findings import progress
from scripts.core.yamlfile import Json

FOLDER = Path(__file__).parent
REQUIREMENTS = FOLDER / "requirements.txt"
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


def installed() -> Path:
    """Return the folder with the client's packages, which is filled on first use."""
    python = f"{sys.implementation.cache_tag}-{sys.platform}"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    target = tools.cache() / "mcp-client" / f"{python}-{digest}"
    if target.exists():
        return target
    progress("installing the MCP client")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name) / "packages"
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        safe = ("--require-hashes", "--only-binary=:all:")
        command = (*pip, *safe, f"--target={folder}", f"--requirement={REQUIREMENTS}")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if not target.exists():
            folder.rename(target)
    return target


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
        env={**os.environ, "PYTHONPATH": str(installed())},
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
