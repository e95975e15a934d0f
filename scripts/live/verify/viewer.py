"""A service account of Grafana that is a Viewer, and its token, which ends.

Grafana makes service accounts by its API alone: no file provisions one
(https://grafana.com/docs/grafana/latest/developers/http_api/serviceaccount/). Its database has no
volume here, so both end with its pod, too.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from urllib.parse import quote

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.core.waiting import until
from scripts.core.yamlfile import Json
from scripts.live.verify.grafana import Grafana

ACCOUNTS = "/api/serviceaccounts"
ROLE = "Viewer"
# Seconds that Grafana may take to answer the first time.
_PATIENCE = 20.0


@contextlib.contextmanager
def token(grafana: Grafana, prefix: str, seconds: int) -> Iterator[str]:
    """Make a service account of role Viewer; it is deleted at the end of the block.

    Those of before whose token has ended are deleted first.

    Args:
        grafana: As its administrator, from inside of the cluster.
        prefix: What the names of these accounts begin with; each has a name of its own.
        seconds: After which the token ends by itself.

    Yields:
        The token.

    Raises:
        RepositoryError: If Grafana does not answer, or refuses.
    """
    until(lambda: remove_ended(grafana, prefix), _PATIENCE)
    name = prefix + secrets.token_hex(4)
    made = _answer(grafana, ACCOUNTS, {"name": name, "role": ROLE, "isDisabled": False})
    account = f"{ACCOUNTS}/{_value(made, 'id')}"
    try:
        if (role := made.get("role", ROLE)) != ROLE:
            message = f"makes an {role} of who is to be a {ROLE}"
            raise RepositoryError(Finding(grafana.name, None, message, "see Grafana's log"))
        given = _answer(grafana, f"{account}/tokens", {"name": name, "secondsToLive": seconds})
        yield str(_value(given, "key"))
    finally:
        try:
            # Ctrl+C ends kubectl, too, which is then started again.
            until(lambda: _answer(grafana, account, method="DELETE"), _PATIENCE)
        except RepositoryError as error:
            text = error.findings[0].message
            progress(f"Grafana keeps the service account {name} until the next time: {text}")


def remove_ended(grafana: Grafana, prefix: str) -> None:
    """Delete the service accounts that were made here and whose token has ended, or that have none.

    Args:
        grafana: As its administrator.
        prefix: What their names begin with.

    Raises:
        RepositoryError: If Grafana does not answer, or refuses.
    """
    for ended in ("true", "false"):
        query = f"?query={quote(prefix)}&expiredTokens={ended}"
        found = _answer(grafana, f"{ACCOUNTS}/search{query}")
        for account in found.get("serviceAccounts") or []:
            ours = str(account["name"]).startswith(prefix)
            if ours and (ended == "true" or not account.get("tokens")):
                _answer(grafana, f"{ACCOUNTS}/{account['id']}", method="DELETE")


def _answer(grafana: Grafana, path: str, body: Json = None, method: str | None = None) -> Json:
    status, document = grafana.ask(path, body, method)
    gone = method == "DELETE" and status == 404
    if status >= 300 and not gone:
        where = path.partition("?")[0]
        message = f"{where} answers {status}: {document.get('message') or 'no reason given'}"
        raise RepositoryError(Finding(grafana.name, None, message, "see Grafana's log"))
    return document


def _value(document: Json, key: str) -> Json:
    if key not in document:
        message = f"makes a service account, and its answer has no {key}"
        fix = "look whether this version of Grafana still has service accounts"
        raise RepositoryError(Finding("Grafana", None, message, fix))
    return document[key]
