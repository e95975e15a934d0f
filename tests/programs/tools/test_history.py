"""What `history` makes of simulated scrapes and rules, read back through a real Prometheus."""

from __future__ import annotations

import json
import math
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from scripts import tools
from scripts.core.yamlfile import Json
from scripts.servers import monitoring
from scripts.servers.api import Api
from scripts.servers.processes import free_port

pytestmark = pytest.mark.prove

NAN = math.nan
START = 1_767_225_600  # 2026-01-01 00:00 UTC
STEP = 30
# More than the 240 evaluations that one range query answers, so that a boundary is crossed.
SCRAPES = 300
MINUTE = 60 // STEP


def frame(document: Json, values: Sequence[float] | None = None) -> bytes:
    """Return a frame of the stream, with its values if it has any."""
    line = json.dumps(document).encode() + b"\n"
    return line if values is None else line + struct.pack(f"<{len(values)}d", *values)


FIRST = frame({"start": START * 1000, "step": STEP * 1000, "samples": SCRAPES})


def each(value: Callable[[int], float]) -> list[float]:
    return [float(value(i)) for i in range(SCRAPES)]


def target(address: str, up: Sequence[float] | None = None, **keys: Json) -> bytes:
    """Return a target of job `app`; further labels in `labels`, else keys of a scrape_config."""
    labels = {"__address__": address, "job": "app", **keys.pop("labels", {})}
    document: Json = {"target": {"labels": labels, **keys}}
    return frame(document if up is None else {**document, "up": SCRAPES}, up)


def series(name: str, values: Sequence[float], **labels: str) -> bytes:
    return frame({"series": {"__name__": name, **labels}, "samples": SCRAPES}, values)


def run(folder: Path, *frames: bytes, **groups: Json) -> subprocess.CompletedProcess[bytes]:
    """Run `history` on frames, with a rule file of each group: its rules, or all its keys."""
    files = []
    for name, group in groups.items():
        keys = group if isinstance(group, dict) else {"rules": group}
        file = folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": name, **keys}]}))
        files += ["--rules", str(file)]
    return subprocess.run(
        [
            tools.path("history"),
            "--output",
            folder / "tsdb",
            *files,
            "--external-label",
            "cluster=c",
        ],
        input=FIRST + b"".join(frames),
        capture_output=True,
        check=False,
    )


GAUGE = each(lambda i: -0.1 * i)
COUNTER = each(lambda i: 3.5 * i)
# Above 0 from 00:20 to 00:40, from 01:00 to 01:04 and from 02:00 on.
TROUBLE = each(lambda i: (40 <= i < 80) or (120 <= i < 128) or i >= 240)
FRAMES = (
    target(
        "10.0.0.1:80",
        labels={"__meta_pod": "p", "__metrics_path__": "/stats"},
        relabel_configs=[
            {"source_labels": ["__meta_pod"], "target_label": "pod"},
            {"source_labels": ["__metrics_path__"], "target_label": "metrics_path"},
        ],
    ),
    series("plain", GAUGE, pod="of the exporter", instance="of the exporter"),
    series("plain_total", COUNTER),
    series("trouble", TROUBLE),
    target("10.0.0.2:80", labels={"namespace": "monitoring"}, honor_labels=True),
    series("honoured", GAUGE, namespace="default"),
    series("refused", GAUGE, namespace=""),
    target(
        "10.0.0.3:80",
        metric_relabel_configs=[
            {"source_labels": ["__name__"], "regex": "useless_.*", "action": "drop"},
            {"regex": "id", "action": "labeldrop"},
        ],
    ),
    series("useless_total", COUNTER),
    series("restarted", each(lambda i: 1 if i < 100 else NAN), id="before"),
    series("restarted", each(lambda i: 2 if i >= 100 else NAN), id="after"),
    target("10.0.0.4:80", sample_limit=2),
    series("limited", GAUGE, n="1"),
    series("limited", GAUGE, n="2"),
    series("limited", each(lambda i: 1 if 50 <= i < 60 else NAN), n="3"),
    target("10.0.0.5:80", up=each(lambda i: NAN if i >= 200 else not 100 <= i < 110)),
    series("flapping", GAUGE),
    series("ending", each(lambda i: i if i < 20 else NAN)),
    target(
        "10.0.0.6:80",
        relabel_configs=[{"source_labels": ["job"], "regex": "other", "action": "keep"}],
    ),
    series("unwanted", GAUGE),
    target("10.0.0.5:80", up=each(lambda i: 1 if i >= 250 else NAN)),
    series("flapping", COUNTER),
)
RULES: dict[str, Json] = {
    # The alert uses what a file that is loaded later records.
    "alerts": [
        {
            "alert": "Trouble",
            "expr": "trouble:doubled > 1",
            "for": "5m",
            "labels": {"severity": "page", "where": "{{ $externalLabels.cluster }}"},
            "annotations": {"summary": "{{ $value }}"},
        },
        {"record": "alerts:firing", "expr": 'count(ALERTS{alertstate="firing"})'},
    ],
    "records": [
        {"record": "trouble:doubled", "expr": "2 * max by (job) (trouble)"},
        {"record": "plain:rate5m", "expr": "sum(rate(plain_total[5m]))", "labels": {"by": "rule"}},
        {"record": "plain:odd", "expr": "trouble > 0"},
        {"record": "steps:count", "expr": "(steps:count offset 30s or vector(-1)) + 1"},
    ],
}


