"""What the charts render is what this repository promises, and each check finds its fault."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import tools
from scripts.checks import rendered as checks
from scripts.checks.rendered import exposed, objects, pods, programs, referents, relabelings, scrape
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, load
from scripts.model import budget, images, scraping
from scripts.model.rendered import Cluster, Item

Edit = Callable[[Json], object]
Check = Callable[[Cluster], Iterable[Finding]]


def test_nothing_rendered_breaks_a_promise(rendered: list[Cluster]) -> None:
    assert list(map(str, checks.faults(rendered))) == []


def test_every_check_is_run() -> None:
    named = {
        function
        for module in (exposed, objects, pods, programs, referents, relabelings, scrape)
        for function in vars(module).values()
        if callable(function)
        and getattr(function, "__annotations__", {}).get("return") == "Iterator[Finding]"
        and next(iter(function.__annotations__)) == "cluster"
        and function.__module__ == module.__name__
    }
    assert named == set(checks.CHECKS)


def named(clusters: list[Cluster], name: str = "oke-free/flux") -> Cluster:
    return next(cluster for cluster in clusters if cluster.name == name)


def edited(cluster: Cluster, kind: str, name: str, edit: Edit) -> Cluster:
    """The cluster with one object changed."""
    found = [i for i in cluster.items if (i.kind, i.name) == (kind, name)]
    assert len(found) == 1, f"{len(found)} objects are {kind} {name}"
    items = []
    for item in cluster.items:
        if item is not found[0]:
            items.append(item)
            continue
        manifest = copy.deepcopy(dict(item.manifest))
        edit(manifest)
        items.append(Item(manifest, item.release))
    return dataclasses.replace(cluster, items=tuple(items))


def added(cluster: Cluster, kind: str, release: str | None = "loki", **more: Any) -> Cluster:
    """The cluster with one object more."""
    metadata = {"name": "added", "namespace": "monitoring", **more.pop("metadata", {})}
    manifest = {"apiVersion": more.pop("api", "v1"), "kind": kind, "metadata": metadata, **more}
    return dataclasses.replace(cluster, items=(*cluster.items, Item(manifest, release)))


def container(manifest: Json, index: int = 0) -> Json:
    found: Json = manifest["spec"]["template"]["spec"]["containers"][index]
    return found


def pod(manifest: Json) -> Json:
    found: Json = manifest["spec"]["template"]["spec"]
    return found


def relabelings_of(manifest: Json, endpoint: int = 0) -> list[Json]:
    spec = manifest["spec"]
    endpoints = spec.get("podMetricsEndpoints") or spec["endpoints"]
    found: list[Json] = endpoints[endpoint].setdefault("metricRelabelings", [])
    return found


def drop(regex: str, endpoint: int = 0) -> Edit:
    rule = {"sourceLabels": ["__name__"], "action": "drop", "regex": regex}
    return lambda manifest: relabelings_of(manifest, endpoint).append(rule)


def argument(old: str, new: str) -> Edit:
    def edit(manifest: Json) -> None:
        own = container(manifest)
        assert any(old in a for a in own["args"])
        own["args"] = [a.replace(old, new) for a in own["args"]]

    return edit


def text(key: str, old: str, new: str) -> Edit:
    def edit(manifest: Json) -> None:
        assert old in manifest["data"][key]
        manifest["data"][key] = manifest["data"][key].replace(old, new)

    return edit


STACK = "kube-prometheus-stack"
KUBELET = f"{STACK}-kubelet"
STATE = f"{STACK}-kube-state-metrics"
NODE = f"{STACK}-prometheus-node-exporter"

BROKEN: list[tuple[str, Check, str, str, Edit]] = [
    # Images and resources.
    (
        "is not pinned",
        pods.images,
        "Deployment",
        "grafana",
        lambda m: container(m).update(image="docker.io/grafana/grafana"),
    ),
    (
        "is not pinned",
        pods.images,
        "Deployment",
        "grafana",
        lambda m: container(m).update(image="registry:5000/grafana:latest"),
    ),
    (
        "is not pinned",
        pods.images,
        "Prometheus",
        STACK,
        lambda m: m["spec"].update(image="quay.io/prometheus/prometheus"),
    ),
    (
        "no limit of memory",
        pods.resources,
        "Deployment",
        "grafana",
        lambda m: container(m)["resources"].pop("limits"),
    ),
    (
        "no request of cpu and no request of memory",
        pods.resources,
        "DaemonSet",
        "alloy",
        lambda m: container(m, 1)["resources"].pop("requests"),
    ),
    (
        "prometheus has no request of cpu",
        pods.resources,
        "Prometheus",
        STACK,
        lambda m: m["spec"]["resources"]["requests"].pop("cpu"),
    ),
    (
        "config-reloader has no limit of memory",
        pods.resources,
        "Deployment",
        f"{STACK}-operator",
        argument("--config-reloader-memory-limit=48Mi", "--config-reloader-memory-limit=0"),
    ),
    # Pod Security.
    (
        "runAsNonRoot",
        pods.restricted,
        "StatefulSet",
        "loki",
        lambda m: pod(m)["securityContext"].pop("runAsNonRoot"),
    ),
    (
        "no seccompProfile",
        pods.restricted,
        "Alertmanager",
        STACK,
        lambda m: m["spec"]["securityContext"].pop("seccompProfile"),
    ),
    (
        "allowPrivilegeEscalation",
        pods.restricted,
        "Deployment",
        "blackbox-exporter",
        lambda m: container(m)["securityContext"].pop("allowPrivilegeEscalation"),
    ),
    (
        "capabilities are not dropped",
        pods.restricted,
        "Deployment",
        "alloy-events",
        lambda m: container(m)["securityContext"].pop("capabilities"),
    ),
    (
        "capabilities are added",
        pods.restricted,
        "Deployment",
        "alloy-events",
        lambda m: container(m)["securityContext"]["capabilities"].update(add=["NET_RAW"]),
    ),
    (
        "privileged",
        pods.restricted,
        "Deployment",
        "alloy-events",
        lambda m: container(m)["securityContext"].update(privileged=True),
    ),
    (
        "hostNetwork",
        pods.restricted,
        "Deployment",
        "grafana",
        lambda m: pod(m).update(hostNetwork=True),
    ),
    (
        "a host port",
        pods.restricted,
        "Deployment",
        "grafana",
        lambda m: container(m)["ports"][0].update(hostPort=3000),
    ),
    (
        "runAsUser 0",
        pods.restricted,
        "Deployment",
        "grafana",
        lambda m: pod(m)["securityContext"].update(runAsUser=0),
    ),
    (
        "volume node is a hostPath",
        pods.restricted,
        "Deployment",
        "grafana",
        lambda m: pod(m)["volumes"].append({"name": "node", "hostPath": {"path": "/var/log"}}),
    ),
    (
        "mounts /etc",
        pods.host_paths,
        "DaemonSet",
        "alloy",
        lambda m: pod(m)["volumes"].append({"name": "node", "hostPath": {"path": "/etc"}}),
    ),
    # Objects.
    (
        "a Helm hook",
        objects.hooks,
        "Service",
        "loki",
        lambda m: m["metadata"].update(annotations={"helm.sh/hook": "pre-install"}),
    ),
    (
        "would be created in kube-system",
        objects.namespaces,
        "Service",
        "loki",
        lambda m: m["metadata"].update(namespace="kube-system"),
    ),
    (
        "may be deleted",
        objects.crds,
        "CustomResourceDefinition",
        "prometheusrules.monitoring.coreos.com",
        lambda m: m["metadata"]["annotations"].pop("helm.sh/resource-policy"),
    ),
    (
        "may read Secrets",
        objects.roles,
        "ClusterRole",
        "alloy",
        lambda m: m["rules"][0]["resources"].append("secrets"),
    ),
    # What is named exists.
    (
        "there is no Service prometheus in monitoring",
        referents.addresses,
        "ConfigMap",
        "grafana",
        text("datasources.yaml", "//prometheus-operated.", "//prometheus."),
    ),
    (
        "the Service loki has no port 80",
        referents.addresses,
        "ConfigMap",
        "grafana",
        text("datasources.yaml", "loki.monitoring.svc:3100", "loki.monitoring.svc"),
    ),
    (
        "the Service alertmanager-operated has no port 9094",
        referents.addresses,
        "ConfigMap",
        "loki",
        text("config.yaml", "operated.monitoring.svc:9093", "operated.monitoring.svc:9094"),
    ),
    (
        "the Service loki has no port 3101",
        referents.addresses,
        "ConfigMap",
        "alloy-logs",
        text("shared.alloy", "svc:3100", "svc:3101"),
    ),
    (
        "there is no Service blackbox in monitoring",
        referents.addresses,
        "Probe",
        "backend",
        lambda m: m["spec"]["prober"].update(url="blackbox.monitoring.svc:9115"),
    ),
    (
        "there is no Service graphana",
        referents.addresses,
        "Probe",
        "grafana",
        lambda m: m["spec"]["targets"]["staticConfig"].update(
            static=["http://graphana.monitoring.svc/api/health"]
        ),
    ),
    (
        f"there is no Service {STACK}-alertmanager with a port web",
        referents.alertmanagers,
        "Prometheus",
        STACK,
        lambda m: m["spec"]["alerting"]["alertmanagers"][0].update(port="web"),
    ),
    (
        "sends its alerts nowhere",
        referents.alertmanagers,
        "Prometheus",
        STACK,
        lambda m: m["spec"].pop("alerting"),
    ),
    (
        "there is no ServiceAccount lokki",
        referents.accounts,
        "StatefulSet",
        "loki",
        lambda m: pod(m).update(serviceAccountName="lokki"),
    ),
    (
        "there is no ServiceAccount other",
        referents.accounts,
        "Prometheus",
        STACK,
        lambda m: m["spec"].update(serviceAccountName="other"),
    ),
    (
        "there is no ClusterRole other",
        referents.accounts,
        "ClusterRoleBinding",
        "alloy",
        lambda m: m["roleRef"].update(name="other"),
    ),
    (
        "there is no ServiceAccount alloy in monitoring",
        referents.accounts,
        "ClusterRoleBinding",
        "alloy",
        lambda m: m["subjects"][0].update(namespace="monitoring"),
    ),
    (
        "there is no ConfigMap grafana-dashboards-todo",
        referents.configuration,
        "ConfigMap",
        "grafana-dashboards-todo",
        lambda m: m["metadata"].update(name="grafana-dashboards-tasks"),
    ),
    (
        "has no key datasources.yaml",
        referents.configuration,
        "ConfigMap",
        "grafana",
        lambda m: m["data"].pop("datasources.yaml"),
    ),
    (
        "has no key config.yaml",
        referents.configuration,
        "ConfigMap",
        "loki",
        lambda m: m["data"].pop("config.yaml"),
    ),
    (
        "there is no Secret alertmanager in monitoring",
        referents.configuration,
        "Alertmanager",
        STACK,
        lambda m: m["spec"].update(configSecret="alertmanager"),
    ),
    (
        "the Secret grafana-admin has no key admin-name",
        referents.configuration,
        "Deployment",
        "grafana",
        lambda m: container(m)["env"].append(
            {
                "name": "A",
                "valueFrom": {"secretKeyRef": {"name": "grafana-admin", "key": "admin-name"}},
            }
        ),
    ),
    # Scraping.
    (
        "podMonitorSelector does not select everything",
        scrape.selected,
        "Prometheus",
        STACK,
        lambda m: m["spec"].update(podMonitorSelector={"matchLabels": {"release": STACK}}),
    ),
    (
        "ruleNamespaceSelector does not select everything",
        scrape.selected,
        "Prometheus",
        STACK,
        lambda m: m["spec"].pop("ruleNamespaceSelector"),
    ),
    (
        "no sampleLimit",
        scrape.limited,
        "ServiceMonitor",
        KUBELET,
        lambda m: m["spec"].pop("sampleLimit"),
    ),
    (
        "no pod with a port http is selected",
        scrape.targeted,
        "PodMonitor",
        "loki",
        lambda m: m["spec"]["podMetricsEndpoints"][0].update(port="http"),
    ),
    (
        "no pod with a port http-metrics is selected",
        scrape.targeted,
        "PodMonitor",
        "loki",
        lambda m: m["spec"]["selector"]["matchLabels"].update(
            {"app.kubernetes.io/name": "enterprise-logs"}
        ),
    ),
    (
        "no pod with a port http-metrics is selected",
        scrape.targeted,
        "PodMonitor",
        "alloy",
        lambda m: m["spec"]["namespaceSelector"].update(matchNames=["logging"]),
    ),
    (
        "no Service with a port http-web is selected",
        scrape.targeted,
        "Service",
        f"{STACK}-alertmanager",
        lambda m: m["metadata"]["labels"].pop("self-monitor"),
    ),
    (
        "no pod behind the port http",
        scrape.targeted,
        "Service",
        STATE,
        lambda m: m["spec"]["ports"][0].update(targetPort="metricz"),
    ),
    (
        "no pod behind the port reloader-web",
        scrape.targeted,
        "Service",
        f"{STACK}-prometheus",
        lambda m: m["spec"]["selector"].update({"operator.prometheus.io/name": "other"}),
    ),
    # Metrics that are read.
    (
        f"container_memory_rss: ServiceMonitor {KUBELET} drops it",
        relabelings.kept,
        "ServiceMonitor",
        KUBELET,
        lambda m: relabelings_of(m, 1)[0].update(
            regex=relabelings_of(m, 1)[0]["regex"].replace("|rss", "")
        ),
    ),
    (
        f"kubelet_running_pods: ServiceMonitor {KUBELET} drops it",
        relabelings.kept,
        "ServiceMonitor",
        KUBELET,
        drop("kubelet_running_.+", 0),
    ),
    (
        "prometheus_sd_refresh_failures_total",
        relabelings.kept,
        "ServiceMonitor",
        f"{STACK}-prometheus",
        drop("prometheus_sd_.+", 0),
    ),
    (
        "todo_http_requests_total",
        relabelings.kept,
        "PodMonitor",
        "alloy",
        drop("todo_http_.+"),
    ),
    (
        "node_filesystem_avail_bytes",
        relabelings.kept,
        "ServiceMonitor",
        NODE,
        drop("node_filesystem_.+"),
    ),
    (
        "collector vmstat is off",
        relabelings.kept,
        "DaemonSet",
        NODE,
        argument("--collector.vmstat", "--collector.zfs"),
    ),
    (
        "does not collect persistentvolumeclaims",
        relabelings.kept,
        "Deployment",
        STATE,
        argument("persistentvolumeclaims,", ""),
    ),
    (
        "metricDenylist item",
        relabelings.kept,
        "Deployment",
        STATE,
        argument("kube_pod_init_container_.+", "kube_pod_(init_container|status)_.+"),
    ),
    (
        "no monitor scrapes it",
        relabelings.kept,
        "PodMonitor",
        "dapr-sidecars",
        lambda m: m["metadata"].update(name="sidecars"),
    ),
    (
        "no rule records it",
        relabelings.kept,
        "PrometheusRule",
        "requests",
        lambda m: m["spec"].update(
            groups=[
                {
                    "name": "g",
                    "rules": [{"record": "todo:x:y", "expr": "todo:http_requests:rate9m"}],
                }
            ]
        ),
    ),
]


@pytest.mark.parametrize(
    ("expected", "check", "kind", "name", "edit"),
    BROKEN,
    ids=[f"{check.__name__}-{number}" for number, (_, check, *_) in enumerate(BROKEN)],
)
def test_a_fault_is_found(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    cluster = edited(named(rendered), kind, name, edit)
    messages = [finding.message for finding in check(cluster)]
    assert any(expected in message for message in messages), messages


def test_a_finding_names_the_file_that_declares_the_release(rendered: list[Cluster]) -> None:
    broken = edited(
        named(rendered), "StatefulSet", "loki", lambda m: container(m).update(image="loki")
    )
    (finding,) = pods.images(broken)
    assert finding.path == "base/releases/loki.yaml"
    assert finding.line
    assert finding.message.startswith("StatefulSet monitoring/loki: ")


def test_a_finding_of_one_cluster_names_it(rendered: list[Cluster]) -> None:
    broken = edited(named(rendered), "StatefulSet", "loki", lambda m: container(m).pop("image"))
    (finding,) = [
        f
        for f in checks.faults([broken, named(rendered, "local/flux")])
        if "not pinned" in f.message
    ]
    assert finding.message.endswith("(oke-free/flux)")


def test_a_rendered_secret_is_found(rendered: list[Cluster]) -> None:
    cluster = added(named(rendered), "Secret", data={"password": "cGFzc3dvcmQ="})
    (finding,) = objects.secrets(cluster)
    assert "Secret monitoring/added" in finding.message
    assert list(objects.secrets(added(named(rendered), "Secret"))) == []


def test_a_crd_of_another_release_is_found(rendered: list[Cluster]) -> None:
    cluster = added(named(rendered), "CustomResourceDefinition", release="alloy")
    assert any("alloy brings a CRD" in f.message for f in objects.crds(cluster))


def test_a_namespace_of_a_chart_is_found(rendered: list[Cluster]) -> None:
    (finding,) = objects.namespaces(added(named(rendered), "Namespace"))
    assert "the chart makes a namespace" in finding.message


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]},
    ],
)
def test_a_role_that_reads_secrets_is_found(rendered: list[Cluster], rule: Json) -> None:
    cluster = added(named(rendered), "Role", rules=[rule])
    assert len(list(objects.roles(cluster))) == 1


def test_a_role_of_another_group_s_secrets_is_allowed(rendered: list[Cluster]) -> None:
    rule = {"apiGroups": ["vault.example"], "resources": ["secrets"], "verbs": ["get"]}
    assert list(objects.roles(added(named(rendered), "Role", rules=[rule]))) == []


def test_a_kind_that_the_project_does_not_allow_is_found(rendered: list[Cluster]) -> None:
    cluster = added(named(rendered, "oke-free/argocd"), "Job", api="batch/v1")
    (finding,) = objects.whitelisted(cluster)
    assert finding.path == "base/argocd/applications/project.yaml"
    assert "does not allow Job of group 'batch'" in finding.message


def test_a_kind_that_nothing_creates_is_found(rendered: list[Cluster]) -> None:
    without = [
        dataclasses.replace(c, items=tuple(i for i in c.items if i.kind != "DaemonSet"))
        for c in rendered
    ]
    messages = {finding.message for finding in objects.unused_whitelist(without)}
    assert [message.partition(": ")[2] for message in messages] == [
        "allows DaemonSet, which nothing creates"
    ]


def test_engines_that_render_differently_are_found(rendered: list[Cluster]) -> None:
    broken = edited(named(rendered), "StatefulSet", "loki", lambda m: m["spec"].update(replicas=2))
    findings = list(objects.unequal([broken, named(rendered, "oke-free/argocd")]))
    assert [f.message.partition(":")[0] for f in findings] == ["StatefulSet monitoring/loki"]


def test_an_object_that_the_schema_refuses_is_found(rendered: list[Cluster]) -> None:
    broken = edited(named(rendered), "StatefulSet", "loki", lambda m: m["spec"].update(replica=2))
    (finding,) = objects.invalid([broken])
    assert "replica" in finding.message


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "loki"}}, True),
        ({"matchLabels": {"app": "loki", "tier": "log"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["loki"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["loki"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors_match_as_kubernetes_does(selector: Json, expected: bool) -> None:
    assert scraping.matches(selector, {"app": "loki"}) is expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], True),
        ([{"sourceLabels": ["__name__"], "action": "keep", "regex": "a|b"}], False),
        ([{"sourceLabels": ["__name__"], "action": "keep", "regex": "metric.*"}], True),
        ([{"sourceLabels": ["__name__"], "action": "drop", "regex": "metric"}], True),
        ([{"sourceLabels": ["__name__"], "action": "Drop", "regex": "metric_.+"}], False),
        ([{"sourceLabels": ["__name__", "le"], "action": "drop", "regex": ".+"}], True),
        ([{"sourceLabels": ["__name__"], "targetLabel": "x", "regex": ".+"}], True),
    ],
)
def test_relabelings_keep_as_prometheus_does(rules: list[Json], expected: bool) -> None:
    assert relabelings.keeps(rules, "metric_total") is expected


def test_the_operator_s_pods_are_counted(rendered: list[Cluster]) -> None:
    owners = {str(p.owner): p for p in named(rendered).pods}
    prometheus = owners[f"StatefulSet monitoring/prometheus-{STACK}"]
    names = [c["name"] for c in prometheus.containers]
    assert names == ["init-config-reloader", "prometheus", "config-reloader"]
    assert prometheus.ports == {"http-web": 9090, "reloader-web": 8080}
    assert json.dumps(prometheus.claims).count("50Gi") == 1


def of_template(pod: Json) -> Json:
    return {"template": {"spec": pod}}


@pytest.mark.parametrize(
    ("kind", "wrap", "expected"),
    [
        ("Job", of_template, 1),
        ("Job", lambda pod: {"parallelism": 3, **of_template(pod)}, 3),
        ("CronJob", lambda pod: {"jobTemplate": {"spec": of_template(pod)}}, 1),
        ("Pod", lambda pod: pod, 1),
    ],
)
def test_pods_that_end_are_checked_and_counted(
    rendered: list[Cluster], kind: str, wrap: Callable[[Json], Json], expected: int
) -> None:
    container = {
        "name": "c",
        "image": "a:latest",
        "resources": {"requests": {"cpu": "1"}},
        "securityContext": {"privileged": True},
    }
    volumes = [{"name": "v", "hostPath": {"path": "/etc"}}]
    own = wrap({"containers": [container], "volumes": volumes})
    before = named(rendered)
    after = added(before, kind, spec=own)
    for check in (pods.images, pods.resources, pods.restricted, pods.host_paths):
        assert any(f"{kind} monitoring/added: " in f.message for f in check(after)), check
    taken = [budget.rows(c, budget.limits(c))["loki"].cpu for c in (before, after)]
    assert taken[1] - taken[0] == pytest.approx(expected)


ELSE = "9.9.9"


def imaged(clusters: list[Cluster], repository: str, version: str) -> list[Cluster]:
    """The clusters with one image at another version."""
    result = []
    for cluster in clusters:
        items = []
        for item in cluster.items:
            text = json.dumps(item.manifest)
            text = re.sub(rf"{re.escape(repository)}:[\w.@:-]+", f"{repository}:{version}", text)
            items.append(Item(json.loads(text), item.release))
        result.append(dataclasses.replace(cluster, items=tuple(items)))
    return result


def described(
    clusters: list[Cluster], root: Path, edit: Callable[[dict[str, Json]], object]
) -> list[Cluster]:
    """The clusters with another `images.yaml`."""
    described = load(clusters[0].repository.root / images.IMAGES, clusters[0].repository.root)[0]
    edit(described)
    (root / images.IMAGES).parent.mkdir(exist_ok=True)
    (root / images.IMAGES).write_text(yaml.safe_dump(described))
    repository = copy.copy(clusters[0].repository)
    repository.root = root
    return [dataclasses.replace(cluster, repository=repository) for cluster in clusters]


def test_an_image_of_another_version_than_its_tool_is_found(rendered: list[Cluster]) -> None:
    loki = "docker.io/grafana/loki"
    same = imaged(rendered, loki, tools.released("loki"))
    assert [
        f for c in same for f in programs.same(c) if f.path == "scripts/tools/loki/go.mod"
    ] == []
    for cluster in imaged(rendered, loki, ELSE):
        messages = [f.message for f in programs.same(cluster) if "loki/" in f.path]
        assert messages == [f"loki is {tools.released('loki')}, and {loki} is {ELSE}"]


def test_a_known_difference_holds_for_its_two_versions_only(
    rendered: list[Cluster], tmp_path: Path
) -> None:
    loki, built = "docker.io/grafana/loki", tools.released("loki")

    def differs(images: dict[str, Json]) -> None:
        one = {"tools": ["loki"], "built": built, "run": ELSE, "why": "a test"}
        images[loki]["differs"] = [*images[loki].get("differs", []), one]

    def ours(findings: Iterable[Finding]) -> list[str]:
        return [f.message for f in findings if re.search("^loki is|where loki is", f.message)]

    clusters = described(rendered, tmp_path, differs)
    known = imaged(clusters, loki, ELSE)
    assert [ours(programs.same(cluster)) for cluster in known] == [[]] * len(known)
    assert ours(programs.stale(known)) == []
    gone = f"no cluster has {loki} {ELSE} where loki is {built}"
    assert ours(programs.stale(imaged(clusters, loki, built))) == [gone]
    other = imaged(clusters, loki, "8.8.8")
    assert all(ours(programs.same(cluster)) for cluster in other)
    assert ours(programs.stale(other)) == [gone]


def test_a_program_that_two_releases_bring_is_one_of_both(rendered: list[Cluster]) -> None:
    tool = "prometheus-config-reloader"
    image = f"quay.io/prometheus-operator/{tool}"
    cluster = imaged([named(rendered)], image, ELSE)[0]
    assert any(tool in finding.path for finding in programs.same(cluster))
    spec = {"containers": [{"name": "a", "image": f"{image}:v{tools.released(tool)}"}]}
    both = added(cluster, "Pod", spec=spec)
    assert not any(tool in finding.path for finding in programs.same(both))
