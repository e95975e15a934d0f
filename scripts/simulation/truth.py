"""What dashboards must show of a simulated day."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from scripts.core.quantities import quantity
from scripts.core.yamlfile import leaves, load
from scripts.model.budget import FILE
from scripts.model.rendered import Cluster
from scripts.simulation.model import Array, Requests
from scripts.simulation.state import Simulation
from scripts.simulation.traffic import backlog


def truth(sim: Simulation) -> dict[str, Array]:
    """Return what a dashboard must show, by name; rates are per second, means of each step.

    Names: `cpu/<namespace>/<pod>` cores, `memory/<namespace>/<pod>` bytes, `node_cpu/<node>` and
    `node_memory/<node>` used in pods and outside, `restarts/<namespace>/<pod>/<container>`,
    `pods_ready/<namespace>`, `requests/<app>`, `errors/<app>`, `api_requests` and `api_errors` of
    the API's routes, `published/<topic>`,
    `consumed/<app>/<topic>`, `backlog/<app>/<topic>` messages,
    `model_calls/<outcome>`, `probe/<job>`, `volume/<namespace>/<claim>` share in use,
    `capacity/cpu` and `capacity/memory` of all nodes, `budget/<keys>` of the environment's budget.
    """
    known = {**_of_pods(sim), **_of_nodes(sim), **_of_traffic(sim), **_of_messages(sim)}
    for job, up in sim.probes.items():
        known[f"probe/{job}"] = up
    for volume in sim.volumes:
        known[f"volume/{volume.namespace}/{volume.claim}"] = volume.used / volume.capacity
    for keys, limit in _budget(sim.cluster):
        known[f"budget/{'.'.join(keys)}"] = sim.clock.constant(limit)
    return known


def _of_pods(sim: Simulation) -> dict[str, Array]:
    known: dict[str, Array] = {}
    for pod in sim.pods:
        there = np.where(pod.exists > 0, 1.0, np.nan)
        name = f"{pod.namespace}/{pod.name}"
        known[f"cpu/{name}"] = np.nansum([c.cpu for c in pod.containers], axis=0) * there
        known[f"memory/{name}"] = np.nansum([c.memory for c in pod.containers], axis=0) * there
        for container in pod.containers:
            known[f"restarts/{name}/{container.name}"] = container.restarts * there
    for namespace in {p.namespace for p in sim.pods}:
        ready = [p.ready * p.exists for p in sim.pods if p.namespace == namespace]
        known[f"pods_ready/{namespace}"] = np.sum(ready, axis=0)
    return known


def _of_nodes(sim: Simulation) -> dict[str, Array]:
    known: dict[str, Array] = {}
    for node in sim.nodes:
        containers = [c for p in sim.pods if p.node is node for c in p.containers]
        cpu = [np.nan_to_num(c.cpu) for c in containers]
        known[f"node_cpu/{node.name}"] = node.extra_cpu + np.sum(cpu, axis=0)
        memory = [np.nan_to_num(c.memory) for c in containers]
        known[f"node_memory/{node.name}"] = node.extra_memory + np.sum(memory, axis=0)
    known["capacity/cpu"] = sim.clock.constant(sum(node.cpu for node in sim.nodes))
    known["capacity/memory"] = sim.clock.constant(sum(node.memory for node in sim.nodes))
    return known


def _of_traffic(sim: Simulation) -> dict[str, Array]:
    known: dict[str, Array] = {}

    def add(requests: str, errors: str, counted: list[Requests]) -> None:
        known[requests] = np.sum([r.count for r in counted], axis=0) / sim.clock.step
        bad = [r.count for r in counted if r.status >= 500]
        known[errors] = np.sum(bad, axis=0) / sim.clock.step

    for app in {r.app for r in sim.traffic}:
        add(f"requests/{app}", f"errors/{app}", [r for r in sim.traffic if r.app == app])
    add("api_requests", "api_errors", [r for r in sim.traffic if r.route != "other"])
    for outcome, count in sim.model_calls.items():
        known[f"model_calls/{outcome}"] = count / sim.clock.step
    return known


def _of_messages(sim: Simulation) -> dict[str, Array]:
    known: dict[str, Array] = {}
    for sent in sim.published:
        known[f"published/{sent.topic}"] = sent.succeeded / sim.clock.step
    for taken in sim.consumed:
        known[f"consumed/{taken.app}/{taken.topic}"] = taken.succeeded / sim.clock.step
        known[f"backlog/{taken.app}/{taken.topic}"] = backlog(sim, taken)
    return known


def _budget(cluster: Cluster) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield keys and value of each quantity in the budget of the overlay that is simulated."""
    repository = cluster.repository
    environments = {
        path.split("/")[1]
        for path in repository.files(cluster.sync)
        if path.startswith("overlays/")
    }
    for environment in environments:
        path = repository.root / "overlays" / environment / FILE
        for keys, value in leaves(load(path, repository.root)[0]):
            with contextlib.suppress(ValueError):  # Such as a storage class.
                yield keys, quantity(value)
