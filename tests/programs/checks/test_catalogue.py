"""The catalogue of real metric names, how it is captured, and the check that uses it."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards_py import metrics
from dashboards_py.promql import Kind
from scripts import tools
from scripts.checks.rendered import metrics_exposed
from scripts.checks.static import catalogue as check
from scripts.checks.static import queries
from scripts.cluster.capture import documents, families
from scripts.cluster.capture.__main__ import SOURCES
from scripts.cluster.capture.families import Captured, CapturedFamily
from scripts.model import catalogue
from scripts.model.dashboards import DashboardQuery
from scripts.model.exporters import TARGETS
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from scripts.servers import processes
from tests.programs.cluster_syncs import OPTIONS, named

FILES = sorted(catalogue.FOLDER.glob("*.yaml"))
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_readable_in_a_diff(path: Path) -> None:
    for block in yaml.safe_load_all(path.read_text()):
        samples = block.pop("samples", {})
        assert list(block) == ["source", "how", "metrics"]
        assert path.stem in TARGETS or not samples
        assert not [name for name, count in samples.items() if count == 1]
        assert block["how"].startswith(("run", "document"))
        assert list(block["metrics"]) == sorted(block["metrics"])
        for name, text in block["metrics"].items():
            kind, *labels = text.split()
            assert NAME.fullmatch(name)
            assert kind in catalogue.TYPES
            assert labels == sorted(set(labels))
            assert all(NAME.fullmatch(label) for label in labels)
            assert not {"le", "quantile"} & set(labels)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_captured_name_is_not_listed_again_from_a_document(path: Path) -> None:
    names = [sync.name for sync in catalogue.read(path)]
    assert len(names) == len(set(names))


def test_what_was_captured_is_of_the_pinned_versions() -> None:
    """A tool that moves to a new version needs `make capture`."""
    captured = {e.source.split()[0]: e.source.split()[-1] for es in _all() for e in es}
    # One of our own may be a program's code, too: its module has the program's name.
    pinned = {
        module.rpartition("/")[2]: version
        for name in tools.NAMES
        for module, version in tools.modules(name).items()
        if tools.version(name) == "local"
    }
    pinned |= {name: v for name in tools.NAMES if (v := tools.version(name)) != "local"}
    both = captured.keys() & pinned.keys()
    assert {name: captured[name] for name in both} == {name: pinned[name] for name in both}
    assert len(both) >= 12


def test_the_catalogue_holds_what_each_source_is_there_for() -> None:
    by_file = {
        "kube-state-metrics": ("kube_pod_info", {"created_by_kind", "namespace", "node", "pod"}),
        "cadvisor": ("container_network_receive_bytes_total", {"interface", "pod"}),
        "kubernetes": ("kubelet_volume_stats_used_bytes", {"namespace", "persistentvolumeclaim"}),
        "node-exporter": ("node_filesystem_avail_bytes", {"device", "fstype", "mountpoint"}),
        "daprd": ("dapr_component_pubsub_ingress_count", {"app_id", "process_status", "topic"}),
        "blackbox-exporter": ("probe_ssl_earliest_cert_expiry", set()),
        "log-pipeline": ("todo_http_requests_total", {"app", "route", "status_class"}),
    }
    for file, (name, labels) in by_file.items():
        sync = next(e for e in catalogue.load()[name] if e.file == file)
        assert labels <= sync.labels


def _all() -> Iterable[tuple[catalogue.Family, ...]]:
    return catalogue.load().values()


def test_series_of_a_histogram_have_its_suffixes_and_le() -> None:
    ((_, labels),) = catalogue.series()["dapr_component_pubsub_egress_latencies_bucket"]
    assert "le" in labels
    assert "dapr_component_pubsub_egress_latencies_count" in catalogue.series()
    assert "dapr_component_pubsub_egress_latencies" not in catalogue.series()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("kube_pod_container_status_restart_total", "kube_pod_container_status_restarts_total"),
        ("container_cpu_usage_second_total", "container_cpu_usage_seconds_total"),
        ("quite_something_else", ""),
    ],
)
def test_the_nearest_name_is_what_was_meant(wrong: str, right: str) -> None:
    assert catalogue.nearest(wrong) == right


def test_an_exposition_is_read_as_families_with_all_their_labels() -> None:
    text = """# HELP a_total of "something"
