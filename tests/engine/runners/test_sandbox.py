"""The sandbox runner: a step's own file system view."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest

import tiphys
from tests.engine.harness import (
    IMAGE,
    Recorder,
    execute,
    log,
    marked,
    node,
    out,
    python,
    sandboxed,
    shell,
    value,
    wait_until,
    workflow,
)
from tiphys.engine import Notice, Run, RunOptions
from tiphys.engine.runners.sandbox import SandboxRunner
from tiphys.errors import RefusedError

pytestmark = sandboxed


def path_output(path: str) -> dict[str, object]:
    return {"parameters": [{"name": "x", "valueFrom": {"path": path}}]}


@pytest.mark.parametrize(
    "path",
    [
        "/result.txt",
        "/tmp/tiphys-sandbox-test",
        "/mnt/out/x",
        "/home/user/x",
        "/var/lib/x",
        "/usr/local/share/x",
    ],
)
def test_absolute_paths_mean_what_they_mean_in_a_pod(tmp_path: Path, path: str) -> None:
    """Also computed ones, which the process runner cannot see."""
    source = (
        f"import os\np = '/'.join({path.split('/')!r})\n"
        "os.makedirs(os.path.dirname(p), exist_ok=True)\nopen(p, 'w').write('here')"
    )
    result = execute(tmp_path, workflow(python("main", source, outputs=path_output(path))), runner="sandbox")
    assert result.succeeded, log(result, result.name)
    assert value(result, result.name, "x") == "here"
    assert not os.path.lexists(path)


def test_relative_paths_start_at_the_root(tmp_path: Path) -> None:
    flow = workflow(shell("main", "pwd > result.txt", outputs=path_output("/result.txt")))
    result = execute(tmp_path, flow, runner="sandbox")
    assert value(result, result.name, "x") == "/"


def test_nothing_on_the_host_is_changed(tmp_path: Path) -> None:
    victim = Path.home() / f".tiphys-test-{os.getpid()}"
    victim.write_text("before")
    try:
        script = f"echo gone > {victim}; rm -f {victim}; echo x > /etc/hostname; rm -rf /usr/bin/env; true"
        assert execute(tmp_path, workflow(shell("main", script)), runner="sandbox").succeeded
        assert victim.read_text() == "before"
        assert Path("/usr/bin/env").exists()
    finally:
        victim.unlink()


def test_steps_do_not_see_each_others_tmp_or_the_hosts(tmp_path: Path) -> None:
    steps = {"name": "main", "steps": [[{"name": "a", "template": "a"}], [{"name": "b", "template": "b"}]]}
    flow = workflow(steps, shell("a", "ls -A /tmp; echo x > /tmp/mine"), shell("b", "ls -A /tmp"))
    with tempfile.NamedTemporaryFile(dir="/tmp"):
        result = execute(tmp_path, flow, runner="sandbox")
    # a Python or a project that itself lies below /tmp is there, or nothing could run
    needed = {sys.prefix, sys.base_prefix, os.getcwd(), str(Path(tiphys.__file__).parents[1])}
    way = {Path(each).parts[2] for each in needed if each.startswith("/tmp/")}
    assert set((log(result, "a") + log(result, "b")).split()) <= way


def forbidden(folder: Path, mode: int) -> Path:
    """A folder that this user may not read."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    folder.mkdir(parents=True)
    folder.chmod(mode)
    return folder


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400])
@pytest.mark.parametrize("runner", ["sandbox", "process"])
def test_a_folder_in_path_may_be_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: str, mode: int
) -> None:
    """As root's folders are in the PATH of a user who came by ``su``."""
    folder = forbidden(tmp_path / "bin", mode)
    monkeypatch.setenv("PATH", f"{folder}:{folder}/below:{os.environ['PATH']}")
    found = execute(tmp_path, workflow(shell("main", "echo ran")), runner=runner)
    assert log(found, found.name) == "ran\n"
    flow = workflow({"name": "main", "container": {"image": IMAGE, "command": ["nosuch"]}})
    missing = execute(tmp_path, flow, runner=runner)
    assert "executable file not found in $PATH" in node(missing, missing.name)["message"]


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400])
@pytest.mark.parametrize("workdir", ["/", "/opt/closed/work"])
def test_an_image_may_have_folders_that_this_user_may_not_read(
    tmp_path: Path, mode: int, workdir: str
) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    root = tmp_path / "image"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    forbidden(root / "opt/closed", 0o755)
    shutil.copy(busybox, root / "opt/closed/sh")
    (root / "opt/closed").chmod(mode)
    container = {"image": "own:1", "command": ["sh", "-c", "pwd"], "workingDir": workdir}
    flow = workflow({"name": "main", "container": container})
    result = execute(tmp_path, flow, runner="sandbox", images={"own:*": str(root)})
    assert log(result, result.name).strip() == workdir
    # what may be gone through, though not listed, is there
    container |= {"command": ["/opt/closed/sh", "-c", "pwd"], "workingDir": "/"}
    result = execute(tmp_path, flow, runner="sandbox", images={"own:*": str(root)})
    assert result.succeeded is (mode == 0o100), node(result, result.name)["message"]


