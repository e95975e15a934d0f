"""Disruptions of a synced cluster: each is reported by Flux, ends, and changes nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.cluster.e2e import checks
from scripts.cluster.e2e.environment import Environment
from scripts.cluster.e2e.prometheus_operator import MONITORING, run_operator
from scripts.core.findings import Finding, RepositoryError
from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json
from scripts.model import charts
from scripts.model.api_groups import HELM, KUSTOMIZE, SOURCE
from scripts.model.manifests import NAMESPACES, Release
from scripts.servers.git_remote import append_to_list
from scripts.servers.kubernetes import flux
from scripts.servers.kubernetes.client import KubernetesError, Object, qualified_name
from scripts.servers.registry import renumbered

GRAFANA = (f"{HELM}/v2", "HelmRelease", "grafana", MONITORING)


@dataclass(frozen=True)
class DisruptionResult:
    """What came of a disruption.

    Attributes:
        message: What Flux reports; empty where it reports nothing, as it corrects it by itself.
        reported: Seconds until Flux reported it.
        recovered: Seconds from the end of the disruption until all is ready again.
    """

    message: str
    reported: float
    recovered: float


@dataclass(frozen=True)
class Disruption:
    """One kind of disruption.

    Attributes:
        name: What goes wrong, in a few words.
        run: Causes it, waits for Flux' message, ends it and waits until all is ready.
        replaced_pods: Matches names of pods that it replaces; no other pod may be replaced.
    """

    name: str
    run: Callable[[Environment], DisruptionResult]
    replaced_pods: str = ""


def run(env: Environment, disruption: Disruption) -> tuple[DisruptionResult, list[Finding]]:
    """Cause a disruption, and check that it changes nothing but what it is about.

    Returns:
        What came of it, and a finding for each other pod of ours or object of others that changed.

    Raises:
        RepositoryError: If Flux does not report it, or does not recover in time.
    """
    pods, others = running_pods(env), checks.foreign_versions(env.client)
    result = disruption.run(env)
    place = f"{env.sync.name}, {disruption.name}"
    findings = checks.changed_by_sync(env.client, others, place)
    after = running_pods(env)
    findings += [
        Finding(f"{place} pod {name}", None, "was replaced or is gone", "find what did it")
        for name, uid in pods.items()
        if after.get(name) != uid
        and not (disruption.replaced_pods and re.match(disruption.replaced_pods, name))
    ]
    return result, findings


def running_pods(env: Environment) -> dict[str, str]:
    """Return the uid of every running pod of ours by its name."""
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for name in NAMESPACES
        for pod in env.client.all("v1", "Pod", name)
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
    }


def _wait_for_message(env: Environment, pattern: str) -> tuple[str, float]:
    """Wait until Flux reports something of an object that is not ready.

    Returns:
        The object and the message, and how long it took, in seconds.
    """
    found: list[str] = []

    def missing() -> str:
        unready = env.unready()
        found[:] = [f"{name}: {text}" for name, text in unready.items() if re.search(pattern, text)]
        return "" if found else f"no message has {pattern!r}, but {unready}"

    took = env.until(missing, "Flux does not report the disruption", timeout=90)
    return " ".join(found[0].split()), took


def _bad_commit(
    change: Callable[[Environment, Path], object], pattern: str
) -> Callable[[Environment], DisruptionResult]:
    """Return a disruption by a commit, which its revert ends."""

    def run(env: Environment) -> DisruptionResult:
        env.push("A disruption", lambda tree: change(env, tree))
        message, reported = _wait_for_message(env, pattern)
        env.revert()
        return DisruptionResult(message, reported, env.wait_for_sync())

    return run


def _patch_last(env: Environment, tree: Path, item: Object, patch: Json) -> None:
    """Have the overlay patch an object after all its other patches."""
    path = _folder(env, item) / "kustomization.yaml"
    names = {key: item[key] for key in ("apiVersion", "kind")}
    metadata = {"name": item["metadata"]["name"]}
    document = yaml.safe_dump({**names, "metadata": metadata, **patch}, sort_keys=False)
    target = {"kind": item["kind"], "name": item["metadata"]["name"]}
    append_to_list(tree / path, "patches", {"target": target, "patch": document})


def _folder(env: Environment, item: Object) -> Path:
    """Return the folder that an object is built from."""
    return next(Path(unit.path) for unit in env.sync.units if item in unit.objects)


def _declared(env: Environment, kind: str, name: str) -> Object:
    """Return an object of ours as it is built."""
    for item in env.sync.objects():
        if item["kind"] == kind and item["metadata"]["name"] == name:
            return item
    text = f"a disruption is about {kind} {name}, and {env.sync.name} has none"
    raise RepositoryError(
        Finding("scripts/cluster/e2e/disruptions.py", None, text, "let it be about another")
    )


def _set_values(env: Environment, tree: Path, name: str, values: Json) -> None:
    """Change values of a release."""
    item = _declared(env, "HelmRelease", name)
    _patch_last(env, tree, item, {"spec": {"values": values}})


def _unbuildable(env: Environment, tree: Path) -> None:
    path = _folder(env, _declared(env, "HelmRelease", "grafana")) / "kustomization.yaml"
    append_to_list(tree / path, "resources", "missing.yaml")


def _bad_value(env: Environment, tree: Path) -> None:
    _set_values(env, tree, "loki", {"ingress": "enabled"})


def _version(env: Environment) -> str:
    return _release(env, "grafana").version


def _release(env: Environment, name: str) -> Release:
    return next(r for r in env.sync.releases if r.name == name)


def _next_version(env: Environment) -> str:
    return re.sub(r"\d+$", lambda found: str(int(found[0]) + 1), _version(env))


def _bump_chart(env: Environment, tree: Path) -> None:
    item = _declared(env, "OCIRepository", "grafana")
    _patch_last(env, tree, item, {"spec": {"ref": {"tag": _next_version(env), "digest": None}}})


def _pin_chart(env: Environment, tree: Path, digest: str) -> None:
    item = _declared(env, "OCIRepository", "grafana")
    _patch_last(env, tree, item, {"spec": {"ref": {"digest": digest}}})


def _pin_what_is_not_there(env: Environment, tree: Path) -> None:
    _pin_chart(env, tree, f"sha256:{'0' * 64}")


def _resize_volume(env: Environment, tree: Path) -> None:
    """Resize Loki's volume, or let it have one."""
    persistence = _release(env, "loki").values.get("singleBinary", {}).get("persistence", {})
    size = f"{2 * quantity(persistence.get('size', '10Gi')):.0f}"
    more = {"enabled": True, "size": size}
    _set_values(env, tree, "loki", {"singleBinary": {"persistence": more}})


