"""A link: something in what is rendered that names something else, which has to be there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from scripts.model.rendered import Item, Written


@dataclass(frozen=True)
class Link:
    """What an object names, and what there is of that kind.

    Attributes:
        item: The object.
        source: What in it names the target, as in `container grafana: startupProbe asks the port`.
        target: The name.
        existing: Every name that there is.
        effect: What is wrong where it is missing.
        fix: What to do; by default, to use one of those that exist.
        written: What somebody may have written of it in a release's values.
        place: File and line where it is written, if that is neither the object nor its values.
    """

    item: Item
    source: str
    target: str
    existing: Collection[str]
    effect: str
    fix: str = ""
    written: tuple[Written, ...] = ()
    place: tuple[str, int | None] | None = None

    @property
    def broken(self) -> bool:
        """Whether there is no such thing."""
        return self.target not in self.existing

    @property
    def advice(self) -> str:
        """What to do about it."""
        known = ", ".join(sorted(self.existing))
        return self.fix or (f"use one of {known}" if known else "correct the name, or remove it")