@dataclass(frozen=True)
class Past:
    """A finished run and a server that has it."""

    result: Json
    api: Api

    def samples(self, selector: str) -> list[tuple[dict[str, str], dict[int, float]]]:
        """Return each series selected, with its values by the number of the scrape."""
        seconds = SCRAPES * STEP
        found = []
        for one in self.query(f"{selector}[{seconds + 1}s]", SCRAPES):
            points = {(int(t) - START) / STEP: float(v) for t, v in one["values"]}
            assert all(at.is_integer() for at in points)
            found.append((one["metric"], {int(at): v for at, v in points.items()}))
        return found

    def only(self, selector: str) -> dict[int, float]:
        ((_, values),) = self.samples(selector)
        return values

    def query(self, expression: str, scrape: int) -> list[Json]:
        """Return what an instant query at the time of a scrape gives."""
        answer = self.api.get(
            "/api/v1/query", {"query": expression, "time": str(START + scrape * STEP)}
        )
        found: list[Json] = answer["data"]["result"]
        return found


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    folder = tmp_path_factory.mktemp("history")
    done = run(folder, *FRAMES, **RULES)
    assert not done.returncode, done.stderr.decode()
    (folder / "prometheus.yml").write_text("global: {}")
    port = free_port()
    arguments = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with monitoring.running("prometheus", arguments, port, "/-/ready") as api:
        yield Past(json.loads(done.stdout), api)


def values(numbers: Sequence[float]) -> dict[int, float]:
    return {i: v for i, v in enumerate(numbers) if not math.isnan(v)}


def test_a_gauge_and_a_counter_come_back_exactly(past: Past) -> None:
    assert past.only("plain") == values(GAUGE)
    assert past.only("plain_total") == values(COUNTER)


def test_a_target_has_the_labels_that_relabelling_gives_it(past: Past) -> None:
    ((labels, _),) = past.samples("plain_total")
    assert labels == {
        "__name__": "plain_total",
        "instance": "10.0.0.1:80",
        "job": "app",
        "metrics_path": "/stats",
        "pod": "p",
    }


def test_labels_that_the_target_has_too_are_renamed(past: Past) -> None:
    ((labels, _),) = past.samples("plain")
    assert labels["pod"] == "p"
    assert labels["exported_pod"] == "of the exporter"
    assert labels["exported_instance"] == "of the exporter"


def test_honor_labels_keeps_them_and_an_empty_one_refuses_the_targets(past: Past) -> None:
    ((honoured, _),) = past.samples("honoured")
    ((refused, _),) = past.samples("refused")
    assert honoured["namespace"] == "default"
    assert honoured["job"] == "app"
    assert "exported_namespace" not in honoured
    assert "namespace" not in refused


def test_metric_relabelling_drops_series_and_counts_them(past: Past) -> None:
    at = '{instance="10.0.0.3:80"}'
    assert past.samples("useless_total") == []
    assert set(past.only(f"scrape_samples_scraped{at}").values()) == {2}
    assert set(past.only(f"scrape_samples_post_metric_relabeling{at}").values()) == {1}


def test_series_that_relabelling_makes_one_go_on_after_each_other(past: Past) -> None:
    assert past.only("restarted") == values(each(lambda i: 1 if i < 100 else 2))


def test_a_dropped_target_is_not_scraped(past: Past) -> None:
    assert past.samples("unwanted") == []
    assert past.samples('up{instance="10.0.0.6:80"}') == []
    assert (past.result["targets"], past.result["dropped_targets"]) == (6, 1)


