"""Training: one to four workers beside one process that has all cores, and beside a plain tf-keras script.

    python benchmarks/training.py [--models cnn,dropout,batch-norm] [--batch-sizes 1024,256] [--workers 1,2,3,4]
        [--epochs 3] [--repeats 3] [--limit 30000] [--json FILE]

Each line of the table is the median of interleaved repeats, so that what else runs on the machine weighs on all
alike; the ratio is the median of the ratios within a repeat. Examples a second are those of the fastest epoch after
the first one, which also builds the graph; CPU is what all workers used for a thousand examples in that epoch. A batch
is shared by the workers; where it cannot be it is less by the rest.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.results import about, write  # noqa: E402


class Run(NamedTuple):
    """What one training took: ``cpu`` is milliseconds for a thousand examples, ``wall`` seconds for the whole."""

    rate: float
    cpu: float
    wall: float


class Case(NamedTuple):
    """What is trained, and how: ``script`` is ``tiphys`` or ``plain tf-keras``."""

    model: str
    batch_size: int
    script: str
    workers: int


Runs = Mapping[Case, list[Run]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="cnn")
    parser.add_argument("--batch-sizes", default="1024", help="of all workers together")
    parser.add_argument(
        "--workers", default="1,2", help="how many; the first is what the others stand beside"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int, default=30000, help="training images; 0: all")
    parser.add_argument(
        "--source", default="auto", help="where Fashion-MNIST is: auto, a folder, a URI, synthetic"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--no-plain", action="store_true", help="leave the plain tf-keras script out")
    options = parser.parse_args()
    cases = [
        Case(model, int(batch), script, int(workers))
        for model in options.models.split(",")
        for batch in options.batch_sizes.split(",")
        for script in ("tiphys", *(() if options.no_plain else ("plain tf-keras",)))
        for workers in options.workers.split(",")
    ]
    runs: dict[Case, list[Run]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as volume:
        os.environ["TIPHYS_VOLUMES"] = json.dumps({"tiphys": volume})
        from components.fingerprint import fingerprint
        from components.ingest import ingest

        source = fingerprint(options.source, limit=options.limit).source
        dataset = ingest(source, validation_size=1000, limit=options.limit).dataset
        for repeat in range(options.repeats):
            for number, case in enumerate(cases):
                run = train(case, f"{number}-{repeat}", str(dataset), options.epochs, Path(volume))
                runs[case].append(run)
                sys.stderr.write(f"{repeat + 1}/{options.repeats} {case}: {run.rate:.0f} examples/s\n")
            found: dict[str, Any] = {
                **about(),
                "epochs": options.epochs,
                "images": options.limit,
                "repeats": repeat + 1,
                "tensorflow": importlib.metadata.version("tensorflow"),
                "rows": [told(case, runs) for case in cases],
            }
            if options.json:  # after each repeat: many cases take half an hour
                write(options.json, found)
    print(f"\n{os.cpu_count()} cores, {options.repeats} repeats")
    print(*(f"{name:>20}" for name in found["rows"][0]), sep="")
    for row in found["rows"]:
        print(*(f"{value:>20}" for value in row.values()), sep="")


def told(case: Case, runs: Runs) -> dict[str, Any]:
    """A row: medians, and the medians of what each repeat has beside one process, and beside the plain script."""
    first = next(each.workers for each in runs)
    alone, plain = case._replace(workers=first), case._replace(script="plain tf-keras")
    rate, cpu, wall = (statistics.median(values) for values in zip(*runs[case], strict=True))

    def beside(other: Case, ratio: Callable[[Run, Run], float]) -> float | str:
        if other not in runs:
            return ""
        return round(statistics.median(map(ratio, runs[case], runs[other])), 2)

    return {
        **case._asdict(),
        "examples_per_second": round(rate),
        "of_one_process": beside(alone, lambda own, other: own.rate / other.rate),
        "of_plain_cpu": beside(plain, lambda own, other: other.cpu / own.cpu),
        "cpu_ms_a_thousand": round(cpu),
        "wall_s": round(wall, 1),
    }


def train(case: Case, key: str, dataset: str, epochs: int, volume: Path) -> Run:
    """One training by ``workers`` processes; its figures from the metrics that the chief writes."""
    module = "components.train" if case.script == "tiphys" else "benchmarks.training_plain"
    workers = case.workers
    inputs = {
        "DATASET": dataset,
        "MODEL": case.model,
        "OUTPUT": f"pvc://tiphys/models/{key}",
        "WORK": f"pvc://tiphys/work/{key}",
        "EPOCHS": epochs,
        "BATCH_SIZE": case.batch_size - case.batch_size % workers,
    }
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    environment |= {"TIPHYS_INPUT_" + name: str(value) for name, value in inputs.items()}
    addresses = [f"localhost:{port}" for port in free_ports(workers)]
    began = time.monotonic()
    processes = []
    with tempfile.TemporaryFile() as log:
        for index in range(workers):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            config = {"TF_CONFIG": json.dumps(task)} if workers > 1 else {}
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", module], env=environment | config, stdout=log, stderr=log
                )
            )
        codes = [process.wait() for process in processes]
        if any(codes):
            log.seek(0)
            raise SystemExit(f"{key}: exit codes {codes}\n{log.read().decode(errors='replace')[-3000:]}")
    wall = time.monotonic() - began
    lines = (volume / "models" / key / "metrics.jsonl").read_text().splitlines()
    best = max(
        (json.loads(line) for line in lines[1:]), key=lambda entry: float(entry["examples_per_second"])
    )
    examples = best["examples_per_second"] * best["seconds"]
    return Run(best["examples_per_second"], 1e6 * workers * best["cpu_seconds"] / examples, wall)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


if __name__ == "__main__":
    main()
