"""Metrics of pure runs: values, series and errors as the real controller (4.1.2) had them on its /metrics page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine.machine.driving import drive, label, machine, metric
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

Json = Any
ONE = "{name: main, container: {image: i}}"


def leaf(*items: Json, **more: Json) -> Json:
    """The template ``main`` with metrics."""
    return {"name": "main", "container": {"image": "i"}, "metrics": {"prometheus": list(items)}, **more}


def ran(*templates: Json, pod: Any = None, **spec: Json) -> Machine:
    """The workflow, run to its end."""
    text = json.dumps({"entrypoint": "main", "templates": list(templates), **spec})
    return drive(text, pod) if pod else drive(text)


def samples(made: Machine) -> list[str]:
    """The lines of /metrics that are values."""
    lines = made.metrics.text().splitlines()
    return [line.removeprefix("argo_workflows_") for line in lines if not line.startswith("#")]


def errors(made: Machine) -> str:
    """The message of the workflow's condition."""
    conditions = made.workflow()["status"]["conditions"]
    return next((str(each["message"]) for each in conditions if each["type"] == "MetricsError"), "")


def ends(*phases: str) -> Any:
    """Pods that end so, one after the other, after 2.5 seconds."""
    left = list(phases)

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        phase: Any = left.pop(0) if left else "Succeeded"
        outputs = {"exitCode": "0" if phase == "Succeeded" else "3", "result": "r"}
        return 2.5, p.PodFinished(0, command.node_id, phase, "", outputs)

    return pod