# TYPE a_total counter
a_total{path="/x{y}\\"z",code="200"} 1
a_total{verb="GET"} 2 1700000000
# TYPE h histogram
h_bucket{le="1",app="b"} 1
h_sum{app="b"} 1
h_count{app="b"} 1
# TYPE s summary
s{quantile="0.5"} NaN
s_sum 0
# TYPE never gauge
plain 1
"""
    histogram = Counter(h_bucket=1, h_sum=1, h_count=1)
    found = families.parse(text)
    assert found == {
        "a_total": CapturedFamily("counter", {"path", "code", "verb"}, Counter(a_total=2)),
        "h": CapturedFamily("histogram", {"app"}, histogram),
        "s": CapturedFamily("summary", samples=Counter(s=1, s_sum=1)),
        "plain": CapturedFamily("untyped", samples=Counter(plain=1)),
    }
    other = families.parse('plain 1\na_total 1\na_total{path="/"} 1\na_total{code="500"} 1\n')
    # Of two targets, the one that has more of it.
    assert families.merge(found, other)["a_total"].samples == {"a_total": 3}
    assert families.merge(found, other)["h"].samples == histogram


def test_samples_are_written_of_what_is_one_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "FOLDER", tmp_path)
    exposed = families.parse(
        '# TYPE s summary\ns_sum 1\ns_count 1\n# TYPE c counter\nc{a="1"} 1\nc{a="2"} 1\n'
        "# TYPE g gauge\ng 1\n"
    )
    for name in ("loki", "dapr-control-plane"):
        said = Captured("p v1", "document of p", {"d": CapturedFamily("counter")})
        families.write(name, Captured("p v1", "run it", exposed), said)
    (single, *_), (several, *_) = (
        catalogue.read(tmp_path / f"{name}.yaml") for name in ("loki", "dapr-control-plane")
    )
    # None of a summary without quantiles, and one where nothing is said.
    assert single.samples == {"c": 2, "s": 0}
    assert several.samples == {}
    assert (tmp_path / "loki.yaml").read_text().count("samples:") == 1


def test_what_is_captured_wins_over_what_a_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "FOLDER", tmp_path)
    captured = Captured("p v1", "run it", {"a": CapturedFamily("gauge", {"real"})})
    listed = {"a": CapturedFamily("counter", {"said"}), "b": CapturedFamily("gauge")}
    assert families.write("p", captured, Captured("p v1", "document of p", listed)) == 2
    syncs = {sync.name: sync for sync in catalogue.read(tmp_path / "p.yaml")}
    assert syncs["a"].labels == {"real"}
    assert syncs["a"].captured
    assert not syncs["b"].captured


def test_no_file_is_of_an_unknown_source() -> None:
    by_hand = {path.stem for path in FILES} - SOURCES.keys()
    assert by_hand == {"alloy", "argo-cd", "grafana", "ingress-nginx", "redpanda", "traefik"}
    for name in by_hand:
        syncs = catalogue.read(catalogue.FOLDER / f"{name}.yaml")
        assert not any(sync.captured for sync in syncs)


def test_dapr_views_are_read_with_their_tags(tmp_path: Path) -> None:
    (tmp_path / "m.go").write_text(
        'const app = "app_id"\n'
        "var (\n\tappKey = tag.MustNewKey(app)\n"
        '\tsent = stats.Int64(\n\t\t"a/sent_total", "")\n\tlast = stats.Int64("a/last", "")\n)\n'
        "NewMeasureView(sent, []tag.Key{appKey}, view.Count())\n"
        "NewMeasureView(last, noKeys, view.LastValue())\n"
    )
    assert documents.dapr(tmp_path, ".") == {
        "dapr_a_sent_total": CapturedFamily("counter", {"app_id"}),
        "dapr_a_last": CapturedFamily("gauge"),
    }


def test_programs_end_with_the_capture_even_if_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "path", lambda _: Path("/bin/sleep"))
    monkeypatch.setattr(tools, "version", lambda _: "v0")
    seen: list[Any] = []

    def capture() -> None:
        with processes.Processes() as running:
            running.start("sleeper", "600")
            seen.extend([running._running["sleeper"], running.folder("sleeper")])
            assert seen[0].poll() is None
            raise RuntimeError

    with pytest.raises(RuntimeError):
        capture()
    process, folder = seen
    assert process.poll() is not None
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


@pytest.fixture(scope="module")
def names(repository: Repository) -> check.Names:
    return check.Names(named(repository, OPTIONS).objects())


def said(names: check.Names, expression: str) -> list[str]:
    found = check.unknown_names(names, [DashboardQuery("test", "promql", expression)])
    return [f"{text} | {fix}" for _, text, fix in found]


@pytest.mark.parametrize(
    "expression",
    [
        'sum by (namespace, pod) (kube_pod_status_phase{phase="Running"} == 1)',
        # Of the target: what our monitor, or a chart's, adds.
        'up{job="kubelet", metrics_path="/metrics/cadvisor"}',
        'container_cpu_usage_seconds_total{metrics_path="/metrics/cadvisor", node="n"}',
        'probe_success{job="frontend", namespace="monitoring"}',
        # Made by the expression itself.
        'sum by (app) (label_replace(kube_pod_info, "app", "$1", "pod", "(.+)"))',
        'count by (value) (count_values("value", kube_pod_info))',
        # Joins: each side has the label, the one side what group_left copies.
        "kube_pod_info * on (namespace, pod) group_left (phase) kube_pod_status_phase",
        "sum by (topic) (rate(dapr_component_pubsub_ingress_count[5m]))",
        "histogram_quantile(0.9, sum by (le) (rate(dapr_http_server_latency_bucket[5m])))",
        # Recorded: the labels of its rules.
        'sum by (source, route) (todo:http_requests:rate5m{status_class="5xx"})',
        'ALERTS{alertname="x", anything="y"}',
        # Both label the object, and we honour it.
        "argocd_app_info{exported_namespace='x'}",
        "topk(3, kube_pod_info) and on (pod) kube_pod_status_ready",
        '{__name__=~"kube_.+", whatever="x"}',
        "absent(kube_pod_info{pod='x'})",
        "sum(kube_pod_info) or vector(0)",
        "max by (namespace) (kube_pod_info) or on (namespace) vector(0)",
    ],
)
def test_a_right_query_has_no_finding(names: check.Names, expression: str) -> None:
    assert said(names, expression) == []


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("kube_pod_inf", "no exporter exposes kube_pod_inf | write kube_pod_info"),
        ("kube_hpa_labels", "no exporter exposes kube_hpa_labels"),
        # A histogram has no series of its base name.
        ("dapr_http_server_latency", "no exporter exposes dapr_http_server_latency |"),
        (
            'kube_deployment_status_replicas_unavailable{pod=~"x.+", replica="1"}',
            "kube_deployment_status_replicas_unavailable has no label 'replica' | use one of",
        ),
        ("sum by (app) (kube_pod_info)", "has no label 'app', which by names"),
        ("sum without (app) (kube_pod_info)", "has no label 'app', which without names"),
        (
            "kube_pod_info * on (namespace, pod, phase) group_left () kube_pod_status_phase",
            "kube_pod_info has no label 'phase', which on names",
        ),
        (
            "kube_pod_info * on (pod) group_left (owner) kube_pod_status_phase",
            "kube_pod_status_phase has no label 'owner', which group_left names",
        ),
        (
            "sum by (pod) (kube_pod_info) * on (pod, namespace) kube_pod_status_phase",
            "what it is applied to has no label 'namespace', which on names",
        ),
        (
            'label_replace(kube_pod_info, "a", "$1", "nope", "(.+)")',
            "kube_pod_info has no label 'nope', which label_replace names",
        ),
        # Dropped by our monitor; and the access-log counter is no Dapr metric.
        ("dapr_http_server_request_count{exported_namespace='x'}", "'exported_namespace'"),
        ("todo:http_requests:rate5m{pod='x'}", "todo:http_requests:rate5m has no label 'pod'"),
        ("probe_success{pod='x'}", "probe_success has no label 'pod'"),
        # Labels of the external system are not on what is stored here.
        ("kube_pod_info{cluster='todo'}", "kube_pod_info has no label 'cluster'"),
    ],
)
def test_a_wrong_query_is_told_with_what_would_be_right(
    names: check.Names, expression: str, says: str
) -> None:
    found = said(names, expression)
    assert any(says in text for text in found), found


def test_declared_metrics_have_the_type_and_the_labels_of_the_catalogue(names: check.Names) -> None:
    for name, metric in metrics.BY_NAME.items():
        histogram = metric.kind is Kind.HISTOGRAM
        known = names.labels([f"{name}_count" if histogram else name])
        assert known is None or metric.labels <= known, name
        types = {sync.type for sync in catalogue.load().get(name, ())}
        assert not types or types & {metric.kind.value, "untyped"}, name


def test_rules_and_dashboards_name_real_metrics_and_labels(repository: Repository) -> None:
    assert check.check(repository) == []


def test_every_chart_rule_names_real_metrics_and_labels(rendered: list[Cluster]) -> None:
    assert [
        finding
        for cluster in rendered
        for finding in metrics_exposed.metrics_and_labels_exist(cluster)
    ] == []


def test_every_exception_for_a_chart_is_needed(
    rendered: list[Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_exposed, "is_excepted", lambda _: False)
    texts = [
        finding.message
        for cluster in rendered
        for finding in metrics_exposed.metrics_and_labels_exist(cluster)
    ]
    for name in metrics_exposed.METRICS:
        assert any(f"no exporter exposes {name}" in text for text in texts)
    for label in metrics_exposed.LABELS:
        assert any(f"has no label {label!r}" in text for text in texts)


def test_labels_of_a_chart_monitor_are_what_it_really_adds(rendered: list[Cluster]) -> None:
    cluster = next(c for c in rendered if c.sync.cluster == "options")
    names = check.Names(item.manifest for item in cluster.all)
    query = 'sum by (node) (kube_node_info) + sum by (metrics_path) (node_load1{service="x"})'
    (text,) = said(names, query)
    assert "node_load1 has no label 'metrics_path'" in text


def test_parsing_says_what_a_query_takes_for_granted() -> None:
    query = DashboardQuery("test", "promql", 'sum by (a) (m{b="c"}) / on (a) group_left (d) n')
    answer: Any = queries.parse([query])[query]
    assert {(d.label, d.place, *d.metrics) for d in answer.label_references} == {
        ("b", "selector", "m"),
        ("a", "by", "m"),
        ("a", "on", "n"),
        ("d", "group_left", "n"),
    }
    assert answer.result.labels == {"a", "d"}


def test_the_catalogue_is_read_fast_enough_for_every_save() -> None:
    catalogue.load.cache_clear()
    catalogue.series.cache_clear()
    started = time.process_time()
    catalogue.series()
    assert time.process_time() - started < 0.5
