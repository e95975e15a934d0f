"""Kinds of lines, who writes them, and what changes from one line of a kind to the next."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.simulation.model import Array, SimulatedPod
from scripts.simulation.state import Simulation
from scripts.simulation.traffic import people, split

EVENTS = "kubernetes-events"
# Stands for the time at which a line is written, in the two formats that are in use.
ISO, KLOG = "2001-02-03T04:05:06", "0203 04:05:06"
# Composed, so that no file holds what looks like a credential.
PASSWORD = "npg" + "_" + "w0rdOfTheDay"
KEY = "sk-" + "proj-" + "A1b2" * 6
# Distinct lines of each kind.
_POOL = 60

Make = Callable[[np.random.Generator], str]
# What `{name}` in a text stands for; `{user}` and `{mail}` are the same person's within a line.
_FILLED: Mapping[str, Make] = {
    "attempt": lambda random: str(random.integers(1, 4)),
    "delay": lambda random: f"{random.uniform(0.3, 8):.3f}",
    "digest": lambda random: str(random.integers(1_000_000_000, 4_000_000_000)),
    "expiry": lambda random: str(random.integers(1_700_000_000, 1_800_000_000)),
    "hex": lambda random: f"{random.integers(16**8):08x}",
    "page": lambda random: str(random.choice(["/dashboard", "/login", "/chat", "/tasks"])),
    "port": lambda random: str(random.integers(32768, 60999)),
    "short": lambda random: str(random.integers(20, 90)),
    "task": lambda random: str(random.integers(1, 400)),
    "took": lambda random: str(random.integers(3, 180)),
    "tool": lambda random: str(random.choice(["add_task", "list_tasks"])),
    "used": lambda random: str(random.integers(480, 501)),
    "uuid": lambda random: str(uuid.UUID(bytes=random.bytes(16), version=4)),
}
_PLACE = re.compile(r"\{(user|mail|" + "|".join(_FILLED) + r")\}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Line:
    """A kind of lines.

    Attributes:
        name: The reason for which it is written.
        text: What is written, with names of _FILLED in braces, or what makes it; one with line
            feeds is one entry.
        stream: `stdout` or `stderr`.
        kept: Whether it reaches Loki.
        request: Method, route and status class that it is counted under.
        redactions: Kinds of what is taken out of it.
        offset: Seconds after a step's begin; anywhere in it where there is none.
    """

    name: str
    text: str | Make
    stream: str = "stdout"
    kept: bool = True
    request: tuple[str, str, str] | None = None
    redactions: tuple[str, ...] = ()
    offset: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Written(Line):
    """Lines of one kind that the pods of one workload write.

    Attributes:
        app: The label that the pipeline gives.
        namespace: Of the pods, or of an event's object.
        pods: Who writes; for events, who reads them from the API server.
        container: Empty for events.
        texts: One of them is written each time.
        counts: How often in each step, for each pod.
    """

    app: str
    namespace: str
    pods: tuple[SimulatedPod, ...]
    container: str
    texts: tuple[str, ...]
    counts: tuple[Array, ...]

    @property
    def total(self) -> Array:
        """How often in each step, by all pods."""
        return np.asarray(np.sum(self.counts, axis=0), dtype=np.float64)

    @property
    def lines(self) -> int:
        """How many lines it is as the container writes it."""
        return self.texts[0].count("\n") + 1

    @property
    def size(self) -> float:
        """Its mean length."""
        return sum(map(len, self.texts)) / len(self.texts)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A Kubernetes event.

    Attributes:
        about: Kind, namespace ("" where it is in none) and name of its object.
        component: That reports it.
        node: Of the component; "" where it has none.
        offset: As of Line.
    """

    about: tuple[str, str, str]
    reason: str
    message: str
    component: str
    warning: bool = False
    node: str = ""
    offset: float | None = None


