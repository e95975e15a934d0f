"""The way of a log line: from a pod's file through Alloy into Loki."""

from __future__ import annotations

from dashboards_py import links
from dashboards_py.layout import row
from dashboards_py.panels import show, stacked_bars, timeseries
from dashboards_py.queries import stack
from dashboards_py.units import (
    BYTES_PER_SECOND,
    COUNT,
    LINES_PER_SECOND,
    REQUESTS_PER_SECOND,
    SECONDS,
)

pipeline = row(
    timeseries(
        "Log lines",
        show(stack.alloy_lines_read(), "read from files"),
        show(stack.alloy_lines_sent(), "sent by Alloy"),
        show(stack.loki_lines(), "received by Loki"),
        description="The pipeline drops some and joins others. Received is the same as sent.",
        unit=LINES_PER_SECOND,
        links=[links.data_link("The lines", "todo-logs")],
    ),
    timeseries(
        "Lines by Alloy",
        show(stack.alloy_lines_sent_by_pod(), "{{pod}}"),
        description="One for each node, and one for events. At 0, nobody sees a node's logs.",
        unit=LINES_PER_SECOND,
    ),
    stacked_bars(
        "Lost on the way",
        show(stack.alloy_lines_lost(), "lost: {{reason}}"),
        show(stack.alloy_retries(), "batches sent again"),
        description="Lines that Alloy gave up sending, in each bar, after all its tries.",
    ),
    stacked_bars(
        "Dropped on purpose",
        show(stack.alloy_lines_dropped(), "dropped"),
        description="Lines in each bar: probes, and what is too old for Loki.",
    ),
    title="Logs: from pods to Loki",
    links=[links.NODE_PODS],
)

loki = row(
    timeseries(
        "Bytes into Loki",
        show(stack.loki_bytes(), "received"),
        description="Before compression. The limit on the rate is in base/releases/loki.yaml.",
        unit=BYTES_PER_SECOND,
        width=8,
        links=[links.WHO_WRITES],
    ),
    stacked_bars(
        "Refused by Loki",
        show(
            stack.loki_discarded_by_reason(),
            "{{reason}}",
            allow_empty="Loki counts a reason from its first refused line on",
        ),
        description="Lines, in each bar. rate_limited, per_stream_rate_limit: somebody writes too "
        "much; greater_than_max_sample_age: somebody catches up.",
        width=8,
        links=[links.WHO_WRITES],
        no_value="Loki refused no line",
    ),
    stacked_bars(
        "Loki's disk",
        show(stack.loki_flushed(), "chunks written"),
        show(stack.loki_flush_failures(), "chunks not written"),
        show(stack.loki_disk_full(), "entries not secured"),
        description="In each bar. Not written: the volume is full; memory fills up next.",
        width=8,
        links=[links.VOLUMES],
    ),
    timeseries(
        "Loki in memory",
        show(stack.loki_streams(), "streams"),
        show(stack.loki_chunks(), "chunks"),
        description="Streams are combinations of labels; base/releases/loki.yaml limits them.",
        unit=COUNT,
        width=8,
        links=[links.WHO_WRITES],
    ),
    timeseries(
        "Loki's answers",
        show(stack.loki_requests(), "{{status_code}}"),
        description="Requests by status: 429 is a limit, 5xx a fault.",
        unit=REQUESTS_PER_SECOND,
        width=8,
    ),
    timeseries(
        "Loki takes",
        show(stack.loki_request_duration(), "{{route}}"),
        description="Mean time of an answer.",
        unit=SECONDS,
        width=8,
        no_value="nobody asks",
    ),
    height=6,
    title="Logs: Loki",
    links=[links.PODS],
)
