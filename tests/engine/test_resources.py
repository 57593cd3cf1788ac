"""Local stand-ins for what resource templates create."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.engine.harness import (
    IMAGE,
    RUNNERS,
    Recorder,
    dag,
    execute,
    log,
    marked,
    node,
    python,
    sandboxed,
    value,
    wait_until,
    workflow,
)
from tiphys.argo.answers import ApiError
from tiphys.engine import NodeChanged, Observation, ReplicaChanged, Run, RunOptions, resume, stop_serving
from tiphys.engine.runtime.retry import prepare_retry
from tiphys.errors import RefusedError
from tiphys.gang.tf_config import tf_config
from tiphys.gang.tfjob_rules import validate_tfjob

FAILED = ",".join(f"status.conditions.{index}.type == Failed" for index in (1, 2, 3))


def tfjob(
    script: str, *, replicas: int = 2, env: list[dict[str, str]] | None = None, **spec: object
) -> dict[str, object]:
    """A TFJob of workers that run a shell line. ``worker``: its fields; the rest goes into the spec."""
    worker = dict(spec.pop("worker", {}))  # type: ignore[call-overload]
    container = {"name": "tensorflow", "image": IMAGE, "command": ["sh", "-c", script], "env": env or []}
    replica = {"replicas": replicas, "template": {"spec": {"containers": [container]}}, **worker}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "{{workflow.name}}-job", "annotations": {"tiphys.dev/output": "pvc://x/y"}},
        "spec": {"successPolicy": "AllWorkers", "tfReplicaSpecs": {"Worker": replica}, **spec},
    }


def creating(manifest: dict[str, object], *, action: str = "create", **more: object) -> dict[str, object]:
    outputs = more.pop("outputs", {})
    resource = {"action": action, "manifest": json.dumps(manifest), **more}
    return {"name": "main", "resource": resource, "outputs": outputs}


def waiting(manifest: dict[str, object], workers: int = 2) -> dict[str, object]:
    return creating(
        manifest,
        successCondition=f"status.replicaStatuses.Worker.succeeded == {workers}",
        failureCondition=FAILED,
    )


# -- TFJob ------------------------------------------------------------------------------------------------------


def test_workers_get_the_operators_tf_config(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(waiting(tfjob('echo "$TF_CONFIG"'))))
    assert result.succeeded
    logs = [(result.folder / f"logs/{result.name}-job-worker-{index}.log").read_text() for index in (0, 1)]
    first, second = (json.loads(text) for text in logs)
    # the keys and their order: recorded from the operator
    assert logs[0].startswith('{"cluster":{"worker":["')
    assert logs[0].strip().endswith('"task":{"type":"worker","index":0},"environment":"cloud"}')
    assert first["cluster"] == second["cluster"]
    assert second["task"] == {"type": "worker", "index": 1}
    assert len(set(first["cluster"]["worker"])) == 2
    assert all(host.startswith("localhost:") for host in first["cluster"]["worker"])


def test_one_replica_gets_no_tf_config(tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(waiting(tfjob('echo "[$TF_CONFIG]"', replicas=1), workers=1)))
    assert (result.folder / f"logs/{result.name}-job-worker-0.log").read_text() == "[]\n"


def test_tf_config_of_all_replica_types() -> None:
    # pkg/controller.v1/tensorflow/tensorflow.go: the evaluator is no part of the cluster
    spec = {
        "tfReplicaSpecs": {"PS": {"replicas": 1}, "Worker": {"replicas": 1}, "Chief": {}, "Evaluator": {}}
    }
    hosts = {(kind, 0): f"{kind}:1" for kind in ("PS", "Worker", "Chief", "Evaluator")}
    config = json.loads(tf_config(spec, hosts, "Evaluator", 0) or "")
    assert config == {
        "cluster": {"chief": ["Chief:1"], "ps": ["PS:1"], "worker": ["Worker:1"]},
        "task": {"type": "evaluator", "index": 0},
        "environment": "cloud",
    }


def test_status_has_the_operators_shape(tmp_path: Path) -> None:
    parameters = [{"name": "s", "valueFrom": {"jsonPath": "{.status}"}}]
    template = {**waiting(tfjob("true")), "outputs": {"parameters": parameters}}
    result = execute(tmp_path, workflow(template))
    status = json.loads(value(result, result.name, "s"))
    # recorded from the operator
    shape = [(each["type"], each["status"], each["reason"]) for each in status["conditions"]]
    assert shape == [
        ("Created", "True", "TFJobCreated"),
        ("Running", "False", "TFJobRunning"),
        ("Succeeded", "True", "TFJobSucceeded"),
    ]
    assert status["replicaStatuses"] == {"Worker": {"succeeded": 2}}
    assert {"startTime", "completionTime"} <= set(status)


def test_annotation_as_output(tmp_path: Path) -> None:
    path = r"{.metadata.annotations.tiphys\.dev/output}"
    outputs = {"parameters": [{"name": "model", "valueFrom": {"jsonPath": path}}]}
    result = execute(tmp_path, workflow({**waiting(tfjob("true")), "outputs": outputs}))
    assert value(result, result.name, "model") == "pvc://x/y"


def test_a_default_is_the_text_that_argo_reads(tmp_path: Path) -> None:
    # AnyString, see tests/argo/any_string.json
    defaults = {"yes": True, "small": 1e-7, "text": "True"}
    parameters = [
        {"name": name, "valueFrom": {"jsonPath": "{.none}", "default": default}}
        for name, default in defaults.items()
    ]
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}}
    result = execute(tmp_path, workflow(creating(manifest, outputs={"parameters": parameters})))
    found = {name: value(result, result.name, name) for name in defaults}
    assert found == {"yes": "true", "small": "0.0000001", "text": "True"}


def test_exit_code_1_fails_at_once_and_the_log_tells_why(tmp_path: Path) -> None:
    manifest = tfjob("echo the reason; exit 1", worker={"restartPolicy": "ExitCode"})
    result = execute(tmp_path, workflow(waiting(manifest)))
    found = node(result, result.name)
    assert found["phase"] == "Failed"
    assert found["message"].startswith("main: Error (exit code 64): failure condition '{status.conditions.")
    text = log(result, result.name)
    assert "ended with exit code 1" in text
    assert "the reason" in text


def test_on_failure_counts_restarts_against_the_backoff_limit(tmp_path: Path) -> None:
    manifest = tfjob("exit 1", worker={"restartPolicy": "OnFailure"}, runPolicy={"backoffLimit": 2})
    result = execute(tmp_path, workflow(waiting(manifest)))
    assert result.phase == "Failed"


def test_active_deadline(tmp_path: Path) -> None:
    manifest = tfjob("exec sleep 1000", runPolicy={"activeDeadlineSeconds": 1})
    assert execute(tmp_path, workflow(waiting(manifest))).phase == "Failed"


def test_default_success_policy_is_worker_0(tmp_path: Path) -> None:
    script = "case $TF_CONFIG in *'\"index\":0}'*) true;; *) exec sleep 1000;; esac"
    manifest = tfjob(script)
    manifest["spec"]["successPolicy"] = ""
    template = creating(manifest, successCondition="status.conditions.2.type == Succeeded")
    assert execute(tmp_path, workflow(template)).succeeded


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda job: job["metadata"].update(name="1-bad"), "DNS-1035"),
        (lambda job: job["spec"].pop("tfReplicaSpecs"), "spec.tfReplicaSpecs: Required value"),
        (
            lambda job: job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0].update(
                name="tf"
            ),
            "must have at least one container with name tensorflow",
        ),
        (
            lambda job: job["spec"]["tfReplicaSpecs"]["Worker"].update(restartPolicy="Sometimes"),
            "Unsupported value",
        ),
        (
            lambda job: job["spec"]["tfReplicaSpecs"].update(Chief={}, Master={}),
            "more than 1 Chief or Master",
        ),
    ],
)
def test_what_the_operator_refuses(change: object, text: str) -> None:
    job = tfjob("true")
    job["metadata"]["name"] = "fine"
    validate_tfjob(job)
    change(job)  # type: ignore[operator]
    with pytest.raises(ApiError) as caught:
        validate_tfjob(job)
    assert text in caught.value.message


def test_a_second_create_of_the_same_name(tmp_path: Path) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "same"}}
    template = {**creating(config), "name": "make"}
    steps = {
        "name": "main",
        "steps": [[{"name": "a", "template": "make"}], [{"name": "b", "template": "make"}]],
    }
    result = execute(tmp_path, workflow(steps, template))
    assert node(result, "b")["message"].endswith(
        'Error from server (AlreadyExists): configmaps "same" already exists'
    )


def test_failure_condition_in_argos_words(tmp_path: Path) -> None:
    # recorded from the real controller
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": "b"}}
    template = creating(config, successCondition="status.x == y", failureCondition="data.a == b")
    result = execute(tmp_path, workflow(template))
    message = node(result, result.name)["message"]
    assert message == "main: Error (exit code 64): failure condition '{data.a == [b]}' evaluated true"


def test_unknown_kind_is_refused_before_anything_runs(tmp_path: Path) -> None:
    manifest = {"apiVersion": "kubeflow.org/v1", "kind": "MPIJob", "metadata": {"name": "x"}}
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, workflow(creating(manifest)))
    assert caught.value.code == "TIP230"


# -- Deployment and Service ---------------------------------------------------------------------------------------

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = os.environ["WHO"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((os.environ["TIPHYS_POD_IP"], 8501), Handler).serve_forever()
"""