class LinePlan:
    """Collects what is written; the order of the calls does not matter."""

    def __init__(self, sim: Simulation) -> None:
        """Begin with nothing."""
        self.sim = sim
        self.found: list[Written] = []
        self.people = people(sim)

    def write(
        self,
        line: Line,
        pods: Sequence[SimulatedPod],
        container: str,
        counts: Array | Sequence[Array],
    ) -> None:
        """Add lines; counts of the workload are shared out between its pods."""
        if isinstance(counts, np.ndarray):
            counts = [split(self.sim, pod, counts) for pod in pods]
        most = int(sum(c.sum() for c in counts))
        if not most:
            return
        name = f"lines {pods[0].workload} {container} {line.name}"
        random = self.sim.noise.generator(name)
        written = Written(
            **vars(line),
            app=_app(pods[0], container),
            namespace=pods[0].namespace,
            pods=tuple(pods),
            container=container,
            texts=tuple(self._text(line.text, random) for _ in range(min(_POOL, most))),
            counts=tuple(counts),
        )
        self.found.append(written)

    def event(self, event: Event, counts: Array) -> None:
        """Add an event, by its number in each step."""
        if not counts.any():
            return
        kind, namespace, name = event.about
        # As Kubernetes has it: what is in no namespace says so, and its event is in `default`.
        content = {
            "involvedObject": {"kind": kind, "namespace": namespace, "name": name},
            "reason": event.reason,
            "message": event.message,
            "type": "Warning" if event.warning else "Normal",
            "count": 1,
            "reportingComponent": event.component,
            "source": {"component": event.component, "host": event.node},
        }
        text = json.dumps(content)
        written = Written(
            name=f"{event.reason} {kind}/{name}",
            text=text,
            stream="",
            offset=event.offset,
            app=EVENTS,
            namespace=namespace or "default",
            pods=tuple(self.sim.pods_of("alloy-events", "monitoring")),
            container="",
            texts=(text,),
            counts=(counts,),
        )
        self.found.append(written)

    def repeated(self, fault: str, seconds: float) -> Array:
        """Return 1 in the step in which a fault begins, and every so many seconds after it."""
        lasts = self.sim.during(fault)
        steps = np.arange(self.sim.clock.steps) - int(np.argmax(lasts))
        due = np.mod(steps, seconds / self.sim.clock.step) == 0
        return np.asarray(lasts * due, dtype=np.float64)

    def user(self, random: np.random.Generator) -> str:
        """Return somebody's id."""
        return self.people[int(random.integers(len(self.people)))]

    def _text(self, text: str | Make, random: np.random.Generator) -> str:
        if not isinstance(text, str):
            return text(random)
        user = ""

        def fill(place: re.Match[str]) -> str:
            nonlocal user
            name = place[1]
            if name in _FILLED:
                return _FILLED[name](random)
            user = user or self.user(random)
            return user if name == "user" else mail(user)

        return _PLACE.sub(fill, text)


def _app(pod: SimulatedPod, container: str) -> str:
    labels = pod.labels
    name, component = (labels.get(f"app.kubernetes.io/{k}", "") for k in ("name", "component"))
    qualified = f"{name}-{component}" if name and component else name
    return labels.get("dapr.io/app-id") or qualified or labels.get("app") or container


def mail(user: str) -> str:
    """Return somebody's address."""
    return f"{user[:6].lower()}@mail.example.org"


def token(user: str) -> str:
    """Return somebody's JSON Web Token."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': user})}.{'c2lnbmF0dXJl' * 3}"


def secrets(sim: Simulation) -> list[str]:
    """Return what the lines hold that must not reach Loki."""
    found = people(sim)
    return [*found, *map(mail, found), *map(token, found), PASSWORD, KEY]


def began(pod: SimulatedPod) -> Array:
    """Return 1 in the step in which a pod begins."""
    return np.maximum(0, np.diff(pod.exists, prepend=pod.exists[0]))


def ended(pod: SimulatedPod) -> Array:
    """Return 1 in a pod's last step."""
    return np.maximum(0, -np.diff(pod.exists, append=pod.exists[-1]))
