"""The queries of the first row are asked until each has data, or the error is told."""

from __future__ import annotations

import time

import pytest

from scripts.core.findings import RepositoryError
from scripts.core.waiting import MissingError, until
from scripts.core.yamlfile import Json
from scripts.grafana import model
from scripts.live.verify import grafana, home_dashboard
from scripts.live.verify.grafana import Credentials, Grafana, PageLoad
from scripts.live.verify.grafana_pods import GrafanaNamespace
from tests.programs.live.grafana_server import (
    ADMIN,
    PASSWORD,
    TOKEN,
    Server,
    nothing,
    playing,
    rows,
)
from tests.programs.live.verify_cluster import Cluster

pytest_plugins = (
    "tests.programs.live.grafana_server",
    "tests.programs.live.verify_cluster",
)


@pytest.mark.parametrize(
    ("variables", "header", "who"),
    [
        ({}, f"Basic {ADMIN}", "the Secret grafana-admin"),
        ({"GRAFANA_TOKEN": TOKEN}, f"Bearer {TOKEN}", "the token of GRAFANA_TOKEN"),
        (
            {"GRAFANA_USER": "admin", "GRAFANA_PASSWORD": PASSWORD},
            f"Basic {ADMIN}",
            "the user of GRAFANA_USER",
        ),
    ],
    ids=["nobody", "token", "user"],
)
def test_the_secret_is_read_only_where_nobody_is_named(
    cluster: Cluster, variables: dict[str, str], header: str, who: str
) -> None:
    found = grafana.credentials(variables, GrafanaNamespace("monitoring"), model.release_values())
    assert (found.header, found.who, found.admin) == (header, who, not variables)
    assert len(cluster.lines("calls")) == (0 if variables else 1)
    assert header.split()[1] not in repr(found)


def at(server: Server, url: str = "") -> PageLoad:
    place = url or server.url
    who = Credentials(f"Bearer {TOKEN}", "somebody")
    page = home_dashboard.of_release(model.release_values())
    return PageLoad(Grafana("Grafana", lambda: place, who, local=True), page)


def opened(visit: PageLoad, limit: float = 0) -> None:
    until(visit.attempt, limit)


def test_a_grafana_that_starts_late_is_waited_for() -> None:
    with playing(Server(unavailable=2), silent=0.3) as server:
        began = time.monotonic()
        opened(at(server), 5)
    assert time.monotonic() - began > 0.3
    assert server.unavailable == 0


def test_only_panels_without_data_are_asked_again(server: Server) -> None:
    visit = at(server)
    server.result = lambda q: nothing(q) if "budget" in q["expr"] else rows(q)
    with pytest.raises(MissingError) as missing:
        visit.attempt()
    assert [f.path for f in missing.value.findings] == ["Grafana, panel 'Budget'"]
    server.result, asked = rows, len(server.queries)
    visit.attempt()
    assert len(server.queries) == asked + 1


def test_each_query_of_a_panel_must_have_data(server: Server) -> None:
    server.result = lambda q: nothing(q) if q["refId"] == "C" else rows(q)
    with pytest.raises(RepositoryError, match="panel 'Pods': query C has no data"):
        opened(at(server))


def failing(_: Json) -> Json:
    return {"status": 500, "error": "dial tcp: lookup prometheus-operated: no such host"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dashboard": 404}, "/api/dashboards/uid/todo-overview answers 404: Dashboard not found"),
        ({"result": failing}, "query A fails (500): dial tcp: lookup prometheus-operated"),
        ({"result": lambda _: {"status": 200}}, "query A has no data"),
        ({"whole": (404, b'{"message": "Data source not found"}')}, "(404): Data source not found"),
        ({"whole": (403, b"{}")}, "somebody may not ask /api/ds/query (403)"),
        ({"whole": (429, b"Too Many Requests")}, "somebody asks too often (429)"),
        ({"whole": (302, b"")}, "/api/ds/query is redirected (302)"),
        ({"whole": (200, b"<html>Sign in</html>")}, "/api/ds/query answers 200, and no JSON"),
        ({"unavailable": 1}, "/api/dashboards/uid/todo-overview answers 503, and no JSON"),
    ],
    ids=["404", "error", "no frame", "no source", "403", "429", "redirect", "login page", "503"],
)
def test_what_is_wrong_is_said(server: Server, changes: Json, message: str) -> None:
    for name, value in changes.items():
        setattr(server, name, value)
    with pytest.raises(RepositoryError) as error:
        opened(at(server))
    assert message in str(error.value)
    assert "/login" not in server.paths, "the credentials would go wherever a redirect leads"


def test_a_tls_failure_is_said(server: Server) -> None:
    with pytest.raises(RepositoryError, match=r"(?s)no answer: \[SSL.*correct the certificate"):
        opened(at(server, server.url.replace("http:", "https:")))


def test_queries_are_asked_as_a_browser_would(server: Server) -> None:
    opened(at(server))
    assert len(server.queries) == 9
    for query in server.queries:
        assert query["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert (query["instant"], query["range"]) == (True, False)
        assert "$" not in query["expr"]
    assert any('namespace=~"default"' in query["expr"] for query in server.queries)
