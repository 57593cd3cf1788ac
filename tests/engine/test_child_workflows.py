"""Workflows made by a resource template are runs like any other: one owner, one record, the verbs of all runs."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import IMAGE, shell, wait_until, workflow
from tiphys.argo.version import Argo
from tiphys.cli import main
from tiphys.engine import RunOptions, RunResult, resume, run
from tiphys.engine.runtime.journal import Journal
from tiphys.engine.runtime.stored import Record
from tiphys.runs import Client
from tiphys.store import Store

Json = Any
CONDITIONS = {
    "successCondition": "status.phase == Succeeded",
    "failureCondition": "status.phase in (Failed, Error)",
}


def child(script: str, here: Path | None = None, **metadata: Json) -> Json:
    """A Workflow of one step, which finds ``here`` as $HERE."""
    container = {
        "image": IMAGE,
        "command": ["sh", "-c", script],
        "env": [{"name": "HERE", "value": str(here)}],
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": metadata or {"name": "child"},
        "spec": {
            "entrypoint": "main",
            "templates": [{"name": "main", "container": container}],
        },
    }


def making(manifest: Json, name: str = "make", action: str = "create", **more: Json) -> Json:
    resource = {"action": action, "manifest": json.dumps(manifest), **CONDITIONS, **more}
    return {"name": name, "resource": {key: value for key, value in resource.items() if value}}


def steps(*names: str) -> Json:
    return {"name": "main", "steps": [[{"name": name, "template": name}] for name in names]}


def start(tmp_path: Path, flow: Json, name: str, **more: Json) -> RunResult:
    return run(flow, options=options(tmp_path, name=name), **more)


def options(tmp_path: Path, **more: Json) -> RunOptions:
    return RunOptions(store=tmp_path / "store", images={"tiphys/*": "host"}, handle_signals=False, **more)


def elsewhere(tmp_path: Path, flow: Json, name: str) -> subprocess.Popen[bytes]:
    """The same in a process of its own."""
    (tmp_path / f"{name}.json").write_text(json.dumps(flow))
    code = f"""
        import json, sys
        from tiphys.engine import RunOptions, run
        options = RunOptions(store={str(tmp_path / "store")!r}, images={{"tiphys/*": "host"}}, name={name!r})
        sys.exit(run(json.load(open({str(tmp_path / f"{name}.json")!r})), options=options).exit_code)
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])


def elsewhere_resumed(tmp_path: Path) -> subprocess.Popen[bytes]:
    words = ["run", "--resume", "parent", "--store", str(tmp_path / "store"), "--image", "tiphys/*=host"]
    return subprocess.Popen([sys.executable, "-m", "tiphys", *words])


def kinds(tmp_path: Path, name: str) -> list[str]:
    journal = Journal(tmp_path / "store/runs" / name / "journal.db")
    try:
        return [type(event).__name__ for event in journal.events()]
    finally:
        journal.close()


def message(result: RunResult, display: str) -> str:
    nodes = result.workflow["status"]["nodes"].values()
    return next(str(node.get("message", "")) for node in nodes if node["displayName"] == display)


def said(tmp_path: Path, name: str) -> list[str]:
    return [line.text for line in Client(store=tmp_path / "store").logs(name)]


# -- whose folder it is -------------------------------------------------------------------------------------------


def test_a_child_that_is_named_as_an_earlier_run_leaves_its_record_alone(tmp_path: Path) -> None:
    assert start(tmp_path, workflow(shell("main", "echo first")), "victim").succeeded
    assert start(tmp_path, workflow(making(child("echo second", name="victim"))), "parent").succeeded
    assert said(tmp_path, "victim.1") == ["first"]
    assert said(tmp_path, "victim") == ["second"]
    assert kinds(tmp_path, "victim").count("Begin") == kinds(tmp_path, "victim.1").count("Begin") == 1


def test_two_parents_one_after_another_with_the_same_child(tmp_path: Path) -> None:
    for number in (1, 2):
        flow = workflow(making(child(f"echo {number}")))
        assert start(tmp_path, flow, f"parent-{number}").succeeded
    assert said(tmp_path, "child") == ["2"] and said(tmp_path, "child.1") == ["1"]
    store = Store(tmp_path / "store")
    assert store.runs() == ["parent-1", "child.1", "parent-2", "child"]