@pytest.mark.parametrize(
    ("items", "message", "left"),
    [
        (
            [metric("counter", "bad", "abc"), metric("counter", "bad_after", "1")],
            "could not construct metric 'bad': strconv.ParseFloat: parsing \"abc\": invalid syntax",
            ["bad 0", "bad_after 1"],
        ),
        (
            [metric("counter", "un", "{{outputs.parameters.zz}}"), metric("counter", "un_after", "1")],
            "unable to substitute parameters for metric 'un': failed to resolve {{outputs.parameters.zz}}",
            ["un_after 1"],
        ),
        (
            [metric("counter", "when", "1", when="{{status}} ==")],
            "unable to compute 'when' clause for metric 'WF': Invalid 'when' expression 'Succeeded ==': "
            "Unexpected end of expression",
            [],
        ),
        (
            [metric("counter", "when", "1", when="maybe")],
            "unable to compute 'when' clause for metric 'WF': Expected boolean evaluation for 'maybe'. Got maybe",
            [],
        ),
        ([{"name": "none", "help": "h"}], "could not construct metric 'none': invalid metric spec", []),
        (
            [{"name": "two", "help": "h", "counter": {"value": "1"}, "gauge": {"value": "1"}}],
            "",
            ["two 1"],
        ),
        ([metric("gauge", "op", "1", operation="Mul")], "", ["op 1"]),
        (
            [
                metric("counter", "clash", "1"),
                metric("gauge", "clash", "2"),
                metric("counter", "clash", "1", labels=label(a="b")),
                metric("counter", "clash", "1", help="other"),
            ],
            "could not construct metric 'clash': found existing counter for custom metric clash of type Gauge, "
            "could not construct metric 'clash': help for metric clash is already set to h, it cannot be changed",
            ["clash 1", 'clash{a="b"} 1'],
        ),
        ([metric("counter", "dup", "1", labels=[*label(a="x"), *label(a="y")])], "", ['dup{a="y"} 1']),
        (
            [metric("gauge", "rt", "1", realtime=True)],
            "real time metrics can only be used with metric variables, "
            "real time metrics can only be used with metric variables",
            [],
        ),
        (
            [metric("gauge", "rt", "{{nosuch}}", realtime=True)],
            "unable to substitute parameters for metric 'rt': failed to resolve {{nosuch}}, "
            "unable to substitute parameters for metric 'rt': failed to resolve {{nosuch}}",
            [],
        ),
        (
            [metric("histogram", "h", "0.3", buckets=[5, 1, "0.5"])],
            "could not construct metric 'h': aggregation: explicit bucket histogram: non-monotonic boundaries: [5 1 0]",
            [],
        ),
        (
            [metric("gauge", "space", " 1"), metric("gauge", "hex", "0x10")],
            "could not construct metric 'space': strconv.ParseFloat: parsing \" 1\": invalid syntax, "
            "could not construct metric 'hex': strconv.ParseFloat: parsing \"0x10\": invalid syntax",
            ["hex 0", "space 0"],
        ),
        (
            [
                metric("gauge", "v1", "12345678901234567890"),
                metric("gauge", "v2", "0.0000001"),
                metric("gauge", "v3", "NaN"),
                metric("gauge", "v4", "1_000"),
                metric("gauge", "v5", "Inf"),
                metric("gauge", "v6", "1e3"),
                metric("counter", "v7", "-1"),
                metric("gauge", "v8", "10.026932"),
            ],
            "",
            ["v1 1.2345678901234567e+19", "v2 1e-07", "v3 NaN", "v4 1000", "v5 +Inf", "v6 1000",
             "v7 -1", "v8 10.026932"],
        ),
        (
            [metric("counter", "q", "1", labels=label(e='a\\b "q" \n z'))],
            "",
            ['q{e="a\\\\b \\"q\\" \\n z"} 1'],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_condition(items: list[Json], message: str, left: list[str]) -> None:
    made = ran(leaf(*items))
    assert made.phase == "Succeeded"
    assert errors(made) == message.replace("'WF'", "'wf'")
    assert samples(made) == left


def test_those_of_the_workflow() -> None:
    items = [
        metric("counter", "w_counter", "1", labels=label(status="{{workflow.status}}", n="{{status}}")),
        metric("counter", "w_failures", "1", labels=label(f="{{workflow.failures}}")),
        metric("counter", "w_no", "1", when="{{workflow.status}} == Failed"),
        metric("counter", "w_param", "{{workflow.parameters.p}}"),
        metric("counter", "w_yes", "1", when="{{workflow.status}} == Succeeded"),
    ]
    arguments = {"parameters": [{"name": "p", "value": "7"}]}
    made = ran(leaf(), metrics={"prometheus": items}, arguments=arguments)
    assert samples(made) == [
        'w_counter{n="Succeeded",status="Succeeded"} 1',
        'w_failures{f="null"} 1',
        "w_param 7",
        "w_yes 1",
    ]


def test_of_a_template_with_its_inputs_and_outputs() -> None:
    given = "{{inputs.parameters.p}}"
    template = leaf(
        metric("counter", "t_counter", given, labels=label(s="{{status}}", c="{{exitCode}}")),
        metric("gauge", "t_add", given, operation="Add"),
        metric("gauge", "t_sub", given, operation="Sub"),
        metric("histogram", "t_hist", given, buckets=[1, 1.5, 10]),
        metric("counter", "t_expr", "{{=asInt(inputs.parameters.p)*2}}"),
        metric("counter", "t_when", "1", when=f"{given} > 1"),
        metric("counter", "t_name", "1", labels=label(wf="{{workflow.name}}")),
        metric("counter", "t_empty", "1", labels=label(e="")),
        metric("counter", "t_out", "{{outputs.parameters.r}}"),
        metric("counter", "t_result", "1", labels=label(r="{{outputs.result}}")),
        name="a",
        inputs={"parameters": [{"name": "p"}]},
    )

    def pod(command: p.StartPod) -> tuple[float, p.PodFinished]:
        (item,) = command.template["inputs"]["parameters"]
        outputs = {
            "exitCode": "0",
            "result": "7",
            "parameters": [{"name": "r", "value": "5" + item["value"]}],
        }
        return 1.0, p.PodFinished(0, command.node_id, "Succeeded", "", outputs)

    arguments = {"parameters": [{"name": "p", "value": "{{item}}"}]}
    steps = [
        [{"name": "a", "template": "a", "withItems": ["1", "2"], "arguments": arguments}],
        [
            {
                "name": "sk",
                "template": "a",
                "when": "false",
                "arguments": {"parameters": [{"name": "p", "value": "9"}]},
            }
        ],
    ]
    counted = {"prometheus": [metric("counter", "t_steps", "1", labels=label(s="{{status}}"))]}
    made = ran({"name": "main", "steps": steps, "metrics": counted}, template, pod=pod)
    assert made.phase == "Succeeded", made.message
    assert errors(made) == ""
    assert samples(made) == [
        "t_add 3",
        't_counter{c="0",s="Succeeded"} 3',
        't_empty{e=""} 2',
        "t_expr 6",
        't_hist_bucket{le="1"} 1',
        't_hist_bucket{le="1.5"} 1',
        't_hist_bucket{le="10"} 2',
        't_hist_bucket{le="+Inf"} 2',
        "t_hist_sum 3",
        "t_hist_count 2",
        't_name{wf="wf"} 2',
        "t_out 103",
        't_result{r="7"} 2',
        't_steps{s="Succeeded"} 1',
        "t_sub -3",
        "t_when 1",
    ]


def test_each_attempt_that_is_followed_by_another_counts() -> None:
    counted = metric("counter", "retry", "1", labels=label(s="{{status}}", c="{{exitCode}}"))
    made = ran(leaf(counted, retryStrategy={"limit": "4"}), pod=ends("Failed", "Failed", "Succeeded"))
    assert samples(made) == ['retry{c="0",s="Succeeded"} 1', 'retry{c="3",s="Failed"} 2']


def test_retries_is_known_to_the_retry_node_only() -> None:
    counted = metric("counter", "fail", "1", labels=label(c="{{exitCode}}", r="{{retries}}", s="{{status}}"))
    made = ran(leaf(counted, retryStrategy={"limit": 1}), pod=ends("Failed", "Failed"))
    assert samples(made) == ['fail{c="3",r="1",s="Failed"} 1']
    assert errors(made) == "unable to substitute parameters for metric 'fail': failed to resolve {{retries}}"


def test_durations_are_whole_seconds_and_realtime_gauges_move() -> None:
    items = [
        metric("gauge", "own", "{{duration}}"),
        metric("gauge", "live", "{{duration}}", realtime=True),
        metric("gauge", "used", "{{resourcesDuration.cpu}}"),
    ]
    whole = [
        metric("gauge", "whole", "{{workflow.duration}}", realtime=True),
        metric("gauge", "ended", "{{workflow.duration}}"),
    ]
    text = json.dumps({"entrypoint": "main", "templates": [leaf(*items)], "metrics": {"prometheus": whole}})
    made = machine(text)
    made.handle(p.Begin(1_000_000_000.0))
    (node,) = made.nodes
    made.handle(p.PodRunning(1_000_000_001.0, node))
    assert samples(made) == ["live 1", "whole 1"]
    made.handle(p.PodFinished(1_000_000_002.5, node, "Succeeded", resources={"cpu": 7, "memory": 2}))
    values = dict(line.split(" ") for line in samples(made))
    assert values["own"] == "2" and values["used"] == "7"
    assert float(values["live"]) >= 2 and float(values["whole"]) >= 2