def _more_cpu(env: Environment, tree: Path) -> None:
    """Let Grafana request a little more: a change that replaces its pod."""
    requests = _release(env, "grafana").values.get("resources", {}).get("requests", {})
    cpu = f"{quantity(requests.get('cpu', 0)) * 1000 + 1:.0f}m"
    _set_values(env, tree, "grafana", {"resources": {"requests": {"cpu": cpu}}})


def dashboard_config_maps(env: Environment) -> list[str]:
    """Return the ConfigMaps with dashboards that Grafana mounts."""
    return list(_release(env, "grafana").values["dashboardsConfigMaps"].values())


def _registry_down(env: Environment) -> DisruptionResult:
    env.registry.down()
    source = env.client.get(f"{SOURCE}/v1", "OCIRepository", "grafana", MONITORING)
    env.reconcile(source)
    message, reported = _wait_for_message(env, "connection refused")
    env.registry.up()
    env.reconcile(source)
    return DisruptionResult(message, reported, env.wait_for_sync())


def _remote_down(env: Environment) -> DisruptionResult:
    env.remote.down()
    env.reconcile_source()
    message, reported = _wait_for_message(env, "connection refused")
    env.remote.up()
    env.reconcile_source()
    return DisruptionResult(message, reported, env.wait_for_sync())


