"""The row of the public address, an opt-in: `base/optional/public`."""

from __future__ import annotations

from dashboards_py import links
from dashboards_py.colours import good_from, states
from dashboards_py.layout import row
from dashboards_py.panels import show, stacked_bars, stat, timeseries
from dashboards_py.queries import public
from dashboards_py.units import COUNT, REQUESTS_PER_SECOND, SECONDS

NO_PROBE = "base/optional/public/watch is not taken in"
NO_DOOR = "base/optional/public/traefik/metrics is not taken in"
# What base/config/thresholds.yaml calls late, the three days first.
LATE = good_from(1209600)

PUBLIC_ADDRESS = row(
    stat(
        "Public address",
        show(public.answers(), "{{instance}}"),
        description="Asked from inside the cluster as people ask it: name, connection, "
        "certificate, status.",
        unit=COUNT,
        mappings=states(one="answers", zero="down"),
        width=4,
        no_value=NO_PROBE,
    ),
    stat(
        "Certificate left",
        show(public.certificate_left(), "{{instance}}", LATE),
        description="It is renewed after two thirds of its life: below two weeks that fails.",
        unit=SECONDS,
        width=4,
        no_value=NO_PROBE,
    ),
    stacked_bars(
        "Refused passwords",
        show(
            public.passwords_refused(),
            "{{status_code}}",
            allow_empty="Grafana counts a status from its first request on",
        ),
        description="In each bar, of the login form. Whom GitHub's rules keep out is in the log.",
        width=8,
        no_value="nobody was refused",
    ),
    timeseries(
        "Requests at the door",
        show(public.requests_at_the_door(), "{{class}}xx"),
        description="By status, of all that comes in. 4xx without 2xx: somebody looks for gaps.",
        unit=REQUESTS_PER_SECOND,
        width=8,
        no_value=NO_DOOR,
    ),
    height=6,
    title="The public address",
    links=[links.PODS],
)
