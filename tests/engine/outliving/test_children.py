"""Steps of a workflow that a step made outlive their engine as those of the run itself do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from tests.engine.harness import IMAGE, dag, out, python, shell, wait_until, workflow
from tests.engine.outliving.test_objects import WORKER, resumed_elsewhere, train
from tests.engine.outliving.world import BODY, World
from tiphys.engine import RunOptions, resume
from tiphys.runs.client import Client
from tiphys.runs.local.backend import LocalRuns

pytestmark = pytest.mark.long

Json = Any
NOTES = {"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}
UNTIL = "until test -e /notes/go; do sleep 0.02; done; "


def furnished(world: World, template: Json) -> Json:
    """A template of a child, whose containers see the notes and can be found."""
    kinds = [template[kind] for kind in ("container", "script") if kind in template]
    for each in [
        *kinds,
        *template.get("containerSet", {}).get("containers", []),
        *template.get("sidecars", []),
    ]:
        each["volumeMounts"] = [
            *each.get("volumeMounts", []),
            {"name": "notes", "mountPath": "/notes"},
        ]
        each["env"] = [*each.get("env", []), {"name": "MARK", "value": world.mark}]
    return template


def making(world: World, *templates: Json, name: str = "child", step: str = "make", **more: Json) -> Json:
    """A resource template that makes a workflow of these templates, and waits for its end."""
    manifest = workflow(*(furnished(world, each) for each in templates), volumes=[NOTES])
    manifest["metadata"] = {"name": name}
    resource = {
        "action": "create",
        "manifest": json.dumps(manifest),
        "successCondition": "status.phase == Succeeded",
        "failureCondition": "status.phase in (Failed, Error)",
        **more,
    }
    return {"name": step, "resource": {key: value for key, value in resource.items() if value}}


def client(world: World) -> Client:
    options = RunOptions(store=world.store, runner=world.runner, handle_signals=False)
    return Client(backend=LocalRuns(options), namespace="argo")


def nodes(world: World, run: str = "child") -> dict[str, Json]:
    """By their display names."""
    flow = json.loads((world.store / "runs" / run / "workflow.json").read_text())
    return {each["displayName"]: each for each in flow["status"]["nodes"].values()}


def told(world: World, node: str, run: str = "child") -> list[str]:
    return words_of(world, run, nodes(world, run)[node]["id"])


def words_of(world: World, run: str, name: str) -> list[str]:
    return (world.store / "runs" / run / "logs" / f"{name}.log").read_text().split()


def parameter(world: World, node: str, run: str = "child") -> str:
    return str(nodes(world, run)[node]["outputs"]["parameters"][0]["value"])


def test_a_body_of_a_child_runs_once(world: World) -> None:
    world.start(workflow(making(world, shell("main", BODY, outputs=out("x")))))
    world.wait_for("began")
    world.kill()
    time.sleep(0.2)
    assert world.alive() and world.keepers()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("began") == world.seen("ended") == ["x"]
    assert parameter(world, "child") == "made"
    assert told(world, "child") == ["one", "two", "three"]
    assert not world.alive()
    wait_until(lambda: not world.keepers(), 5)


def test_one_that_ended_between_has_ended(world: World) -> None:
    world.start(workflow(making(world, shell("main", BODY, outputs=out("x")))), grace=0)
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
    assert parameter(world, "child") == "made"


def test_a_step_of_the_parent_beside_it_goes_on(world: World) -> None:
    """And so does a second child: nodes of the same names, folders of the same numbers."""
    world.start(
        workflow(
            dag(
                {"name": "a", "template": "one"},
                {"name": "b", "template": "two"},
                {"name": "c", "template": "own"},
            ),
            making(world, shell("main", BODY, outputs=out("x")), name="one", step="one"),
            making(world, shell("main", BODY, outputs=out("x")), name="two", step="two"),
            shell("own", BODY, outputs=out("x")),
        )
    )
    wait_until(lambda: len(world.seen("began")) == 3)
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("began") == world.seen("ended") == ["x"] * 3
    assert parameter(world, "one", "one") == parameter(world, "two", "two") == "made"
    assert told(world, "one", "one") == told(world, "two", "two") == ["one", "two", "three"]


def test_a_grandchild_goes_on_though_the_engine_is_killed_twice(plain: World) -> None:
    inner = making(plain, shell("main", BODY, outputs=out("x")), name="inner")
    outer = making(
        plain,
        dag({"name": "a", "template": "make"}, {"name": "b", "template": "beside"}),
        inner,
        shell("beside", f"echo x >> /notes/beside; {UNTIL}"),
        name="outer",
    )
    plain.start(workflow(outer))
    plain.wait_for("began")
    plain.wait_for("beside")
    plain.kill()
    second = resumed_elsewhere(plain)
    wait_until(lambda: held(plain, "inner"))
    time.sleep(0.5)
    second.kill()
    second.wait()
    plain.let_go()
    result = plain.resume()
    assert result.succeeded, result.message
    assert plain.seen("began") == plain.seen("ended") == plain.seen("beside") == ["x"]
    assert parameter(plain, "inner", "inner") == "made"
    assert told(plain, "inner", "inner") == ["one", "two", "three"]


def held(world: World, run: str) -> bool:
    from tiphys.store import Store

    return Store(world.store).held(run)


def test_a_container_set_and_a_result(world: World) -> None:
    def one(name: str, script: str, *needs: str) -> Json:
        return {
            "name": name,
            "image": IMAGE,
            "command": ["sh", "-c", script],
            "dependencies": list(needs),
        }

    group = {
        "name": "group",
        "containerSet": {
            "containers": [
                one("a", "echo x >> /notes/a"),
                one("b", f"echo x >> /notes/began; {UNTIL} echo x >> /notes/b", "a"),
                one("main", "echo x >> /notes/main; mkdir -p /tmp/out; echo 3 > /tmp/out/x", "b"),
            ]
        },
        "outputs": out("x"),
    }
    source = (
        "import os, time\nopen('/notes/script', 'a').write('x\\n')\nprint('first', flush=True)\n"
        "while not os.path.exists('/notes/go'): time.sleep(0.02)\nprint('second')\n"
    )
    later = shell("later", 'printf %s "$T" > /notes/told', inputs={"parameters": [{"name": "t"}]})
    later["container"]["env"] = [{"name": "T", "value": "{{inputs.parameters.t}}"}]
    given = {"parameters": [{"name": "t", "value": "{{tasks.s.outputs.result}}"}]}
    tasks = [
        {"name": "g", "template": "group"},
        {"name": "s", "template": "script"},
        {"name": "t", "template": "later", "depends": "s", "arguments": given},
    ]
    make = making(world, dag(*tasks), group, python("script", source), later)
    # the tags are the child's, not those of the step that makes it
    make["resource"]["manifest"] = make["resource"]["manifest"].replace("{{", "{{=sprig.trim('{{')}}")
    world.start(workflow(make))
    world.wait_for("began")
    world.wait_for("script")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert [world.seen(each) for each in ("a", "began", "b", "main", "script")] == [["x"]] * 5
    assert parameter(world, "g") == "3"
    assert world.seen("told") == ["first", "second"]


def test_a_deadline_and_a_daemon_of_a_child(plain: World) -> None:
    server = shell("server", "echo x >> /notes/server; exec sleep 1000", daemon=True)
    late = shell("late", "echo x >> /notes/began; exec sleep 1000", activeDeadlineSeconds=3)
    tasks = [{"name": "d", "template": "server"}, {"name": "a", "template": "late", "depends": "d"}]
    plain.start(workflow(making(plain, dag(*tasks), server, late)))
    plain.wait_for("began")
    plain.kill()
    result = plain.resume()
    assert result.phase == "Failed"
    assert plain.seen("server") == plain.seen("began") == ["x"]
    assert "deadline" in nodes(plain)["a"]["message"]
    assert not plain.alive()


def test_a_mutex_of_a_child_is_held_as_long_as_its_step_lives(plain: World) -> None:
    mutex = {"mutexes": [{"name": "only-one"}]}
    plain.start(workflow(making(plain, shell("main", BODY, synchronization=mutex))))
    plain.wait_for("began")
    plain.kill()
    flow = workflow(shell("main", "true", synchronization=mutex))
    code = (
        "import json, sys\nfrom tiphys.engine import RunOptions, run\n"
        "options = RunOptions(store=sys.argv[1], name='other', handle_signals=False)\n"
        "print(run(json.loads(sys.argv[2]), options=options).phase)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(plain.store), json.dumps(flow)])
    time.sleep(2)
    assert other.poll() is None
    plain.let_go()
    assert plain.resume().succeeded
    assert other.wait(30) == 0
    assert plain.seen("began") == plain.seen("ended") == ["x"]


def holders(world: World) -> list[str]:
    with contextlib.closing(sqlite3.connect(world.store / "locks.db")) as table:
        return [row[0] for row in table.execute("SELECT holder FROM holders")]


@pytest.mark.parametrize("verb", ["delete", "retry", "resume", "run again"])
def test_who_takes_a_child_up_by_itself_ends_its_steps(plain: World, verb: str) -> None:
    """What had ended has ended for him, too; the parent's step beside it goes on."""
    mutex = {"mutexes": [{"name": "only-one"}]}
    tasks = [{"name": name, "template": name} for name in ("short", "long")]
    short = shell("short", "until test -e /notes/end; do sleep 0.02; done; echo x >> /notes/short")
    plain.start(
        workflow(
            dag({"name": "m", "template": "make"}, {"name": "o", "template": "own"}, failFast=False),
            making(plain, dag(*tasks), short, shell("long", BODY, synchronization=mutex)),
            shell("own", f"echo x >> /notes/own; {UNTIL}echo x >> /notes/over"),
        )
    )
    plain.wait_for("began")
    plain.wait_for("own")
    plain.freeze()
    plain.let_go("end")
    plain.wait_for("short")
    time.sleep(0.2)
    plain.kill()
    options = RunOptions(store=plain.store, handle_signals=False)
    if verb == "delete":
        client(plain).delete("child")
        assert not holders(plain)
        plain.let_go()
        assert plain.resume().succeeded
        assert plain.seen("short") == ["x"] * 2  # it was made anew
        assert plain.seen("began") == ["x"] * 2
    elif verb == "run again":
        other = workflow(shell("main", "true"))
        code = (
            "import json, sys\nfrom tiphys.engine import RunOptions, run\n"
            "options = RunOptions(store=sys.argv[1], name='child', handle_signals=False)\n"
            "run(json.loads(sys.argv[2]), options=options)"
        )
        subprocess.run(
            [sys.executable, "-c", code, str(plain.store), json.dumps(other)], check=True, timeout=60
        )
        assert len(plain.seen("ended")) == 0
        plain.let_go()
        assert plain.resume().phase in ("Succeeded", "Failed")
    else:
        threading.Timer(1, plain.let_go).start()
        if verb == "resume":
            assert resume("child", options=options).succeeded
        else:
            assert client(plain).retry("child").succeeded
        assert plain.seen("short") == ["x"]  # it had ended
        assert plain.seen("began") == ["x"] * 2 and plain.seen("ended") == ["x"]
        assert plain.resume().succeeded
        assert plain.seen("short") == ["x"]
    assert plain.seen("own") == plain.seen("over") == ["x"]
    assert not plain.alive()