def test_a_scrape_over_the_sample_limit_stores_nothing(past: Past) -> None:
    at = '{instance="10.0.0.4:80"}'
    over = set(range(50, 60))
    assert past.only('limited{n="1"}').keys() == set(range(SCRAPES)) - over
    assert past.samples('limited{n="3"}') == []
    assert past.only(f"up{at}") == values(each(lambda i: i not in over))
    assert past.only(f"scrape_samples_post_metric_relabeling{at}")[50] == 3
    assert past.query('limited{n="1"}', 50) == []
    assert past.result["over_limit"] == [
        {
            "job": "app",
            "instance": "10.0.0.4:80",
            "limit": 2,
            "samples": 3,
            "scrapes": 10,
            "first": (START + 50 * STEP) * 1000,
        }
    ]


def test_a_series_that_ends_is_stale_at_the_next_scrape(past: Past) -> None:
    assert past.only("ending") == values(each(lambda i: i if i < 20 else NAN))
    assert past.query("ending", 19)
    assert past.query("ending", 20) == []


def test_a_target_that_is_down_has_nothing_but_its_scrapes_own_series(past: Past) -> None:
    at = '{instance="10.0.0.5:80"}'
    down, gone = set(range(100, 110)), set(range(200, 250))
    assert past.only("flapping").keys() == set(range(SCRAPES)) - down - gone
    assert past.query("flapping", 100) == []
    assert past.only(f"up{at}") == values(each(lambda i: NAN if i in gone else i not in down))
    assert {past.only(f"scrape_samples_scraped{at}")[i] for i in down} == {0}


def test_a_target_that_is_gone_leaves_stale_series_and_another_goes_on(past: Past) -> None:
    assert past.query("flapping", 199)
    assert past.query("flapping", 200) == []
    assert past.query('up{instance="10.0.0.5:80"}', 200) == []
    assert past.only("flapping")[250] == COUNTER[250]


def test_new_series_are_counted_when_they_come(past: Past) -> None:
    added = past.only('scrape_series_added{instance="10.0.0.3:80"}')
    assert added == values(each(lambda i: i == 0))
    again = past.only('scrape_series_added{instance="10.0.0.5:80"}')
    # Being down for a while does not make a target's series new; being discovered again does.
    assert {at: count for at, count in again.items() if count} == {0: 2, 250: 1}


def test_a_recording_rule_gives_what_is_computed_by_hand(past: Past) -> None:
    rates = past.only('plain:rate5m{by="rule"}')
    # Two samples are needed; the counter's slope does not change.
    assert rates.keys() == set(range(1, SCRAPES))
    assert all(rates[i] == pytest.approx(3.5 / STEP) for i in range(10, SCRAPES))
    assert past.only("trouble:doubled") == values([2 * v for v in TROUBLE])


def test_a_rule_whose_result_ends_leaves_a_stale_series(past: Past) -> None:
    assert past.only("plain:odd") == values([v or NAN for v in TROUBLE])
    assert past.query("plain:odd", 79)
    assert past.query("plain:odd", 80) == []


def test_a_rule_may_use_its_own_last_result(past: Past) -> None:
    assert past.only("steps:count") == values(each(lambda i: i))


def test_an_alert_fires_when_it_was_pending_for_long_enough(past: Past) -> None:
    wait = 5 * MINUTE
    firing = {*range(40 + wait, 80), *range(240 + wait, SCRAPES)}
    pending = {*range(40, 40 + wait), *range(120, 128), *range(240, 240 + wait)}
    where = 'alertname="Trouble",job="app",severity="page",where="c"'
    assert past.only(f'ALERTS{{alertstate="firing",{where}}}').keys() == firing
    assert past.only(f'ALERTS{{alertstate="pending",{where}}}').keys() == pending
    assert past.only(f"ALERTS_FOR_STATE{{{where}}}")[50] == START + 40 * STEP
    assert past.only("alerts:firing").keys() == firing
    labels = {"alertname": "Trouble", "job": "app", "severity": "page", "where": "c"}
    assert past.result["alerts"] == [
        {
            "alertname": "Trouble",
            "labels": labels,
            "state": "firing",
            "start": (START + begin * STEP) * 1000,
            "end": (START + end * STEP) * 1000,
        }
        for begin, end in ((40 + wait, 80), (240 + wait, SCRAPES))
    ]


def test_the_result_counts_what_is_in_the_block(past: Past) -> None:
    recorded = past.samples('{__name__=~"ALERTS.*|.+:.+"}')
    assert past.result["recorded_series"] == len(recorded) == 8
    assert past.result["series"] == len(past.samples('{__name__!=""}'))
    assert past.result["rules"] == 6
    assert past.result["evaluation_seconds"].keys() == {"alerts", "records"}


