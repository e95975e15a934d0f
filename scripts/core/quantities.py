"""Quantities, sizes, durations and versions, as Kubernetes, Prometheus and Go write them."""

from __future__ import annotations

import re
from collections.abc import Mapping

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
SUFFIXES = {
    "": 1.0,
    **{suffix: 10.0 ** (3 * power) for power, suffix in enumerate("num", start=-3)},
    **{suffix: 10.0 ** (3 * power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": 2.0 ** (10 * power) for power, suffix in enumerate("KMGTPE", start=1)},
}
# Seconds of each unit that Prometheus and Loki write durations in: the least unit comes first.
# https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations
SECONDS: Mapping[str, float] = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
    "y": 31536000,
}
_QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)(?:[eE](?P<exponent>[+-]?\d+)|(?P<suffix>[A-Za-z]*))")
_SIZE = re.compile(r"(\d+)([KMGTPE]?)i?B")
# `v1.2.3`, `12.4.3-ubuntu`, `16`, `6.x`, but not a commit's `7d3f`.
_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:[-+_.].*)?")
# From here on, a first number is a year, a date or a count: 2026.8.2, 20260131.
_CALENDAR = 1000
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")


def quantity(text: str | float) -> float:
    """Return a Kubernetes quantity as a number of its base unit: cores, bytes.

    Raises:
        ValueError: If it is none.
    """
    match = _QUANTITY.fullmatch(str(text))
    suffix = (match and match["suffix"]) or ""
    if not match or suffix not in SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    return float(match[1]) * SUFFIXES[suffix] * 10.0 ** int(match["exponent"] or 0)


def major_version(version: str) -> tuple[int, ...] | None:
    """Return what of a version differs from one that may break what worked with it.

    By Semantic Versioning that is the major version. Before 1.0 anything may change at any time
    (https://semver.org/#spec-item-4); there it is the minor version, as in ranges of npm and Cargo.

    Args:
        version: A chart's version or an image's tag.

    Returns:
        `(3,)` of v3.5.0-distroless, `(0, 93)` of v0.93.1; None where there is no such number:
        `master`, a date, `RELEASE.2026-…`, a commit.
    """
    match = _VERSION.fullmatch(version)
    if not match or int(match[1]) >= _CALENDAR:
        return None
    major = int(match[1])
    return (major,) if major or not match[2] else (0, int(match[2]))


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, to compare it with another: (1, 34, 3) for `v1.34.3`."""
    return tuple(map(int, re.findall(r"\d+", version)))


def millicores(cores: float) -> str:
    """Return an amount of CPU as requests are written: `475m`."""
    return f"{cores * 1000:.0f}m"


def mebibytes(size: float) -> str:
    """Return bytes as requests of memory are written: `1608Mi`."""
    return f"{size / 2**20:.0f}Mi"


def gibibytes(size: float) -> str:
    """Return bytes as sizes of volumes are written: `50Gi`."""
    return f"{size / 2**30:.0f}Gi"


def byte_size(text: str) -> int:
    """Return a size in Prometheus's notation, such as 40GiB or 40GB, in bytes.

    Its units are powers of two, however they are written.

    Raises:
        ValueError: If it is none.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no size that Prometheus knows")
    return int(match[1]) << 10 * " KMGTPE".index(match[2] or " ")


def duration(text: str) -> float:
    """Return the seconds of a duration in Prometheus' or Go's notation, such as 90s or 1h30m.

    Raises:
        ValueError: If it is none.
    """
    if text == "0":
        return 0.0
    if not text or _PART.sub("", text):
        raise ValueError(f"{text!r} is no duration that Prometheus knows")
    return sum(float(number) * SECONDS[unit] for number, unit in _PART.findall(text))


def duration_text(seconds: float) -> str:
    """Return whole seconds in Prometheus' notation, in the largest unit up to days that divides."""
    whole = int(seconds)
    units = [(unit, int(SECONDS[unit])) for unit in ("d", "h", "m", "s")]
    return next(f"{whole // size}{unit}" for unit, size in units if whole % size == 0)