def test_a_retry_of_the_parent_ends_what_the_child_has(plain: World) -> None:
    mutex = {"mutexes": [{"name": "only-one"}]}
    plain.start(workflow(making(plain, shell("main", BODY, synchronization=mutex))))
    plain.wait_for("began")
    plain.kill()
    before = plain.alive()
    threading.Timer(1.5, plain.let_go).start()
    result = client(plain).retry("wf")
    assert result.phase == "Succeeded"
    assert plain.seen("began") == ["x"] * 2 and plain.seen("ended") == ["x"]
    assert before and not plain.alive()


def test_a_child_whose_maker_has_its_result_ends(plain: World) -> None:
    """It was made and not waited for: it does not go on with its parent, and its locks are free."""
    mutex = {"mutexes": [{"name": "only-one"}]}
    make = making(
        plain,
        shell("main", BODY, synchronization=mutex),
        successCondition="status.phase == Running",
        failureCondition="",
    )
    waits = shell("waits", f"echo x >> /notes/waits; {UNTIL}")
    wants = shell("wants", "true", synchronization=mutex)
    plain.start(
        workflow(
            dag(
                {"name": "m", "template": "make"},
                {"name": "w", "template": "waits", "depends": "m"},
                {"name": "z", "template": "wants", "depends": "w"},
            ),
            make,
            waits,
            wants,
            activeDeadlineSeconds=60,
        )
    )
    plain.wait_for("began")
    plain.wait_for("waits")
    plain.kill()
    threading.Timer(1.5, plain.let_go).start()
    result = plain.resume()
    assert result.succeeded, result.message
    assert plain.seen("waits") == plain.seen("began") == ["x"] and not plain.seen("ended")
    assert not plain.alive()
    assert client(plain).retry("child").succeeded
    assert plain.seen("began") == ["x"] * 2 and plain.seen("ended") == ["x"]


