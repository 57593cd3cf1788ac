"""What there is around a body goes on with it: other containers, daemons, deadlines, what the kubelet does."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from tests.engine.harness import (
    dag,
    node,
    out,
    python,
    shell,
    value,
    wait_until,
    workflow,
)
from tests.engine.outliving.world import BODY, World


def test_all_of_a_wide_run_go_on(plain: World) -> None:
    body = "echo {{item}} >> /notes/began; until test -e /notes/go; do sleep 0.05; done; echo {{item}} >> /notes/ended"
    body = body.replace("{{item}}", "{{inputs.parameters.n}}")
    leaf = shell("leaf", body, inputs={"parameters": [{"name": "n"}]})
    call = {"parameters": [{"name": "n", "value": "{{item}}"}]}
    steps = [[{"name": "n", "template": "leaf", "withSequence": {"count": "20"}, "arguments": call}]]
    plain.start(workflow({"name": "main", "steps": steps}, leaf))
    wait_until(lambda: len(plain.seen("began")) >= 10)
    plain.kill()
    plain.let_go()
    result = plain.resume()
    assert result.succeeded
    everyone = sorted(map(str, range(20)))
    assert sorted(plain.seen("ended")) == everyone and sorted(plain.seen("began")) == everyone


def test_a_container_set_goes_on_where_it_was(world: World) -> None:
    def one(name: str, script: str, *needs: str) -> dict[str, Any]:
        return {
            "name": name,
            "image": "tiphys/step:test",
            "command": ["sh", "-c", script],
            "dependencies": list(needs),
        }

    template = {
        "name": "main",
        "containerSet": {
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
            "containers": [
                one("a", "echo x >> /notes/a; echo from-a > /shared/a"),
                one(
                    "b",
                    "echo x >> /notes/began; until test -e /notes/go; do sleep 0.02; done; echo x >> /notes/b",
                    "a",
                ),
                one("main", "echo x >> /notes/main; mkdir -p /tmp/out; cat /shared/a > /tmp/out/x", "b"),
            ],
        },
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "outputs": out("x"),
    }
    world.start(workflow(template))
    world.wait_for("began")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert [world.seen(name) for name in ("a", "began", "b", "main")] == [["x"]] * 4
    assert value(result, "wf", "x") == "from-a"


def test_init_containers_sidecars_and_artifacts(world: World) -> None:
    maker = shell("maker", "mkdir -p /tmp/o/d; echo hello > /tmp/o/d/f; echo x >> /notes/made")
    maker["outputs"] = {"artifacts": [{"name": "o", "path": "/tmp/o"}]}
    user = shell("user", "cat /tmp/i/d/f > /tmp/seen; " + BODY)
    user["inputs"] = {"artifacts": [{"name": "i", "path": "/tmp/i"}]}
    user["outputs"] = {
        **out("x"),
        "artifacts": [{"name": "seen", "path": "/tmp/seen", "archive": {"none": {}}}],
    }
    image = "tiphys/step:test"
    user["initContainers"] = [
        {"name": "before", "image": image, "command": ["sh", "-c", "echo x >> /notes/init"]}
    ]
    user["sidecars"] = [
        {"name": "side", "image": image, "command": ["sh", "-c", "echo x >> /notes/side; exec sleep 1000"]}
    ]
    given = {"artifacts": [{"name": "i", "from": "{{tasks.a.outputs.artifacts.o}}"}]}
    world.start(
        workflow(
            dag(
                {"name": "a", "template": "maker"},
                {"name": "b", "template": "user", "depends": "a", "arguments": given},
            ),
            maker,
            user,
        )
    )
    world.wait_for("began")
    world.wait_for("side")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert [world.seen(name) for name in ("made", "init", "side", "began", "ended")] == [["x"]] * 5
    (artifact,) = [each for each in node(result, "b")["outputs"]["artifacts"] if each["name"] == "seen"]
    assert artifact
    assert not world.alive()


def test_a_daemon_goes_on_at_its_address(world: World) -> None:
    serve = (
        "import http.server, os\nopen('/notes/daemon', 'a').write('x\\n')\n"
        "place = (os.environ['TIPHYS_POD_IP'], 8123)\n"
        "http.server.HTTPServer(place, http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    daemon = python("daemon", serve, daemon=True)
    daemon["script"]["readinessProbe"] = {"httpGet": {"path": "/", "port": 8123}}
    ask = shell(
        "ask",
        "echo x >> /notes/began; until test -e /notes/go; do sleep 0.02; done; "
        "python -c 'import urllib.request, sys; urllib.request.urlopen(sys.argv[1])' http://$IP:8123/; "
        "echo $? >> /notes/ended",
        inputs={"parameters": [{"name": "ip"}]},
    )
    ask["container"]["env"] = [{"name": "IP", "value": "{{inputs.parameters.ip}}"}]
    given = {"parameters": [{"name": "ip", "value": "{{tasks.d.ip}}"}]}
    world.start(
        workflow(
            dag(
                {"name": "d", "template": "daemon"},
                {"name": "a", "template": "ask", "depends": "d", "arguments": given},
                {"name": "later", "template": "ask", "depends": "a", "arguments": given},
            ),
            daemon,
            ask,
        )
    )
    world.wait_for("began")
    world.kill()
    world.let_go()
    result = world.resume()
    assert result.succeeded, result.message
    assert world.seen("daemon") == ["x"]
    assert len(world.seen("began")) == 2 and world.seen("ended") == ["0", "0"]
    assert not world.alive()


def test_a_deadline_still_holds(plain: World) -> None:
    plain.start(workflow(shell("main", "echo x >> /notes/began; exec sleep 1000", activeDeadlineSeconds=3)))
    plain.wait_for("began")
    plain.kill()
    began = time.monotonic()
    result = plain.resume()
    assert result.phase == "Failed" and time.monotonic() - began < 20
    assert plain.seen("began") == ["x"] and not plain.alive()


def test_what_ended_in_time_is_not_late_because_it_was_collected_late(plain: World) -> None:
    plain.start(workflow(shell("main", BODY, activeDeadlineSeconds=3)))
    plain.wait_for("began")
    plain.freeze()
    plain.let_go()
    plain.wait_for("ended")
    wait_until(lambda: not plain.alive())
    plain.kill()
    time.sleep(3)
    result = plain.resume()
    assert result.succeeded, result.message
    assert plain.seen("began") == ["x"]


def test_what_the_kubelet_does_goes_on(plain: World) -> None:
    """The memory limit holds for what was taken over; its postStart handler has run, and does not run again."""
    template = shell(
        "main",
        "echo x >> /notes/began; until test -e /notes/go; do sleep 0.02; done; "
        "exec python -c 'import time; x = bytearray(200_000_000); time.sleep(1000)'",
    )
    template["container"]["resources"] = {"limits": {"memory": "100Mi"}}
    template["container"]["lifecycle"] = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo x >> /notes/hook"]}}
    }
    plain.start(workflow(template))
    plain.wait_for("began")
    plain.wait_for("hook")
    plain.kill()
    plain.let_go()
    result = plain.resume()
    assert result.phase == "Failed"
    assert node(result, "wf")["message"] == "main: OOMKilled (exit code 137)"
    assert plain.seen("began") == plain.seen("hook") == ["x"]
    assert not plain.alive()


@pytest.mark.parametrize("who", ["engine", "keeper"])
def test_servers_are_no_steps(plain: World, who: str) -> None:
    """While servers run nothing outlives the engine: who goes on starts them again, as a group."""
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "server"},
        "spec": {
            "selector": {"matchLabels": {"app": "server"}},
            "template": {
                "metadata": {"labels": {"app": "server"}},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": "tiphys/step:test",
                            "command": ["sh", "-c", "exec sleep 1000"],
                            "env": [{"name": "MARK", "value": plain.mark}],
                        }
                    ]
                },
            },
        },
    }
    deploy = {"name": "deploy", "resource": {"action": "create", "manifest": json.dumps(manifest)}}
    plain.start(
        workflow(
            dag({"name": "d", "template": "deploy"}, {"name": "a", "template": "long", "depends": "d"}),
            deploy,
            shell("long", BODY),
        )
    )
    plain.wait_for("began")
    wait_until(lambda: len(plain.alive()) >= 2)
    if who == "keeper":
        os.kill(plain.keepers()[-1], signal.SIGKILL)
    plain.kill()
    wait_until(lambda: not plain.alive() and not plain.keepers(), 15)
    plain.let_go()
    assert plain.resume().succeeded
    assert plain.seen("began") == ["x", "x"] and plain.seen("ended") == ["x"]
