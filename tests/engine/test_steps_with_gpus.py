"""Steps and GPUs, on stand-ins for the devices of a machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.gpus import TELL, A, B, gpu, machine
from tests.engine.harness import (
    IMAGE,
    RUNNERS,
    Recorder,
    dag,
    execute,
    log,
    node,
    sandboxed,
    shell,
    wait_until,
    workflow,
)
from tiphys.engine import NodeChanged, Notice
from tiphys.engine.pods.gpus import GpuDesk
from tiphys.engine.runners.gpus import GpuMachine
from tiphys.errors import RefusedError


def names(result: Any, display_name: str) -> list[str]:
    """Which GPUs the step saw: by CUDA and by the container toolkit."""
    cuda, toolkit = log(result, display_name).split()[:2]
    found = cuda.strip("[]")
    assert toolkit.strip("[]") == (found or "void")
    return [*filter(None, found.split(","))]


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_step_sees_its_own(tmp_path: Path, give: Any, runner: str) -> None:
    give(A, B)
    flow = workflow(gpu(shell("main", f"{TELL}; ls /dev/ | grep nvidia | xargs")))
    result = execute(tmp_path, flow, runner=runner, gpus=[1])
    assert result.succeeded, result.message
    assert names(result, result.name) == [B]
    if runner == "sandbox":
        assert log(result, result.name).splitlines()[1] == "nvidia-uvm nvidia1 nvidiactl"


@pytest.mark.parametrize("runner", RUNNERS)
def test_who_asks_for_none_sees_none(
    tmp_path: Path, give: Any, monkeypatch: pytest.MonkeyPatch, runner: str
) -> None:
    give(A)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    result = execute(tmp_path, workflow(shell("main", f"{TELL}; ls /dev")), runner=runner)
    assert names(result, result.name) == []
    if runner == "sandbox":
        assert "nvidia" not in log(result, result.name)


@pytest.mark.parametrize("runner", RUNNERS)
def test_what_the_template_says_wins(tmp_path: Path, give: Any, runner: str) -> None:
    give(A)
    template = gpu(shell("main", "echo $CUDA_VISIBLE_DEVICES"))
    template["container"]["env"] = [{"name": "CUDA_VISIBLE_DEVICES", "value": "mine"}]
    result = execute(tmp_path, workflow(template), runner=runner)
    assert log(result, result.name) == "mine\n"


def test_two_steps_do_not_share_one(tmp_path: Path, give: Any) -> None:
    give(A)
    body = gpu(shell("body", "cd /notes; echo begin >> lines; sleep 0.3; echo end >> lines"))
    body["container"]["volumeMounts"] = [{"name": "notes", "mountPath": "/notes"}]
    tasks = [{"name": f"t{at}", "template": "body"} for at in range(3)]
    volumes = [{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}]
    seen = Recorder()
    result = execute(tmp_path, workflow(dag(*tasks), body, volumes=volumes), observer=seen)
    assert result.succeeded, result.message
    lines = (tmp_path / "store/volumes/notes/lines").read_text().split()
    assert lines == ["begin", "end"] * 3
    waited = [
        each.node.get("message", "")
        for each in seen.of(NodeChanged)
        if each.node["displayName"] == "t2" and each.node["phase"] == "Pending"
    ]
    told = "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu"
    assert f"{told} (asks for 1 of 1, 0 free, 1 before it)" in waited
    assert "message" not in node(result, "t2")


def test_others_are_not_held_up(tmp_path: Path, give: Any) -> None:
    give(A)
    tasks = [{"name": f"t{at}", "template": "body"} for at in range(3)]
    body = gpu(shell("body", "until test -e /notes/go; do sleep 0.02; done"))
    free = shell("free", "touch /notes/go")
    for each in (body, free):
        each["container"]["volumeMounts"] = [{"name": "notes", "mountPath": "/notes"}]
    volumes = [{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}]
    flow = workflow(dag(*tasks, {"name": "free", "template": "free"}), body, free, volumes=volumes)
    assert execute(tmp_path, flow, max_pods=2).succeeded


def test_who_needs_two_is_not_overtaken(tmp_path: Path, give: Any) -> None:
    give(A, B)
    one = gpu(shell("one", "echo one >> /notes/lines; sleep 0.2"))
    two = gpu(shell("two", "echo two >> /notes/lines"), 2)
    for each in (one, two):
        each["container"]["volumeMounts"] = [{"name": "notes", "mountPath": "/notes"}]
    tasks = [{"name": f"t{at}", "template": "two" if at == 1 else "one"} for at in range(4)]
    volumes = [{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}]
    result = execute(tmp_path, workflow(dag(*tasks), one, two, volumes=volumes))
    assert result.succeeded, result.message
    assert (tmp_path / "store/volumes/notes/lines").read_text().split() == ["one", "two", "one", "one"]


@pytest.mark.parametrize(("uuids", "asks", "has"), [((A,), 2, "has 1"), ((), 1, "has none")])
def test_more_than_there_are(tmp_path: Path, give: Any, uuids: tuple[str, ...], asks: int, has: str) -> None:
    give(*uuids)
    seen = Recorder()
    result = execute(tmp_path, workflow(gpu(shell("main", "echo ran"), asks)), observer=seen)
    found = node(result, result.name)
    assert found["phase"] == "Error"
    assert found["message"].startswith(f"TIP235: it asks for {asks} of nvidia.com/gpu, and the run {has}")
    assert [each.code for each in seen.of(Notice)] == ["TIP235"]
    assert not list((result.folder / "logs").glob("*"))


@pytest.mark.parametrize("name", ["nvidia.com/mig-1g.5gb", "amd.com/gpu"])
def test_devices_of_another_kind(tmp_path: Path, give: Any, name: str) -> None:
    give(A)
    result = execute(tmp_path, workflow(gpu(shell("main", "echo ran"), "1", name)))
    found = node(result, result.name)
    assert (found["phase"], found["message"][:31]) == ("Error", f"TIP236: it asks for {name}"[:31])


def test_a_part_of_one_is_no_number(tmp_path: Path, give: Any) -> None:
    give(A)
    result = execute(tmp_path, workflow(gpu(shell("main", "true"), "500m")), invalid="")
    assert node(result, result.name)["phase"] == "Error"
    assert "must be an integer" in node(result, result.name)["message"]


def test_a_patch_asks_too(tmp_path: Path, give: Any) -> None:
    give(A)
    patch = json.dumps({"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": 1}}}]})
    result = execute(tmp_path, workflow(shell("main", TELL, podSpecPatch=patch)))
    assert names(result, result.name) == [A]


def test_each_container_has_its_own(tmp_path: Path, give: Any) -> None:
    give(A, B)
    limits = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
    each = {"image": IMAGE, "command": ["sh", "-c", TELL]}
    containers = [{"name": "main", **each, **limits}, {"name": "b", **each}, {"name": "c", **each, **limits}]
    before = [{"name": "first", **each, **limits}]
    template = {"name": "main", "containerSet": {"containers": containers}, "initContainers": before}
    result = execute(tmp_path, workflow(template))
    assert result.succeeded, result.message
    identity = result.name
    found = {
        name: (result.folder / "logs" / f"{identity}{name}.log").read_text().split()[0].strip("[]")
        for name in (".first", "", ".b", ".c")
    }
    assert found == {".first": A, "": A, ".b": "", ".c": B}


def test_those_that_there_are_not_are_refused(tmp_path: Path, give: Any) -> None:
    give(A)
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, workflow(shell("main", "true")), gpus=2)
    assert caught.value.code == "TIP234"
    assert not (tmp_path / "store" / "runs").exists() or not os.listdir(tmp_path / "store" / "runs")


def test_nothing_is_looked_at_where_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("looked at")

    monkeypatch.setattr(GpuMachine, "gpus", fail)
    monkeypatch.setattr(GpuDesk, "place", staticmethod(fail))
    assert execute(tmp_path, workflow(shell("main", "true"))).succeeded


ENGINE = """
import json, sys
from pathlib import Path
from tiphys.engine.pods.gpus import GpuDesk
from tiphys.engine import RunOptions, resume, run
GpuDesk.machine = type(GpuDesk.machine)(Path(sys.argv[1]) / "machine", {}, lambda: "")
GpuDesk.place = staticmethod(lambda: Path(sys.argv[1]) / "devices.db")
options = RunOptions(store=sys.argv[2], name="wf")
if sys.argv[3] == "resume":
    result = resume("wf", options=options)
