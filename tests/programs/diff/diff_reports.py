"""Reports of `make diff`, made by hand: empty, small, huge, hostile, and with pictures."""

from __future__ import annotations

from pathlib import Path

from scripts.core.findings import Finding
from scripts.diff.model import (
    ABSENT,
    Action,
    Amount,
    Bump,
    Change,
    Danger,
    Edit,
    Flag,
    Picture,
    Report,
    Sentence,
)

EVERYWHERE = ("local/argocd", "local/flux", "oke-free/argocd", "oke-free/flux")
OKE = ("oke-free/argocd", "oke-free/flux")

CONFIG = (
    'loki.process "redact" {\n\tstage.replace {\n\t\texpression = "Bearer (\\\\S+)"\n\t}\n',
    'loki.process "redact" {\n\tstage.replace {\n\t\texpression = "Bearer (\\\\w+)"\n\t}\n',
)

EMPTY = Report("main (1f2e3d4)", "working tree")

SMALL = Report(
    "main (1f2e3d4)",
    "working tree",
    changes=(
        Change(
            EVERYWHERE,
            "alloy-logs",
            True,
            "ConfigMap",
            "monitoring-node",
            "alloy-logs",
            Action.CHANGED,
            (Edit("data[config.alloy]", *CONFIG),),
            ' data:\n   config.alloy: |\n-    expression = "Bearer (\\\\S+)"\n'
            '+    expression = "Bearer (\\\\w+)"\n',
        ),
        Change(
            EVERYWHERE,
            "grafana",
            True,
            "Deployment",
            "monitoring",
            "grafana",
            Action.CHANGED,
            (
                Edit(
                    "spec.template.spec.containers[name=grafana].image",
                    "docker.io/grafana/grafana:12.3.1",
                    "docker.io/grafana/grafana:13.0.0",
                ),
                Edit("spec.template.spec.containers[name=grafana].env[name=GF_NEW]", ABSENT, "1"),
                Edit("spec.replicas", 1, 2),
            ),
            " spec:\n-  replicas: 1\n+  replicas: 2\n",
        ),
        Change(
            OKE,
            "loki",
            True,
            "StatefulSet",
            "monitoring",
            "loki",
            Action.REMOVED,
            text="-apiVersion: apps/v1\n-kind: StatefulSet\n-metadata:\n-  name: loki\n",
        ),
        Change(
            ("oke-free/flux",),
            "monitoring-config",
            False,
            "PrometheusRule",
            "monitoring",
            "todo-alerts",
            Action.CHANGED,
            (Edit("spec.groups[name=todo].rules[alert=TodoRequestErrors].for", "5m", "10m"),),
            " spec:\n-  for: 5m\n+  for: 10m\n",
        ),
        Change(
            ("oke-free/flux",),
            "monitoring-config",
            False,
            "ClusterRole",
            "",
            "todo-reader",
            Action.ADDED,
            text="+kind: ClusterRole\n+metadata:\n+  name: todo-reader\n",
        ),
    ),
    bumps=(
        Bump(EVERYWHERE, "grafana", "grafana", "12.11.1", "13.0.0", "13.2.0", "13.3.0"),
        Bump(OKE, "logs", "loki", "18.11.0", "", "3.7.6"),
    ),
    sentences=(
        Sentence("Alerts", "TodoRequestErrors: for 5m → 10m.", ("oke-free/flux",)),
        Sentence("Alerts", "TodoSlow is new: `todo:latency:p95` > 2 for 10m, warning.", OKE),
        Sentence("Log redaction", "stage.replace of loki.process.redact matches less."),
    ),
    flags=(
        Flag(
            Danger.OBJECT_REMOVED,
            "StatefulSet monitoring/loki",
            "Its pods end, and its volume stays without an owner.",
            "Keep the release, or say in the pull request where the logs go.",
            OKE,
        ),
        Flag(
            Danger.MAJOR_VERSION,
            "base/releases/grafana.yaml",
            "The chart grafana moves from 12 to 13, and a major version may break its values.",
            "Read https://github.com/grafana-community/helm-charts/blob/main/UPGRADE.md#to-13.",
            EVERYWHERE,
        ),
    ),
    amounts=(
        Amount("local", "CPU", "475m", "475m", "", False),
        Amount("oke-free", "CPU", "475m", "575m", "600m", False),
        Amount("oke-free", "memory", "1608Mi", "1864Mi", "1792Mi", True),
        Amount("oke-free", "volumes", "100Gi", "50Gi", "100Gi", False),
        Amount("oke-free", "images", "14", "14", "", False),
        Amount("staging", "CPU", "", "500m", "", False),
    ),
    faults=(
        Finding(
            "base/releases/loki.yaml",
            12,
            "the chart loki 19.0.0 is in no registry",
            "correct spec.ref.tag",
        ),
    ),
)

