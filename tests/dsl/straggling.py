"""Trainings that go as a script says, in real TFJobs: they tell their epochs, keep backups, are killed and go on.

A script is ``{model: {"curve": [accuracy of each epoch], "pause": seconds of one, "judged": accuracy, "killed": times,
"at": epoch, "fails": epoch, "third": seconds}}``: killed after epoch ``at`` (0: before the first) that many times, -1:
for ever; ``third``: what it waits when two others have their models.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from components.report import Report
from components.select import select
from tiphys import Cache, Pipeline, Reference, Resources, TFJob, Volume, component, dag, enough, report
from tiphys.reference import resolve
from tiphys.step import arguments_of
from tiphys.step.enough import dropped, judged


class Judged(NamedTuple):
    """What a candidate is judged by."""

    report: Report


def train(model: str, script: str, output: str, work: str) -> None:
    """One worker, which goes on from its backup; returns when its model is there."""
    plan = json.loads(script)[model]
    folder, place = resolve(work), resolve(output)
    folder.mkdir(parents=True, exist_ok=True)
    backup, lives = folder / "backup", folder / "lives"
    with lives.open("a") as stream:
        stream.write("x")
    died = len(lives.read_text()) - 1
    start = int(backup.read_text()) if backup.exists() else 0
    if len(list(place.parent.glob("*/accuracy"))) >= 2:
        time.sleep(plan.get("third", 0))
    curve = plan["curve"]
    for epoch in range(start, len(curve) + 1):
        if epoch > start:
            time.sleep(plan.get("pause", 0.05))
            report(epoch=epoch, of=len(curve), accuracy=curve[epoch - 1])
            backup.write_text(str(epoch))
        if epoch == plan.get("fails", -1):
            raise SystemExit(1)
        if epoch == plan.get("at", -1) and not 0 <= plan["killed"] <= died:
            time.sleep(plan.get("rest", 0.3))
            os.kill(os.getpid(), signal.SIGKILL)
            os._exit(137)  # the first process of a container cannot kill itself
    place.mkdir(parents=True, exist_ok=True)
    (place / "accuracy").write_text(str(plan.get("judged", curve[-1])))


@component
def evaluate(name: str, model: Reference) -> Judged:
    """What the script gave as the model's accuracy."""
    accuracy = float((resolve(model.uri) / "accuracy").read_text())
    report = Report(name, model.uri, "sha256:00", accuracy, accuracy, 1.0, True)
    judged(name, asdict(report))
    return Judged(report)


pick = component(select)


def flow(models: tuple[str, ...] = ("a", "b", "c"), capacity: int = 0, **options: Any) -> Pipeline:
    """Train, judge, and select the best two; ``options`` are those of ``enough``."""
    # the name by which the workers import it, also where this file is run itself
    from tests.dsl import straggling
    from tiphys import Gang

    fit = TFJob(
        straggling.train,
        workers=1,
        instance="model",
        cache=Cache.by_content(),
        gang=Gang(capacity) if capacity else None,
        # so that three of them fit on a small node, beside whatever else there is
        resources=Resources(cpu="50m", memory="64Mi", cpu_limit="1", memory_limit="1Gi"),
    )
    pipeline = Pipeline("straggling", volumes=[Volume("tiphys")])
    script = pipeline.param("script", "{}")

    @dag
    def candidate(model: str, script: str) -> Judged:
        trained = fit(model=model, script=script)
        return Judged(straggling.evaluate(name=model, model=trained).report)

    with pipeline:
        candidates = [candidate(model=model, script=script).named(model) for model in models]
        found = enough(candidates, top=2, min_accuracy=0.5, training=fit, **options)
        straggling.pick(reports=found.reports, dropped=found.dropped, top=2, min_accuracy=0.5)
    return pipeline


def main() -> int:
    """A worker."""
    if why := dropped():
        sys.stderr.write(f"not wanted any more: {why}\n")
        return 1
    train(**arguments_of(train, os.environ))  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main())


def backups(store: Path) -> dict[str, int]:
    """The epoch of each model's backup."""
    found = (store / "volumes/tiphys/work").glob("*/backup")
    return {path.parent.name.rpartition("-")[0]: int(path.read_text()) for path in found}
