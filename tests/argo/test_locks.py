"""Names of locks, as the real controller wrote them into messages and statuses."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.argo.locks import LockError, lock_names


@pytest.mark.parametrize(
    ("synchronization", "names"),
    [
        (
            {
                "semaphores": [{"configMapKeyRef": {"name": "limits", "key": "two"}}],
                "mutexes": [{"name": "m"}],
            },
            ("argo/ConfigMap/limits/two", "argo/Mutex/m"),
        ),
        ({"mutexes": [{"name": "b"}, {"name": "a"}]}, ("argo/Mutex/b", "argo/Mutex/a")),
        (
            {"semaphores": [{"namespace": "other", "configMapKeyRef": {"name": "c", "key": "k"}}]},
            ("other/ConfigMap/c/k",),
        ),
        ({"mutexes": [{"name": "m", "namespace": "other"}]}, ("other/Mutex/m",)),
        ({"semaphores": [{"database": {"key": "k"}}]}, ("argo/Database/k",)),
        ({"mutexes": [{"name": "m", "database": True}]}, ("argo/Database/m",)),
        ({"mutexes": [{"name": "m", "database": False}]}, ("argo/Mutex/m",)),
        ({"semaphores": [{}]}, ()),
        ({}, ()),
    ],
)
def test_names(synchronization: Any, names: tuple[str, ...]) -> None:
    found = lock_names(synchronization, "argo")
    assert found.locks == names
    assert found.semaphores == names[: len(found.semaphores)]
    assert len(found.semaphores) == len([each for each in synchronization.get("semaphores", ()) if each])


def test_the_same_lock_twice_is_refused_in_argos_words() -> None:
    with pytest.raises(LockError) as caught:
        lock_names({"mutexes": [{"name": "m"}, {"name": "m", "database": False}]}, "argo")
    assert str(caught.value) == "requested configuration is invalid: duplicate synchronization item found"


def test_one_lock_named_in_two_ways_is_taken_once() -> None:
    """Argo looks for equal items, not for equal names (workflow/sync, the hash of an item)."""
    found = lock_names({"mutexes": [{"name": "m"}, {"name": "m", "namespace": "argo"}]}, "argo")
    assert found.locks == ("argo/Mutex/m",)
