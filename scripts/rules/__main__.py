"""`make rules`: write every generated file, and remove rule files without a specification."""

from __future__ import annotations

from scripts import tools
from scripts.core.findings import execute
from scripts.rules import RULES, alerts, budgets, runbooks, slos


def main() -> int:
    """Write all files, or none if one cannot be generated."""
    files = {
        path: text
        for generator in (alerts, budgets, slos)
        for path, text in generator.render(tools.ROOT).items()
    }
    files |= runbooks.render(tools.ROOT, files)
    for path, text in files.items():
        target = tools.ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        unchanged = target.is_file() and target.read_text(encoding="utf-8") == text
        if not unchanged:
            target.write_text(text, encoding="utf-8", newline="\n")
        print(f"{'unchanged' if unchanged else 'wrote':<10} {path}")
    generated = [
        *tools.ROOT.glob(f"{RULES}/{alerts.PREFIX}*.yaml"),
        *tools.ROOT.glob(f"base/optional/**/{alerts.PREFIX}*.yaml"),
        *tools.ROOT.glob(f"{RULES}/{slos.PREFIX}*.yaml"),
        *tools.ROOT.glob(f"{alerts.LOKI_RULES}/*.yaml"),
        *tools.ROOT.glob(f"overlays/*/{budgets.OUTPUT}"),
    ]
    for path in sorted(path.relative_to(tools.ROOT) for path in generated):
        if path not in files:
            (tools.ROOT / path).unlink()
            print(f"{'removed':<10} {path}")
    return 0


if __name__ == "__main__":
    execute(main)
