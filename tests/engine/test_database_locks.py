"""Locks in Argo's database: those of the store. Words and order are those of workflow/sync of Argo 4.1.2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import Recorder, dag, execute, node, shell, workflow
from tiphys.argo.locks import LockError, lock_names
from tiphys.cli import main
from tiphys.engine import NodeChanged
from tiphys.queue import Granted, Locks, Waiting

Json = Any
SEMAPHORE = {"synchronization": {"semaphores": [{"database": {"key": "gang"}}]}}
MUTEX = {"synchronization": {"mutexes": [{"name": "gang", "database": True}]}}


def crowd(tmp_path: Path, synchronization: dict[str, Json]) -> dict[str, Json]:
    """Four tasks at once; each writes down how many are inside."""
    script = (
        'touch "$HERE/in-$NAME"; ls "$HERE" | grep -c "^in-" >> "$HERE/seen"; sleep 0.2; rm "$HERE/in-$NAME"'
    )
    template = shell("job", script, inputs={"parameters": [{"name": "i"}]}, **synchronization)
    template["container"]["env"] = [
        {"name": "HERE", "value": str(tmp_path)},
        {"name": "NAME", "value": "{{inputs.parameters.i}}"},
    ]
    tasks = [
        {"name": f"t{i}", "template": "job", "arguments": {"parameters": [{"name": "i", "value": str(i)}]}}
        for i in range(4)
    ]
    return workflow(dag(*tasks), template)


@pytest.mark.parametrize(
    ("lock", "most", "words"),
    [
        (SEMAPHORE, 2, "Waiting for argo/Database/gang lock (sem/argo/gang). Lock status: 2/2"),
        (MUTEX, 1, "Waiting for argo/Database/gang lock (mtx/argo/gang). Lock status: 1/1"),
    ],
)
def test_as_many_as_the_table_says_are_inside(
    tmp_path: Path, lock: dict[str, Json], most: int, words: str
) -> None:
    assert main(["queue", "set", "argo/gang", "2", "--store", str(tmp_path / "store")]) == 0
    recorder = Recorder()
    assert execute(tmp_path, crowd(tmp_path, lock), observer=recorder).succeeded
    assert max(int(line) for line in (tmp_path / "seen").read_text().split()) == most
    waiting = [each.node.get("message") for each in recorder.of(NodeChanged) if each.change == "waiting"]
    assert words in waiting


def test_a_semaphore_without_a_limit(tmp_path: Path) -> None:
    words = "failed to initialize semaphore argo/Database/gang with limit"
    step = workflow(dag({"name": "t", "template": "job"}), shell("job", "true", **SEMAPHORE))
    result = execute(tmp_path, step)
    assert (result.phase, node(result, "t")["message"]) == (
        "Error",
        f"task '{result.name}.t' errored: {words}",
    )
    whole = execute(tmp_path, workflow(shell("main", "true"), **SEMAPHORE))
    assert (whole.phase, whole.message) == (
        "Failed",
        f"Failed to acquire the synchronization lock. {words}",
    )
    # a ConfigMap of that name is not where the limit of a database semaphore stands
    given = [{"kind": "ConfigMap", "metadata": {"name": "gang"}, "data": {"gang": "2"}}]
    assert execute(tmp_path, step, context=given).phase == "Error"


def test_engines_on_one_store_share_them_with_their_namespace(tmp_path: Path) -> None:
    other = {"synchronization": {"mutexes": [{"name": "gang", "namespace": "team", "database": True}]}}
    locks = Locks(tmp_path / "store" / "locks.db") if (tmp_path / "store").mkdir() is None else None
    assert locks is not None
    assert isinstance(locks.acquire("h", ["argo/Database/gang"], workflow="w", limits={}), Granted)
    waits = execute(
        tmp_path, workflow(dag({"name": "t", "template": "j"}), shell("j", "true", timeout="1s", **MUTEX))
    )
    assert waits.phase == "Failed"
    assert execute(tmp_path, workflow(shell("main", "true", **other))).succeeded
    locks.close()
    assert execute(tmp_path, workflow(shell("main", "true", **MUTEX))).succeeded


def test_a_limit_that_changes_holds_for_those_that_wait(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "locks.db")
    name = "argo/Database/k"

    def ask(holder: str, limit: int) -> object:
        return locks.acquire(holder, [name], workflow=holder, limits={name: limit})

    assert isinstance(ask("a", 1), Granted)
    assert ask("b", 1) == Waiting(name, f"Waiting for {name} lock (sem/argo/k). Lock status: 1/1")
    assert isinstance(ask("b", 2), Granted)
    # a limit that went down: more hold it than may
    assert ask("c", 1) == Waiting(name, f"Waiting for {name} lock (sem/argo/k). Lock status: 2/1")
    locks.close()


def test_which_items_are_duplicates() -> None:
    """Argo compares items as they are written: two that differ may name one lock, and are taken together."""
    same = {"name": "m"}
    with pytest.raises(LockError, match="duplicate synchronization item found"):
        lock_names({"mutexes": [same, dict(same)]}, "argo")
    both = {
        "semaphores": [{"database": {"key": "m"}}],
        "mutexes": [{"name": "m", "database": True}, same, {"name": "m", "namespace": "argo"}],
    }
    assert lock_names(both, "argo") == (("argo/Database/m", "argo/Mutex/m"), ("argo/Database/m",))
