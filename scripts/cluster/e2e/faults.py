"""Things that go wrong: each is made to happen, told in words, mended, and harms nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.cluster.e2e import checks
from scripts.cluster.e2e.stack import MONITORING, operator
from scripts.cluster.e2e.world import HELM, KUSTOMIZE, SOURCE, World
from scripts.core.findings import Finding, RepositoryError
from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json
from scripts.model import charts
from scripts.model.manifests import NAMESPACES, Release
from scripts.servers.git_remote import extend
from scripts.servers.kubernetes import flux
from scripts.servers.kubernetes.client import ApiError, Object, named
from scripts.servers.registry import renumbered

GRAFANA = (f"{HELM}/v2", "HelmRelease", "grafana", MONITORING)


@dataclass(frozen=True)
class Outcome:
    """What a fault did.

    Attributes:
        told: What Flux says of it; empty where there is nothing to say, as it is mended by itself.
        noticed: Seconds until it said so.
        recovered: Seconds from its being mended until all is ready again.
    """

    told: str
    noticed: float
    recovered: float


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: What goes wrong, in a few words.
        run: Makes it happen, waits for the words, mends it and waits until all is ready.
        moved: Matches names of pods that are replaced on the way; no other pod may be.
    """

    name: str
    run: Callable[[World], Outcome]
    moved: str = ""


def examined(world: World, fault: Fault) -> tuple[Outcome, list[Finding]]:
    """Let a fault happen, and see that it harmed nothing.

    Returns:
        What it did, and whatever of ours or of the application's did not stay as it was.

    Raises:
        RepositoryError: If it is not told in words, or not mended in time.
    """
    pods, others = running_pods(world), checks.versions(world.client)
    outcome = fault.run(world)
    place = f"{world.sync.name}, {fault.name}"
    findings = checks.untouched(world.client, others, place)
    after = running_pods(world)
    findings += [
        Finding(f"{place} pod {name}", None, "was replaced or is gone", "find what did it")
        for name, uid in pods.items()
        if after.get(name) != uid and not (fault.moved and re.match(fault.moved, name))
    ]
    return outcome, findings


def running_pods(world: World) -> dict[str, str]:
    """Return the uid of every running pod of ours by its name."""
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for name in NAMESPACES
        for pod in world.client.all("v1", "Pod", name)
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
    }


def _told(world: World, pattern: str) -> tuple[str, float]:
    """Wait until Flux says something of an object that is not ready.

    Returns:
        The object and the words, and how long it took, in seconds.
    """
    found: list[str] = []

    def missing() -> str:
        unready = world.unready()
        found[:] = [f"{name}: {said}" for name, said in unready.items() if re.search(pattern, said)]
        return "" if found else f"nobody says {pattern!r}, but {unready}"

    took = world.until(missing, "the fault is not told", patience=90)
    return " ".join(found[0].split()), took


def _commit(change: Callable[[World, Path], object], pattern: str) -> Callable[[World], Outcome]:
    """Return a fault that a commit brings and its revert mends."""

    def run(world: World) -> Outcome:
        world.push("A fault", lambda tree: change(world, tree))
        told, noticed = _told(world, pattern)
        world.revert()
        return Outcome(told, noticed, world.synced())

    return run


def _last_word(world: World, tree: Path, item: Object, patch: Json) -> None:
    """Have the overlay patch an object after all its other patches, whatever they say of it."""
    path = _folder(world, item) / "kustomization.yaml"
    names = {key: item[key] for key in ("apiVersion", "kind")}
    metadata = {"name": item["metadata"]["name"]}
    document = yaml.safe_dump({**names, "metadata": metadata, **patch}, sort_keys=False)
    target = {"kind": item["kind"], "name": item["metadata"]["name"]}
    extend(tree / path, "patches", {"target": target, "patch": document})


def _folder(world: World, item: Object) -> Path:
    """Return the folder that an object is built from."""
    return next(Path(unit.path) for unit in world.sync.units if item in unit.objects)


def _declared(world: World, kind: str, name: str) -> Object:
    """Return an object of ours as it is built."""
    for item in world.sync.objects():
        if item["kind"] == kind and item["metadata"]["name"] == name:
            return item
    text = f"a fault is about {kind} {name}, and {world.sync.name} has none"
    raise RepositoryError(
        Finding("scripts/cluster/e2e/faults.py", None, text, "let it be about another")
    )


