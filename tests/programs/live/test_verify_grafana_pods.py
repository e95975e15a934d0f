"""Whether a round was warm, and a port-forward that ends, as kubectl tells."""

from __future__ import annotations

import contextlib
import time

import pytest

from scripts.core.waiting import MissingError, until
from scripts.core.yamlfile import Json
from scripts.live.verify.grafana_pods import GrafanaNamespace, GrafanaPod
from tests.programs.live.grafana_server import Server
from tests.programs.live.verify_cluster import COLD, WARM, Cluster

pytest_plugins = (
    "tests.programs.live.grafana_server",
    "tests.programs.live.verify_cluster",
)


@pytest.mark.parametrize(
    ("events", "warm"),
    [([WARM, WARM], True), ([WARM, COLD], False), ([], False), ([{"reason": "Started"}], False)],
    ids=["all present", "one pulled", "no event", "other events"],
)
def test_a_round_is_warm_where_every_image_was_present(
    cluster: Cluster, events: list[Json], warm: bool
) -> None:
    cluster.set(events={"*": events})
    pod = GrafanaPod("grafana-1", "uid", "", "Running", ready=True, gone=False, reason="")
    assert GrafanaNamespace("monitoring").warm(pod) is warm


def test_a_port_forward_that_gave_up_is_started_again(cluster: Cluster, server: Server) -> None:
    (cluster.folder / "gives-up").touch()
    pod = GrafanaPod("grafana-0", "uid", "", "Running", ready=True, gone=False, reason="")
    with contextlib.closing(GrafanaNamespace("monitoring").forward(pod)) as forward:
        while not forward._process.ended:
            time.sleep(0.01)
        with pytest.raises(MissingError, match="is not connected: lost connection to pod"):
            forward.url()
        assert until(forward.url, 5) == server.url
    # It is asked for the port that it had.
    asked = [line.split()[-1] for line in cluster.lines("calls") if "port-forward" in line]
    assert asked == [":grafana", f"{server.port}:grafana"]
