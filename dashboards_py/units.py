"""Grafana's unit ids that panels use; `suffix:` writes the text behind the number as it stands."""

from __future__ import annotations

from collections.abc import Mapping

CORES = "suffix:cores"
BYTES = "bytes"
# From 0 to 1, shown in percent.
SHARE = "percentunit"
COUNT = "short"
REQUESTS_PER_SECOND = "reqps"
LINES_PER_SECOND = "suffix:lines/s"
SAMPLES_PER_SECOND = "suffix:samples/s"
BYTES_PER_SECOND = "binBps"
EVENTS_PER_SECOND = "suffix:events/s"
ALERTS_PER_SECOND = "suffix:alerts/s"
PACKETS_PER_SECOND = "pps"
SECONDS = "s"
MILLISECONDS = "ms"
TIMES = "suffix:×"

# Where a graph's axis ends at least. Grafana draws one to 100 where every value is 0.
LEAST_AXIS: Mapping[str, float] = {
    CORES: 0.01,
    BYTES: 1024,
    SHARE: 0.01,
    COUNT: 1,
    REQUESTS_PER_SECOND: 0.01,
    LINES_PER_SECOND: 0.01,
    SAMPLES_PER_SECOND: 1,
    BYTES_PER_SECOND: 1024,
    EVENTS_PER_SECOND: 0.01,
    ALERTS_PER_SECOND: 0.01,
    PACKETS_PER_SECOND: 1,
    SECONDS: 0.001,
    MILLISECONDS: 1,
    TIMES: 1,
}

# The longest that Grafana writes of a value, for the width of a table's column.
LONGEST: Mapping[str, str] = {
    CORES: "0.0888 cores",
    BYTES: "8888 MiB",
    SHARE: "88.88%",
    COUNT: "888.8 K",
    REQUESTS_PER_SECOND: "0.0888 req/s",
    SECONDS: "888 ms",
    MILLISECONDS: "888 ms",
    TIMES: "888.8 ×",
}
