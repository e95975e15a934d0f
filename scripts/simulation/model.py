"""The vocabulary of the simulation: a clock, and things whose state is one number for each step.

An array has one float64 for each step of the clock. NaN means that the thing does not exist then.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HOUR = 3600.0


@dataclass(frozen=True)
class Clock:
    """The steps of a day.

    Attributes:
        start: First step, in seconds since the epoch, midnight UTC.
        step: Seconds between two steps; every scrape happens at each of them.
        steps: How many.
    """

    start: float
    step: float = 30.0
    steps: int = 2880

    @property
    def hours(self) -> Array:
        """Hours since midnight."""
        return np.arange(self.steps, dtype=np.float64) * (self.step / HOUR)

    @property
    def time(self) -> Array:
        """Seconds since the epoch."""
        return np.arange(self.steps, dtype=np.float64) * self.step + self.start

    def constant(self, value: float) -> Array:
        """Return the same value at each step."""
        return np.full(self.steps, value, dtype=np.float64)

    def between(self, begin: float, end: float) -> Array:
        """Return 1 from hour `begin` to hour `end`, else 0."""
        hours = self.hours
        return ((hours >= begin) & (hours < end)).astype(np.float64)


@dataclass(frozen=True)
class Noise:
    """Random arrays that depend on a seed and a name only, not on the order they are asked in."""

    clock: Clock
    seed: int

    def generator(self, name: str) -> np.random.Generator:
        """Return a generator of its own for each name."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def around(self, name: str, mean: Array | float, spread: float = 0.1) -> Array:
        """Return values around a mean: a slow wave and small jumps, never below 0.

        Args:
            name: What it is the noise of.
            mean: In the result's unit.
            spread: Standard deviation as a share of the mean.
        """
        random = self.generator(name)
        knots = random.normal(0, spread, self.clock.steps // 40 + 2)
        wave = np.interp(np.arange(self.clock.steps) / 40, np.arange(len(knots)), knots)
        jumps = random.normal(0, spread / 3, self.clock.steps)
        return np.maximum(0, np.asarray(mean) * (1 + wave + jumps))

    def counts(self, name: str, per_second: Array) -> Array:
        """Return how many events happen in each step, at a mean rate (Poisson)."""
        expected = np.maximum(0, per_second) * self.clock.step
        return self.generator(name).poisson(expected).astype(np.float64)


def cumulative(per_step: Array) -> Array:
    """Return a counter's value at each step from its increase in each step."""
    return np.cumsum(np.nan_to_num(per_step))


def counter(per_second: Array, clock: Clock) -> Array:
    """Return a counter's value at each step from its rate."""
    return cumulative(per_second * clock.step)


@dataclass(eq=False)
class SimulatedNode:
    """A machine.

    Attributes:
        cpu: Cores.
        memory: Bytes.
        disk: Bytes of its root filesystem.
        disk_used: Bytes of it in use.
        extra_cpu: Cores used outside of pods: kubelet, kernel.
        extra_memory: Bytes used outside of pods.
        pressure: 1 while the kubelet reports MemoryPressure.
    """

    name: str
    ip: str
    cpu: float
    memory: float
    disk: float
    disk_used: Array
    extra_cpu: Array
    extra_memory: Array
    pressure: Array


@dataclass(eq=False)
class Container:
    """A container of a pod.

    Attributes:
        requests: Resource (`cpu` in cores, `memory` in bytes) to amount.
        limits: The same.
        cpu: Cores in use.
        memory: Working set, in bytes.
        throttled: Share of its CPU periods in which it was throttled.
        restarts: How often it has restarted so far.
        ready: 1 while ready.
        waiting: Reason to 1 while it waits for that reason.
        ended: Reason to 1 while its last end had that reason.
        oom_kills: Kills for want of memory so far.
    """

    name: str
    image: str
    requests: Mapping[str, float]
    limits: Mapping[str, float]
    cpu: Array
    memory: Array
    throttled: Array
    restarts: Array
    ready: Array
    waiting: dict[str, Array] = field(default_factory=dict)
    ended: dict[str, Array] = field(default_factory=dict)
    oom_kills: Array | None = None


@dataclass(eq=False)
class SimulatedPod:
    """A pod.

    Attributes:
        node: None while no node takes it.
        owner: Kind and name of what made it, such as a ReplicaSet.
        workload: Kind and name of the Deployment, StatefulSet, DaemonSet, Job or CronJob above it.
        ports: Name of each container port to its number.
        exists: 1 while the API server has it.
        phases: Phase to 1 while it is in it; a phase that is missing is 0 throughout.
        ready: 1 while ready.
        received: Bytes per second from the network; of the whole node with its network.
        transmitted: The same, to the network.
        claims: Names of its PersistentVolumeClaims.
    """

    namespace: str
    name: str
    node: SimulatedNode | None
    ip: str
    uid: str
    owner: tuple[str, str]
    workload: tuple[str, str]
    labels: Mapping[str, str]
    ports: Mapping[str, int]
    containers: list[Container]
    created: float
    exists: Array
    phases: dict[str, Array]
    ready: Array
    received: Array
    transmitted: Array
    claims: tuple[str, ...] = ()
    host_network: bool = False


@dataclass(eq=False)
class Volume:
    """A PersistentVolumeClaim and its volume; sizes in bytes."""

    namespace: str
    claim: str
    node: SimulatedNode
    capacity: float
    used: Array
    inodes: float
    inodes_used: Array


@dataclass(eq=False)
class SimulatedWorkload:
    """A Deployment, StatefulSet or DaemonSet.

    Attributes:
        wanted: Replicas that its specification asks for.
        created: Replicas that exist.
        available: Replicas that are ready.
        generation: Of its specification; a change is a rollout.
    """

    kind: str
    namespace: str
    name: str
    wanted: Array
    created: Array
    available: Array
    generation: Array


@dataclass(frozen=True, eq=False)
class SimulatedJob:
    """One run of a CronJob, which succeeds; times in seconds since the epoch.

    Attributes:
        exists: 1 while the API server has it.
    """

    namespace: str
    name: str
    cron_job: str
    begin: float
    end: float
    exists: Array


@dataclass(frozen=True, eq=False)
class Requests:
    """Requests of one kind to one app.

    Attributes:
        status: The HTTP status that they were answered with.
        count: How many in each step.
        median: Median duration, in seconds, at each step.
    """

    app: str
    method: str
    route: str
    status: int
    count: Array
    median: Array


@dataclass(frozen=True, eq=False)
class Published:
    """Messages that an app publishes to a topic, through its sidecar; counts in each step."""

    app: str
    component: str
    topic: str
    succeeded: Array
    failed: Array
    median: Array


@dataclass(frozen=True, eq=False)
class Consumed:
    """Messages of a topic that an app's sidecar delivers to it; counts in each step."""

    app: str
    component: str
    topic: str
    succeeded: Array
    retried: Array
    dropped: Array
    median: Array


# One series as an exporter exposes it: its name, the exporter's own labels, a value for each step.
Exposed = tuple[str, Mapping[str, str], Array]