def deployment(name: str, who: str, *, replicas: int = 2, mark: str = "") -> dict[str, object]:
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "-c", SERVER, mark],
        "env": [{"name": "WHO", "value": who}],
        "ports": [{"name": "http", "containerPort": 8501}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": "test"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"who": who}},
            "template": {"metadata": {"labels": {"who": who}}, "spec": {"containers": [container]}},
        },
    }


def service(who: str) -> dict[str, object]:
    spec = {"selector": {"who": who}, "ports": [{"port": 8501, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "spec": spec}


def deploy(name: str, manifest: dict[str, object]) -> dict[str, object]:
    conditions = "status.readyReplicas == 2,status.updatedReplicas == 2"
    return {**creating(manifest, action="apply", successCondition=conditions), "name": name}


def expose(name: str, who: str) -> dict[str, object]:
    path = "http://{.spec.clusterIP}:{.spec.ports[0].port}"
    outputs = {"parameters": [{"name": "url", "valueFrom": {"jsonPath": path}}]}
    return {**creating(service(who), action="apply", outputs=outputs), "name": name}


def ask(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        return str(answer.read().decode())


def test_deployment_service_swap_and_delete(tmp_path: Path) -> None:
    """The Service keeps its address over the swap, and no request fails meanwhile."""
    mark = f"server-mark-{os.getpid()}-{tmp_path.name}"
    probe = {
        "name": "probe",
        "inputs": {"parameters": [{"name": "url"}]},
        "script": {
            "image": IMAGE,
            "command": ["python"],
            "env": [
                {"name": "HERE", "value": str(tmp_path)},
                {"name": "URL", "value": "{{inputs.parameters.url}}"},
            ],
            "source": (
                "import os, urllib.request\n"
                "seen = []\n"
                "open(os.environ['HERE'] + '/asking', 'w').close()\n"
                "while not seen or seen[-1] != 'b' or seen.count('b') < 20:\n"
                "    seen.append(urllib.request.urlopen(os.environ['URL'], timeout=10).read().decode())\n"
                "print(''.join(sorted(set(seen))), 'a' in seen)"
            ),
        },
    }
    hold = {
        "name": "hold",
        "script": {
            "image": IMAGE,
            "command": ["sh"],
            "env": [{"name": "HERE", "value": str(tmp_path)}],
            "source": 'while [ ! -e "$HERE/asking" ]; do sleep 0.02; done; sleep 0.3',
        },
    }
    url = {"parameters": [{"name": "url", "value": "{{tasks.expose.outputs.parameters.url}}"}]}
    retire = {
        "name": "retire",
        "resource": {"action": "delete", "flags": ["deployments.apps", "--selector", "app=test"]},
    }
    flow = workflow(
        dag(
            {"name": "a", "template": "deploy-a"},
            {"name": "b", "template": "deploy-b"},
            {"name": "expose", "template": "expose-a", "depends": "a"},
            {"name": "probe", "template": "probe", "depends": "expose", "arguments": url},
            {"name": "hold", "template": "hold", "depends": "expose"},
            {"name": "swap", "template": "expose-b", "depends": "hold && b"},
            {"name": "retire", "template": "retire", "depends": "swap && probe"},
        ),
        deploy("deploy-a", deployment("dep-a", "a", mark=mark)),
        deploy("deploy-b", deployment("dep-b", "b", mark=mark)),
        expose("expose-a", "a"),
        expose("expose-b", "b"),
        probe,
        hold,
        retire,
    )
    result = execute(tmp_path, flow)
    assert result.succeeded, {
        each["displayName"]: each.get("message") for each in result.workflow["status"]["nodes"].values()
    }
    assert log(result, "probe").split() == ["ab", "True"]
    assert value(result, "expose", "url") == value(result, "swap", "url")
    assert value(result, "expose", "url").startswith("http://127.96.")
    assert not marked(mark)


def test_rolling_update_never_has_fewer_ready_replicas(tmp_path: Path) -> None:
    recorder = Recorder()
    steps = {
        "name": "main",
        "steps": [[{"name": "one", "template": "one"}], [{"name": "two", "template": "two"}]],
    }
    flow = workflow(steps, deploy("one", deployment("dep", "a")), deploy("two", deployment("dep", "b")))
    assert execute(tmp_path, flow, observer=recorder).succeeded
    ready = 0
    least = []
    for change in recorder.of(ReplicaChanged):
        ready += {"ready": 1, "stopped": -1}.get(change.state, 0)
        if ready >= 2 or least:
            least.append(ready)
    assert len(least) > 2
    assert min(least) >= 2


def test_dead_replica_is_restarted(tmp_path: Path) -> None:
    mark = f"replica-mark-{os.getpid()}-{tmp_path.name}"
    recorder = Recorder()
    run: list[Run] = []

    def observe(observation: object) -> None:
        recorder(observation)  # type: ignore[arg-type]
        states = [each.state for each in recorder.of(ReplicaChanged)]
        if (
            isinstance(observation, ReplicaChanged)
            and observation.state == "ready"
            and states.count("ready") == 2
        ):
            os.kill(marked(mark)[0], signal.SIGKILL)
        if "restarted" in states and states.count("ready") == 3:
            run[0].resume_nodes()

    hold = {"name": "hold", "suspend": {}}
    steps = {
        "name": "main",
        "steps": [[{"name": "d", "template": "d"}], [{"name": "hold", "template": "hold"}]],
    }
    flow = workflow(steps, deploy("d", deployment("dep", "a", mark=mark)), hold)
    run.append(Run(flow, options=RunOptions(store=tmp_path / "store", observer=observe)))
    assert run[0].execute().succeeded
    assert "restarted" in [each.state for each in recorder.of(ReplicaChanged)]


def test_deployment_that_cannot_come_up_says_why(tmp_path: Path) -> None:
    manifest = deployment("dep", "a")
    manifest["spec"]["progressDeadlineSeconds"] = 1
    manifest["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", "echo no model; exit 1"]
    late = ",".join(f"status.conditions.{index}.reason == ProgressDeadlineExceeded" for index in (0, 1))
    template = creating(
        manifest, action="apply", successCondition="status.readyReplicas == 2", failureCondition=late
    )
    result = execute(tmp_path, workflow(template))
    assert result.phase == "Failed"
    assert "no model" in log(result, result.name)


MEET = """
import json, os, socket
task = json.loads(os.environ["TF_CONFIG"])
hosts, index = task["cluster"]["worker"], task["task"]["index"]
with socket.create_server(("localhost", int(hosts[index].rpartition(":")[2]))) as own:
    host, _, port = hosts[1 - index].rpartition(":")
    while True:
        try:
            socket.create_connection((host, int(port)), 5).close()
            break
        except ConnectionRefusedError:
            pass
    own.accept()[0].close()
"""


@sandboxed
def test_in_the_sandbox_workers_meet_and_services_answer(tmp_path: Path) -> None:
    """In the network of the run: what is asked there is nowhere on this machine."""
    url, refused = "{{inputs.parameters.url}}", []
    get = f"import urllib.request as u; print(u.urlopen('{url}').read().decode())"
    given = {"inputs": {"parameters": [{"name": "url"}]}}
    asking = [python("ask", get, **given), {"name": "http", "http": {"url": url}, **given}]
    tasks = [
        {"name": "d", "template": "d"},
        {"name": "e", "template": "e", "depends": "d"},
        {"name": "job", "template": "job"},
        *(
            {
                "name": each["name"],
                "template": each["name"],
                "depends": "e",
                "arguments": {"parameters": [{"name": "url", "value": "{{tasks.e.outputs.parameters.url}}"}]},
            }
            for each in asking
        ),
    ]
    job = {**waiting(tfjob(f"exec python -c '{MEET}'")), "name": "job"}

    def observe(seen: Observation) -> None:
        if isinstance(seen, NodeChanged) and (seen.node["displayName"], seen.change) == ("e", "finished"):
            with pytest.raises(OSError, match="refused") as caught:
                ask(seen.node["outputs"]["parameters"][0]["value"])
            refused.append(str(caught.value))

    flow = workflow(dag(*tasks), deploy("d", deployment("dep", "a")), expose("e", "a"), job, *asking)
    result = execute(tmp_path, flow, runner="sandbox", network="run", observer=observe)
    assert result.succeeded, result.workflow["status"]
    assert (log(result, "ask"), node(result, "http")["outputs"]["result"]) == ("a\n", "a")
    assert refused


@pytest.mark.parametrize("runner", RUNNERS)
def test_kept_services_outlive_the_run_until_they_are_stopped(tmp_path: Path, runner: str) -> None:
    mark = f"kept-mark-{os.getpid()}-{tmp_path.name}"
    steps = {"name": "main", "steps": [[{"name": "d", "template": "d"}], [{"name": "e", "template": "e"}]]}
    flow = workflow(steps, deploy("d", deployment("dep", "a", mark=mark)), expose("e", "a"))
    result = execute(tmp_path, flow, keep_serving=True, runner=runner)
    try:
        assert result.succeeded
        url = value(result, "e", "url")
        assert [each["url"] for each in result.services] == [url]
        assert ask(url) == "a"
        programs = [pid for pid in marked(mark) if Path(f"/proc/{pid}/comm").read_text() != "bwrap\n"]
        assert len(programs) == 2
    finally:
        assert stop_serving(tmp_path / "store") == [result.name]
    assert not marked(mark)
    assert not marked(str(result.folder))
    assert stop_serving(tmp_path / "store") == []


def test_services_are_stopped_at_the_runs_end(tmp_path: Path) -> None:
    mark = f"end-mark-{os.getpid()}-{tmp_path.name}"
    assert execute(tmp_path, workflow(deploy("main", deployment("dep", "a", mark=mark)))).succeeded
    assert not marked(mark)


PROGRAM = """
import json, sys
from tiphys.engine import RunOptions, run
run(json.load(open(sys.argv[1])), options=RunOptions(store=sys.argv[2], name="wf"))
"""


@pytest.mark.parametrize("ended", [False, True], ids=["resume", "retry"])
def test_services_come_back_after_a_resume(ended: bool, tmp_path: Path) -> None:
    """Also for a retry: the steps that made them are kept, and what asks them runs again."""
    ask_it = {
        "name": "ask",
        "inputs": {"parameters": [{"name": "url"}]},
        "script": {
            "image": IMAGE,
            "command": ["sh"],
            "env": [
                {"name": "HERE", "value": str(tmp_path)},
                {"name": "URL", "value": "{{inputs.parameters.url}}"},
            ],
            "source": (
                f'touch "$HERE/asked"; test -e "$HERE/open" || {"exit 1" if ended else "exec sleep 1000"}\n'
                "exec python -c \"import os, urllib.request; print(urllib.request.urlopen(os.environ['URL']).read())\""
            ),
        },
    }
    url = {"parameters": [{"name": "url", "value": "{{steps.e.outputs.parameters.url}}"}]}
    steps = {
        "name": "main",
        "steps": [
            [{"name": "d", "template": "d"}],
            [{"name": "e", "template": "e"}],
            [{"name": "ask", "template": "ask", "arguments": url}],
        ],
    }
    flow = workflow(steps, deploy("d", deployment("dep", "a")), expose("e", "a"), ask_it)
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(flow))
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "store")])
    wait_until((tmp_path / "asked").exists)
    if not ended:
        process.kill()
    process.wait()
    (tmp_path / "open").touch()
    options = RunOptions(store=tmp_path / "store")
    result = prepare_retry("wf", options=options).execute() if ended else resume("wf", options=options)
    assert result.succeeded
    assert "b'a'" in log(result, "ask")


