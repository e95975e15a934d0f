"""Whether what watches the public address sees what is the matter with it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from urllib.parse import urlencode

import yaml

from scripts import tools
from scripts.cluster.e2e.monitoring_programs import with_copied_files
from scripts.cluster.e2e.prometheus_operator import (
    API_GROUP,
    MONITORING,
    deployed,
    without_flags,
)
from scripts.cluster.e2e.public_programs import WEBSECURE, PublicPrograms
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.servers.http_client import request
from scripts.servers.processes import LOOPBACK, free_port

EXPORTER = "blackbox-exporter"
PROBE = "grafana-public"
# The job that asks Grafana itself, which answers all the time.
PROBED_INSIDE = "grafana"
RULES = "alerts-public"
# Minutes until the slowest alert is told.
_MINUTES = 30
_METRICS = re.compile(r"^(probe_success|probe_ssl_earliest_cert_expiry) (\S+)$", re.MULTILINE)
DOWN = frozenset({"GrafanaPublicAddressDown critical"})
# As for any certificate that is good for less than three days.
EXPIRING = frozenset(f"GrafanaCertificateExpiring {one}" for one in ("warning", "critical"))


def check_alerts(programs: PublicPrograms, expected: frozenset[str]) -> list[Finding]:
    """Return a finding if other alerts than expected come of what a probe finds now.

    Args:
        programs: What is probed, by the exporter and for the alerts that are in the cluster.
        expected: Alerts and their severities.
    """
    env = programs.env
    probe = env.client.get(f"{API_GROUP}/v1", "Probe", PROBE, MONITORING)["spec"]
    rules = env.client.get(f"{API_GROUP}/v1", "PrometheusRule", RULES, MONITORING)["spec"]
    (url,) = probe["targets"]["staticConfig"]["static"]
    found = dict(_METRICS.findall(_probed(programs, probe["module"], url)))
    folder = env.processes.folder("public-alerts")
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": rules["groups"]}))
    (folder / "test.yaml").write_text(
        yaml.safe_dump(alert_test(probe["jobName"], url, found, expected))
    )
    run = tools.run("promtool", "test", "rules", folder / "test.yaml")
    if run.returncode == 0:
        return []
    text = f"of {found} should come {sorted(expected) or 'no alert'}: {run.stdout}{run.stderr}"
    return [Finding(f"{env.sync.name} {RULES}", None, text, "correct the expression")]


def _probed(programs: PublicPrograms, module: str, url: str) -> str:
    """Return what the exporter says of a URL, whose host is at the address of the programs."""
    env, port = programs.env, free_port()
    program = deployed(env, EXPORTER, EXPORTER)
    arguments = without_flags(program.container["args"], "web.listen-address")
    env.processes.start(
        "blackbox_exporter",
        *with_copied_files(env, EXPORTER, arguments, program.pod),
        f"--web.listen-address={LOOPBACK}:{port}",
        environment={"SSL_CERT_FILE": str(programs.acme.root())},
    )
    try:
        env.processes.wait("blackbox_exporter", f"http://{LOOPBACK}:{port}/-/healthy")
        host, _, path = url.removeprefix("https://").partition("/")
        there = f"https://{programs.address}:{programs.ports[WEBSECURE]}/{path}"
        query = urlencode({"module": module, "target": there, "hostname": host})
        return request(f"http://{LOOPBACK}:{port}/probe?{query}").content.decode()
    finally:
        env.processes.kill("blackbox_exporter")


def alert_test(job: str, url: str, found: Mapping[str, str], expected: frozenset[str]) -> Json:
    """Return a test of promtool: what was found is found for half an hour.

    Args:
        job: Of the probe.
        url: What is probed.
        found: What the exporter says, by metric.
        expected: Alerts and their severities.
    """
    labels = f'{{job="{job}", instance="{url}"}}'
    end = _MINUTES * 60
    series = [{"series": f'probe_success{{job="{PROBED_INSIDE}"}}', "values": f"1x{_MINUTES}"}]
    for name, text in found.items():
        # A time is one after the test's end, which begins at 0, as it is one after now.
        value = float(text)
        value = value - time.time() + end if name.endswith("_expiry") else value
        series.append({"series": name + labels, "values": f"{value:.0f}x{_MINUTES}"})
    samples = [
        {"labels": f'{{alertname="{name}", severity="{severity}"}}', "value": 1}
        for name, severity in (one.split() for one in sorted(expected))
    ]
    query = 'count by (alertname, severity) (ALERTS{alertstate="firing"})'
    check = {"expr": query, "eval_time": f"{_MINUTES}m", "exp_samples": samples}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [check]}
    return {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
