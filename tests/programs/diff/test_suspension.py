"""What `make diff` says of what is suspended, paused, or synced less."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import removal, suspension
from scripts.diff.model import Flag
from scripts.model import api_groups
from tests.programs.diff.diff_pairs import analyzed, cluster, manifest, pair, put

AUTOMATED = {"automated": {"prune": True, "selfHeal": True}}
HELM, KUSTOMIZE, SOURCE = (
    f"{group}/v1" for group in (api_groups.HELM, api_groups.KUSTOMIZE, api_groups.SOURCE)
)
OPERATOR, ARGO_CD = "monitoring.coreos.com/v1", f"{api_groups.ARGO_CD}/v1alpha1"


def of(kind: str, api: str, **spec: Any) -> Json:
    return manifest(kind, api=api, spec=spec)


@pytest.mark.parametrize(
    ("before", "path", "value", "says"),
    [
        (of("Kustomization", KUSTOMIZE), "spec/suspend", True, "suspended"),
        (of("HelmRelease", HELM), "spec/suspend", True, "suspended"),
        (of("OCIRepository", SOURCE), "spec/suspend", True, "suspended"),
        (of("HelmRelease", HELM), "spec/suspend", False, None),
        (of("HelmRelease", HELM, suspend=True), "spec/suspend", False, None),
        (of("HelmRelease", HELM, suspend=True), "spec/interval", "1h", None),
        (of("Prometheus", OPERATOR), "spec/paused", True, "suspended"),
        (of("Alertmanager", OPERATOR), "spec/paused", True, "suspended"),
        (of("CronJob", "batch/v1"), "spec/suspend", True, "suspended"),
        (of("Deployment", "apps/v1"), "spec/paused", True, "suspended"),
        (of("ConfigMap", "v1"), "spec/suspend", True, None),
        *(
            (manifest("ConfigMap"), f"metadata/annotations/{key.replace('/', '~')}", value, said)
            for key, values in suspension.ANNOTATIONS.items()
            for value, said in ((values[0], "suspended"), ("enabled", None))
        ),
        # As Flux reads them: in any case, and from labels, too.
        (
            manifest("ConfigMap"),
            f"metadata/labels/{api_groups.KUSTOMIZE}~ssa",
            "ifnotpresent",
            "suspended",
        ),
        # An upgrade of the release changes it as before.
        (
            manifest("ConfigMap"),
            f"metadata/annotations/{api_groups.HELM}~driftDetection",
            "disabled",
            "sync-weakened",
        ),
        (of("Application", ARGO_CD, syncPolicy=AUTOMATED), "spec/syncPolicy", {}, "sync-weakened"),
        *(
            (
                of("Application", ARGO_CD, syncPolicy=AUTOMATED),
                f"spec/syncPolicy/automated/{key}",
                False,
                "sync-weakened",
            )
            for key in ("prune", "selfHeal", "enabled")
        ),
        (of("Application", ARGO_CD), "spec/syncPolicy", AUTOMATED, None),
        (of("Kustomization", KUSTOMIZE, prune=True), "spec/prune", False, "sync-weakened"),
        (
            of("HelmRelease", HELM, driftDetection={"mode": "enabled"}),
            "spec/driftDetection/mode",
            "warn",
            "sync-weakened",
        ),
        (of("GitRepository", SOURCE), "spec/ignore", "*.json", "not-packed"),
        (of("GitRepository", SOURCE, ignore="*.json"), "spec/ignore", "", None),
    ],
)
def test_what_is_switched_off(before: Json, path: str, value: Any, says: str | None) -> None:
    found = analyzed(suspension.analyze, before, put(path, value))
    assert found == ([f"{says}: {before['kind']} n/a"] if says else [])


def test_what_waits_for_it_is_named() -> None:
    before, after = of("HelmRelease", HELM), of("HelmRelease", HELM, suspend=True)
    other = {**of("HelmRelease", HELM, dependsOn=[{"name": "a"}]), "metadata": {"name": "b"}}
    (flag,) = suspension.analyze(pair(cluster(before, other), cluster(after, other)))
    assert isinstance(flag, Flag)
    assert flag.why.endswith("HelmRelease b waits for it.")


def test_a_release_that_is_kept_elsewhere_is_installed_anew() -> None:
    before = of("HelmRelease", HELM)
    put_there = put("spec/storageNamespace", "m")
    assert analyzed(removal.analyze, before, put_there) == ["release-renamed: release a"]
    assert analyzed(removal.analyze, before, put("spec/storageNamespace", "n")) == []
