"""Ctrl-C and kill -9 of the engine in each phase of a run that trains and serves: nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.harness import IMAGE, marked, wait_until, workflow

PROGRAM = """
import json, sys
from tiphys.engine import RunOptions, run
options = RunOptions(store=sys.argv[2], name="wf", grace=20.0, keep_serving=sys.argv[3] == "kept")
result = run(json.load(open(sys.argv[1])), options=options)
print(result.phase)
sys.exit(result.exit_code)
"""
SERVER = (
    "import http.server, os\n"
    "http.server.HTTPServer((os.environ['TIPHYS_POD_IP'], 8501), http.server.SimpleHTTPRequestHandler).serve_forever()"
)


def hold(mark: str, name: str) -> list[str]:
    """A shell line that tells where it is and stays."""
    return ["sh", "-c", f"touch {name}; exec python -c 'import time; time.sleep(1000)' {mark}"]


def flow(mark: str, phase: str) -> dict[str, object]:
    """Train, deploy, expose, ask; the step named ``phase`` does not end by itself."""
    here = [{"name": "here", "mountPath": "/here"}]
    volumes = [{"name": "here", "persistentVolumeClaim": {"claimName": "here"}}]

    def container(name: str, command: list[str]) -> dict[str, object]:
        return {"name": name, "image": IMAGE, "command": command, "workingDir": "/here", "volumeMounts": here}

    stay = hold(mark, "reached")
    worker = container("tensorflow", stay if phase == "train" else ["true"])
    pod = {"spec": {"containers": [worker], "volumes": volumes}}
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "job"},
        "spec": {
            "successPolicy": "AllWorkers",
            "tfReplicaSpecs": {"Worker": {"replicas": 2, "restartPolicy": "ExitCode", "template": pod}},
        },
    }
    server = container("main", stay if phase == "deploy" else ["python", "-c", SERVER, mark])
    server["readinessProbe"] = {"httpGet": {"path": "/", "port": 8501}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "dep"},
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [server], "volumes": volumes},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "front"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 8501}]},
    }
    done = "status.replicaStatuses.Worker.succeeded == 2"
    ready = "status.readyReplicas == 2"
    ask = container("main", stay)
    steps = [[{"name": name, "template": name}] for name in ("train", "deploy", "expose", "ask")]
    return workflow(
        {"name": "main", "steps": steps},
        {
            "name": "train",
            "resource": {"action": "create", "manifest": json.dumps(job), "successCondition": done},
        },
        {
            "name": "deploy",
            "resource": {"action": "apply", "manifest": json.dumps(deployment), "successCondition": ready},
        },
        {"name": "expose", "resource": {"action": "apply", "manifest": json.dumps(service)}},
        {"name": "ask", "container": {key: value for key, value in ask.items() if key != "name"}},
        volumes=volumes,
    )


@pytest.mark.parametrize("phase", ["train", "deploy", "ask"])
@pytest.mark.parametrize(
    ("number", "kept"), [(signal.SIGINT, "no"), (signal.SIGKILL, "no"), (signal.SIGKILL, "kept")]
)
def test_nothing_is_left_behind(tmp_path: Path, phase: str, number: signal.Signals, kept: str) -> None:
    mark = f"phase-{os.getpid()}-{time.monotonic_ns()}"
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(flow(mark, phase)))
    command = [sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "store"), kept]
    env = {**os.environ, "TIPHYS_KEEPER_GRACE": "1"}  # so long workers wait for another engine
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=env
    )
    wait_until((tmp_path / "store/volumes/here/reached").exists, 60)
    wait_until(lambda: bool(marked(mark)))
    process.send_signal(number)
    output, errors = process.communicate(timeout=90)
    if number == signal.SIGINT:
        assert (process.returncode, output.strip()) == (130, "Failed"), errors
    wait_until(lambda: not marked(mark) and not marked(str(tmp_path / "store")))
