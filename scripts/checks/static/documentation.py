"""The documentation names targets, options, programs, paths and headings that exist.

Links, blocks of commands and inline code are checked in every README.md and runbook, AGENTS.md and
CONTRIBUTING.md; `<name>` matches anything. Folders of clusters and environments are examples: a
path is correct if one of them has it. Paths of an engine that syncs no cluster here are skipped.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from scripts.core import markdown
from scripts.core.findings import Finding
from scripts.model.manifests import BOOTSTRAP, ENCRYPTED, ENGINES, Repository
from scripts.model.runbooks import RUNBOOKS

PAGES = frozenset({"AGENTS.md", "CONTRIBUTING.md", "README.md"})
# Files of others, and files that commands write.
SKIPPED = frozenset({"build", "fixtures", "node_modules", "__pycache__"})
# Files that exist only after a user has made them.
MADE_BY_USERS = (
    # A public address.
    "clusters/*/flux/public.yaml",
    "overlays/*/public",
    "overlays/*/public/kustomization.yaml",
    "build/*",
    "clusters/*/.sops.yaml",
    f"clusters/*/{ENCRYPTED}*",
    f"clusters/*/flux/{ENCRYPTED}.yaml",
    f"clusters/*/flux/{BOOTSTRAP}*",
)
# Programs that blocks may run besides make, and what for.
PROGRAMS = {
    "age-keygen": "a key that SOPS encrypts for",
    "amtool": "checks Alertmanager's configuration",
    "cd": "shell",
    "cp": "copies a template or a folder",
    "curl": "asks an address",
    "dig": "asks for the address of a name",
    "export": "shell",
    "flux": "installs Flux and has it sync",
    "git": "clones, commits and pushes",
    "grep": "picks lines",
    "htpasswd": "a line of a list of passwords",
    "jq": "picks from a report",
    "kind": "a cluster in Docker",
    "kubectl": "reads and changes a cluster",
    "minikube": "a cluster on a laptop",
    "printf": "shell",
    "tail": "picks lines",
    "xargs": "lines to arguments",
}
# Words of the shell itself.
KEYWORDS = frozenset({"do", "done", "else", "fi", "for", "if", "read", "then", "while"})
# Programs whose arguments, and how many of the last of them not, are there before they run.
READERS = {"cd": 0, "cp": 1}
# Options of kubectl on these pages: another that is all but one of them is misspelt.
KUBECTL = frozenset(
    {
        *("--all-namespaces", "--container", "--containers", "--context", "--dry-run"),
        *("--field-selector", "--filename", "--follow", "--for", "--force-conflicts"),
        *("--from-file", "--from-literal", "--kustomize", "--namespace", "--output"),
        *("--previous", "--selector", "--server-side", "--since", "--sort-by", "--tail"),
        *("--timeout", "--type", "--watch"),
    }
)
# Flags whose arguments are paths, and those of them whose paths are kustomizations.
PATH_FLAGS = frozenset({"-f", "-k", "--filename", "--kustomize", "--path"})
KUSTOMIZE_FLAGS = frozenset({"-k", "--kustomize"})
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
PATH = re.compile(r"(?!\.\.)[\w.*…-]+(/[\w.*…-]*)+")
FILE = re.compile(r"[\w*-]+\.(alloy|json|md|mjs|py|tmpl|toml|txt|yaml)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
Message = tuple[str, str]


@dataclass(frozen=True)
class MakeTarget:
    """A target of the Makefile.

    Attributes:
        prerequisites: Targets that are made first.
        recipe: The lines of its recipe.
    """

    prerequisites: tuple[str, ...]
    recipe: tuple[str, ...]


@dataclass
class Tree:
    """The repository's files, as far as a page may name them."""

    root: Path
    _options: dict[str, set[str] | None] = field(default_factory=dict)

    @cached_property
    def targets(self) -> dict[str, MakeTarget]:
        """The Makefile's targets by name; none without a Makefile."""
        path = self.root / "Makefile"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        rule = re.compile(r"^([a-z][a-z0-9-]*):([^=\n#]*).*\n((?:\t.*\n?)*)", re.M)
        return {
            name: MakeTarget(tuple(prerequisites.split()), tuple(recipe.splitlines()))
            for name, prerequisites, recipe in rule.findall(text)
        }

    @cached_property
    def engines(self) -> frozenset[str]:
        """The engines that sync a cluster of this repository."""
        return frozenset(name for name in ENGINES if any(self.root.glob(f"clusters/*/{name}")))

    @cached_property
    def top(self) -> frozenset[str]:
        """Names of the files and folders at the root."""
        return frozenset(path.name for path in self.root.iterdir())

    @cached_property
    def environment(self) -> str:
        """The source of all programs, in which environment variables are looked for."""
        return "\n".join(p.read_text(encoding="utf-8") for p in self.root.glob("scripts/**/*.py"))

    def recipes(self, name: str) -> Iterator[str]:
        """Yield the lines that a target runs, those of its prerequisites first."""
        if target := self.targets.get(name):
            for prerequisite in target.prerequisites:
                yield from self.recipes(prerequisite)
            yield from target.recipe

    def options(self, module: str) -> set[str] | None:
        """Return the options of a module's command line; None if there is no such module."""
        if module not in self._options:
            base = self.root.joinpath(*module.split("."))
            found = [p for p in (base.with_suffix(".py"), base / "__main__.py") if p.is_file()]
            self._options[module] = _declared(found[0]) if found else None
        return self._options[module]

    def has(self, path: str, folder: Path) -> bool:
        """Say whether a path exists, relative to the root or to the page's folder."""
        below = folder.relative_to(self.root)
        return any(self._has(p) for p in (Path(path), below / path))

    def _has(self, path: Path) -> bool:
        parts = re.sub(r"[*…]+", "*", path.as_posix()).split("/")
        if parts == ["."]:
            return True
        if parts[0] in {"clusters", "overlays"} and len(parts) > 1:
            parts[1] = "*"
        if self._unused(parts):
            return True
        pattern = "/".join(parts)
        return any(fnmatch(pattern, made) for made in MADE_BY_USERS) or any(self.root.glob(pattern))

    def _unused(self, parts: list[str]) -> bool:
        """Say whether a path belongs to an engine that syncs no cluster here."""
        index = {"clusters": 2, "base": 1}.get(parts[0], len(parts))
        return any(p in ENGINES and p not in self.engines for p in parts[index : index + 1])


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each thing that a page names and that does not exist."""
    tree = Tree(repository.root)
    pages = list(handbook(repository.root))
    findings: list[Finding] = []
    for path in [*pages, *sorted((repository.root / RUNBOOKS).glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        found = [*_links(tree, path, text), *_prose(tree, path, text), *_blocks(tree, path, text)]
        place = path.relative_to(repository.root).as_posix()
        findings += [Finding(place, line, *message) for line, message in found]
    return findings


def handbook(root: Path) -> Iterator[Path]:
    """Yield each page of this repository except the runbooks."""
    for path in sorted(root.iterdir()):
        if path.name in PAGES:
            yield path
        hidden = path.name.startswith(".") and path.name != ".github"
        if path.is_dir() and not path.is_symlink() and path.name not in SKIPPED and not hidden:
            yield from handbook(path)


def _declared(path: Path) -> set[str]:
    """Return the options that a command declares, read from its source without running it."""
    text = path.read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    literals = (a.value for call in calls for a in call.args if isinstance(a, ast.Constant))
    # Options that several commands have, such as charts.add_allow_missing(parser).
    shared = re.findall(r"\.add_((?!argument\b)\w+)\(", text)
    found = {str(one) for one in literals if OPTION.fullmatch(str(one))}
    return found | {f"--{one.replace('_', '-')}" for one in shared}


def _links(tree: Tree, path: Path, text: str) -> Iterator[tuple[int, Message]]:
    for number, line in markdown.prose(text):
        for found in LINK.finditer(line):
            if ":" in found["target"]:
                continue  # A URL: checks use no network.
            target, _, anchor = found["target"].partition("#")
            place = (path.parent / target).resolve() if target else path
            if not place.is_relative_to(tree.root.resolve()) and target:
                yield number, (f"links to {target}, outside of the repository", "correct the link")
                continue
            if target and not tree.has(str(place.relative_to(tree.root.resolve())), tree.root):
                yield number, (f"links to {target}, which is not there", "correct the link")
            elif (
                anchor
                and place.is_file()
                and anchor not in markdown.anchors(place.read_text("utf-8"))
            ):
                message = f"links to #{anchor}, and {target or path.name} has no such heading"
                yield number, (message, "correct the anchor, or the heading")


def _prose(tree: Tree, path: Path, text: str) -> Iterator[tuple[int, Message]]:
    for number, line in markdown.prose(text):
        for token, word in markdown.quoted(line):
            yield from ((number, message) for message in _token(tree, path, token, word))


def _token(tree: Tree, path: Path, token: str, word: str) -> Iterator[Message]:
    program = word.partition(" ")[0]
    if word.startswith("make "):
        yield from _make(tree, word.split()[1:])
    elif program in PROGRAMS and program != word:
        try:
            yield from (f for one in markdown.words(word) for f in _command(tree, path, one))
        except ValueError:
            return  # A part of a command, as prose may name one.
    elif found := markdown.ASSIGNMENT.fullmatch(word):
        yield from _variable(tree, tree.targets, found["name"], found["value"].strip('"'))
    elif PATH.fullmatch(word):
        first = word.split("/")[0]
        named = first in tree.top or (path.parent / first).exists()
        if (named or FILE.fullmatch(word.split("/")[-1])) and not tree.has(word, path.parent):
            yield _absent(token)
    elif FILE.fullmatch(word) and path.parent != tree.root and not _within(tree, path, word):
        yield _absent(token)


def _within(tree: Tree, path: Path, name: str) -> bool:
    """Say whether a file of this name is at the root, or anywhere in the page's folder."""
    return tree.has(name, path.parent) or any(path.parent.rglob(name))


