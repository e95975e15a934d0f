"""The report.json of one folder: read anew when it changes, and nothing beside it."""

from __future__ import annotations

import datetime
import json
import os
import stat
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.diff.outputs import DATA, data

SCHEMA = Path(__file__).parents[1] / "report.schema.json"
# Bytes. A report of thousands of objects has some; an artifact may hold anything.
LARGEST = 64 << 20
AGAIN = "make it with `make diff DIFF=--output=build/diff`"


class ReportFile:
    """The report of one folder.

    Attributes:
        path: Where it is, or would be.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is read yet."""
        self.path = folder / DATA
        self._state: object = None
        self._report: dict[str, Json] = {}

    def read(self) -> dict[str, Json]:
        """Return the report, in which every text is printable, with when it was `written`.

        Raises:
            RepositoryError: If there is none, or it is not one of this format.
        """
        try:
            # Path.open has no opener.
            with open(self.path, "rb", opener=_open) as content:
                found = os.fstat(content.fileno())
                state = (found.st_ino, found.st_mtime_ns, found.st_size)
                if state != self._state:
                    if not stat.S_ISREG(found.st_mode):
                        raise self._error("is not a file", AGAIN)
                    if found.st_size > LARGEST:
                        raise self._error(f"is larger than {LARGEST >> 20} MiB", AGAIN)
                    self._report = self._parsed(content.read())
                    moment = datetime.datetime.fromtimestamp(int(found.st_mtime), datetime.UTC)
                    self._report["written"] = moment.isoformat()
                    self._state = state
        except FileNotFoundError:
            raise self._error("there is no report yet", AGAIN) from None
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}", AGAIN) from None
        return self._report

    def _parsed(self, content: bytes) -> dict[str, Json]:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise self._error("is not JSON: it may still be written", AGAIN) from None
        version = document.get("version") if isinstance(document, dict) else None
        if isinstance(version, int) and version != data.VERSION:
            text = f"is of version {version} of the format; this reads version {data.VERSION}"
            raise self._error(text, f"use the revision that wrote it, or {AGAIN}")
        try:
            self._check(document)
            # Who wrote it may have left out what makes texts printable.
            return dict(data.printable(document))
        except RecursionError:
            raise self._error("is nested too deeply", AGAIN) from None

    def _check(self, document: Json) -> None:
        for error in _VALIDATOR.iter_errors(document):
            # Without the value: it could be of any file.
            text = (
                f"is not a report of make diff: {error.json_path} is wrong by `{error.validator}`"
            )
            raise self._error(data.printable(text), AGAIN)

    def _error(self, message: str, fix: str) -> RepositoryError:
        return RepositoryError(Finding(str(self.path), None, message, fix))


def _open(path: str, flags: int) -> int:
    # A link would lead out of the folder, and a pipe would never end.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _tolerant(schema: Any) -> Any:
    """Return the schema without what a report of the same version may have more: fields, flags."""
    if isinstance(schema, list):
        return [_tolerant(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _tolerant(item) for key, item in schema.items() if key != "additionalProperties"}
    if (flag := kept.get("$defs", {}).get("flag")) is not None:
        flag["properties"]["name"] = {"type": "string"}
    return kept


_VALIDATOR = Draft202012Validator(_tolerant(json.loads(SCHEMA.read_text())))
