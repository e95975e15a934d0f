"""Pods: images, resources, security contexts and host paths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.checks.rendered import pods
from scripts.core.yamlfile import Json
from scripts.model import budget
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    STACK,
    Broken,
    Check,
    Edit,
    added,
    argument,
    container,
    each,
    messages,
    named,
    pod,
)

BROKEN: list[Broken] = [
    # Images and resources.
    (
        "is not pinned",
        pods.images_pinned,
        "Deployment",
        "grafana",
        lambda m: container(m).update(image="docker.io/grafana/grafana"),
    ),
    (
        "is not pinned",
        pods.images_pinned,
        "Deployment",
        "grafana",
        lambda m: container(m).update(image="registry:5000/grafana:latest"),
    ),
    (
        "is not pinned",
        pods.images_pinned,
        "Prometheus",
        STACK,
        lambda m: m["spec"].update(image="quay.io/prometheus/prometheus"),
    ),
    (
        "no limit of memory",
        pods.resources_set,
        "Deployment",
        "grafana",
        lambda m: container(m)["resources"].pop("limits"),
    ),
    (
        "no request of cpu and no request of memory",
        pods.resources_set,
        "DaemonSet",
        "alloy",
        lambda m: container(m, 1)["resources"].pop("requests"),
    ),
    (
        "prometheus has no request of cpu",
        pods.resources_set,
        "Prometheus",
        STACK,
        lambda m: m["spec"]["resources"]["requests"].pop("cpu"),
    ),
    (
        "config-reloader has no limit of memory",
        pods.resources_set,
        "Deployment",
        f"{STACK}-operator",
        argument("--config-reloader-memory-limit=48Mi", "--config-reloader-memory-limit=0"),
    ),
    # Pod Security.
    (
        "runAsNonRoot",
        pods.keeps_to_restricted,
        "StatefulSet",
        "loki",
        lambda m: pod(m)["securityContext"].pop("runAsNonRoot"),
    ),
    (
        "no seccompProfile",
        pods.keeps_to_restricted,
        "Alertmanager",
        STACK,
        lambda m: m["spec"]["securityContext"].pop("seccompProfile"),
    ),
    (
        "allowPrivilegeEscalation",
        pods.keeps_to_restricted,
        "Deployment",
        "blackbox-exporter",
        lambda m: container(m)["securityContext"].pop("allowPrivilegeEscalation"),
    ),
    (
        "capabilities are not dropped",
        pods.keeps_to_restricted,
        "Deployment",
        "alloy-events",
        lambda m: container(m)["securityContext"].pop("capabilities"),
    ),
    (
        "capabilities are added",
        pods.keeps_to_restricted,
        "Deployment",
        "alloy-events",
        lambda m: container(m)["securityContext"]["capabilities"].update(add=["NET_RAW"]),
    ),
    (
        "privileged",
        pods.keeps_to_restricted,
        "Deployment",
        "alloy-events",
        lambda m: container(m)["securityContext"].update(privileged=True),
    ),
    (
        "hostNetwork",
        pods.keeps_to_restricted,
        "Deployment",
        "grafana",
        lambda m: pod(m).update(hostNetwork=True),
    ),
    (
        "a host port",
        pods.keeps_to_restricted,
        "Deployment",
        "grafana",
        lambda m: container(m)["ports"][0].update(hostPort=3000),
    ),
    (
        "runAsUser 0",
        pods.keeps_to_restricted,
        "Deployment",
        "grafana",
        lambda m: pod(m)["securityContext"].update(runAsUser=0),
    ),
    (
        "volume node is a hostPath",
        pods.keeps_to_restricted,
        "Deployment",
        "grafana",
        lambda m: pod(m)["volumes"].append({"name": "node", "hostPath": {"path": "/var/log"}}),
    ),
    (
        "mounts /etc",
        pods.host_paths_allowed,
        "DaemonSet",
        "alloy",
        lambda m: pod(m)["volumes"].append({"name": "node", "hostPath": {"path": "/etc"}}),
    ),
]


@each(BROKEN)
def test_a_fault_is_found(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    found = messages(rendered, check, kind, name, edit)
    assert any(expected in message for message in found), found


def of_template(pod: Json) -> Json:
    return {"template": {"spec": pod}}


@pytest.mark.parametrize(
    ("kind", "wrap", "expected"),
    [
        ("Job", of_template, 1),
        ("Job", lambda pod: {"parallelism": 3, **of_template(pod)}, 3),
        ("CronJob", lambda pod: {"jobTemplate": {"spec": of_template(pod)}}, 1),
        ("Pod", lambda pod: pod, 1),
    ],
)
def test_pods_that_end_are_checked_and_counted(
    rendered: list[Cluster], kind: str, wrap: Callable[[Json], Json], expected: int
) -> None:
    container = {
        "name": "c",
        "image": "a:latest",
        "resources": {"requests": {"cpu": "1"}},
        "securityContext": {"privileged": True},
    }
    volumes = [{"name": "v", "hostPath": {"path": "/etc"}}]
    own = wrap({"containers": [container], "volumes": volumes})
    before = named(rendered)
    after = added(before, kind, spec=own)
    for check in (
        pods.images_pinned,
        pods.resources_set,
        pods.keeps_to_restricted,
        pods.host_paths_allowed,
    ):
        assert any(f"{kind} monitoring/added: " in f.message for f in check(after)), check
    taken = [budget.usage_by_release(c, budget.limits(c))["loki"].cpu for c in (before, after)]
    assert taken[1] - taken[0] == pytest.approx(expected)
