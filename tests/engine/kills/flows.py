"""The workflows that engines are killed in: each kind of flow, small, and the same tree whenever it is run.

A body is what a container does. It appends ``start WHO`` to the file ``$BODIES`` as its first act and ``end WHO`` as
its last one; no engine knows of it. WHO is the node's ID and the container, of a replica of a training job its job and
its number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiphys.argo.pools import POOLS, Weight, pools_text

__all__ = ["FLOWS", "Flow"]

Json = Any
IMAGE = "tiphys/step:kills"
MOUNTED = "/bodies"
CHILDREN = "child-workflow"  # the flow of which a step makes a workflow
REPLICAS = "job/"  # what the workers of a training job are called
WHO = "$ARGO_NODE_ID/$ARGO_CONTAINER_NAME"


@dataclass(frozen=True)
class Flow:
    """``spec`` of a Workflow, what is given with it, and the runner that it is for."""

    spec: Mapping[str, Json]
    context: Sequence[Mapping[str, Json]] = ()
    runner: str = "process"
    phase: str = "Succeeded"
    more: Mapping[str, Json] = field(default_factory=dict)

    def workflow(self, name: str) -> dict[str, Json]:
        """The object. A sandbox writes nothing of the host: there the file of bodies is in a claim of that name."""
        spec = dict(self.spec)
        if self.runner == "sandbox":
            spec["volumes"] = [{"name": "b", "persistentVolumeClaim": {"claimName": "bodies"}}]
            mount = {"volumeMounts": [{"name": "b", "mountPath": MOUNTED}]}
            spec["templates"] = [
                {**each, "container": {**each["container"], **mount}} if "container" in each else each
                for each in spec["templates"]
            ]
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": name},
            "spec": spec,
        }


FLOWS: dict[str, Flow] = {}


def flow(make: Callable[[], Flow]) -> Callable[[], Flow]:
    """A kind of flow, under the function's name."""
    FLOWS[make.__name__.strip("_").replace("_", "-")] = make()
    return make


def spec(*templates: Mapping[str, Json], **more: Json) -> dict[str, Json]:
    return {"entrypoint": templates[0]["name"], "templates": list(templates), **more}


def line(seconds: float, work: str = "", who: str = WHO) -> str:
    """The shell line of a body."""
    return f'echo "start {who}" >> "$BODIES"; sleep {seconds}; {work}\necho "end {who}" >> "$BODIES"'


def container(seconds: float, work: str = "", who: str = WHO) -> dict[str, Json]:
    return {"image": IMAGE, "command": ["sh", "-c", line(seconds, work, who)]}


def body(name: str, seconds: float = 0.05, work: str = "", **more: Json) -> dict[str, Json]:
    """A container template."""
    return {"name": name, "container": container(seconds, work), **more}


def script(name: str, work: str, seconds: float = 0.05, **more: Json) -> dict[str, Json]:
    source = line(seconds, work)
    return {"name": name, "script": {"image": IMAGE, "command": ["sh"], "source": source}, **more}


def step(name: str, template: str = "s", **more: Json) -> dict[str, Json]:
    return {"name": name, "template": template, **more}


def steps(*groups: Sequence[Mapping[str, Json]], name: str = "main", **more: Json) -> dict[str, Json]:
    return {"name": name, "steps": [list(group) for group in groups], **more}


def value(name: str, text: str) -> dict[str, Json]:
    return {"parameters": [{"name": name, "value": text}]}


def writes(name: str, text: str) -> str:
    return f'mkdir -p /tmp/out; printf "%s" "{text}" > /tmp/out/{name};'


def output(*names: str) -> dict[str, Json]:
    return {"parameters": [{"name": name, "valueFrom": {"path": f"/tmp/out/{name}"}} for name in names]}


def takes(*names: str) -> dict[str, Json]:
    return {"parameters": [{"name": name} for name in names]}


def resource(name: str, manifest: Json, action: str = "create", **more: Json) -> dict[str, Json]:
    return {"name": name, "resource": {"action": action, "manifest": json.dumps(manifest), **more}}


@flow
def _steps() -> Flow:
    return Flow(
        spec(steps([step("a")], [step("b"), step("c", "long")], [step("d")]), body("s"), body("long", 0.15))
    )


@flow
def _dag() -> Flow:
    needs = {"a": "", "b": "a", "c": "a.Succeeded", "d": "b && c", "e": "d || b", "f": "e"}
    tasks = [
        step(name, **({"depends": before} if before else {}), arguments=value("x", name))
        for name, before in needs.items()
    ]
    told = writes("y", "got {{inputs.parameters.x}}")
    return Flow(
        spec(
            {"name": "main", "dag": {"tasks": tasks}},
            body("s", work=told, inputs=takes("x"), outputs=output("y")),
        )
    )