def test_the_same_input_gives_the_same_block(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        done = run(tmp_path / name, *FRAMES, **RULES)
        assert not done.returncode, done.stderr.decode()
        (block,) = (tmp_path / name / "tsdb").iterdir()
        contents.append([(block / file).read_bytes() for file in ("index", "chunks/000001")])
    assert contents[0] == contents[1]


ONE = target("a:1"), series("x", GAUGE)
TWO = target("b:1"), series("x", GAUGE)


def test_a_group_is_evaluated_at_its_own_interval(tmp_path: Path) -> None:
    # They use each other, so that they are evaluated side by side.
    slow = {"interval": "5m", "rules": [{"record": "a:b", "expr": "count(x or c:d)"}]}
    fast = {"rules": [{"record": "c:d", "expr": "count(x or a:b)"}]}
    done = run(tmp_path, *ONE, slow=slow, fast=fast)
    scraped = 6 * SCRAPES
    evaluated = SCRAPES + SCRAPES // (5 * MINUTE)
    assert json.loads(done.stdout)["samples"] == scraped + evaluated


def test_a_query_offset_may_reach_back_before_the_first_scrape(tmp_path: Path) -> None:
    late = {"query_offset": "1m", "rules": [{"record": "a:b", "expr": "vector(1)"}]}
    done = run(tmp_path, *ONE, late=late)
    assert not done.returncode, done.stderr.decode()
    (meta,) = (tmp_path / "tsdb").glob("*/meta.json")
    assert json.loads(meta.read_text())["minTime"] == (START - 60) * 1000


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"record": "a:b", "expr": "sum(x"}, "unclosed left parenthesis"),
        ({"record": "a:b", "expr": "no_such_function(x)"}, "no_such_function"),
        ({"record": "a:b", "expr": "x", "for": "5m"}, "for"),
        ({"alert": "A", "expr": "x", "labels": {"a": "{{ $labels.b"}}, "unclosed action"),
    ],
)
def test_a_rule_that_does_not_parse_is_named(tmp_path: Path, rule: Json, message: str) -> None:
    done = run(tmp_path, *ONE, group=[rule])
    said = done.stderr.decode()
    assert done.returncode == 1
    for part in ("group.yaml", 'group "group"', "rule 1", rule.get("record", "A"), message):
        assert part in said


def test_a_rule_that_fails_is_named_with_the_time(tmp_path: Path) -> None:
    rule = {"record": "a:b", "expr": "x * on (job) group_left () y"}
    appears = each(lambda i: 1 if i >= 250 else NAN)
    frames = [target("a:1"), series("x", GAUGE), series("y", GAUGE), series("y", appears, n="2")]
    done = run(tmp_path, *frames, group=[rule])
    said = done.stderr.decode()
    assert done.returncode == 1
    assert 'group.yaml: group "group", rule "a:b" at 2026-01-01 02:05:00: ' in said
    assert "duplicate series" in said


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "no target that is scraped"),
        ([b"no JSON\n"], 'frame 2: "no JSON\\n" is no frame'),
        ([frame({"serie": {}})], 'unknown field "serie"'),
        ([frame({})], "frame 2: neither a target nor a series"),
        ([target("a:1").strip() + b" {}\n"], 'frame 2: "{}" follows the JSON'),
        ([series("x", GAUGE)], "frame 2: a series before the first target"),
        ([target("a:1"), frame({"series": {"__name__": "x"}, "samples": 3})], "3 values for 300"),
        ([*ONE, series("y", GAUGE)[:-1]], "frame 4: standard input ends after 2399 of 2400 bytes"),
        ([*ONE, b"\0" * 8, *TWO], "does the one before say how many values follow it?"),
        ([target("a:1", sample_limt=1)], "field sample_limt not found"),
        ([target("a:1", relabel_configs=[{"action": "dorp"}])], 'unknown relabel action "dorp"'),
        ([target("http://a:1/x")], "is not a valid hostname"),
        ([target("a:1", labels={"job": ""})], "target a:1: no label job"),
        ([target("a:1", up=each(lambda i: 2))], "up is 2 at 2026-01-01 00:00:00"),
        ([target("a:1"), series("", GAUGE)], "no valid series"),
        (
            [*ONE, series("x", GAUGE)],
            'x{instance="a:1", job="app"} twice at 2026-01-01 00:00:00, after relabelling',
        ),
        (
            [*ONE, *ONE],
            'x{instance="a:1", job="app"} at 2026-01-01 00:00:00, but so does target',
        ),
    ],
)
def test_a_stream_that_is_wrong_is_refused(
    tmp_path: Path, frames: list[bytes], message: str
) -> None:
    done = run(tmp_path, *frames)
    assert done.returncode == 1
    assert message in done.stderr.decode()
    assert not (tmp_path / "tsdb").exists()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tsdb" / "01ABC").mkdir(parents=True)
    done = run(tmp_path, *ONE)
    assert done.returncode == 1
    assert "is not empty" in done.stderr.decode()
