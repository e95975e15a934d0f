"""Write `base/dashboards/<uid>.json`."""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from pathlib import Path

from dashboards_py import dashboards, grafana
from dashboards_py.definition import Definition
from dashboards_py.namespaces import ROOT
from scripts.core.findings import Finding, RepositoryError, execute

OUTPUT = Path("base/dashboards")


def build() -> dict[str, Definition]:
    """Build every dashboard, by uid.

    Raises:
        RepositoryError: With the line of the module that is at fault.
    """
    built: dict[str, Definition] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(dashboards.__path__)):
        definition = _build(f"{dashboards.__name__}.{module}")
        uid, expected = definition.board.uid, module.replace("_", "-")
        if uid != expected:
            raise RepositoryError(
                Finding(
                    f"dashboards_py/dashboards/{module}.py",
                    None,
                    f"uid {uid!r} is not the module's name",
                    f"set uid={expected!r}, or rename the module",
                )
            )
        built[uid] = definition
    return built


def _build(name: str) -> Definition:
    try:
        definition = importlib.import_module(name).DASHBOARD
    except RepositoryError:
        raise
    except Exception as error:
        raise RepositoryError(_explain(name, error)) from error
    if not isinstance(definition, Definition):
        raise RepositoryError(_explain(name, TypeError("DASHBOARD is not made by dashboard()")))
    return definition


def _explain(name: str, error: Exception) -> Finding:
    """Point to the line of the module that led to an error, wherever it was raised."""
    path = Path(*name.split(".")).with_suffix(".py")
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == ROOT / path]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return Finding(path.as_posix(), line, text, "correct the module; nothing was written")


def render() -> dict[Path, str]:
    """Return the text of each file under OUTPUT, built from nothing but the Python modules."""
    return {Path(f"{uid}.json"): grafana.to_json(d.board) for uid, d in build().items()}


def write(files: dict[Path, str], directory: Path) -> None:
    """Make `directory` hold these files and no other JSON; no file is ever half written."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = directory / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            print(f"unchanged  {OUTPUT / name}")
            continue
        draft = path.with_suffix(".draft")
        try:
            draft.write_text(text, encoding="utf-8", newline="\n")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        print(f"wrote      {OUTPUT / name}")
    for name in sorted(_present(directory) - files.keys()):
        (directory / name).unlink()
        print(f"removed    {OUTPUT / name}")


def differences(files: dict[Path, str], directory: Path) -> list[Finding]:
    """Name each file that is not what the Python modules make."""
    fix = "run `make dashboards` and commit the result"
    findings = []
    for name in sorted(_present(directory) | files.keys()):
        path = directory / name
        if name not in files:
            message = "no module makes this dashboard"
        elif not path.is_file():
            message = "is missing"
        elif path.read_text(encoding="utf-8") != files[name]:
            message = "is not what its module makes"
        else:
            continue
        findings.append(Finding((OUTPUT / name).as_posix(), None, message, fix))
    return findings


def _present(directory: Path) -> set[Path]:
    return {Path(path.name) for path in directory.glob("*.json")}


def main() -> int:
    """Write all dashboards, or none where one does not build."""
    write(render(), ROOT / OUTPUT)
    return 0


if __name__ == "__main__":
    execute(main)
