"""Who may read what is rendered."""

from __future__ import annotations

import pytest

from scripts.checks.rendered import access, links
from scripts.core.yamlfile import Json
from scripts.diff.analyzers import readers
from scripts.diff.model import Flag
from scripts.model.readers import INI
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import Edit, added, container, edited, named
from tests.programs.diff.diff_pairs import pair

STRICT = "[auth.github]\nenabled = true\nrole_attribute_strict = true\n"


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
    cluster = grafana(rendered, text)
    both = (*access.strangers_only_read(cluster), *access.people_can_sign_in(cluster))
    found = [fault.message for fault in both]
    assert len(found) == bool(says)
    assert all(says in message for message in found)


@pytest.mark.parametrize(
    ("url", "secure", "found"),
    [
        ("http://grafana.example.org", "true", 1),
        ("http://grafana.example.org", "false", 0),
        ("https://grafana.example.org", "true", 0),
        ("http://localhost:3000", "true", 0),
        ("http://127.0.0.1:3000/grafana", "true", 0),
        ("http://grafana.localhost", "true", 0),
        ("%(protocol)s://%(domain)s/", "true", 0),
        ("", "true", 0),
    ],
)
def test_cookies_that_browsers_keep(
    rendered: list[Cluster], url: str, secure: str, found: int
) -> None:
    text = f"[server]\nroot_url = {url}\n[security]\ncookie_secure = {secure}\n"
    assert len(list(access.sessions_kept(grafana(rendered, text)))) == found


def test_variables_come_before_the_file(rendered: list[Cluster]) -> None:
    def variables(manifest: Json) -> None:
        own = container(manifest).setdefault("env", [])
        own.append({"name": "GF_AUTH_ANONYMOUS_ENABLED", "value": "false"})

    open_to_all = grafana(rendered, "[auth.anonymous]\nenabled = true\norg_role = Admin\n")
    assert list(access.strangers_only_read(open_to_all))
    assert not list(
        access.strangers_only_read(edited(open_to_all, "Deployment", "grafana", variables))
    )


ROUTE = {"rules": [{"backendRefs": [{"name": "loki", "port": 3100}]}]}


def test_only_what_asks_for_a_password_is_reached_from_outside(rendered: list[Cluster]) -> None:
    cluster = named(rendered)
    assert not list(access.passwordless_services_inside(cluster))
    by_port = edited(
        cluster, "Service", "grafana", lambda service: service["spec"].update(type="NodePort")
    )
    assert not list(access.passwordless_services_inside(by_port))
    route = added(cluster, "HTTPRoute", spec=ROUTE)
    (fault,) = access.passwordless_services_inside(route)
    assert "HTTPRoute monitoring/added: loki asks nobody for a password" in fault.message
    for after, who in ((by_port, "who has an account there"), (route, "anybody")):
        (flag,) = readers.exposed(pair(cluster, after))
        assert isinstance(flag, Flag)
        assert who in flag.why
        assert not list(readers.exposed(pair(after, cluster)))


def test_each_pod_is_selected_by_a_policy(rendered: list[Cluster]) -> None:
    cluster = named(rendered)
    assert not list(access.pods_guarded(cluster))

    def choosing(name: str) -> Edit:
        labels = {"matchLabels": {"app.kubernetes.io/name": name}}
        return lambda policy: policy["spec"].update(podSelector=labels)

    left = edited(cluster, "NetworkPolicy", "only-from-monitoring", choosing("loki"))
    assert any("StatefulSet" in fault.message for fault in access.pods_guarded(left))
    assert all("no NetworkPolicy selects" in fault.message for fault in access.pods_guarded(left))
    # A policy that selects nothing is at fault itself.
    wrong = edited(cluster, "NetworkPolicy", "only-from-monitoring", choosing("nobody"))
    assert not list(access.pods_guarded(wrong))
    assert any("selects the pods with" in fault.message for fault in links.resolved(wrong))


@pytest.mark.parametrize(
    ("before", "after", "flags"),
    [
        ("", "[users]\nviewers_can_edit = true\n", 1),
        ("[users]\nviewers_can_edit = true\n", "", 0),
        ("", "[users]\nauto_assign_org_role = Admin\n", 1),
        (STRICT, "[auth.github]\nenabled = true\n", 1),
        (STRICT, "", 0),
        ("[users]\nauto_assign_org_role = Admin\n", "[users]\nauto_assign_org_role = Editor\n", 0),
        ("", "[security]\nallow_embedding = true\n[auth]\ndisable_login_form = true\n", 2),
        ("[security]\ncookie_secure = true\n", "", 1),
        ("", "[security]\ncookie_secure = true\n", 0),
        ("[snapshots]\nenabled = false\n", "", 1),
        ("", "[auth.github]\nenabled = true\n", 1),
        (
            "[auth.github]\nenabled = true\nallowed_organizations = one\n",
            "[auth.github]\nenabled = true\nteam_ids = 1\n",
            2,
        ),
    ],
)
def test_settings_that_open_grafana_are_flagged(
    rendered: list[Cluster], before: str, after: str, flags: int
) -> None:
    both = pair(grafana(rendered, before), grafana(rendered, after))
    assert len(list(readers.settings(both))) == flags


def test_who_may_sign_in_is_said_when_github_is_let_in(rendered: list[Cluster]) -> None:
    for people, says in (("", "Nothing says who."), ("team_ids = 7\n", "Who: team_ids is 7.")):
        after = grafana(rendered, f"[auth.github]\nenabled = true\n{people}")
        (flag,) = readers.settings(pair(grafana(rendered, ""), after))
        assert isinstance(flag, Flag)
        assert flag.why.endswith(says)
