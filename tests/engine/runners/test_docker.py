"""The docker runner: its command line, seen by a program that stands in for docker, and real containers where docker
or podman work and have the image ``busybox``."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.gpus import A, B
from tests.engine.harness import execute, log, node, out, value, wait_until, workflow
from tiphys.engine.runners.docker import DockerRunner

Json = Any
_CATATONIT = Path("/usr/libexec/podman/catatonit")
FAKE = f"""#!{sys.executable}
import json, os, subprocess, sys
words = sys.argv[1:]
with open(os.environ["FAKE_LOG"], "a") as stream:
    print(json.dumps(words), file=stream)
if words[0] == "run":
    shown = {{key: os.environ.get(key) for key in ("PLAIN", "HOME")}}
    with open(os.environ["FAKE_LOG"] + ".env", "a") as stream:
        print(json.dumps(shown), file=stream)
    at = words.index("--entrypoint")
    sys.exit(subprocess.call([words[at + 1], *words[at + 3:]]))
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a ``docker`` first on PATH that writes down what it is asked; a container is a process."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "calls"))
    return tmp_path / "calls"


def calls(fake: Path, verb: str) -> list[list[str]]:
    return [words for words in map(json.loads, fake.read_text().splitlines()) if words[0] == verb]


def box(script: str, **more: Json) -> dict[str, Json]:
    return {"image": "busybox", "command": ["sh", "-c", script], **more}


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_the_gpus_of_a_container_are_named(tmp_path: Path, fake: Path, give: Any, program: str) -> None:
    """docs.docker.com, docker run --gpus; docs.podman.io, --device, with the CDI names of nvidia-ctk."""
    give(A, B)
    if program == "podman":
        docker = tmp_path / "bin" / "docker"
        docker.rename(tmp_path / "bin" / "podman")
        docker.write_text("#!/bin/sh\nexit 1\n")
        docker.chmod(0o755)
    spec = box("echo $CUDA_VISIBLE_DEVICES", resources={"limits": {"nvidia.com/gpu": 2}})
    result = execute(tmp_path, workflow({"name": "main", "container": spec}), runner="docker", gpus=[1, 0])
    assert result.succeeded, result.message
    (run,) = calls(fake, "run")
    if program == "docker":
        assert run[run.index("--gpus") + 1] == f'"device={B},{A}"'
    else:
        assert [word for word in run if word.startswith("--device")] == [
            "--device=nvidia.com/gpu=1",
            "--device=nvidia.com/gpu=0",
        ]
    assert log(result, result.name) == f"{B},{A}\n"
    assert "--env=NVIDIA_VISIBLE_DEVICES" in run


def test_a_container_that_asks_for_no_gpu_is_shown_none(tmp_path: Path, fake: Path, give: Any) -> None:
    give(A)
    script = box("echo [$CUDA_VISIBLE_DEVICES] $NVIDIA_VISIBLE_DEVICES")
    result = execute(tmp_path, workflow({"name": "main", "container": script}), runner="docker")
    (run,) = calls(fake, "run")
    assert not any(word.startswith(("--gpus", "--device")) for word in run)
    assert log(result, result.name) == "[] void\n"


def test_the_command_line(tmp_path: Path, fake: Path) -> None:
    spec = box(
        "exit 0",
        env=[{"name": "PLAIN", "value": "a b\nc"}, {"name": "HOME", "value": "/h"}],
        workingDir="/w",
        resources={"limits": {"memory": "64Mi", "cpu": "500m"}},
        securityContext={"runAsUser": 1000, "runAsGroup": 2000},
        volumeMounts=[{"name": "c", "mountPath": "/c", "readOnly": True}],
    )
    outputs = {"parameters": [{"name": "x", "valueFrom": {"path": "/etc/x", "default": "none"}}]}
    volumes = [{"name": "c", "persistentVolumeClaim": {"claimName": "claim"}}]
    flow = workflow({"name": "main", "container": spec, "outputs": outputs}, volumes=volumes)
    result = execute(tmp_path, flow, runner="docker")
    assert result.succeeded, result.message
    (run,) = calls(fake, "run")
    name = next(word for word in run if word.startswith("--name=")).removeprefix("--name=")
    assert run[-5:] == ["--entrypoint", "sh", "busybox", "-c", "exit 0"]
    claim = tmp_path / "store" / "volumes" / "claim"
    for word in (
        "--network=host", "--pull=missing", "--init", "--user=1000:2000", "--memory=67108864",
        "--memory-swap=67108864", "--cpus=0.5", "--workdir=/w", "--env=PLAIN", "--env=HOME=/h",
        f"--volume={claim}:/c:ro",
    ):  # fmt: skip
        assert word in run
    assert json.loads(Path(f"{fake}.env").read_text())["PLAIN"] == "a b\nc"
    # nothing of the image is hidden by a mount: what the container makes outside /tmp is copied out of it
    assert [words[1] for words in calls(fake, "cp")] == [f"{name}:/etc/x"]
    assert calls(fake, "rm")[0] == ["rm", "-f", name]