def _absent(token: str) -> Message:
    return f"names {token}, which is not there", "correct the path, or what was moved"


def _blocks(tree: Tree, path: Path, text: str) -> Iterator[tuple[int, Message]]:
    for number, command in markdown.commands(text):
        try:
            for one in markdown.words(command):
                yield from ((number, message) for message in _command(tree, path, one))
        except ValueError as error:
            yield number, (f"is not shell: {error}", "correct the line")


def _command(tree: Tree, path: Path, one: list[str]) -> Iterator[Message]:
    program, *arguments = one
    if program == "make":
        yield from _make(tree, arguments)
        return
    if program.endswith("/python") and arguments[:1] == ["-m"] and arguments[1:]:
        yield from _options(tree, arguments[1], " ".join(arguments[2:]))
    elif program not in PROGRAMS and program not in KEYWORDS:
        fix = "correct its name, or say in scripts/checks/static/documentation.py what it is for"
        yield f"runs {program}, which no list of programs knows", fix
    if program == "kubectl":
        yield from _misspelt(arguments)
    if program in READERS:
        paths = [word for word in arguments if not word.startswith("-")]
        arguments = paths[: len(paths) - READERS[program]]
    before = ""
    for word in arguments:
        flag, _, value = word.partition("=") if word.startswith("--") else (before, "", word)
        before = word
        bare = value.removeprefix("./").rstrip("/")
        first = bare.split("/")[0]
        named = bool(PATH.fullmatch(bare)) and (first in tree.top or program in READERS)
        remote = value.startswith("https://")
        if (
            not value
            or remote
            or "$" in value
            or not (named or flag in PATH_FLAGS)
            or value in {".", "*"}
        ):
            continue
        if not tree.has(bare, path.parent):
            yield _absent(bare)
        elif flag in KUSTOMIZE_FLAGS and not tree.has(f"{bare}/kustomization.yaml", path.parent):
            yield f"{bare} is no kustomization", "name a folder with a kustomization.yaml"


