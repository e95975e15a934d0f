"""Grafana's unit ids that panels use; `suffix:` writes the text behind the number as it stands."""

from __future__ import annotations

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
