"""Containers as processes: paths, environment, volumes, outputs, exit codes."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import (
    IMAGE,
    RUNNERS,
    Recorder,
    dag,
    execute,
    log,
    node,
    out,
    python,
    sandboxed,
    shell,
    value,
    workflow,
)
from tiphys.engine import Notice
from tiphys.engine.runners.sandbox import SandboxRunner
from tiphys.errors import RefusedError


def test_output_parameter_loses_one_trailing_newline(tmp_path: Path) -> None:
    flow = workflow(shell("main", "mkdir -p /tmp/out; printf 'a\\nb\\n\\n' > /tmp/out/x", outputs=out("x")))
    result = execute(tmp_path, flow)
    assert value(result, result.name, "x") == "a\nb\n"


def test_two_steps_do_not_see_each_others_tmp(tmp_path: Path) -> None:
    flow = workflow(
        {
            "name": "main",
            "steps": [[{"name": "a", "template": "write"}], [{"name": "b", "template": "look"}]],
        },
        shell("write", "echo secret > /tmp/left-behind"),
        shell("look", "ls -A /tmp; test ! -e /tmp/left-behind"),
    )
    result = execute(tmp_path, flow)
    assert result.succeeded
    assert not Path("/tmp/left-behind").exists()


def test_a_claim_is_a_folder_of_the_store_and_lasts(tmp_path: Path) -> None:
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/mnt/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}]
    write = shell("main", "echo 42 > /mnt/data/answer")
    write["container"].update(mounts)
    execute(tmp_path, workflow(write, volumes=volumes))
    assert (tmp_path / "store/volumes/shared/answer").read_text() == "42\n"
    read = shell("main", "mkdir -p /tmp/out; cat /mnt/data/answer > /tmp/out/x", outputs=out("x"))
    read["container"].update(mounts)
    result = execute(tmp_path, workflow(read, volumes=volumes))
    assert value(result, result.name, "x") == "42"


def test_environment_from_configmaps_secrets_and_fields(tmp_path: Path) -> None:
    template = shell(
        "main", 'mkdir -p /tmp/out; echo "$PLAIN $CONFIG $SECRET $NAMESPACE $BOTH $P_k" > /tmp/out/x'
    )
    template["outputs"] = out("x")
    template["container"]["env"] = [
        {"name": "PLAIN", "value": "plain"},
        {"name": "CONFIG", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "BOTH", "value": "$(PLAIN)-$(UNKNOWN)-$$(PLAIN)"},
    ]
    template["container"]["envFrom"] = [{"prefix": "P_", "configMapRef": {"name": "cm"}}]
    context = [
        {"kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"k": "from-config"}},
        {"kind": "Secret", "metadata": {"name": "s"}, "data": {"k": base64.b64encode(b"hidden").decode()}},
    ]
    result = execute(tmp_path, workflow(template), context=context)
    assert (
        value(result, result.name, "x")
        == "plain from-config hidden argo plain-$(UNKNOWN)-$(PLAIN) from-config"
    )


def test_configmap_volume_items(tmp_path: Path) -> None:
    template = shell("main", "mkdir -p /tmp/out; cat /etc/config/sub/file > /tmp/out/x", outputs=out("x"))
    template["container"]["volumeMounts"] = [{"name": "c", "mountPath": "/etc/config"}]
    volumes = [{"name": "c", "configMap": {"name": "cm", "items": [{"key": "k", "path": "sub/file"}]}}]
    context = [{"kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"k": "content"}}]
    result = execute(tmp_path, workflow(template, volumes=volumes), context=context)
    assert value(result, result.name, "x") == "content"


def test_the_users_environment_does_not_reach_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-leak")
    result = execute(tmp_path, workflow(shell("main", "env")))
    assert "do-not-leak" not in log(result, result.name)


def test_python_is_this_environment(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(python("main", "import sys; print(sys.prefix)")))
    assert log(result, result.name).strip() == sys.prefix


def test_script_paths_are_the_steps_own(tmp_path: Path) -> None:
    source = "open('/tmp/result.json', 'w').write('{}')"
    template = python("main", source)
    template["outputs"] = {"parameters": [{"name": "x", "valueFrom": {"path": "/tmp/result.json"}}]}
    result = execute(tmp_path, workflow(template))
    assert value(result, result.name, "x") == "{}"
    assert not Path("/tmp/result.json").exists()


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(
    ("script", "printed"),
    [
        ({"command": ["sh"], "args": ["-c", "echo $0 $#"], "source": "echo no"}, "{script} 0"),
        ({"command": ["sh", "-u"], "args": [], "source": "echo yes $#"}, "yes 0"),
        ({"command": ["echo"], "args": ["a", "b"], "source": ""}, "a b"),
        ({"args": ["echo"], "source": "x", "image": "argoproj/argosay:v2"}, "{script}"),
    ],
)
def test_a_scripts_path_is_its_last_argument(
    tmp_path: Path, runner: str, script: dict[str, Any], printed: str
) -> None:
    """The controller's executeScript: ``mainCtr.Args = append(mainCtr.Args, common.ExecutorScriptSourcePath)``."""
    flow = workflow({"name": "main", "script": {"image": IMAGE, **script}})
    result = execute(tmp_path, flow, runner=runner, images={"argoproj/*": "host"})
    shown = log(result, result.name).strip()
    assert result.succeeded, result.message
    if runner == "process":  # the step's own folder stands for /
        shown = re.sub(r"\S*/argo/staging/script", "/argo/staging/script", shown)
    assert shown == printed.format(script="/argo/staging/script")