# -- Workflows ----------------------------------------------------------------------------------------------------


def test_workflow_of_workflows(tmp_path: Path) -> None:
    child = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "child"},
        "spec": {
            "entrypoint": "main",
            "templates": [
                {"name": "main", "container": {"image": IMAGE, "command": ["sh", "-c", "exit {{=1+1}}"]}}
            ],
        },
    }
    conditions = {
        "successCondition": "status.phase == Succeeded",
        "failureCondition": "status.phase in (Failed, Error)",
    }
    template = creating(child, **conditions)
    text = template["resource"]["manifest"].replace("{{=1+1}}", "2")
    template["resource"]["manifest"] = text
    result = execute(tmp_path, workflow(template))
    # recorded from the real controller
    expected = (
        "main: Error (exit code 64): failure condition '{status.phase in [Error Failed]}' evaluated true"
    )
    assert node(result, result.name)["message"] == expected
    template["resource"]["manifest"] = text.replace("exit 2", "true").replace('"child"', '"other"')
    assert execute(tmp_path, workflow(template)).succeeded
    assert (tmp_path / "store/runs/other/logs/other.log").exists()


@pytest.mark.parametrize("prefix", ["train-", "{{workflow.name}}-", "a" * 70])
def test_a_tfjob_may_leave_its_name_to_the_api_server(tmp_path: Path, prefix: str) -> None:
    job = tfjob("echo $HOSTNAME", replicas=1, runPolicy={"cleanPodPolicy": "All"})
    job["metadata"] = {"generateName": prefix}
    name = {"name": "name", "valueFrom": {"jsonPath": "{.metadata.name}"}}
    made = creating(
        job,
        successCondition="status.replicaStatuses.Worker.succeeded == 1",
        outputs={"parameters": [name]},
    )
    result = execute(tmp_path, workflow(made))
    assert result.succeeded, result.message
    given = value(result, result.name, "name")
    start = prefix.replace("{{workflow.name}}", result.name)[:58]
    assert given.startswith(start) and len(given) == len(start) + 5


