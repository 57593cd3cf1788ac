"""What a step leaves is never the end of the run: pipes, devices, endless files, NUL. The step ends as Error, the
others go on, and nothing waits."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import (
    RUNNERS,
    execute,
    log,
    node,
    python,
    sandboxed,
    shell,
    value,
    wait_until,
    workflow,
)
from tiphys.engine import RunResult

pytestmark = pytest.mark.long

Json = Any
ROOT = Path(__file__).resolve().parents[2]
every = pytest.mark.parametrize("runner", RUNNERS)


def beside(tmp_path: Path, runner: str, *templates: dict[str, Json], **call: Json) -> RunResult:
    """Run the templates, each as a step of its name, beside one that must not notice."""
    go_on = {"continueOn": {"error": True, "failed": True}}
    bad = [{"name": each["name"], "template": each["name"], **go_on, **call} for each in templates]
    steps = [[*bad, {"name": "good", "template": "good"}], [{"name": "after", "template": "good"}]]
    flow = workflow({"name": "main", "steps": steps}, *templates, shell("good", "sleep 0.3; echo fine"))
    result = execute(tmp_path, flow, runner=runner)
    assert log(result, "good") == log(result, "after") == "fine\n"
    return result


ODD = {
    "pipe": "mkfifo {0}",
    "link-to-pipe": "mkfifo /tmp/p; ln -s /tmp/p {0}",
    # by its name: an address is short, and paths may be long
    "socket": "cd $(dirname {0}); "
    "python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' $(basename {0})",
    "zero": "ln -s /dev/zero {0}",
    "relative-zero": "ln -s ../../../../../../../../../../../../dev/zero {0}",
    "terminal": "ln -s /dev/tty {0}",
    "circle": "ln -s {0} {0}",
}


@every
@pytest.mark.parametrize("odd", sorted(ODD))
def test_a_parameter_that_is_no_file(tmp_path: Path, runner: str, odd: str) -> None:
    outputs = {"parameters": [{"name": "o", "valueFrom": {"path": "/tmp/o"}}]}
    result = beside(tmp_path, runner, shell("bad", ODD[odd].format("/tmp/o"), outputs=outputs))
    assert node(result, "bad")["phase"] == "Error"


ARCHIVES = ("none", "tar", "zip")


@every
@pytest.mark.parametrize("odd", sorted(ODD))
def test_an_artifact_that_is_no_file(tmp_path: Path, runner: str, odd: str) -> None:
    made = []
    for archive in ARCHIVES:
        for path in ("/tmp/o", "/tmp/d"):
            outputs = {"artifacts": [{"name": "o", "path": path, "archive": {archive: {}}}]}
            place = path if path == "/tmp/o" else "/tmp/d/o"
            script = "mkdir /tmp/d; " + ODD[odd].format(place)
            made.append(shell(f"bad-{archive}-{path[-1]}", script, outputs=outputs))
    beside(tmp_path, runner, *made)


@every
@pytest.mark.parametrize("odd", sorted(ODD))
def test_progress_that_is_no_file(tmp_path: Path, runner: str, odd: str) -> None:
    script = ODD[odd].format("/tmp/.argo-progress") + "; sleep 1"
    result = beside(tmp_path, runner, shell("bad", script))
    assert node(result, "bad")["phase"] == "Succeeded"


@every
def test_progress_that_is_none(tmp_path: Path, runner: str) -> None:
    texts = ["9" * 5000 + "/1", "\\302\\262/\\302\\263", "1/x", "/", "\\377\\376", "1/" + "9" * 30]
    made = [
        shell(f"bad-{at}", f"printf '{text}' > $ARGO_PROGRESS_FILE; sleep 1") for at, text in enumerate(texts)
    ]
    result = beside(tmp_path, runner, *made)
    for each in made:
        assert node(result, each["name"])["phase"] == "Succeeded"


@every
def test_progress_that_grows(tmp_path: Path, runner: str) -> None:
    """Its last line counts."""
    script = (
        "truncate -s 100G $ARGO_PROGRESS_FILE; printf '\\n3/4\\n' >> $ARGO_PROGRESS_FILE; sleep 1.5; exit 1"
    )
    result = beside(tmp_path, runner, shell("bad", script))
    assert node(result, "bad")["progress"] == "3/4"


@every
@pytest.mark.parametrize("size", ["2M", "300M", "8T"])
def test_a_parameter_too_large_for_a_cluster(tmp_path: Path, runner: str, size: str) -> None:
    outputs = {"parameters": [{"name": "o", "valueFrom": {"path": "/tmp/o"}}]}
    began = time.monotonic()
    result = beside(tmp_path, runner, shell("bad", f"truncate -s {size} /tmp/o", outputs=outputs))
    assert node(result, "bad")["phase"] == "Error"
    assert "TIP446" in node(result, "bad")["message"]
    assert time.monotonic() - began < 20


def test_a_parameter_that_a_cluster_takes(tmp_path: Path) -> None:
    outputs = {"parameters": [{"name": "o", "valueFrom": {"path": "/tmp/o"}}]}
    result = execute(
        tmp_path, workflow(shell("bad", "head -c 1000000 /dev/zero | tr '\\0' x > /tmp/o", outputs=outputs))
    )
    assert value(result, result.name, "o") == "x" * 1_000_000


@every
def test_a_sparse_artifact_without_end(tmp_path: Path, runner: str) -> None:
    made = []
    for archive in ARCHIVES:
        outputs = {"artifacts": [{"name": "o", "path": "/tmp/o", "archive": {archive: {}}}]}
        made.append(shell(f"bad-{archive}", "truncate -s 8T /tmp/o", outputs=outputs))
    result = beside(tmp_path, runner, *made)
    for archive in ARCHIVES:
        assert "TIP444" in node(result, f"bad-{archive}")["message"]


@every
@pytest.mark.parametrize("place", ["args", "env", "workingDir", "path", "mountPath"])
def test_a_nul_in_what_a_step_is_given(tmp_path: Path, runner: str, place: str) -> None:
    """The value of another step's output. No container runtime starts that."""
    tag = "{{inputs.parameters.v}}"
    use = shell("bad", "true", inputs={"parameters": [{"name": "v"}]})
    if place == "args":
        use["container"]["args"] = [tag]
    elif place == "env":
        use["container"]["env"] = [{"name": "V", "value": tag}]
    elif place == "workingDir":
        use["container"]["workingDir"] = f"/{tag}"
    elif place == "path":
        use["inputs"]["artifacts"] = [{"name": "a", "path": f"/tmp/{tag}", "raw": {"data": "x"}}]
    else:
        use["container"]["volumeMounts"] = [{"name": "v", "mountPath": f"/v/{tag}"}]
        use["volumes"] = [{"name": "v", "emptyDir": {}}]
    result = beside(tmp_path, runner, use, arguments={"parameters": [{"name": "v", "value": "a\0b"}]})
    assert node(result, "bad")["phase"] == "Error"


