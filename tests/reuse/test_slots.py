"""A hit takes no slot, and equal steps wait for each other only: seen in runs, by their order."""

from __future__ import annotations

import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tiphys
from tiphys.engine import RunOptions, RunResult

FILE = textwrap.dedent(
    """
    from tiphys import Cache, Pipeline, Semaphore, Volume, component

    @component(cache=Cache.by_content(), locks=[Semaphore("slots", {limit})])
    def work(flag: str, n: int) -> int:
        import time
        from tiphys.reference import resolve
        if flag:
            resolve(flag + ".started").touch()
            end = time.time() + 60
            while not resolve(flag).exists():
                if time.time() > end:
                    raise SystemExit("nobody came")
                time.sleep(0.05)
        return n

    @component
    def see(flag: str) -> str:
        import time
        from tiphys.reference import resolve
        while not resolve(flag + ".started").exists():
            time.sleep(0.05)
        return ""

    @component
    def leave(flag: str, n: int) -> None:
        from tiphys.reference import resolve
        resolve(flag).touch()

    with Pipeline("slots", volumes=[Volume("tiphys")]) as pipeline:
        flag = pipeline.param("flag", "")
        {body}
    """
)


def run(folder: Path, name: str, limit: int, body: str, **parameters: object) -> RunResult:
    path = folder / f"{name}.py"
    path.write_text(FILE.format(limit=limit, body=body.replace("\n", "\n    ")))
    return tiphys.run(
        str(path),
        options=RunOptions(store=folder / "store", runner="process", handle_signals=False),
        **parameters,
    )


def test_a_hit_needs_no_slot(tmp_path: Path) -> None:
    """One slot, and its holder waits for what follows the hit: if the hit needed the slot, nobody would ever come."""
    first = run(tmp_path, "first", 1, 'work(flag="", n=1)')
    assert first.phase == "Succeeded"
    body = (
        'work(flag=flag, n=2).named("slow")\n'
        '\nseen = see(flag=flag)\nhit = work(flag="", n=1).after(seen).named("hit")\nleave(flag=flag, n=hit)'
    )
    second = run(tmp_path, "second", 1, body, flag="pvc://tiphys/flag")
    assert second.phase == "Succeeded"
    nodes = {n["displayName"]: n for n in second.workflow["status"]["nodes"].values()}
    assert nodes["hit"]["memoizationStatus"]["hit"] is True


def test_equal_steps_leave_the_other_slots_free(tmp_path: Path) -> None:
    """Two slots: one step computes, its equal waits for it and holds none, so another run's step gets the second slot.

    The first two end only after the third is over.
    """
    equal = 'work(flag=flag, n=2).named("a")\nwork(flag=flag, n=2).named("b")'
    other = 'seen = see(flag=flag)\nother = work(flag="", n=3).after(seen)\nleave(flag=flag, n=other)'
    flag = "pvc://tiphys/flag"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, tmp_path, "equal", 2, equal, flag=flag)
        assert run(tmp_path, "other", 2, other, flag=flag).phase == "Succeeded"
        found = waiting.result(timeout=120)
    assert found.phase == "Succeeded"
    nodes = found.workflow["status"]["nodes"].values()
    hits = [n["memoizationStatus"]["hit"] for n in nodes if "memoizationStatus" in n]
    assert sorted(hits) == [False, True]