def _controller_killed(env: Environment) -> DisruptionResult:
    """Kill helm-controller while an upgrade waits for its pods, which kwok holds back."""
    env.processes.kill("kwok")
    env.push("Change a value", lambda tree: _more_cpu(env, tree))
    message, reported = _wait_for_message(env, "Running 'upgrade' action")
    env.until(lambda: _not_upgrading(env), "the upgrade does not begin")
    env.processes.kill("helm-controller")
    env.processes.restart("kwok")
    env.processes.restart("helm-controller")
    recovered = env.wait_for_sync()
    env.revert()
    env.wait_for_sync()
    return DisruptionResult(message, reported, recovered)


def _not_upgrading(env: Environment) -> str:
    """Say what the states of Grafana's release are; empty once one is a pending upgrade."""
    states = {
        secret["metadata"]["labels"]["status"]
        for secret in env.client.all("v1", "Secret", MONITORING)
        if secret["metadata"].get("labels", {}).get("owner") == "helm"
        and secret["metadata"]["labels"]["name"] == "grafana"
    }
    return "" if "pending-upgrade" in states else f"releases are {states}"


def _deployment_edited(env: Environment) -> DisruptionResult:
    """Scale Grafana's Deployment to zero, as somebody might by hand."""
    deployment = env.client.get("apps/v1", "Deployment", "grafana", MONITORING)
    env.client.patch(deployment, {"spec": {"replicas": 0}})
    wanted = deployment["spec"]["replicas"]
    return _drift_corrected(env, GRAFANA, lambda: _unready_replicas(env, wanted))


def _unready_replicas(env: Environment, wanted: int) -> str:
    found = env.client.get("apps/v1", "Deployment", "grafana", MONITORING)
    ready = found.get("status", {}).get("readyReplicas", 0)
    return "" if found["spec"]["replicas"] == ready == wanted else f"{ready} replicas are ready"


def _dashboards_deleted(env: Environment) -> DisruptionResult:
    """Delete the dashboards of a folder."""
    item = env.client.get("v1", "ConfigMap", dashboard_config_maps(env)[0], MONITORING)
    env.client.delete(item)
    name = item["metadata"]["labels"][f"{KUSTOMIZE}/name"]
    owner = (f"{KUSTOMIZE}/v1", "Kustomization", name, flux.NAMESPACE)
    return _drift_corrected(env, owner, lambda: "" if env.client.read(item) else "it is not there")


def _drift_corrected(
    env: Environment, owner: tuple[str, str, str, str], missing: Callable[[], str]
) -> DisruptionResult:
    """Have Flux reconcile what owns an object, as it does in each interval, and wait."""
    env.reconcile(env.client.get(*owner))
    recovered = env.until(missing, "drift is not reverted")
    return DisruptionResult("", 0.0, recovered + env.wait_for_sync())


def _remove_dashboard_and_rule(env: Environment, tree: Path) -> None:
    """Leave out the last dashboard of the last folder, and the first PrometheusRule."""
    boards = _declared(env, "ConfigMap", dashboard_config_maps(env)[-1])
    rule = next(item for item in env.sync.objects() if item["kind"] == "PrometheusRule")
    _patch_last(env, tree, boards, {"data": {sorted(boards["data"])[-1]: None}})
    _patch_last(env, tree, rule, {"$patch": "delete"})


def _pruned(env: Environment) -> DisruptionResult:
    """Take a dashboard and a PrometheusRule out of what is synced."""
    boards = _declared(env, "ConfigMap", dashboard_config_maps(env)[-1])
    rule = next(item for item in env.sync.objects() if item["kind"] == "PrometheusRule")
    file = sorted(boards["data"])[-1]

    def missing() -> str:
        if file in (env.client.read(boards) or {}).get("data", {}):
            return "the dashboard is still there"
        return "the rule is still there" if env.client.read(rule) else ""

    env.push("Remove a dashboard and a rule", lambda tree: _remove_dashboard_and_rule(env, tree))
    reported = env.until(missing, "what left the repository is not pruned")
    env.wait_for_sync()
    env.revert()
    recovered = env.wait_for_sync()
    if not env.client.read(rule) or file not in (env.client.read(boards) or {})["data"]:
        text, fix = "does not come back with the revert", "see its Kustomization's status"
        raise RepositoryError(Finding(f"{env.sync.name} {qualified_name(rule)}", None, text, fix))
    return DisruptionResult("", reported, recovered)