@every
@pytest.mark.parametrize("key", ["A=B", "A\0B"])
def test_a_variable_that_is_none(tmp_path: Path, runner: str, key: str) -> None:
    """The API server refuses one that a tag names. (One without a name: machine/bodies/test_pod.py.)"""
    use = shell("bad", "env", inputs={"parameters": [{"name": "v"}]})
    use["container"]["env"] = [{"name": "{{inputs.parameters.v}}", "value": "x"}]
    result = beside(tmp_path, runner, use, arguments={"parameters": [{"name": "v", "value": key}]})
    assert node(result, "bad")["phase"] == "Error"


@every
@pytest.mark.parametrize("key", ["", "A=B", "A\0B"])
def test_a_key_that_is_no_variable(tmp_path: Path, runner: str, key: str) -> None:
    """Of a ConfigMap the kubelet leaves it out."""
    given = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {key: "odd", "fine": "yes"},
    }
    main = shell("main", "env")
    main["container"]["envFrom"] = [{"configMapRef": {"name": "c"}}]
    result = execute(tmp_path, workflow(main), runner=runner, context=[given])
    assert "fine=yes\n" in log(result, result.name)
    assert "odd" not in log(result, result.name)


@every
def test_a_tree_too_deep_to_be_walked(tmp_path: Path, runner: str) -> None:
    script = "cd /tmp && python3 -c \"import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')\""
    result = beside(tmp_path, runner, shell("bad", script))
    assert node(result, "bad")["phase"] == "Succeeded"
    outputs = {"artifacts": [{"name": "o", "path": "/tmp/d"}]}
    beside(tmp_path, runner, shell("bad", script, outputs=outputs))


