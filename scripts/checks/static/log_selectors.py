"""A stage.match asks for labels that entries have.

Alloy takes any selector: where no entry has the label, `=` matches none and `!=` all, unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.checks.static.logs import PIPELINES
from scripts.core.findings import Finding
from scripts.model.manifests import Repository

_SELECTOR = re.compile(r"\bselector\s*=\s*[\"`]\{([^}]*)\}")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!=|!~|=)\s*\\?\"")
_SET = re.compile(r"\bstage\.(?:static_)?labels\s*\{\s*values\s*=\s*\{([^}]*)\}")
_TARGET = re.compile(r'\btarget_label\s*=\s*"(\w+)"')
_IMPORT = re.compile(r'\bimport\.file\b[^}]*"([\w.-]+\.alloy)"')
# What sources add themselves: loki.source.file, loki.source.kubernetes_events.
_OF_SOURCES = {"filename", "instance", "job", "namespace"}


def check(repository: Repository) -> list[Finding]:
    """Check the selectors of each pipeline and of the files that it imports."""
    found: dict[tuple[str, int], Finding] = {}
    for path in PIPELINES.values():
        file = repository.root / path
        if not file.exists():
            continue
        files = {path: file.read_text(encoding="utf-8")}
        for name in _IMPORT.findall(files[path]):
            if (imported := file.parent / name).exists():
                relative = imported.relative_to(repository.root).as_posix()
                files[relative] = imported.read_text(encoding="utf-8")
        for finding in _unknown(files):
            found.setdefault((finding.path, finding.line or 0), finding)
    return list(found.values())


def _unknown(files: dict[str, str]) -> Iterator[Finding]:
    labels = _OF_SOURCES | {
        name
        for text in files.values()
        for values in _SET.findall(text)
        for name in re.findall(r"(\w+)\s*=", values)
    }
    labels |= {name for text in files.values() for name in _TARGET.findall(text)}
    for path, text in files.items():
        for selector in _SELECTOR.finditer(text):
            for name in _MATCHER.findall(selector[1]):
                if name not in labels:
                    line = text.count("\n", 0, selector.start()) + 1
                    message = f"stage.match asks for the label {name}, which no entry has"
                    fix = f"name one that is set: {', '.join(sorted(labels))}"
                    yield Finding(path, line, message, fix)
