"""Kubernetes' quantities: what its own resource.ParseQuantity reads (quantity.json, see record.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.argo.quantity import quantity, unit_of, whole_quantity, written_quantity

CASES = json.loads(Path(__file__).with_name("quantity.json").read_text(encoding="utf-8"))
OTHERWISE = {
    **dict.fromkeys(
        ("Mi", "E", "M", "k", "Ti", "Ki", "Gi"), "a unit alone is 0 to Kubernetes; nobody means that"
    ),
    "128974848Pi": "more than an int64 holds: Kubernetes takes the largest that does",
    ".5n": "Kubernetes rounds up to whole billionths",
}
READ = [case for case in CASES if "is" in case and case["text"] not in OTHERWISE]
REFUSED = [case["text"] for case in CASES if "refused" in case]


@pytest.mark.parametrize("case", READ, ids=lambda case: case["text"])
def test_is_what_kubernetes_reads(case: dict[str, Any]) -> None:
    assert quantity(case["text"]) == pytest.approx(case["is"], rel=1e-9)


@pytest.mark.parametrize("text", [*REFUSED, "", "ten"])
def test_what_kubernetes_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        quantity(text)


def test_numbers_of_yaml_are_read_too() -> None:
    assert (quantity(2), quantity(0.5)) == (2.0, 0.5)


@pytest.mark.parametrize(
    ("text", "unit", "many"),
    [
        ("64", "m", 64000), ("0.1", "m", 100), (0.1, "m", 100), ("250m", "m", 250), ("1e3", "", 1000),
        ("256Gi", "", 2**38), ("1.5Ki", "", 1536), ("3E", "", 3 * 10**18), ("2000m", "", 2), (8, "", 8), ("0", "", 0),
        (2**63 - 1, "", 2**63 - 1),
    ],
)  # fmt: skip
def test_how_many_it_is_exactly(text: object, unit: str, many: int) -> None:
    assert whole_quantity(text, unit) == many


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("-1", ""),
        ("0.5", ""),
        ("1u", "m"),
        ("8Ei", ""),
        ("1e999999999", ""),
        ("1" * 41, ""),
        ("ten", ""),
        ("", "m"),
    ],
)
def test_what_is_not_so_many(text: str, unit: str) -> None:
    with pytest.raises(ValueError):
        whole_quantity(text, unit)


@given(
    st.sampled_from(["cpu", "memory", "ephemeral-storage", "pods", "nvidia.com/gpu"]),
    st.one_of(
        st.integers(0, 2**63 - 1), st.builds(lambda a, b: a << b, st.integers(0, 9999), st.integers(0, 49))
    ),
)
def test_what_is_written_is_read_as_the_same(resource: str, amount: int) -> None:
    text = written_quantity(resource, amount)
    assert whole_quantity(text, unit_of(resource)) == amount


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [
        ("cpu", 1500, "1500m"),
        ("cpu", 2000, "2"),
        ("memory", 3 << 30, "3Gi"),
        ("memory", 0, "0"),
        ("memory", 1000, "1000"),
        ("pods", 1024, "1024"),
    ],
)
def test_how_it_is_written(resource: str, amount: int, text: str) -> None:
    assert written_quantity(resource, amount) == text
