"""Of workflows that steps made only those that go on with their run keep what they have."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tiphys.engine.pods.host import Host
from tiphys.engine.runners._processes import RECORDS
from tiphys.engine.runners.left import Left, Start, begin_records
from tiphys.engine.runtime.dropped import drop_child, drop_children
from tiphys.engine.runtime.kept_by import child_key, keep, kept_by
from tiphys.store import Store


def host(store: Store, *children: str) -> Any:
    """Of a run ``top`` whose keeper has a process of each child."""
    folder = store.new_run("top")
    begin_records(folder, "token")
    with (folder / RECORDS).open("a") as stream:
        for number, child in enumerate(children):
            start = Start("pod", 1, "main", 1, "1", "127.0.0.1", "process", child=child)
            stream.write(f"+ {number} {1 << 30} {start.note()};\n")
    given_up: list[str] = []
    left, gpus = Left(folder, range(len(children))), SimpleNamespace(adopt=given_up.append)
    return SimpleNamespace(
        left=left,
        namespace="argo",
        store=store,
        room=SimpleNamespace(gpus=gpus),
        given_up=given_up,
    )


def sleeper(number: int) -> subprocess.Popen[bytes]:
    env = {**os.environ, "TIPHYS_PROCESS": f"token-{number}"}
    return subprocess.Popen(["sleep", "1000"], env=env, start_new_session=True)


def test_only_those_that_go_on_are_left(tmp_path: Path) -> None:
    top = host(Store(tmp_path), *(child_key(f"c{number}", f"u{number}", "1") for number in range(3)))
    processes = [sleeper(number) for number in range(3)]
    try:
        drop_children(cast(Host, top), {"u1"})
        assert [processes[number].wait(10) for number in (0, 2)] == [-9, -9] and processes[1].poll() is None
    finally:
        for each in processes:
            each.kill()
            each.wait()
    assert sorted(top.given_up) == ["u0/", "u2/"]
    top.left = None
    drop_children(cast(Host, top), ())


def test_one_that_is_dropped_is_a_run_by_itself(tmp_path: Path) -> None:
    """What was killed with it has not ended."""
    store = Store(tmp_path)
    folder = store.new_run("child")
    child = keep(folder, cast(Host, host(store)), "child", "uid")
    top = host(store, child)
    process = sleeper(0)
    try:
        drop_child(cast(Host, top), "uid")
        assert process.wait(10) == -9
    finally:
        process.kill()
        process.wait()
    assert kept_by(folder) is None
    assert Left(folder).pod("pod", "process") is None and Left(folder).next_generation("pod") == 2
