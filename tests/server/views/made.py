"""A run that really ran, with text in it that would be markup if anybody let it."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

import tiphys
from tiphys import Pipeline, Reference, component
from tiphys.engine import RunOptions

EVIL = "<script>alert('x')</script>"


class Trained(NamedTuple):
    model: Reference
    report: dict[str, object]


@component
def ingest(words: str) -> Reference:
    import json

    from components.publish import publish

    def write(folder: Path) -> None:
        splits = {
            "train": {"examples": 5, "class_counts": {"bag": 4, words: 1}},
            "test": {"examples": 2, "class_counts": {"bag": 2}},
        }
        schema = {"fields": [{"name": "label", "classes": ["bag", words]}]}
        told = {"name": words, "splits": splits, "schema": schema, "license": "MIT"}
        (folder / "dataset.json").write_text(json.dumps(told))

    return publish("pvc://tiphys/datasets/words", write)


@component
def train(data: Reference, name: str, epochs: int) -> Trained:
    import tiphys
    from components.publish import publish

    for epoch in range(1, epochs + 1):
        tiphys.report(epoch=epoch, of=epochs, loss=1.0 / epoch, accuracy=0.5 + epoch / 10)
    made = publish("pvc://tiphys/models/m", lambda folder: (folder / "weights").write_text(name))
    slices = {"label": {"bag": 0.9, name: 0.4}}
    report = {
        "name": name,
        "uri": made.uri,
        "validation_accuracy": 0.8,
        "test_accuracy": 0.7,
        "slices": slices,
        "confusion": [[9, 1], [1, 9]],
    }
    return Trained(made, report)


with Pipeline("views") as PIPELINE:
    _words = PIPELINE.param("words", EVIL)
    PIPELINE.param("min-accuracy", 0.75)
    train(data=ingest(words=_words), name=_words, epochs=PIPELINE.param("epochs", 3))


@functools.cache
def store() -> Path:
    """A store with the runs ``one`` and ``two``, of which the second went on for one epoch."""
    folder = Path(tempfile.mkdtemp(prefix="tiphys-views-")) / "store"
    for name, epochs in (("one", 3), ("two", 1)):
        result = tiphys.run(PIPELINE, options=RunOptions(store=folder, name=name), epochs=epochs)
        assert result.succeeded, result
    return folder
