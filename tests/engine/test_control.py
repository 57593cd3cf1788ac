"""Runs changed from another process: a real engine in its own process, and engines that are killed at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import shell, wait_until, workflow
from tiphys.cli import main
from tiphys.engine import RunOptions
from tiphys.engine.machine.protocol import Shutdown
from tiphys.engine.runtime import retry as again
from tiphys.engine.runtime.journal import Journal
from tiphys.engine.runtime.run import Run
from tiphys.engine.runtime.stored import Record
from tiphys.errors import RefusedError
from tiphys.runs import Client
from tiphys.runs.local import LocalRuns
from tiphys.store import Store

pytestmark = pytest.mark.long

Json = Any


def steps(here: Path, *templates: Json) -> Json:
    """One step after the other; each finds ``here`` as $HERE."""
    main_ = {
        "name": "main",
        "steps": [[{"name": item["name"], "template": item["name"]}] for item in templates],
    }
    return workflow(main_, *(at(here, item) for item in templates))


def at(here: Path, template: Json) -> Json:
    template["container"]["env"] = [{"name": "HERE", "value": str(here)}]
    return template


def options(tmp_path: Path, **more: Json) -> RunOptions:
    return RunOptions(
        store=tmp_path / "store",
        images={"tiphys/*": "host"},
        handle_signals=False,
        name=more.pop("name", "r"),
        **more,
    )


def failing(tmp_path: Path) -> Json:
    """Three steps of which the second fails while ``good`` is not there; each notes that it ran."""
    return steps(
        tmp_path,
        shell("a", "echo a >> $HERE/log"),
        shell("b", "echo b >> $HERE/log; test -e $HERE/good"),
        shell("c", "echo c >> $HERE/log"),
    )


def long(tmp_path: Path) -> Json:
    """A step that waits until ``good`` is there, and an exit handler that notes that it ran."""
    made = steps(
        tmp_path,
        shell("a", "echo a >> $HERE/log"),
        shell("b", "echo b >> $HERE/log; until test -e $HERE/good; do sleep 0.05; done"),
    )
    made["spec"]["templates"].append(at(tmp_path, shell("leave", "echo leave >> $HERE/log")))
    made["spec"]["onExit"] = "leave"
    return made


def noted(tmp_path: Path) -> str:
    return (tmp_path / "log").read_text().replace("\n", "")


def phases(found: Json) -> dict[str, str]:
    return {
        node["displayName"]: node["phase"]
        for node in found["status"]["nodes"].values()
        if node["type"] == "Pod"
    }


def engine(tmp_path: Path, what: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """A Python process that does something with the store's run ``r``."""
    code = f"""
import json, sys
from tiphys.engine import RunOptions
from tiphys.engine.runtime import retry as again
from tiphys.engine.runtime.run import Run
from tiphys.errors import RefusedError
options = RunOptions(store={str(tmp_path / "store")!r}, images={{"tiphys/*": "host"}}, name="r")
{what}
"""
    env = {**os.environ, "TIPHYS_KEEPER_GRACE": "0"}  # what outlives a killed engine: tests/engine/outliving
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=stdout, stderr=subprocess.DEVNULL, env=env
    )
    _STARTED.append(process)
    return process


_STARTED: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def no_engine_is_left() -> Iterator[None]:
    """A test that fails half way leaves no engine behind for the next one to stumble over."""
    yield
    while _STARTED:
        process = _STARTED.pop()
        process.kill()
        process.wait()


def run_elsewhere(tmp_path: Path, spec: Json) -> subprocess.Popen[bytes]:
    (tmp_path / "w.json").write_text(json.dumps(spec))
    return engine(tmp_path, f"Run(json.load(open({str(tmp_path / 'w.json')!r})), options=options).execute()")