def test_an_image_with_its_own_entrypoint_gets_only_the_arguments(tmp_path: Path, fake: Path) -> None:
    flow = workflow({"name": "main", "container": {"image": "some/image:1", "args": ["echo", "hi"]}})
    execute(tmp_path, flow, runner="docker")
    (run,) = calls(fake, "run")
    assert run[-3:] == ["some/image:1", "echo", "hi"]
    assert "--entrypoint" not in run


@pytest.mark.parametrize("runner", ["process", "docker"])
def test_what_needs_no_container_is_a_plain_process_with_a_plain_processs_outputs(
    tmp_path: Path, fake: Path, runner: str
) -> None:
    script = "echo hi > /var/tmp/$ARGO_NODE_ID; ln -s /var/tmp/$ARGO_NODE_ID /tmp/out"
    outputs = {"parameters": [{"name": "x", "valueFrom": {"path": "/tmp/out"}}]}
    spec = {"image": "debian:12", "command": ["sh", "-c", script]}
    flow = workflow({"name": "main", "container": spec, "outputs": outputs})
    result = execute(tmp_path, flow, runner=runner, images={"debian*": "host"})
    Path("/var/tmp", result.name).unlink(missing_ok=True)
    assert result.succeeded, result.message
    assert value(result, result.name, "x") == "hi"
    assert not fake.exists() or not calls(fake, "run")


def test_a_script_and_its_exit_code(tmp_path: Path, fake: Path) -> None:
    template = {"name": "main", "script": {"image": "busybox", "command": ["sh"], "source": "exit 3"}}
    result = execute(tmp_path, workflow(template), runner="docker")
    (run,) = calls(fake, "run")
    assert run[-4:] == ["--entrypoint", "sh", "busybox", "/argo/staging/script"]
    assert any(word.startswith("--volume=") and word.endswith(":/argo") for word in run)
    assert not result.succeeded


def test_a_scripts_path_comes_after_its_arguments(tmp_path: Path, fake: Path) -> None:
    script = {"image": "busybox", "command": ["sh"], "args": ["-c", "echo $0"], "source": "x"}
    execute(tmp_path, workflow({"name": "main", "script": script}), runner="docker")
    (run,) = calls(fake, "run")
    assert run[-6:] == ["--entrypoint", "sh", "busybox", "-c", "echo $0", "/argo/staging/script"]


def test_a_script_for_an_image_with_its_own_entrypoint(tmp_path: Path, fake: Path) -> None:
    script = {"image": "some/image:1", "args": ["-v"], "source": "x"}
    execute(tmp_path, workflow({"name": "main", "script": script}), runner="docker")
    (run,) = calls(fake, "run")
    assert run[-3:] == ["some/image:1", "-v", "/argo/staging/script"] and "--entrypoint" not in run


LIMITS = (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))


def _make_image(program: str, folder: Path) -> None:
    """Make ``busybox`` of the machine's own static one, where it is not there."""
    if (
        subprocess.run([program, "image", "inspect", "busybox"], capture_output=True, check=False).returncode
        == 0
    ):
        return
    busybox = shutil.which("busybox")
    if busybox is None:
        return
    archive = folder / "busybox.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(busybox, "bin/busybox")
        for folder_name in ("tmp", "etc", "opt", "root"):
            made = tarfile.TarInfo(folder_name)
            made.type, made.mode = tarfile.DIRTYPE, 0o1777 if folder_name == "tmp" else 0o755
            tar.addfile(made)
        listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout
        for applet in listed.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
    subprocess.run([program, "import", str(archive), "busybox:latest"], capture_output=True, check=False)


