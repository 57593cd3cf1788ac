"""Metrics of runs: values and series as the real controller (4.1.2) had them on its /metrics page; what needs no pod is
in tests/engine/machine/test_metrics.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import execute, python, shell, workflow
from tests.engine.machine.driving import label, metric
from tiphys.cli import main
from tiphys.engine import RunResult

Json = Any


def declared(*items: dict[str, Json]) -> dict[str, Json]:
    return {"prometheus": list(items)}


def samples(result: RunResult) -> list[str]:
    path = result.folder / "metrics.prom"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.removeprefix("argo_workflows_") for line in lines if not line.startswith("#")]


def errors(result: RunResult) -> str:
    conditions = result.workflow["status"]["conditions"]
    return next((str(each["message"]) for each in conditions if each["type"] == "MetricsError"), "")


def run_one(tmp_path: Path, *items: dict[str, Json], script: str = "true", **more: Json) -> RunResult:
    return execute(tmp_path, workflow(shell("main", script, metrics=declared(*items)), **more))


def test_metrics_of_a_template(tmp_path: Path) -> None:
    steps = [
        [
            {
                "name": "a",
                "template": "a",
                "withItems": ["1", "2"],
                "arguments": {"parameters": [{"name": "p", "value": "{{item}}"}]},
            }
        ],
        [
            {
                "name": "sk",
                "template": "a",
                "when": "false",
                "arguments": {"parameters": [{"name": "p", "value": "9"}]},
            }
        ],
    ]
    p = "{{inputs.parameters.p}}"
    items = [
        metric("counter", "t_counter", p, labels=label(s="{{status}}", c="{{exitCode}}")),
        metric("counter", "t_out", "{{outputs.parameters.r}}"),
        metric("gauge", "t_add", p, operation="Add"),
        metric("gauge", "t_sub", p, operation="Sub"),
        metric("histogram", "t_hist", p, buckets=[1, 1.5, 10]),
        metric("counter", "t_expr", "{{=asInt(inputs.parameters.p)*2}}"),
        metric("counter", "t_when", "1", when=f"{p} > 1"),
        metric("counter", "t_name", "1", labels=label(wf="{{workflow.name}}")),
        metric("counter", "t_empty", "1", labels=label(e="")),
    ]
    leaf = {
        **python(
            "a",
            "import os; os.makedirs('/tmp/out', exist_ok=True); open('/tmp/out/r', 'w').write('5' + '"
            + p
            + "')",
        ),
        "inputs": {"parameters": [{"name": "p"}]},
        "outputs": {"parameters": [{"name": "r", "valueFrom": {"path": "/tmp/out/r"}}]},
        "metrics": declared(*items),
    }
    main = {
        "name": "main",
        "steps": steps,
        "metrics": declared(metric("counter", "t_steps", "1", labels=label(s="{{status}}"))),
    }
    flow = workflow(main, leaf)
    result = execute(tmp_path, flow)
    assert result.succeeded, result.message
    assert errors(result) == ""
    assert samples(result) == [
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
        f't_name{{wf="{result.name}"}} 2',
        "t_out 103",
        't_steps{s="Succeeded"} 1',
        "t_sub -3",
        "t_when 1",
    ]


def test_durations_and_realtime_gauges(tmp_path: Path) -> None:
    own = metric("gauge", "d_own", "{{duration}}", realtime=True, labels=label(p="x"))
    whole = declared(
        metric("gauge", "d_whole", "{{workflow.duration}}"),
        metric("gauge", "d_live", "{{workflow.duration}}", realtime=True),
    )
    result = run_one(tmp_path, own, script="sleep 1.2", metrics=whole)
    assert errors(result) == ""
    found = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in samples(result)}
    assert set(found) == {"d_live", 'd_own{p="x"}', "d_whole"}
    assert all(1 <= value < 60 for value in found.values())


def test_what_a_cache_gives_is_not_counted(tmp_path: Path) -> None:
    template = shell(
        "a", "true", metrics=declared(metric("counter", "memo", "1", labels=label(s="{{status}}")))
    )
    template["memoize"] = {"key": "k1", "maxAge": "10m", "cache": {"configMap": {"name": "c"}}}
    template["outputs"] = {"parameters": [{"name": "r", "value": "x"}]}
    steps = [[{"name": "a", "template": "a"}], [{"name": "b", "template": "a"}]]
    result = execute(tmp_path, workflow({"name": "main", "steps": steps}, template))
    assert samples(result) == ['memo{s="Succeeded"} 1']


def test_template_defaults_and_exit_handlers(tmp_path: Path) -> None:
    defaults = {"metrics": declared(metric("counter", "all", "1", labels=label(s="{{status}}")))}
    result = execute(
        tmp_path,
        workflow(shell("main", "true"), shell("bye", "true"), onExit="bye", templateDefaults=defaults),
    )
    assert samples(result) == ['all{s="Succeeded"} 2']


def test_the_command_line_prints_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_one(tmp_path, metric("counter", "seen", "1"))
    assert main(["get", result.name, "--metrics", "--store", str(tmp_path / "store")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "argo_workflows_seen 1"