def test_a_run_that_was_left_alone_is_followed_stopped_and_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "ARGO_SERVER"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "w.json"
    file.write_text(json.dumps(long(tmp_path)))

    def tiphys(*words: str) -> tuple[int, str]:
        code = main(words)
        return code, capsys.readouterr().out

    code, name = tiphys("run", str(file), "--image", "tiphys/*=host", "--detach")
    name = name.strip()
    assert code == 0 and name.startswith("test-")
    wait_until(lambda: json.loads(tiphys("get", name, "--json")[1])["status"].get("progress") == "1/2")
    (listed,) = json.loads(tiphys("list", "--json")[1])
    assert (listed["metadata"]["name"], listed["status"]["phase"]) == (name, "Running")
    assert tiphys("retry", name)[0] == 2
    code, text = tiphys("stop", name, "--json")
    assert code == 0 and json.loads(text)["spec"]["shutdown"] == "Stop"
    assert tiphys("wait", name)[0] == 1
    found = json.loads(tiphys("get", name, "--json")[1])
    assert found["status"]["message"] == "Stopped with strategy 'Stop'"
    assert noted(tmp_path) == "ableave"
    assert tiphys("stop", name)[0] == 2
    (tmp_path / "good").touch()
    code, text = tiphys("retry", name, "--json")
    assert code == 0 and set(phases(json.loads(text)).values()) == {"Succeeded"}
    assert noted(tmp_path) == "ableavebleave"
    code, text = tiphys("resubmit", name, "--json")
    again = json.loads(text)
    assert code == 0 and again["metadata"]["name"] != name
    assert again["metadata"]["labels"]["workflows.argoproj.io/resubmitted-from-workflow"] == name
    assert noted(tmp_path) == "ableavebleaveableave"
    assert main(["logs", name, "--json"]) == 0
    assert main(["delete", name, "--local"]) == 0
    assert tiphys("get", name)[0] == 2


def test_a_wrong_name_lists_near_ones(tmp_path: Path) -> None:
    Run(steps(tmp_path, shell("a", "true")), options=options(tmp_path, name="morning-run")).execute()
    with pytest.raises(RefusedError, match="morning-run") as caught:
        Client(store=tmp_path / "store").get("mornin-run")
    assert caught.value.code == "TIP211"


def test_a_pipeline_is_detached_only_when_it_can_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "w.json"
    spec = steps(tmp_path, shell("a", "true"))
    spec["spec"]["templates"][1]["container"]["image"] = "nobody/knows:1"
    file.write_text(json.dumps(spec))
    assert main(["run", str(file), "--detach", "--store", str(tmp_path / "store")]) == 2
    assert "TIP218" in (said := capsys.readouterr().err)
    assert "TIP220" in said and "nobody/knows:1" in said


@pytest.mark.parametrize("verb", ["retry", "stop", "resume", "terminate"])
def test_a_killed_run_can_be_changed(verb: str, tmp_path: Path) -> None:
    process = run_elsewhere(tmp_path, long(tmp_path))
    wait_until(lambda: (tmp_path / "log").exists() and noted(tmp_path) == "ab")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    local = LocalRuns(options(tmp_path))
    client = Client(backend=local, namespace="argo")
    assert "killed" in client.get("r").message
    if verb in ("retry", "resume"):
        (tmp_path / "good").touch()
    getattr(client, verb)("r")
    found = client.get("r").workflow
    if verb in ("retry", "resume"):
        assert found["status"]["phase"] == "Succeeded"
        assert noted(tmp_path) == "abbleave"
    else:
        assert found["status"]["phase"] == "Failed"
        strategy = verb.capitalize()
        assert found["status"]["message"] == f"Stopped with strategy '{strategy}'"
        assert noted(tmp_path) == ("ableave" if verb == "stop" else "ab")


def test_runs_are_found_by_any_label_selector(tmp_path: Path) -> None:
    for name, app in (("first", "a"), ("second", "c")):
        text = workflow(shell("main", "true"))
        text["metadata"]["labels"] = {"app": app}
        Run(text, options=options(tmp_path, name=name)).execute()
    client = Client(backend=LocalRuns(options(tmp_path)), namespace="argo")
    found = {
        selector: [item.name for item in client.list(labels=selector)]
        for selector in ("app in (a,b)", "app notin (a)", "!app", "app==c,app!=a", "app")
    }
    assert found == {
        "app in (a,b)": ["first"],
        "app notin (a)": ["second"],
        "!app": [],
        "app==c,app!=a": ["second"],
        "app": ["second", "first"],
    }
    with pytest.raises(RefusedError, match="found 'c', expected: ',' or 'end of string'") as raised:
        client.list(labels="app=a c")
    assert raised.value.code == "TIP266"
    with pytest.raises(RefusedError) as raised:
        client.resume("first", nodes="garbage")
    assert raised.value.code == "TIP266"