@flow
def _fan_out() -> Flow:
    wide = step("x", withSequence={"count": "10"})
    return Flow(spec(steps([wide], [step("z")]), body("s", 0.08)))


@flow
def _when_and_continue_on() -> Flow:
    bad = step("bad", "bad", continueOn={"failed": True})
    after = step("after", when="{{steps.bad.status}} == Failed")
    never = step("never", when="{{steps.bad.status}} == Succeeded")
    return Flow(spec(steps([bad], [after, never], [step("z")]), body("s"), body("bad", work="exit 3")))


@flow
def _retry() -> Flow:
    again = body("again", work='[ "{{retries}}" -ge 2 ] || exit 3', retryStrategy={"limit": "3"})
    return Flow(spec(steps([step("r", "again")], [step("z")]), body("s"), again))


@flow
def _loop_and_aggregation() -> Flow:
    each = body("each", work=writes("n", "{{inputs.parameters.i}}0"), inputs=takes("i"), outputs=output("n"))
    add = script("add", "echo '{{inputs.parameters.all}}'", inputs=takes("all"))
    items = step("x", "each", withItems=["1", "2", "3", "4"], arguments=value("i", "{{item}}"))
    last = step("y", "add", arguments=value("all", "{{steps.x.outputs.parameters}}"))
    return Flow(spec(steps([items], [last]), each, add))


@flow
def _container_set() -> Flow:
    one = {"name": "a", **container(0.05)}
    two = {"name": "b", "dependencies": ["a"], **container(0.05)}
    last = {"name": "main", "dependencies": ["a", "b"], **container(0.05, writes("v", "3"))}
    pod = {"name": "set", "containerSet": {"containers": [one, two, last]}, "outputs": output("v")}
    return Flow(spec(steps([step("p", "set")], [step("z")]), body("s"), pod))


@flow
def _daemon_and_sidecar() -> Flow:
    server = {"image": IMAGE, "command": ["sh", "-c", f'echo "start {WHO}" >> "$BODIES"; exec sleep 600']}
    beside = {"name": "beside", **server}
    return Flow(
        spec(
            steps([step("d", "daemon")], [step("a", "both")], [step("z")]),
            body("s"),
            {"name": "daemon", "daemon": True, "container": server},
            body("both", 0.1, sidecars=[beside]),
        )
    )


@flow
def _mutex() -> Flow:
    locked = body("l", synchronization={"mutexes": [{"name": "one"}]})
    return Flow(spec(steps([step("x", "l", withSequence={"count": "4"})], [step("z", "l")]), locked))


@flow
def _semaphore() -> Flow:
    key = {"configMapKeyRef": {"name": "limits", "key": "two"}}
    locked = body("l", synchronization={"semaphores": [key]})
    limits = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "limits"},
        "data": {"two": "2"},
    }
    return Flow(
        spec(steps([step("x", "l", withSequence={"count": "5"})], [step("z", "l")]), locked), [limits]
    )


@flow
def _pool() -> Flow:
    """Two semaphores that are one pool of three permits: of one and of two a holder."""
    weights = [Weight("limits/one", "p", 1, 3), Weight("limits/two", "p", 2, 3)]
    locked = [
        body(name, synchronization={"semaphores": [{"configMapKeyRef": {"name": "limits", "key": name}}]})
        for name in ("one", "two")
    ]
    limits = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "limits"},
        "data": {"one": "3", "two": "1"},
    }
    both = [step("x", "one", withSequence={"count": "4"}), step("y", "two", withSequence={"count": "2"})]
    said = {"annotations": {POOLS: pools_text(weights)}}
    return Flow(spec(steps(both, [step("z", "two")]), *locked, workflowMetadata=said), [limits])


@flow
def _memoize() -> Flow:
    cached = body(
        "m",
        work=writes("v", "{{inputs.parameters.k}}"),
        inputs=takes("k"),
        outputs=output("v"),
        memoize={
            "key": "k-{{inputs.parameters.k}}",
            "maxAge": "1h",
            "cache": {"configMap": {"name": "memos"}},
        },
    )
    calls = {
        name: step(name, "m", arguments=value("k", key)) for name, key in (("a", "1"), ("b", "1"), ("c", "2"))
    }
    return Flow(spec(steps([calls["a"]], [calls["b"], calls["c"]], [step("z")]), body("s"), cached))


