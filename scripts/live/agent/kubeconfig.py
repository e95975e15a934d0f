"""`make agent-kubeconfig`: write a kubeconfig that only reads and ends by itself, for an assistant.

Its rights are those of base/optional/agents. The API server ends the token after its time; before,
only deleting the ServiceAccount takes it back.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from scripts import tools
from scripts.core import kubectl
from scripts.core.findings import GREEN, Finding, RepositoryError, colour, execute
from scripts.core.kubectl import Kubectl
from scripts.core.yamlfile import Json
from scripts.live.agent import session

NAMESPACE, ACCOUNT = "monitoring-agents", "agent"
NAME = "todo-monitoring-agent"
OUTPUT = tools.ROOT / "build" / "agent.kubeconfig"
_FIX = "choose a context that reaches the cluster: `kubectl config get-contexts`"
_KUBECTL = Kubectl(_FIX, 60, ("--request-timeout=30s",))
# What to do, by what kubectl says: there is no such ServiceAccount, or it may not be used.
_REFUSALS = {
    "not found": "add base/optional/agents to `components` of overlays/<environment>/releases",
    "forbidden": "have somebody run it who may create serviceaccounts/token there",
}


def kubeconfig(cluster: Json, token: str) -> Json:
    """Return a kubeconfig with one context and nothing of the user's.

    Args:
        cluster: The cluster's entry in the user's kubeconfig, with its certificates as data.
        token: What the API server gave.

    Raises:
        RepositoryError: If the cluster is not told from others by its certificate.
    """
    kept = ("certificate-authority-data", "proxy-url", "server", "tls-server-name")
    if cluster.get("insecure-skip-tls-verify"):
        text = "does not check the API server's certificate: the token would go to whoever answers"
        fix = "set certificate-authority in your kubeconfig"
        raise RepositoryError(Finding("kubectl config view", None, text, fix))
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {k: cluster[k] for k in kept if k in cluster}}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    }


def request_token(lifetime: int) -> tuple[str, datetime]:
    """Return a token of the ServiceAccount, and when it ends.

    Args:
        lifetime: Minutes; the API server may shorten them.

    Raises:
        RepositoryError: If there is no such ServiceAccount, or the user may make no token of it.
    """
    arguments = ("create", "token", ACCOUNT, f"--namespace={NAMESPACE}", f"--duration={lifetime}m")
    try:
        answer = _KUBECTL.json(*arguments)
    except RepositoryError as error:
        said = " ".join(finding.message for finding in error.findings)
        for text, fix in _REFUSALS.items():
            if text in said:
                place = "kubectl create token"
                raise RepositoryError(Finding(place, None, said, fix)) from None
        raise
    status = answer["status"]
    ends = datetime.fromisoformat(status["expirationTimestamp"].replace("Z", "+00:00"))
    return str(status["token"]), ends


def main() -> int:
    """Write the kubeconfig; return the exit code."""
    arguments = argparse.ArgumentParser(
        prog="python -m scripts.live.agent.kubeconfig", description=__doc__
    )
    session.add_lifetime(arguments)
    session.add_output(arguments, OUTPUT)
    options = arguments.parse_args()
    view = _KUBECTL.json("config", "view", "--minify", "--flatten", "--raw")
    clusters = view.get("clusters") or []
    if not clusters:
        text = "kubectl has no current context"
        raise RepositoryError(Finding("kubectl config view", None, text, _FIX))
    token, ends = request_token(options.lifetime)
    # JSON is YAML.
    session.write(options.output, kubeconfig(clusters[0]["cluster"], token))
    left = round((ends - datetime.now(UTC)).total_seconds() / 60)
    print(colour(f"wrote {options.output}", GREEN))
    print(f"reads what {kubectl.context()} has, for {left} minutes, until {ends:%H:%M} UTC:")
    print(f"  KUBECONFIG={options.output} kubectl get pods --all-namespaces")
    print("end it sooner, for everybody who has one:")
    print(f"  kubectl --namespace={NAMESPACE} delete serviceaccount {ACCOUNT}")
    return 0


if __name__ == "__main__":
    execute(main)
