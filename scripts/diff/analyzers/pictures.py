"""Pictures of the dashboards that differ, where `make pictures` has drawn them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scripts.diff.analyzers import dashboards
from scripts.diff.model import ABSENT, Picture
from scripts.diff.objects import ClusterPair
from scripts.grafana import picture_store


def pictures(pairs: Iterable[ClusterPair]) -> Iterator[Picture]:
    """Yield a picture of each dashboard that differs, drawn or not."""
    changed: dict[str, tuple[dashboards.Model | None, dashboards.Model | None]] = {}
    for pair in pairs:
        before, after = dashboards.of(pair.before), dashboards.of(pair.after)
        for file in {*before, *after}:
            if before.get(file) != after.get(file):
                changed.setdefault(file, (before.get(file), after.get(file)))
    for _, models in sorted(changed.items(), key=lambda item: item[0]):
        uid = next(model["uid"] for model in reversed(models) if model)
        one, other = (
            ABSENT if model is None else str(path) if path else None
            for model, path in zip(models, picture_store.find(*models), strict=True)
        )
        yield Picture(str(uid), one, other)
