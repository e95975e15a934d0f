"""The browser logs in, waits for every panel, and sees what is missing."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.kind import screenshot
from scripts.model import dashboards
from scripts.servers import browser
from tests.programs.live.grafana_server import PASSWORD

PAGE = """<!doctype html><title>HomeDashboard</title><main></main><script>
for (const [title, made] of Object.entries(%s)) setTimeout(() => {
  document.querySelector("main").insertAdjacentHTML("beforeend", `
    <section data-testid="data-testid Panel header ${title.replaceAll('"', "&quot;")}">
      ${made.loading ? '<div><div aria-label="Panel loading bar" role="status"></div></div>' : ""}
      <div data-testid="data-testid header-container"><h2>${title}</h2>
        ${made.failed ? '<button data-testid="data-testid Panel status error"></button>' : ""}
      </div>
      <div data-testid="data-testid panel content">${made.content}</div>
    </section>`);
}, made.after);
</script>"""
HEIGHT = {"h": 5, "w": 4, "x": 0}


@contextlib.contextmanager
def pages(html: str, password: str) -> Iterator[str]:
    """A Grafana's login and its home page, which is only for whoever has logged in."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            login = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = self.path == "/login" and login == {"user": "admin", "password": password}
            self.send_response(200 if known else 401)
            self.send_header("Set-Cookie", "grafana_session=1; Path=/; HttpOnly; SameSite=Lax")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            known = self.path == "/" and "grafana_session=1" in self.headers.get("Cookie", "")
            content = html.encode() if known else b"log in"
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def shown(tmp_path: Path, panels: dict[str, Json]) -> list[str]:
    """Open a page with panels, each below the one before; return what is wrong with it."""
    board = {
        "panels": [
            {
                "title": title,
                "type": "stat",
                "gridPos": HEIGHT | {"y": 0 if number < 2 else 5 * number},
                "fieldConfig": {"defaults": {"noValue": "no pod found"}},
            }
            for number, title in enumerate(panels)
        ]
    }
    made = {"after": 0, "loading": False, "failed": False, "content": "7"}
    html = PAGE % json.dumps({title: made | changes for title, changes in panels.items()})
    with pages(html, PASSWORD) as url:
        login = {"user": "admin", "password": PASSWORD}
        faults = screenshot.take(url, login, board, tmp_path / "home" / "page.png")
    return [f"{f.path}: {f.message}" for f in faults]


@pytest.mark.prove
def test_the_browser_logs_in_and_waits_for_every_panel(tmp_path: Path) -> None:
    panels = {
        "First": {},
        'A "quoted" title': {"after": 1500},
        "Graph": {"content": "<canvas></canvas>"},
        "Empty": {"content": "no pod found"},
    }
    assert shown(tmp_path, panels) == []
    header = (tmp_path / "home/page.png").read_bytes()[:24]
    assert header[:4] == b"\x89PNG"
    assert header[16:20] == browser.WIDTH.to_bytes(4, "big")
    assert int.from_bytes(header[20:24], "big") > 20 * 38


@pytest.mark.prove
def test_the_browser_sees_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screenshot, "PATIENCE", 2)
    panels = {
        "No data": {"content": "<div>no pod found</div>"},
        "Failed": {"failed": True},
        "Loading": {"loading": True},
        "Blank": {"content": " "},
        "Late": {"after": 60000},
    }
    assert shown(tmp_path, panels) == [
        "home page, panel 'No data': has no data: no pod found",
        "home page, panel 'Failed': shows an error",
        "home page, panel 'Loading': is not drawn",
        "home page, panel 'Blank': is not drawn",
        "home page, panel 'Late': is not drawn",
    ]
    assert (tmp_path / "home/page.png").exists()


@pytest.mark.prove
def test_the_browser_tells_of_a_login_that_is_refused(tmp_path: Path) -> None:
    board = dashboards.load(tools.ROOT)["todo-overview.json"]
    login = {"user": "admin", "password": PASSWORD}
    with pages("", "another") as url, pytest.raises(RepositoryError) as told:
        screenshot.take(url, login, board, tmp_path / "page.png")
    assert "the login answers 401" in str(told.value)
    assert PASSWORD not in str(told.value)