@every
@pytest.mark.parametrize(
    "what",
    [
        "mkfifo /tmp/manifest",
        "ln -s /dev/zero /tmp/manifest",
        "truncate -s 9M /tmp/manifest",
        "python3 -c \"open('/tmp/manifest', 'w').write('[' * 5000)\"",
        "printf '\\377' > /tmp/manifest",
    ],
)
def test_a_manifest_that_a_step_has_written(tmp_path: Path, runner: str, what: str) -> None:
    made = shell(
        "make", what, outputs={"artifacts": [{"name": "o", "path": "/tmp/manifest", "s3": {"key": "m"}}]}
    )
    artifact = {"name": "m", "path": "/tmp/m", "s3": {"key": "m"}}
    use: dict[str, Json] = {"name": "use", "inputs": {"artifacts": [artifact]}}
    use["resource"] = {"action": "create", "manifestFrom": {"artifact": {"name": "m"}}}
    go_on = {"continueOn": {"error": True, "failed": True}}
    steps = [[{"name": "make", "template": "make", **go_on}], [{"name": "use", "template": "use", **go_on}]]
    steps.append([{"name": "good", "template": "good"}])
    flow = workflow({"name": "main", "steps": steps}, made, use, shell("good", "echo fine"))
    result = execute(tmp_path, flow, runner=runner)
    assert node(result, "use")["phase"] in ("Error", "Failed")
    assert log(result, "good") == "fine\n"


@every
@pytest.mark.parametrize(
    ("source", "phase"),
    [
        ("'[' * 100_000", "Failed"),
        ("'[' * 5000 + ']' * 5000", "Failed"),
        ("'[' + '1' * 5000 + ']'", "Succeeded"),
        (r"""'["\\ud800"]'""", "Succeeded"),
        (r"""'[{"\\udc00": "\\ud800"}]'""", "Succeeded"),
        (r"""'["\\u0000"]'""", ""),
    ],
)
def test_a_list_to_loop_over_that_a_step_has_written(
    tmp_path: Path, runner: str, source: str, phase: str
) -> None:
    """Go reads half a character as U+FFFD."""
    item = {"parameters": [{"name": "v", "value": "{{item}}"}]}
    loop = {
        "name": "loop",
        "template": "use",
        "withParam": "{{steps.make.outputs.result}}",
        "arguments": item,
    }
    inner = {"name": "inner", "steps": [[{"name": "make", "template": "make"}], [loop]]}
    use = shell("use", "true", inputs={"parameters": [{"name": "v"}]})
    outer = {"name": "inner", "template": "inner", "continueOn": {"error": True, "failed": True}}
    good = {"name": "good", "template": "good"}
    flow = workflow(
        {"name": "main", "steps": [[outer, good], [{"name": "after", "template": "good"}]]},
        inner, use, python("make", f"print({source})"), shell("good", "echo fine"),
    )  # fmt: skip
    result = execute(tmp_path, flow, runner=runner)
    assert log(result, "after") == "fine\n"
    assert node(result, "inner")["phase"] in (phase or node(result, "inner")["phase"])


@sandboxed
@pytest.mark.parametrize("script", ["mkfifo /tmp/o; sleep 60", "mkfifo /tmp/.argo-progress; sleep 60"])
def test_control_c_works(tmp_path: Path, script: str) -> None:
    outputs = {"parameters": [{"name": "o", "valueFrom": {"path": "/tmp/o", "default": "none"}}]}
    (tmp_path / "flow.json").write_text(json.dumps(workflow(shell("main", script, outputs=outputs))))
    process = started(tmp_path, "sandbox")
    wait_until(lambda: any(tmp_path.glob("store/runs/*/nodes/*/tmp/*o*")))
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130


class Endless(http.server.BaseHTTPRequestHandler):
    """Sends for ever."""

    asked = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.asked.set()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x" * 1000)
                time.sleep(0.01)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("kind", ["pack", "download", "http"])
def test_control_c_does_not_wait_for_an_artifact(tmp_path: Path, kind: str) -> None:
    """Twice: the second kills what runs."""
    main = shell("main", "true")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        if kind == "pack":
            main = shell("main", "truncate -s 4G /tmp/o")
            made = {"name": "o", "path": "/tmp/o", "archive": {"tar": {"compressionLevel": 9}}}
            main["outputs"] = {"artifacts": [made]}
        elif kind == "http":
            main = {"name": "main", "http": {"url": url}}
        else:
            main["inputs"] = {"artifacts": [{"name": "i", "path": "/tmp/i", "http": {"url": url}}]}
        (tmp_path / "flow.json").write_text(json.dumps(workflow(main)))
        Endless.asked.clear()
        process = started(tmp_path, "process")
        wanted = "store/artifacts/incoming/*" if kind == "pack" else "store/runs/*/nodes/*/tmp/.tiphys-*"
        if kind == "http":
            wait_until(Endless.asked.is_set)
        else:
            wait_until(lambda: any(each.stat().st_size for each in tmp_path.glob(wanted)))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        server.shutdown()


def started(tmp_path: Path, runner: str) -> subprocess.Popen[bytes]:
    """The command that runs ``flow.json``."""
    words = ["run", str(tmp_path / "flow.json"), "--store", str(tmp_path / "store"), "--runner", runner]
    return subprocess.Popen(
        [sys.executable, "-m", "tiphys", *words], cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}/sdk"}
    )