def test_a_patch_comes_after_the_scripts_path(tmp_path: Path) -> None:
    template = {"name": "main", "script": {"image": IMAGE, "command": ["echo"], "source": "x"}}
    template["podSpecPatch"] = '{"containers": [{"name": "main", "args": ["patched"]}]}'
    result = execute(tmp_path, workflow(template))
    assert log(result, result.name).strip() == "patched"


def test_a_file_given_as_a_parameter_is_not_relocated(tmp_path: Path) -> None:
    given = tmp_path / "input.txt"
    given.write_text("mine")
    template = shell("main", 'mkdir -p /tmp/out; cat "$FILE" > /tmp/out/x', outputs=out("x"))
    template["container"]["env"] = [{"name": "FILE", "value": str(given)}]
    result = execute(tmp_path, workflow(template))
    assert value(result, result.name, "x") == "mine"


@pytest.mark.parametrize(
    ("script", "message", "code"),
    [
        ("exit 3", "main: Error (exit code 3)", "3"),
        ("kill -9 $$$$", "main: Error (exit code 137)", "137"),
        ("kill -15 $$$$", "main: Error (exit code 143)", "143"),
    ],
)
def test_exit_codes_and_signals(tmp_path: Path, script: str, message: str, code: str) -> None:
    # $$$$: Kubernetes makes $$ of it, the shell its own PID
    result = execute(tmp_path, workflow(shell("main", script)))
    found = node(result, result.name)
    assert (found["phase"], found["message"], found["outputs"]["exitCode"]) == ("Failed", message, code)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("nosuch", 'exec: "nosuch": executable file not found in $PATH'),
        ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'),
    ],
)
def test_missing_program_in_argos_words(tmp_path: Path, command: str, why: str) -> None:
    # recorded from the real controller
    template = {"name": "main", "container": {"image": IMAGE, "command": [command]}}
    found = execute(tmp_path, workflow(template))
    message = node(found, found.name)["message"]
    assert message == f"main: Error (exit code 64): failed to find name in PATH: {why}"


def test_missing_output_parameter_in_argos_words(tmp_path: Path) -> None:
    # recorded from the real controller
    outputs = {"parameters": [{"name": "x", "valueFrom": {"path": "/tmp/x"}}]}
    result = execute(tmp_path, workflow(shell("main", "true", outputs=outputs)))
    found = node(result, result.name)
    assert found["phase"] == "Error"
    assert found["message"] == (
        "wait: Error (exit code 64): open /var/run/argo/outputs/parameters/tmp/x: no such file or directory"
    )


def test_outputs_of_a_failed_step_are_kept(tmp_path: Path) -> None:
    flow = workflow(shell("main", "mkdir -p /tmp/out; echo hi > /tmp/out/x; exit 3", outputs=out("x")))
    result = execute(tmp_path, flow)
    assert node(result, result.name)["phase"] == "Failed"
    assert value(result, result.name, "x") == "hi"


def test_default_of_a_missing_output(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(shell("main", "true", outputs=out(x="fallback"))))
    assert value(result, result.name, "x") == "fallback"


def test_result_is_stdout_without_stderr(tmp_path: Path) -> None:
    flow = workflow(
        dag(
            {"name": "a", "template": "say"},
            {
                "name": "b",
                "template": "echo",
                "depends": "a",
                "arguments": {"parameters": [{"name": "r", "value": "{{tasks.a.outputs.result}}"}]},
            },
        ),
        shell("say", "echo out; echo err >&2; echo more"),
        {**shell("echo", "true"), "inputs": {"parameters": [{"name": "r"}]}},
    )
    result = execute(tmp_path, flow)
    assert node(result, "a")["outputs"]["result"] == "out\nmore"
    assert sorted(log(result, "a").split()) == ["err", "more", "out"]


