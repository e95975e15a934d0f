"""`base/secrets.yaml`: which Secrets a cluster needs, and how their values are generated."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.core.yamlfile import Json, line_of, load_all

PATH = "base/secrets.yaml"


@dataclass(frozen=True)
class SecretKey:
    """A key of a Secret; exactly one of value, random and given is set.

    Attributes:
        name: Its name.
        value: The value, if it is the same in all clusters.
        random: The number of random bytes in the value.
        encoding: How random bytes become text: `hex`, or `base64url`, which has no character
            with a meaning in a shell, a URL or an INI file.
        given: A description of the value, if only a user has it.
        forms: What the value may look like, by what it is for: a text, with ${KEY} for what the
            environment says.
    """

    name: str
    value: str = ""
    random: int = 0
    encoding: str = ""
    given: str = ""
    forms: Mapping[str, str] = field(default_factory=dict, hash=False)

    def filled(self, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield what each form is for, and its text with what is known; <KEY> for what is not."""
        for title, text in self.forms.items():
            yield title, re.sub(r"\$\{(\w+)\}", lambda m: known.get(m[1]) or f"<{m[1]}>", text)

    def make(self) -> str:
        """Return the value; a random one differs at each call.

        Raises:
            ValueError: If only a user has it.
        """
        if self.given:
            raise ValueError(f"{self.name} is given by the user")
        if not self.random:
            return self.value
        make = secrets.token_hex if self.encoding == "hex" else secrets.token_urlsafe
        return make(self.random)

    def __str__(self) -> str:
        """Return the name, and how the value is generated."""
        source = f"{self.random} random bytes" if self.random else self.given or self.value
        return f"{self.name} ({source})"


@dataclass(frozen=True)
class DeclaredSecret:
    """A Secret as the file declares it.

    Attributes:
        name: Its name.
        namespaces: Its namespaces; it has the same values in each.
        keys: Its keys.
        why: What it is for.
        optional: The effect of its absence; empty if it is required.
        component: The folder of the opt-in that reads it; empty if a cluster reads it anyway.
        line: Where it is in the file.
    """

    name: str
    namespaces: tuple[str, ...]
    keys: tuple[SecretKey, ...]
    why: str
    optional: str = ""
    component: str = ""
    line: int | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of its keys."""
        return frozenset(key.name for key in self.keys)

    @property
    def given(self) -> tuple[SecretKey, ...]:
        """The keys that only a user has."""
        return tuple(key for key in self.keys if key.given)


def read(root: Path) -> dict[str, DeclaredSecret]:
    """Return the Secrets that a tree declares, by name; none where it has no such file.

    Raises:
        RepositoryError: If the file is not YAML. `make validate` checks its schema.
    """
    path = root / PATH
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    documents = load_all(text, PATH)
    content: dict[str, Json] = documents[0] if documents else {}
    return {
        name: DeclaredSecret(
            name,
            tuple(item["namespaces"]),
            tuple(SecretKey(key, **made) for key, made in item["keys"].items()),
            item["why"],
            item.get("optional", ""),
            item.get("component", ""),
            line_of(text, name),
        )
        for name, item in content.items()
    }
