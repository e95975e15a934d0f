"""What a comparison of two revisions finds; every output is made from this and nothing else."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.core.findings import Finding
from scripts.core.yamlfile import Json


class Absent(enum.Enum):
    """The value of an edit at the revision that has nothing there."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class Action(enum.StrEnum):
    """What became of an object."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True)
class Edit:
    """One value that differs.

    Attributes:
        path: Where, with list items by their identity: `spec.containers[name=grafana].image`.
        before: The old value, or ABSENT.
        after: The new value, or ABSENT.
    """

    path: str
    before: Json
    after: Json


@dataclass(frozen=True)
class Change:
    """One object that differs in some clusters in the same way.

    Attributes:
        places: `cluster/engine` of each cluster sync in which it changes so, sorted.
        unit: The Kustomization or Application that applies it, or the Helm release that brings it.
        release: Whether `unit` is a Helm release.
        kind: The object's.
        namespace: The object's; empty if it has none.
        name: The object's.
        action: What became of it.
        edits: In the order of their paths; empty unless it is changed.
        text: The object, or the values that differ, as YAML with `-`, `+` or ` ` before each line.
    """

    places: tuple[str, ...]
    unit: str
    release: bool
    kind: str
    namespace: str
    name: str
    action: Action
    edits: tuple[Edit, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Bump:
    """A chart's version that moves.

    Attributes:
        places: As in Change.
        release: The Helm release.
        chart: Its chart.
        before: The old version, empty for a new release.
        after: The new version, empty for a removed one.
        application_before: The version of the application that the old chart names as its own, its
            `appVersion`; empty where it names none, or cannot be had.
        application_after: Likewise of the new chart.
    """

    places: tuple[str, ...]
    release: str
    chart: str
    before: str
    after: str
    application_before: str = ""
    application_after: str = ""


@dataclass(frozen=True)
class Sentence:
    """A difference in words.

    Attributes:
        topic: A heading, such as `Alerts`, `Objectives`, `Dashboards`, `Routes`, `Retention`,
            `Scrape targets`, `Log redaction`, `Secrets`.
        text: One sentence.
        places: As in Change; empty where it is not about a cluster.
    """

    topic: str
    text: str
    places: tuple[str, ...] = ()


class Danger(enum.StrEnum):
    """What a flag warns of, the most dangerous first.

    First what is lost for good, then what opens a door, what nobody notices, and what fails in
    sight. Reports list flags in this order.
    """

    VOLUME_REMOVED = "volume-removed"
    VOLUME_SHRUNK = "volume-shrunk"
    OBJECT_REMOVED = "object-removed"
    RELEASE_RENAMED = "release-renamed"
    RELEASE_REMOVED = "release-removed"
    RETENTION_SHORTENED = "retention-shortened"
    LOKI_SCHEMA = "loki-schema"
    PRUNING = "pruning"
    VOLUME_DELETION = "volume-deletion"
    FORCING = "forcing"
    PROTECTION_REMOVED = "protection-removed"
    MOVED = "moved"
    REDACTION_WEAKENED = "redaction-weakened"
    CHART_SOURCE = "chart-source"
    DIGEST_CHANGED = "digest-changed"
    DIGEST_REMOVED = "digest-removed"
    PRIVILEGED = "privileged"
    GRAFANA_OPENED = "grafana-opened"
    EXPOSED = "exposed"
    NETWORK_OPENED = "network-opened"
    RBAC_WIDENED = "rbac-widened"
    PROJECT_WIDENED = "project-widened"
    WATCHDOG_REMOVED = "watchdog-removed"
    WATCHDOG_CHANGED = "watchdog-changed"
    ALERT_SILENCED = "alert-silenced"
    ALERT_REMOVED = "alert-removed"
    ALERT_WEAKENED = "alert-weakened"
    LIST_REPLACED = "list-replaced"
    MONITOR_UNSELECTED = "monitor-unselected"
    REDACTION_CHANGED = "redaction-changed"
    SUSPENDED = "suspended"
    HELD_BACK = "held-back"
    NOT_PACKED = "not-packed"
    DIGEST_STALE = "digest-stale"
    UNLISTED = "unlisted"
    CRD_NOT_UPGRADED = "crd-not-upgraded"
    SYNC_WEAKENED = "sync-weakened"
    SCALED_TO_ZERO = "scaled-to-zero"
    API_NOT_SERVED = "api-not-served"
    KUBERNETES_UNSUPPORTED = "kubernetes-unsupported"
    IMMUTABLE_FIELD = "immutable-field"
    IMAGE_MISSING = "image-missing"
    IMAGE_ARCHITECTURE = "image-architecture"
    OVER_BUDGET = "over-budget"
    BUDGET_RAISED = "budget-raised"
    MAJOR_VERSION = "major-version"
    DEAD_VALUE = "dead-value"
    DATASOURCE_UID = "datasource-uid"
    DASHBOARD_UID = "dashboard-uid"
    VOLUME_CLASS = "volume-class"
    VOLUME_GROWN = "volume-grown"

    @property
    def rank(self) -> int:
        """Its place in this order, from 0."""
        return list(Danger).index(self)


@dataclass(frozen=True)
class Flag:
    """A danger.

    Attributes:
        name: What it warns of.
        where: The object or file, as a reader would look for it.
        why: What may go wrong, in one sentence.
        fix: What to do, in one sentence.
        places: As in Change.
        blocks: Whether the change cannot work as it is: nobody can acknowledge that.
    """

    name: Danger
    where: str
    why: str
    fix: str
    places: tuple[str, ...] = ()
    blocks: bool = False


# What an analyzer yields. Of one cluster without places, which `compare` fills in.
Analysis = Iterator[Sentence | Flag]


@dataclass(frozen=True)
class Amount:
    """A budget's line of one cluster, before and after.

    Attributes:
        cluster: The cluster.
        resource: `CPU`, `memory`, `volumes`, `images`, `series`, …
        before: What was asked for, in words with a unit; empty if the cluster is new.
        after: What is asked for; empty if the cluster is removed.
        limit: The overlay's limit, empty without.
        over: Whether it is above the limit afterwards.
        former: The limit before, where it was another one; `none` where there was none.
    """

    cluster: str
    resource: str
    before: str
    after: str
    limit: str
    over: bool
    former: str = ""


@dataclass(frozen=True)
class Picture:
    """A dashboard that differs, as `make pictures` draws it.

    Attributes:
        dashboard: Its uid.
        before: A file; None where it is not drawn, ABSENT where there is no such dashboard.
        after: Likewise.
    """

    dashboard: str
    before: str | Absent | None
    after: str | Absent | None

    @property
    def drawn(self) -> bool:
        """Whether it is drawn at either revision."""
        return isinstance(self.before, str) or isinstance(self.after, str)


@dataclass(frozen=True)
class Report:
    """All that differs between two revisions.

    Attributes:
        base: The revision before, as the user named it, with its short commit id.
        head: The revision after, or `working tree`.
        changes: By place, unit, kind, namespace and name.
        bumps: Charts that move.
        sentences: By topic.
        flags: The most dangerous first.
        amounts: Budgets of every cluster that changes.
        pictures: One for each dashboard that differs.
        faults: What of either revision could not be compared, and why; the rest still is.
        blocking: Whether that is the change's doing: the revision before may be what it mends; or
            a flag blocks.
    """

    base: str
    head: str
    changes: tuple[Change, ...] = ()
    bumps: tuple[Bump, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    flags: tuple[Flag, ...] = ()
    amounts: tuple[Amount, ...] = ()
    pictures: tuple[Picture, ...] = ()
    faults: tuple[Finding, ...] = ()
    blocking: bool = False