def test_two_parents_at_once_with_the_same_child(tmp_path: Path) -> None:
    """The name is taken while another engine goes on with the run: the API server says AlreadyExists."""
    waits = child("echo held; until test -e $HERE/go; do sleep 0.05; done", tmp_path)
    first = elsewhere(tmp_path, workflow(making(waits)), "first")
    wait_until(
        lambda: (
            (tmp_path / "store/runs/child/journal.db").exists() and "PodRunning" in kinds(tmp_path, "child")
        )
    )
    second = start(tmp_path, workflow(making(child("echo late"))), "second")
    assert (second.phase, message(second, "second")) == (
        "Failed",
        "main: Error (exit code 64): no more retries Error from server (AlreadyExists): "
        'workflows.argoproj.io "child" already exists',
    )
    (tmp_path / "go").touch()
    assert first.wait(60) == 0
    assert said(tmp_path, "child") == ["held"]
    assert kinds(tmp_path, "child").count("Begin") == 1
    assert not (tmp_path / "store/runs/child.1").exists()


def test_many_engines_want_one_name_at_once(tmp_path: Path) -> None:
    flow = workflow(making(child("echo x")))
    processes = [elsewhere(tmp_path, flow, f"p{number}") for number in range(3)]
    ended = [process.wait(120) for process in processes]
    made = [name for name in Store(tmp_path / "store").runs() if name.startswith("child")]
    assert ended.count(0) == len(made) >= 1
    assert all(kinds(tmp_path, name).count("Begin") == 1 for name in made)
    assert all(said(tmp_path, name) == ["x"] for name in made)


def test_within_one_run_a_name_is_taken_also_by_one_that_has_ended(tmp_path: Path) -> None:
    make = making(child("true"))
    result = start(tmp_path, workflow(steps("make", "again"), make, {**make, "name": "again"}), "parent")
    assert message(result, "again").endswith('"child" already exists') and result.phase == "Failed"
    own = start(tmp_path, workflow(making(child("true", name="itself"))), "itself")
    assert message(own, "itself").endswith('"itself" already exists')


def test_a_child_that_was_deleted_while_it_ran_gives_its_name_back(tmp_path: Path) -> None:
    script = "echo one; touch $HERE/one; exec sleep 600"
    long = making(child(script, tmp_path), "long", successCondition="status.phase == Running")
    seen = shell("seen", "until test -e $HERE/one; do sleep 0.05; done")
    seen["container"]["env"] = [{"name": "HERE", "value": str(tmp_path)}]
    gone = making(child(""), "gone", "delete", successCondition="", failureCondition="")
    again = making(child("echo two"), "again")
    flow = workflow(steps("long", "seen", "gone", "again"), long, seen, gone, again)
    result = start(tmp_path, flow, "parent")
    assert result.succeeded, result.workflow["status"]
    assert said(tmp_path, "child") == ["two"] and said(tmp_path, "child.1") == ["one"]
    assert Client(store=tmp_path / "store").get("child.1").phase == "Failed"


# -- what is known of it ------------------------------------------------------------------------------------------


def test_the_verbs_take_a_child_that_succeeded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = child("echo here", name="child", labels={"app": "a"})
    assert start(tmp_path, workflow(making(manifest)), "parent").succeeded
    client, store = Client(store=tmp_path / "store"), str(tmp_path / "store")
    found = client.get("child")
    assert (found.phase, found.ended, found.progress) == ("Succeeded", True, "1/1")
    assert [item.name for item in client.list()] == ["child", "parent"]
    assert [item.name for item in client.list(labels="app=a")] == ["child"]
    assert main(["logs", "child", "--store", store]) == 0
    assert "here" in capsys.readouterr().out
    assert main(["get", "child", "--store", store]) == 0
    assert "Succeeded" in capsys.readouterr().out
    with pytest.raises(Exception, match="Succeeded") as refused:
        client.retry("child", parameters={})
    assert getattr(refused.value, "code", "") == "TIP216"
    again = client.resubmit("child").name
    assert client.get(again).succeeded and said(tmp_path, again) == ["here"]


