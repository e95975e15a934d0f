"""Log lines run through the real parsers and stages, from a container to Loki.

The files in `logs` beside this hold cases. `@name@` in a line stands for a planted secret; keys of
a case:

    target, stream, age     which container writes (default backend), to which stream, seconds ago
    lines                   what it writes; `{partial: text}` is a line that the runtime has split,
                            `{after: 1.5, line: text}` comes after as many seconds of silence; in
                            `events.yaml`, events as Kubernetes has them
    repeat                  how often the lines are written
    entries                 what Loki gets, in order: line, level, labels, metadata, each if named
    count                   how many entries Loki gets, exactly or as [least, most]
    absent, contains        each line lost its secret; and has this text instead
    unchanged               Loki gets the lines as they were
    exact                   each is one entry, of one or more lines, and nothing is gone of it but
                            its secrets; `{line: text, level: error}` has this level
    source                  where the form of the lines comes from
    counters                requests, redactions and dropped lines; what is not named must be zero
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts import tools
from scripts.core.yamlfile import Json
from scripts.servers.alloy import pipeline

LOGS = tools.ROOT / "base" / "logs"
CASES = tools.ROOT / "tests" / "repository" / "logs"
SALT = "grain"
ENVIRONMENT = {
    "APP_NAMESPACES": "default|todo.*",
    "APP_ROUTES": "/\n/api/{user_id}/tasks\n/api/{user_id}/tasks/{id}\n"
    "/api/{user_id}/tasks/{id}/complete\n/api/{user_id}/chat\n",
    "CLUSTER": "test",
    "LOKI_PASSWORD": "",
    "LOKI_URL": "http://loki:3100",
    "LOKI_USERNAME": "",
    "HOSTNAME": "node-1",
    "PSEUDONYM_SALT": SALT,
}
USER = "Qm7xK2pLw9TzR4vB8nYc3dFh"


def _base64(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


JWT = f"{_base64({'alg': 'HS256'})}.{_base64({'sub': USER, 'exp': 1})}.{'c2lnbmF0dXJl' * 3}"
# Composed here, so that no file holds what a secret scanner would have to believe.
SECRETS = {
    "user": USER,
    "number": "9007199254",
    "email": "ada.lovelace+todo@mail.example.org",
    "email:encoded": "ada.lovelace%40mail.example.org",
    "jwt": JWT,
    "jwt:head": JWT[:60],
    "jwt:tail": JWT[60:],
    "opaque": "tok9" + "f3Zq7" * 4,
    "letters": "OpaqueTokenOfLettersOnly",
    "openai": "sk-" + "proj-" + "A1b2" * 6,
    "google": "AI" + "za" + "Sy4c" * 8,
    "password": "npg" + "_S3cr3tW0rd",
    "row": "buy-insulin-on-friday",
    "quoted": "pa55w'rd",
    "spaced": "correct horse battery 7",
    "github": "gh" + "p_" + "Ab1C" * 9,
    "github:pat": "github" + "_pat_" + "Ab1C_" * 8,
    "docker": "dckr" + "_pat_" + "Ab1C-" * 5,
    "gitlab": "glpat" + "-" + "Ab1C_" * 4,
    "slack": "xoxb" + "-" + "1234567890-" * 2 + "Ab1C",
    "huggingface": "hf" + "_" + "AbCd" * 8,
    "stripe": "sk" + "_live_" + "Ab1C" * 6,
    "aws:temporary": "AS" + "IA" + "Z7EX" * 4,
    "aws": "AK" + "IA" + "Z7EX" * 4,
    "aws:secret": "wJal" + "rX/K7" * 7,
    "code": "4/0AX4" + "XfWh" * 8,
    "session": "s9Ess" + "1oNid" * 4,
    "pem": "MIIEvQ" + "IBADAN" * 9 + "Bgkq",
    "pem:end": "Tk9u" * 7 + "Zg==",
}
PSEUDONYM = "user-" + hashlib.sha3_256((SALT + USER).encode()).hexdigest()[:12]


def _meta(namespace: str, pod: str, container: str, **labels: str) -> dict[str, str]:
    meta = {
        "__address__": "10.244.0.7:8000",
        "__meta_kubernetes_namespace": namespace,
        "__meta_kubernetes_pod_name": pod,
        "__meta_kubernetes_pod_uid": "7d0f0a52-0c5e-4d8e-a3f6-0c7a9f1b2c3d",
        "__meta_kubernetes_pod_node_name": "node-1",
        "__meta_kubernetes_pod_container_name": container,
        "__meta_kubernetes_pod_ip": "10.244.0.7",
    }
    return meta | {f"__meta_kubernetes_pod_label_{k}": v for k, v in labels.items()}


DAPR = {"dapr_io_app_id": "todo-ai-chatbot-backend", "dapr_io_sidecar_injected": "true"}
NAMED = {"app_kubernetes_io_name": "todo-ai-chatbot"}
BACKEND = "todo-backend-6b7f9c-x2x4z"
TARGETS = {
    "backend": _meta(
        "default",
        BACKEND,
        "todo-ai-chatbot-backend",
        app_kubernetes_io_component="backend",
        **NAMED,
        **DAPR,
    ),
    "daprd": _meta("default", BACKEND, "daprd", app_kubernetes_io_component="backend", **DAPR),
    "frontend": _meta(
        "default",
        "todo-frontend-1",
        "todo-ai-chatbot-frontend",
        app_kubernetes_io_component="frontend",
        **NAMED,
    ),
    "other": _meta("shop", "shop-1", "shop", app="shop"),
    "postgres": _meta("default", "postgres-0", "postgres", app="postgres"),
    "kafka": _meta("kafka", "kafka-0", "kafka"),
    "coredns": _meta("kube-system", "coredns-1", "coredns", app="todo", k8s_app="kube-dns")
    | {"__meta_kubernetes_pod_label_app_kubernetes_io_name": "kube-dns"},
}


@dataclass
class Run:
    """One case with what came out of it."""

    name: str
    case: dict[str, Any]
    written: list[str]
    planted: set[str]
    target: dict[str, str]
    entries: list[dict[str, Any]]
    metrics: str

    def counters(self, metric: str, *labels: str) -> dict[str, float]:
        """Return a counter's values by the values of its labels, joined by blanks."""
        found: dict[str, float] = {}
        for name, pairs, value in re.findall(r"^(\w+)\{(.*)\} (\S+)$", self.metrics, re.MULTILINE):
            if name == metric:
                values = dict(re.findall(r'(\w+)="([^"]*)"', pairs))
                key = " ".join(values.get(label, "-") for label in labels)
                found[key] = found.get(key, 0) + float(value)
        return found