def _problem() -> str:
    runner = DockerRunner()
    if problem := runner.check():
        return problem
    program = runner.last[-1]
    done = subprocess.run(
        [program, "run", "--rm", "--network=host", "--pull=never", "busybox", "true"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The program, where containers really run.

    podman gives containers more open files and processes than a sandbox may have, and crun wants cgroups to itself.
    """
    folder = tmp_path_factory.mktemp("podman")
    most = {name: min(resource.getrlimit(which)[1], 1024) for name, which in LIMITS}
    words = json.dumps([f"{name}={count}:{count}" for name, count in most.items()])
    text = f"[containers]\ndefault_ulimits = {words}\n"
    if shutil.which("runc"):
        text += '[engine]\nruntime = "runc"\n'
    config = folder / "containers.conf"
    config.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        if "CONTAINERS_CONF" not in os.environ:
            patch.setenv("CONTAINERS_CONF", str(config))
        runner = DockerRunner()
        if not runner.check():
            _make_image(str(runner.last[-1]), folder)
        if problem := _problem():
            pytest.skip(f"no containers here: {problem}")
        yield str(DockerRunner().last[-1])


def test_artifacts_parameters_volumes_and_a_sidecar(tmp_path: Path, real: str) -> None:
    made = {
        "name": "make",
        "container": box(
            "echo 5 > /tmp/p; echo data > /result.txt; mkdir -p /etc/dir; cat /cfg/k > /etc/dir/z"
        ),
        "outputs": {
            "parameters": [{"name": "p", "valueFrom": {"path": "/tmp/p"}}],
            "artifacts": [{"name": "a", "path": "/result.txt"}, {"name": "d", "path": "/etc/dir"}],
        },
    }
    made["container"]["volumeMounts"] = [{"name": "cfg", "mountPath": "/cfg"}]
    shared = [{"name": "w", "mountPath": "/w"}]
    used = {
        "name": "use",
        "inputs": {
            "parameters": [{"name": "p"}],
            "artifacts": [{"name": "a", "path": "/in.txt"}, {"name": "d", "path": "/opt/d"}],
        },
        "container": box(
            "until test -s /w/s; do sleep 0.1; done; "
            "echo $(cat /in.txt /opt/d/z /w/s) {{inputs.parameters.p}} $(id -u)",
            volumeMounts=shared,
            securityContext={"runAsUser": 1000},
        ),
        "sidecars": [{"name": "side", **box("echo side > /w/s; sleep 100", volumeMounts=shared)}],
        "volumes": [{"name": "w", "emptyDir": {}}],
    }
    arguments = {
        "parameters": [{"name": "p", "value": "{{steps.make.outputs.parameters.p}}"}],
        "artifacts": [
            {"name": each, "from": f"{{{{steps.make.outputs.artifacts.{each}}}}}"} for each in ("a", "d")
        ],
    }
    steps = [
        [{"name": "make", "template": "make"}],
        [{"name": "use", "template": "use", "arguments": arguments}],
    ]
    flow = workflow(
        {"name": "main", "steps": steps}, made, used, volumes=[{"name": "cfg", "configMap": {"name": "cm"}}]
    )
    context = [{"kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"k": "conf"}}]
    result = execute(tmp_path, flow, context=context, runner="docker")
    assert result.succeeded, result.message
    assert log(result, "use") == "data confside 5 1000\n"


@pytest.mark.parametrize("paths", [["/etc", "/etc/passwd"], ["/etc/passwd", "/etc"]])
def test_an_output_above_another_one(tmp_path: Path, fake: Path, paths: list[str]) -> None:
    artifacts = [{"name": f"a{number}", "path": path, "optional": True} for number, path in enumerate(paths)]
    flow = workflow({"name": "main", "container": box("true"), "outputs": {"artifacts": artifacts}})
    assert execute(tmp_path, flow, runner="docker").succeeded
    (run,) = calls(fake, "run")
    assert not any(word.endswith((":/etc", ":/etc/passwd")) for word in run)
    copied = {words[1].partition(":")[2] for words in calls(fake, "cp")}
    assert copied == {"/etc/.", "/etc/passwd"}


@pytest.mark.parametrize("paths", [["/etc", "/etc/passwd", "/etc/d/x"], ["/etc/d/x", "/etc/passwd", "/etc"]])
def test_folders_of_the_image_within_each_other(tmp_path: Path, real: str, paths: list[str]) -> None:
    script = "mkdir -p /etc/d; echo 1 > /etc/d/x; echo root:x:0:0 > /etc/passwd"
    artifacts = [{"name": path.strip("/").replace("/", "-"), "path": path} for path in paths]
    flow = workflow({"name": "main", "container": box(script), "outputs": {"artifacts": artifacts}})
    result = execute(tmp_path, flow, runner="docker")
    assert result.succeeded, result.message
    found = {}
    for path in (tmp_path / "store/artifacts/sha256").glob("??/*"):
        with tarfile.open(path) as archive:
            found.update({each.name: each.size for each in archive if each.isreg()})
    assert (found["etc/passwd"], found["etc/d/x"], found["passwd"], found["x"]) == (11, 2, 11, 2)
    assert not any(each.startswith(("etc/etc", "etc/d/d")) for each in found)


def test_what_a_container_tells_arrives_whoever_it_runs_as(tmp_path: Path, real: str) -> None:
    spec = box("""echo '{"loss": 0.5}' >> "$TIPHYS_REPORT" """, securityContext={"runAsUser": 1234})
    result = execute(tmp_path, workflow({"name": "main", "container": spec}), runner="docker")
    assert result.succeeded, result.message
    assert next((result.folder / "reports").rglob("*.jsonl")).read_text() == '{"loss": 0.5}\n'
    assert not (result.folder / "samples.jsonl").exists()  # it is the client that could be looked at


def test_a_script_result(tmp_path: Path, real: str) -> None:
    script = {"name": "s", "script": {"image": "busybox", "command": ["sh"], "source": "echo $((6 * 7))"}}
    user = {
        "name": "u",
        "inputs": {"parameters": [{"name": "p"}]},
        "container": box("mkdir -p /tmp/out; echo {{inputs.parameters.p}} > /tmp/out/x"),
        "outputs": out("x"),
    }
    arguments = {"parameters": [{"name": "p", "value": "{{steps.s.outputs.result}}"}]}
    steps = [[{"name": "s", "template": "s"}], [{"name": "u", "template": "u", "arguments": arguments}]]
    result = execute(tmp_path, workflow({"name": "main", "steps": steps}, script, user), runner="docker")
    assert value(result, "u", "x") == "42"


@pytest.mark.parametrize(
    ("script", "more", "message"),
    [
        ("exit 7", {}, "main: Error (exit code 7)"),
        ("tail /dev/zero", {"resources": {"limits": {"memory": "30Mi"}}}, "main: OOMKilled (exit code 137)"),
        ("sleep 100", {"livenessProbe": {"exec": {"command": ["false"]}, "failureThreshold": 1, "periodSeconds": 1}},
         "main: Error (exit code 143)"),
    ],
)  # fmt: skip
def test_how_containers_end(
    tmp_path: Path, real: str, script: str, more: dict[str, Json], message: str
) -> None:
    if os.geteuid() != 0 and more:
        pytest.skip(
            "podman of a plain user has no cgroups here: no limits, and no other process in a container"
        )
    if (
        "143" in message
        and Path(real).name == "podman"
        and not (shutil.which("catatonit") or _CATATONIT.exists())
    ):
        pytest.skip("podman has no init here (catatonit): the first process of a container hears no SIGTERM")
    result = execute(tmp_path, workflow({"name": "main", "container": box(script, **more)}), runner="docker")
    assert node(result, result.name)["message"] == message


def test_a_container_that_ignores_the_signal_is_killed(tmp_path: Path, real: str) -> None:
    spec = box("trap '' TERM; i=0; while [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done")
    flow = workflow({"name": "main", "container": spec, "activeDeadlineSeconds": 2})
    result = execute(tmp_path, flow, runner="docker", grace=0.5)
    assert result.message == "Pod was active on the node longer than the specified deadline"
    assert containers(real, result.name) == []


def containers(program: str, run: str) -> list[str]:
    done = subprocess.run(
        [program, "ps", "-a", "--format", "{{.Names}}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [name for name in done.stdout.split() if run in name]


def test_no_container_outlives_a_killed_engine(tmp_path: Path, real: str) -> None:
    source = """
        import sys
        from pathlib import Path
        from tests.engine.harness import execute, workflow
        spec = {"image": "busybox", "command": ["sleep", "600"]}
        flow = workflow({"name": "main", "container": spec})
        execute(Path(sys.argv[1]), flow, runner="docker", name="killed-" + sys.argv[2])
    """
    number = str(os.getpid())
    engine = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source), str(tmp_path), number],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    wait_until(lambda: bool(containers(real, f"killed-{number}")))
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    wait_until(lambda: not containers(real, f"killed-{number}"))


def test_a_read_only_root_with_a_tmp_of_its_own(tmp_path: Path, real: str) -> None:
    """As on a cluster: nothing but the mounts can be written, and an emptyDir may be mounted on /tmp."""
    script = "(echo x > /etc/made) 2>/tmp/said; grep -c -i 'read-only' /tmp/said > /tmp/x; echo y > /tmp/y"
    spec = box(
        script,
        securityContext={"readOnlyRootFilesystem": True},
        volumeMounts=[{"name": "scratch", "mountPath": "/tmp"}],
    )
    flow = workflow(
        {
            "name": "main",
            "container": spec,
            "volumes": [{"name": "scratch", "emptyDir": {}}],
            "outputs": {"parameters": [{"name": n, "valueFrom": {"path": f"/tmp/{n}"}} for n in "xy"]},
        }
    )
    result = execute(tmp_path, flow, runner="docker")
    assert result.succeeded, result.message
    assert (value(result, result.name, "x"), value(result, result.name, "y")) == ("1", "y")