def test_a_generated_name_is_judged_as_any_other(tmp_path: Path) -> None:
    job = tfjob("true")
    job["metadata"] = {"generateName": "Train-"}
    with pytest.raises(RefusedError, match="DNS-1035"):
        execute(tmp_path, workflow(waiting(job)))


def test_apply_wants_a_name(tmp_path: Path) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-"}, "data": {}}
    result = execute(tmp_path, workflow(creating(manifest, action="apply")))
    assert node(result, result.name)["phase"] in ("Failed", "Error")
    assert (
        "from c-: cannot use generate name with apply"
        in node(result, result.name)["message"] + result.message
    )


def test_a_patch_and_an_apply_keep_the_ports_that_they_do_not_name(tmp_path: Path) -> None:
    head = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}

    def step(name: str, action: str, *ports: int, **more: object) -> dict[str, object]:
        manifest = {**head, "spec": {"ports": [{"name": f"p{port}", "port": port} for port in ports]}}
        outputs = {
            "parameters": [{"name": "ports", "valueFrom": {"jsonPath": "{.spec.ports[*].port}"}}],
        }
        return {**creating(manifest, action=action, outputs=outputs, **more), "name": name}

    steps = (
        step("applied", "apply", 8500, 8600),
        step("patched", "patch", 8501, mergeStrategy="strategic"),
        step("applied-again", "apply", 8500),
        step("merged", "patch", 8700, mergeStrategy="merge"),
    )
    main = {"name": "main", "steps": [[{"name": item["name"], "template": item["name"]}] for item in steps]}
    result = execute(tmp_path, workflow(main, *steps))
    assert result.succeeded, result.message
    assert [value(result, str(item["name"]), "ports") for item in steps] == [
        "8500 8600",
        "8501 8500 8600",  # as on a real server: what a patch names stands first
        "8501 8500",
        "8700",
    ]