def plant(text: str, planted: set[str] | None = None) -> str:
    """Replace `@name@` by the secret of that name and remember it."""

    def secret(match: re.Match[str]) -> str:
        if planted is not None:
            # Half a token is as bad as all of it.
            planted.add(SECRETS[match[1]])
        return SECRETS[match[1]]

    return re.sub(r"@([a-z]+(?::[a-z]+)?)@", secret, text)


def prepare(
    folder: Path, file: Path
) -> Iterator[tuple[dict[str, Any], dict[str, Any], set[str], list[str]]]:
    """Yield each case of a file: as Alloy reads it, as written, its secrets, its plain lines."""
    events = file.stem == "events"
    source = folder / ("events.alloy" if events else "pods.alloy")
    for case in yaml.safe_load(file.read_text()):
        planted: set[str] = set()
        clock = datetime.datetime.now(datetime.UTC) - datetime.timedelta(
            seconds=case.get("age", 60)
        )
        lines: list[Json] = []
        written: list[str] = []
        for item in case["lines"] * case.get("repeat", 1):
            pause, flag = 0.0, "F"
            if not events and isinstance(item, dict):
                pause, flag = item.get("after", 0.0), "P" if "partial" in item else "F"
                item = item.get("line", item.get("partial"))
            text = plant(item if isinstance(item, str) else json.dumps(item), planted)
            written.append(text)
            for part in text.split("\n"):
                time = (clock + datetime.timedelta(milliseconds=len(lines))).isoformat()
                line = part if events else f"{time} {case.get('stream', 'stdout')} {flag} {part}"
                lines.append({"timestamp": time, "line": line, "after": pause})
                pause = 0.0
        target = None if events else TARGETS[case.get("target", "backend")]
        read = {"id": case["name"], "file": str(source), "target": target, "lines": lines}
        yield read, case, planted, written


