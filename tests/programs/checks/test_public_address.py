"""The form of a public address, and whom an expression lets in."""

from __future__ import annotations

import pytest

from scripts.checks.rendered.sign_in import judged, texts
from scripts.checks.static.public_address import faults


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://grafana.example.com", "is public and not https"),
        ("https://grafana.example.com/grafana", "has a path"),
        ("https://grafana.example.com/?orgId=1", "has a path"),
        ("https://Grafana.example.com", "has a capital letter"),
        ("https://*.example.com", "has a wildcard"),
        ("https://grafana.example.com.", "ends with a dot"),
        ("https://grafana.example.com:8443", "has a port"),
        ("https://grafana.example.com:no", "is no URL"),
        ("https://me:secret@grafana.example.com", "has a name or a password"),
        ("https://grafana", "is no host that everybody finds"),
        ("https://grafana.monitoring.svc", "is no host that everybody finds"),
        ("https://graf_ana.example.com", "has no host that can exist"),
        ("https://grafäna.example.com", "has no host that can exist"),
        (f"https://{'a' * 64}.example.com", "has no host that can exist"),
        ("https://8.8.8.8", "is an IP address"),
        ("https://[2001:4860:4860::8888]", "is an IP address"),
        ("https://192.168.0.7", "is an address of a private network"),
        ("https://8-8-8-8.sslip.io", "certificates are used up"),
    ],
)
def test_an_address_that_cannot_be_public(url: str, says: str) -> None:
    ((message, fix),) = faults(url)
    assert says in message
    assert fix


@pytest.mark.parametrize(
    "url", ["https://grafana.example.com", "https://grafana.example.com/", "https://a.b-c.xn--p1ai"]
)
def test_an_address_that_can(url: str) -> None:
    assert list(faults(url)) == []


def test_an_ip_address_with_a_certificate_for_it() -> None:
    assert list(faults("https://8.8.8.8", short_lived=True)) == []


@pytest.mark.parametrize(
    ("expression", "stranger", "listed"),
    [
        ("contains(['octocat', 'hubot'], login) && 'Viewer'", "", {"Viewer"}),
        ("contains(`[\"octocat\"]`, login) && 'Viewer'", "", {"Viewer"}),
        ("[login=='octocat'][0] && 'Viewer'", "", {"Viewer"}),
        ("contains(groups[*], '@example/team') && 'Viewer'", "", {"Viewer"}),
        ("'Viewer'", "Viewer", {"Viewer"}),
        ("login && 'Viewer'", "Viewer", {"Viewer"}),
        ("contains(bio, 'example') && 'Viewer'", "Viewer", set()),
        ("company == '@example' && 'Viewer'", "Viewer", set()),
        ("starts_with(login, 'example-') && 'Viewer'", "Viewer", {"Viewer"}),
        ("ends_with(login, '-example') && 'Viewer'", "Viewer", {"Viewer"}),
        ("contains(login, 'example') && 'Viewer'", "Viewer", {"Viewer"}),
        ("followers > `100` && 'Viewer'", "Viewer", set()),
        # Nothing by the profile, so Grafana asks the groups alone, of which there is no login.
        ("login != 'stranger' && login != 'mallory' && 'Viewer'", "Viewer", set()),
        ("contains(['octocat'], login) && 'Viewer' || 'Admin'", "Admin", {"Admin", "Viewer"}),
        ("contains(['octocat'], login) && 'Owner'", "", {"Owner"}),
    ],
)
def test_whom_an_expression_lets_in(expression: str, stranger: str, listed: set[str]) -> None:
    found = judged(expression)
    assert found.error == ""
    assert found.stranger == stranger
    assert listed <= found.listed


def test_what_is_no_expression() -> None:
    assert judged("contains([octocat', login)").error
    assert texts('a == \'it\\\'s\' && `["b", "c"]`') == ["it's", "b", "c"]
