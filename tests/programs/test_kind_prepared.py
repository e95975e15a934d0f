"""Every Secret that the stack needs is created."""

from __future__ import annotations

import json

from scripts.kind import prepared
from scripts.manifests import Repository
from scripts.preflight import stack
from tests.programs.kind_objects import entry_of


def test_every_secret_is_created_that_the_stack_needs(repository: Repository) -> None:
    needed = {
        (s.namespace, s.name): s.keys
        for s in stack.read("local", repository).secrets
        if not s.optional
    }
    entry = entry_of(repository, "flux")
    items = list(prepared.objects(entry, "flux-system", prepared.values(entry, repository)))
    made = [o for o in items if o["kind"] == "Secret"]
    assert needed == {
        (o["metadata"]["namespace"], o["metadata"]["name"]): o["data"].keys() for o in made
    }
    alike: dict[str, set[str]] = {}
    for item in made:
        alike.setdefault(item["metadata"]["name"], set()).add(json.dumps(item["data"]))
    assert {len(values) for values in alike.values()} == {1}, "the same in each namespace"
