"""The admission policies in a real API server, and what `make e2e` says when they are wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from scripts.checks.static.admission import BINDING, POLICY
from scripts.cluster.e2e import admission
from scripts.cluster.e2e.admission_cases import BAD, CASES, GOOD
from scripts.cluster.e2e.background_workloads import APPLICATION
from scripts.cluster.e2e.environment import Environment
from scripts.core.yamlfile import Json, load_all
from scripts.model.manifests import NAMESPACES, Repository
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import MERGE, Client, Object, namespace
from scripts.servers.polling import poll
from scripts.servers.processes import Processes
from tests.fixtures import FROZEN

# Seconds until the API server acts by a policy that has changed.
PATIENCE = 30.0
NOTHING = "['any'].filter(text, false)"
VARIABLES = (
    "images",
    "resources",
    "hostPaths",
    "podSecurity",
    "contextSecurity",
    "selinuxSecurity",
    "containerSecurity",
)


def test_every_kind_of_pod_is_a_case() -> None:
    assert len({case.what for case in CASES}) == len(CASES)
    assert {case.namespace for case in CASES} == NAMESPACES
    assert {bool(case.says) for case in CASES if case.namespace == GOOD.namespace} == {True, False}


class Server:
    """An API server with the policy, which can be put there changed."""

    def __init__(self, client: Client) -> None:
        repository = Repository(FROZEN)
        path = FROZEN / admission.COMPONENT / "policy.yaml"
        items = {item["kind"]: item for item in load_all(path.read_text(), path.name)}
        self.policy: Object = items[POLICY]
        self.binding: Object = items[BINDING]
        self.client = client
        for name in (*NAMESPACES, APPLICATION[0].namespace):
            client.apply(namespace(name), "owner")
        fake = SimpleNamespace(
            client=client, repository=repository, sync=repository.sync("local", "flux")
        )
        self.env = cast(Environment, fake)
        self.puts = 0

    def put(self, edit: Callable[[Json, Json], object] = lambda *_: None) -> None:
        """Put the policy and its binding there with an edit, and wait until they are in force."""
        self.puts += 1
        policy, binding = copy.deepcopy((self.policy, self.binding))
        edit(policy["spec"], binding["spec"])
        # Only an object that asks is told which of them it is.
        marker = {"name": "version", "annotations": {"version": str(self.puts)}}
        mine = f"object.metadata.?annotations.?version.orValue('') == '{self.puts}'"
        rule = {"expression": f"!({mine})", "message": "in force"}
        policy["spec"]["validations"].insert(0, rule)
        self.client.apply(policy, "owner")
        self.client.apply(binding, "owner")
        asking = admission.workload("Deployment", GOOD)
        asking["metadata"] |= marker

        def missing() -> str:
            return "" if "in force" in admission.refusal(self.env, asking) else "not yet"

        assert poll(missing, PATIENCE) == ""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Processes() as processes:
        yield Server(control_plane.api_server(processes))


@pytest.mark.e2e
def test_the_policy_says_what_make_render_says(server: Server) -> None:
    server.put()
    assert list(admission.disagreements(server.env)) == []


@pytest.mark.e2e
@pytest.mark.parametrize("name", VARIABLES)
def test_a_rule_that_finds_nothing_is_found(server: Server, name: str) -> None:
    def edit(policy: Json, _: Json) -> None:
        (variable,) = (one for one in policy["variables"] if one["name"] == name)
        variable["expression"] = NOTHING

    server.put(edit)
    assert all("should be refused" in text for text in admission.disagreements(server.env))
    assert list(admission.disagreements(server.env))


@pytest.mark.e2e
def test_a_rule_that_is_too_strict_is_found(server: Server) -> None:
    def edit(policy: Json, _: Json) -> None:
        (variable,) = (one for one in policy["variables"] if one["name"] == "restricted")
        variable["expression"] = "true"

    server.put(edit)
    (text,) = admission.disagreements(server.env)
    assert text.startswith("what node-exporter and Alloy need, in monitoring-node: is refused")


@pytest.mark.e2e
def test_a_binding_that_reaches_the_application_is_found(server: Server) -> None:
    server.put(lambda _, binding: binding.pop("matchResources"))
    found = list(admission.disagreements(server.env))
    # There is no exception for what must see its node, either.
    refused = [case for case in CASES if case.says or case.namespace != GOOD.namespace]
    assert len(found) == len(refused)
    assert all("in a namespace that is not ours: is refused" in text for text in found)


@pytest.mark.e2e
def test_what_is_older_than_the_policy_can_be_labelled_and_scaled_down(server: Server) -> None:
    server.put(lambda policy, _: policy["validations"].clear())
    old = admission.workload("Deployment", BAD)
    server.client.apply(old, "owner")
    server.put()
    labelled = {**old, "metadata": {**old["metadata"], "labels": {"any": "any"}}}
    assert admission.refusal(server.env, labelled) == ""
    scale = f"{server.client.path(old)}/scale"
    server.client.send("PATCH", scale, None, {"spec": {"replicas": 0}}, MERGE)
    changed = {**old, "spec": {**old["spec"], "replicas": 2}}
    assert POLICY in admission.refusal(server.env, changed)
    server.client.delete(old)
