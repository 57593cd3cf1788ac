"""Records to export: of real runs, with points as their steps might have told them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import tiphys
from tiphys.engine import RunOptions
from tiphys.records.fold import fold
from tiphys.records.record import ArtifactRecord, Point, RunRecord, StepRecord

GIT = "https://example.org/team/digits.git@0123abc"
DIGEST = "sha256:" + "0" * 64
TRAINING = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: digits-
  annotations:
    workflows.argoproj.io/scheduled-time: "2026-11-28T03:00:00Z"
  labels: {team: blue}
spec:
  entrypoint: main
  arguments: {parameters: [{name: model, value: cnn}]}
  templates:
  - name: main
    dag:
      tasks:
      - {name: ingest, template: ingest}
      - name: train
        template: train
        depends: ingest
        arguments:
          parameters:
          - {name: model, value: "{{workflow.parameters.model}}"}
          - {name: data, value: "{{tasks.ingest.outputs.parameters.data}}"}
      - {name: never, template: ingest, depends: train, when: "1 == 2"}
  - name: ingest
    container:
      image: python:3.12
      command: [sh, -c, 'echo "{\\"uri\\": \\"pvc://tiphys/data/a\\", \\"digest\\": \\"DIGEST\\"}" > data']
    outputs: {parameters: [{name: data, valueFrom: {path: data}}]}
  - name: train
    inputs: {parameters: [{name: model}, {name: data}]}
    retryStrategy: {limit: 2}
    container:
      image: python:3.12
      command: [sh, -c]
      args:
      - "test {{retries}} = 1 || exit 3; echo 0.25 > accuracy; echo pvc://tiphys/models/$MODEL-1 > model"
      env: [{name: MODEL, value: "{{inputs.parameters.model}}"}]
    outputs:
      parameters: [{name: accuracy, valueFrom: {path: accuracy}}, {name: model, valueFrom: {path: model}}]
""".replace("DIGEST", DIGEST)


def workflow(folder: Path, text: str = TRAINING, **parameters: str) -> Any:
    """The Workflow object of a run on this machine."""
    file = folder / "workflow.yaml"
    file.write_text(text)
    options = RunOptions(store=folder / "store", images={"python*": "host"})
    return tiphys.run(str(file), options=options, **parameters).workflow


def trained(folder: Path, epochs: int = 10, **parameters: str) -> RunRecord:
    """A run whose training told an accuracy and a loss for each epoch, as did its second worker."""
    done = workflow(folder, **parameters)
    step = training(fold(done))
    node, began = step.attempts[-1].node, step.started
    points = [
        Point(node, began + epoch / 8, key, value, epoch, worker)
        for epoch in range(1, epochs + 1)
        for key, value, worker in (
            ("accuracy", 1 - 1 / epoch, ""),
            ("loss", 1 / epoch, ""),
            ("loss", 1.5 / epoch, "worker-1"),
        )
    ]
    points += [Point(node, began + second, "memory", 1e6 + second) for second in range(3)]
    return replace(fold(done, points), made_from={"git": GIT})


def training(record: RunRecord) -> StepRecord:
    return next(step for step in record.steps if step.template == "train")


WORDS = {
    "nan": "NaN",
    "a/b": "x",
    "/a": "x",
    "../a": "x",
    "a//b": "x",
    "#": "hash",
    "😀": "🤯",
    "é": "e",
    "": "empty",
    " ": "blank",
    "a\nb": "lines",
    "\0": "nul \0",
    "\ud800": "half \ud800",
    "k" * 10_000: "v" * 10_000,
    "k" * 9_999: "😀" * 10_000,
    "a:b": "'\"`",
    "mlflow.runName": "mine",
    **{f"many-{number}": "😀" * 6000 for number in range(250)},
}
"""What may stand where a name and a value stand."""


def hostile() -> RunRecord:
    """A run of which every text and number is one that somebody's parser takes badly."""
    numbers = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, 5e-324, 1e30, -1.0)
    points = tuple(
        Point("n-1", 1e9 if at is None else at, name, number, epoch, worker)
        for name in ("a/b", "#", "😀", "k" * 10_000, "memory")
        for number in numbers
        for epoch, worker in ((0, ""), (2**70, "worker/1"), (-3, "worker-0"))
        for at in (None, math.nan, -5.0, 1e30)
    )
    things = tuple(
        ArtifactRecord(uri, DIGEST)
        for uri in (
            "pvc://tiphys/models/ a#b?c😀",
            "pvc://tiphys/models/../../etc",
            "s3a://bucket/models/x/",
            "s3://me:secret@host/bucket/models/x",
            "file:///models/x",
            "main.tgz",
            "://",
            "",
            "pvc://",
            "http://[",
        )
    )
    step = StepRecord(
        "n-1", "😀(0:a/b#\ud800)", "t", "Pod", "Succeeded", "m" * 10_000,
        started=1e9, finished=1e9 + 9, inputs=WORDS, outputs=WORDS,
        metrics={"nan": math.nan, "inf": math.inf, "#": 1.0, "k" * 10_000: 2.0, "": 3.0},
        uses=things, makes=things, points=points,
    )  # fmt: skip
    failed = replace(step, node="n-2", phase="Failed", points=(), metrics={}, message="\ud800 😀")
    odd = replace(failed, node="n-3", started=math.nan, finished=math.inf)
    return RunRecord(
        "k'\"`\\", "n" * 10_000, "ns", "u'\"`", "local", "p/😀:#\ud800", "Failed", "no\0",
        created=-1.0, started=1e9, finished=1e30, parameters=WORDS, labels=WORDS,
        made_from={"git": "http://[@abc", **WORDS}, images=("😀" * 10_000,),
        steps=(step, failed, odd), scheduled=1e30,
    )  # fmt: skip
