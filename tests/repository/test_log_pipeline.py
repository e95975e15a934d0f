"""The log path from a container's line to Loki, run through the real parsers and stages.

The files in `logs` beside this hold cases. `@name@` in a line stands for a planted secret; keys of
a case:

    target, stream, age     which container writes (default backend), to which stream, seconds ago
    lines                   what it writes; `{partial: text}` is a line that the runtime has split
    repeat                  how often the lines are written
    entries                 what Loki gets, in order: line, level, labels, metadata, each if named
    count                   how many entries Loki gets, exactly or as [least, most]
    absent, contains        each line lost its secret; and has this text instead
    unchanged               Loki gets the lines as they were
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

import pytest
import yaml

from scripts import tools
from scripts.core.yamlfile import Json
from scripts.live.discover import routes

LOGS = tools.ROOT / "base" / "logs"
CASES = tools.ROOT / "tests" / "repository" / "logs"
STREAM_LABELS = {"cluster", "namespace", "app", "container", "level"}
SALT = "grain"
ENVIRONMENT = {
    "APP_NAMESPACES": "default|todo.*",
    "APP_ROUTES": "/\n/api/{user_id}/tasks\n/api/{user_id}/tasks/{id}\n"
    "/api/{user_id}/tasks/{id}/complete\n/api/{user_id}/chat\n",
    "CLUSTER": "test",
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
EVENTS = {"namespace": "default", "job": "loki.source.kubernetes_events", "instance": "x"}


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


def prepare(file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any], set[str], list[str]]]:
    """Yield each case of a file: as obscheck reads it, as written, its secrets, its plain lines."""
    events = file.stem == "events"
    for case in yaml.safe_load(file.read_text()):
        planted: set[str] = set()
        clock = datetime.datetime.now(datetime.UTC) - datetime.timedelta(
            seconds=case.get("age", 60)
        )
        lines, written = [], []
        for number, item in enumerate(case["lines"] * case.get("repeat", 1)):
            flag = "P" if isinstance(item, dict) else "F"
            text = plant(item["partial"] if isinstance(item, dict) else item, planted)
            time = (clock + datetime.timedelta(milliseconds=number)).isoformat()
            written.append(text)
            line = text if events else f"{time} {case.get('stream', 'stdout')} {flag} {text}"
            lines.append({"timestamp": time, "line": line})
        target = EVENTS if events else TARGETS[case.get("target", "backend")]
        yield {"id": case["name"], "target": target, "lines": lines}, case, planted, written


def run(folder: Path, stems: set[str] | None = None) -> list[Run]:
    """Run all cases through the configuration in a folder, one process for each configuration."""
    runs = []
    for config in ("pods", "events"):
        files = [
            f for f in sorted(CASES.glob("*.yaml")) if (f.stem == "events") == (config == "events")
        ]
        prepared = [p for f in files if not stems or f.stem in stems for p in prepare(f)]
        if not prepared:
            continue
        results = through(folder, config, [(p[0], p[1]) for p in prepared])
        for (_, case, planted, written), result in zip(prepared, results, strict=True):
            assert result["id"] == case["name"]
            runs.append(
                Run(
                    f"{config}: {case['name']}",
                    case,
                    written,
                    planted,
                    result["target"],
                    result["entries"],
                    result["metrics"],
                )
            )
    return runs


def through(folder: Path, config: str, cases: list[tuple[Json, Json]]) -> list[Json]:
    """Run cases through a configuration, once for the same content: only the time differs.

    Args:
        folder: Where the configuration is.
        config: Its name.
        cases: Each as obscheck reads it, and as it is written.
    """
    texts = {path.name: path.read_text() for path in sorted(folder.glob("*.alloy"))}
    written = [(case, read["target"]) for read, case in cases]
    program = tools.path("obscheck").parent.name
    content = json.dumps([program, config, texts, ENVIRONMENT, SECRETS, written], sort_keys=True)
    known = tools.cache() / "pipeline" / f"{hashlib.sha256(content.encode()).hexdigest()}.json"
    if not known.exists():
        asked = json.dumps([read for read, _ in cases])
        answer = obscheck("pipeline", folder / f"{config}.alloy", stdin=asked)
        assert answer.returncode == 0, answer.stderr
        tools.write(known, answer.stdout)
    found: list[Json] = json.loads(known.read_text())
    return found


def obscheck(
    *arguments: str | Path, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tools.path("obscheck"), *arguments],
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


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return run(LOGS)


def names() -> list[str]:
    files = sorted(CASES.glob("*.yaml"))
    return [
        f"{'events' if f.stem == 'events' else 'pods'}: {case['name']}"
        for f in files
        for case in yaml.safe_load(f.read_text())
    ]


@pytest.mark.parametrize("name", names())
def test_case(name: str, runs: list[Run]) -> None:
    check(next(r for r in runs if r.name == name))


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


def passes(result: Run) -> bool:
    try:
        check(result)
    except AssertionError:
        return False
    return True


def test_no_planted_secret_survives_anywhere(runs: list[Run]) -> None:
    assert {s for r in runs for s in r.planted} == set(SECRETS.values())
    for r in runs:
        assert all(any(secret in line for line in r.written) for secret in r.planted)
    assert leaks(runs) == []


def test_counters_carry_no_other_label_and_no_id(runs: list[Run]) -> None:
    of_alloy = {"component_id", "component_path"}
    wanted = {
        "todo_http_requests_total": {"namespace", "app", "method", "route", "status_class"},
        "todo_log_redactions_total": {"namespace", "app", "kind"},
    }
    seen = set()
    for r in runs:
        for name, pairs in re.findall(r"^(todo_\w+)\{(.*)\} \S+$", r.metrics, re.MULTILINE):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', pairs))
            assert set(labels) - of_alloy == wanted[name]
            assert "user-" not in pairs
            seen.add(name)
            if name == "todo_http_requests_total":
                assert labels["route"] in {"other", *ENVIRONMENT["APP_ROUTES"].split()}
    assert seen == set(wanted)


@pytest.mark.parametrize("config", ["pods", "events"])
def test_only_listed_labels_can_reach_loki(config: str, runs: list[Run]) -> None:
    answer = obscheck("check", LOGS / f"{config}.alloy")
    assert answer.returncode == 0, answer.stderr
    (labels,) = json.loads(answer.stdout)["labels"].values()
    assert set(labels) == STREAM_LABELS - ({"container"} if config == "events" else set())
    for r in runs:
        for entry in r.entries:
            assert set(entry["labels"]) <= STREAM_LABELS


def test_targets_are_named_by_the_most_specific_label_and_read_from_their_directory() -> None:
    uid = TARGETS["backend"]["__meta_kubernetes_pod_uid"]
    static = TARGETS["other"] | {
        "__meta_kubernetes_pod_annotation_kubernetes_io_config_hash": "ab1"
    }
    targets = {**TARGETS, "static": static}
    cases = [{"id": name, "target": t, "lines": []} for name, t in targets.items()]
    answer = obscheck("pipeline", LOGS / "pods.alloy", stdin=json.dumps(cases))
    found = {r["id"]: r["target"] for r in json.loads(answer.stdout)}
    assert {name: t["app"] for name, t in found.items()} == {
        "backend": "todo-ai-chatbot-backend",
        "daprd": "todo-ai-chatbot-backend",
        "frontend": "todo-ai-chatbot-frontend",
        "other": "shop",
        "postgres": "postgres",
        "kafka": "kafka",
        "coredns": "kube-dns",
        "static": "shop",
    }
    assert found["daprd"]["__path__"] == f"/var/log/pods/*{uid}/daprd/*.log"
    assert found["static"]["__path__"] == "/var/log/pods/*ab1/shop/*.log"


def blocks(text: str, start: str) -> list[tuple[int, int]]:
    """Return the span of every block that begins with a line of this start, by its indentation."""
    spans = []
    for match in re.finditer(rf"^( *){re.escape(start)}.*\{{\n", text, re.MULTILINE):
        end = re.compile(rf"^{match[1]}\}}\n", re.MULTILINE).search(text, match.end())
        assert end
        spans.append((match.start(), end.end()))
    return spans


def mutated(tmp_path: Path, file: str, spans: list[tuple[int, int]]) -> Iterator[tuple[str, Path]]:
    text = (LOGS / file).read_text()
    for number, (start, end) in enumerate(spans):
        folder = tmp_path / str(number)
        folder.mkdir()
        for source in LOGS.glob("*.alloy"):
            (folder / source.name).write_text(source.read_text())
        (folder / file).write_text(text[:start] + text[end:])
        yield text[start:end], folder


@pytest.mark.mutation
def test_every_redaction_is_needed(tmp_path: Path) -> None:
    spans = blocks((LOGS / "shared.alloy").read_text(), "stage.replace")
    assert spans
    for block, folder in mutated(tmp_path, "shared.alloy", spans):
        assert leaks(run(folder, {"secrets"})), f"nothing leaks without\n{block}"


@pytest.mark.mutation
def test_every_alternative_of_a_redaction_is_needed(tmp_path: Path) -> None:
    text = (LOGS / "shared.alloy").read_text()
    spans = [m.span() for m in re.finditer(r"^ +`.*`,\n", text, re.MULTILINE)]
    assert spans
    for line, folder in mutated(tmp_path, "shared.alloy", spans):
        broken = run(folder, {"secrets"})
        assert leaks(broken) or not all(map(passes, broken)), f"nothing changes without\n{line}"


@pytest.mark.mutation
def test_every_stage_that_makes_routes_is_needed(tmp_path: Path) -> None:
    text = (LOGS / "pods.alloy").read_text()
    requests = text.index('loki.process "requests"')
    spans = [
        span
        for start in ("stage.replace", "stage.template", "stage.regex")
        for span in blocks(text, start)
        if requests < span[0] < text.index('loki.process "parse"')
    ]
    assert spans
    for block, folder in mutated(tmp_path, "pods.alloy", spans):
        (case,) = [r for r in run(folder, {"python"}) if "routes become" in r.name]
        counted = case.counters("todo_http_requests_total", "method", "route", "status_class")
        assert counted != case.case["counters"]["requests"], f"nothing changes without\n{block}"


FAULTS = {
    "name": ('import.file "shared" {', 'import.file "loki" {', "hides"),
    "component": ('loki.process "read" {', 'loki.proces "read" {', "unknown component"),
    "attribute": ("older_than          =", "oldest              =", "oldest"),
    "stage": ("stage.decolorize { }", "stage.truncate { }", "stage.truncate"),
    "receiver": ("loki.process.read.receiver", "loki.process.reed.receiver", "reed"),
    "expression": ("`^(?P<level>[IWEF])", "`^(?P<level>[IWEF)", "missing closing"),
    "rule": ('regex        = "(.+);(.+)"', 'regex        = "(.+;(.+)"', "missing closing"),
    "selector": ('|~ "^\\\\s*\\\\{"`', "| json`", "line filters only"),
    "function": ("string.trim_space(", "string.trim_spaces(", "trim_spaces"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_line(fault: str, tmp_path: Path) -> None:
    old, new, message = FAULTS[fault]
    for source in LOGS.glob("*.alloy"):
        (tmp_path / source.name).write_text(source.read_text())
    text = (LOGS / "pods.alloy").read_text()
    assert old in text
    (tmp_path / "pods.alloy").write_text(text.replace(old, new, 1))
    answer = obscheck("check", tmp_path / "pods.alloy")
    assert answer.returncode == 1
    assert message in answer.stderr
    assert re.search(r"pods\.alloy:\d+:\d+: ", answer.stderr), answer.stderr


def test_a_missing_variable_is_an_error() -> None:
    environment = {k: v for k, v in {**os.environ, **ENVIRONMENT}.items() if k != "CLUSTER"}
    answer = subprocess.run(
        [tools.path("obscheck"), "check", LOGS / "pods.alloy"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "CLUSTER is not set" in answer.stderr


def test_queries_are_parsed_by_prometheus_and_loki() -> None:
    queries = [
        ("promql", 'sum by (app) (rate(x_total{namespace="a"}[5m])) / on (app) group_left (b) y'),
        (
            "logql",
            'sum by (app) (count_over_time({app="a", level=~"e.*"} |= "x" | json | b="c" [5m]))',
        ),
        ("promql", "sum(rate(x[5m])"),
        ("logql", '{app="a"} | nonsense stage'),
        ("promql", "mad_over_time(x[5m])"),
    ]
    asked = [{"id": str(i), "lang": lang, "expr": e} for i, (lang, e) in enumerate(queries)]
    answers = json.loads(obscheck("queries", stdin=json.dumps(asked)).stdout)
    assert [bool(a["error"]) for a in answers] == [False, False, True, True, True]
    assert [s["metric"] for s in answers[0]["selectors"]] == ["x_total", "y"]
    assert answers[0]["selectors"][0]["matchers"] == [
        {"label": "namespace", "type": "=", "value": "a"}
    ]
    assert answers[0]["grouping"] == ["app", "b"]
    assert [m["label"] for m in answers[1]["selectors"][0]["matchers"]] == ["app", "level"]


def test_routes_that_make_discover_proposes_are_those_that_are_counted() -> None:
    """What FastAPI's document calls a parameter says nothing; its place in the path does."""
    templates = [
        "/api/{user_id}/tasks",
        "/api/{owner}/tasks/{task_id}/complete",
        "/api/v1/tasks/{user_id}",
        "/api/tasks/{id}",
        "/api/users/{user_id}/tasks",
        "/api/{account}/profile",
        "/api/chat/conversations/{conversation_id}",
        "/users/me",
        "/ws/{user}",
        "/tasks/{task_id}/",
        "/api/v1/auth/login",
        "/",
    ]
    proposed = {routes.normalised(template) for template in templates}
    value = "7d0f0a52-0c5e-4d8e-a3f6-0c7a9f1b2c3d"
    time = datetime.datetime.now(datetime.UTC).isoformat()
    cases = []
    for template in templates:
        path = re.sub(r"\{\w+\}", value, template)
        line = f'{time} stdout F INFO:     10.0.0.1:5000 - "GET {path} HTTP/1.1" 200 OK'
        lines = [{"timestamp": time, "line": line}]
        cases.append({"id": template, "target": TARGETS["backend"], "lines": lines})
    environment = {"APP_ROUTES": "".join(f"{route}\n" for route in sorted(proposed))}
    answer = obscheck("pipeline", LOGS / "pods.alloy", stdin=json.dumps(cases), **environment)
    assert answer.returncode == 0, answer.stderr
    counted = {
        one["id"]: re.findall(r'route="([^"]*)"', one["metrics"])
        for one in json.loads(answer.stdout)
    }
    assert counted == {template: [routes.normalised(template)] for template in templates}
