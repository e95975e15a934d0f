"""The counters that our own log pipeline makes, from its real stages."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime

from scripts import tools
from scripts.cluster.capture.families import Captured, Families, merge, parse
from scripts.core.findings import Finding, RepositoryError
from scripts.servers.processes import Processes

FILE = "base/logs/pods.alloy"
ROUTE = "/api/{user_id}/tasks"
# Read by the configuration; only their presence matters here.
ENVIRONMENT = {
    "APP_NAMESPACES": "default",
    "APP_ROUTES": ROUTE,
    "CLUSTER": "capture",
    "HOSTNAME": "node-1",
    "PSEUDONYM_SALT": "capture",
}
TARGET = {
    "__address__": "10.0.0.1:8000",
    "__meta_kubernetes_namespace": "default",
    "__meta_kubernetes_pod_name": "todo-backend-0",
    "__meta_kubernetes_pod_uid": "7d0f0a52-0c5e-4d8e-a3f6-0c7a9f1b2c3d",
    "__meta_kubernetes_pod_node_name": "node-1",
    "__meta_kubernetes_pod_container_name": "todo-ai-chatbot-backend",
    "__meta_kubernetes_pod_label_dapr_io_app_id": "todo-ai-chatbot-backend",
}
LINES = (
    'INFO:     10.0.0.1:51234 - "GET /api/1/tasks HTTP/1.1" 200 OK',
    "ERROR:    mail to ada@example.org was refused",
)


def capture(_: Processes) -> list[Captured]:
    """Pass an access line, and one to redact, through the pipeline; read its counters."""
    # The pipeline drops what is old.
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")
    lines = [{"timestamp": time, "line": f"{time} stdout F {line}"} for line in LINES]
    case = {"id": "capture", "file": str(tools.ROOT / FILE), "target": TARGET, "lines": lines}
    run = subprocess.run(
        [str(tools.path("alloy")), "pipeline"],
        input=json.dumps([case]),
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RepositoryError(Finding(FILE, None, run.stderr.strip(), "correct it"))
    found: Families = merge(*(parse(result["metrics"]) for result in json.loads(run.stdout)))
    ours = {name: family for name, family in found.items() if name.startswith("todo_")}
    return [Captured(FILE, "run its stages on an access line and a line to redact", ours)]