@flow
def _artifacts() -> Flow:
    made = "mkdir -p /tmp/o/d; head -c 200000 /dev/zero > /tmp/o/d/z; echo hello > /tmp/o/h"
    make = body("p", work=made, outputs={"artifacts": [{"name": "o", "path": "/tmp/o"}]})
    take = script(
        "q",
        "cat /tmp/i/h; wc -c < /tmp/i/d/z",
        inputs={"artifacts": [{"name": "i", "path": "/tmp/i"}]},
    )
    given = {"artifacts": [{"name": "i", "from": "{{steps.p.outputs.artifacts.o}}"}]}
    told = script("t", "echo '{{inputs.parameters.r}}'", inputs=takes("r"))
    last = step("t", "t", arguments=value("r", "{{steps.q.outputs.result}}"))
    return Flow(spec(steps([step("p", "p")], [step("q", "q", arguments=given)], [last]), make, take, told))


@flow
def _hooks_and_exit_handler() -> Flow:
    hooked = step("a", hooks={"exit": {"template": "s"}})
    return Flow(
        spec(
            steps([hooked], [step("bad", "bad")], [step("never")]),
            body("s"),
            body("bad", work="exit 4"),
            steps([step("e", when="{{workflow.status}} != Succeeded"), step("f")], name="over"),
            onExit="over",
        ),
        phase="Failed",
    )


@flow
def _suspend() -> Flow:
    return Flow(
        spec(
            steps([step("a")], [step("w", "wait")], [step("z")]),
            body("s"),
            {"name": "wait", "suspend": {"duration": "1"}},
        )
    )


@flow
def _result() -> Flow:
    many = script("many", 'echo "[1, 2, 3]"')
    each = script("each", "echo got {{inputs.parameters.i}}", inputs=takes("i"))
    loop = step("x", "each", withParam="{{steps.m.outputs.result}}", arguments=value("i", "{{item}}"))
    last = step("y", "each", arguments=value("i", "{{steps.m.outputs.result}}"))
    return Flow(spec(steps([step("m", "many")], [loop], [last]), many, each))


@flow
def _config_map() -> Flow:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}, "data": {"k": "v"}}
    held = {"parameters": [{"name": "k", "valueFrom": {"jsonPath": "{.data.k}"}}]}
    create = {**resource("create", made), "outputs": held}
    delete = resource("delete", {key: made[key] for key in ("apiVersion", "kind", "metadata")}, "delete")
    return Flow(
        spec(
            steps([step("c", "create")], [step("a")], [step("d", "delete")], [step("z")]),
            body("s"),
            create,
            delete,
        )
    )


@flow
def _training_job() -> Flow:
    number = """n=${TF_CONFIG##*\\"index\\":}; n=${n%%[!0-9 ]*};"""
    lines = f"{number} {line(0.1, who=REPLICAS + 'worker$n')}"
    worker = {"containers": [{"name": "tensorflow", "image": IMAGE, "command": ["sh", "-c", lines]}]}
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "job"},
        "spec": {
            "successPolicy": "AllWorkers",
            "tfReplicaSpecs": {
                "Worker": {"replicas": 2, "restartPolicy": "ExitCode", "template": {"spec": worker}}
            },
        },
    }
    train = resource("train", job, successCondition="status.replicaStatuses.Worker.succeeded == 2")
    return Flow(spec(steps([step("t", "train")], [step("z")]), body("s"), train))


@flow
def _child_workflow() -> Flow:
    child = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "child"},
        "spec": spec(steps([step("a")], [step("b")]), body("s")),
    }
    make = resource(
        "make",
        child,
        successCondition="status.phase == Succeeded",
        failureCondition="status.phase in (Failed, Error)",
    )
    return Flow(spec(steps([step("m", "make")], [step("z")]), body("s"), make))


@flow
def _metrics() -> Flow:
    counted = {"name": "bodies_total", "help": "h", "counter": {"value": "1"}}
    seen = {"name": "seen", "help": "h", "gauge": {"value": "{{outputs.parameters.v}}"}}
    told = body("m", work=writes("v", "7"), outputs=output("v"), metrics={"prometheus": [counted, seen]})
    return Flow(spec(steps([step("x", "m", withSequence={"count": "3"})], [step("z", "m")]), told))


@flow
def _sandbox() -> Flow:
    made = "mkdir -p /tmp/o; echo hello > /tmp/o/h"
    make = body(
        "p",
        work=made + "; " + writes("v", "1"),
        outputs={"artifacts": [{"name": "o", "path": "/tmp/o"}], **output("v")},
    )
    take = body("q", work="test -s /tmp/i/h", inputs={"artifacts": [{"name": "i", "path": "/tmp/i"}]})
    given = {"artifacts": [{"name": "i", "from": "{{steps.p.outputs.artifacts.o}}"}]}
    return Flow(
        spec(
            steps(
                [step("p", "p"), step("x", withSequence={"count": "3"})],
                [step("q", "q", arguments=given)],
                [step("z")],
            ),
            body("s"),
            make,
            take,
        ),
        runner="sandbox",
    )
