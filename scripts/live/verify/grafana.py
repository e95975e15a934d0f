"""Grafana's HTTP API, asked as a browser asks it that opens the home page."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import urlsplit

from scripts.core.findings import Finding, RepositoryError
from scripts.core.redirects import NoRedirects
from scripts.core.waiting import MissingError
from scripts.core.yamlfile import Json
from scripts.grafana.model import PanelModel
from scripts.live.verify import certificate
from scripts.live.verify.grafana_pods import GrafanaNamespace
from scripts.live.verify.home_dashboard import HomeDashboard

# Seconds that one answer may take.
_TIMEOUT = 10
# Connections that a browser opens to one server.
_CONNECTIONS = 6
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_KEPT = (
    "check GRAFANA_TOKEN, or GRAFANA_USER and GRAFANA_PASSWORD; what only Grafana's own database "
    "knows is gone with its pod, as the release has no volume"
)
_ADMIN_KEPT = (
    "if the Secret was changed after Grafana's pod began, delete the pod: it reads the Secret once"
)


@dataclass(frozen=True)
class Credentials:
    """Who asks.

    Attributes:
        header: Of each request; never shown.
        who: In words.
        admin: Whether it is the administrator, who may see more than a viewer.
    """

    header: str = field(repr=False)
    who: str
    admin: bool = False


def credentials(
    environment: Mapping[str, str], namespace: GrafanaNamespace, release: Json
) -> Credentials:
    """Return the credentials of the environment, else the administrator's.

    Args:
        environment: GRAFANA_TOKEN, or GRAFANA_USER and GRAFANA_PASSWORD.
        namespace: Holds the Secret that is read where neither is set.
        release: The values of Grafana's release, which name the Secret.

    Raises:
        RepositoryError: If only one of user and password is set, or the Secret cannot be read.
    """
    if token := environment.get("GRAFANA_TOKEN"):
        return of_token(token, "the token of GRAFANA_TOKEN")
    user, password = environment.get("GRAFANA_USER"), environment.get("GRAFANA_PASSWORD")
    if user and password:
        return Credentials(_basic(user, password), "the user of GRAFANA_USER")
    if user or password:
        absent = "GRAFANA_PASSWORD" if user else "GRAFANA_USER"
        raise RepositoryError(Finding("environment", None, f"{absent} is not set", "set both"))
    admin = release["admin"]
    keys = (admin.get("userKey", "admin-user"), admin.get("passwordKey", "admin-password"))
    user, password = namespace.secret(admin["existingSecret"], *keys)
    return Credentials(_basic(user, password), f"the Secret {admin['existingSecret']}", admin=True)


def of_token(token: str, who: str) -> Credentials:
    """Return the credentials of a service account.

    Args:
        token: Its token.
        who: What to call it.

    Raises:
        RepositoryError: For a token that cannot be sent.
    """
    return Credentials(_header("Bearer", token), who)


def _basic(user: str, password: str) -> str:
    return _header("Basic", base64.b64encode(f"{user}:{password}".encode()).decode())


def _header(scheme: str, value: str) -> str:
    # urllib would put what it refuses into its message.
    if not value.isascii() or not value.isprintable():
        message = "the credentials hold a character that HTTP does not allow"
        raise RepositoryError(Finding("environment", None, message, "set them again, in one line"))
    return f"{scheme} {value}"


def is_local(url: str) -> bool:
    """Say whether a URL leads to this machine."""
    return urlsplit(url).hostname in _LOCAL


def public(url: str) -> str:
    """Return a public URL as requests begin with it.

    Raises:
        RepositoryError: If credentials may not be sent there.
    """
    parts = urlsplit(url)
    message = ""
    if "@" in parts.netloc:
        url, message = "the public URL", "has credentials in it"
    elif parts.scheme not in ("http", "https") or not parts.hostname:
        message = "is no URL of a web server"
    elif parts.scheme == "http" and not is_local(url):
        message = "would send credentials in the clear"
    if message:
        fix = "give https://<host>[/path], and credentials by the environment"
        raise RepositoryError(Finding(url, None, message, fix))
    return url.rstrip("/")


@dataclass(frozen=True)
class Grafana:
    """Grafana under one address.

    Attributes:
        name: Of the address, as findings say it.
        url: Returns the address without a slash at its end; may raise MissingError.
        credentials: Sent with each request.
        local: Whether it is reached without the environment's proxies.
    """

    name: str
    url: Callable[[], str]
    credentials: Credentials
    local: bool

    def ask(self, path: str, body: Json = None, method: str | None = None) -> tuple[int, Json]:
        """Return the status and the JSON of an answer.

        Args:
            path: Below the address.
            body: To send.
            method: By default POST where there is a body, else GET.

        Raises:
            MissingError: If there is no answer, or none in JSON.
            RepositoryError: If the credentials or the certificate are refused, or the answer is a
                redirect.
        """
        headers = {"Authorization": self.credentials.header, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = self.url() + path
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - public()
        try:
            with self._opener().open(request, timeout=_TIMEOUT) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, content = error.code, _content(error)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise certificate.untrusted(self.name, request.full_url, reason) from None
            fix = "see whether Grafana, and what is before it, is up"
            if isinstance(reason, ssl.SSLError):
                fix = "correct the certificate; SSL_CERT_FILE names a private authority's"
            raise self._missing(f"no answer: {reason}", fix) from None
        self._judge(status, path)
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            fix = "look whether a proxy or a login page is before it"
            raise self._missing(f"{path} answers {status}, and no JSON", fix)
        return status, document

    def _judge(self, status: int, path: str) -> None:
        """Refuse what waiting cannot change; asking again would lock the user out."""
        if status == 401:
            message = f"{self.credentials.who} is refused (401)"
            fix = _ADMIN_KEPT if self.credentials.admin else _KEPT
        elif status == 403:
            message = f"{self.credentials.who} may not ask {path} (403)"
            fix = "see Grafana's log" if self.credentials.admin else "make it a Viewer"
        elif status == 429:
            message = f"{self.credentials.who} asks too often (429): passwords are limited there"
            fix = "name nobody, so that a Viewer is made for it; or give GRAFANA_TOKEN"
        elif 300 <= status < 400:
            message, fix = f"{path} is redirected ({status})", "give the URL that it leads to"
        else:
            return
        raise RepositoryError(Finding(self.name, None, message, fix))

    def _opener(self) -> urllib.request.OpenerDirector:
        proxies = urllib.request.ProxyHandler({} if self.local else None)
        return urllib.request.build_opener(proxies, NoRedirects)

    def _missing(self, message: str, fix: str) -> MissingError:
        return MissingError(Finding(self.name, None, message, fix))


def _content(answer: IO[bytes]) -> bytes:
    try:
        return answer.read()
    except (OSError, http.client.HTTPException):
        return b""


@dataclass
class PageLoad:
    """The home page being opened by somebody who reloads what is not there yet.

    Attributes:
        empty: Panels that have not had data yet.
    """

    grafana: Grafana
    home: HomeDashboard
    empty: list[PanelModel] = field(init=False)

    def __post_init__(self) -> None:
        """Nothing has data yet."""
        self.empty = list(self.home.panels)

    def attempt(self) -> None:
        """Ask for the dashboard, and for the panels that were empty.

        Raises:
            MissingError: With a finding for each panel that is empty still.
            RepositoryError: For what waiting cannot change.
        """
        path = f"/api/dashboards/uid/{self.home.uid}"
        status, document = self.grafana.ask(path)
        if status != 200:
            message = f"{path} answers {status}: {_message(document)}"
            fix = "sync the dashboards, and see Grafana's log for `provisioning`"
            raise MissingError(Finding(self.grafana.name, None, message, fix))
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            faults = list(pool.map(self._fault, self.empty))
        self.empty = [panel for panel, fault in zip(self.empty, faults, strict=True) if fault]
        if found := [fault for fault in faults if fault]:
            raise MissingError(*found)

    def _fault(self, panel: PanelModel) -> Finding | None:
        place = f"{self.grafana.name}, panel {panel.title!r}"
        try:
            status, document = self.grafana.ask("/api/ds/query", self.home.queries(panel))
        except MissingError as missing:
            return missing.findings[0]
        results = document.get("results") or {}
        for target in panel.targets:
            # A request that fails as a whole, as for a missing data source, has no results.
            result = results.get(target.ref) or (
                {"error": _message(document)} if status > 299 else {}
            )
            if error := result.get("error"):
                message = f"query {target.ref} fails ({result.get('status', status)}): {error}"
                return Finding(place, None, message[:300], "look at the data source in Grafana")
            if not any(map(_has_rows, result.get("frames") or [])):
                fix = "run `make prove`; look whether its metrics are scraped"
                return Finding(place, None, f"query {target.ref} has no data", fix)
        return None


def _message(document: Json) -> str:
    return str(document.get("message") or "no reason given")


def _has_rows(frame: Json) -> bool:
    columns = (frame.get("data") or {}).get("values") or []
    return any(columns)