def run(folder: Path, stems: set[str] | None = None) -> list[Run]:
    """Run all cases through the configuration in a folder, side by side."""
    runs = []
    files = [f for f in sorted(CASES.glob("*.yaml")) if not stems or f.stem in stems]
    prepared = [(f, *p) for f in files for p in prepare(folder, f)]
    results = pipeline([p[1] for p in prepared], ENVIRONMENT)
    for (file, _, case, planted, written), result in zip(prepared, results, strict=True):
        assert result["id"] == case["name"]
        runs.append(
            Run(
                f"{file.stem}: {case['name']}",
                case,
                written,
                planted,
                result["target"],
                result["entries"],
                result["metrics"],
            )
        )
    return runs


def alloy(
    *arguments: str | Path, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tools.path("alloy"), *arguments],
        input=stdin,
        env={**os.environ, **ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def leaks(runs: list[Run]) -> list[str]:
    """Return where a planted secret survived in a line, a label, its name or a metric."""
    found = []
    for r in runs:
        haystack = json.dumps([r.entries, r.metrics], ensure_ascii=False)
        found += [f"{r.name}: {secret}" for secret in sorted(r.planted) if secret in haystack]
    return found


def check(result: Run) -> None:
    """Compare what came out with what the case expects."""
    case, entries = result.case, result.entries
    for expected, got in zip(case.get("entries", []), entries, strict="entries" in case):
        if "line" in expected:
            assert got["line"] == expected["line"].replace("@pseudonym@", PSEUDONYM)
        if "level" in expected:
            assert got["labels"].get("level") == expected["level"], got["line"]
        if "labels" in expected:
            assert got["labels"] == expected["labels"]
        if "metadata" in expected:
            assert got["structured_metadata"] == expected["metadata"]
    if case.get("exact"):
        _check_exactly(result)
    if "count" in case:
        least, most = case["count"] if isinstance(case["count"], list) else [case["count"]] * 2
        assert least <= len(entries) <= most
    if case.get("absent"):
        assert len(entries) == len(result.written)
        for got, line in zip(entries, result.written, strict=True):
            assert got["line"] != line
            assert (
                case.get("contains", "<redacted:").replace("@pseudonym@", PSEUDONYM) in got["line"]
            )
    if case.get("unchanged"):
        assert [e["line"] for e in entries] == [line.rstrip() for line in result.written]
    wanted = case.get("counters", {})
    if "requests" in wanted or case.get("target") in ("daprd", "other") or case.get("unchanged"):
        assert result.counters(
            "todo_http_requests_total", "method", "route", "status_class"
        ) == wanted.get("requests", {})
    if "redactions" in wanted or case.get("unchanged"):
        assert result.counters("todo_log_redactions_total", "kind") == wanted.get("redactions", {})
    if "dropped" in wanted:
        assert result.counters("loki_process_dropped_lines_total", "reason") == wanted["dropped"]


_GONE = re.compile(r"<redacted:\w+>|\buser-[0-9a-f]{12}\b")


def _check_exactly(result: Run) -> None:
    """Compare each entry with its line, both without secrets and what stands for them."""
    wanted = []
    for line in result.written:
        for secret in sorted(result.planted, key=len, reverse=True):
            line = line.replace(secret, "…")
        wanted.append(line.rstrip())
    assert [_GONE.sub("…", entry["line"]) for entry in result.entries] == wanted
    for item, entry in zip(result.case["lines"], result.entries, strict=True):
        if isinstance(item, dict) and "level" in item:
            assert entry["labels"].get("level") == item["level"], entry["line"]


def passes(result: Run) -> bool:
    try:
        check(result)
    except AssertionError:
        return False
    return True
