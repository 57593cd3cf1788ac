"""What a killed engine leaves: a step's body that has ended never runs again, and one that runs goes on."""

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
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import (
    RUNNERS,
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
from tiphys.engine import RunOptions, RunResult, resume, run
from tiphys.engine.runtime.retry import prepare_retry
from tiphys.errors import RunError
from tiphys.runs.client import Client
from tiphys.runs.local.backend import LocalRuns

PROGRAM = """
import json, sys
from tiphys.engine import RunOptions, run
flow, store, runner = json.load(open(sys.argv[1])), sys.argv[2], sys.argv[3]
result = run(flow, options=RunOptions(store=store, name="wf", grace=5.0, runner=runner))
print(result.phase)
"""


class World:
    """A run whose engine can be killed; steps leave lines in files of the folder ``notes``, a volume to them."""

    def __init__(self, tmp_path: Path, runner: str) -> None:
        self.path = tmp_path
        self.runner = runner
        self.store = tmp_path / "store"
        self.notes = self.store / "volumes" / "notes"
        self.notes.mkdir(parents=True)
        self.engine: subprocess.Popen[str] | None = None
        self.mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"

    def start(self, flow: dict[str, Any], grace: float | None = None) -> None:
        flow["spec"].setdefault("volumes", []).append(
            {"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}
        )
        for template in flow["spec"]["templates"]:
            for each in [
                *(template[kind] for kind in ("container", "script") if kind in template),
                *template.get("containerSet", {}).get("containers", []),
                *template.get("sidecars", []),
                *template.get("initContainers", []),
            ]:
                each["volumeMounts"] = [
                    *each.get("volumeMounts", []),
                    {"name": "notes", "mountPath": "/notes"},
                ]
                each["env"] = [*each.get("env", []), {"name": "MARK", "value": self.mark}]
        file = self.path / "flow.json"
        file.write_text(json.dumps(flow))
        env = dict(os.environ)
        if grace is not None:
            env["TIPHYS_KEEPER_GRACE"] = str(grace)
        self.engine = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(file), str(self.store), self.runner],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            start_new_session=True,
        )

    def seen(self, name: str) -> list[str]:
        file = self.notes / name
        return file.read_text().split() if file.exists() else []

    def wait_for(self, name: str) -> None:
        wait_until(lambda: bool(self.seen(name)), 30)

    def kill(self) -> None:
        assert self.engine is not None
        self.engine.kill()
        self.engine.communicate()

    def freeze(self) -> None:
        """Nothing is written by the engine any more."""
        assert self.engine is not None
        self.engine.send_signal(signal.SIGSTOP)

    def let_go(self, name: str = "go") -> None:
        (self.notes / name).touch()

    def resume(self) -> RunResult:
        return resume("wf", options=RunOptions(store=self.store, runner=self.runner, handle_signals=False))

    def alive(self) -> list[int]:
        """The processes of the run's steps, whatever they have become."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if f"MARK={self.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def keepers(self) -> list[int]:
        """The keeper and its guard, the guard first."""
        link = str(self.store / "runs" / "wf")
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                descriptors = f"/proc/{pid}/fd"
                if b"_keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes() and any(
                    os.readlink(f"{descriptors}/{each}") == link for each in os.listdir(descriptors)
                ):
                    found.append(int(pid))
            except OSError:
                continue
        return sorted(found)


@pytest.fixture(params=RUNNERS)
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return World(tmp_path, "process")


BODY = (
    "echo x >> /notes/began; echo one; until test -e /notes/go; do sleep 0.02; done; "
    "echo two >&2; mkdir -p /tmp/out; echo made > /tmp/out/x; echo three; echo x >> /notes/ended"
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


@pytest.mark.parametrize("which", ["guard", "keeper"])
def test_a_killed_keeper_loses_no_ended_body(plain: World, which: str) -> None:
    plain.start(
        workflow(
            dag({"name": "a", "template": "short"}, {"name": "b", "template": "long"}),
            shell("short", "echo x >> /notes/short"),
            shell("long", BODY),
        )
    )
    plain.wait_for("began")
    plain.freeze()
    plain.wait_for("short")
    time.sleep(0.2)
    os.kill(plain.keepers()[0 if which == "guard" else -1], signal.SIGKILL)
    wait_until(lambda: not plain.alive())
    plain.kill()
    plain.let_go()
    result = plain.resume()
    assert result.succeeded, result.message
    assert plain.seen("short") == ["x"] and plain.seen("ended") == ["x"]


def test_a_body_that_ended_before_its_keeper_could_tell_runs_once(world: World) -> None:
    world.start(
        workflow(
            dag({"name": "a", "template": "short"}, {"name": "b", "template": "long"}),
            shell("short", "until test -e /notes/end; do sleep 0.02; done; echo x >> /notes/short"),
            shell("long", BODY),
        )
    )
    world.wait_for("began")
    keeper = world.keepers()[-1]
    os.kill(keeper, signal.SIGSTOP)
    world.let_go("end")
    world.wait_for("short")
    time.sleep(0.3)  # the shell ends
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not world.alive())
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("short") == ["x"] and world.seen("ended") == ["x"]


def test_a_keeper_killed_beside_a_living_engine_is_told_and_resumed(plain: World) -> None:
    plain.start(workflow(shell("main", BODY)))
    plain.wait_for("began")
    os.kill(plain.keepers()[-1], signal.SIGKILL)
    assert plain.engine is not None
    assert RunError.__name__ in plain.engine.communicate(timeout=30)[1]
    plain.let_go()
    assert plain.resume().succeeded
    assert plain.seen("ended") == ["x"]


def test_all_of_a_wide_run_go_on(plain: World) -> None:
    body = "echo {{item}} >> /notes/began; until test -e /notes/go; do sleep 0.05; done; echo {{item}} >> /notes/ended"
    body = body.replace("{{item}}", "{{inputs.parameters.n}}")
    leaf = shell("leaf", body, inputs={"parameters": [{"name": "n"}]})
    call = {"parameters": [{"name": "n", "value": "{{item}}"}]}
    steps = [[{"name": "n", "template": "leaf", "withSequence": {"count": "20"}, "arguments": call}]]
    plain.start(workflow({"name": "main", "steps": steps}, leaf))
    wait_until(lambda: len(plain.seen("began")) >= 10)
    plain.kill()
    plain.let_go()
    result = plain.resume()
    assert result.succeeded
    everyone = sorted(map(str, range(20)))
    assert sorted(plain.seen("ended")) == everyone and sorted(plain.seen("began")) == everyone


def test_a_container_set_goes_on_where_it_was(world: World) -> None:
    def one(name: str, script: str, *needs: str) -> dict[str, Any]:
        return {
            "name": name,
            "image": "tiphys/step:test",
            "command": ["sh", "-c", script],
            "dependencies": list(needs),
        }

    template = {
        "name": "main",
        "containerSet": {
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
            "containers": [
                one("a", "echo x >> /notes/a; echo from-a > /shared/a"),
                one(
                    "b",
                    "echo x >> /notes/began; until test -e /notes/go; do sleep 0.02; done; echo x >> /notes/b",
                    "a",
                ),
                one("main", "echo x >> /notes/main; mkdir -p /tmp/out; cat /shared/a > /tmp/out/x", "b"),
            ],
        },
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "outputs": out("x"),
    }
    world.start(workflow(template))
    world.wait_for("began")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert [world.seen(name) for name in ("a", "began", "b", "main")] == [["x"]] * 4
    assert value(result, "wf", "x") == "from-a"


def test_init_containers_sidecars_and_artifacts(world: World) -> None:
    maker = shell("maker", "mkdir -p /tmp/o/d; echo hello > /tmp/o/d/f; echo x >> /notes/made")
    maker["outputs"] = {"artifacts": [{"name": "o", "path": "/tmp/o"}]}
    user = shell("user", "cat /tmp/i/d/f > /tmp/seen; " + BODY)
    user["inputs"] = {"artifacts": [{"name": "i", "path": "/tmp/i"}]}
    user["outputs"] = {
        **out("x"),
        "artifacts": [{"name": "seen", "path": "/tmp/seen", "archive": {"none": {}}}],
    }
    image = "tiphys/step:test"
    user["initContainers"] = [
        {"name": "before", "image": image, "command": ["sh", "-c", "echo x >> /notes/init"]}
    ]
    user["sidecars"] = [
        {"name": "side", "image": image, "command": ["sh", "-c", "echo x >> /notes/side; exec sleep 1000"]}
    ]
    given = {"artifacts": [{"name": "i", "from": "{{tasks.a.outputs.artifacts.o}}"}]}
    world.start(
        workflow(
            dag(
                {"name": "a", "template": "maker"},
                {"name": "b", "template": "user", "depends": "a", "arguments": given},
            ),
            maker,
            user,
        )
    )
    world.wait_for("began")
    world.wait_for("side")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert [world.seen(name) for name in ("made", "init", "side", "began", "ended")] == [["x"]] * 5
    (artifact,) = [each for each in node(result, "b")["outputs"]["artifacts"] if each["name"] == "seen"]
    assert artifact
    assert not world.alive()


def test_a_daemon_goes_on_at_its_address(world: World) -> None:
    serve = (
        "import http.server, os\nopen('/notes/daemon', 'a').write('x\\n')\n"
        "place = (os.environ['TIPHYS_POD_IP'], 8123)\n"
        "http.server.HTTPServer(place, http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    daemon = python("daemon", serve, daemon=True)
    daemon["script"]["readinessProbe"] = {"httpGet": {"path": "/", "port": 8123}}
    ask = shell(
        "ask",
        "echo x >> /notes/began; until test -e /notes/go; do sleep 0.02; done; "
        "python -c 'import urllib.request, sys; urllib.request.urlopen(sys.argv[1])' http://$IP:8123/; "
        "echo $? >> /notes/ended",
        inputs={"parameters": [{"name": "ip"}]},
    )
    ask["container"]["env"] = [{"name": "IP", "value": "{{inputs.parameters.ip}}"}]
    given = {"parameters": [{"name": "ip", "value": "{{tasks.d.ip}}"}]}
    world.start(
        workflow(
            dag(
                {"name": "d", "template": "daemon"},
                {"name": "a", "template": "ask", "depends": "d", "arguments": given},
                {"name": "later", "template": "ask", "depends": "a", "arguments": given},
            ),
            daemon,
            ask,
        )
    )
    world.wait_for("began")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("daemon") == ["x"]
    assert len(world.seen("began")) == 2 and world.seen("ended") == ["0", "0"]
    assert not world.alive()


def test_a_deadline_still_holds(plain: World) -> None:
    plain.start(workflow(shell("main", "echo x >> /notes/began; exec sleep 1000", activeDeadlineSeconds=3)))
    plain.wait_for("began")
    plain.kill()
    began = time.monotonic()
    result = plain.resume()
    assert result.phase == "Failed" and time.monotonic() - began < 20
    assert plain.seen("began") == ["x"] and not plain.alive()


def test_what_ended_in_time_is_not_late_because_it_was_collected_late(plain: World) -> None:
    plain.start(workflow(shell("main", BODY, activeDeadlineSeconds=3)))
    plain.wait_for("began")
    plain.freeze()
    plain.let_go()
    plain.wait_for("ended")
    wait_until(lambda: not plain.alive())
    plain.kill()
    time.sleep(3)
    result = plain.resume()
    assert result.succeeded, result.message
    assert plain.seen("began") == ["x"]


def test_an_interrupt_still_ends_all_at_once(plain: World) -> None:
    plain.start(workflow(shell("main", "echo x >> /notes/began; exec sleep 1000")))
    plain.wait_for("began")
    assert plain.engine is not None
    plain.engine.send_signal(signal.SIGTERM)
    plain.engine.communicate(timeout=30)
    assert not plain.alive() and not plain.keepers()


def elsewhere(plain: World, code: str) -> subprocess.Popen[str]:
    """Something that another process does with the store, and prints."""
    begin = (
        "import json, sys\nfrom tiphys.engine import RunOptions, resume, run\nfrom tiphys.runs.client import Client\n"
        f"store = {str(plain.store)!r}\noptions = RunOptions(store=store, name='other', handle_signals=False)\n"
    )
    return subprocess.Popen([sys.executable, "-c", begin + code], stdout=subprocess.PIPE, text=True)


def test_a_mutex_is_held_as_long_as_a_step_lives(plain: World) -> None:
    """The engine of the first run is killed inside the mutex: the second run waits for the step, not for the engine."""
    mutex = {"mutexes": [{"name": "only-one"}]}
    plain.start(workflow(shell("main", BODY, synchronization=mutex)))
    plain.wait_for("began")
    plain.kill()
    flow = workflow(
        shell("main", "ls /notes > /notes/second", synchronization=mutex),
        volumes=[{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}],
    )
    flow["spec"]["templates"][0]["container"]["volumeMounts"] = [{"name": "notes", "mountPath": "/notes"}]
    other = elsewhere(plain, f"print(run(json.loads({json.dumps(flow)!r}), options=options).phase)")
    time.sleep(3)
    assert other.poll() is None and not plain.seen("second")
    plain.let_go()
    assert plain.resume().succeeded
    assert other.communicate(timeout=30)[0].strip() == "Succeeded"
    assert "ended" in plain.seen("second")
    assert plain.seen("ended") == ["x"]


def test_a_mutex_is_free_when_the_steps_are_gone(plain: World) -> None:
    mutex = {"mutexes": [{"name": "only-one"}]}
    plain.start(workflow(shell("main", BODY, synchronization=mutex)), grace=2)
    plain.wait_for("began")
    plain.kill()
    began = time.monotonic()
    flow = workflow(shell("main", "true", synchronization=mutex))
    other = elsewhere(plain, f"print(run(json.loads({json.dumps(flow)!r}), options=options).phase)")
    assert other.communicate(timeout=30)[0].strip() == "Succeeded"
    assert time.monotonic() - began > 1.5
    assert not plain.alive()
    with contextlib.closing(sqlite3.connect(plain.store / "locks.db")) as table:
        assert [
            table.execute(f"SELECT * FROM {each}").fetchall() for each in ("holders", "waiters", "heirs")
        ] == [
            [],
            [],
            [],
        ]


def test_a_retry_of_what_was_only_killed_is_a_resume(plain: World) -> None:
    plain.start(
        workflow(
            dag({"name": "a", "template": "long"}, {"name": "b", "template": "short", "depends": "a"}),
            shell("long", BODY, outputs=out("x")),
            shell("short", "echo x >> /notes/short"),
        )
    )
    plain.wait_for("began")
    plain.kill()
    threading.Timer(1, plain.let_go).start()
    result = prepare_retry("wf", options=RunOptions(store=plain.store, handle_signals=False)).execute()
    assert result.succeeded, result.message
    assert plain.seen("began") == plain.seen("ended") == plain.seen("short") == ["x"]
    assert value(result, "a", "x") == "made"


@pytest.mark.parametrize("verb", ["delete", "retry", "run again", "stop", "terminate"])
def test_what_takes_a_run_over_ends_its_steps(plain: World, verb: str) -> None:
    """No step of the killed engine writes into a folder that was removed, renamed or begun anew."""
    flow = workflow(
        dag({"name": "a", "template": "long"}, {"name": "b", "template": "bad"}),
        shell("long", BODY, outputs=out("x")),
        shell("bad", "echo x >> /notes/bad; exit 1") if verb == "retry" else shell("bad", "true"),
    )
    flow["spec"]["templates"][0]["dag"]["failFast"] = False
    plain.start(flow)
    plain.wait_for("began")
    if verb == "retry":  # what failed is tried again
        plain.wait_for("bad")
        time.sleep(0.5)
    plain.kill()
    before = plain.alive()
    assert before
    client = Client(backend=LocalRuns(RunOptions(store=plain.store, handle_signals=False)), namespace="argo")
    if verb == "delete":
        client.delete("wf")
        assert not (plain.store / "runs" / "wf").exists()
    elif verb == "run again":
        flow = workflow(shell("main", "true"))
        assert run(flow, options=RunOptions(store=plain.store, name="wf", handle_signals=False)).succeeded
        assert (plain.store / "runs" / "wf.1").exists()
    elif verb == "retry":
        threading.Timer(2, plain.let_go).start()
        assert client.retry("wf").phase == "Failed"
        assert plain.seen("began") == plain.seen("bad") == ["x", "x"] and plain.seen("ended") == ["x"]
    elif verb == "stop":
        assert client.stop("wf").phase == "Failed"
    else:
        assert client.terminate("wf")[0].phase == "Failed"
    assert not plain.alive()
    wait_until(lambda: not plain.keepers(), 5)
    assert "x" not in plain.seen("ended") or verb == "retry"


def test_what_the_kubelet_does_goes_on(plain: World) -> None:
    """The memory limit holds for what was taken over; its postStart handler has run, and does not run again."""
    template = shell(
        "main",
        "echo x >> /notes/began; until test -e /notes/go; do sleep 0.02; done; "
        "exec python -c 'import time; x = bytearray(200_000_000); time.sleep(1000)'",
    )
    template["container"]["resources"] = {"limits": {"memory": "100Mi"}}
    template["container"]["lifecycle"] = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo x >> /notes/hook"]}}
    }
    plain.start(workflow(template))
    plain.wait_for("began")
    plain.wait_for("hook")
    plain.kill()
    plain.let_go()
    result = plain.resume()
    assert result.phase == "Failed"
    assert node(result, "wf")["message"] == "main: OOMKilled (exit code 137)"
    assert plain.seen("began") == plain.seen("hook") == ["x"]
    assert not plain.alive()


def test_servers_are_no_steps(plain: World) -> None:
    """While an object's processes run nothing outlives the engine: who goes on starts them again, as a group."""
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "server"},
        "spec": {
            "selector": {"matchLabels": {"app": "server"}},
            "template": {
                "metadata": {"labels": {"app": "server"}},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": "tiphys/step:test",
                            "command": ["sh", "-c", "exec sleep 1000"],
                            "env": [{"name": "MARK", "value": plain.mark}],
                        }
                    ]
                },
            },
        },
    }
    deploy = {"name": "deploy", "resource": {"action": "create", "manifest": json.dumps(manifest)}}
    plain.start(
        workflow(
            dag({"name": "d", "template": "deploy"}, {"name": "a", "template": "long", "depends": "d"}),
            deploy,
            shell("long", BODY),
        )
    )
    plain.wait_for("began")
    wait_until(lambda: len(plain.alive()) >= 2)
    plain.kill()
    wait_until(lambda: not plain.alive() and not plain.keepers(), 15)
    plain.let_go()
    assert plain.resume().succeeded
    assert plain.seen("began") == ["x", "x"] and plain.seen("ended") == ["x"]
