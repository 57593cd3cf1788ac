"""Memoization and locks: order, marks, single flight."""

from __future__ import annotations

import hashlib
import unittest.mock

from tests.engine.machine.driving import NOW, drive, machine, named, phases
from tiphys.engine.machine import protocol as p

MEMO = """
entrypoint: main
templates:
- name: main
  memoize:
    key: "k-{{=sprig.trunc(16, sprig.sha256sum(toJson([workflow.name])))}}"
    cache: {configMap: {name: cache}}
  synchronization: {mutexes: [{name: "m-{{workflow.name}}"}]}
  container: {image: i}
  outputs: {parameters: [{name: r, valueFrom: {path: /r}}]}
"""


def test_the_memo_is_asked_after_the_lock_is_granted() -> None:
    made = machine(MEMO)
    [ask] = made.handle(p.Begin(NOW))
    assert isinstance(ask, p.AcquireLocks)
    assert ask.locks == ("argo/Mutex/m-wf",)
    assert (
        made.handle(
            p.LocksWaiting(NOW, "wf", "Waiting for argo/Mutex/m-wf lock. Lock status: 0/1", "argo/Mutex/m-wf")
        )
        == []
    )
    assert made.nodes["wf"]["phase"] == "Pending"
    assert made.nodes["wf"]["synchronizationStatus"] == {"waiting": "argo/Mutex/m-wf"}
    [lookup] = made.handle(p.LocksGranted(NOW + 1, "wf"))
    assert isinstance(lookup, p.LookupCache)
    assert lookup.cache_name == "cache"
    assert lookup.key == "k-" + hashlib.sha256(b'["wf"]').hexdigest()[:16]
    entry = {
        "nodeID": "other",
        "outputs": {"parameters": [{"name": "r", "value": "v"}]},
        "creationTimestamp": "2001-09-09T01:46:40Z",
    }
    commands = made.handle(p.CacheAnswer(NOW + 2, "wf", entry))
    assert [type(command) for command in commands] == [p.ReleaseLocks, p.WorkflowFinished]
    node = made.nodes["wf"]
    assert node["memoizationStatus"]["hit"] is True
    assert node["outputs"] == entry["outputs"]
    assert node["phase"] == "Succeeded"


def test_a_miss_runs_and_stores() -> None:
    cache: dict[tuple[str, str], object] = {}
    made = drive(MEMO, cache=cache)
    assert made.phase == "Succeeded"
    assert named(made, "wf")["memoizationStatus"]["hit"] is False
    assert [name for name, _ in cache] == ["cache"]
    again = drive(MEMO, cache=cache)
    assert named(again, "wf")["memoizationStatus"]["hit"] is True


def test_an_old_entry_is_a_miss_and_days_are_no_go_duration() -> None:
    def with_age(age: str) -> str:
        return MEMO.replace("    cache:", f"    maxAge: {age}\n    cache:")

    cache: dict[tuple[str, str], object] = {}
    drive(MEMO, cache=cache)
    for entry in cache.values():
        entry["creationTimestamp"] = "2001-09-08T01:46:40Z"  # type: ignore[index]  # a day earlier
    assert named(drive(with_age("1h"), cache=dict(cache)), "wf")["memoizationStatus"]["hit"] is False
    assert named(drive(with_age("25h"), cache=dict(cache)), "wf")["memoizationStatus"]["hit"] is True
    bad = drive(with_age("14d"), cache=dict(cache))
    assert bad.phase == "Error"
    assert 'unknown unit "d"' in bad.message


def test_an_age_that_tells_how_old_the_run_is_counts_from_when_it_was_told() -> None:
    """What a busy machine takes to read the entry is not part of it."""
    age = "{{=string(now().Unix() - 1000000000 - 1) + 's'}}"
    made = machine(MEMO.replace("    cache:", f'    maxAge: "{age}"\n    cache:'))
    made.handle(p.Begin(NOW))
    with unittest.mock.patch("time.time", return_value=NOW + 4):
        [lookup] = made.handle(p.LocksGranted(NOW + 4, "wf"))
    assert isinstance(lookup, p.LookupCache)
    assert lookup.now == NOW + 4
    entry = {"nodeID": "other", "creationTimestamp": "2001-09-09T01:46:42Z"}
    made.handle(p.CacheAnswer(NOW + 9, "wf", entry))
    assert made.nodes["wf"]["memoizationStatus"]["hit"] is True


def test_an_illegal_key_is_an_error() -> None:
    made = drive(MEMO.replace('"k-{{=sprig.trunc(16, sprig.sha256sum(toJson([workflow.name])))}}"', "a_b"))
    assert made.phase == "Error"
    assert named(made, "wf")["message"] == "invalid cache key: a_b"


def test_a_failed_save_is_an_error_of_a_pod() -> None:
    made = machine(MEMO.replace('  synchronization: {mutexes: [{name: "m-{{workflow.name}}"}]}\n', ""))
    made.handle(p.Begin(NOW))
    made.handle(p.CacheAnswer(NOW, "wf"))
    [store] = made.handle(p.PodFinished(NOW, "wf", "Succeeded"))
    assert isinstance(store, p.StoreCache)
    made.handle(p.CacheStored(NOW, "wf", "no room"))
    assert (made.phase, made.nodes["wf"]["message"]) == ("Error", "no room")


def test_a_semaphore_admits_as_many_as_its_limit() -> None:
    held: set[str] = set()
    made = drive(
        """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: a, template: one, withSequence: {count: 4}}
- name: one
  synchronization: {semaphores: [{configMapKeyRef: {name: locks, key: gang}}]}
  container: {image: i}
""",
        limits={"argo/ConfigMap/locks/gang": 1},
    )
    assert made.phase == "Succeeded"
    starts = sorted(
        (node["startedAt"], node["finishedAt"]) for node in made.nodes.values() if node["type"] == "Pod"
    )
    assert len(starts) == 4
    assert not held
    assert len({finished for _, finished in starts}) == 4  # one after the other


def test_a_lock_that_does_not_exist_is_an_error() -> None:
    made = drive(
        """
entrypoint: main
templates:
- name: main
  synchronization: {semaphores: [{configMapKeyRef: {name: locks, key: gang}}]}
  container: {image: i}
"""
    )
    assert phases(made) == {"wf": "Error"}
    assert "failed to initialize semaphore argo/ConfigMap/locks/gang with limit" in made.message