def _valued(world: World, tree: Path, name: str, values: Json) -> None:
    """Have a release get other values."""
    item = _declared(world, "HelmRelease", name)
    _last_word(world, tree, item, {"spec": {"values": values}})


def _unbuildable(world: World, tree: Path) -> None:
    path = _folder(world, _declared(world, "HelmRelease", "grafana")) / "kustomization.yaml"
    extend(tree / path, "resources", "missing.yaml")


def _bad_value(world: World, tree: Path) -> None:
    _valued(world, tree, "loki", {"ingress": "enabled"})


def _tag(world: World) -> str:
    return _release(world, "grafana").version


def _release(world: World, name: str) -> Release:
    return next(r for r in world.sync.releases if r.name == name)


def _next_tag(world: World) -> str:
    return re.sub(r"\d+$", lambda found: str(int(found[0]) + 1), _tag(world))


def _bump(world: World, tree: Path) -> None:
    item = _declared(world, "OCIRepository", "grafana")
    _last_word(world, tree, item, {"spec": {"ref": {"tag": _next_tag(world), "digest": None}}})


def _volume(world: World, tree: Path) -> None:
    """Resize Loki's volume, or let it have one."""
    persistence = _release(world, "loki").values.get("singleBinary", {}).get("persistence", {})
    size = f"{2 * quantity(persistence.get('size', '10Gi')):.0f}"
    more = {"enabled": True, "size": size}
    _valued(world, tree, "loki", {"singleBinary": {"persistence": more}})


def _more_cpu(world: World, tree: Path) -> None:
    """Let Grafana request a little more: a change that replaces its pod."""
    requests = _release(world, "grafana").values.get("resources", {}).get("requests", {})
    cpu = f"{quantity(requests.get('cpu', 0)) * 1000 + 1:.0f}m"
    _valued(world, tree, "grafana", {"resources": {"requests": {"cpu": cpu}}})


def dashboards(world: World) -> list[str]:
    """Return the ConfigMaps with dashboards that Grafana mounts."""
    return list(_release(world, "grafana").values["dashboardsConfigMaps"].values())


def _registry_down(world: World) -> Outcome:
    world.registry.down()
    source = world.client.get(f"{SOURCE}/v1", "OCIRepository", "grafana", MONITORING)
    world.reconcile(source)
    told, noticed = _told(world, "connection refused")
    world.registry.up()
    world.reconcile(source)
    return Outcome(told, noticed, world.synced())


def _remote_down(world: World) -> Outcome:
    world.remote.down()
    world.tell()
    told, noticed = _told(world, "connection refused")
    world.remote.up()
    world.tell()
    return Outcome(told, noticed, world.synced())


def _killed(world: World) -> Outcome:
    """Kill helm-controller while an upgrade waits for its pods, which kwok holds back."""
    world.processes.kill("kwok")
    world.push("Change a value", lambda tree: _more_cpu(world, tree))
    told, noticed = _told(world, "Running 'upgrade' action")
    world.until(lambda: _pending(world), "the upgrade does not begin")
    world.processes.kill("helm-controller")
    world.processes.restart("kwok")
    world.processes.restart("helm-controller")
    recovered = world.synced()
    world.revert()
    world.synced()
    return Outcome(told, noticed, recovered)


def _pending(world: World) -> str:
    """Return nothing once Helm has written down that it is upgrading Grafana."""
    states = {
        secret["metadata"]["labels"]["status"]
        for secret in world.client.all("v1", "Secret", MONITORING)
        if secret["metadata"].get("labels", {}).get("owner") == "helm"
        and secret["metadata"]["labels"]["name"] == "grafana"
    }
    return "" if "pending-upgrade" in states else f"releases are {states}"


def _edited(world: World) -> Outcome:
    """Scale Grafana's Deployment to nothing, as somebody might by hand."""
    deployment = world.client.get("apps/v1", "Deployment", "grafana", MONITORING)
    world.client.patch(deployment, {"spec": {"replicas": 0}})
    return _mended(world, GRAFANA, lambda: _replicas(world))


