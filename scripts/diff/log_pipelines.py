"""What a log pipeline takes out of entries, and the ways to Loki on which it does not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.diff import alloy

# What stands for a value that was taken out, and for a user's id.
PLACEHOLDER = re.compile(r"<redacted:(\w+)>")
PSEUDONYM = "| Hash "
# What a pipeline without any such stage leaves in.
EVERYTHING = "what people wrote"
RECEIVER = ".receiver"


@dataclass(frozen=True)
class Stage:
    """A stage that takes something out.

    Attributes:
        file: Where it is.
        expressions: Each is tried.
        replacement: What is put in its place.
        limits: The stages around it, and the value that it sees where that is not the whole entry.
        variables: Those that it or the blocks around it read.
    """

    file: str
    expressions: tuple[str, ...]
    replacement: str
    limits: frozenset[str]
    variables: frozenset[str]


@dataclass(frozen=True)
class Component:
    """A component on the way of an entry.

    Attributes:
        takes: What it takes out.
        writes: Whether it sends entries to Loki.
        forwards: The names of those that get its entries.
    """

    takes: frozenset[str]
    writes: bool
    forwards: tuple[str, ...]


def stages(files: Mapping[str, str]) -> dict[str, list[Stage]]:
    """Return the stages that take something out, by what they take."""
    found: dict[str, list[Stage]] = {}
    for file, text in files.items():
        for *around, block in alloy.parse(file, text).within():
            if kind := _redacted(block):
                found.setdefault(kind, []).append(_stage(file, around[1:], block))
    return found


def bypassing(files: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Find sources whose entries may reach Loki with something that a stage takes out of others.

    Returns:
        The source's file, by the source's name and what is not taken out.
    """
    parsed = {file: alloy.parse(file, text) for file, text in files.items()}
    blocks = [block for whole in parsed.values() for block in whole.blocks]
    declared = {block.label: block for block in blocks if block.type == "declare"}
    components = dict(_components(blocks, declared))
    kinds = stages(files) or {EVERYTHING}
    return {
        (name, kind): file
        for file, whole in parsed.items()
        for name in map(_name, whole.blocks)
        if name.startswith("loki.source.")
        for kind in kinds
        if _bypassed(name, kind, components)
    }


def _bypassed(source: str, kind: str, components: Mapping[str, Component]) -> bool:
    ways, seen = [source], set()
    while ways:
        name = ways.pop()
        if name in seen or name not in components:
            continue
        seen.add(name)
        component = components[name]
        if component.writes:
            return True
        if kind not in component.takes:
            ways += component.forwards
    return False


def _components(
    blocks: Iterable[alloy.AlloyBlock],
    declared: Mapping[str, alloy.AlloyBlock],
    place: str = "",
    outward: Sequence[str] = (),
) -> Iterator[tuple[str, Component]]:
    """Yield components by name; those in one that is declared come after its name and a slash."""
    for block in blocks:
        name = place + _name(block)
        forwards = [place + receiver for receiver in _receivers(block)]
        if any(token.text.startswith("argument.") for token in block.tokens()):
            forwards += outward
        # The type of what a module declares begins with the name of its import.
        inner = declared.get(block.type.rpartition(".")[2])
        if inner is None:
            takes = frozenset(kind for *_, part in block.within() if (kind := _redacted(part)))
            yield name, Component(takes, block.type == "loki.write", tuple(forwards))
        else:
            exports = (one for one in inner.blocks if one.type == "export")
            entries = (f"{name}/{receiver}" for one in exports for receiver in _receivers(one))
            yield name, Component(frozenset(), False, tuple(entries))
            yield from _components(inner.blocks, declared, f"{name}/", forwards)


def _name(block: alloy.AlloyBlock) -> str:
    return f"{block.type}.{block.label}"


def _receivers(block: alloy.AlloyBlock) -> list[str]:
    words = (token.text for token in block.tokens() if not token.literal)
    return [word.removesuffix(RECEIVER) for word in words if word.endswith(RECEIVER)]


def _redacted(block: alloy.AlloyBlock) -> str | None:
    """Say what a block takes out: the placeholder's word, or `user id`; None for nothing."""
    if block.type != "stage.replace":
        return None
    replacement = " ".join(_literals(block.attributes.get("replace", ())))
    placeholder = PLACEHOLDER.search(replacement)
    if placeholder:
        return placeholder[1]
    return "user id" if PSEUDONYM in replacement else None


def _stage(file: str, around: Sequence[alloy.AlloyBlock], block: alloy.AlloyBlock) -> Stage:
    own = block.attributes
    limits = [_condition(one) for one in around if one.type.startswith("stage.")]
    if "source" in own:
        limits.append(f"the extracted value {_text(own['source'])}")
    read = (e for one in (*around, block) for e in one.attributes.values())
    return Stage(
        file,
        tuple(_literals(own.get("expression", ()))),
        _text(own["replace"]),
        frozenset(limits),
        frozenset(name for expression in read for name in _variables(expression)),
    )


def _condition(stage: alloy.AlloyBlock) -> str:
    given = (f"{name} {_text(value)}" for name, value in sorted(stage.attributes.items()))
    return ", ".join((stage.type, *given))


def _text(expression: alloy.Expression) -> str:
    return "".join(token.text for token in expression)


def _literals(expression: alloy.Expression) -> list[str]:
    return [token.text for token in expression if token.literal]


def _variables(expression: alloy.Expression) -> Iterator[str]:
    # A call is its name, a bracket and the argument.
    for function, argument in zip(expression, expression[2:], strict=False):
        if function == alloy.Token("sys.env"):
            yield argument.text
