"""What is known of a run, against what its steps really did (plain Python)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import tiphys
from tiphys.argo.made_from import MADE_FROM
from tiphys.engine import RunOptions
from tiphys.records.fold import fold
from tiphys.records.record import Point

FLAKY = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: flaky-, annotations: {tiphys.dev/from-git: abc}, labels: {team: blue}}
spec:
  entrypoint: main
  arguments: {parameters: [{name: data, value: '{"uri": "pvc://tiphys/data/a", "digest": "sha256:%s"}'}]}
  templates:
  - name: main
    retryStrategy: {limit: 2}
    inputs: {parameters: [{name: data, value: "{{workflow.parameters.data}}"}]}
    container:
      image: python:3.12
      command: [sh, -c]
      args:
      - "test {{retries}} = 1 || exit 3; echo 0.25 > accuracy; echo '{\\"loss\\": 2, \\"word\\": \\"x\\"}' > report"
    outputs:
      parameters:
      - {name: accuracy, valueFrom: {path: accuracy}}
      - {name: report, valueFrom: {path: report}}
"""


def run(folder: Path) -> Any:
    file = folder / "flaky.yaml"
    file.write_text(FLAKY % ("0" * 64))
    return tiphys.run(
        str(file), options=RunOptions(store=folder / "store", images={"python*": "host"})
    ).workflow


def test_a_run_and_its_attempts(tmp_path: Path) -> None:
    workflow = run(tmp_path)
    record = fold(workflow)
    assert (record.key, record.source, record.pipeline) == (record.name, "local", "flaky")
    assert (record.phase, record.labels["team"]) == ("Succeeded", "blue")
    assert record.made_from["tiphys"] == tiphys.__version__
    assert "git" not in record.made_from  # what an earlier run had is not this one's
    assert record.parameters == {"data": '{"uri": "pvc://tiphys/data/a", "digest": "sha256:%s"}' % ("0" * 64)}
    assert record.images == ("python:3.12",)
    (step,) = record.steps
    assert [(each.number, each.phase, each.exit_code) for each in step.attempts] == [
        (1, "Failed", 3),
        (2, "Succeeded", 0),
    ]
    assert step.metrics == {"accuracy": 0.25, "loss": 2.0}
    assert [(item.uri, item.digest[:8]) for item in step.uses] == [("pvc://tiphys/data/a", "sha256:0")]
    assert 0 < record.created <= record.started <= step.started <= step.finished <= record.finished


def test_what_was_reported_belongs_to_its_attempt(tmp_path: Path) -> None:
    workflow = run(tmp_path)
    (step,) = fold(workflow).steps
    last = step.attempts[1].node
    told = [
        Point(last, 3.0, "loss", 0.5, epoch=2),
        Point(last, 1.0, "loss", 0.9, epoch=1),
        Point(last, 1.0, "memory", 5.0),
        Point(last, 2.0, "memory", 9.0),
        Point(last, 3.0, "memory", 7.0),
    ]
    (step,) = fold(workflow, told).steps
    assert [point.at for point in step.points] == [1.0, 1.0, 2.0, 3.0, 3.0]
    assert step.metrics == {"peak_memory": 9.0, "accuracy": 0.25, "loss": 2.0}  # an output is the last word


def test_of_a_cluster(tmp_path: Path) -> None:
    workflow = run(tmp_path)
    workflow["metadata"].update(uid="u-1", namespace="argo")
    record = fold(workflow, source="blue")
    assert record.key == "blue/argo/u-1"
    assert replace(record, key=record.name, source="local") == fold(workflow)


def test_what_has_not_begun_is_a_record_too() -> None:
    record = fold({"metadata": {"name": "x", "annotations": {MADE_FROM + "code": "c"}}})
    assert (record.phase, record.seconds, record.steps, record.metrics()) == ("Pending", 0.0, (), {})


def test_a_configuration_has_one_name_wherever_it_runs(tmp_path: Path) -> None:
    """A cluster gives the same spec back with empty parts that nobody wrote (seen on Argo 4.0.5)."""
    workflow = run(tmp_path)
    name = fold(workflow).config
    assert name.startswith("flaky@")
    template = workflow["spec"]["templates"][0]
    template.update(metadata={}, outputs={**template["outputs"]})
    template["container"].update(name="", resources={})
    workflow["spec"]["shutdown"] = "Stop"
    assert fold(workflow).config == name
    workflow["spec"]["arguments"]["parameters"][0]["value"] = "another"
    assert fold(workflow).config != name


def test_a_number_beyond_all_bounds_spoils_nothing_else() -> None:
    """A step may put out any JSON: ``float`` cannot hold this one."""
    outputs: Any = {"parameters": [{"name": "report", "value": '{"huge": 1%s, "loss": 0.5}' % ("0" * 400)}]}
    node: Any = {"id": "x-1", "name": "x", "type": "Pod", "phase": "Succeeded", "outputs": outputs}
    (step,) = fold({"metadata": {"name": "x"}, "status": {"nodes": {"x-1": node}}}).steps
    assert step.metrics == {"loss": 0.5}
