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
    assert lock_names(synchronization, "argo") == names


def test_the_same_lock_twice_is_refused_in_argos_words() -> None:
    with pytest.raises(LockError) as caught:
        lock_names({"mutexes": [{"name": "m"}, {"name": "m", "namespace": "argo"}]}, "argo")
    assert str(caught.value) == "requested configuration is invalid: duplicate synchronization item found"
