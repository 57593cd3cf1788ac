"""A step's body that has ended never runs again, and one that runs when its engine is killed runs once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from tests.engine.harness import (
    dag,
    log,
    node,
    out,
    python,
    shell,
    value,
    wait_until,
    workflow,
)
from tests.engine.outliving.world import BODY, World


def short_and_long(short: str) -> dict[str, Any]:
    """Two steps at once, of which one ends first."""
    return workflow(
        dag({"name": "a", "template": "short"}, {"name": "b", "template": "long"}),
        shell("short", short),
        shell("long", BODY),
    )


def test_a_body_that_runs_when_the_engine_is_killed_runs_once(world: World) -> None:
    world.start(workflow(shell("main", BODY, outputs=out("x"))))
    world.wait_for("began")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("began") == world.seen("ended") == ["x"]
    assert value(result, "wf", "x") == "made"
    assert log(result, "wf").split() == ["one", "two", "three"]
    assert not world.alive()
    wait_until(lambda: not world.keepers(), 5)


def test_a_body_that_ended_before_the_journal_had_it_runs_once(world: World) -> None:
    world.start(workflow(shell("main", BODY, outputs=out("x"))), grace=0)
    world.wait_for("began")
    world.freeze()
    world.let_go()
    world.wait_for("ended")
    wait_until(lambda: not world.alive())
    world.kill()
    wait_until(lambda: not world.keepers())
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("began") == world.seen("ended") == ["x"]
    assert value(result, "wf", "x") == "made"
    assert log(result, "wf").split() == ["one", "two", "three"]


def test_a_body_that_failed_is_not_tried_again_by_itself(plain: World) -> None:
    plain.start(
        workflow(
            shell(
                "main",
                "echo x >> /notes/began; until test -e /notes/go; do sleep 0.02; done; echo x >> /notes/ended; exit 3",
            )
        )
    )
    plain.wait_for("began")
    plain.freeze()
    plain.let_go()
    plain.wait_for("ended")
    wait_until(lambda: not plain.alive())
    plain.kill()
    result = plain.resume()
    assert result.phase == "Failed"
    assert node(result, "wf")["message"] == "main: Error (exit code 3)"
    assert node(result, "wf")["outputs"]["exitCode"] == "3"
    assert plain.seen("ended") == ["x"]


def test_the_result_of_a_script_is_whole(world: World) -> None:
    source = (
        "import os, time\nopen('/notes/began', 'a').write('x\\n')\nprint('first', flush=True)\n"
        "while not os.path.exists('/notes/go'): time.sleep(0.02)\nprint('second')\n"
        "open('/notes/ended', 'a').write('x\\n')\n"
    )
    told = shell("told", 'printf %s "$T"')
    told["inputs"] = {"parameters": [{"name": "t"}]}
    told["container"]["env"] = [{"name": "T", "value": "{{inputs.parameters.t}}"}]
    argument = {"parameters": [{"name": "t", "value": "{{tasks.a.outputs.result}}"}]}
    world.start(
        workflow(
            dag(
                {"name": "a", "template": "s"},
                {"name": "b", "template": "told", "depends": "a", "arguments": argument},
            ),
            python("s", source),
            told,
        )
    )
    world.wait_for("began")
    world.kill()
    time.sleep(0.3)  # nobody reads the step's stdout, were it the engine who did
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("began") == world.seen("ended") == ["x"]
    assert node(result, "a")["outputs"]["result"] == "first\nsecond"
    assert log(result, "a") == "first\nsecond\n"
    assert log(result, "b") == "first\nsecond"


def test_without_a_grace_time_nothing_outlives_the_engine(world: World) -> None:
    world.start(workflow(shell("main", BODY, outputs=out("x"))), grace=0)
    world.wait_for("began")
    world.kill()
    wait_until(lambda: not world.alive() and not world.keepers())
    world.let_go()
    result = world.resume()
    assert result.succeeded
    assert world.seen("began") == ["x", "x"] and world.seen("ended") == ["x"]


def test_after_the_grace_time_it_runs_again(plain: World) -> None:
    plain.start(workflow(shell("main", BODY, outputs=out("x"))), grace=0.5)
    plain.wait_for("began")
    plain.kill()
    assert plain.alive()
    wait_until(lambda: not plain.alive() and not plain.keepers(), 10)
    plain.let_go()
    result = plain.resume()
    assert result.succeeded
    assert plain.seen("began") == ["x", "x"] and plain.seen("ended") == ["x"]


def test_two_kills_in_a_row(plain: World) -> None:
    plain.start(workflow(shell("main", BODY, outputs=out("x"))))
    plain.wait_for("began")
    plain.kill()
    again = (
        "import sys\nfrom tiphys.engine import RunOptions, resume\n"
        "resume('wf', options=RunOptions(store=sys.argv[1]))"
    )
    second = subprocess.Popen([sys.executable, "-c", again, str(plain.store)], start_new_session=True)
    time.sleep(1.0)
    assert second.poll() is None
    second.kill()
    second.wait()
    plain.let_go()
    result = plain.resume()
    assert result.succeeded
    assert plain.seen("began") == plain.seen("ended") == ["x"]
    assert log(result, "wf").split() == ["one", "two", "three"]


def test_a_body_that_ended_before_its_keeper_could_tell_runs_once(world: World) -> None:
    world.start(short_and_long("until test -e /notes/end; do sleep 0.02; done; echo x >> /notes/short"))
    world.wait_for("began")
    keeper = world.keepers()[-1]
    os.kill(keeper, signal.SIGSTOP)
    world.let_go("end")
    world.wait_for("short")
    time.sleep(0.3)  # the shell ends
    world.freeze()
    os.kill(keeper, signal.SIGKILL)
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("short") == world.seen("began") == world.seen("ended") == ["x"]
