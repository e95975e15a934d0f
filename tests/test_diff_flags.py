"""What each topic of `make diff` says of two states of an object, and of the others nothing."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from scripts.checks.policies import POD_SECURITY
from scripts.checks.routing import TEMPLATE
from scripts.diff.model import Flag
from scripts.diff.objects import Pair
from scripts.diff.readers import (
    access,
    alerts,
    dashboards,
    immutable,
    objectives,
    redaction,
    removal,
    retention,
    routing,
    scale,
    secrets,
    storage,
    targets,
)
from scripts.findings import RepositoryError
from scripts.manifests import Entry, Release, Repository, Unit, of_engine
from scripts.rendered import Cluster, Item

Json = dict[str, Any]
Edit = Callable[[Json], object]


def cluster(*manifests: Json, releases: Iterable[Release] = (), unit: str = "unit") -> Cluster:
    """A cluster that applies these objects, and no chart."""
    entry = Entry("one", "flux", [Unit(unit, "overlays/none", list(manifests))], list(releases))
    items = tuple(Item(m) for m in manifests if not of_engine(m))
    return Cluster(Repository(Path("/nonexistent")), entry, items)


def pair(before: Cluster, after: Cluster) -> Pair:
    releases = (before.entry.releases, after.entry.releases)
    return Pair("one/flux", before, after, releases, whole=True)


def manifest(kind: str, *, api: str = "v1", **fields: Any) -> Json:
    metadata = {"name": "a", "namespace": "n", **fields.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def said(reader: Callable[[Pair], Any], before: Json, edit: Edit | None) -> list[str]:
    """What a topic says when one object is edited; removed without an edit."""
    after = copy.deepcopy(before)
    if edit:
        edit(after)
    found = reader(pair(cluster(before), cluster(after) if edit else cluster()))
    return [f"{one.name}: {one.where}" if isinstance(one, Flag) else one.text for one in found]


def put(path: str, value: Any) -> Edit:
    """An edit that sets one value; None takes it out. `~` stands for a slash in a key."""

    def edit(at: Json) -> None:
        *way, last = (key.replace("~", "/") for key in path.split("/"))
        for key in way:
            at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
        if value is None:
            del at[last]
        else:
            at[last] = value

    return edit


WORKLOAD = {
    "replicas": 2,
    "selector": {"matchLabels": {"a": "a"}},
    "template": {
        "metadata": {"labels": {"a": "a"}},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ]
        },
    },
}
CLAIM = {"storageClassName": "fast", "resources": {"requests": {"storage": "5Gi"}}}
STATEFUL = manifest(
    "StatefulSet",
    api="apps/v1",
    spec={
        **WORKLOAD,
        "serviceName": "a",
        "volumeClaimTemplates": [
            {"metadata": {"name": "v", "labels": {"helm.sh/chart": "a-1.0.0"}}, "spec": CLAIM}
        ],
    },
)
DEPLOYMENT = manifest("Deployment", api="apps/v1", spec=WORKLOAD)
SERVICE = manifest("Service", spec={"clusterIP": "None", "ports": [{"port": 80}]})
BINDING = manifest(
    "RoleBinding",
    api="rbac.authorization.k8s.io/v1",
    roleRef={"kind": "Role", "name": "r"},
    subjects=[{"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
)
ROLE = manifest(
    "Role",
    api="rbac.authorization.k8s.io/v1",
    rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
)
PROJECT = manifest(
    "AppProject",
    api="argoproj.io/v1alpha1",
    spec={
        "sourceRepos": ["a"],
        "destinations": [{"server": "s", "namespace": "n"}],
        "clusterResourceBlacklist": [{"group": "", "kind": "Node"}],
    },
)
CONTAINER = "spec/template/spec/containers/0"


@pytest.mark.parametrize(
    ("before", "path", "value", "fields"),
    [
        (STATEFUL, "spec/serviceName", "b", "spec.serviceName"),
        (STATEFUL, "spec/podManagementPolicy", "Parallel", "spec.podManagementPolicy"),
        (STATEFUL, "spec/selector/matchLabels/b", "b", "spec.selector.matchLabels.b"),
        # A label that is noise elsewhere: the API server compares it.
        (
            STATEFUL,
            "spec/volumeClaimTemplates/0/metadata/labels/helm.sh~chart",
            "a-1.0.1",
            "spec.volumeClaimTemplates[0].metadata.labels[helm.sh/chart]",
        ),
        (STATEFUL, "spec/volumeClaimTemplates/0/kind", "PersistentVolumeClaim", None),
        (STATEFUL, "spec/replicas", 3, None),
        (DEPLOYMENT, "spec/selector/matchLabels/a", "b", "spec.selector.matchLabels.a"),
        (DEPLOYMENT, "spec/template/metadata/labels/b", "b", None),
        (SERVICE, "spec/clusterIP", None, "spec.clusterIP"),
        (SERVICE, "spec/clusterIPs", ["10.0.0.1"], None),
        (SERVICE, "spec/type", "ClusterIP", None),
        (BINDING, "roleRef/name", "b", "roleRef.name"),
        (
            manifest("PersistentVolumeClaim", spec=CLAIM),
            "spec/storageClassName",
            "b",
            "spec.storageClassName",
        ),
        (manifest("StorageClass", provisioner="p"), "provisioner", "q", "provisioner"),
        (manifest("ConfigMap", immutable=True, data={"a": "1"}), "data/a", "2", "data"),
        (manifest("ConfigMap", data={"a": "1"}), "data/a", "2", None),
    ],
)
def test_a_field_that_cannot_change(
    before: Json, path: str, value: Any, fields: str | None
) -> None:
    after = copy.deepcopy(before)
    put(path, value)(after)
    found = list(immutable.read(pair(cluster(before), cluster(after))))
    if fields is None:
        assert found == []
    else:
        (flag,) = found
        assert isinstance(flag, Flag)
        assert flag.why.startswith(f"{fields} cannot be changed")


@pytest.mark.parametrize(
    ("before", "path", "value", "expected"),
    [
        (ROLE, "rules/0/verbs", ["get", "list", "watch"], ["rbac-widened: Role n/a"]),
        (ROLE, "rules/0/resources", ["pods", "pods/log"], []),
        (ROLE, "rules/0/resourceNames", ["only-this"], []),
        (ROLE, "rules/0/apiGroups", ["apps"], ["rbac-widened: Role n/a"]),
        (ROLE, "rules/0/verbs", ["get"], []),
        (
            BINDING,
            "subjects",
            [*BINDING["subjects"], {"kind": "Group", "name": "system:authenticated"}],
            ["rbac-widened: RoleBinding n/a"],
        ),
        (BINDING, "subjects", [], []),
    ],
)
def test_roles_and_bindings(before: Json, path: str, value: Any, expected: list[str]) -> None:
    assert said(access.roles, before, put(path, value)) == expected


def test_a_right_that_a_wider_one_covers_is_none_more() -> None:
    every = put("rules/0/verbs", ["*"])
    wide = copy.deepcopy(ROLE)
    every(wide)
    assert said(access.roles, ROLE, every) == ["rbac-widened: Role n/a"]
    assert said(access.roles, wide, put("rules/0/verbs", ["delete"])) == []
    # A role that is new allows all that it allows.
    found = list(access.roles(pair(cluster(), cluster(ROLE))))
    assert [one.why for one in found if isinstance(one, Flag)] == [
        "It allows more: pods (get, list)."
    ]


def test_a_binding_says_who_is_new() -> None:
    after = copy.deepcopy(BINDING)
    after["subjects"].append({"kind": "Group", "name": "g"})
    (flag,) = access.roles(pair(cluster(BINDING), cluster(after)))
    assert isinstance(flag, Flag)
    assert flag.why == "It gives Role r to Group g."


@pytest.mark.parametrize(
    ("before", "after", "looser"),
    [
        ("restricted", "baseline", True),
        ("baseline", "restricted", False),
        ("restricted", None, True),
        (None, "baseline", False),
    ],
)
def test_namespaces(before: str | None, after: str | None, looser: bool) -> None:
    one, other = (
        manifest("Namespace", metadata={"labels": {POD_SECURITY: level} if level else {}})
        for level in (before, after)
    )
    assert bool(list(access.namespaces(pair(cluster(one), cluster(other))))) == looser
    assert list(access.namespaces(pair(cluster(), cluster(other)))) == []
    assert list(access.namespaces(pair(cluster(one), cluster()))) == []


@pytest.mark.parametrize(
    ("path", "value", "widened"),
    [
        ("spec/sourceRepos", ["a", "b"], True),
        ("spec/sourceRepos", [], False),
        ("spec/destinations", [{"server": "*", "namespace": "*"}], True),
        ("spec/clusterResourceBlacklist", [], True),
        (
            "spec/clusterResourceBlacklist",
            [{"group": "", "kind": "Node"}, {"group": "", "kind": "Namespace"}],
            False,
        ),
        ("spec/sourceNamespaces", ["n"], True),
        ("spec/description", "text", False),
    ],
)
def test_projects(path: str, value: Any, widened: bool) -> None:
    assert bool(said(access.projects, PROJECT, put(path, value))) == widened


@pytest.mark.parametrize(
    ("path", "value", "power"),
    [
        (f"{CONTAINER}/securityContext/privileged", True, "container c: privileged"),
        (f"{CONTAINER}/securityContext/capabilities/add", ["NET_ADMIN"], "capability NET_ADMIN"),
        ("spec/template/spec/hostNetwork", True, "hostNetwork"),
        ("spec/template/spec/hostPID", True, "hostPID"),
        ("spec/template/spec/volumes", [{"name": "v", "hostPath": {"path": "/x"}}], "hostPath /x"),
        ("spec/template/spec/volumes", [{"name": "v", "emptyDir": {}}], None),
        (f"{CONTAINER}/image", "b", None),
    ],
)
def test_pods(path: str, value: Any, power: str | None) -> None:
    after = copy.deepcopy(DEPLOYMENT)
    put(path, value)(after)
    found = list(access.pods(pair(cluster(DEPLOYMENT), cluster(after))))
    assert [power in one.why for one in found if isinstance(one, Flag) and power] == [True] * len(
        found
    )
    assert bool(found) == (power is not None)
    # The way back is none that widens anything.
    assert list(access.pods(pair(cluster(after), cluster(DEPLOYMENT)))) == []


@pytest.mark.parametrize(
    ("before", "path", "value", "expected"),
    [
        (STATEFUL, "spec/volumeClaimTemplates", [], ["volume-removed: StatefulSet n/a, volume v"]),
        (
            STATEFUL,
            "spec/volumeClaimTemplates/0/spec/resources/requests/storage",
            "4096Mi",
            ["volume-shrunk: StatefulSet n/a, volume v"],
        ),
        (STATEFUL, "spec/volumeClaimTemplates/0/spec/resources/requests/storage", "5120Mi", []),
        (
            manifest("PersistentVolumeClaim", spec=CLAIM),
            "spec/resources/requests/storage",
            "1Gi",
            ["volume-shrunk: PersistentVolumeClaim n/a, its volume"],
        ),
        (
            manifest("PersistentVolumeClaim", spec=CLAIM),
            "spec/resources/requests/storage",
            "9Gi",
            [],
        ),
        (STATEFUL, None, None, []),
    ],
)
def test_volumes(before: Json, path: str | None, value: Any, expected: list[str]) -> None:
    assert said(storage.read, before, put(path, value) if path else None) == expected


def test_what_is_removed() -> None:
    kept = {"annotations": {"argocd.argoproj.io/sync-options": "Delete=false,Prune=false"}}
    assert said(removal.read, STATEFUL, None) == ["object-removed: StatefulSet n/a"]
    assert said(removal.read, manifest("Namespace"), None) == ["object-removed: Namespace n/a"]
    assert said(removal.read, manifest("ConfigMap"), None) == []
    before = pair(cluster(manifest("Namespace", metadata=kept)), cluster())
    (flag,) = removal.read(before)
    assert isinstance(flag, Flag)
    assert flag.why.startswith("It stays")


def test_a_release_in_another_namespace_and_one_by_another_name() -> None:
    def release(name: str, namespace: str = "n", chart: str = "c") -> Cluster:
        own = Release(name, namespace, chart, "1", "r", {}, ("HelmRelease", name))
        return cluster(releases=(own,))

    def names(before: Cluster, after: Cluster) -> list[str]:
        return [one.name for one in removal.read(pair(before, after)) if isinstance(one, Flag)]

    assert names(release("a"), release("a", "other")) == ["release-renamed"]
    assert names(release("a"), release("b")) == ["release-renamed"]
    assert names(release("a"), release("b", chart="other")) == ["release-removed"]
    assert names(release("a"), release("a")) == []
    own = cluster(manifest("ConfigMap"), releases=release("a").entry.releases)
    brought = dataclasses.replace(own, items=(Item(manifest("ConfigMap"), "a"), *own.items))
    (flag,) = removal.read(pair(brought, dataclasses.replace(release("b"), items=own.items)))
    assert isinstance(flag, Flag)
    assert "(1 object)" in flag.why


def test_replicas_and_restarts() -> None:
    assert said(scale.stopped, DEPLOYMENT, put("spec/replicas", 0)) == [
        "scaled-to-zero: Deployment n/a"
    ]
    assert said(scale.stopped, DEPLOYMENT, put("spec/replicas", 1)) == []
    assert said(scale.stopped, DEPLOYMENT, None) == []
    assert said(scale.restarted, DEPLOYMENT, put("spec/template/metadata/labels/b", "b")) == [
        "Deployment n/a: its pods are replaced"
    ]
    assert said(scale.restarted, DEPLOYMENT, put("spec/replicas", 1)) == []


def rules(*items: Json) -> Json:
    groups = [{"name": "g", "rules": list(items)}]
    return manifest("PrometheusRule", api="monitoring.coreos.com/v1", spec={"groups": groups})


ALERT = {"alert": "A", "expr": "a > 1", "for": "5m", "labels": {"severity": "warning", "team": "x"}}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({**ALERT, "for": "1m"}, ["A: for 5m → 1m"]),
        ({k: v for k, v in ALERT.items() if k != "for"}, ["A: for 5m → none"]),
        ({**ALERT, "keep_firing_for": "5m"}, ["A: keep_firing_for none → 5m"]),
        ({**ALERT, "expr": "b > 1"}, ["A: `a > 1` → `b > 1`"]),
        ({**ALERT, "expr": "a\n  > 1"}, []),
        (
            {**ALERT, "labels": {"severity": "info"}},
            ["A: severity warning → info, team x → none", "alert-weakened: alert A"],
        ),
        (
            {**ALERT, "labels": {"severity": "critical", "team": "x"}},
            ["A: severity warning → critical"],
        ),
        ({**ALERT, "annotations": {"summary": "s"}}, ["What these say changes: A"]),
        ({"record": "r", "expr": "1"}, ["A: removed, it was warning", "alert-removed: alert A"]),
    ],
)
def test_alerts(after: Json, expected: list[str]) -> None:
    found = alerts.read(pair(cluster(rules(ALERT)), cluster(rules(after))))
    assert [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in found] == expected


def test_an_alert_of_two_severities_loses_one() -> None:
    page = {**ALERT, "labels": {"severity": "critical"}}
    found = list(alerts.read(pair(cluster(rules(ALERT, page)), cluster(rules(ALERT)))))
    assert [one.text for one in found if not isinstance(one, Flag)] == [
        "A: removed, it was critical"
    ]


def test_alerts_of_one_name_are_paired_by_severity() -> None:
    page = {**ALERT, "labels": {"severity": "critical"}}
    later = [{**page, "for": "9m"}, {**ALERT, "for": "8m"}]
    found = alerts.read(pair(cluster(rules(ALERT, page)), cluster(rules(*later))))
    assert [one.text for one in found if not isinstance(one, Flag)] == [
        "A: for 5m → 8m",
        "A: for 5m → 9m",
    ]


def test_an_alert_that_is_new() -> None:
    found = list(alerts.read(pair(cluster(), cluster(rules(ALERT)))))
    assert [one.text for one in found if not isinstance(one, Flag)] == ["A: new, warning after 5m"]


def board(**fields: Any) -> Json:
    query = {"refId": "A", "expr": "up", "legendFormat": "x"}
    panel = {"title": "P", "type": "stat", "targets": [query], "gridPos": {"x": 0}, "id": 1}
    model = {"title": "B", "uid": "b", "panels": [panel], **fields}
    return manifest("ConfigMap", data={"b.json": json.dumps(model)})


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (put("panels/0/title", "Q"), ["B: panel “P” is called “Q”"]),
        (put("panels/0/gridPos/x", 3), ["B: 1 panel at another place or of another size"]),
        (put("panels/0/id", 9), []),
        (put("panels/0/targets/0/expr", "down"), ["B: “P”: query A: `up` → `down`"]),
        (
            put("panels/0/targets/0/legendFormat", "y"),
            ["B: “P”: targets[refId=A].legendFormat x → y"],
        ),
        (put("panels/0/targets", []), ["B: “P”: query A removed"]),
        (put("refresh", "5s"), ["B: refresh none → 5s"]),
        (put("panels", []), ["B: panel “P” removed"]),
    ],
)
def test_dashboards(edit: Edit, expected: list[str]) -> None:
    model = json.loads(board()["data"]["b.json"])
    edit(model)
    found = dashboards.read(pair(cluster(board()), cluster(board(**model))))
    assert [one.text for one in found if not isinstance(one, Flag)] == expected


def test_a_data_source_that_is_gone_or_another() -> None:
    def grafana(chart: str = "grafana", **uids: str) -> Cluster:
        sources = [{"name": name, "uid": uid} for name, uid in uids.items()]
        values = {"datasources": {"a.yaml": {"datasources": sources}}}
        return cluster(releases=(Release("g", "n", chart, "1", "r", values, ("HelmRelease", "g")),))

    def why(before: Cluster, after: Cluster) -> list[str]:
        found = dashboards.sources(pair(before, after))
        return [one.why for one in found if isinstance(one, Flag)]

    assert why(grafana(A="a", B="b"), grafana(B="b")) == [
        "Panels ask the data source a, which is gone: they stay empty."
    ]
    assert why(grafana(A="a"), grafana(A="x")) == [
        "Panels ask the data source a, which is now x: they stay empty."
    ]
    assert why(grafana(A="a"), grafana(A="a", B="b")) == []
    assert why(grafana("other", A="a"), grafana("other", A="x")) == []


def test_dashboards_that_come_and_go() -> None:
    assert said(dashboards.read, board(), None) == ["B: removed"]
    found = list(dashboards.read(pair(cluster(), cluster(board()))))
    assert [one.text for one in found if not isinstance(one, Flag)] == ["B: new, 1 panel"]


def configured(limits: Json, *, deletes: bool = True, periods: tuple[Json, ...] = ()) -> Json:
    compactor = f"compactor: {{retention_enabled: {json.dumps(deletes)}}}\n"
    schema = f"schema_config: {json.dumps({'configs': list(periods)})}\n"
    return manifest(
        "ConfigMap", data={"c.yaml": f"{compactor}limits_config: {json.dumps(limits)}\n{schema}"}
    )


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (configured({"retention_period": "7d"}), configured({"retention_period": "168h"}), 0),
        (configured({"retention_period": "7d"}), configured({"retention_period": "6d"}), 1),
        (configured({"retention_period": "0s"}), configured({"retention_period": "6d"}), 1),
        (configured({"retention_period": "7d"}), configured({}), 0),
        (
            configured({"retention_period": "7d"}, deletes=False),
            configured({"retention_period": "7d"}),
            1,
        ),
        (
            configured({"retention_period": "7d"}),
            configured(
                {
                    "retention_period": "7d",
                    "retention_stream": [{"selector": "{a}", "period": "1d"}],
                }
            ),
            1,
        ),
    ],
)
def test_retention(before: Json, after: Json, flags: int) -> None:
    found = list(retention.retention(pair(cluster(before), cluster(after))))
    assert sum(isinstance(one, Flag) for one in found) == flags


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        (["2020-01-01"], ["2020-01-01"], 0),
        (["2020-01-01"], ["2020-01-01", "2030-06-02"], 0),
        (["2020-01-01"], ["2020-01-01", "2030-06-01"], 1),
        (["2020-01-01", "2025-01-01"], ["2020-01-01"], 1),
        # It has not begun, so nothing is stored by it.
        (["2020-01-01", "2030-07-01"], ["2020-01-01"], 0),
    ],
)
def test_periods_of_the_schema(before: list[str], after: list[str], flags: int) -> None:
    one, other = (
        configured({}, periods=tuple({"from": start} for start in side)) for side in (before, after)
    )
    today = datetime.date(2030, 6, 1)
    found = list(retention.schema(pair(cluster(one), cluster(other)), today))
    assert sum(isinstance(one, Flag) for one in found) == flags


def test_scrape_targets() -> None:
    monitor = manifest(
        "PodMonitor",
        api="monitoring.coreos.com/v1",
        spec={"sampleLimit": 5, "podMetricsEndpoints": [{"port": "p"}]},
    )
    assert said(targets.read, monitor, None) == ["PodMonitor n/a: removed"]
    assert said(targets.read, monitor, put("spec/podMetricsEndpoints/0/interval", "5s")) == [
        "PodMonitor n/a: podMetricsEndpoints[port=p].interval none → 5s"
    ]
    assert said(targets.read, monitor, put("metadata/labels", {"helm.sh/chart": "b"})) == []
    assert said(targets.read, manifest("ConfigMap"), put("data", {"a": "b"})) == []


def pipeline(*stages: tuple[str, str]) -> Json:
    """A pipeline with stages of an expression and what is put in its place."""
    text = "".join(
        f"    stage.replace {{\n      expression = `{one}`\n      replace = `{other}`\n    }}\n"
        for one, other in stages
    )
    return manifest("ConfigMap", data={"p.alloy": text})


ONE = ("a+", "<redacted:x>")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([ONE, ("b", "")], []),
        ([], ["p.alloy, x: is not taken out any more", "redaction-weakened: p.alloy, x"]),
        ([ONE, ("b", "<redacted:y>")], ["p.alloy, y: is taken out from now on"]),
        (
            [("a{2}", "<redacted:x>")],
            [
                "p.alloy, x: 1 expression removed, 1 expression added",
                "redaction-changed: p.alloy, x",
            ],
        ),
        (
            [("a+", "{{ .Value }}<redacted:x>")],
            ["p.alloy, x: what stands in its place changes", "redaction-changed: p.alloy, x"],
        ),
        (
            [("a+", "{{ .Value }}")],
            ["p.alloy, x: is not taken out any more", "redaction-weakened: p.alloy, x"],
        ),
        ([ONE, ("b", "<redacted:x>")], ["p.alloy, x: 1 expression added"]),
    ],
)
def test_redaction(after: list[tuple[str, str]], expected: list[str]) -> None:
    found = redaction.read(pair(cluster(pipeline(ONE)), cluster(pipeline(*after))))
    assert [f"{o.name}: {o.where}" if isinstance(o, Flag) else o.text for o in found] == expected


def test_secrets() -> None:
    reference = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    before = copy.deepcopy(DEPLOYMENT)
    put(f"{CONTAINER}/env", [reference])(before)
    more = copy.deepcopy(reference)
    more["valueFrom"]["secretKeyRef"]["key"] = "other"  # type: ignore[index]
    assert said(secrets.read, DEPLOYMENT, put(f"{CONTAINER}/env", [reference])) == [
        "n/s with k is needed: create it before the merge (README.md)"
    ]
    assert said(secrets.read, before, put(f"{CONTAINER}/env", [reference, more])) == [
        "n/s needs other, too: add it before the merge"
    ]
    assert said(secrets.read, before, put(f"{CONTAINER}/env", [])) == [
        "n/s is not read any more: it may be deleted after the sync"
    ]


def test_objectives(tmp_path: Path) -> None:
    def tree(name: str, *objectives: Json) -> Path:
        path = tmp_path / name / "base/config/slos/a.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"slos": objectives}))
        return tmp_path / name

    kept = {"name": "a", "objective": 99, "sli": {"q": "a"}, "alerting": {"name": "A"}}
    empty = tree("empty")
    one = tree("one", kept)
    other = tree("other", {**kept, "objective": 99.5, "sli": {"q": "b"}, "alerting": {"name": "B"}})
    for before, after, text in (
        (empty, one, "a: new, 99 %"),
        (one, empty, "a: removed, it was 99 %"),
        (
            one,
            other,
            "a: objective 99 % → 99.5 %, what counts as failed changes, its alerts change",
        ),
    ):
        assert [one.text for one in objectives.read(before, after)] == [text]  # type: ignore[union-attr]
    assert list(objectives.read(one, one)) == []


ROUTES: Json = {
    "route": {
        "receiver": "all",
        "routes": [{"receiver": "team", "matchers": ['alertname=~"Todo.+"']}],
    },
    "receivers": [
        {"name": "all", "webhook_configs": [{"url_file": "f"}]},
        {"name": "team", "webhook_configs": [{"url_file": "g"}]},
        {"name": "nobody"},
    ],
    "inhibit_rules": [
        {"source_matchers": ["a=b"], "target_matchers": ["c=d"], "equal": ["namespace"]}
    ],
}
KNOWN = [("TodoDown", "critical"), ("NodeDown", "critical")]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            put("route/routes/0/receiver", "nobody"),
            [
                'route alertname=~"Todo.+": receiver team → nobody',
                f"alert-silenced: {TEMPLATE}: TodoDown",
            ],
        ),
        (
            put("receivers/0/webhook_configs", None),
            [
                "receiver all: webhook_configs",
                f"alert-silenced: {TEMPLATE}: NodeDown",
            ],
        ),
        (put("route/routes/0/receiver", "all"), ['route alertname=~"Todo.+": receiver team → all']),
        (put("route/routes", []), ['route alertname=~"Todo.+": removed']),
        (put("inhibit_rules", []), ["inhibition of c=d by a=b: removed"]),
        (
            put("inhibit_rules/0/equal", ["pod"]),
            ["inhibition of c=d by a=b: equal[namespace] namespace → none, equal[pod] none → pod"],
        ),
        (put("global", {"resolve_timeout": "1m"}), ["global"]),
        (put("route/repeat_interval", "1h"), ["route of all: repeat_interval none → 1h"]),
    ],
)
def test_routes(edit: Edit, expected: list[str], tmp_path: Path) -> None:
    after = copy.deepcopy(ROUTES)
    edit(after)
    for name, config in (("before", ROUTES), ("after", after)):
        path = tmp_path / name / TEMPLATE
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(config))
    found = routing.read(tmp_path / "before", tmp_path / "after", KNOWN)
    said = [f"{one.name}: {one.where}" if isinstance(one, Flag) else one.text for one in found]
    assert said == expected


def test_routes_that_alertmanager_refuses_are_said_to_be_so(tmp_path: Path) -> None:
    for name, receiver in (("before", "all"), ("after", "undeclared")):
        path = tmp_path / name / TEMPLATE
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**ROUTES, "route": {"receiver": receiver}}))
    with pytest.raises(RepositoryError, match=r"amtool: .*undeclared"):
        list(routing.read(tmp_path / "before", tmp_path / "after", KNOWN))
