"""One whole run: real Prometheus, Loki and Alertmanager, and receivers on loopback."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from scripts import simulation, tools
from scripts.lab.alerting import faults, firing
from scripts.lab.alerting.delivery import TEMPLATE
from scripts.model import scraping
from scripts.model.clusters import LABEL
from scripts.model.rendered import LOKI_RULES_CONFIGMAP, Cluster
from scripts.model.runbooks import RUNBOOKS, read
from scripts.rules.runbooks import ANNOTATION
from scripts.servers import monitoring
from scripts.servers.api import Api
from scripts.servers.processes import free_port
from scripts.simulation.model import Clock
from scripts.simulation.state import OPENED
from tests.fixtures import rules
from tests.programs.receivers import Inbox, receivers
from tests.programs.simulation.test_day import survives

pytestmark = pytest.mark.prove

# Seconds that simulating the day may take; more where that was not enough.
_AHEAD = (60, 150, 400)
_STEP = 30
# At which Prometheus evaluates here; Alertmanager believes it for four times as long.
_INTERVAL = 5
# The Watchdog's own group_interval.
_PING = 60


def template(folder: Path, inbox: Inbox) -> Path:
    """The template as it is, but for where its files are and for servers elsewhere."""
    text = (tools.ROOT / TEMPLATE).read_text()
    text = text.replace("/etc/alertmanager/config", str(folder))
    text = text.replace("smtp.example.org:587", f"127.0.0.1:{inbox.smtp}")
    there = f"http://127.0.0.1:{inbox.http}"
    text = text.replace(
        "    telegram_configs:\n      - ",
        f"    telegram_configs:\n      - api_url: {there}\n        ",
    )
    text = text.replace(
        "    email_configs:\n      - ", "    email_configs:\n      - require_tls: false\n        "
    )
    for name, content in {
        "slack-url": f"{there}/slack",
        "discord-slack-url": f"{there}/discord/slack",
        "telegram-token": "1:token",
        "smtp-password": "none",
        "webhook-url": f"{there}/webhook",
        "watchdog-url": f"{there}/watchdog",
    }.items():
        assert name in text
        (folder / name).write_text(content)
    messages = (tools.ROOT / TEMPLATE).with_name("messages.tmpl")
    (folder / messages.name).write_text(messages.read_text())
    path = folder / "alertmanager.yaml"
    path.write_text(text)
    return path


@contextlib.contextmanager
def alertmanager(folder: Path, inbox: Inbox) -> Iterator[Api]:
    port = free_port()
    arguments = (
        f"--config.file={template(folder, inbox)}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    )
    with monitoring.running("alertmanager", arguments, port, "/-/ready") as api:
        yield api


def impatient(cluster: Cluster) -> Cluster:
    """The cluster with Loki's alerts not waiting: that they wait is shown on the whole day."""
    items = []
    for item in cluster.items:
        if item.kind == "ConfigMap" and item.name == LOKI_RULES_CONFIGMAP:
            data = {k: re.sub(r"for: \w+", "for: 0s", v) for k, v in item.manifest["data"].items()}
            items.append(dataclasses.replace(item, manifest={**item.manifest, "data": data}))
        else:
            items.append(item)
    return dataclasses.replace(cluster, items=tuple(items))


def evening(cluster: Cluster, folder: Path) -> None:
    """Make the incident up to now, the hour at which all of its faults last."""
    for ahead in _AHEAD:
        opened = time.time() // _STEP * _STEP + ahead
        steps = round(OPENED * 3600 / _STEP) + 1
        simulation.make(cluster, Clock(opened - OPENED * 3600, steps=steps), folder, "incident")
        if time.time() < opened:
            time.sleep(opened - time.time())
            return
    pytest.fail(f"the day took longer than {_AHEAD[-1]} s to simulate")


def test_alertmanager_leaves_its_sample_limit_room(rendered: list[Cluster], tmp_path: Path) -> None:
    """Above its limit, a target is refused as a whole, and this one is down for ever."""
    cluster = next(c for c in rendered if c.name == simulation.ENTRY)
    (monitor,) = (i for i in cluster.of("ServiceMonitor") if i.name.endswith("-alertmanager"))
    (endpoint,) = (e for e in scraping.endpoints(monitor) if e["port"] == "http-web")
    with receivers() as inbox, alertmanager(tmp_path, inbox) as manager:
        alert = {"labels": {"alertname": "Test", "severity": "warning"}}
        manager.post("/api/v2/alerts", [alert])
        for path in ("alerts", "alerts/groups", "receivers", "silences", "status"):
            manager.text(f"/api/v2/{path}")
        exposed = manager.text("/metrics")
    samples = [
        name
        for name in re.findall(r"(?m)^[a-zA-Z_:]\w*", exposed)
        if survives({"__name__": name}, endpoint["metricRelabelings"])
    ]
    assert 200 < len(samples) <= int(monitor.spec["sampleLimit"]) / 1.25