def test_large_result_keeps_the_last_256_kb(tmp_path: Path) -> None:
    source = "import sys; sys.stdout.write('a' * 300_000 + 'b' * 200_000 + '\\n')"
    flow = workflow(
        dag(
            {"name": "a", "template": "big"},
            {"name": "b", "template": "use", "depends": "a", "when": "'{{tasks.a.outputs.result}}' == 'x'"},
        ),
        python("big", source),
        shell("use", "true"),
    )
    found = node(execute(tmp_path, flow), "a")["outputs"]["result"]
    assert len(found) == 256 * 1024 - 1
    assert found.endswith("b" * 200_000)


def test_progress_file(tmp_path: Path) -> None:
    # the step waits until the engine has read its progress: no timing
    script = 'echo 3/10 > "$ARGO_PROGRESS_FILE"; while [ ! -e "$GATE/open" ]; do sleep 0.02; done'
    template = shell("main", script)
    template["container"]["env"] = [{"name": "GATE", "value": str(tmp_path)}]
    seen: list[str] = []

    def observe(observation: object) -> None:
        found = getattr(observation, "node", {}).get("progress")
        if found == "3/10":
            seen.append(found)
            (tmp_path / "open").touch()

    assert execute(tmp_path, workflow(template), observer=observe).succeeded
    assert seen


def test_unknown_image_is_refused_before_anything_runs(tmp_path: Path) -> None:
    template = {"name": "main", "container": {"image": "alpine:3.23", "command": ["true"]}}
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, workflow(template))
    assert caught.value.code == "TIP220"
    assert "--image 'alpine*=host'" in caught.value.fix
    assert not (tmp_path / "store" / "runs").exists()


def test_mapped_image_runs_the_hosts_programs(tmp_path: Path) -> None:
    template = {
        "name": "main",
        "container": {"image": "docker.io/library/alpine:3.23", "args": ["-c", "exit 7"]},
    }
    template["container"]["command"] = ["sh"]
    result = execute(tmp_path, workflow(template), images={"alpine*": "host"})
    assert node(result, result.name)["outputs"]["exitCode"] == "7"


def test_entrypoint_of_a_known_image(tmp_path: Path) -> None:
    template = {
        "name": "main",
        "container": {"image": "argoproj/argosay:v2", "args": ["echo", "hi", "/tmp/out/x"]},
    }
    result = execute(tmp_path, workflow({**template, "outputs": out("x")}), images={"argoproj/*": "host"})
    assert value(result, result.name, "x") == "hi"


def test_init_container_failure(tmp_path: Path) -> None:
    # recorded from the real controller
    init = {"name": "first", "image": IMAGE, "command": ["sh", "-c", "exit 4"]}
    result = execute(tmp_path, workflow(shell("main", "true", initContainers=[init])))
    found = node(result, result.name)
    assert (found["phase"], found["message"]) == ("Failed", "first: Error (exit code 4)")


def test_init_container_shares_a_volume(tmp_path: Path) -> None:
    mounts = [{"name": "work", "mountPath": "/work-dir"}]
    init = {
        "name": "first",
        "image": IMAGE,
        "command": ["sh", "-c", "echo hi > /work-dir/f"],
        "volumeMounts": mounts,
    }
    template = shell("main", "mkdir -p /tmp/out; cat /work-dir/f > /tmp/out/x", outputs=out("x"))
    template.update(initContainers=[init], volumes=[{"name": "work", "emptyDir": {}}])
    template["container"]["volumeMounts"] = mounts
    result = execute(tmp_path, workflow(template))
    assert value(result, result.name, "x") == "hi"


def test_sidecar_is_ended_with_main_and_its_own_failure_counts(tmp_path: Path) -> None:
    # recorded from the real controller: 137 and 143 of a sidecar are ignored, other codes are not
    forever = {"name": "side", "image": IMAGE, "command": ["sh", "-c", "exec sleep 1000"]}
    assert execute(tmp_path, workflow(shell("main", "true", sidecars=[forever]))).succeeded
    failing = {"name": "side", "image": IMAGE, "command": ["sh", "-c", "exit 5"]}
    result = execute(tmp_path, workflow(shell("main", "sleep 0.3", sidecars=[failing])))
    found = node(result, result.name)
    assert (found["phase"], found["message"]) == ("Failed", "side: Error (exit code 5)")


