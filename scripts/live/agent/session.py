"""What an assistant is given: for a while, in a file that its owner alone may read."""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from pathlib import Path

from scripts.core.yamlfile import Json

# Minutes. The API server refuses less than ten; more than a working day is no session.
LIFETIMES = range(10, 8 * 60 + 1)


def minutes(text: str) -> int:
    """Return a lifetime such as `60m` or `1h` in minutes.

    Raises:
        argparse.ArgumentTypeError: If it is none, or out of LIFETIMES.
    """
    found = re.fullmatch(r"([1-9]\d{0,3})([mh])", text)
    value = int(found[1]) * (60 if found[2] == "h" else 1) if found else 0
    if value not in LIFETIMES:
        message = f"{text!r} is not a time from {LIFETIMES[0]}m to {LIFETIMES[-1] // 60}h"
        raise argparse.ArgumentTypeError(message)
    return value


def add_lifetime(arguments: argparse.ArgumentParser) -> None:
    """Add `--lifetime`, in minutes."""
    text = "10m to 8h; 1h without it"
    arguments.add_argument("--lifetime", type=minutes, default=60, metavar="TIME", help=text)


def add_output(arguments: argparse.ArgumentParser, default: Path) -> None:
    """Add `--output`, the file that is written."""
    text = "in place of build/"
    arguments.add_argument("--output", type=Path, default=default, metavar="FILE", help=text)


def write(path: Path, content: Json) -> None:
    """Write a file of JSON that its owner alone may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made with the mode 600.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
