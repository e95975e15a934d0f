"""What Loki says, and when, where something about its bucket or its replicas is wrong."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.core.findings import Finding, RepositoryError, progress
from scripts.lab.scale.logs.variants import BUCKET, NEW, variant
from scripts.model.rendered import Cluster
from scripts.servers.api import Api, ApiError
from scripts.servers.loki_cluster import ALL, LokiCluster, buckets
from scripts.servers.monitoring import Override, push_streams
from scripts.servers.object_storage import ObjectStorage
from scripts.servers.own_metrics import total
from scripts.servers.polling import poll
from scripts.servers.processes import Processes, free_port

# Counters of Loki that may tell of it; the alert LogsNotStored reads the first.
FAILURES = "loki_ingester_chunks_flush_failures_total"
_ERROR = re.compile(r"level=error .*?(?:err|error)=(\"(?:[^\"\\]|\\.)*\"|\S+)")
# What is another one in each answer of S3, and where a program writes on this machine.
_OWN = re.compile(r" (?:RequestID|HostID): [^ ,]*,|/tmp/[\w.-]+/[\w.-]+-files(?=/)")
_WHY = "what is wrong"
# Seconds until a flush has been tried.
_PATIENCE = 15
_WIDTH = 300
ACCEPTED, _NOTHING = "accepted", "nothing"
_LABELS = {"namespace": "default", "app": "scale", "cluster": "scale"}


@dataclass(frozen=True)
class Case:
    """Something that is wrong.

    Attributes:
        name: What.
        overrides: Values of the configuration.
        environment: Variables, in place of the keys.
        no_bucket: Whether the bucket is not there.
        later: What happens once it runs.
    """

    name: str
    overrides: tuple[Override, ...] = ()
    environment: Mapping[str, str] | None = None
    no_bucket: bool = False
    later: Callable[[ObjectStorage, Sequence[str]], None] | None = None


@dataclass
class Told:
    """How it shows: at the start, in what a push is answered, and where chunks are to be stored."""

    case: Case
    start: str = ""
    push: str = ""
    query: str = ""
    flush: str = ""
    failures: int = 0


def cases() -> tuple[Case, ...]:
    """Return what may be wrong; `nothing` first."""
    place = "common.storage.s3"
    wrong = {"AWS_ACCESS_KEY_ID": "test-access-key", "AWS_SECRET_ACCESS_KEY": "another"}
    nobody = f"http://127.0.0.1:{free_port()}"
    return (
        Case(_NOTHING),
        Case("the bucket is not there", no_bucket=True),
        Case("the secret key is another's", environment=wrong),
        Case("no keys", environment={"AWS_EC2_METADATA_DISABLED": "true"}),
        Case("no endpoint", (Override(f"{place}.endpoint", "", _WHY),)),
        Case("nobody listens at the endpoint", (Override(f"{place}.endpoint", nobody, _WHY),)),
        Case("no region", (Override(f"{place}.region", "", _WHY),)),
        Case("another region", (Override(f"{place}.region", "eu-frankfurt-1", _WHY),)),
        Case("out of reach once it runs", later=lambda storage, _: storage.down()),
        Case("the bucket is removed once it runs", later=_remove),
        Case("three copies, one Loki", (Override("common.replication_factor", 3, _WHY),)),
        Case(
            "the period's date is no date",
            (Override("schema_config.configs", [{**_PERIOD, "from": "copied"}], _WHY),),
        ),
    )


_PERIOD = {
    "store": "tsdb",
    "object_store": "s3",
    "schema": "v13",
    "index": {"prefix": "index_", "period": "24h"},
}


def _remove(storage: ObjectStorage, names: Sequence[str]) -> None:
    for name in names:
        shutil.rmtree(storage.path(name, ""))


def tell(case: Case, cluster: Cluster) -> Told:
    """Run Loki with something wrong, write a line, and have it stored."""
    told = Told(case)
    progress(f"bad input: {case.name}")
    with Processes() as processes:
        storage = ObjectStorage(processes, *(() if case.no_bucket else buckets(cluster)))
        loki = LokiCluster(processes, cluster, storage, case.overrides, case.environment)
        (name,) = loki.members
        began = time.monotonic()
        try:
            loki.start()
        except RepositoryError:
            said = processes.log(name)
            told.start = f"ends: {_last_error(said)}"
            return told
        told.start = f"ready after {time.monotonic() - began:.0f} s"
        if case.later:
            case.later(storage, buckets(cluster))
        with loki.api(ALL, timeout=_PATIENCE) as api:
            told.push = _answer(lambda: _push(api))
            told.query = _answer(lambda: _query(api))
            told.flush = _answer(lambda: api.post("/flush", {}))
            poll(
                lambda: "" if _failures(api) else "none", _PATIENCE if case.name != _NOTHING else 2
            )
            told.failures = _failures(api)
            if told.failures:
                told.flush = _last_error(processes.log(name))
    return told


def tell_all() -> Iterator[Told]:
    """Yield each case as it is told."""
    cluster = variant(BUCKET, NEW)
    for case in cases():
        yield tell(case, cluster)


def _answer(send: Callable[[], object]) -> str:
    try:
        send()
    except ApiError as error:
        return str(error)[:_WIDTH]
    return ACCEPTED


def _push(api: Api) -> None:
    values = [[str(time.time_ns()), "a line"]]
    push_streams(api, {json.dumps(_LABELS): values})


def _query(api: Api) -> None:
    api.get("/loki/api/v1/query", {"query": 'count_over_time({namespace="default"}[12h])'})


def _failures(api: Api) -> int:
    return int(total(api, FAILURES) or 0)


def _last_error(log: str) -> str:
    """Return the last error of a log in one line, without what makes it another each time."""
    found = _ERROR.findall(log) or log.splitlines()[-1:] or [""]
    text = found[-1].strip('"').replace("\\n", " ").replace('\\"', "'")
    return re.sub(r"\s+", " ", _OWN.sub("", text))[:_WIDTH]


def table(told: Sequence[Told]) -> str:
    """Return lines for each case."""
    lines = []
    for one in told:
        lines.append(f"{one.case.name}: {one.start}")
        if one.push:
            lines.append(f"    a push: {one.push}")
            lines.append(f"    a query: {one.query}")
            lines.append(f"    storing: {one.flush} ({one.failures} failures)")
    return "\n".join(lines)


def unheard(told: Sequence[Told]) -> Iterator[Finding]:
    """Find a fault that neither a start, nor a push, nor the counter of the alert tells of."""
    for one in told:
        heard = one.start.startswith("ends") or one.push != ACCEPTED or one.failures > 0
        if heard == (one.case.name == _NOTHING):
            text = f"{one.case.name}: {'something' if heard else 'nothing'} tells of it"
            yield Finding("base/config/alerts/loki.yaml", None, text, "see the table")
