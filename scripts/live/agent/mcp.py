"""`make agent-mcp`: let an assistant query Prometheus and Loki through Grafana, and only that.

It forwards a port to Grafana, makes a token of role Viewer that ends, and writes what an MCP client
needs to start mcp-grafana (https://github.com/grafana/mcp-grafana), the server of the protocol that
assistants speak. It ends with the token or when it is interrupted; then the token, the forward and
the file are gone.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from scripts import tools
from scripts.core import findings, kubectl
from scripts.core.findings import GREEN, Finding, RepositoryError, colour, execute
from scripts.core.waiting import until
from scripts.core.yamlfile import Json
from scripts.grafana import model
from scripts.live.agent import session
from scripts.live.port_forward import PortForward
from scripts.live.verify import grafana, viewer
from scripts.live.verify.grafana_pods import GrafanaNamespace, GrafanaPod
from scripts.servers.processes import LOOPBACK, Processes, free_port

PROGRAM = "mcp-grafana"
# What the names of its accounts in Grafana begin with.
ACCOUNT = "todo-monitoring-agent-"
NAME = "todo-monitoring"
OUTPUT = tools.ROOT / "build" / "agent-mcp.json"
# What a query of logs may cost. A line is up to 128 KiB long; Loki's own limits hold besides.
LINES = 50
FLAGS = (
    # Neither what writes nor what is no question to Prometheus, Loki or a dashboard: no contact
    # points, no requests of one's own choice, nothing that leaves this cluster. These are kinds of
    # tools; a test names each tool, as a newer version may add some to a kind. Not `alerting`: it
    # asks Grafana's own, which is off; the series ALERTS says what fires in Prometheus.
    "--disable-write",
    "--enabled-tools=search,datasource,dashboard,prometheus,loki",
    f"--max-loki-log-limit={LINES}",
    "--loki-guardrail-mode=enforce",
    "--loki-guardrail-max-range=24h",
    f"--loki-guardrail-max-bytes={1 << 30}",
    # As they are by default; said here, no variable of the environment changes them.
    "--allow-grafana-url-override=false",
    "--allow-cross-origin-redirects=false",
    "--usage-stats=disabled",
)
# Seconds: between two looks at what runs, and that kubectl may take to connect.
_PAUSE, _PATIENCE = 2.0, 20.0


@dataclass(frozen=True)
class Access:
    """What mcp-grafana needs of Grafana.

    Attributes:
        url: Where Grafana answers.
        token: Of its service account.
    """

    url: str
    token: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables of mcp-grafana, which keep the token out of its arguments."""
        return {"GRAFANA_URL": self.url, "GRAFANA_SERVICE_ACCOUNT_TOKEN": self.token}


def stdio(access: Access) -> Json:
    """Return the client's entry for a server that the client starts, and that ends with it."""
    return {
        "command": str(tools.path(PROGRAM)),
        "args": list(FLAGS),
        "env": access.environment,
    }


def http(access: Access, processes: Processes) -> Json:
    """Start the server on a port of this machine; return the client's entry.

    The client gets a token for the server instead of Grafana's, and no say in the flags.

    Raises:
        RepositoryError: If it does not start.
    """
    address = f"{LOOPBACK}:{free_port()}"
    caller = secrets.token_urlsafe(32)
    processes.start(
        PROGRAM,
        *FLAGS,
        "--transport=streamable-http",
        f"--address={address}",
        f"--allowed-hosts={address}",
        environment={**access.environment, "MCP_GRAFANA_SERVER_TOKEN": caller},
    )
    processes.wait(PROGRAM, f"http://{address}/healthz")
    headers = {"Authorization": f"Bearer {caller}"}
    return {"type": "http", "url": f"http://{address}/mcp", "headers": headers}


def hold(
    forward: PortForward, same_pod: Callable[[], bool], processes: Processes, until_time: float
) -> None:
    """Keep the way to Grafana open until a time, in seconds since the epoch.

    Raises:
        RepositoryError: If Grafana's pod has been replaced, or something has ended and stays so.
    """
    while (left := until_time - time.time()) > 0:
        time.sleep(min(_PAUSE, left))
        processes.check_running()
        try:
            until(forward.url, _PATIENCE)
        except RepositoryError:
            if same_pod():
                raise
            text = "is another one now, with a new database: the token has ended"
            raise RepositoryError(Finding("Grafana's pod", None, text, "run it again")) from None


def is_still(namespace: GrafanaNamespace, pod: GrafanaPod) -> bool:
    """Say whether Grafana's pod is the one that it was."""
    try:
        return namespace.pod().uid == pod.uid
    except RepositoryError:
        return False


def options() -> argparse.Namespace:
    """Return the arguments of the command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m scripts.live.agent.mcp", description=__doc__
    )
    session.add_lifetime(arguments)
    session.add_output(arguments, OUTPUT)
    arguments.add_argument(
        "--http",
        action="store_true",
        help="run mcp-grafana here, behind a token of its own, instead of having the client do it",
    )
    arguments.add_argument("--namespace", default="monitoring", help="Grafana's namespace")
    return arguments.parse_args()


def main() -> int:
    """Let the assistant in until the token ends; return the exit code."""
    given = options()
    namespace = GrafanaNamespace(given.namespace)
    pod = namespace.pod()
    # The administrator's, whatever the environment names: nobody else may make service accounts.
    who = grafana.credentials({}, namespace, model.release_values())
    tools.path(PROGRAM)
    with contextlib.ExitStack() as stack:
        forward = stack.enter_context(contextlib.closing(namespace.forward(pod)))
        url = until(forward.url, _PATIENCE)
        api = grafana.Grafana("Grafana", forward.url, who, local=True)
        ends = time.time() + given.lifetime * 60
        token = stack.enter_context(viewer.token(api, ACCOUNT, given.lifetime * 60))
        processes = stack.enter_context(Processes())
        access = Access(url, token)
        entry = http(access, processes) if given.http else stdio(access)
        stack.callback(given.output.unlink, missing_ok=True)
        session.write(given.output, {"mcpServers": {NAME: entry}})
        clock = time.strftime("%H:%M", time.gmtime(ends))
        print(colour(f"wrote {given.output}", GREEN))
        print(f"an MCP client that is given it queries Grafana of {kubectl.context()} and changes")
        text = f"nothing, until {clock} UTC or until you press Ctrl+C here; both take it all back."
        print(text, flush=True)
        hold(forward, lambda: is_still(namespace, pod), processes, ends)
    print("the token has ended; for another hour, run it again")
    return 0


def interruptible() -> int:
    """Run until somebody interrupts; what was made is removed either way."""
    return findings.interruptible(main, "ended: the token, the forward and the file are gone")


if __name__ == "__main__":
    execute(interruptible)
