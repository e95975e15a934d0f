"""Events, calls and components, as Dapr's sidecars count them, and Redpanda's consumer lag."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Series, Vector
from dashboards_py.queries.lines import SIDECAR
from dashboards_py.queries.matchers import APP, NAMESPACE
from dashboards_py.query import not_equal, regex


def sidecars_up() -> Vector:
    """How many sidecars Prometheus can scrape."""
    return _sidecars().sum()


def sidecars_down() -> Vector:
    """How many sidecars Prometheus finds and cannot scrape; one in a crash loop is not found."""
    return _sidecars().where("== 0").count().or_zero_for(_sidecars().count())


def sidecars_ready() -> Vector:
    """1 for a sidecar whose container is ready, 0 for one that is not."""
    return m.CONTAINER_READY(namespace=NAMESPACE, container=SIDECAR).value().max("pod")


def publish_rate() -> Vector:
    """Events per second that the broker accepted, by topic."""
    return _published().rate().sum("topic")


def publish_rate_total() -> Vector:
    """Events per second that the broker accepted."""
    return _published().rate().sum()


def publish_failures() -> Vector:
    """Events per second that the broker refused, by app and topic."""
    failed = m.EVENTS_PUBLISHED(namespace=NAMESPACE, app_id=APP, success="false")
    return failed.rate().sum("app_id", "topic").where("> 0")


def publish_failure_share() -> Vector:
    """Share of events that the broker refused; no result without events."""
    total = m.EVENTS_PUBLISHED(namespace=NAMESPACE, app_id=APP).rate().sum()
    failed = m.EVENTS_PUBLISHED(namespace=NAMESPACE, app_id=APP, success="false").rate().sum()
    return failed.or_zero_for(total).ratio_to(total.where("> 0"))


def consume_rate() -> Vector:
    """Deliveries per second by outcome: success, retry, drop."""
    return m.EVENTS_CONSUMED(namespace=NAMESPACE, app_id=APP).rate().sum("process_status")


def consume_failures() -> Vector:
    """Deliveries per second that were retried or dropped, by consumer and topic."""
    failed = m.EVENTS_CONSUMED(namespace=NAMESPACE, app_id=APP, process_status=not_equal("success"))
    return failed.rate().sum("app_id", "topic", "process_status").where("> 0")


def consume_failure_share() -> Vector:
    """Share of deliveries that were retried or dropped; no result without deliveries."""
    total = m.EVENTS_CONSUMED(namespace=NAMESPACE, app_id=APP).rate().sum()
    failed = m.EVENTS_CONSUMED(namespace=NAMESPACE, app_id=APP, process_status=not_equal("success"))
    return failed.rate().sum().or_zero_for(total).ratio_to(total.where("> 0"))


def backlog() -> Vector:
    """Events published and not processed within 30 minutes, by consumer and topic."""
    behind = m.EVENTS_BACKLOG(namespace=NAMESPACE, app_id=APP).value()
    return behind.sum("app_id", "topic").round()


def backlog_largest() -> Vector:
    """The largest backlog of a consumer."""
    return backlog().max()


def consumer_lag() -> Vector:
    """Events that each consumer group has not fetched, as the broker counts them."""
    return m.CONSUMER_LAG().value().max("redpanda_group")


def processing_p95() -> Vector:
    """Milliseconds within which 95% of deliveries are processed, by consumer and topic."""
    latency = m.EVENT_PROCESSING(namespace=NAMESPACE, app_id=APP)
    return latency.quantile(0.95, "app_id", "topic")


def reminders() -> Vector:
    """Events per second of cron and other input bindings, by app, binding and success."""
    bindings = m.BINDING_EVENTS(namespace=NAMESPACE, app_id=APP)
    return bindings.rate().sum("app_id", "component", "success")


def jobs_triggered() -> Vector:
    """Jobs per second that the scheduler delivered; 0 where jobs are not used."""
    return m.JOBS_TRIGGERED().rate().sum().or_zero_for(scheduler_sidecars())


def jobs_failed() -> Vector:
    """Jobs per second that an app refused."""
    return m.JOBS_FAILED().rate().sum().or_zero_for(scheduler_sidecars())


def jobs_undelivered() -> Vector:
    """Jobs per second that no sidecar took."""
    return m.JOBS_UNDELIVERED().rate().sum().or_zero_for(scheduler_sidecars())


def scheduler_sidecars() -> Vector:
    """Sidecars connected to the scheduler."""
    return m.SCHEDULER_SIDECARS().value().sum()


def calls() -> Vector:
    """Calls per second from sidecar to sidecar, by caller and callee."""
    return m.CALLS(namespace=NAMESPACE, app_id=APP).rate().sum("app_id", "src_app_id")


def calls_failing() -> Vector:
    """Share of calls answered with 5xx, by caller and callee; no result without calls."""
    total = calls()
    failed = m.CALLS(namespace=NAMESPACE, app_id=APP, status=regex("5.."))
    failing = failed.rate().sum("app_id", "src_app_id").or_zero_for(total)
    return failing.ratio_to(total.where("> 0"))


def call_p95() -> Vector:
    """Milliseconds within which 95% of calls are answered, by caller and callee."""
    duration = m.CALL_DURATION(namespace=NAMESPACE, app_id=APP)
    return duration.quantile(0.95, "app_id", "src_app_id")


def policy_activations() -> Vector:
    """How often a retry, timeout or circuit breaker was activated, by app, policy and target."""
    activations = m.POLICY_ACTIVATIONS(namespace=NAMESPACE, app_id=APP)
    return activations.increase().sum("app_id", "policy", "target").where("> 0")


def circuits_closed() -> Vector:
    """1 for a circuit breaker that is closed, 0 for one that is open or half open."""
    closed = m.CIRCUIT_BREAKER(namespace=NAMESPACE, app_id=APP, status="closed")
    return closed.value().min("app_id", "target")


def circuits_open() -> Vector:
    """How many circuit breakers are open or half open."""
    return circuits_closed().where("== 0").count().or_zero_for(_sidecars().count())


def components_failed() -> Vector:
    """How many components failed to start, however often, since their sidecar started."""
    failed = m.COMPONENTS_FAILED(namespace=NAMESPACE, app_id=APP).total()
    each = failed.max("app_id", "component", "componentName").where("> 0")
    return each.count().or_zero_for(_sidecars().count())


def components_loaded_by_app() -> Vector:
    """Components that each app's sidecars loaded since they started."""
    return m.COMPONENTS_LOADED(namespace=NAMESPACE, app_id=APP).total().sum("app_id")


def components_started_by_app() -> Vector:
    """Components of each app that started."""
    started = m.COMPONENTS_STARTED(namespace=NAMESPACE, app_id=APP)
    return started.total().sum("app_id")


def components_failed_by_app() -> Vector:
    """Components of each app that failed to start, however often they tried."""
    failed = m.COMPONENTS_FAILED(namespace=NAMESPACE, app_id=APP).total()
    each = failed.max("app_id", "component", "componentName").where("> 0")
    return each.count("app_id").or_zero_for(components_loaded_by_app())


def components_failed_by_name() -> Vector:
    """How often each component failed to start, by app, type, name and reason."""
    failed = m.COMPONENTS_FAILED(namespace=NAMESPACE, app_id=APP)
    return failed.total().sum("app_id", "component", "componentName", "reason")


def issuer_expires_in() -> Vector:
    """Seconds until the issuer certificate, which signs the sidecars' certificates, expires."""
    return m.ISSUER_EXPIRY().value().min().seconds_until()


def _published() -> Series:
    return m.EVENTS_PUBLISHED(namespace=NAMESPACE, app_id=APP, success="true")


def _sidecars() -> Vector:
    return m.UP(job="dapr", namespace=NAMESPACE).value().max("pod")