def _replicas(world: World) -> str:
    found = world.client.get("apps/v1", "Deployment", "grafana", MONITORING)
    ready = found.get("status", {}).get("readyReplicas", 0)
    return "" if found["spec"]["replicas"] == ready == 1 else f"{ready} replicas are ready"


def _deleted(world: World) -> Outcome:
    """Delete the dashboards of a folder."""
    item = world.client.get("v1", "ConfigMap", dashboards(world)[0], MONITORING)
    world.client.delete(item)
    name = item["metadata"]["labels"][f"{KUSTOMIZE}/name"]
    owner = (f"{KUSTOMIZE}/v1", "Kustomization", name, flux.NAMESPACE)
    return _mended(world, owner, lambda: "" if world.client.read(item) else "it is not there")


def _mended(world: World, owner: tuple[str, str, str, str], missing: Callable[[], str]) -> Outcome:
    """Have Flux look at what owns an object, as it does in each interval, and see it reverted."""
    world.reconcile(world.client.get(*owner))
    recovered = world.until(missing, "drift is not reverted")
    return Outcome("", 0.0, recovered + world.synced())


def _fewer(world: World, tree: Path) -> None:
    """Leave out the last dashboard of the last folder, and the first PrometheusRule."""
    boards = _declared(world, "ConfigMap", dashboards(world)[-1])
    rule = next(item for item in world.sync.objects() if item["kind"] == "PrometheusRule")
    _last_word(world, tree, boards, {"data": {sorted(boards["data"])[-1]: None}})
    _last_word(world, tree, rule, {"$patch": "delete"})


def _pruned(world: World) -> Outcome:
    """Take a dashboard and a PrometheusRule out of what is synced."""
    boards = _declared(world, "ConfigMap", dashboards(world)[-1])
    rule = next(item for item in world.sync.objects() if item["kind"] == "PrometheusRule")
    file = sorted(boards["data"])[-1]

    def missing() -> str:
        if file in (world.client.read(boards) or {}).get("data", {}):
            return "the dashboard is still there"
        return "the rule is still there" if world.client.read(rule) else ""

    world.push("Remove a dashboard and a rule", lambda tree: _fewer(world, tree))
    noticed = world.until(missing, "what left the repository is not pruned")
    world.synced()
    world.revert()
    recovered = world.synced()
    if not world.client.read(rule) or file not in (world.client.read(boards) or {})["data"]:
        text, fix = "does not come back with the revert", "see its Kustomization's status"
        raise RepositoryError(Finding(f"{world.sync.name} {named(rule)}", None, text, fix))
    return Outcome("", noticed, recovered)


def _upgraded(world: World) -> Outcome:
    """Upgrade Grafana's chart to a next version, and roll it back by a revert."""
    release = _release(world, "grafana")
    folder = world.processes.folder("charts")
    archive = renumbered(charts.archive(release), _next_tag(world), folder)
    world.registry.push(archive, release)
    world.push("Upgrade Grafana", lambda tree: _bump(world, tree))
    noticed = world.synced()
    _installed(world, _next_tag(world))
    world.revert()
    recovered = world.synced()
    _installed(world, _tag(world))
    return Outcome("", noticed, recovered)


def _installed(world: World, version: str) -> None:
    """See that Helm has installed a version of Grafana's chart."""
    history = world.client.get(*GRAFANA)["status"]["history"]
    found = str(history[0]["chartVersion"])
    if found.partition("+")[0] != version:
        text = f"is chart {found}, not {version}"
        raise RepositoryError(Finding("HelmRelease grafana", None, text, "see its status"))