def test_container_set(tmp_path: Path) -> None:
    mounts = [{"name": "work", "mountPath": "/workspace"}]
    containers = [
        {"name": "a", "image": IMAGE, "command": ["sh", "-c", "echo a > /workspace/f"]},
        {
            "name": "main",
            "image": IMAGE,
            "command": ["sh", "-c", "cp /workspace/f /workspace/out"],
            "dependencies": ["a"],
        },
    ]
    template = {
        "name": "main",
        "volumes": [{"name": "work", "emptyDir": {}}],
        "containerSet": {"volumeMounts": mounts, "containers": containers},
        "outputs": {"parameters": [{"name": "x", "valueFrom": {"path": "/workspace/out"}}]},
    }
    result = execute(tmp_path, workflow(template))
    assert result.succeeded, result.workflow["status"]["nodes"]
    assert value(result, result.name, "x") == "a"
    assert node(result, "a")["type"] == "Container"


def test_container_set_stops_behind_a_failure(tmp_path: Path) -> None:
    containers = [
        {"name": "a", "image": IMAGE, "command": ["sh", "-c", "exit 2"]},
        {"name": "b", "image": IMAGE, "command": ["true"], "dependencies": ["a"]},
    ]
    result = execute(tmp_path, workflow({"name": "main", "containerSet": {"containers": containers}}))
    assert result.phase == "Failed"
    assert node(result, "a")["phase"] == "Failed"
    assert node(result, "b")["phase"] == "Error"  # recorded from the real controller


def test_daemon_has_an_address_and_ends_with_its_boundary(tmp_path: Path) -> None:
    source = (
        "import http.server, os\n"
        "http.server.HTTPServer((os.environ['TIPHYS_POD_IP'], 8765), "
        "http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    server = python("server", source, daemon=True)
    server["script"]["readinessProbe"] = {"httpGet": {"path": "/", "port": 8765}}
    client = python(
        "client",
        "import urllib.request; print(urllib.request.urlopen('http://{{inputs.parameters.ip}}:8765/').status)",
        inputs={"parameters": [{"name": "ip"}]},
    )
    argument = {"parameters": [{"name": "ip", "value": "{{steps.server.ip}}"}]}
    steps = [
        [{"name": "server", "template": "server"}],
        [{"name": "client", "template": "client", "arguments": argument}],
    ]
    result = execute(tmp_path, workflow({"name": "main", "steps": steps}, server, client))
    assert result.succeeded, json.dumps(result.workflow["status"], indent=1)
    assert log(result, "client").strip() == "200"


def test_deadline(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(shell("main", "exec sleep 1000", activeDeadlineSeconds=1)))
    found = node(result, result.name)
    assert (found["phase"], found["message"]) == (
        "Failed",
        "Pod was active on the node longer than the specified deadline",
    )


@sandboxed
@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("open(chr(47) + 'tiphys-computed', 'w').write('1')", "/tiphys-computed"),
        ("import os; os.chdir(chr(47)); open('tiphys-computed', 'w').write('1')", "/tiphys-computed"),
        ("import tempfile; open(tempfile.gettempdir() + '/tiphys-x', 'w').write('1')",
         "/tmp/tiphys-x"),
        ("import os; p = '/mnt' + '/tiphys-none'; os.mkdir(p); open(p + '/x', 'w').write('1')", "/mnt/tiphys-none/x"),
        ("import os; os.symlink('/etc/hostname', chr(47) + 'tiphys-link'); "
         "open(chr(47) + 'tiphys-computed', 'w').write('1')", "/tiphys-computed"),
    ],
)  # fmt: skip
def test_a_step_that_computes_the_path_of_an_output_touches_nothing_else(
    tmp_path: Path, source: str, path: str
) -> None:
    template = python("main", source)
    template["outputs"] = {"parameters": [{"name": "x", "valueFrom": {"path": path}}]}
    result = execute(tmp_path, workflow(template))
    assert result.succeeded, log(result, result.name)
    assert value(result, result.name, "x") == "1"
    assert not Path(path).exists() and not os.path.lexists("/tiphys-link")


