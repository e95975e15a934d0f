"""Findings of checks: where, what is wrong, and what to do about it."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn


@dataclass(frozen=True, order=True)
class Finding:
    """Something that is wrong in the repository.

    Attributes:
        path: File relative to the repository, or `<cluster>/<engine> Kind/name` of an object.
        line: Line in that file, counted from 1; None where no single line is wrong.
        message: What is wrong, in one sentence.
        fix: What to do, in one sentence.
    """

    path: str
    line: int | None
    message: str
    fix: str

    def __str__(self) -> str:
        """Return the two lines a person reads, the first in the form editors jump to."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}\n    fix: {self.fix}"


class Violation(NamedTuple):
    """Something that is wrong in an object; `Repository.locate` makes a finding of it.

    Attributes:
        kind: The object's kind.
        name: The object's name.
        keys: Keys, and indices of lists, that lead to what is wrong in it.
        message: What is wrong, in one sentence.
        fix: What to do, in one sentence.
    """

    kind: str
    name: str
    keys: tuple[str, ...]
    message: str
    fix: str


class RepositoryError(Exception):
    """An error that ends a command; carries the findings that explain it."""

    def __init__(self, *findings: Finding) -> None:
        """Keep the findings; there is at least one."""
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


def colour(text: str, code: int, stream: object = None) -> str:
    """Wrap text in an ANSI colour where the stream is a terminal and NO_COLOR is unset."""
    stream = stream or sys.stdout
    tty = getattr(stream, "isatty", lambda: False)()
    return f"\x1b[{code}m{text}\x1b[0m" if tty and "NO_COLOR" not in os.environ else text


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, such as `1 node` and `2 nodes`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


RED, GREEN, YELLOW, DIM = 31, 32, 33, 2


def report(findings: Iterable[Finding]) -> int:
    """Print findings, each once, in order of place, to standard error; return how many."""
    unique = sorted(set(findings), key=lambda f: (f.path, f.line or 0, f.message))
    for finding in unique:
        first, rest = str(finding).split("\n", 1)
        print(colour(first, RED, sys.stderr), rest, sep="\n", file=sys.stderr)
    return len(unique)


def execute(command: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its code, or with 1 and the findings that ended it."""
    try:
        code = command()
        sys.stdout.flush()
        sys.exit(code)
    except RepositoryError as error:
        report(error.findings)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has enough. Python would complain at exit, too:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def interruptible(command: Callable[[], int], text: str) -> int:
    """Run a command until it is interrupted or terminated; it releases its resources either way.

    Args:
        command: Returns an exit code.
        text: What to print after an interruption.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return command()
    except KeyboardInterrupt:
        print(text, file=sys.stderr)
        return 128 + signal.SIGINT


def confirmed(command: str, would: str, question: str) -> bool:
    """Ask for confirmation on the terminal; anything but yes is no.

    Args:
        command: The command that asks.
        would: What it would do, as in `would delete a pod`.
        question: The question.

    Raises:
        RepositoryError: If there is no terminal.
    """
    if not sys.stdin.isatty():
        message = f"would {would}, and there is no terminal to ask on"
        raise RepositoryError(Finding(command, None, message, "add --yes"))
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def progress(text: str) -> None:
    """Print progress to standard error, in whole lines, so that logs stay readable."""
    print(colour(f"· {text}", DIM, sys.stderr), file=sys.stderr, flush=True)


# Raised by code that relies on the shape of a file, for a file of another shape.
SHAPE_ERRORS = (AttributeError, LookupError, TypeError, ValueError, re.error)


def shape_findings(place: str, error: Exception) -> tuple[Finding, ...]:
    """Return the findings of an error; for one of SHAPE_ERRORS, a finding that names the file."""
    if isinstance(error, RepositoryError):
        return error.findings
    text = f"is not in the shape that it has here: {type(error).__name__} {error}"
    return (Finding(place, None, text, "run `make validate`, which says where"),)