def _chart_upgraded(env: Environment) -> DisruptionResult:
    """Upgrade Grafana's chart to a next version, and roll it back by a revert."""
    release = _release(env, "grafana")
    folder = env.processes.folder("charts")
    archive = renumbered(charts.archive(release), _next_version(env), folder)
    env.registry.push(archive, release)
    env.push("Upgrade Grafana", lambda tree: _bump_chart(env, tree))
    reported = env.wait_for_sync()
    _check_installed(env, _next_version(env))
    env.revert()
    recovered = env.wait_for_sync()
    _check_installed(env, _version(env))
    return DisruptionResult("", reported, recovered)


def _check_installed(env: Environment, version: str, digest: str = "") -> None:
    """Check that Helm has installed a version of Grafana's chart, and the content of a digest."""
    history = env.client.get(*GRAFANA)["status"]["history"]
    found = str(history[0]["chartVersion"])
    other = _installed_otherwise(env, digest) if digest else ""
    if found.partition("+")[0] != version or other:
        text = f"is chart {found}, not {version} {digest}"
        raise RepositoryError(Finding("HelmRelease grafana", None, text, "see its status"))


def _chart_pushed_again(env: Environment) -> DisruptionResult:
    """Push other content as a chart's version: a digest keeps it out, and a tag does not."""
    release, folder = _release(env, "grafana"), env.processes.folder("pushed-again")
    archive = charts.archive(release)
    pinned = env.registry.push(archive, release)
    env.push("Pin Grafana's chart", lambda tree: _pin_chart(env, tree, pinned))
    env.wait_for_sync()
    other = env.registry.push(renumbered(archive, release.version, folder), release)
    _look_at_charts(env)
    env.wait_for_sync()
    _check_installed(env, release.version, pinned)
    env.revert()
    reported = env.until(
        lambda: _installed_otherwise(env, other), "the tag's content does not come"
    )
    env.registry.push(archive, release)
    _look_at_charts(env)
    recovered = env.until(lambda: _installed_otherwise(env, pinned), "the chart does not come back")
    return DisruptionResult("", reported, recovered + env.wait_for_sync())


def _look_at_charts(env: Environment) -> None:
    """Have Flux look at the source of Grafana's chart, and wait until it has."""
    key = (f"{SOURCE}/v1", "OCIRepository", "grafana", MONITORING)
    env.reconcile(env.client.get(*key))

    def unseen() -> str:
        item = env.client.get(*key)
        asked = item["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"]
        seen = item["status"].get("lastHandledReconcileAt")
        return "" if seen == asked else f"it has looked at {seen}"

    env.until(unseen, "Flux does not look at a source")


def _installed_otherwise(env: Environment, digest: str) -> str:
    """Say what is installed of Grafana's chart in place of a digest; empty if it is that."""
    status = env.client.get(*GRAFANA)["status"]
    found = status.get("lastAttemptedRevisionDigest")
    # Flux writes the first digits behind the version.
    installed = str(status["history"][0]["chartVersion"]).partition("+")[2]
    same = found == digest and digest.removeprefix("sha256:").startswith(installed or "-")
    return "" if same else f"{found} is installed as {installed}"


def _namespace_deleted(env: Environment) -> DisruptionResult:
    """Delete our namespace, which waits for the deletion of everything in it."""
    namespace = env.client.get("v1", "Namespace", MONITORING)
    env.client.delete(namespace)
    uid = namespace["metadata"]["uid"]

    def remaining() -> str:
        try:
            now = env.client.get("v1", "Namespace", MONITORING)
        except KubernetesError:
            return ""
        if now["metadata"]["uid"] != uid:
            return ""
        conditions = now["status"].get("conditions", ())
        messages = [str(one["message"]) for one in conditions if one["status"] == "True"]
        return "; ".join(messages) or "it is there"

    reported = env.until(remaining, "the namespace does not go")
    _recreate_volumes(env)
    # Its owner makes namespace and Secrets again, as for an install; Flux does the rest.
    began = time.monotonic()
    env.make_secrets()
    for owner in env.client.all(f"{KUSTOMIZE}/v1", "Kustomization", flux.NAMESPACE):
        env.reconcile(owner)
    env.until(lambda: _missing_releases(env), "the releases do not come back")
    env.wait_for_sync()
    run_operator(env)
    return DisruptionResult("", reported, time.monotonic() - began)


