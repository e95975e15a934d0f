"""A Viewer for one measurement: a service account that the administrator makes and removes.

Signing in at GitHub is for people, and what only Grafana's database knows is gone with its pod; so
each round has its own. The administrator's password stays inside of the cluster.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.yamlfile import Json
from scripts.live.verify.grafana import Credentials, Grafana, of_token

# https://grafana.com/docs/grafana/latest/developers/http_api/serviceaccount/
PATH = "/api/serviceaccounts"
ROLE = "Viewer"
# Seconds after which its token is of no use, should nobody be able to remove it.
LIFETIME = 900


@contextlib.contextmanager
def made(admin: Grafana) -> Iterator[Credentials]:
    """Make a Viewer, and remove it at the end, also of an error.

    Args:
        admin: Grafana, asked by its administrator from inside.

    Raises:
        RepositoryError: If it cannot be made.
    """
    # Of its own, as one may be left of a measurement that was cut off.
    name = f"make-verify-{secrets.token_hex(4)}"
    account = _asked(admin, PATH, {"name": name, "role": ROLE})
    path = f"{PATH}/{account.get('id')}"
    try:
        if account.get("role") != ROLE:
            raise _refused(admin, PATH, f"it is {account.get('role')} and not {ROLE}")
        token = _asked(admin, f"{path}/tokens", {"name": name, "secondsToLive": LIFETIME})
        yield of_token(str(token.get("key", "")), f"the {ROLE} {name}")
    finally:
        try:
            status, _ = admin.ask(path, method="DELETE")
        except RepositoryError:
            status = 0
        if status != 200:
            progress(f"the service account {name} is left: remove it in Grafana")


def _asked(admin: Grafana, path: str, body: Json) -> Json:
    status, document = admin.ask(path, body)
    if status not in (200, 201):
        raise _refused(admin, path, f"{status}: {document.get('message', 'no reason given')}")
    return document


def _refused(admin: Grafana, path: str, reason: str) -> RepositoryError:
    message = f"{path} makes no {ROLE}: {reason}"
    fix = f"make a service account with the role {ROLE} in Grafana, and give GRAFANA_TOKEN"
    return RepositoryError(Finding(admin.name, None, message, fix))