def test_a_condition_that_cannot_be_read_fails_the_step_when_the_object_is_there(tmp_path: Path) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}}
    bad = {**creating(config, successCondition="data.k b"), "name": "bad"}
    flags = {"name": "look", "resource": {"action": "get", "flags": ["configmap", "c"]}}
    first = {"name": "bad", "template": "bad", "continueOn": {"failed": True}}
    main = {"name": "main", "steps": [[first], [{"name": "look", "template": "look"}]]}
    result = execute(tmp_path, workflow(main, bad, flags))
    assert node(result, "look")["phase"] == "Succeeded"
    # recorded from the real controller
    assert node(result, "bad")["message"] == (
        "main: Error (exit code 64): success condition 'data.k b' failed to parse: "
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
    )


def test_a_patch_that_the_server_refuses(tmp_path: Path) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}}
    made = {**creating(config), "name": "made"}
    test = json.dumps([{"op": "test", "path": "/data/k", "value": "x"}])
    patch = {"action": "patch", "mergeStrategy": "json", "flags": ["cm", "c"], "manifest": test}
    main = {
        "name": "main",
        "steps": [[{"name": "made", "template": "made"}], [{"name": "p", "template": "p"}]],
    }
    result = execute(tmp_path, workflow(main, made, {"name": "p", "resource": patch}))
    # recorded from the real controller
    assert node(result, "p")["message"] == (
        "main: Error (exit code 64): no more retries The request is invalid: the server rejected our request due to "
        "an error in our request"
    )
