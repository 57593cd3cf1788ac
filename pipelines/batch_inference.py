"""Batch inference: shards of a bucket are scored in parallel, each with a GPU, and the scores go back into the bucket.

tiphys run pipelines/batch_inference.py
tiphys submit pipelines/batch_inference.py -p gpus=1 -p source=bucket

Unless the bucket has rows and model already (source=bucket), they are made and put there; here it is in the store.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tiphys import S3, Pipeline, Resources, component, compose, for_each

PARTS = ["north", "south", "west"]
bucket = partial(
    S3, "inference", endpoint="minio.storage:9000", access=("s3", "access-key"), secret=("s3", "secret-key")
)


class Scored(NamedTuple):
    scores: Path
    above: int


@component(stores={"result": bucket("in/{part}.csv")})
def make_rows(part: str) -> Path:
    rows = np.random.default_rng(len(part)).normal(sum(map(ord, part)) % 3 - 1, 1, (1000, 4))
    np.savetxt(path := Path("/tmp/rows.csv"), rows, "%.6f", ",")
    return path


@component(stores={"result": bucket("model/weights.csv")})
def make_model() -> Path:
    np.savetxt(path := Path("/tmp/weights.csv"), [0.5, -0.25, 1.0, 0.75], "%.6f")
    return path


@component(stores={"scores": bucket("scores/{workflow}/{part}.csv")})
def score(part: str, rows: Path, model: Path) -> Scored:
    logits = np.loadtxt(rows, delimiter=",") @ np.loadtxt(model)
    scores = 1 / (1 + np.exp(-logits))
    np.savetxt(path := Path("/tmp/scores.csv"), scores, "%.6f")
    return Scored(path, int((scores > 0.5).sum()))


@component
def report(above: list[int]) -> str:
    print(text := f"{sum(above)} rows of {len(above)} shards are above 0.5")
    return text


def build(gpus: int = 0) -> Pipeline:
    """``gpus`` of each shard, fixed when the pipeline is compiled."""
    with Pipeline("batch-inference", title="Batch inference") as pipeline:
        source = pipeline.param("source", "made", choices=["made", "bucket"])
        part = for_each(PARTS)
        made = [make_rows(part=part).when(source == "made"), make_model().when(source == "made")]
        rows, model = bucket(compose("in/{part}.csv", part=part)), bucket("model/weights.csv")
        scored = score.using(resources=Resources(gpu=gpus, memory="1Gi"))(part=part, rows=rows, model=model)
        report(above=scored.after(*made, on=("succeeded", "skipped")).above)
    return pipeline
