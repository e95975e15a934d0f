"""Programs that need no cluster: each run as our releases run it, and used before it is scraped."""

from __future__ import annotations

import json
import time
from pathlib import Path

import yaml

from scripts import tools
from scripts.cluster.capture.families import Captured, parse, scrape
from scripts.core.yamlfile import Json, load
from scripts.model.exporters import collector
from scripts.servers.http_client import request
from scripts.servers.monitoring import start_alertmanager
from scripts.servers.processes import LOOPBACK, Processes, free_port
from scripts.tools.sources import module

RELEASE = tools.ROOT / "base/releases/kube-prometheus-stack.yaml"


def node_exporter(processes: Processes) -> list[Captured]:
    """Run it with the collectors of our release; a machine lacks what another has."""
    version = tools.version("node_exporter")
    release = next(item for item in load(RELEASE, tools.ROOT) if item["kind"] == "HelmRelease")
    flags = release["spec"]["values"]["prometheus-node-exporter"]["extraArgs"]
    port = free_port()
    processes.start("node_exporter", *flags, f"--web.listen-address={LOOPBACK}:{port}")
    url = f"http://{LOOPBACK}:{port}/metrics"
    processes.wait("node_exporter", url)
    # Its own test's expected output, of a machine that has everything.
    golden = module("github.com/prometheus/node_exporter", version)
    text = (golden / "collector/fixtures/e2e-output.txt").read_text(encoding="utf-8")
    on = {flag.removeprefix("--collector.") for flag in flags}
    wanted = {n: f for n, f in parse(text).items() if n.startswith("node_") and collector(n) in on}
    return [
        Captured(f"node_exporter {version}", "run with the collectors of our release", scrape(url)),
        Captured(
            f"node_exporter {version}",
            "document collector/fixtures/e2e-output.txt in its Go module, of the same collectors",
            wanted,
        ),
    ]


def alertmanager(processes: Processes) -> list[Captured]:
    """Run it, and give it an alert to notify of."""
    port = _start_alertmanager(processes)
    url = f"http://{LOOPBACK}:{port}"
    alert = [{"labels": {"alertname": "Capture", "severity": "info"}}]
    headers = {"Content-Type": "application/json"}
    request(f"{url}/api/v2/alerts", method="POST", body=json.dumps(alert).encode(), headers=headers)
    time.sleep(3)  # The group's wait, and the failing notification.
    version = tools.version("alertmanager")
    how = "run with one alert and a receiver that does not answer"
    return [Captured(f"alertmanager {version}", how, scrape(f"{url}/metrics"))]


def _start_alertmanager(processes: Processes) -> int:
    hook = {"url": f"http://{LOOPBACK}:{free_port()}/"}
    config = {
        "route": {"receiver": "hook", "group_wait": "1s"},
        "receivers": [{"name": "hook", "webhook_configs": [hook]}],
    }
    return start_alertmanager(processes, config)


