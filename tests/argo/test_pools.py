"""The annotation that says which semaphores are permits of a pool."""

from __future__ import annotations

import json

import pytest

from tiphys.argo.pools import POOLS, Weight, pools_of, pools_text, weight_of

TWO = Weight("limits/training-2", "training", 2, 4)
THREE = Weight("limits/training-3", "training", 3, 6)


def test_what_is_written_is_read_and_a_pool_has_one_size() -> None:
    found = pools_of({POOLS: pools_text([TWO, THREE])})
    assert found == {
        "limits/training-2": Weight("limits/training-2", "training", 2, 6),
        "limits/training-3": THREE,
    }


def test_who_can_do_with_less_says_so() -> None:
    elastic = Weight("limits/training-1-4", "training", 4, 4, 1)
    assert pools_of({POOLS: pools_text([elastic])}) == {elastic.key: elastic}
    listed = Weight("limits/training-1-or-4", "training", 4, 4, 1, (1, 4))
    assert pools_of({POOLS: pools_text([listed])}) == {listed.key: listed}
    assert [listed.fit(permits) for permits in (1, 2, 3, 4)] == [1, 1, 1, 4]
    assert [elastic.fit(permits) for permits in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert '"least"' not in pools_text([TWO])


def test_a_lock_is_found_by_the_name_that_argo_gives_it() -> None:
    weights = {TWO.key: TWO}
    assert weight_of("argo/ConfigMap/limits/training-2", weights) == TWO
    for other in ("argo/ConfigMap/limits/other", "argo/Mutex/limits/training-2", "argo/Database/x", "", "x"):
        assert weight_of(other, weights) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        "1",
        json.dumps({"a/b": None}),
        json.dumps({"a/b": {"pool": "", "permits": 1, "size": 1}}),
        json.dumps({"a/b": {"pool": "p", "permits": 2, "size": 1}}),
        json.dumps({"a/b": {"pool": "p", "permits": 0, "size": 1}}),
        json.dumps({"a/b": {"pool": "p", "permits": True, "size": 1}}),
        json.dumps({"a/b": {"pool": "p", "permits": 1, "size": 1e9}}),
        json.dumps({"a/b": {"pool": "p", "permits": 1, "size": 2**70}}),
        json.dumps({"a/b": {"pool": "p", "permits": 2, "size": 2, "least": 3}}),
        json.dumps({"a/b": {"pool": "p", "permits": 2, "size": 2, "least": -1}}),
        json.dumps({"a/b": {"pool": "p", "permits": 2, "size": 2, "least": None}}),
        json.dumps({"a/b": {"pool": "p", "permits": 2, "size": 2, "least": 1, "counts": [2, 1]}}),
        json.dumps({"a/b": {"pool": "p", "permits": 2, "size": 2, "least": 1, "counts": [1, 3]}}),
        json.dumps({"a/b": {"pool": "p", "permits": 2, "size": 2, "least": 1, "counts": ["1", 2]}}),
        json.dumps({"a/b": {"pool": "p", "permits": 2, "size": 2, "least": 1, "counts": 1}}),
    ],
)
def test_what_cannot_be_understood_says_nothing(text: str) -> None:
    assert pools_of({POOLS: text}) == {}


def test_without_the_annotation_there_are_none() -> None:
    assert pools_of({}) == {}
    assert pools_of({POOLS: 1}) == {}
