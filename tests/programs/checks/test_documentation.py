"""A README that names what is not there is found, and one on anybody's tree is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks.static import documentation
from scripts.model.manifests import Repository
from scripts.model.runbooks import RUNBOOKS

MAKEFILE = """\
.PHONY: look
look: ready ## Look
\t@$(RUN) scripts.look $(LOOK)

ready: requirements.txt
\t@touch $@
"""
LOOK = """\
import argparse

from scripts import shared

parser = argparse.ArgumentParser()
parser.add_argument("--far", help="as far as it goes")
shared.add_all_day(parser)
"""
README = """\
# Monitoring

See [the map](base/README.md#the-map-here), [above](#monitoring) and [elsewhere](https://example.com).

```sh
git clone https://example.com/<owner>/x && cd x
make look LOOK="--far --all-day"
kubectl apply --server-side -k clusters/laptop/argocd    # a comment
flux create kustomization x \\
  --path=./clusters/<cluster>/flux > clusters/laptop/flux/secrets.yaml
.venv/bin/python -m scripts.look --far
```

Then `cd overlays/<environment>`, or `kubectl apply -k clusters/laptop/argocd`, not `cd`.

~~~bash
cp -r overlays/laptop other && cd base/ | while read -r line; do
~~~

```console
$ kubectl get pods --selector=x --show-labels
NAME of/what is/printed
```

`make look` with `LOOK=--far` reads
`overlays/<environment>/budget.yaml`, `base/*.yaml`, not `linux/arm64`.

```text
make nothing
```
"""
FILES = {
    "Makefile": MAKEFILE,
    "README.md": README,
    "base/README.md": "# Base\n\n## The map: “here”\n\n`one.yaml` and `base/one.yaml`\n",
    "base/one.yaml": "",
    "clusters/laptop/argocd/kustomization.yaml": "",
    "clusters/laptop/flux/monitoring.yaml": "",
    "overlays/laptop/budget.yaml": "",
    "scripts/look.py": LOOK,
}


@pytest.fixture
def tree(tmp_path: Path) -> Repository:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Repository(tmp_path)


def test_runbooks_are_read_as_other_pages(tree: Repository) -> None:
    folder = tree.root / RUNBOOKS
    folder.mkdir(parents=True)
    page = folder / "Any.md"
    page.write_text("See `base/one.yaml`, and `make look`.\n")
    assert documentation.check(tree) == []
    page.write_text("See `base/two.yaml`.\n\n```sh\nkubectl apply -k clusters/laptop/argo\n```\n")
    said = {(finding.line, finding.message) for finding in documentation.check(tree)}
    assert {line for line, _ in said} == {1, 4}
    (tree.root / "Makefile").unlink()
    page.write_text("`make anything`\n")
    assert [f for f in documentation.check(tree) if f.path.endswith("Any.md")] == []


def test_a_good_readme_has_no_finding(tree: Repository) -> None:
    assert documentation.check(tree) == []


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("base/README.md#", "bass/README.md#", "links to bass/README.md"),
        ("README.md#the-map-here", "README.md#the-map", "no such heading"),
        ("#monitoring", "#monitor", "no such heading"),
        ("](#monitoring)", "](../other)", "outside of the repository"),
        ("make look LOOK", "make lock LOOK", "no such target"),
        ("`make look`", "`make lock`", "no such target"),
        ("look LOOK=", "look LOCK=", "sets LOCK"),
        ('"--far', '"--fat', "--fat"),
        ("`LOOK=--far`", "`LOOK=--fat`", "--fat"),
        ("scripts.look --far", "scripts.look --fat", "--fat"),
        ("scripts.look --far", "scripts.lock", "scripts.lock"),
        ("kubectl apply", "kubctl apply", "kubctl"),
        ("-k clusters/laptop/argocd", "-k clusters/laptop/argo", "clusters/laptop/argo"),
        ("-k clusters/laptop/argocd", "-k clusters/laptop/flux", "no kustomization"),
        ("cd overlays/", "cd overlay/", "names overlay/"),
        ("`kubectl apply -k clusters", "`kubectl apply -k cluster", "names cluster/laptop/argocd"),
        ("-r overlays/laptop ", "-r overlay/laptop ", "names overlay/laptop"),
        ("cd base/", "cd base/two", "names base/two"),
        ("cp -r", "cpy -r", "runs cpy"),
        ("$ kubectl", "$ kubctl", "runs kubctl"),
        ("--selector=", "--selecter=", "the option --selecter"),
        ("--server-side", "--serverside", "the option --serverside"),
        ("--path=./clusters/<cluster>/flux", "--path=./cluster/flux", "cluster/flux"),
        ("budget.yaml`", "budgets.yaml`", "budgets.yaml"),
        ("`base/*.yaml`", "`bass/one.yaml`", "bass/one.yaml"),
        ('--all-day"', "--all-day", "is not shell"),
    ],
)
def test_what_is_not_there_is_told_with_its_line(
    tree: Repository, right: str, wrong: str, says: str
) -> None:
    text = README.replace(right, wrong, 1)
    (tree.root / "README.md").write_text(text)
    (finding,) = documentation.check(tree)
    assert says in finding.message
    line = text.count("\n", 0, text.index(wrong)) + 1
    continued = text.splitlines()[line - 2].endswith("\\")
    assert (finding.path, finding.line) == ("README.md", line - continued)


def test_a_file_that_a_folder_s_map_names(tree: Repository) -> None:
    (tree.root / "base/one.yaml").rename(tree.root / "base/two.yaml")
    assert [(f.path, f.line) for f in documentation.check(tree)] == [("base/README.md", 5)] * 2


def test_environments_are_examples_and_engines_may_be_missing(tree: Repository) -> None:
    (tree.root / "clusters/laptop").rename(tree.root / "clusters/ours")
    (tree.root / "overlays/laptop").rename(tree.root / "overlays/ours")
    assert documentation.check(tree) == []
    (tree.root / "clusters/ours/argocd/kustomization.yaml").unlink()
    (tree.root / "clusters/ours/argocd").rmdir()
    assert documentation.check(tree) == []


def test_readmes_of_others_are_not_read(tree: Repository) -> None:
    for folder in ("build/charts", ".venv/x", "node_modules/x", "tests/fixtures/x"):
        (tree.root / folder).mkdir(parents=True)
        (tree.root / folder / "README.md").write_text("[gone](gone.md)\n")
    assert documentation.check(tree) == []
