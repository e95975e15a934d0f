"""PromQL is built as Prometheus and Grafana want it, and only where types and labels allow it."""

from __future__ import annotations

import pytest

from dashboards_py import metrics
from dashboards_py.promql import Kind, Metric, Vector
from dashboards_py.query import Language, QueryError, Source


def test_a_rate_needs_a_counter_and_a_value_needs_a_gauge() -> None:
    with pytest.raises(QueryError, match=r"rate\(\) needs a counter; kube_pod_info is a gauge"):
        metrics.POD_INFO().rate()
    with pytest.raises(QueryError, match=r"value\(\) needs a gauge; .* is a counter"):
        metrics.CPU_USAGE().value()


def test_a_counter_gets_grafanas_own_range() -> None:
    expected = 'rate(container_cpu_usage_seconds_total{cluster=~"$cluster|", job="kubelet", '
    assert metrics.CPU_USAGE().rate().expr.startswith(expected)
    assert metrics.CPU_USAGE().rate().expr.endswith("[$__rate_interval])")


def test_a_quantile_keeps_le_until_it_is_used() -> None:
    seconds = Metric("m_seconds", Kind.HISTOGRAM, frozenset({"app"}), Source("s", "none"))
    found = seconds(app="x").quantile(0.95, "app")
    assert found.expr == (
        "histogram_quantile(0.95, sum by (le, cluster, app) "
        '(rate(m_seconds_bucket{cluster=~"$cluster|", app="x"}[$__rate_interval])))'
    )
    assert found.labels == {"cluster", "app"}
    assert "sum by (le) (rate" in seconds().quantile(0.5).expr
    with pytest.raises(QueryError, match=r"quantile\(\) needs a histogram"):
        metrics.POD_INFO().quantile(0.5)


def test_operators_bind_as_written() -> None:
    a, b = vector("a", "pod"), vector("b", "pod")
    assert a.minus(b).ratio_to(b.where("> 0")).expr == ("(a - on (pod) b) / on (pod) (b > 0)")
    with pytest.raises(QueryError, match="same labels on both sides"):
        a.minus(b.sum())


def vector(name: str, *labels: str) -> Vector:
    return Vector(language=Language.PROMQL, expr=name, labels=frozenset(labels), sources=())


def test_a_label_of_another_query_is_joined_on_all_that_is_common() -> None:
    usage, owners = vector("u", "namespace", "pod"), vector("o", "namespace", "pod", "workload")
    joined = usage.with_label_of("workload", owners)
    assert joined.expr == "u * on (namespace, pod) group_left (workload) o"
    assert joined.labels == {"namespace", "pod", "workload"}
    assert joined.sum("workload").expr.startswith("sum by (workload) (u * on")
    with pytest.raises(QueryError, match="the other query has no label 'node'"):
        usage.with_label_of("node", owners)
    with pytest.raises(QueryError, match="the query has no label 'pod'"):
        vector("u", "namespace").with_label_of("workload", owners)


def test_labels_are_made_of_labels_that_there_are() -> None:
    query = vector("q", "job", "name")
    made = query.extract("job", "part", r"(\w+)-.+").label_join("both", "job", "name")
    assert made.with_label("kind", "x").expr == (
        'label_replace(label_join(label_replace(q, "part", "$1", "job", "(\\\\w+)-.+"), '
        '"both", " ", "job", "name"), "kind", "x", "", "")'
    )
    assert made.labels == {"job", "name", "part", "both"}
    with pytest.raises(QueryError, match="has no label 'pod'"):
        query.extract("pod", "a", "(.+)")
    with pytest.raises(QueryError, match="has no label 'pod'"):
        query.label_join("a", "pod")


def test_numbers_known_when_built_are_written_in_full() -> None:
    query = vector("a").minus(vector("b"))
    assert query.times(12 * 2**30).expr == "(a - b) * 12884901888"
    assert query.times(0.5).expr == "(a - b) * 0.5"
    assert vector("a").clamp_min(50 * 2**30).expr == "clamp_min(a, 53687091200)"
    assert query.is_zero().plus(vector("c")).expr == "((a - b) == bool 0) + c"
    assert query.or_(vector("c")).expr == "(a - b) or c"
    with pytest.raises(QueryError, match="same labels on both sides"):
        vector("a").or_(vector("b", "pod"))


def test_numbers_that_a_series_holds_are_read_from_it() -> None:
    assert vector("a").times(vector("b")).expr == "a * b"
    floor = vector("b", "cluster").minus(vector("c", "cluster"))
    sizes = vector("a", "cluster", "volume")
    assert sizes.at_least(floor).expr == (
        "(a > on (cluster) group_left () (b - on (cluster) c)) or on (cluster, volume) "
        "(0 * a + on (cluster) group_left () (b - on (cluster) c))"
    )
    with pytest.raises(QueryError, match="same labels on both sides"):
        vector("a").times(vector("b", "pod"))
    with pytest.raises(QueryError, match="needs one series for each cluster: b"):
        sizes.at_least(vector("b"))


def test_what_has_a_name_is_added_up_in_each_cluster() -> None:
    pods = metrics.POD_INFO(namespace="a").value()
    assert pods.count("node").expr.startswith("count by (cluster, node) (kube_pod_info{")
    assert pods.max("cluster").expr.startswith("max by (cluster) (kube_pod_info{")
    assert pods.max("node", "cluster").labels == {"cluster", "node"}
    assert "cluster" not in pods.count().labels
    # Without labels, there is no cluster to keep.
    assert vector("a", "pod").sum("pod").expr == "sum by (pod) (a)"


def test_what_is_joined_is_of_one_cluster() -> None:
    nodes = metrics.NODE_INFO().value().max("node")
    assert ") / on (cluster, node) max by" in nodes.ratio_to(nodes).expr
    assert ") unless on (cluster, node) max by" in nodes.unless(nodes).expr
    named = metrics.POD_INFO().value().max("namespace", "pod", "node")
    pods = metrics.POD_READY().value().max("namespace", "pod")
    on = ") * on (cluster, namespace, pod) group_left (node) max by"
    assert on in pods.with_label_of("node", named).expr
