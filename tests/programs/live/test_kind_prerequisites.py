"""Every Secret that the stack needs is created."""

from __future__ import annotations

import json

from scripts.live.kind import prerequisites
from scripts.model import requirements
from scripts.model.manifests import Repository
from tests.programs.live.kind_objects import sync_of


def test_every_secret_is_created_that_the_stack_needs(repository: Repository) -> None:
    needed = {
        (s.namespace, s.name): s.keys
        for s in requirements.read("local", repository).secrets
        if not s.optional
    }
    sync = sync_of(repository, "flux")
    items = list(
        prerequisites.objects(sync, "flux-system", prerequisites.secret_values(sync, repository))
    )
    made = [o for o in items if o["kind"] == "Secret"]
    assert needed == {
        (o["metadata"]["namespace"], o["metadata"]["name"]): o["data"].keys() for o in made
    }
    alike: dict[str, set[str]] = {}
    for item in made:
        alike.setdefault(item["metadata"]["name"], set()).add(json.dumps(item["data"]))
    assert {len(values) for values in alike.values()} == {1}, "the same in each namespace"
