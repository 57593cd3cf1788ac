"""The records of a run on the real cluster: what a step told is on the volume and in the status, and the run is asked
of beside the same run of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.cluster.conftest import Cluster, connect
from tiphys.cli import main
from tiphys.engine import RunOptions

pytestmark = [pytest.mark.cluster]

LEARN = """
import tiphys
from tiphys import Pipeline, Volume, component

@component
def learn(epochs: int) -> float:
    import time
    for epoch in range(1, epochs + 1):
        tiphys.report(epoch=epoch, of=epochs, accuracy=epoch / 10)
    time.sleep(12)  # Argo looks at the progress every few seconds
    return epochs / 10

with Pipeline("told", volumes=[Volume("tiphys")]) as pipeline:
    learn(epochs=pipeline.param("epochs", 4))
"""


def printed(capsys: Any, *words: str) -> Any:
    capsys.readouterr()
    assert main(list(words)) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_there_is_recorded_as_one_here(
    images: None, cluster: Cluster, tmp_path: Path, capsys: Any
) -> None:
    file = tmp_path / "told.py"
    file.write_text(LEARN)
    store = str(tmp_path / "store")
    with connect(cluster) as client:
        made = client.submit(file, labels={"tiphys-test": "yes"}, made_from={"git": "c" * 40})
        end = client.wait(made.name, timeout=300)
    assert end.succeeded, end.failures

    (step,) = (node for node in end.workflow["status"]["nodes"].values() if node["type"] == "Pod")
    assert step["progress"] == "4/4"  # by Argo's own executor
    outputs = {item["name"]: item["value"] for item in step["outputs"]["parameters"]}
    assert json.loads(outputs["tiphys-summary"]) == {"accuracy": 0.4}
    (told,) = (cluster.volume / "records" / made.name).iterdir()
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [(line["epoch"], line["of"], line["accuracy"]) for line in lines] == [
        (epoch, 4, epoch / 10) for epoch in range(1, 5)
    ]

    here = tiphys.run(file, options=RunOptions(store=store, name="here"))
    assert here.succeeded
    server = ["--server", f"http://{cluster.env['ARGO_SERVER']}", "-n", "argo"]
    printed(capsys, "records", "sync", "--store", store, "--source", "lab", *server, "--json")
    where = ["--where", "metrics.accuracy >= 0.4 and params.epochs == 4 and pipeline == 'told'"]
    both = printed(capsys, "list", "--store", store, *where, "--json")
    key = f"lab/argo/{end.workflow['metadata']['uid']}"
    assert {item["key"] for item in both} == {"here", key}
    differs = printed(capsys, "diff", "here", key, "--store", store, "--json")
    assert {item["part"] for item in differs} <= {"made from", "metrics", "times"}, differs
    assert {item["name"] for item in differs if item["part"] == "metrics"} <= {
        "learn: peak_memory"
    }  # sampled here
    records = tiphys.Records(store)
    there, mine = records.get(key), records.get("here")
    assert there.made_from["git"] == "c" * 40
    assert there.config == mine.config
    assert [step.outputs["result"] for step in there.steps] == [step.outputs["result"] for step in mine.steps]
    assert there.resources == end.workflow["status"]["resourcesDuration"]