@pytest.mark.parametrize("path", ["/tmp/tiphys-computed/x", "/tiphys-computed"])
def test_a_probe_sees_the_files_of_its_container(tmp_path: Path, path: str) -> None:
    """Whether that is a plain process or, as the second, one that computes its output's path."""
    source = (
        "import os, time\nplace = os.environ['WHERE'].replace(';', chr(47))\n"
        "os.makedirs(os.path.dirname(place), exist_ok=True)\nopen(place, 'w').write('1')\n"
        "end = time.time() + 20\n"
        "while not os.path.exists('/tmp/probed') and time.time() < end: time.sleep(0.02)\n"
        "assert os.path.exists('/tmp/probed')"
    )
    template = python("main", source)
    where = path if path.startswith("/tmp") else path.replace("/", ";")
    template["script"]["env"] = [{"name": "WHERE", "value": where}]
    probe = {"exec": {"command": ["sh", "-c", f"test -f {path} && touch /tmp/probed"]}, "periodSeconds": 1}
    template["script"]["livenessProbe"] = {**probe, "failureThreshold": 100}
    template["outputs"] = {"parameters": [{"name": "x", "valueFrom": {"path": path}}]}
    result = execute(tmp_path, workflow(template))
    assert result.succeeded, log(result, result.name)


def _wheel(folder: Path) -> Path:
    """A package without dependencies that can be installed without a network."""
    place = folder / "tiny_wheel-1.0-py3-none-any.whl"
    files = {
        "tiny_wheel.py": "WORD = 'installed'",
        "tiny_wheel-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-wheel\nVersion: 1.0\n",
        "tiny_wheel-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        "tiny_wheel-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(place, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return place


@pytest.mark.parametrize("runner", RUNNERS)
def test_what_a_step_installs_is_the_steps_own(tmp_path: Path, runner: str) -> None:
    wheel = base64.b64encode(_wheel(tmp_path).read_bytes()).decode()
    name = "tiny_wheel-1.0-py3-none-any.whl"
    install = (
        f"echo {wheel} | base64 -d > /tmp/{name} && python -m pip install -q --no-index /tmp/{name} && "
        "python -c 'import tiny_wheel; print(tiny_wheel.WORD)'"
    )
    result = execute(tmp_path, workflow(shell("main", install)), runner=runner)
    assert "installed" in log(result, result.name), log(result, result.name)
    assert importlib.util.find_spec("tiny_wheel") is None


def test_folders_that_every_image_has_are_there_for_outputs(tmp_path: Path) -> None:
    source = "import os\nos.mkdir('/mnt/tiphys-none')\nopen('/mnt/tiphys-none/x', 'w').write('1')"
    template = python("main", source)
    template["outputs"] = {"parameters": [{"name": "x", "valueFrom": {"path": "/mnt/tiphys-none/x"}}]}
    result = execute(tmp_path, workflow(template))
    assert value(result, result.name, "x") == "1"
    assert not Path("/mnt/tiphys-none").exists()


@pytest.mark.parametrize(
    ("env", "folder"),
    [([], "/tmp/hera-outputs"), ([{"name": "hera__outputs_directory", "value": "/w/out"}], "/w/out")],
)
def test_heras_runner_is_told_where_outputs_go(tmp_path: Path, env: list[Any], folder: str) -> None:
    source = (
        "import os, pathlib\n"
        "place = pathlib.Path(os.environ['hera__outputs_directory']) / 'parameters'\n"
        "place.mkdir(parents=True)\n(place / 'x').write_text('1')"
    )
    template = python("main", source)
    template["script"]["env"] = env
    template["outputs"] = {"parameters": [{"name": "x", "valueFrom": {"path": f"{folder}/parameters/x"}}]}
    result = execute(tmp_path, workflow(template))
    assert result.succeeded, result.message
    assert value(result, result.name, "x") == "1"
    assert not Path(folder).exists()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("open('/'.join(PARTS), 'w').write('1')", "is on this machine"),
        ("pass", "computes"),
        ("open('/'.join(PARTS) + '/y')", "did not find"),
        ("import os; os.makedirs('/'.join(PARTS)); raise SystemExit(3)", ""),
    ],
)
def test_a_computed_path_is_named_with_the_runner_that_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, words: str
) -> None:
    monkeypatch.setattr(SandboxRunner, "check", lambda self: "not here")
    path = str(tmp_path / "made")
    template = python("main", f"PARTS = {path.split('/')!r}\n{source}")
    template["outputs"] = {"parameters": [{"name": "x", "valueFrom": {"path": path}}]}
    recorder = Recorder()
    result = execute(tmp_path, workflow(template), observer=recorder)
    assert not result.succeeded
    told = [notice.text for notice in recorder.of(Notice) if notice.code == "TIP274"]
    assert len(told) == bool(words)
    assert all(words in text and path in text and "--runner sandbox" in text for text in told)