def test_what_is_asked_of_a_killed_run_is_not_lost(tmp_path: Path) -> None:
    """Written down, and then the asking process is killed, too: who goes on with the run carries it out, once."""
    process = run_elsewhere(tmp_path, long(tmp_path))
    wait_until(lambda: (tmp_path / "log").exists() and noted(tmp_path) == "ab")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with Record(Store(tmp_path / "store"), "r") as record:
        number = record.journal.request(Shutdown(time.time(), "Stop"))
    result = Run.load("r", options=options(tmp_path)).execute()
    assert result.message == "Stopped with strategy 'Stop'" and noted(tmp_path) == "ableave"
    with Record(Store(tmp_path / "store"), "r") as record:
        assert record.journal.answered(number) == ""
        assert sum(isinstance(event, Shutdown) for event in record.journal.events()) == 1


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("moment", ["before", "record gone", "begun"])
def test_a_retry_that_is_killed_can_be_given_again(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = options(tmp_path)
    assert Run(failing(tmp_path), options=chosen).execute().phase == "Failed"
    (tmp_path / "good").touch()

    def die(*_: object, **__: object) -> None:
        raise Killed

    restart = Journal.restart

    def die_after(journal: Journal, facts: Json) -> None:
        restart(journal, facts)
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "before":
            patch.setattr(Path, "unlink", die)
        else:
            patch.setattr(Journal, "restart", die if moment == "record gone" else die_after)
        with pytest.raises(Killed):
            again.prepare_retry("r", options=chosen)
    result = again.prepare_retry("r", options=chosen).execute()
    assert result.phase == "Succeeded" and noted(tmp_path) == "abbc"
    assert set(phases(result.workflow).values()) == {"Succeeded"}


def test_a_retry_killed_at_any_time_is_given_again(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    spec = failing(tmp_path)
    spec["spec"]["templates"][2] = at(
        tmp_path, shell("b", "sleep 0.2; echo b >> $HERE/log; test -e $HERE/good")
    )
    assert Run(spec, options=chosen).execute().phase == "Failed"
    (tmp_path / "good").touch()
    for wait in (0.15, 0.25, 0.35, 0.45, 0.6, 0.8):
        process = engine(tmp_path, "again.prepare_retry('r', options=options).execute()")
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        with Record(Store(tmp_path / "store"), "r") as record:
            found = record.workflow()
            assert found["status"]["nodes"]
        if found["status"]["phase"] == "Succeeded":
            break
    else:
        found = again.prepare_retry("r", options=chosen).execute().workflow
    assert found["status"]["phase"] == "Succeeded"
    assert set(phases(found).values()) == {"Succeeded"}
    assert noted(tmp_path).count("a") == 1


def test_a_stop_killed_at_any_time_is_given_again(tmp_path: Path) -> None:
    process = run_elsewhere(tmp_path, long(tmp_path))
    wait_until(lambda: (tmp_path / "log").exists() and noted(tmp_path) == "ab")
    asked = subprocess.Popen(
        [sys.executable, "-m", "tiphys", "stop", "r", "--store", str(tmp_path / "store")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    os.kill(asked.pid, signal.SIGKILL)
    process.wait()
    asked.wait()
    client = Client(backend=LocalRuns(options(tmp_path)), namespace="argo")
    if not client.get("r").ended:
        client.stop("r")
    found = client.get("r")
    assert (found.phase, found.message) == ("Failed", "Stopped with strategy 'Stop'")
    assert "leave" in noted(tmp_path)


def test_only_one_engine_has_a_run(tmp_path: Path) -> None:
    process = run_elsewhere(tmp_path, long(tmp_path))
    wait_until(lambda: (tmp_path / "log").exists() and noted(tmp_path) == "ab")
    for second in (again.prepare_retry, lambda name, options: Run.load(name, options=options).execute()):
        with pytest.raises(RefusedError) as caught:
            second("r", options=options(tmp_path))  # type: ignore[operator]
        assert caught.value.code == "TIP210"
    (tmp_path / "good").touch()
    assert process.wait(60) == 0  # what the others tried did it no harm
    assert noted(tmp_path) == "ableave"


def test_a_run_remembers_how_it_runs(tmp_path: Path) -> None:
    chosen = options(tmp_path, env={"WORD": "yes"})
    spec = steps(tmp_path, shell("a", 'echo "$WORD" >> $HERE/log; test -e $HERE/good'))
    assert Run(spec, options=chosen).execute().phase == "Failed"
    (tmp_path / "good").touch()
    bare = RunOptions(store=tmp_path / "store", handle_signals=False)
    assert again.prepare_retry("r", options=bare).execute().phase == "Succeeded"
    assert noted(tmp_path) == "yesyes"


def test_parameters_are_checked_before_a_retry(tmp_path: Path) -> None:
    spec = steps(tmp_path, shell("a", "false"))
    spec["spec"]["arguments"] = {"parameters": [{"name": "epochs", "value": "1"}]}
    assert Run(spec, options=options(tmp_path)).execute().phase == "Failed"
    with pytest.raises(RefusedError, match="Did you mean 'epochs'") as caught:
        again.prepare_retry("r", options=options(tmp_path), parameters={"epoch": "2"})
    assert caught.value.code == "TIP280"
    assert Client(store=tmp_path / "store").get("r").phase == "Failed"


def test_a_daemon_of_a_killed_run_is_started_again(tmp_path: Path) -> None:
    """What came after it had succeeded; it is gone with the engine all the same."""
    spec = steps(
        tmp_path,
        shell("server", "echo d >> $HERE/log; sleep 600", daemon=True),
        shell("b", "echo b >> $HERE/log"),
        shell("c", "echo c >> $HERE/log; until test -e $HERE/good; do sleep 0.05; done"),
    )
    process = run_elsewhere(tmp_path, spec)
    wait_until(lambda: (tmp_path / "log").exists() and sorted(noted(tmp_path)) == ["b", "c", "d"])
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (tmp_path / "good").touch()
    result = again.prepare_retry("r", options=options(tmp_path)).execute()
    assert result.phase == "Succeeded" and sorted(noted(tmp_path)) == sorted("dbcdc")


def test_an_earlier_run_of_a_fixed_name_is_resubmitted(tmp_path: Path) -> None:
    spec = failing(tmp_path)
    for _ in range(2):
        Run(spec, options=options(tmp_path)).execute()
    (tmp_path / "good").touch()
    with pytest.raises(RefusedError, match="earlier run of 'r'"):
        again.prepare_retry("r.1", options=options(tmp_path))
    bare = RunOptions(store=tmp_path / "store", handle_signals=False)
    result = again.prepare_resubmit("r.1", options=bare, memoized=True).execute()
    assert result.phase == "Succeeded" and noted(tmp_path) == "ababbc"


def test_those_who_look_are_not_in_the_way_of_a_retry(tmp_path: Path) -> None:
    assert Run(failing(tmp_path), options=options(tmp_path)).execute().phase == "Failed"
    looking = threading.Event()
    store = Store(tmp_path / "store")

    def look() -> None:
        while not looking.is_set():
            store.held("r")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(20):
            again.prepare_retry("r", options=options(tmp_path)).execute()
    finally:
        looking.set()
        thread.join()
    assert noted(tmp_path).count("b") == 21


def test_runs_come_in_the_order_in_which_they_were_made_however_often_one_looks(tmp_path: Path) -> None:
    flow, store = workflow(shell("main", "true")), tmp_path / "store"
    for name in ("a", "b"):
        Run(flow, options=options(tmp_path, name=name)).execute()
    client = Client(store=store)
    for name in ("b", "a", "a"):
        client.get(name)
        assert Store(store).runs() == ["a", "b"]
        assert [each.name for each in client.list(limit=1)] == ["b"]
    Run(flow, options=options(tmp_path, name="a")).execute()
    assert [(each.name, each.record) for each in client.list()] == [("a", "a"), ("b", "b"), ("a", "a.1")]
    assert client.get("a.1").phase == "Succeeded" and client.get("@latest").record == "a"


def test_every_list_says_the_same_of_a_killed_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = run_elsewhere(tmp_path, long(tmp_path))
    wait_until(lambda: (tmp_path / "log").exists() and noted(tmp_path) == "ab")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    store = str(tmp_path / "store")
    told = []
    asked = ["list", "--where", "phase == 'Running'"]
    for words in (["list"], asked, ["list", "--json"]):
        assert main([*words, "--store", store]) == 0
        told.append(capsys.readouterr().out)
    for each in told[:2]:
        assert "Running" in each and "its engine was killed" in each
    assert main(["get", "r", "--json", "--store", store]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [shown] == json.loads(told[2])


def test_a_killed_run_is_resumed_by_an_engine_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = run_elsewhere(tmp_path, long(tmp_path))
    wait_until(lambda: (tmp_path / "log").exists() and noted(tmp_path) == "ab")
    store = str(tmp_path / "store")
    words = ["run", "--resume", "r", "--detach", "--store", store]
    assert main(words) == 2 and "TIP210" in capsys.readouterr().err  # it still goes on
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert main(words) == 0  # at once: the step waits for what is made below
    assert capsys.readouterr().out == "r\n"
    with Record(Store(store), "r") as record:
        assert record.state == "running"
    (tmp_path / "good").touch()
    assert Client(store=store).wait("r", timeout=60).succeeded
    assert noted(tmp_path) == "abbleave"
    assert (tmp_path / "store/runs/r/engine.log").is_file()
    assert main(words) == 2 and "TIP212" in capsys.readouterr().err


def test_a_fixed_name_is_detached_when_its_own_run_has_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not when there is one of that name from before; and what that one said stays with it."""
    file, store = tmp_path / "w.json", str(tmp_path / "store")
    words = ["run", str(file), "--name", "r", "--detach", "--image", "tiphys/*=host", "--store", store]
    spec = steps(tmp_path, shell("a", "echo a >> $HERE/log; until test -e $HERE/good; do sleep 0.05; done"))
    (tmp_path / "good").touch()
    file.write_text(json.dumps(spec))
    assert main(words) == 0
    first = Client(store=store).wait("r", timeout=60).workflow["metadata"]["uid"]
    wait_until(lambda: not Store(store).held("r"))
    said = (tmp_path / "store/runs/r/engine.log").read_text()
    (tmp_path / "good").unlink()
    try:
        assert main(words) == 0
        found = Client(store=store).get("r")
        assert found.workflow["metadata"]["uid"] != first and not found.ended
        assert (tmp_path / "store/runs/r.1/engine.log").read_text().startswith(said) and "r starts" in said
        capsys.readouterr()
        assert main(words) == 2 and "TIP210" in capsys.readouterr().err
    finally:
        (tmp_path / "good").touch()
    assert Client(store=store).wait("r", timeout=60).succeeded
    assert not [path for path in (tmp_path / "store/runs").iterdir() if path.is_file()]


def test_a_run_of_another_version_is_listed_as_it_ended(tmp_path: Path) -> None:
    Run(workflow(shell("main", "true")), options=options(tmp_path)).execute()
    journal = Journal(tmp_path / "store/runs/r/journal.db")
    journal.write_facts({"version": 999})
    journal.close()
    client = Client(store=tmp_path / "store")
    (found,) = client.list()
    assert (found.name, found.phase) == ("r", "Succeeded")
    with pytest.raises(RefusedError) as caught:
        client.retry("r")
    assert caught.value.code == "TIP213"


def test_many_engines_that_want_one_name_at_once_each_have_a_run_of_their_own(tmp_path: Path) -> None:
    """Two renamed the folder of the same earlier run, and one of them the folder that the other ran in."""
    (tmp_path / "w.json").write_text(json.dumps(steps(tmp_path, shell("a", "echo a >> $HERE/log"))))
    code = f"""
        import time
        time.sleep(max(0, {time.time() + 3} - time.time()))
        for _ in range(4):
            try:
                Run(json.load(open({str(tmp_path / "w.json")!r})), options=options).execute()
                print("ran", flush=True)
            except RefusedError as error:
                assert error.code == "TIP210", error
    """
    processes = [engine(tmp_path, textwrap.dedent(code), stdout=subprocess.PIPE) for _ in range(4)]
    ran = "".join(process.communicate(timeout=120)[0].decode() for process in processes).count("ran")
    assert [process.returncode for process in processes] == [0] * 4
    names = Store(tmp_path / "store").runs()
    assert len(names) == ran == len(noted(tmp_path)) >= 4
    for name in names:
        journal = Journal(tmp_path / "store/runs" / name / "journal.db")
        begun = [event for event in journal.events() if type(event).__name__ == "Begin"]
        journal.close()
        assert len(begun) == 1 and Client(store=tmp_path / "store").get(name).succeeded
