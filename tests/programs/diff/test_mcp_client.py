"""`make diff-mcp` as a client of the protocol has it, on the report of a change."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from scripts.bench.trees import apply
from scripts.core.yamlfile import Json
from scripts.diff.outputs import data
from scripts.model.manifests import Repository
from tests import mcp_client
from tests.fixtures import CODE, FROZEN
from tests.mcp_client import Answer, Call
from tests.programs.diff.test_changes import CHANGES, compared

pytestmark = pytest.mark.prove

FLAG = "volume-removed: StatefulSet monitoring/loki, volume storage"


def talk(folder: Path, *calls: Call) -> mcp_client.Talk:
    arguments = ["-m", "scripts.diff.mcp", str(folder)]
    server = {"command": sys.executable, "args": arguments, "cwd": str(CODE)}
    return mcp_client.talk(server, calls)


@pytest.fixture
def reported(copy: Repository, tmp_path: Path) -> Path:
    """A folder with the report of a change that takes a volume from one cluster."""
    (change,) = (one for one in CHANGES if FLAG in one.get("flags", ()))
    for edit in change["edits"]:
        apply(edit, copy.root)
    report = data.text(compared(FROZEN, copy.root))
    (tmp_path / "report.json").write_text(report)
    return tmp_path


@pytest.mark.usefixtures("rendered")
def test_three_tools_that_only_read_say_what_a_change_does(reported: Path) -> None:
    first = talk(reported, ("diff_summary", {"cluster": "oke-free"}), ("diff_list", {}))
    assert [tool["name"] for tool in first.tools] == ["diff_summary", "diff_list", "diff_object"]
    for tool in first.tools:
        assert tool["annotations"]["readOnlyHint"] is True
        assert tool["annotations"]["destructiveHint"] is False
        assert tool["annotations"]["openWorldHint"] is False
    summary, listed = (answer.document for answer in first.answers)
    flag = next(one for one in summary["flags"] if one["flag"] == "volume-removed")
    assert flag["where"].startswith("oke-free")
    titles = [one["title"] for one in listed["objects"]]
    about = next(title for title in titles if title in flag["about"])
    (answer,) = talk(reported, ("diff_object", {"title": about})).answers
    (difference,) = answer.document["differences"]
    assert "-  volumeClaimTemplates:" in difference["difference"]
    assert "volume-removed" in [one["flag"] for one in answer.document["flags"]]


def wrong(answer: Answer) -> str:
    assert (answer.failed, answer.kinds) == (True, ("text",))
    assert answer.text.count("\n    fix: ") == 1
    assert "Traceback" not in answer.text
    return answer.text


@pytest.mark.usefixtures("rendered")
def test_what_is_wrong_is_said_once_and_in_words(reported: Path, tmp_path: Path) -> None:
    unknown, tool = talk(reported, ("diff_object", {"title": "Pod a/b"}), ("write", {})).answers
    assert "no object Pod a/b differs" in wrong(unknown)
    assert "there is no such tool" in wrong(tool)
    document: Json = json.loads((reported / "report.json").read_text())
    for content, says in (
        (None, "there is no report yet"),
        ("{", "is not JSON"),
        (json.dumps({**document, "version": 9}), "is of version 9 of the format"),
    ):
        (tmp_path / "report.json").unlink()
        if content is not None:
            (tmp_path / "report.json").write_text(content)
        (answer,) = talk(tmp_path, ("diff_summary", {})).answers
        assert says in wrong(answer)
        (tmp_path / "report.json").write_text("")
