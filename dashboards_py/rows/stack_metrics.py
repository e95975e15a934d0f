"""What Prometheus scrapes, evaluates and stores, and what Alertmanager makes of it."""

from __future__ import annotations

from dashboards_py import links
from dashboards_py.colours import RED, bad_from, faults
from dashboards_py.layout import row
from dashboards_py.panels import Column, show, stacked_bars, table, timeseries
from dashboards_py.queries import stack
from dashboards_py.units import ALERTS_PER_SECOND, BYTES, COUNT, SAMPLES_PER_SECOND, SECONDS

TARGETS, FAILED = "Scrape targets", "Failed scrapes and rules"

WHICH_TARGET = links.panel_link("Which target", "stack-health", TARGETS)
SINCE_WHEN = links.panel_link("Since when", "stack-health", FAILED)

scrapes = row(
    timeseries(
        "Series in memory",
        show(stack.series(), "series"),
        show(stack.series_budget(), "budget"),
        least_step="2m",
        description="Against series.limit in the environment's budget.yaml. What is gone stays up "
        "to three hours.",
        unit=COUNT,
    ),
    timeseries(
        "Samples by scrape job",
        show(stack.samples_by_job(), "{{job}}"),
        description="Who delivers the series: samples of one scrape of all targets of a job.",
        unit=COUNT,
    ),
    table(
        TARGETS,
        {"job": "Job", "namespace": "Namespace", "pod": "Pod", "instance": "Instance"},
        Column(
            "State",
            stack.target_faults(),
            mappings=faults(one="down", zero="up"),
            thresholds=bad_from(critical=1),
            coloured=True,
        ),
        Column("Samples", stack.target_samples()),
        Column("Takes", stack.target_seconds(), unit=SECONDS),
        description="Those that are down first. One whose samples reach its monitor's sampleLimit "
        "is refused whole.",
        sort="State",
        links_of={"Namespace": [links.PODS_OF_ROW]},
        column_widths={"Namespace": 150},
        width=24,
    ),
    title="Prometheus: scrapes",
    links=[WHICH_TARGET],
)

prometheus = row(
    timeseries(
        "Rules take",
        show(stack.rules_duration(), "all groups"),
        show(stack.slowest_rules_duration(), "slowest group"),
        show(stack.rules_interval(), "interval"),
        description="A group that takes longer than its interval skips evaluations.",
        unit=SECONDS,
        width=6,
    ),
    timeseries(
        "Queries take",
        show(stack.query_duration(), "mean"),
        description="Mean time of one query, of rules and dashboards alike.",
        unit=SECONDS,
        width=6,
    ),
    timeseries(
        "Samples stored",
        show(stack.samples_per_second(), "samples"),
        description="A drop to 0 means that nothing is stored, however green the targets are.",
        unit=SAMPLES_PER_SECOND,
        links=[WHICH_TARGET],
        width=6,
    ),
    timeseries(
        "Storage",
        show(stack.storage(), "stored"),
        show(stack.blocks(), "of it in blocks"),
        show(stack.storage_limit(), "retentionSize"),
        description="Blocks, write-ahead log and the chunks of the last hours.",
        unit=BYTES,
        links=[links.VOLUMES],
        width=6,
    ),
    stacked_bars(
        FAILED,
        show(stack.rule_failures(), "rules not evaluated"),
        show(stack.sample_limit_hits(), "scrapes above sampleLimit"),
        show(stack.duplicate_samples(), "samples twice"),
        show(stack.out_of_order_samples(), "samples too late"),
        description="How often in each bar. Samples twice: two targets with the same labels.",
        links=[WHICH_TARGET],
        width=12,
    ),
    stacked_bars(
        "Failed storage",
        show(stack.compactions_failed(), "blocks not written"),
        show(stack.reloads_failed(), "blocks not read"),
        show(stack.wal_faults(), "write-ahead log"),
        description="How often in each bar. The disk is full or broken: metrics will be lost.",
        links=[links.VOLUMES],
        width=12,
    ),
    height=6,
    title="Prometheus: rules, queries, storage",
    links=[links.PODS],
)

alertmanager = row(
    timeseries(
        "Alerts and silences",
        show(stack.alerts_held(), "{{state}}"),
        show(stack.silences(), "silences in force"),
        description="What Alertmanager holds. The Watchdog is always one of them.",
        unit=COUNT,
    ),
    stacked_bars(
        "Notifications",
        show(stack.notifications_sent(), "tried"),
        show(stack.notifications_failed(), "failed", colour=RED),
        description="In each bar, to all receivers. Failed: wrong credentials, or no way out.",
    ),
    timeseries(
        "From Prometheus to Alertmanager",
        show(stack.alerts_sent(), "sent"),
        show(stack.alerts_not_sent(), "not sent", colour=RED),
        description="Alerts per second, each one again every minute.",
        unit=ALERTS_PER_SECOND,
        links=[links.PODS],
    ),
    height=6,
    title="Alertmanager",
    links=[links.ALERTS],
)
