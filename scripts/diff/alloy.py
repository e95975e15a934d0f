"""Alloy's configuration as blocks and attributes, without its layout, comments and way of quoting.

Alloy's own parser is a Go package, which `obscheck` runs for `make validate`. That evaluates a
configuration with all its variables set; here two revisions are compared as they are written, also
one that does not evaluate, and a pull request does not wait for a program to be built.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scripts.core.findings import Finding, RepositoryError

_TOKEN = re.compile(
    r"""
      (?P<comment>//[^\n]*|/\*.*?\*/)
    | `(?P<raw>[^`]*)`
    | "(?P<quoted>(?:[^"\\]|\\.)*)"
    | (?P<word>[\w.]+)
    | (?P<mark>\n|\S)
    """,
    re.DOTALL | re.VERBOSE,
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
# Behind these an expression goes on in the next line.
_OPERATORS = frozenset("+-*/%^=!<>&|.")


class Token(NamedTuple):
    """A part of an expression; of a literal, what is between its quotes."""

    text: str
    literal: bool = False


END = Token("\n")
Expression = tuple[Token, ...]


@dataclass(frozen=True)
class AlloyBlock:
    """A block, such as `loki.process "read" { … }`.

    Attributes:
        type: Such as `loki.process`; empty for a whole file.
        label: Empty without.
        attributes: Expressions by name.
        blocks: Those in it, in their order.
    """

    type: str
    label: str
    attributes: Mapping[str, Expression]
    blocks: tuple[AlloyBlock, ...]

    def within(self, *around: AlloyBlock) -> Iterator[tuple[AlloyBlock, ...]]:
        """Yield this block and each one at any depth in it, after those that are around it."""
        yield (*around, self)
        for block in self.blocks:
            yield from block.within(*around, self)

    def tokens(self) -> Iterator[Token]:
        """Yield the tokens of every expression at any depth."""
        for *_, block in self.within():
            for expression in block.attributes.values():
                yield from expression


@functools.lru_cache(maxsize=256)
def parse(file: str, text: str) -> AlloyBlock:
    """Read a file, which most clusters have in common.

    Raises:
        RepositoryError: If it ends within a block or a list, or holds what is in neither.
    """
    try:
        tokens = deque(_tokens(text))
        found = _body(tokens, "", "")
        if tokens:
            raise ValueError(tokens[0].text)
    except (LookupError, ValueError) as error:
        fix = "run `make validate`, which says where"
        raise RepositoryError(Finding(file, None, "Alloy does not load it", fix)) from error
    return found


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        if match["raw"] is not None:
            yield Token(match["raw"], literal=True)
        elif match["quoted"] is not None:
            # Go's escapes are those of Python; what Latin-1 has not becomes one, and text again.
            plain = match["quoted"].encode("latin-1", "backslashreplace")
            yield Token(plain.decode("unicode_escape"), literal=True)
        elif match["comment"] is None:
            yield Token(match[0])


def _body(tokens: deque[Token], kind: str, label: str) -> AlloyBlock:
    attributes, blocks = {}, []
    while tokens and tokens[0] != Token("}"):
        name = tokens.popleft()
        if name == END:
            continue
        own = tokens.popleft().text if tokens[0].literal else ""
        mark = tokens.popleft().text
        if mark == "=":
            attributes[name.text] = _expression(tokens)
        elif mark == "{":
            blocks.append(_body(tokens, name.text, own))
            tokens.popleft()
        else:
            raise ValueError(name.text)
    return AlloyBlock(kind, label, attributes, tuple(blocks))


def _expression(tokens: deque[Token]) -> Expression:
    """Take what ends with its line, as in Go, or with the block around it."""
    found: list[Token] = []
    depth = 0
    while tokens and (depth or tokens[0] != Token("}")):
        token = tokens.popleft()
        if token != END:
            found.append(token)
            if not token.literal:
                depth += (token.text in _OPENING) - (token.text in _CLOSING)
        elif not depth and found and (found[-1].literal or found[-1].text not in _OPERATORS):
            break
    if depth:
        raise LookupError(found[0].text)
    return tuple(found)
