"""What the log pipelines take out of an entry before it is stored.

Whether an expression matches less than the one before cannot be told from it, so a person is asked
to look.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scripts.core.findings import counted
from scripts.diff import log_pipelines
from scripts.diff.analyzers.wording import listed
from scripts.diff.log_pipelines import Stage
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model.rendered import Cluster, Pod

TOPIC = "Log redaction"
FIX = (
    "Look at what tests/repository/logs says of it, and add lines that only the old expression"
    " catches."
)
CAUGHT = "What only the old expression caught is stored in Loki from now on."
ELSEWHERE = "What it took out elsewhere is stored in Loki from now on."
EVERYWHERE = "Let it see every entry whole, or be sure that nothing of the kind is elsewhere."


@dataclass(frozen=True)
class LogPipeline:
    """What the pods of one workload run.

    Attributes:
        files: Text of each configuration, by its file's name.
        variables: Those that the pods set; None where `envFrom` sets any.
    """

    files: Mapping[str, str]
    variables: frozenset[str] | None = frozenset()


def analyze(pair: ClusterPair) -> Analysis:
    """Compare the pipelines of a cluster, by the workloads that run them."""
    before, after = _pipelines(pair.before), _pipelines(pair.after)
    gone = [pipeline for owner, pipeline in before.items() if owner not in after]
    for owner, new in after.items():
        old = before[owner] if owner in before else _predecessor(new, gone)
        if old != new:
            yield from _compare_pipelines(owner, old, new)


def _pipelines(cluster: Cluster) -> dict[str, LogPipeline]:
    """Return the pipeline of every workload, without files where it runs none."""
    texts = {(item.namespace, item.name): item.data for item in cluster.of("ConfigMap")}
    found = {}
    for pod in cluster.pods:
        files = {
            file: text
            for name in _mounted_config_maps(pod)
            for file, text in texts.get((pod.owner.namespace, name), {}).items()
            if file.endswith(".alloy")
        }
        found[str(pod.owner)] = LogPipeline(files, _set_variables(pod))
    return found


def _mounted_config_maps(pod: Pod) -> Iterator[str]:
    """Yield the names of the ConfigMaps that a pod has as files."""
    for volume in pod.spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or [volume]:
            if name := (source.get("configMap") or {}).get("name"):
                yield str(name)


def _set_variables(pod: Pod) -> frozenset[str] | None:
    """Return the names of the variables that a pod's containers set to something."""
    if any(container.get("envFrom") for container in pod.containers):
        return None
    return frozenset(
        str(variable["name"])
        for container in pod.containers
        for variable in container.get("env") or ()
        if variable.get("valueFrom") or variable.get("value")
    )


def _predecessor(new: LogPipeline, gone: Sequence[LogPipeline]) -> LogPipeline:
    """What a workload by another name ran: the files that are most like its own."""
    nothing = LogPipeline({})
    if not new.files:
        return nothing
    return max(gone, key=lambda one: len(one.files.keys() & new.files.keys()), default=nothing)


def _compare_pipelines(owner: str, before: LogPipeline, after: LogPipeline) -> Analysis:
    old, new = log_pipelines.stages(before.files), log_pipelines.stages(after.files)
    # Of a new pipeline, what it takes out is no difference to anything.
    for kind in dict.fromkeys((*old, *new)) if before.files else ():
        one, other = old.get(kind, []), new.get(kind, [])
        yield from _compare_stages(f"{(other or one)[0].file}, {kind}", one, other)
    yield from _bypassed(before, after, old)
    lost = _unset_variables(before, old)
    for name, kinds in _unset_variables(after, new).items():
        if name not in lost:
            why = (
                f"What takes out {listed(kinds)} reads {name}, which is empty from now on: it takes"
                " out less, or its pseudonyms can be guessed."
            )
            yield Sentence(TOPIC, f"{owner}: {name} is not set")
            yield Flag(Danger.REDACTION_WEAKENED, f"{owner}, {name}", why, "Set it for these pods.")


def _bypassed(before: LogPipeline, after: LogPipeline, old: Container[str]) -> Analysis:
    known = log_pipelines.bypassing(before.files)
    kinds: dict[str, list[str]] = {}
    for (source, kind), file in log_pipelines.bypassing(after.files).items():
        # What nothing took out before is stored as it was.
        if (source, kind) not in known and (kind in old or not before.files):
            kinds.setdefault(file, []).append(kind)
    for file, found in kinds.items():
        what = listed(dict.fromkeys(found))
        why = f"A way from the logs to Loki passes no stage that takes out {what}: it is stored."
        fix = "Send every entry through the redaction before anything else."
        yield Sentence(TOPIC, f"{file}: entries may reach Loki with {what}")
        yield Flag(Danger.REDACTION_WEAKENED, file, why, fix)


def _unset_variables(pipeline: LogPipeline, found: dict[str, list[Stage]]) -> dict[str, list[str]]:
    """Return the variables that are read and not set, with what the stages take that read them."""
    names: dict[str, list[str]] = {}
    if pipeline.variables is not None:
        for kind, stages in found.items():
            read = {name for stage in stages for name in stage.variables}
            for name in sorted(read - pipeline.variables):
                names.setdefault(name, []).append(kind)
    return names


def _compare_stages(where: str, before: list[Stage], after: list[Stage]) -> Analysis:
    if not after:
        yield Sentence(TOPIC, f"{where}: is not taken out any more")
        why = "What it took out is stored in Loki from now on, and whoever reads logs reads it."
        yield Flag(Danger.REDACTION_WEAKENED, where, why, "Keep the stage.")
        return
    if not before:
        yield Sentence(TOPIC, f"{where}: is taken out from now on")
        return
    old, new = _limits(before), _limits(after)
    removed = [e for e in old if e not in new]
    added = [e for e in new if e not in old]
    # What was tried within some limits has to be tried within the same, or without one of them.
    lost = [
        (limits, new[e])
        for e in old
        if e in new
        for limits in old[e]
        if not any(other <= limits for other in new[e])
    ]
    replaced = {one.replacement for one in before} - {one.replacement for one in after}
    parts = [
        f"{counted(len(own), 'expression')} {verb}"
        for own, verb in ((removed, "removed"), (added, "added"))
        if own
    ]
    if lost:
        now = {limit for known, found in lost for other in found for limit in other - known}
        parts.append(f"only in {listed(sorted(now))}")
    elif not removed and any(old[e] != new[e] for e in old):
        parts.append("in more places")
    if replaced:
        parts.append("what stands in its place changes")
    if parts or list(old) != list(new):
        yield Sentence(TOPIC, f"{where}: {', '.join(parts) or 'another order'}")
    if removed or lost:
        narrowed = any(other > limits for limits, found in lost for other in found)
        weakened = len(removed) > len(added) or narrowed
        why, fix = (CAUGHT, FIX) if removed else (ELSEWHERE, EVERYWHERE)
        yield Flag(
            Danger.REDACTION_WEAKENED if weakened else Danger.REDACTION_CHANGED, where, why, fix
        )
    elif replaced:
        why = "Pseudonyms and placeholders of stored entries do not match new ones, or hold more."
        yield Flag(Danger.REDACTION_CHANGED, where, why, FIX)


def _limits(stages: list[Stage]) -> dict[str, set[frozenset[str]]]:
    """Return every expression with the limits of each stage that tries it."""
    found: dict[str, set[frozenset[str]]] = {}
    for stage in stages:
        for expression in stage.expressions:
            found.setdefault(expression, set()).add(stage.limits)
    return found