def test_a_child_that_was_being_deleted_ends(plain: World) -> None:
    stubborn = shell("main", "trap '' TERM; echo x >> /notes/began; sleep 1000 & wait; sleep 1000")
    make = making(plain, stubborn, successCondition="status.phase == Running", failureCondition="")
    gone = making(
        plain, shell("main", ""), step="gone", action="delete", successCondition="", failureCondition=""
    )
    after = shell("after", f"echo x >> /notes/after; {UNTIL}")
    seen = shell("seen", "until test -e /notes/began; do sleep 0.02; done")
    steps = [[{"name": name, "template": name}] for name in ("make", "seen", "gone", "after")]
    plain.start(workflow({"name": "main", "steps": steps}, make, seen, gone, after))
    plain.wait_for("after")
    plain.kill()
    plain.let_go()
    assert plain.resume().succeeded
    assert plain.seen("began") == ["x"] and not plain.alive()


def test_workers_of_a_job_that_a_child_made_go_on(world: World) -> None:
    manifest = workflow(train(world, WORKER), volumes=[NOTES])
    manifest["metadata"] = {"name": "child"}
    resource = {
        "action": "create",
        "manifest": json.dumps(manifest),
        "successCondition": "status.phase == Succeeded",
        "failureCondition": "status.phase in (Failed, Error)",
    }
    world.start(
        workflow(
            dag({"name": "m", "template": "make"}, {"name": "o", "template": "own"}),
            {"name": "make", "resource": resource},
            shell("own", f"echo x >> /notes/own; {UNTIL}echo x >> /notes/over"),
        )
    )
    wait_until(lambda: len(world.seen("began")) == 2)
    world.wait_for("own")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert sorted(world.seen("began")) == sorted(world.seen("ended")) == ["0", "1"]
    assert world.seen("own") == world.seen("over") == ["x"]
    assert words_of(world, "child", "job-worker-0") == ["one", "0", "two", "0"]
    assert not world.alive()


def test_a_killed_keeper_loses_no_body_of_a_child(plain: World) -> None:
    tasks = [{"name": name, "template": name} for name in ("short", "long")]
    plain.start(
        workflow(making(plain, dag(*tasks), shell("short", "echo x >> /notes/short"), shell("long", BODY)))
    )
    plain.wait_for("began")
    plain.freeze()
    plain.wait_for("short")
    time.sleep(0.2)
    os.kill(plain.keepers()[-1], signal.SIGKILL)
    plain.kill()
    plain.let_go()
    result = plain.resume()
    assert result.succeeded, result.message
    assert plain.seen("short") == plain.seen("began") == plain.seen("ended") == ["x"]