# What some output could take for its own: references, markup, control characters.
HOSTILE = (
    "@octocat and @org/team",
    "!12 and %3 of %next",
    "#123 GH-7 owner/repository#9 https://github.com/owner/repository/issues/1",
    "<script>alert(1)</script><img src=x onerror=alert(1)></details>",
    "a | b || c",
    "`one` ``two`` ```three```",
    "```\n# heading\n@octocat\n```",
    "~~~\n</details>\n<!-- todo-monitoring-diff flags=0 -->",
    "\x1b[31mred\x1b[0m \x07 \u202eright to left\u202c \u200bno width",
    "{{policy}} {{ $labels.pod }} $x^2$ :tada: [link](https://example.com) **bold** _it_ \\",
    "- list\n1. list\n> quote",
    "]]> </pre> --> \u2028 \ud800",
    "",
    "   ",
)


def hostile() -> Report:
    """Every text of the report, one after the other, is each of the hostile ones."""
    return Report(
        "base `@octocat`",
        "head | <b>",
        changes=tuple(
            Change(
                (f"{text}/flux",),
                text,
                True,
                text,
                text,
                text,
                Action.CHANGED,
                (Edit(text, text, {text: [text]}), Edit(text, ABSENT, text)),
                f" {text}\n-{text}\n+{text}",
            )
            for text in HOSTILE
        ),
        bumps=tuple(
            Bump((text,), text, f"chart {text}", text, text, text, text) for text in HOSTILE
        ),
        sentences=tuple(Sentence(text, text, (text,)) for text in HOSTILE),
        flags=tuple(Flag(Danger.MOVED, text, text, text, (text,)) for text in HOSTILE),
        amounts=tuple(Amount(text, text, text, f"{text}.", text, True, text) for text in HOSTILE),
        faults=tuple(Finding(text, 1, text, text) for text in HOSTILE),
    )


def huge(changes: int = 3_000) -> Report:
    """As many objects as a chart of custom resources brings, changed, added and removed."""
    actions = (Action.CHANGED, Action.ADDED, Action.REMOVED)

    def one(number: int) -> Change:
        action = actions[number % 3]
        sign = {Action.CHANGED: "+", Action.ADDED: "+", Action.REMOVED: "-"}[action]
        return Change(
            (EVERYWHERE, OKE)[number % 2],
            f"release-{number // 50:02}",
            True,
            ("ConfigMap", "Secret", "Service")[number % 3],
            "monitoring",
            f"object-{number:04}",
            action,
            tuple(Edit(f"data[key-{key}]", key, key + 1) for key in range(4))
            if action is Action.CHANGED
            else (),
            "\n".join(f"{sign}line {at} of object {number}" for at in range(30)),
        )

    return Report(
        "main (1f2e3d4)",
        "working tree",
        changes=tuple(map(one, range(changes))),
        bumps=SMALL.bumps,
        sentences=SMALL.sentences,
        flags=SMALL.flags,
        amounts=SMALL.amounts,
    )


def pictured(file: Path) -> Report:
    """A dashboard that changed, one that is new, one that is gone, and one that is not drawn yet.

    All look like this file.
    """
    one = str(file)
    return Report(
        EMPTY.base,
        EMPTY.head,
        sentences=(Sentence("Dashboards", "Todo overview has a new panel: Requests."),),
        pictures=(
            Picture("todo-overview", one, one),
            Picture("todo-new", ABSENT, one),
            Picture("todo-gone", one, ABSENT),
            Picture("todo-later", None, None),
        ),
    )
