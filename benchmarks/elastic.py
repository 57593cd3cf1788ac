"""Elastic training on Fashion-MNIST: 2 -> 1 -> 2 workers beside two all the time, same seed.

    python benchmarks/elastic.py [--epochs 6] [--model cnn] [--source auto] [--json benchmarks/results/elastic.json]

Both trainings are runs of the engine, of the pipeline's own components. Of the elastic one's pool somebody else takes a
permit after a third of the epochs, and gives it back after two thirds. What is told: the test accuracies, with how many
workers each epoch was trained, and the seconds of both runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from results import about, show, write  # noqa: E402

from components import evaluate, fingerprint, ingest, train  # noqa: E402
from tiphys import Gang, Pipeline, TFJob, component, run  # noqa: E402
from tiphys.engine import RunOptions  # noqa: E402
from tiphys.queue.core import Claim, Holding  # noqa: E402
from tiphys.queue.permits import Bid, Permits  # noqa: E402
from tiphys.queue.rules import RulesFile  # noqa: E402

find_source = component(fingerprint.fingerprint)
ingest_images = component(ingest.ingest)
evaluate_model = component(evaluate.evaluate)


def flow(workers: int | tuple[int, int], options: argparse.Namespace) -> Pipeline:
    """One training and its judgement."""
    fit = TFJob(train.train, workers=workers, gang=Gang(capacity=2))
    with Pipeline("elastic") as pipeline:
        source = find_source(source=options.source, limit=options.limit).source
        data = ingest_images(source=source, validation_size=6000, limit=options.limit).dataset
        model = fit(dataset=data, model=options.model, epochs=options.epochs, seed=options.seed)
        evaluate_model(name=options.model, model=model, dataset=data)
    return pipeline


class Other:
    """Somebody else, who wants a permit between two epochs of a training in the same store."""

    def __init__(self, store: Path, epochs: int) -> None:
        self.store = store
        self.epochs = epochs
        self.over = threading.Event()
        self.waited = 0.0

    def __call__(self) -> None:
        with contextlib.closing(
            Permits(self.store / "locks.db", RulesFile(self.store / "queue.toml"))
        ) as permits:
            self._until(lambda: len(metrics(self.store)) >= self.epochs // 3)
            bid = Bid(Claim("other", (("training", 1),), created=time.time()), {"training": 2}, "other")
            began = time.monotonic()
            self._until(lambda: isinstance(permits.ask(bid), Holding))
            self.waited = time.monotonic() - began
            self._until(lambda: len(metrics(self.store)) >= 2 * self.epochs // 3)

    def _until(self, holds: Any) -> None:
        while not holds() and not self.over.wait(0.1):
            pass


def metrics(store: Path) -> list[dict[str, Any]]:
    """What the chief wrote of each epoch."""
    for folder in ("work", "models"):
        for file in (store / "volumes/tiphys" / folder).glob("*/metrics.jsonl"):
            with contextlib.suppress(OSError, ValueError):
                return [json.loads(line) for line in file.read_text().splitlines()]
    return []


def trained(workers: int | tuple[int, int], options: argparse.Namespace, store: Path) -> dict[str, Any]:
    """One run, from its first step to the accuracy on the test images."""
    store.mkdir()
    (store / "queue.toml").write_text("[elastic]\nsettled = 0\n")
    other = Other(store, options.epochs)
    thread = threading.Thread(target=other)
    if isinstance(workers, tuple):
        thread.start()
    began = time.monotonic()
    try:
        result = run(flow(workers, options), options=RunOptions(store=store))
    finally:
        other.over.set()
        if thread.ident is not None:
            thread.join()
    seconds = time.monotonic() - began
    if not result.succeeded:
        raise SystemExit(f"{result.phase}: {result.message}\n{result.folder}")
    (report,) = (
        json.loads(each["value"])
        for node in result.workflow["status"]["nodes"].values()
        for each in (node.get("outputs") or {}).get("parameters") or []
        if each["name"] == "report"
    )
    return {
        "test_accuracy": report["test_accuracy"],
        "workers_of_each_epoch": [each["workers"] for each in metrics(store)],
        "loss_of_each_epoch": [each["loss"] for each in metrics(store)],
        "seconds": round(seconds, 1),
        "the_other_waited_s": round(other.waited, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--limit", type=int, default=0, help="training images; 0: all")
    parser.add_argument("--source", default="auto", help="where Fashion-MNIST is: auto, a folder, a URI")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as folder:
        fixed = trained(2, options, Path(folder) / "fixed")
        elastic = trained((1, 2), options, Path(folder) / "elastic")
    found = {
        **about(),
        "model": options.model,
        "epochs": options.epochs,
        "seed": options.seed,
        "images": options.limit or 60_000,
        "source": options.source,
        "fixed": fixed,
        "elastic": elastic,
        "accuracy_differs_by": round(abs(fixed["test_accuracy"] - elastic["test_accuracy"]), 4),
    }
    show(found)
    if options.json:
        write(options.json, found)


if __name__ == "__main__":
    main()
