"""A training from nothing, one that goes on from it, and one from nothing again, each a job: for both engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components import fingerprint, ingest, train
from tests.components.test_train import metrics
from tiphys import Pipeline, Resources, TFJob, component

SMALL = Resources(cpu="500m", memory="1Gi", cpu_limit="2", memory_limit="2Gi")


def pipeline(image: str = "") -> Pipeline:
    """Jobs ``RUN-first``, ``RUN-on``, ``RUN-fresh``; ``on`` has one epoch, as ``fresh``, with another order."""
    find, bring = component(fingerprint.fingerprint), component(ingest.ingest)
    jobs = {
        name: TFJob(train.train, workers=1, name=name, resources=SMALL) for name in ("first", "on", "fresh")
    }
    with Pipeline("incremental", image=image) as made:
        limit, epochs = made.param("limit", 600), made.param("epochs", 3)
        rate = made.param("rate", 0.001)
        found = find(source=made.param("source", "synthetic"), limit=limit)
        data = bring(source=found.source, validation_size=60, limit=limit)
        first = jobs["first"](dataset=data.dataset, model="cnn", epochs=epochs, batch_size=60)
        again = {"dataset": data.dataset, "model": "cnn", "epochs": 1, "batch_size": 60, "seed": 8}
        jobs["on"](**again, learning_rate=rate, initial=first)
        jobs["fresh"](**again, learning_rate=rate).after(first)
    return made


def trained(workflow: Any) -> dict[str, str]:
    """The models by the names of their jobs."""
    return {
        node["displayName"]: node["outputs"]["parameters"][0]["value"]
        for node in workflow["status"]["nodes"].values()
        if node["displayName"] in ("first", "on", "fresh")
    }


def check_begins(volume: Path, uris: dict[str, str]) -> None:
    """The first epoch of the training that goes on is far below that of one that begins with random weights."""
    of = {name: metrics(volume, uri.rpartition("/")[2]) for name, uri in uris.items()}
    (on,), (fresh,), first = of["on"], of["fresh"], of["first"]
    assert on["loss"] < first[0]["loss"] and on["loss"] < 0.8 * fresh["loss"], of
    assert abs(on["loss"] - first[-1]["loss"]) < 0.2 * (fresh["loss"] - first[-1]["loss"]), of