def test_a_child_that_failed_is_retried_as_any_run(tmp_path: Path) -> None:
    result = start(tmp_path, workflow(making(child("echo x; test -e $HERE/good", tmp_path))), "parent")
    assert result.phase == "Failed"
    assert "failure condition" in message(result, "parent")
    (tmp_path / "good").touch()
    again = Client(store=tmp_path / "store").retry("child")
    assert again.succeeded and kinds(tmp_path, "child").count("Begin") == 1


def test_an_invalid_child_ends_in_the_words_of_validation(tmp_path: Path) -> None:
    """The judge of every run: a parameter that is used and not there is seen by it only, before anything runs."""
    manifest = json.dumps(child("echo {{inputs.parameters.none}}")).replace("{{", "{{=sprig.trim('{{')}}", 1)
    flow = workflow(
        {"name": "main", "steps": [[{"name": "make", "template": "make"}]]},
        {"name": "make", "resource": {"action": "create", "manifest": manifest, **CONDITIONS}},
    )
    start(tmp_path, flow, "parent")
    found = Client(store=tmp_path / "store").get("child")
    assert found.phase == "Failed"
    assert found.message == ("invalid spec: templates.main: failed to resolve {{inputs.parameters.none}}")


def test_what_cannot_run_here_is_said_by_the_step(tmp_path: Path) -> None:
    manifest = child("true")
    manifest["spec"]["templates"][0]["container"]["image"] = "nobody/knows:1"
    result = start(tmp_path, workflow(making(manifest)), "parent")
    assert result.phase == "Failed" and "nobody/knows:1" in message(result, "parent")
    assert not (tmp_path / "store/runs/child").exists()


def test_a_child_hears_what_other_processes_ask(tmp_path: Path) -> None:
    process = elsewhere(tmp_path, workflow(making(child("echo x; exec sleep 600"))), "parent")
    wait_until(
        lambda: (
            (tmp_path / "store/runs/child/journal.db").exists() and "PodRunning" in kinds(tmp_path, "child")
        )
    )
    Client(store=tmp_path / "store").stop("child")
    assert process.wait(60) == 1
    found = Client(store=tmp_path / "store").get("child")
    assert (found.phase, found.message) == ("Failed", "Stopped with strategy 'Stop'")


def test_a_child_that_outlives_its_parent_is_cut_off_and_says_so(tmp_path: Path) -> None:
    waits = child("echo x; until test -e $HERE/go; do sleep 0.05; done", tmp_path)
    make = making(waits, successCondition="status.phase == Running")
    assert start(tmp_path, workflow(make), "parent").succeeded
    with Record(Store(tmp_path / "store"), "child") as record:
        assert record.state == "killed"
    (tmp_path / "go").touch()
    assert Client(store=tmp_path / "store").retry("child").succeeded


def test_a_child_gives_back_its_locks(tmp_path: Path) -> None:
    manifest = child("exec sleep 600")
    manifest["spec"]["synchronization"] = {"mutexes": [{"name": "m"}]}
    make = making(manifest, successCondition="status.phase == Running")
    assert start(tmp_path, workflow(make), "parent").succeeded
    after = workflow(
        shell("main", "true"), synchronization={"mutexes": [{"name": "m"}]}, activeDeadlineSeconds=30
    )
    assert start(tmp_path, after, "after").succeeded


def test_what_a_childs_step_makes_logs_for_the_child(tmp_path: Path) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "c", "image": IMAGE, "command": ["sh", "-c", "echo from the pod"]}],
        },
    }
    manifest = child("")
    manifest["spec"]["templates"] = [making(pod, "main")]
    assert start(tmp_path, workflow(making(manifest)), "parent").succeeded
    assert "from the pod" in said(tmp_path, "child") and "from the pod" not in said(tmp_path, "parent")


def killed_while(tmp_path: Path, flow: Json, seen: Callable[[], bool]) -> None:
    process = elsewhere(tmp_path, flow, "parent")
    wait_until(seen)
    process.kill()
    process.wait()


