"""Parsing Markdown: code blocks, the commands in them, prose, and anchors of headings."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator

# A block of code: its language, and its text. In a list it is indented.
BLOCK = re.compile(
    r"^(?P<indent> *)(?P<fence>```|~~~)(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *(?P=fence) *$",
    re.M | re.S,
)
# Languages of blocks that somebody types; in the last one, behind a prompt.
SHELL = frozenset({"bash", "console", "sh", "shell"})
PROMPT = re.compile(r"^[$#] ")
# A line and its continuations after a backslash.
COMMAND = re.compile(r"(?:.*\\\n)*.+")
# What readers replace with a name of their own.
PLACEHOLDER = re.compile(r"<\w[\w ./-]*>")
ASSIGNMENT = re.compile(r"(?P<name>[A-Z][A-Z_]*)=(?P<value>.*)", re.S)


def commands(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each command in a page's blocks; `<name>` becomes `*`."""
    for block in BLOCK.finditer(text):
        if block["language"] in SHELL:
            first = text.count("\n", 0, block.start()) + 2
            for found in COMMAND.finditer(block["text"]):
                line = re.sub(r"\\\n *", "", found[0]).strip()
                if block["language"] == "console":
                    line = PROMPT.sub("", line) if PROMPT.match(line) else ""
                if line and not line.startswith("#"):
                    yield first + block["text"].count("\n", 0, found.start()), _named(line)


def words(command: str) -> Iterator[list[str]]:
    """Yield the words of each program that a line of shell runs, without redirections.

    Raises:
        ValueError: If a quote is not closed.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command_words: list[str] = []
    redirected = False
    for word in lexer:
        if set(word) <= set("<>"):
            redirected = True
        elif set(word) <= set("();|&"):
            if command_words:
                yield command_words
            command_words = []
        elif redirected:
            redirected = False
        elif command_words or not ASSIGNMENT.fullmatch(word):
            command_words.append(word)
    if command_words:
        yield command_words


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found: Counter[str] = Counter()
    for heading in re.findall(r"^#+ +(.+?) *$", BLOCK.sub("", text), re.M):
        bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found[re.sub(r"[^\w\- ]", "", bare.lower()).replace(" ", "-")] += 1
    return {f"{a}-{n}" if n else a for a, count in found.items() for n in range(count)}


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield a page's lines outside of blocks, numbered from 1."""
    bare = BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
    yield from enumerate(bare.splitlines(), 1)


def quoted(line: str) -> Iterator[tuple[str, str]]:
    """Yield the inline code of a line, as written and with `*` in place of `<name>`."""
    yield from ((token, _named(token)) for token in re.findall(r"`([^`]+)`", line))


def _named(text: str) -> str:
    return PLACEHOLDER.sub("*", text)
