"""Keeper and guard: when one of them is killed, the other has what runs, and nobody sees a difference."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import dag, log, node, out, python, shell, value, wait_until, workflow
from tests.engine.outliving.world import BODY, World

pytestmark = pytest.mark.long

VICTIMS = ["guard", "keeper", "guard and engine", "keeper and engine"]


def kill(world: World, who: str) -> None:
    """Kill one of the two, and perhaps the engine with it."""
    os.kill(world.keepers()[0 if who.startswith("guard") else -1], signal.SIGKILL)
    if who.endswith("engine"):
        world.kill()


def end(world: World, who: str) -> Any:
    """The run to its end: by the engine that began it, where that lives."""
    assert world.engine is not None
    _, problems = world.engine.communicate(timeout=60)
    if who.endswith("engine"):
        return world.resume()
    assert not problems and world.engine.returncode == 0, problems
    return world.ended()


@pytest.mark.parametrize("who", VICTIMS)
def test_what_runs_goes_on(world: World, who: str) -> None:
    world.start(workflow(shell("main", BODY, outputs=out("x"))))
    world.wait_for("began")
    kill(world, who)
    assert world.alive()
    world.let_go()
    result = end(world, who)
    assert result.phase == "Succeeded", result.message
    assert world.seen("began") == world.seen("ended") == ["x"]
    assert value(result, "wf", "x") == "made"
    assert log(result, "wf").split() == ["one", "two", "three"]
    wait_until(lambda: not world.alive() and not world.keepers(), 5)


@pytest.mark.parametrize("who", VICTIMS)
def test_the_result_of_a_script_is_whole(plain: World, who: str) -> None:
    """What it had written before, what it writes while nobody reads, and what it writes in the end; more than the pipe
    and more than what is kept."""
    source = (
        "import os, time\n"
        "print('b' * 300_000, flush=True)\nopen('/notes/began', 'a').write('x\\n')\n"
        "while not os.path.exists('/notes/go'): time.sleep(0.01)\nprint('m' * 70_000, flush=True)\n"
        "open('/notes/ended', 'a').write('x\\n')\nprint('e' * 10)\n"
    )
    told = {**shell("told", "true"), "inputs": {"parameters": [{"name": "t"}]}}
    argument = {"parameters": [{"name": "t", "value": "{{tasks.a.outputs.result}}"}]}
    tasks = (
        {"name": "a", "template": "s"},
        {"name": "b", "template": "told", "depends": "a", "arguments": argument},
    )
    plain.start(workflow(dag(*tasks), python("s", source), told))
    plain.wait_for("began")
    kill(plain, who)
    plain.let_go()
    result = end(plain, who)
    assert result.phase == "Succeeded", result.message
    assert plain.seen("began") == plain.seen("ended") == ["x"]
    whole = "b" * 300_000 + "\n" + "m" * 70_000 + "\n" + "e" * 10
    kept = node(result, "a")["outputs"]["result"]
    assert len(kept) > 250_000 and whole.endswith(kept)
    assert log(result, "a") == whole + "\n"


@pytest.mark.parametrize("who", VICTIMS)
def test_how_it_ended_while_nobody_could_tell(plain: World, who: str) -> None:
    """All are stopped but the step, which fails; then one is killed before it has seen that."""
    plain.start(
        workflow(shell("main", f"trap 'exit 3' EXIT; {BODY.replace('ended', 'ended; exit 3')}")),
    )
    plain.wait_for("began")
    for pid in plain.keepers():
        os.kill(pid, signal.SIGSTOP)
    plain.let_go()
    plain.wait_for("ended")
    wait_until(lambda: not plain.alive())
    one, other = plain.keepers() if who.startswith("guard") else reversed(plain.keepers())
    os.kill(one, signal.SIGKILL)
    if who.endswith("engine") and plain.engine:
        plain.engine.kill()
    os.kill(other, signal.SIGCONT)
    result = end(plain, who)
    assert result.phase == "Failed"
    assert node(result, "wf")["message"] == "main: Error (exit code 3)"
    assert plain.seen("began") == plain.seen("ended") == ["x"]


@pytest.mark.parametrize("over", [False, True])
def test_a_keeper_that_is_killed_while_it_starts_something(plain: World, over: bool) -> None:
    """What it had no time to write down is taken away: which process it was."""
    plain.start(workflow(shell("main", BODY)))
    plain.wait_for("began")
    book = plain.store / "runs" / "wf" / "processes"
    # a body may begin before its keeper gets the processor again
    wait_until(lambda: "\n= " in book.read_text())
    for pid in plain.keepers():
        os.kill(pid, signal.SIGSTOP)
    if over:
        plain.let_go()
        wait_until(lambda: not plain.alive())
    whole = book.read_text()
    (line,) = [each for each in whole.splitlines() if each.startswith("= ")]
    book.write_text(whole.replace(f"{line}\n", ""))
    guard, keeper = plain.keepers()
    os.kill(keeper, signal.SIGKILL)
    os.kill(guard, signal.SIGCONT)
    plain.let_go()
    assert end(plain, "keeper").phase == "Succeeded"
    assert plain.seen("began") == plain.seen("ended") == ["x"]


def test_what_a_killed_keeper_had_not_started_starts(plain: World) -> None:
    plain.start(workflow(shell("main", BODY)))
    plain.wait_for("began")
    for pid in plain.keepers():
        os.kill(pid, signal.SIGSTOP)
    book = plain.store / "runs" / "wf" / "processes"
    book.write_text(book.read_text() + '+ 7 0 ["another",1,"main",1,"1","127.0.0.1","process",false];\n')
    guard, keeper = plain.keepers()
    os.kill(keeper, signal.SIGKILL)
    os.kill(guard, signal.SIGCONT)
    wait_until(lambda: book.read_text().endswith("/ 7 0;\n"), 10)
    plain.let_go()
    assert end(plain, "keeper").phase == "Succeeded"


@pytest.mark.parametrize("who", VICTIMS)
def test_a_container_set_goes_on(plain: World, who: str) -> None:
    def one(name: str, script: str, *needs: str) -> dict[str, Any]:
        command = ["sh", "-c", script]
        return {"name": name, "image": "tiphys/step:test", "command": command, "dependencies": [*needs]}

    wait = "echo x >> /notes/began; until test -e /notes/go; do sleep 0.02; done; "
    flow = workflow(
        {
            "name": "main",
            "containerSet": {
                "containers": [
                    one("a", "echo x >> /notes/a"),
                    one("main", f"{wait}echo x >> /notes/ended", "a"),
                ]
            },
        }
    )
    plain.start(flow)
    plain.wait_for("began")
    kill(plain, who)
    plain.let_go()
    assert end(plain, who).phase == "Succeeded"
    assert [plain.seen(name) for name in ("a", "began", "ended")] == [["x"]] * 3


@pytest.mark.parametrize("who", VICTIMS)
def test_what_starts_later_is_kept_as_well(plain: World, who: str) -> None:
    """The one that is left starts what comes, and is killed in its turn."""
    flow = workflow(
        dag({"name": "a", "template": "first"}, {"name": "b", "template": "second", "depends": "a"}),
        shell("first", BODY),
        shell(
            "second",
            "echo x >> /notes/began2; until test -e /notes/go2; do sleep 0.02; done; echo x >> /notes/ended2",
        ),
    )
    plain.start(flow)
    plain.wait_for("began")
    kill(plain, who)
    if who.endswith("engine"):
        plain.go_on()
    plain.let_go()
    plain.wait_for("began2")
    plain.kill()
    (alone,) = plain.keepers()
    os.kill(alone, signal.SIGKILL)
    wait_until(lambda: not plain.alive(), 10)  # nobody has it any more, nor waits for it
    plain.let_go("go2")
    assert plain.resume().phase == "Succeeded"
    assert plain.seen("began") == plain.seen("ended") == ["x"]
    assert plain.seen("began2") == ["x", "x"] and plain.seen("ended2") == ["x"]


def test_keepers_that_are_killed_while_nothing_runs(plain: World) -> None:
    """As between two steps: the engine has others."""
    flow = workflow(
        {
            "name": "main",
            "steps": [
                [{"name": "a", "template": "a"}],
                [{"name": "wait", "template": "wait"}],
                [{"name": "b", "template": "b"}],
            ],
        },
        shell("a", "echo x >> /notes/began"),
        {"name": "wait", "suspend": {"duration": "2"}},
        shell("b", "echo x >> /notes/ended"),
    )
    plain.start(flow)
    plain.wait_for("began")
    wait_until(lambda: not plain.alive(), 10)
    for pid in plain.keepers():
        os.kill(pid, signal.SIGKILL)
    assert end(plain, "keeper").phase == "Succeeded"
    assert plain.seen("began") == plain.seen("ended") == ["x"]


def test_a_watchman_that_is_killed_has_a_successor(plain: World) -> None:
    plain.start(workflow(shell("main", BODY)))
    plain.wait_for("began")
    guard, keeper = plain.keepers()
    os.kill(guard, signal.SIGKILL)
    before = watchmen(keeper)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: watchmen(keeper) not in ([], before), 10)
    plain.kill()
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not plain.alive(), 10)


def watchmen(keeper: int) -> list[int]:
    """The children of a keeper that are its own program."""
    found: list[int] = []
    deadline = time.monotonic() + 10
    while not found and time.monotonic() < deadline:
        for pid in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"_keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


def test_a_mutex_is_held_by_whoever_is_left(plain: World) -> None:
    """The steps of a run whose engine and guard were killed still hold its mutex."""
    flow = workflow(shell("main", BODY))
    flow["spec"]["synchronization"] = {"mutexes": [{"name": "one"}]}
    plain.start(flow)
    plain.wait_for("began")
    kill(plain, "guard and engine")
    other = World(plain.path / "other", "process")
    other.store, other.notes = plain.store, plain.notes
    flow = workflow(shell("main", "echo y >> /notes/began"))
    flow["spec"]["synchronization"] = {"mutexes": [{"name": "one"}]}
    other.start(flow, name="other")
    time.sleep(1.0)
    assert plain.seen("began") == ["x"]
    plain.let_go()
    assert plain.resume().phase == "Succeeded"
    assert other.engine is not None
    assert other.engine.communicate(timeout=30)[0].strip() == "Succeeded"
    assert plain.seen("began") == ["x", "y"]
