"""How long an assistant is let in, and the file that it is given."""

from __future__ import annotations

import argparse
import stat
from pathlib import Path

import pytest

from scripts.live.agent import session


@pytest.mark.parametrize("text", ["9m", "9h", "1", "0h", "1h30m", "-1h", "99999h"])
def test_a_lifetime_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time from 10m to 8h"):
        session.minutes(text)


def test_hours_and_minutes_are_lifetimes() -> None:
    assert [session.minutes(text) for text in ("10m", "8h")] == [10, 480]


def test_the_file_is_its_owners_alone_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "build" / "file"
    session.write(path, {"token": "any"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(TypeError):
        session.write(tmp_path / "build" / "another", object())
    assert list(path.parent.iterdir()) == [path]
