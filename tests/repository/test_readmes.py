"""What READMEs tell to type can be typed; what they name is checked by `make validate`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import tools
from scripts.checks.static.documentation import handbook
from scripts.core.markdown import BLOCK, PLACEHOLDER, commands, words

PAGES = {
    page.relative_to(tools.ROOT).as_posix(): page.read_text("utf-8")
    for page in handbook(tools.ROOT)
}
BLOCKS = {
    f"{page}:{text.count(chr(10), 0, block.start()) + 2}": str(block["text"])
    for page, text in PAGES.items()
    for block in BLOCK.finditer(text)
    if block["language"] == "sh"
}
BIN = Path(sys.executable).parent
# As the targets need it: with the Python that runs the tests, and nothing installed.
MAKE = ("make", "--old-file=.venv/.ready", f"BIN={BIN}")
# What needs neither a cluster, nor a key, nor minutes.
QUICK = frozenset({"amtool", "cd", "cp", "printf"})
QUICK_TARGETS = frozenset({"dashboards", "help", "rules", "validate"})
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "node_modules", "__pycache__", ".*_cache"
)


def quick(block: str) -> list[str]:
    """Return the commands of a block that can be run here; none that wants a name of your own."""
    found = [line for _, line in commands(f"```sh\n{block}```\n")]
    return [line for line in found if "*" not in line and all(map(_quick, words(line)))]


def _quick(one: list[str]) -> bool:
    program, *arguments = one
    return set(arguments) <= QUICK_TARGETS if program == "make" else program in QUICK


PICTURES, LARGEST = tools.ROOT / ".github/dashboards", 60 * 1024
RUN = {place: block for place, block in BLOCKS.items() if quick(block)}


def run(*command: str, cwd: Path = tools.ROOT, **variables: str) -> None:
    answer = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        pytest.fail(f"{' '.join(command)}\n{answer.stdout}{answer.stderr}", pytrace=False)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_a_block_is_good_shell(block: str, tmp_path: Path) -> None:
    path = tmp_path / "block.sh"
    path.write_text(PLACEHOLDER.sub("name", block))
    # SC2164: somebody who types `cd` sees whether it worked.
    run(str(BIN / "shellcheck"), "--shell=bash", "--exclude=SC2164", str(path))


@pytest.mark.parametrize("page", PAGES)
def test_make_takes_every_make_command(page: str) -> None:
    for _, line in commands(PAGES[page]):
        for program, *arguments in words(line):
            if program == "make":
                run(*MAKE, "--dry-run", *arguments)


@pytest.mark.parametrize("block", RUN.values(), ids=RUN)
def test_what_can_be_run_here_works(block: str, tmp_path: Path) -> None:
    tree = shutil.copytree(tools.ROOT, tmp_path / "tree", ignore=LEFT_OUT)
    home, programs = tmp_path / "home", tmp_path / "bin"
    for folder in (home, programs):
        folder.mkdir()
    (programs / "amtool").symlink_to(tools.path("amtool"))
    given = dict.fromkeys(re.findall(r"\$([A-Z_]+)", block), "https://example.com")
    script = re.sub(r"(?m)^make ", f"{' '.join(MAKE)} ", "\n".join(("set -eu", *quick(block))))
    caches = {"XDG_CACHE_HOME": str(tools.cache().parent)}
    path = f"{programs}:{os.environ['PATH']}"
    run("bash", "-c", script, cwd=tree, HOME=str(home), PATH=path, **given, **caches)


def test_every_picture_of_a_dashboard_is_shown_once_and_is_small() -> None:
    """Those of `make gallery`: each clone carries every picture that was ever committed."""
    shown = re.findall(r"\((\.github/dashboards/[^)]+)\)", PAGES["README.md"])
    there = {path.relative_to(tools.ROOT).as_posix() for path in PICTURES.glob("*")}
    assert sorted(shown) == sorted(there)
    assert [path for path in there if (tools.ROOT / path).stat().st_size > LARGEST] == []