def _missing_releases(env: Environment) -> str:
    found = {item["metadata"]["name"] for item in env.client.all(f"{HELM}/v2", "HelmRelease")}
    wanted = {release.owner[1] for release in env.sync.releases}
    return ", ".join(sorted(wanted - found))


def _recreate_volumes(env: Environment) -> None:
    """Delete the volumes that are released and make new ones, as their driver does."""
    there = env.client.all("v1", "PersistentVolume")
    released = [one for one in there if one["status"]["phase"] == "Released"]
    for volume in released:
        env.client.delete(volume)
    env.until(
        lambda: ", ".join(qualified_name(v) for v in released if env.client.read(v)), "volumes stay"
    )
    env.provision_volumes()


def _everything_removed(env: Environment) -> DisruptionResult:
    """Remove everything as the README says, wait until it is gone, and install it again."""
    data = checks.data_objects(env.client)
    own = f"clusters/{env.cluster}/flux"
    env.push("Remove the monitoring", lambda tree: _remove_kustomizations(tree / own))

    def remaining() -> str:
        found = [
            name
            for name, item in checks.objects_by_name(env.client)
            if _is_ours(item) and not checks.survives_removal(name)
        ]
        return f"{len(found)} objects, such as {found[0]}" if found else ""

    reported = env.until(remaining, "something stays")
    checks.check_data_kept(env, data)
    began = time.monotonic()
    env.revert()
    env.until(lambda: _missing_releases(env), "the releases do not come back")
    env.wait_for_sync()
    run_operator(env)
    return DisruptionResult("", reported, time.monotonic() - began)


def _remove_kustomizations(folder: Path) -> None:
    for path in folder.glob("*.yaml"):
        path.unlink()


def _is_ours(item: Object) -> bool:
    """Say whether an object came with a sync: in one of our namespaces, or labelled by Flux."""
    labels = item["metadata"].get("labels") or {}
    if any(key.startswith((f"{HELM}/", f"{KUSTOMIZE}/")) for key in labels):
        return labels.get(f"{KUSTOMIZE}/name") != "flux-system"
    return item["metadata"].get("namespace") in NAMESPACES and not (
        checks.is_ignored_orphan(qualified_name(item))
        or item["kind"] == "Secret"
        or item["metadata"].get("ownerReferences")
    )


DISRUPTIONS = (
    Disruption("a commit that does not build", _bad_commit(_unbuildable, "missing.yaml")),
    Disruption("a value that the chart refuses", _bad_commit(_bad_value, "ingress")),
    Disruption(
        "a chart's version that does not exist",
        _bad_commit(_bump_chart, r"MANIFEST_UNKNOWN|not found"),
    ),
    Disruption(
        "a chart's digest that does not exist",
        _bad_commit(_pin_what_is_not_there, r"MANIFEST_UNKNOWN|not found"),
    ),
    Disruption("a field that may not change", _bad_commit(_resize_volume, "Forbidden|forbidden")),
    Disruption("the registry down", _registry_down),
    Disruption("the Git remote down", _remote_down),
    Disruption("the controller killed in an upgrade", _controller_killed, "grafana-"),
    Disruption("a Deployment edited by hand", _deployment_edited, "grafana-"),
    Disruption("dashboards deleted by hand", _dashboards_deleted),
    Disruption("a dashboard and rules removed", _pruned),
    Disruption("a chart upgraded, and rolled back", _chart_upgraded, "grafana-"),
    Disruption("a chart pushed again as its version", _chart_pushed_again, "grafana-"),
    Disruption("our namespace deleted", _namespace_deleted, ".+"),
    Disruption("everything removed, and installed again", _everything_removed, ".+"),
)
