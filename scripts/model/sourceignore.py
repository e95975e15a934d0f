"""What Flux leaves out of the artifact that it makes of this repository.

As source-controller decides it (github.com/fluxcd/pkg/sourceignore v0.18.0: sourceignore.go and
gitignore/pattern.go): much as git does, but by the path of each file alone, so that a pattern
brings a file back whose folder another one leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from scripts.core.yamlfile import get
from scripts.model import bootstrap

FILE = ".sourceignore"
# What holds where nobody says anything else: *.jpg and the like, which no kustomization reads, and
# files of other programs. What a repository has itself comes in place of these.
DEFAULTS = (
    *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip"),
    *("**/.goreleaser.yml", "**/.sops.yaml", "**/.flux.yaml"),
)
ANY_FOLDERS = "**"


class Pattern(NamedTuple):
    """A line of a `.sourceignore`, or of a GitRepository's `spec.ignore`.

    Attributes:
        text: As it is written.
        folder: Parts of the path of the folder that it holds for.
        path: The file that it is written in; empty for a default.
        line: Its line there; None where the file has it as a value.
    """

    text: str
    folder: tuple[str, ...] = ()
    path: str = ""
    line: int | None = None


def patterns(root: Path, cluster: str) -> list[Pattern]:
    """Return the patterns that hold for a cluster, those that overrule others last."""
    found: list[Pattern] = []
    files = [p for kind in ("base", "clusters", "overlays") for p in (root / kind).rglob(FILE)]
    for path in [root / FILE, *sorted(files)]:
        if path.is_file():
            file = path.relative_to(root)
            text = path.read_text(encoding="utf-8", errors="replace")
            found += _read(text, file.parent.parts, file.as_posix())
    for place, item in bootstrap.objects(root, cluster):
        ignored = get(item, "spec", "ignore") if item["kind"] == "GitRepository" else ""
        found += [one._replace(line=None) for one in _read(str(ignored or ""), (), place)]
    return found or [Pattern(text) for text in DEFAULTS]


def hidden(root: Path, cluster: str, files: Sequence[str]) -> Mapping[Pattern, list[str]]:
    """Return the files that Flux leaves out, by the pattern that does it.

    Args:
        root: The repository's.
        cluster: Whose `flux-system` may leave out more.
        files: Paths relative to the root.
    """
    found: dict[Pattern, list[str]] = {}
    ordered = patterns(root, cluster)[::-1]
    for file in files:
        parts = tuple(file.split("/"))
        one = next((pattern for pattern in ordered if _matches(pattern, parts)), None)
        if one and not one.text.startswith("!"):
            found.setdefault(one, []).append(file)
    return found


def _read(text: str, folder: tuple[str, ...], path: str) -> Iterator[Pattern]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield Pattern(line, folder, path, number)


def _matches(pattern: Pattern, parts: tuple[str, ...]) -> bool:
    """Say whether a pattern is about a file."""
    own = parts[: len(pattern.folder)] == pattern.folder and parts[len(pattern.folder) :]
    text = pattern.text.removeprefix("!")
    text = text if text.endswith("\\ ") else text.rstrip(" ")
    folders = text.endswith("/")
    text = text.removesuffix("/")
    if not own or not text:
        return False
    if "/" in text:
        return _path(text.split("/"), list(own), folders)
    first = next((n for n, part in enumerate(own) if _glob(text, part)), None)
    return first is not None and not (folders and first == len(own) - 1)


def _path(wanted: Sequence[str], parts: list[str], folders: bool) -> bool:
    matched = anywhere = False
    for number, one in enumerate(wanted):
        if one == "":
            anywhere = False
        elif one == ANY_FOLDERS:
            if number == len(wanted) - 1:
                break
            anywhere = True
        elif ANY_FOLDERS in one or not parts:
            return False
        elif anywhere:
            anywhere = False
            at = next((n for n, part in enumerate(parts) if _glob(one, part)), None)
            matched = at is not None
            parts = [] if at is None else parts[at + 1 :]
        else:
            if not _glob(one, parts[0]):
                return False
            matched, parts = True, parts[1:]
    return matched and not (folders and not parts)


def _glob(pattern: str, part: str) -> bool:
    return bool((found := _expression(pattern)) and found.fullmatch(part))


@cache
def _expression(pattern: str) -> re.Pattern[str] | None:
    """Return what Go's filepath.Match matches; None for a pattern that it refuses."""
    token = re.compile(
        r"\\(?P<quoted>.)|\[(?P<set>\^?(?:\\.|[^]\\])+)\]|(?P<plain>[^\\\[])", re.DOTALL
    )
    text, at = "", 0
    while at < len(pattern):
        found = token.match(pattern, at)
        if not found:
            return None
        at = found.end()
        if found["set"]:
            text += f"[{found['set'].replace('[', chr(92) + '[')}]"
        else:
            plain = found["plain"]
            text += {"*": "[^/]*", "?": "[^/]"}.get(
                plain or "", re.escape(plain or found["quoted"])
            )
    return re.compile(text, re.DOTALL)
