"""Who may read what is rendered."""

from __future__ import annotations

import pytest

from scripts.checks.rendered import access
from scripts.core.yamlfile import Json
from scripts.diff.analyzers import readers
from scripts.diff.model import Flag
from scripts.model.readers import INI
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import Edit, added, container, edited, named
from tests.programs.diff.diff_pairs import pair


def ini(text: str) -> Edit:
    def edit(manifest: Json) -> None:
        manifest["data"][INI] = text

    return edit


def grafana(rendered: list[Cluster], text: str) -> Cluster:
    return edited(named(rendered), "ConfigMap", "grafana", ini(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[users]\nallow_sign_up = false\n", ""),
        ("instance_name = x\n[auth.anonymous]\nenabled = true\n", ""),
        ("[auth.anonymous]\norg_role = Admin\n", ""),
        ("instance_name = x\n[auth.anonymous]\nenabled = true\norg_role = Editor\n", "is Editor"),
        ("[auth.proxy]\nenabled = true\nwhitelist = 10.0.0.1\n", ""),
        ("[auth.proxy]\nenabled = yes\n", "in a header"),
        ("[auth]\ndisable_login_form = true\n[auth.generic_oauth]\nenabled = true\n", ""),
        ("[auth]\ndisable_login_form = true\n[auth.basic]\nenabled = true\n", "nobody can sign in"),
        ("not [ini\n", ""),
    ],
)
def test_settings_of_grafana(rendered: list[Cluster], text: str, says: str) -> None:
    found = [fault.message for fault in access.strangers(grafana(rendered, text))]
    assert len(found) == bool(says)
    assert all(says in message for message in found)


def test_variables_come_before_the_file(rendered: list[Cluster]) -> None:
    def variables(manifest: Json) -> None:
        own = container(manifest).setdefault("env", [])
        own.append({"name": "GF_AUTH_ANONYMOUS_ENABLED", "value": "false"})

    open_to_all = grafana(rendered, "[auth.anonymous]\nenabled = true\norg_role = Admin\n")
    assert list(access.strangers(open_to_all))
    assert not list(access.strangers(edited(open_to_all, "Deployment", "grafana", variables)))


ROUTE = {"rules": [{"backendRefs": [{"name": "loki", "port": 3100}]}]}


def test_only_what_asks_for_a_password_is_reached_from_outside(rendered: list[Cluster]) -> None:
    cluster = named(rendered)
    assert not list(access.outside(cluster))
    by_port = edited(
        cluster, "Service", "grafana", lambda service: service["spec"].update(type="NodePort")
    )
    assert not list(access.outside(by_port))
    route = added(cluster, "HTTPRoute", spec=ROUTE)
    (fault,) = access.outside(route)
    assert "HTTPRoute monitoring/added: loki asks nobody for a password" in fault.message
    for after, who in ((by_port, "who has an account there"), (route, "anybody")):
        (flag,) = readers.exposed(pair(cluster, after))
        assert isinstance(flag, Flag)
        assert who in flag.why
        assert not list(readers.exposed(pair(after, cluster)))


def test_policies_choose_pods_and_pods_are_chosen(rendered: list[Cluster]) -> None:
    cluster = named(rendered)
    assert not list(access.guarded(cluster))

    def choosing(name: str) -> Edit:
        labels = {"matchLabels": {"app.kubernetes.io/name": name}}
        return lambda policy: policy["spec"].update(podSelector=labels)

    name = "grafana-from-anywhere"
    (fault,) = access.guarded(edited(cluster, "NetworkPolicy", name, choosing("nobody")))
    assert "chooses no pod" in fault.message
    left = edited(cluster, "NetworkPolicy", "only-from-monitoring", choosing("loki"))
    assert any("StatefulSet" in fault.message for fault in access.guarded(left))
    assert all("no NetworkPolicy chooses" in fault.message for fault in access.guarded(left))


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        ("", "[users]\nviewers_can_edit = true\n", 1),
        ("[users]\nviewers_can_edit = true\n", "", 0),
        ("", "[users]\nauto_assign_org_role = Admin\n", 1),
        ("[users]\nauto_assign_org_role = Admin\n", "[users]\nauto_assign_org_role = Editor\n", 0),
        ("", "[security]\nallow_embedding = true\n[auth]\ndisable_login_form = true\n", 2),
    ],
)
def test_settings_that_open_grafana_are_flagged(
    rendered: list[Cluster], before: str, after: str, flags: int
) -> None:
    both = pair(grafana(rendered, before), grafana(rendered, after))
    assert len(list(readers.settings(both))) == flags