@pytest.mark.waits
def test_each_fault_is_told_once_and_a_dead_prometheus_by_silence(
    rendered: list[Cluster], tmp_path: Path
) -> None:
    cluster = impatient(next(c for c in rendered if c.name == simulation.ENTRY))
    day = tmp_path / "day"
    evening(cluster, day)
    (tmp_path / "alertmanager").mkdir()
    with receivers() as inbox, alertmanager(tmp_path / "alertmanager", inbox) as manager:
        ruler = (
            monitoring.Override(
                "ruler.alertmanager_url", f"http://127.0.0.1:{manager.port}", "the one of this run"
            ),
            monitoring.Override("ruler.evaluation_interval", "5s", "so that nobody waits a minute"),
            monitoring.Override("ruler.poll_interval", "2s", "so that nobody waits a minute"),
        )
        with monitoring.loki(cluster, day / "logs.jsonl", ruler) as loki:
            deadline = time.monotonic() + 60
            while (loaded := rules.loaded(loki)) != rules.alerts(firing.loki_rules(cluster)):
                assert time.monotonic() < deadline, loaded
                time.sleep(1)
            live = monitoring.Evaluation(_INTERVAL, manager.port)
            with monitoring.prometheus(cluster, day / "tsdb", live):
                # Longer than the time in which a group collects its alerts.
                assert inbox.wait_until_idle("/webhook", seconds=45, timeout=180)
                told = inbox.at("/webhook")
                assert inbox.at("/watchdog")
            judge(inbox, firing.external_labels(cluster))
            # Prometheus is gone, and what it said last is soon out of date.
            deadline = time.monotonic() + 4 * _INTERVAL + 30
            while watched(manager) and time.monotonic() < deadline:
                time.sleep(1)
            assert not watched(manager)
            pings = len(inbox.at("/watchdog"))
            time.sleep(_PING + 10)
            assert len(inbox.at("/watchdog")) == pings
            late = [m for m in inbox.at("/webhook")[len(told) :] if m["status"] == "firing"]
            assert late == []


def watched(manager: Api) -> bool:
    """Whether Alertmanager still believes that Prometheus lives."""
    return any(a["labels"]["alertname"] == faults.WATCHDOG for a in manager.get("/api/v2/alerts"))


def judge(inbox: Inbox, external: Mapping[str, str]) -> None:
    """Each fault is told by one message of each integration, and nothing else is."""
    messages = [m for m in inbox.at("/webhook") if m["status"] == "firing"]
    count = {
        fault: sum(
            any(faults.is_about(alert["labels"], told) for alert in message["alerts"])
            for message in messages
        )
        for fault, told in faults.NOTIFIED.items()
    }
    assert count == dict.fromkeys(faults.NOTIFIED, 1)
    others = [
        message["groupLabels"]
        for message in messages
        if not any(
            faults.is_about(alert["labels"], told)
            for alert in message["alerts"]
            for told in faults.NOTIFIED.values()
        )
    ]
    assert others == []
    # Whoever sent it, Prometheus or Loki, its message says of which cluster it is.
    assert external[LABEL]
    assert all(a["labels"].items() >= external.items() for m in messages for a in m["alerts"])
    # The first query of its runbook comes with it, about what it is about.
    for alert in (alert for message in messages for alert in message["alerts"]):
        page = tools.ROOT / RUNBOOKS / f"{alert['labels']['alertname']}.md"
        first = read(page, tools.ROOT).queries[0]
        assert alert["annotations"][ANNOTATION].strip() == first.about(alert["labels"])
    titles = [message["attachments"][0]["title"] for message in inbox.at("/slack")]
    assert all(f" in {external[LABEL]}: " in title for title in titles), titles
    runbooks = {f"{alert['labels']['alertname']}.md" for m in messages for alert in m["alerts"]}
    assert all((tools.ROOT / RUNBOOKS / name).is_file() for name in runbooks)
    texts = {
        "slack": [m["attachments"][0]["text"] for m in inbox.at("/slack")],
        "discord": [m["attachments"][0]["text"] for m in inbox.at("/discord/slack")],
        "telegram": [m["text"] for m in inbox.at("/bot1:token")],
        "email": [text for _, text in inbox.mails],
    }
    for name, sent in texts.items():
        assert len(sent) == len(messages), name
        assert {runbook for runbook in runbooks if f"/{runbook}" in " ".join(sent)} == runbooks, (
            name
        )
        assert all("{{" not in text and "<no value>" not in text for text in sent), name