def _misspelt(arguments: Iterable[str]) -> Iterator[Message]:
    for option in {word.partition("=")[0] for word in arguments if word.startswith("--")}:
        close = difflib.get_close_matches(option, KUBECTL, 1, 0.85)
        if close and option not in KUBECTL:
            yield f"gives kubectl the option {option}, which it does not know", f"write {close[0]}"


def _make(tree: Tree, arguments: Iterable[str]) -> Iterator[Message]:
    given = list(arguments)
    targets = [word for word in given if re.fullmatch(r"[a-z][a-z0-9-]*", word)]
    for name in targets if tree.targets else ():  # Without a Makefile, it is another tree's.
        if name not in tree.targets:
            yield f"make {name}: the Makefile has no such target", "see `make help`"
            return
    for word in given:
        if found := markdown.ASSIGNMENT.fullmatch(word):
            yield from _variable(tree, targets, found["name"], found["value"].strip('"'))


def _variable(tree: Tree, targets: Iterable[str], name: str, value: str) -> Iterator[Message]:
    """Yield what is wrong with a variable that is passed to targets."""
    lines = [line for one in targets for line in tree.recipes(one) if f"$({name})" in line]
    if not lines:
        if not re.search(rf"\b{name}\b", tree.environment):
            yield f"sets {name}, which nothing reads", "correct the name, see the Makefile"
        return
    modules = {module for line in lines for module in re.findall(r"\$\(RUN\) (\S+)", line)}
    for module in sorted(modules):
        yield from _options(tree, module, value)


def _options(tree: Tree, module: str, arguments: str) -> Iterator[Message]:
    known = tree.options(module) if module.startswith("scripts") else set(OPTION.findall(arguments))
    if known is None:
        yield f"runs {module}, which is not there", "correct the module"
        return
    for option in OPTION.findall(arguments):
        if option not in known:
            fix = f"it has {', '.join(sorted(known)) or 'none'}"
            yield f"gives {module} the option {option}, which it does not know", fix
