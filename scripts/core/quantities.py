"""Quantities, sizes and durations, as Kubernetes, Prometheus and Go write them."""

from __future__ import annotations

import re

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
SUFFIXES = {
    "": 1.0,
    **{suffix: 10.0 ** (3 * power) for power, suffix in enumerate("num", start=-3)},
    **{suffix: 10.0 ** (3 * power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": 2.0 ** (10 * power) for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)(?:[eE](?P<exponent>[+-]?\d+)|(?P<suffix>[A-Za-z]*))")


def quantity(text: str | float) -> float:
    """Return a Kubernetes quantity as a number of its base unit: cores, bytes."""
    match = _QUANTITY.fullmatch(str(text))
    suffix = (match and match["suffix"]) or ""
    if not match or suffix not in SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    return float(match[1]) * SUFFIXES[suffix] * 10.0 ** int(match["exponent"] or 0)


# Prometheus's units are powers of two, however they are written.
BYTE_SIZES = {
    prefix: 1024**power for power, prefix in enumerate(("", "K", "M", "G", "T", "P", "E"))
}


def byte_size(text: str) -> int:
    """Return a size in Prometheus's notation, such as 40GiB or 40GB, in bytes.

    Raises:
        ValueError: If it is none.
    """
    match = re.fullmatch(r"(\d+)([KMGTPE]?)i?B", text)
    if not match:
        raise ValueError(f"{text!r} is no size that Prometheus knows")
    return int(match[1]) * int(BYTE_SIZES[match[2]])