def test_an_image_may_not_be_mapped_to_a_folder_that_this_user_may_not_read(tmp_path: Path) -> None:
    folder = forbidden(tmp_path / "closed", 0o000)
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, workflow(shell("main", "true")), images={"own:*": f"{folder}/image"})
    assert caught.value.code == "TIP221"


def test_volumes_are_shared(tmp_path: Path) -> None:
    mounts = [{"name": "work", "mountPath": "/workspace"}]
    init = {
        "name": "i",
        "image": IMAGE,
        "command": ["sh", "-c", "echo hi > /workspace/f"],
        "volumeMounts": mounts,
    }
    template = shell(
        "main", "cp /workspace/f /workspace/g", initContainers=[init], outputs=path_output("/workspace/g")
    )
    template["container"]["volumeMounts"] = mounts
    template["volumes"] = [{"name": "work", "emptyDir": {}}]
    result = execute(tmp_path, workflow(template), runner="sandbox")
    assert value(result, result.name, "x") == "hi"


def test_a_mount_below_a_folder_of_the_host(tmp_path: Path) -> None:
    template = shell(
        "main", "mkdir -p /tmp/out; cat /etc/config/k > /tmp/out/x; test -s /etc/passwd", outputs=out("x")
    )
    template["container"]["volumeMounts"] = [{"name": "c", "mountPath": "/etc/config"}]
    context = [{"kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"k": "v"}}]
    volumes = [{"name": "c", "configMap": {"name": "cm"}}]
    result = execute(tmp_path, workflow(template, volumes=volumes), context=context, runner="sandbox")
    assert result.succeeded, log(result, result.name)
    assert value(result, result.name, "x") == "v"


def test_read_only_mounts(tmp_path: Path) -> None:
    template = shell("main", "! touch /etc/config/new")
    template["container"]["volumeMounts"] = [{"name": "c", "mountPath": "/etc/config"}]
    context = [{"kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"k": "v"}}]
    volumes = [{"name": "c", "configMap": {"name": "cm"}}]
    assert execute(tmp_path, workflow(template, volumes=volumes), context=context, runner="sandbox").succeeded


def test_processes_and_hostname_are_the_pods(tmp_path: Path) -> None:
    result = execute(
        tmp_path, workflow(shell("main", "hostname; ls /proc | grep -c '^[0-9]'")), runner="sandbox"
    )
    hostname, count = log(result, result.name).split()
    assert hostname == result.name
    assert int(count) < 8


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$$$", 137), ("nosuchprogram", 127)])
def test_exit_codes(tmp_path: Path, script: str, code: int) -> None:
    result = execute(tmp_path, workflow(shell("main", script)), runner="sandbox")
    assert node(result, result.name)["message"] == f"main: Error (exit code {code})"


def test_missing_program_in_argos_words(tmp_path: Path) -> None:
    flow = workflow({"name": "main", "container": {"image": IMAGE, "command": ["nosuch"]}})
    result = execute(tmp_path, flow, runner="sandbox")
    assert node(result, result.name)["message"] == (
        'main: Error (exit code 64): failed to find name in PATH: exec: "nosuch": executable file not found in $PATH'
    )


def test_stop_reaches_the_program_which_may_end_cleanly(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.mkdir()
    script = "trap 'echo saved > /gate/saved; exit 143' TERM; touch /gate/up; while true; do sleep 0.05; done"
    template = shell("main", script)
    template["container"]["volumeMounts"] = [{"name": "gate", "mountPath": "/gate"}]
    volumes = [{"name": "gate", "persistentVolumeClaim": {"claimName": "gate"}}]
    claim = tmp_path / "store/volumes/gate"
    run = Run(
        workflow(template, volumes=volumes),
        options=RunOptions(store=tmp_path / "store", runner="sandbox", grace=10.0),
    )
    import threading

    def stop() -> None:
        wait_until((claim / "up").exists)
        run.shutdown("Stop")

    thread = threading.Thread(target=stop)
    thread.start()
    result = run.execute()
    thread.join()
    assert result.phase == "Failed"
    assert (claim / "saved").read_text() == "saved\n"


def test_background_processes_end_with_the_step(tmp_path: Path) -> None:
    mark = f"sandbox-mark-{os.getpid()}-{tmp_path.name}"
    sleep = f"python -c 'import time; time.sleep(1000)' {mark}"
    script = f"setsid {sleep} & ({sleep} &); sleep 0.3"
    assert execute(tmp_path, workflow(shell("main", script)), runner="sandbox").succeeded
    wait_until(lambda: not marked(mark))


def test_an_unpacked_image_is_the_root(tmp_path: Path) -> None:
    """A root folder with its own programs, and no others."""
    root = tmp_path / "image"
    (root / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    shutil.copy(busybox, root / "bin/busybox")
    for name in ("sh", "ls", "cat"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc").mkdir()
    (root / "etc/release").write_text("mine\n")
    template = {
        "name": "main",
        "container": {"image": "own:1", "command": ["sh", "-c", "cat /etc/release; ls /"]},
    }
    result = execute(tmp_path, workflow(template), runner="sandbox", images={"own:*": str(root)})
    assert result.succeeded, log(result, result.name)
    assert log(result, result.name).split()[0] == "mine"
    assert "usr" not in log(result, result.name).split()


def test_components_and_this_python_are_there(tmp_path: Path) -> None:
    result = execute(
        tmp_path, workflow(python("main", "import sys, tiphys; print(sys.prefix)")), runner="sandbox"
    )
    assert log(result, result.name).strip() == sys.prefix


def test_without_bubblewrap_auto_is_the_process_runner_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SandboxRunner, "check", lambda self: "the kernel refuses")
    recorder = Recorder()
    assert execute(tmp_path, workflow(shell("main", "true")), runner="auto", observer=recorder).succeeded
    (notice,) = [each for each in recorder.of(Notice) if each.code == "TIP222"]
    assert "the kernel refuses" in notice.text


def test_a_sandbox_that_was_asked_for_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SandboxRunner, "check", lambda self: "the kernel refuses")
    ran = tmp_path / "ran"
    with pytest.raises(RefusedError, match="the kernel refuses") as caught:
        execute(tmp_path, workflow(shell("main", f"touch {ran}")), runner="sandbox")
    assert caught.value.code == "TIP229"
    assert not ran.exists()


def test_auto_is_the_sandbox_where_there_is_one(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(shell("main", "readlink /proc/self/ns/mnt")), runner="auto")
    assert log(result, result.name).strip() != os.readlink("/proc/self/ns/mnt")


def test_without_a_network_it_reaches_no_service_of_this_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ask = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        flow = workflow(python("main", ask))
        assert execute(tmp_path, flow, runner="sandbox", network="host").succeeded
        alone = execute(tmp_path, flow, runner="sandbox", network="none")
        assert "ConnectionRefusedError" in log(alone, alone.name)
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind(f"\0tiphys-{os.getpid()}")
            abstract.listen()
            ask = f"import socket; socket.socket(socket.AF_UNIX).connect('\\0tiphys-{os.getpid()}')"
            alone = execute(tmp_path, workflow(python("main", ask)), runner="sandbox", network="none")
            assert "ConnectionRefusedError" in log(alone, alone.name)


@pytest.mark.parametrize("runner", ["process", "auto"])
def test_plain_processes_cannot_be_without_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: str
) -> None:
    monkeypatch.setattr(SandboxRunner, "check", lambda self: "the kernel refuses")
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, workflow(shell("main", "true")), runner=runner, network="none")
    assert caught.value.code == "TIP229"