else:
    result = run(json.load(open(sys.argv[3])), options=options)
print(result.phase, result.message)
"""


def engine(path: Path, store: str, flow: Mapping[str, Any] | None) -> subprocess.Popen[str]:
    """An engine of its own, on the machine of ``path``."""
    file = path / f"{store}.json"
    if flow is not None:
        file.write_text(json.dumps(flow))
    words = [
        sys.executable,
        "-c",
        ENGINE,
        str(path),
        str(path / store),
        "resume" if flow is None else str(file),
    ]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finished(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=60)[0].strip()


def held(path: Path) -> Any:
    """A flow of one step that has a GPU, notes its name and when it begins and ends, and waits for the word."""
    body = (
        f"cd /; cd {str(path)[1:]}; "  # not its own /tmp
        "echo $CUDA_VISIBLE_DEVICES >> names; echo begin >> lines; "
        "until test -e go; do sleep 0.02; done; echo end >> lines"
    )
    return workflow(gpu(shell("main", body)))


def lines(path: Path, name: str = "lines") -> list[str]:
    return (path / name).read_text().split() if (path / name).exists() else []


@pytest.mark.parametrize("stores", [("one", "one2"), ("two", "two")], ids=["two stores", "one store"])
def test_two_engines_do_not_share_one(tmp_path: Path, stores: tuple[str, str]) -> None:
    machine(tmp_path, A)
    flow = held(tmp_path)
    first = engine(tmp_path, stores[0], flow)
    wait_until(lambda: lines(tmp_path) == ["begin"])
    code = ENGINE.replace('name="wf"', 'name="other"')
    file = tmp_path / f"{stores[0]}.json"
    words = [sys.executable, "-c", code, str(tmp_path), str(tmp_path / stores[1]), str(file)]
    second = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    journal = tmp_path / stores[1] / "runs" / "other" / "journal.db"
    wait_until(lambda: journal.exists())
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.5)
    assert lines(tmp_path) == ["begin"]
    (tmp_path / "go").touch()
    assert finished(first) == finished(second) == "Succeeded"
    assert lines(tmp_path) == ["begin", "end"] * 2


def test_a_step_that_outlives_its_engine_keeps_its_own(tmp_path: Path) -> None:
    machine(tmp_path, A, B)
    flow = held(tmp_path)
    first = engine(tmp_path, "store", flow)
    wait_until(lambda: lines(tmp_path) == ["begin"])
    first.kill()
    finished(first)
    second = engine(tmp_path, "else", flow)  # it may have what is nobody's
    wait_until(lambda: lines(tmp_path) == ["begin"] * 2)
    assert lines(tmp_path, "names") == [A, B]
    third = engine(tmp_path, "more", flow)
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(1.5)
    again = engine(tmp_path, "store", None)
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(1.5)
    assert lines(tmp_path, "names") == [A, B]
    (tmp_path / "go").touch()
    assert {finished(each) for each in (second, third, again)} == {"Succeeded"}
    assert lines(tmp_path, "lines").count("begin") == 3


def test_a_gang_that_outlives_its_engine_keeps_its_own(tmp_path: Path) -> None:
    machine(tmp_path, A, B)
    body = held(tmp_path)["spec"]["templates"][0]["container"]["command"][-1]
    worker = {
        "name": "tensorflow",
        "image": "tiphys/step:test",
        "command": ["sh", "-c", body],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "job"},
        "spec": {
            "successPolicy": "AllWorkers",
            "tfReplicaSpecs": {
                "Worker": {
                    "replicas": 2,
                    "restartPolicy": "Never",
                    "template": {"spec": {"containers": [worker]}},
                }
            },
        },
    }
    done = "status.replicaStatuses.Worker.succeeded == 2"
    resource = {"action": "create", "manifest": json.dumps(job), "successCondition": done}
    first = engine(tmp_path, "store", workflow({"name": "main", "resource": resource}))
    wait_until(lambda: lines(tmp_path) == ["begin"] * 2)
    first.kill()
    finished(first)
    other = engine(tmp_path, "else", held(tmp_path))
    again = engine(tmp_path, "store", None)
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(8)  # longer than what nobody comes for is kept
    assert sorted(lines(tmp_path, "names")) == [A, B] and len(lines(tmp_path)) == 2
    (tmp_path / "go").touch()
    assert {finished(each) for each in (other, again)} == {"Succeeded"}
    assert lines(tmp_path).count("begin") == 3 and lines(tmp_path).count("end") == 3


@sandboxed
def test_a_step_in_an_unpacked_image_finds_the_driver(tmp_path: Path, give: Any) -> None:
    """An image has none of the host's driver; without its libraries a framework goes on with the CPU."""
    give(A)
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    root = tmp_path / "image"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "bin/ls").symlink_to("busybox")
    script = "for each in $(echo $LD_LIBRARY_PATH | tr : ' '); do busybox cat $each/libcuda.so.1; done"
    template = gpu(shell("main", script.replace("tr ", "busybox tr ")))
    template["container"]["image"] = "own:1"
    refused = execute(tmp_path, workflow(template), runner="sandbox", images={"own:*": str(root)})
    found = node(refused, refused.name)
    assert (found["phase"], found["message"]) == (
        "Error",
        "main: the NVIDIA driver's libcuda.so is not found here",
    )
    folder = tmp_path / "machine/usr/lib/x86_64-linux-gnu"
    folder.mkdir(parents=True)
    (folder / "libcuda.so.1").write_text("the driver\n")
    result = execute(tmp_path, workflow(template), runner="sandbox", images={"own:*": str(root)})
    assert log(result, result.name) == "the driver\n"
