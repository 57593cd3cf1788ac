"""What happens when something is killed, interrupted or full: no orphans, and a later run goes on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.harness import Recorder, dag, execute, marked, node, out, shell, wait_until, workflow
from tiphys.engine import Notice, Run, RunOptions, resume
from tiphys.engine.runtime.journal import Journal
from tiphys.errors import RefusedError, RunError

# runs a workflow file in a process of its own, as the command line does
PROGRAM = """
import json, sys
from tiphys.engine import RunOptions, run
flow, store = json.load(open(sys.argv[1])), sys.argv[2]
result = run(flow, options=RunOptions(store=store, name="wf", grace=float(sys.argv[3])))
print(result.phase, result.exit_code)
sys.exit(result.exit_code)
"""


def start(tmp_path: Path, flow: dict[str, object], *, grace: float = 20.0) -> subprocess.Popen[str]:
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(flow))
    command = [sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "store"), str(grace)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # what outlives a killed engine: tests/engine/outliving
        env={**os.environ, "TIPHYS_KEEPER_GRACE": "0"},
    )


def sleeper(name: str, mark: str, ready: Path, before: str = "") -> dict[str, object]:
    """A template that starts children in the background and in other sessions, and then waits."""
    script = (
        f"{before}\n"
        f"python -c 'import time; time.sleep(1000)' {mark} &\n"
        f"setsid python -c 'import time; time.sleep(1000)' {mark} &\n"
        f"(python -c 'import time; time.sleep(1000)' {mark} &)\n"
        'touch "$READY/up"\n'
        f"exec python -c 'import time; time.sleep(1000)' {mark}"
    )
    template = shell(name, script)
    template["container"]["env"] = [{"name": "READY", "value": str(ready)}]
    return template


@pytest.fixture
def mark() -> str:
    return f"mark-{os.getpid()}-{time.monotonic_ns()}"


def test_engine_killed_leaves_no_process(tmp_path: Path, mark: str) -> None:
    process = start(tmp_path, workflow(sleeper("main", mark, tmp_path)))
    wait_until((tmp_path / "up").exists)
    wait_until(lambda: len(marked(mark)) >= 4)
    process.kill()
    process.communicate()
    wait_until(lambda: not marked(mark))


def test_background_processes_end_with_their_step(tmp_path: Path, mark: str) -> None:
    sleep = f"python -c 'import time; time.sleep(1000)' {mark}"
    script = f"{sleep} & setsid {sleep} & sleep 0.2"
    result = execute(tmp_path, workflow(shell("main", script)))
    assert result.succeeded
    wait_until(lambda: not marked(mark))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_the_workflow(tmp_path: Path, mark: str, number: signal.Signals) -> None:
    process = start(tmp_path, workflow(sleeper("main", mark, tmp_path)))
    wait_until((tmp_path / "up").exists)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert output.split() == ["Failed", "130"]
    assert "Traceback" not in errors
    assert not marked(mark)


def test_interrupt_lets_a_step_end_cleanly(tmp_path: Path) -> None:
    script = (
        "trap 'mkdir -p /tmp/out; echo saved > /tmp/out/x; exit 143' TERM\n"
        'touch "$READY/up"\nwhile true; do sleep 0.05; done'
    )
    template = shell("main", script, outputs=out("x"))
    template["container"]["env"] = [{"name": "READY", "value": str(tmp_path)}]
    process = start(tmp_path, workflow(template))
    wait_until((tmp_path / "up").exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    status = json.loads((tmp_path / "store/runs/wf/workflow.json").read_text())["status"]
    assert status["nodes"]["wf"]["outputs"]["parameters"][0]["value"] == "saved"


def test_second_interrupt_kills(tmp_path: Path, mark: str) -> None:
    flow = workflow(sleeper("main", mark, tmp_path, before="trap '' TERM"))
    process = start(tmp_path, flow, grace=600)
    wait_until((tmp_path / "up").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert output.split() == ["Failed", "130"], errors
    assert not marked(mark)


def test_exit_handler_runs_after_an_interrupt(tmp_path: Path, mark: str) -> None:
    after = shell("after", 'touch "$READY/after"')
    after["container"]["env"] = [{"name": "READY", "value": str(tmp_path)}]
    process = start(tmp_path, workflow(sleeper("main", mark, tmp_path), after, onExit="after"))
    wait_until((tmp_path / "up").exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert (tmp_path / "after").exists()


def test_killed_run_is_resumed(tmp_path: Path, mark: str) -> None:
    here = {"name": "HERE", "value": str(tmp_path)}
    script = 'echo x >> "$HERE/first"; mkdir -p /tmp/out; echo made > /tmp/out/x'
    first = shell("first", script, outputs=out("x"))
    first["container"]["env"] = [here]
    wait = f"exec python -c 'import time; time.sleep(1000)' {mark}"
    script = f'echo x >> "$HERE/second"; test -e "$HERE/open" || {wait}; echo "$X" > "$HERE/seen"'
    second = shell("second", script, inputs={"parameters": [{"name": "x"}]})
    second["container"]["env"] = [here, {"name": "X", "value": "{{inputs.parameters.x}}"}]
    argument = {"parameters": [{"name": "x", "value": "{{tasks.a.outputs.parameters.x}}"}]}
    flow = workflow(
        dag(
            {"name": "a", "template": "first"},
            {"name": "b", "template": "second", "depends": "a", "arguments": argument},
        ),
        first,
        second,
    )
    process = start(tmp_path, flow)
    wait_until((tmp_path / "second").exists)
    process.kill()
    process.communicate()
    with pytest.raises(RefusedError) as caught:
        Run.load("other", options=RunOptions(store=tmp_path / "store"))
    assert caught.value.code == "TIP211"
    (tmp_path / "open").touch()
    result = resume("wf", options=RunOptions(store=tmp_path / "store"))
    assert result.succeeded
    assert (tmp_path / "first").read_text() == "x\n"
    assert (tmp_path / "second").read_text() == "x\nx\n"
    assert (tmp_path / "seen").read_text() == "made\n"
    with pytest.raises(RefusedError) as caught:
        resume("wf", options=RunOptions(store=tmp_path / "store"))
    assert caught.value.code == "TIP212"


def test_what_was_killed_before_it_began_is_no_earlier_run(tmp_path: Path) -> None:
    """Its journal has no facts: the same name begins in its place, and nothing is kept under a number."""
    folder = tmp_path / "store/runs/wf"
    folder.mkdir(parents=True)
    Journal(folder / "journal.db").close()
    with pytest.raises(RefusedError) as caught:
        resume("wf", options=RunOptions(store=tmp_path / "store"))
    assert caught.value.code == "TIP226"
    assert execute(tmp_path, workflow(shell("main", "true")), name="wf").succeeded
    assert [each.name for each in folder.parent.iterdir()] == ["wf"]
    assert execute(tmp_path, workflow(shell("main", "true")), name="wf").succeeded
    assert sorted(each.name for each in folder.parent.iterdir()) == ["wf", "wf.1"]


def test_killed_run_gives_its_locks_back(tmp_path: Path, mark: str) -> None:
    template = sleeper("main", mark, tmp_path)
    template["synchronization"] = {"mutexes": [{"name": "only-one"}]}
    process = start(tmp_path, workflow(template))
    wait_until((tmp_path / "up").exists)
    process.kill()
    process.communicate()
    other = shell("main", "true", synchronization={"mutexes": [{"name": "only-one"}]})
    assert execute(tmp_path, workflow(other)).succeeded


def test_run_killed_between_its_record_and_the_release_leaves_no_row(tmp_path: Path) -> None:
    """The end of the step is in the journal, its lock is still in the table: nobody asks for it again."""
    template = shell("main", "true", synchronization={"mutexes": [{"name": "only-one"}]})
    program = (
        "import json, os, sys\n"
        "from tiphys.engine import RunOptions, run\n"
        "def kill(told):\n"
        "    if getattr(told, 'change', '') == 'finished': os.kill(os.getpid(), 9)\n"
        "options = RunOptions(store=sys.argv[2], name='wf', observer=kill)\n"
        "run(json.loads(sys.argv[1]), options=options)\n"
    )
    store = tmp_path / "store"
    command = [sys.executable, "-c", program, json.dumps(workflow(template)), str(store)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with sqlite3.connect(store / "locks.db") as table:
        query = "SELECT holder FROM holders UNION SELECT holder FROM waiters"
        assert len(table.execute(query).fetchall()) == 1
        assert resume("wf", options=RunOptions(store=store)).succeeded
        assert table.execute(query).fetchall() == []
    table.close()


def test_run_in_another_process_is_not_touched(tmp_path: Path, mark: str) -> None:
    process = start(tmp_path, workflow(sleeper("main", mark, tmp_path)))
    wait_until((tmp_path / "up").exists)
    try:
        with pytest.raises(RefusedError) as caught:
            resume("wf", options=RunOptions(store=tmp_path / "store"))
        assert caught.value.code == "TIP210"
    finally:
        process.kill()
        process.communicate()


def test_killed_keepers_are_one_clear_error(tmp_path: Path, mark: str) -> None:
    guard = "$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status)"
    template = sleeper("main", mark, tmp_path, before=f"kill -9 {guard} $PPID")
    with pytest.raises(RunError) as caught:
        execute(tmp_path, workflow(template))
    assert caught.value.code == "TIP301"
    wait_until(lambda: not marked(mark))


def test_engine_and_keeper_killed_together_leave_no_process(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPHYS_KEEPER_GRACE", "0")
    process = start(
        tmp_path, workflow(sleeper("main", mark, tmp_path, before='echo $PPID > "$READY/keeper"'))
    )
    wait_until((tmp_path / "up").exists)
    wait_until(lambda: len(marked(mark)) >= 4)
    process.kill()
    os.kill(int((tmp_path / "keeper").read_text()), signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not marked(mark))


def test_full_disk_is_one_clear_error_and_the_run_goes_on_later(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the journal cannot grow."""
    template = shell("n", "true")
    flow = workflow(
        {"name": "main", "steps": [[{"name": "n", "template": "n", "withSequence": {"count": "400"}}]]},
        template,
    )
    limit = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))\n"
    )
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(flow))
    command = [sys.executable, "-c", limit + PROGRAM, str(path), str(tmp_path / "store"), "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "TIP411" in done.stderr, done.stderr
    assert "free some space" in done.stderr
    result = resume("wf", options=RunOptions(store=tmp_path / "store"))
    assert result.succeeded
    assert len(result.workflow["status"]["nodes"]) == 402


def test_stop_from_another_thread(tmp_path: Path) -> None:
    recorder = Recorder()
    run = Run(
        workflow(shell("main", "exec sleep 1000")),
        options=RunOptions(
            store=tmp_path / "store", observer=lambda each: (recorder(each), stop(each)), grace=5.0
        ),  # type: ignore[func-returns-value]
    )

    def stop(observation: object) -> None:
        if getattr(observation, "change", "") == "started":
            run.shutdown("Stop")

    result = run.execute()
    assert result.phase == "Failed"
    assert result.message == "Stopped with strategy 'Stop'"


def test_observer_hears_of_the_interrupt(tmp_path: Path) -> None:
    recorder = Recorder()
    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in a shell's background

    def observe(observation: object) -> None:
        recorder(observation)  # type: ignore[arg-type]
        if getattr(observation, "change", "") == "started":
            os.kill(os.getpid(), signal.SIGINT)

    result = execute(tmp_path, workflow(shell("main", "exec sleep 1000")), observer=observe)
    assert result.interrupted
    assert any("stopping" in notice.text for notice in recorder.of(Notice))
    assert signal.getsignal(signal.SIGINT) is before
    assert node(result, result.name)["phase"] == "Failed"