def prometheus(processes: Processes) -> list[Captured]:
    """Run it with each kind of work that ours has, and a remote storage: itself."""
    version = tools.version("prometheus")
    folder = processes.folder("prometheus")
    port, other = free_port(), _start_alertmanager(processes)
    own = f"http://{LOOPBACK}:{port}"
    rules = [
        {"record": "capture:up:sum", "expr": "sum(up)"},
        {"alert": "Capture", "expr": "vector(1)"},
    ]
    (folder / "rules.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "capture", "interval": "1s", "rules": rules}]})
    )
    nowhere = {"role": "pod", "api_server": f"http://{LOOPBACK}:{free_port()}"}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{LOOPBACK}:{other}"]}]}]},
        "remote_write": [{"url": f"{own}/api/v1/write", "name": "itself"}],
        "scrape_configs": [
            {"job_name": "own", "static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}]},
            {"job_name": "kubernetes", "kubernetes_sd_configs": [nowhere]},
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    processes.start(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.size=1GB",
        "--web.enable-remote-write-receiver",
        f"--web.listen-address={LOOPBACK}:{port}",
    )
    processes.wait("prometheus", f"{own}/-/ready")
    time.sleep(8)  # Some scrapes, evaluations, alerts and remote writes.
    request(f"{own}/api/v1/query?query=up")
    how = "run with rules, an Alertmanager, Kubernetes discovery and a remote storage"
    return [Captured(f"prometheus {version}", how, scrape(f"{own}/metrics"))]


def loki(processes: Processes) -> list[Captured]:
    """Run it as one process, push lines, query them, and let a rule fire."""
    version = tools.version("loki")
    folder = processes.folder("loki")
    port = free_port()
    (folder / "rules/fake").mkdir(parents=True)
    rule = {"alert": "Capture", "expr": 'sum(count_over_time({app="capture"}[5m])) > 0'}
    (folder / "rules/fake/rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "capture", "interval": "1s", "rules": [rule]}]})
    )
    (folder / "loki.yaml").write_text(yaml.safe_dump(_loki_config(folder, port)))
    processes.start("loki", f"-config.file={folder / 'loki.yaml'}")
    url = f"http://{LOOPBACK}:{port}"
    processes.wait("loki", f"{url}/ready")
    _use_loki(url)
    time.sleep(5)  # The rule's evaluations, the flush.
    how = "run as one process: lines kept and discarded, queries, a flush, an alert rule"
    return [Captured(f"loki {version}", how, scrape(f"{url}/metrics"))]


def _loki_config(folder: Path, port: int) -> Json:
    grpc = free_port()
    return {
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "server": {
            "http_listen_address": LOOPBACK,
            "http_listen_port": port,
            "grpc_listen_address": LOOPBACK,
            "grpc_listen_port": grpc,
        },
        "common": {
            "path_prefix": str(folder / "data"),
            "replication_factor": 1,
            # Else Loki asks itself at another interface, and waits for ever.
            "instance_addr": LOOPBACK,
            "compactor_grpc_address": f"{LOOPBACK}:{grpc}",
            "ring": {"kvstore": {"store": "inmemory"}, "instance_addr": LOOPBACK},
            "storage": {"filesystem": {"chunks_directory": str(folder / "data/chunks")}},
        },
        "frontend": {"address": LOOPBACK},
        "ingester": {"lifecycler": {"min_ready_duration": "0s"}, "max_chunk_age": "1s"},
        "compactor": {"retention_enabled": True, "delete_request_store": "filesystem"},
        "limits_config": {"max_line_size": "1KB", "retention_period": "24h"},
        "memberlist": {"bind_addr": [LOOPBACK], "bind_port": free_port()},
        "ruler": {
            "storage": {"type": "local", "local": {"directory": str(folder / "rules")}},
            "rule_path": str(folder / "data/rules"),
            "alertmanager_url": f"http://{LOOPBACK}:{free_port()}",
            "enable_api": True,
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2024-01-01",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
    }


def _use_loki(url: str) -> None:
    """Push lines that are kept and lines that are discarded, query them, and flush."""
    now = time.time_ns()
    lines = [[str(now + n), f"line {n}"] for n in range(100)]
    too_long, too_old = [[str(now), "x" * 4096]], [[str(now - 10**9 * 86400 * 30), "old"]]
    for values in (lines, too_long, too_old):
        stream = {"stream": {"app": "capture"}, "values": values}
        request(
            f"{url}/loki/api/v1/push",
            method="POST",
            body=json.dumps({"streams": [stream]}).encode(),
            headers={"Content-Type": "application/json"},
        )
    for path in ("query_range?query=%7Bapp%3D%22capture%22%7D", "labels", "series"):
        request(f"{url}/loki/api/v1/{path}")
    request(f"{url}/flush", method="POST")


def config_reloader(processes: Processes) -> list[Captured]:
    """Run it on a file, with nothing to reload."""
    version = tools.version("prometheus-config-reloader")
    folder = processes.folder("prometheus-config-reloader")
    (folder / "in.yaml").write_text("a: b\n")
    port = free_port()
    processes.start(
        "prometheus-config-reloader",
        f"--listen-address={LOOPBACK}:{port}",
        f"--config-file={folder / 'in.yaml'}",
        f"--config-envsubst-file={folder / 'out.yaml'}",
        f"--watched-dir={folder}",
        f"--reload-url=http://{LOOPBACK}:{free_port()}/-/reload",
    )
    url = f"http://{LOOPBACK}:{port}/metrics"
    processes.wait("prometheus-config-reloader", url)
    time.sleep(2)
    how = "run on a file, with a reload that fails"
    return [Captured(f"prometheus-config-reloader {version}", how, scrape(url))]