def two_steps(tmp_path: Path, **metadata: Json) -> Json:
    manifest = child("", tmp_path, **metadata)
    manifest["spec"]["templates"] = [
        steps("a", "b"),
        shell("a", "echo a >> $HERE/log"),
        shell("b", "echo b >> $HERE/log; until test -e $HERE/go; do sleep 0.05; done"),
    ]
    for template in manifest["spec"]["templates"][1:]:
        template["container"]["env"] = [{"name": "HERE", "value": str(tmp_path)}]
    return manifest


@pytest.mark.parametrize("metadata", [{"name": "child"}, {"generateName": "child-"}], ids=["fixed", "made"])
def test_a_child_goes_on_with_its_resumed_parent(tmp_path: Path, metadata: Json) -> None:
    log = tmp_path / "log"
    flow = workflow(making(two_steps(tmp_path, **metadata)))
    killed_while(tmp_path, flow, lambda: log.exists() and log.read_text().split() == ["a", "b"])
    (tmp_path / "go").touch()
    assert resume("parent", options=options(tmp_path)).succeeded
    assert log.read_text().split() == ["a", "b"]  # what had ended stays, what ran goes on
    names = [state.record for state in Client(store=tmp_path / "store").list()]
    assert len(names) == 2 and "parent" in names
    (name,) = {*names} - {"parent"}
    assert Client(store=tmp_path / "store").get(name).succeeded and kinds(tmp_path, name).count("Begin") == 1


def test_a_child_that_had_ended_is_not_run_again_for_its_resumed_parent(tmp_path: Path) -> None:
    """Its step was still to be told."""
    make = making(child("echo x >> $HERE/log", tmp_path), successCondition="status.phase == Nothing")
    killed_while(tmp_path, workflow(make), (tmp_path / "store/runs/child/workflow.json").exists)
    process = elsewhere_resumed(tmp_path)
    wait_until(lambda: Store(tmp_path / "store").held("parent"))
    time.sleep(1)
    Client(store=tmp_path / "store").terminate("parent")
    process.wait(60)
    assert (tmp_path / "log").read_text().split() == ["x"]
    assert Client(store=tmp_path / "store").get("child").succeeded


def test_a_retried_parent_makes_its_child_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    flow = workflow(making(two_steps(tmp_path)))
    killed_while(tmp_path, flow, lambda: log.exists() and log.read_text().split() == ["a", "b"])
    (tmp_path / "go").touch()
    assert Client(store=tmp_path / "store").retry("parent").succeeded
    assert log.read_text().split() == ["a", "b", "a", "b"]
    found = {state.record: state for state in Client(store=tmp_path / "store").list()}
    assert {name: state.phase for name, state in found.items()} == {
        "parent": "Succeeded",
        "child": "Succeeded",
        "child.1": "Running",
    }
    assert "a later run has its name" in found["child.1"].message


def test_a_child_that_succeeded_is_made_to_run_again(tmp_path: Path) -> None:
    assert start(tmp_path, workflow(making(child("echo x"))), "parent").succeeded
    words = ["--store", str(tmp_path / "store")]
    assert main(["retry", "child", "--restart-successful", "--node", "displayName=child", *words]) == 0
    assert said(tmp_path, "child").count("x") == 2


@pytest.mark.parametrize(("argo", "phase"), [("4.0", "Succeeded"), ("4.1", "Failed")])
def test_it_behaves_as_the_version_of_argo_that_its_parent_does(
    tmp_path: Path, argo: Argo, phase: str
) -> None:
    """An output that comes out as nil: a text in 4.0, an error in 4.1 (docs/conformance.md)."""
    made = child("true")
    made["spec"]["templates"] = [
        {
            "name": "main",
            "steps": [[{"name": "a", "template": "nap"}]],
            "outputs": {"parameters": [{"name": "o", "valueFrom": {"expression": "nil"}}]},
        },
        {"name": "nap", "suspend": {"duration": "0"}},
    ]
    found = run(workflow(making(made)), options=options(tmp_path, name="parent", argo=argo))
    assert found.phase == phase
    with Record(Store(tmp_path / "store"), "child") as record:
        assert record.begun().argo == argo