def _namespace(world: World) -> Outcome:
    """Delete our namespace, which everything in it has to leave first."""
    space = world.client.get("v1", "Namespace", MONITORING)
    world.client.delete(space)
    uid = space["metadata"]["uid"]

    def left() -> str:
        try:
            now = world.client.get("v1", "Namespace", MONITORING)
        except ApiError:
            return ""
        if now["metadata"]["uid"] != uid:
            return ""
        return (
            "; ".join(
                str(c["message"])
                for c in now["status"].get("conditions", ())
                if c["status"] == "True"
            )
            or "it is there"
        )

    noticed = world.until(left, "the namespace does not go")
    _released(world)
    # Its owner makes namespace and Secrets again, as for an install; Flux does the rest.
    began = time.monotonic()
    world.secrets()
    for owner in world.client.all(f"{KUSTOMIZE}/v1", "Kustomization", flux.NAMESPACE):
        world.reconcile(owner)
    world.until(lambda: _without_releases(world), "the releases do not come back")
    world.synced()
    operator(world)
    return Outcome("", noticed, time.monotonic() - began)


def _without_releases(world: World) -> str:
    found = {item["metadata"]["name"] for item in world.client.all(f"{HELM}/v2", "HelmRelease")}
    wanted = {release.owner[1] for release in world.sync.releases}
    return ", ".join(sorted(wanted - found))


def _released(world: World) -> None:
    """Do what the volumes' driver does: delete what nobody claims any more, and make it new."""
    there = world.client.all("v1", "PersistentVolume")
    released = [one for one in there if one["status"]["phase"] == "Released"]
    for volume in released:
        world.client.delete(volume)
    world.until(
        lambda: ", ".join(named(v) for v in released if world.client.read(v)), "volumes stay"
    )
    world.provision()


def kept(name: str) -> bool:
    """Say whether an object of this name stays when all is removed, or goes with one that does."""
    return bool(checks.HELD.fullmatch(name)) or name.startswith("APIService.")


def unharmed(world: World, before: Mapping[str, str]) -> None:
    """See that a removal took nothing along that holds data.

    Raises:
        RepositoryError: If it did.
    """
    if said := checks.lost(world.client, before):
        text, fix = f"removed with all else: {said}", "keep it from being pruned"
        raise RepositoryError(Finding(world.sync.name, None, text, fix))


def _removed(world: World) -> Outcome:
    """Remove everything as the README says, see that nothing is left, and install it again."""
    held = checks.held(world.client)
    own = f"clusters/{world.cluster}/flux"
    world.push("Remove the monitoring", lambda tree: _without_units(tree / own))

    def left() -> str:
        found = [
            name for name, item in checks.everything(world.client) if _ours(item) and not kept(name)
        ]
        return f"{len(found)} objects, such as {found[0]}" if found else ""

    noticed = world.until(left, "something stays")
    unharmed(world, held)
    began = time.monotonic()
    world.revert()
    world.until(lambda: _without_releases(world), "the releases do not come back")
    world.synced()
    operator(world)
    return Outcome("", noticed, time.monotonic() - began)


def _without_units(folder: Path) -> None:
    for path in folder.glob("*.yaml"):
        path.unlink()


def _ours(item: Object) -> bool:
    """Say whether an object came with a sync: in one of our namespaces, or labelled by Flux."""
    labels = item["metadata"].get("labels") or {}
    if any(key.startswith((f"{HELM}/", f"{KUSTOMIZE}/")) for key in labels):
        return labels.get(f"{KUSTOMIZE}/name") != "flux-system"
    return item["metadata"].get("namespace") in NAMESPACES and not (
        checks.explained(named(item))
        or item["kind"] == "Secret"
        or item["metadata"].get("ownerReferences")
    )


FAULTS = (
    Fault("a commit that does not build", _commit(_unbuildable, "missing.yaml")),
    Fault("a value that the chart refuses", _commit(_bad_value, "ingress")),
    Fault(
        "a chart's version that does not exist",
        _commit(_bump, r"MANIFEST_UNKNOWN|not found"),
    ),
    Fault("a field that may not change", _commit(_volume, "Forbidden|forbidden")),
    Fault("the registry down", _registry_down),
    Fault("the Git remote down", _remote_down),
    Fault("the controller killed in an upgrade", _killed, "grafana-"),
    Fault("a Deployment edited by hand", _edited, "grafana-"),
    Fault("dashboards deleted by hand", _deleted),
    Fault("a dashboard and rules removed", _pruned),
    Fault("a chart upgraded, and rolled back", _upgraded, "grafana-"),
    Fault("our namespace deleted", _namespace, ".+"),
    Fault("everything removed, and installed again", _removed, ".+"),
)
