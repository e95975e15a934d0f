from __future__ import annotations

import pytest

from scripts.core import quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("5m", 0.005), ("2", 2), (1, 1), ("1k", 1000), ("250u", 0.00025), ("100n", 1e-7)),
        *(("1.5Gi", 1.5 * 2**30), ("64Mi", 2**26), ("3Ti", 3 * 2**40), ("1E", 1e18)),
        *(("1e9", 1e9), ("12E3", 12000), ("5e-1", 0.5)),
    ],
)
def test_quantities_are_kubernetes(text: str | int, value: float) -> None:
    assert quantities.quantity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "1mi", "one", "-1", "1 Gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantities.quantity(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("512B", 512), ("1KB", 1024), ("2MiB", 2 * 2**20), ("40GiB", 40 * 2**30)]
)
def test_prometheus_counts_in_powers_of_two(text: str, expected: int) -> None:
    assert quantities.byte_size(text) == expected


@pytest.mark.parametrize("text", ["", "40", "40 GB", "1.5GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size that Prometheus knows"):
        quantities.byte_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("0", 0), ("0s", 0), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("1d", 86400)),
        *(("1d12h", 129600), ("168h", 604800), ("1w", 604800), ("1.5h", 5400), ("250ms", 0.25)),
    ],
)
def test_durations_are_those_of_prometheus(text: str, seconds: float) -> None:
    assert quantities.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "5 m", "-5m", "5min", "m5"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration that Prometheus knows"):
        quantities.duration(text)


@pytest.mark.parametrize(("seconds", "text"), [(90, "90s"), (300, "5m"), (86400, "1d"), (0, "0d")])
def test_durations_are_written_in_one_unit(seconds: float, text: str) -> None:
    assert quantities.duration_text(seconds) == text


def test_amounts_are_written_as_manifests_have_them() -> None:
    assert quantities.millicores(0.475) == "475m"
    assert quantities.mebibytes(1608 * 2**20) == "1608Mi"
    assert quantities.gibibytes(50 * 2**30) == "50Gi"


def test_versions_are_compared_by_their_numbers() -> None:
    assert quantities.version_numbers("v1.34.3") == (1, 34, 3)
    assert quantities.version_numbers("1.9") < quantities.version_numbers("v1.10.2-eks")
