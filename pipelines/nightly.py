"""A nightly retraining: one at a time, the download tried again, a gate before the release, a message when it failed.

tiphys run pipelines/nightly.py
tiphys run pipelines/nightly.py -p margin=0.5
tiphys compile pipelines/nightly.py:cron
"""

from datetime import datetime
from typing import NamedTuple

from tiphys import Mutex, Pipeline, Retry, component, scheduled_time, workflow_failures, workflow_status


class Scores(NamedTuple):
    new: float
    served: float


@component(retry=Retry(limit=3, backoff="1s"))
def fetch(day: datetime) -> list[float]:
    import random

    generator = random.Random(day.strftime("%Y-%m"))
    return [round(3 * i + generator.gauss(0, 0.5), 3) for i in range(100)]


@component
def train(rows: list[float]) -> float:
    return sum(i * y for i, y in enumerate(rows)) / sum(i * i for i in range(len(rows)))


@component
def judge(rows: list[float], slope: float, served: float) -> Scores:
    def score(slope: float) -> float:
        mean = sum(rows) / len(rows)
        return round(
            1 - sum((y - slope * i) ** 2 for i, y in enumerate(rows)) / sum((y - mean) ** 2 for y in rows), 4
        )

    return Scores(score(slope), score(served))


@component
def gate(new: float, served: float, margin: float) -> str:
    if new < served + margin:
        raise SystemExit(f"{new} is not better than {served} by {margin}: what is served stays")
    return f"{new} is better than {served} by {margin}"


@component(locks=[Mutex("release")])
def release(slope: float, why: str) -> str:
    return f"released: {slope:.2f} x, as {why}"


@component
def notify(failures: list[dict[str, str]]) -> str:
    print(text := "the night failed: " + ", ".join(sorted({f["templateName"] for f in failures})))
    return text


with Pipeline("nightly", title="Nightly retraining", locks=[Mutex("nightly")]) as pipeline:
    served = pipeline.param("served", 2.5, description="the slope that is served")
    margin = pipeline.param("margin", 0.01, minimum=0.0, description="by how much the new one must be better")
    rows = fetch(day=scheduled_time)
    slope = train(rows=rows)
    scores = judge(rows=rows, slope=slope, served=served)
    release(slope=slope, why=gate(new=scores.new, served=scores.served, margin=margin))
with pipeline.exit_handler():
    notify(failures=workflow_failures).when(workflow_status != "Succeeded")
cron = pipeline.as_cron("0 3 * * *", timezone="Europe/Berlin", starting_deadline="1h", keep_failed=5)
