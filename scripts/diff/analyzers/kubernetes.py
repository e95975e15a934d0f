"""The Kubernetes of an environment and the next: APIs that are not served, charts and engines."""

from __future__ import annotations

from scripts.diff import objects
from scripts.diff.analyzers.wording import listed, transition
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model import kubernetes, schemas
from scripts.model.kubernetes import Lifecycle
from scripts.model.manifests import identity
from scripts.model.rendered import Cluster

TOPIC = "Kubernetes"


def apis(pair: ClusterPair) -> Analysis:
    """Find objects of API versions that a Kubernetes serves no more, and that are deprecated.

    Said of objects that the change brings, and of all where the environment's version moves.
    """
    now, was = (kubernetes.declared(cluster) for cluster in (pair.after, pair.before))
    newest = kubernetes.minor(schemas.kubernetes_versions()[-1])
    brought = {
        identity(after): after
        for _, before, after in pair.differing
        if after is not None and (before is None or before["apiVersion"] != after["apiVersion"])
    }
    found: dict[tuple[str, str], list[str]] = {}
    for name, manifest in brought.items():
        found.setdefault((str(manifest["apiVersion"]), str(manifest["kind"])), []).append(name)
    # Without a declared version, the environment may have any that is supported.
    for api, names in found.items():
        life = kubernetes.lifecycle(*api)
        if not kubernetes.served(*api):
            why = f"The CRD of {api[1]} does not serve {api[0]} any more."
            yield Flag(Danger.API_NOT_SERVED, listed(names), why, _use(life))
        elif now and life.introduced and life.introduced > now:
            why = f"Kubernetes serves {api[0]} from 1.{life.introduced} on, "
            why += f"and the environment has 1.{now}."
            fix = "Upgrade the cluster first, or use a version that it serves."
            yield Flag(Danger.API_NOT_SERVED, listed(names), why, fix)
        elif life.removed and life.removed <= (now + 1 if now else newest):
            yield _removed(names, api, life, now)
        elif life.deprecated is not None and life.deprecated <= (now or newest):
            text = f"{listed(names)}: {api[0]} is deprecated"
            more = f", use {life.replacement}" if life.replacement else ""
            yield Sentence(TOPIC, f"{text}{more}")
    if now and was and now != was:
        yield from _moved(pair.after, was, now, set(brought))


def supported(pair: ClusterPair) -> Analysis:
    """Find engines and charts that are not made for the environment's Kubernetes."""
    now, was = (kubernetes.declared(cluster) for cluster in (pair.after, pair.before))
    if now is None:
        return
    if was != now and (pair.before.sync.units or was is None):
        if was:
            text = transition("The environment has Kubernetes", f"1.{was}", f"1.{now}")
            yield Sentence(TOPIC, text)
        engine = pair.after.sync.engine
        text = kubernetes.outside(engine, now)
        if text and not (was and kubernetes.outside(engine, was)):
            why = f"{text}, and the environment has 1.{now}."
            fix = "Upgrade the engine first, or stay with a version that it is tested with."
            yield Flag(Danger.KUBERNETES_UNSUPPORTED, f"engine {engine}", why, fix)
    old = {r.name: (r.chart, r.version) for r in pair.before.sync.releases}
    for release in pair.after.sync.releases:
        if old.get(release.name) == (release.chart, release.version) and was == now:
            continue
        chart = f"{release.chart} {release.version}"
        if asks := kubernetes.refuses(release, now):
            why = f"{chart} asks for Kubernetes {asks}, and the environment has 1.{now}."
            fix = "Stay with a version of the chart that takes it, or upgrade the cluster first."
            yield Flag(Danger.KUBERNETES_UNSUPPORTED, f"release {release.name}", why, fix)
        elif asks := kubernetes.refuses(release, now + 1):
            text = f"{chart} asks for {asks}: not the next one, 1.{now + 1}"
            yield Sentence(TOPIC, text)


def _moved(cluster: Cluster, was: int, now: int, brought: set[str]) -> Analysis:
    """Find what is there already, and is removed by a newer Kubernetes or by the one behind it."""
    found: dict[tuple[tuple[str, str], Lifecycle], list[str]] = {}
    for manifest in objects.manifests(cluster):
        name, api = identity(manifest), (str(manifest["apiVersion"]), str(manifest["kind"]))
        life = kubernetes.lifecycle(*api)
        if life.removed and was < life.removed <= now + 1 and name not in brought:
            found.setdefault((api, life), []).append(name)
    for (api, life), names in found.items():
        own = list(dict.fromkeys(names))
        if life.removed and life.removed <= now:
            yield _removed(own, api, life, now)
        else:
            text = f"1.{now + 1}, the next one, serves no {api[1]} of {api[0]}: {listed(own)}"
            yield Sentence(TOPIC, text)


def _removed(names: list[str], api: tuple[str, str], life: Lifecycle, now: int | None) -> Flag:
    has = f", and the environment has 1.{now}" if now else ""
    why = f"Kubernetes serves no {api[1]} of {api[0]} from 1.{life.removed} on{has}."
    return Flag(Danger.API_NOT_SERVED, listed(names), why, _use(life))


def _use(life: Lifecycle) -> str:
    if life.replacement:
        return f"Use {life.replacement}, whose fields may differ."
    return "See the kind's API reference for what is in its place, or leave it out."
