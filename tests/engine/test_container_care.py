"""Probes, lifecycle handlers, memory limits, podSpecPatch: what the kubelet does around a container.

Phases, messages and exit codes were recorded from the real controller (4.1.2 on Kubernetes 1.33).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import IMAGE, RUNNERS, log, node, out, sandboxed, shell, value, workflow
from tests.engine.harness import execute as run_it
from tiphys.engine import RunOptions, RunResult

Json = Any
execute = functools.partial(run_it, invalid="")  # probes here are faster than an API server takes them

WAIT = "i=0; while [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done"
FAILS = {"exec": {"command": ["false"]}, "periodSeconds": 0.05, "failureThreshold": 2}
GREEDY = "python -c 'x = [bytes(1 << 20) * 1 for _ in range(10)]; y = []\nwhile True: y.append(b\"x\" * (4 << 20))'"
LIMIT = {"resources": {"limits": {"memory": "60Mi"}}}


def container(script: str, **more: Json) -> dict[str, Json]:
    return {"image": IMAGE, "command": ["sh", "-c", script], **more}


def run_main(tmp_path: Path, spec: Mapping[str, Json], **more: Json) -> tuple[RunResult, dict[str, Json]]:
    options = more.pop("options", {})
    found = execute(tmp_path, workflow({"name": "main", "container": spec, **more}), **options)
    return found, node(found, found.name)


def end(found: Mapping[str, Json]) -> tuple[str, str]:
    return found["phase"], found.get("message", "")


# -- probes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_failed_liveness_probe_ends_the_container(tmp_path: Path, runner: str) -> None:
    _, found = run_main(tmp_path, container(WAIT, livenessProbe=FAILS), options={"runner": runner})
    assert end(found) == ("Failed", "main: Error (exit code 143)")
    assert found["outputs"]["exitCode"] == "143"


def test_a_container_that_takes_the_signal_well_has_succeeded(tmp_path: Path) -> None:
    script = f"trap 'mkdir -p /tmp/out; echo x > /tmp/out/r; exit 0' TERM; {WAIT}"
    result, found = run_main(tmp_path, container(script, livenessProbe=FAILS), outputs=out("r"))
    assert end(found) == ("Succeeded", "")
    assert value(result, result.name, "r") == "x"


def test_a_container_that_ignores_the_signal_is_killed_after_the_probes_grace(tmp_path: Path) -> None:
    probe = {**FAILS, "terminationGracePeriodSeconds": 0.2}
    _, found = run_main(tmp_path, container(f"trap '' TERM; {WAIT}", livenessProbe=probe))
    assert end(found) == ("Failed", "main: Error (exit code 137)")


def test_a_failed_startup_probe_ends_the_container(tmp_path: Path) -> None:
    _, found = run_main(tmp_path, container(WAIT, startupProbe=FAILS))
    assert end(found) == ("Failed", "main: Error (exit code 143)")


def test_liveness_waits_for_the_startup_probe(tmp_path: Path) -> None:
    starts = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 0.02, "failureThreshold": 1000}
    alive = {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 0.02, "failureThreshold": 1}
    script = "sleep 0.5; touch /tmp/up; sleep 0.5; echo end"
    result, found = run_main(tmp_path, container(script, startupProbe=starts, livenessProbe=alive))
    assert end(found) == ("Succeeded", "")
    assert log(result, result.name) == "end\n"


def test_a_probe_that_cannot_be_made_is_no_failure(tmp_path: Path) -> None:
    # the kubelet: an exec error other than an exit code is "unknown"
    probe = {**FAILS, "exec": {"command": ["nosuchprogram"]}, "failureThreshold": 1}
    _, found = run_main(tmp_path, container("sleep 0.5", livenessProbe=probe))
    assert end(found) == ("Succeeded", "")


def test_a_probe_that_takes_too_long_has_failed(tmp_path: Path) -> None:
    probe = {
        "exec": {"command": ["sleep", "600"]},
        "timeoutSeconds": 0.1,
        "failureThreshold": 1,
        "periodSeconds": 0.1,
    }
    _, found = run_main(tmp_path, container(WAIT, livenessProbe=probe))
    assert end(found) == ("Failed", "main: Error (exit code 143)")


def test_an_http_probe_of_a_named_port(tmp_path: Path) -> None:
    probe = {"httpGet": {"port": "web", "path": "/x"}, "periodSeconds": 0.05, "failureThreshold": 1}
    ports = [{"name": "web", "containerPort": 1}]
    _, found = run_main(tmp_path, container(WAIT, livenessProbe=probe, ports=ports))
    assert end(found) == ("Failed", "main: Error (exit code 143)")


def test_a_sidecar_that_its_probe_ends_does_not_count(tmp_path: Path) -> None:
    side = {"name": "side", **container(WAIT, livenessProbe=FAILS)}
    _, found = run_main(tmp_path, container("sleep 0.8; echo end"), sidecars=[side])
    assert end(found) == ("Succeeded", "")


def test_a_sidecar_that_its_probe_ends_badly_counts(tmp_path: Path) -> None:
    side = {"name": "side", **container(f"trap 'exit 3' TERM; {WAIT}", livenessProbe=FAILS)}
    _, found = run_main(tmp_path, container("sleep 1; echo end"), sidecars=[side])
    assert end(found) == ("Failed", "side: Error (exit code 3)")


def daemon(probe: Mapping[str, Json], script: str, then: str = "true", **more: Json) -> dict[str, Json]:
    steps = [[{"name": "d", "template": "d"}], [{"name": "u", "template": "u"}]]
    served = {"name": "d", "daemon": True, "container": container(script, **probe), **more}
    return workflow({"name": "main", "steps": steps}, served, shell("u", then))


def test_a_daemon_is_ready_when_its_exec_probe_passes(tmp_path: Path) -> None:
    probe = {"readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ok"]}, "periodSeconds": 1}}
    script = f"sleep 0.6; echo ready > /shared/mark; touch /tmp/ok; {WAIT}"
    flow = daemon(probe, script, then="cat /shared/mark")
    flow["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    for template in flow["spec"]["templates"][1:]:
        template["container"]["volumeMounts"] = [{"name": "v", "mountPath": "/shared"}]
    result = execute(tmp_path, flow)
    assert result.succeeded
    assert log(result, "u") == "ready\n"


def test_a_daemon_that_its_probe_ends_has_failed(tmp_path: Path) -> None:
    probe = {"livenessProbe": {**FAILS, "initialDelaySeconds": 0.3}}
    result = execute(tmp_path, daemon(probe, f"trap 'exit 4' TERM; {WAIT}", then="sleep 1.5"))
    lost = node(result, "d")
    assert end(lost) == ("Failed", "main: Error (exit code 4)")
    words = f"child '{lost['id']}' failed"
    assert (result.phase, result.workflow["status"]["message"]) == ("Failed", words)
    assert end(node(result, "[0]")) == ("Failed", words)


# -- lifecycle --------------------------------------------------------------------------------------------------------


def test_post_start_runs_in_the_container(tmp_path: Path) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo hi > /tmp/hi"]}}}
    script = "mkdir -p /tmp/out; while ! test -s /tmp/hi; do sleep 0.05; done; cat /tmp/hi > /tmp/out/r"
    result, _ = run_main(tmp_path, container(script, lifecycle=hook), outputs=out("r"))
    assert value(result, result.name, "r") == "hi"


def test_a_failed_post_start_ends_the_container(tmp_path: Path) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "exit 7"]}}}
    _, found = run_main(tmp_path, container(WAIT, lifecycle=hook))
    assert end(found) == ("Failed", "main: Error (exit code 143)")


def test_pre_stop_runs_before_the_signal_of_a_failed_probe(tmp_path: Path) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo pre > /tmp/p"]}}}
    script = f"trap 'mkdir -p /tmp/out; cat /tmp/p > /tmp/out/r; exit 0' TERM; {WAIT}"
    result, found = run_main(
        tmp_path, container(script, lifecycle=hook, livenessProbe=FAILS), outputs=out("r")
    )
    assert end(found) == ("Succeeded", "")
    assert value(result, result.name, "r") == "pre"


def test_pre_stop_runs_at_a_deadline(tmp_path: Path) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo pre > /tmp/p"]}}}
    script = f"trap 'cat /tmp/p; echo term; exit 0' TERM; {WAIT}"
    result, found = run_main(tmp_path, container(script, lifecycle=hook), activeDeadlineSeconds=1)
    assert end(found) == ("Failed", "Pod was active on the node longer than the specified deadline")
    assert log(result, result.name).splitlines()[-2:] == ["pre", "term"]


def test_a_sidecar_that_is_no_longer_needed_gets_no_pre_stop(tmp_path: Path) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo pre > /tmp/p"]}}}
    script = f"trap 'cat /tmp/p; echo term; exit 0' TERM; {WAIT}"
    side = {"name": "side", **container(script, lifecycle=hook)}
    result, found = run_main(tmp_path, container("sleep 0.3"), sidecars=[side])
    assert end(found) == ("Succeeded", "")
    text = (result.folder / "logs" / f"{found['id']}.side.log").read_text()
    assert "term" in text
    assert "pre\n" not in text


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("script", [f"exec {GREEDY}", f"{GREEDY}; exit 3"], ids=["main", "child"])
def test_over_its_memory_limit(tmp_path: Path, runner: str, script: str) -> None:
    _, found = run_main(tmp_path, container(script, **LIMIT), options={"runner": runner})
    assert end(found) == ("Failed", "main: OOMKilled (exit code 137)")
    assert found["outputs"]["exitCode"] == "137"


def test_below_its_memory_limit(tmp_path: Path) -> None:
    # pages that forked processes share count once: five of them hold the same 100 MB
    source = (
        "import os, time\n"
        "x = b'x' * (100 << 20)\n"
        "pids = [os.fork() for _ in range(1)]\n"
        "for _ in range(2):\n    os.fork()\n"
        "time.sleep(1.5)\n"
    )
    limit = {"resources": {"limits": {"memory": "220Mi"}}}
    _, found = run_main(tmp_path, {"image": IMAGE, "command": ["python", "-c", source], **limit})
    assert end(found) == ("Succeeded", "")


def test_a_sidecar_over_its_limit_does_not_count(tmp_path: Path) -> None:
    side = {"name": "side", **container(f"exec {GREEDY}", **LIMIT)}
    _, found = run_main(tmp_path, container("sleep 1"), sidecars=[side])
    assert end(found) == ("Succeeded", "")


def test_an_init_container_over_its_limit(tmp_path: Path) -> None:
    first = {"name": "first", **container(f"exec {GREEDY}", **LIMIT)}
    _, found = run_main(tmp_path, container("true"), initContainers=[first])
    assert end(found) == ("Error", "Pod failed before main container starts due to PodInitializing: ")


def test_a_container_of_a_set_over_its_limit_takes_the_others_with_it(tmp_path: Path) -> None:
    containers = [
        {"name": "one", **container(f"exec {GREEDY}", **LIMIT)},
        {"name": "two", **container("true"), "dependencies": ["one"]},
        {"name": "side", **container(WAIT)},
    ]
    result = execute(tmp_path, workflow({"name": "main", "containerSet": {"containers": containers}}))
    assert end(node(result, result.name)) == ("Failed", "one: OOMKilled (exit code 137)")
    assert end(node(result, "one")) == ("Failed", "one: OOMKilled (exit code 137): ")
    assert end(node(result, "two")) == ("Failed", "two: Error (exit code 143): ")
    assert end(node(result, "side")) == ("Failed", "side: Error (exit code 143): ")


def test_resource_fields(tmp_path: Path) -> None:
    def field(name: str, resource: str, divisor: str = "") -> dict[str, Json]:
        reference = {"resource": resource, **({"divisor": divisor} if divisor else {})}
        return {"name": name, "valueFrom": {"resourceFieldRef": reference}}

    spec = container("mkdir -p /tmp/out; echo $A $B $C $D > /tmp/out/r")
    spec["resources"] = {"limits": {"cpu": "500m", "memory": "50Mi"}, "requests": {"cpu": "100m"}}
    spec["env"] = [
        field("A", "limits.cpu"),
        field("B", "limits.cpu", "1m"),
        field("C", "limits.memory", "1Mi"),
        field("D", "requests.memory"),
    ]
    result, _ = run_main(tmp_path, spec, outputs=out("r"))
    assert value(result, result.name, "r") == "1 500 50 52428800"


# -- the pod's description --------------------------------------------------------------------------------------------


def test_pod_spec_patch_of_workflow_then_template(tmp_path: Path) -> None:
    both = [{"name": "A", "value": "w"}, {"name": "B", "value": "w"}]
    flow = workflow(
        {
            "name": "main",
            "podSpecPatch": json.dumps(
                {"containers": [{"name": "main", "env": [{"name": "A", "value": "t"}]}]}
            ),
            "container": container(
                "mkdir -p /tmp/out; echo $A$B > /tmp/out/r", env=[{"name": "A", "value": "0"}]
            ),
            "outputs": out("r"),
        },
        podSpecPatch=json.dumps({"containers": [{"name": "main", "env": both}]}),
    )
    result = execute(tmp_path, flow)
    assert value(result, result.name, "r") == "tw"


def test_pod_spec_patch_with_a_parameter(tmp_path: Path) -> None:
    flow = workflow(
        {"name": "main", "container": container(f"exec {GREEDY}")},
        podSpecPatch='containers:\n- name: main\n  resources: {limits: {memory: "{{workflow.parameters.m}}"}}\n',
        arguments={"parameters": [{"name": "m", "value": "60Mi"}]},
    )
    result = execute(tmp_path, flow)
    assert result.message == "main: OOMKilled (exit code 137)"


def test_pod_spec_patch_of_the_command(tmp_path: Path) -> None:
    patch = json.dumps({"containers": [{"name": "main", "command": ["sh", "-c", "exit 9"]}], "nosuch": 1})
    _, found = run_main(tmp_path, container("true"), podSpecPatch=patch)
    assert end(found) == ("Failed", "main: Error (exit code 9)")


def test_a_patch_that_is_none(tmp_path: Path) -> None:
    result, found = run_main(tmp_path, container("true"), podSpecPatch="[1]")
    assert end(found) == ("Error", "Error applying PodSpecPatch")
    assert result.message == "error in entry template execution: Error applying PodSpecPatch"


def test_the_pods_grace_period(tmp_path: Path) -> None:
    patch = json.dumps({"terminationGracePeriodSeconds": 0.2})
    spec = container(f"trap '' TERM; {WAIT}", livenessProbe=FAILS)
    _, found = run_main(tmp_path, spec, podSpecPatch=patch)
    assert end(found) == ("Failed", "main: Error (exit code 137)")


@sandboxed
def test_host_aliases(tmp_path: Path) -> None:
    aliases = [{"ip": "127.0.0.9", "hostnames": ["foo.remote", "bar.remote"]}]
    script = "mkdir -p /tmp/out; getent hosts bar.remote > /tmp/out/r"
    flow = workflow(
        {"name": "main", "container": container(script), "outputs": out("r"), "hostAliases": aliases}
    )
    result = execute(tmp_path, flow, runner="sandbox")
    assert value(result, result.name, "r").split() == ["127.0.0.9", "foo.remote", "bar.remote"]


def test_pod_metadata_reaches_the_downward_api(tmp_path: Path) -> None:
    spec = container("cat /labels/l", volumeMounts=[{"name": "l", "mountPath": "/labels"}])
    volume = {
        "name": "l",
        "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]},
    }
    flow = workflow(
        {"name": "main", "container": spec}, volumes=[volume], podMetadata={"labels": {"pm": "1"}}
    )
    result = execute(tmp_path, flow)
    assert 'pm="1"' in log(result, result.name)


def test_sub_path_expressions(tmp_path: Path) -> None:
    mount = {"name": "w", "mountPath": "/w", "subPathExpr": "$(PART)/x"}
    spec = container("echo a > /w/f", volumeMounts=[mount], env=[{"name": "PART", "value": "p"}])
    claim = {"name": "w", "persistentVolumeClaim": {"claimName": "c"}}
    result = execute(tmp_path, workflow({"name": "main", "container": spec}, volumes=[claim]))
    assert result.succeeded
    assert (Path(RunOptions(store=tmp_path / "store").store) / "volumes/c/p/x/f").read_text() == "a\n"
