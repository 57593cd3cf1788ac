"""Training: two workers beside one process that has both cores, and beside a plain tf-keras script.

    python benchmarks/training.py [--model cnn] [--batch-size 1024] [--epochs 3] [--repeats 3] [--limit 30000]
        [--json FILE]

Each line of the table is the median of interleaved repeats, so that what else runs on the machine weighs on all
alike; the ratio is the median of the ratios within a repeat. Examples a second are those of the fastest epoch after
the first one, which also builds the graph; CPU is what all workers used for a thousand examples in that epoch.
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
from collections.abc import Mapping
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="cnn")
    parser.add_argument("--batch-size", type=int, default=1024, help="global: shared by the workers")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int, default=30000, help="training images; 0: all")
    parser.add_argument(
        "--source", default="auto", help="where Fashion-MNIST is: auto, a folder, a URI, synthetic"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--no-plain", action="store_true", help="leave the plain tf-keras script out")
    options = parser.parse_args()
    kinds = {"tiphys, one process": 1, "tiphys, two workers": 2}
    if not options.no_plain:
        kinds |= {"plain tf-keras, one process": 1, "plain tf-keras, two workers": 2}
    runs: dict[str, list[Run]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as volume:
        os.environ["TIPHYS_VOLUMES"] = json.dumps({"tiphys": volume})
        from components.fingerprint import fingerprint
        from components.ingest import ingest

        source = fingerprint(options.source, limit=options.limit).source
        dataset = ingest(source, validation_size=1000, limit=options.limit).dataset
        for repeat in range(options.repeats):
            for kind, workers in kinds.items():
                key = f"{kind.replace(' ', '-').replace(',', '')}-{repeat}"
                module = "benchmarks.training_plain" if kind.startswith("plain") else "components.train"
                run = train(module, workers, key, str(dataset), options, Path(volume))
                runs[kind].append(run)
                sys.stderr.write(f"{repeat + 1}/{options.repeats} {kind}: {run.rate:.0f} examples/s\n")
    found: dict[str, Any] = {
        **about(),
        "model": options.model,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
        "images": options.limit,
        "repeats": options.repeats,
        "tensorflow": importlib.metadata.version("tensorflow"),
        "rows": [told(kind, runs) for kind in runs],
    }
    print(
        f"\n{options.model}, global batch {options.batch_size}, {os.cpu_count()} cores, {options.repeats} repeats\n"
    )
    print(
        f"{'':30} {'examples/s':>10} {'of one process':>15} {'of plain':>9} {'CPU ms/1000':>12} {'whole run s':>12}"
    )
    for row in found["rows"]:
        print(
            "{kind:30} {examples_per_second:10.0f} {of_one_process:15.2f} {of_plain_cpu:>9} "
            "{cpu_ms_a_thousand:12.0f} {wall_s:12.1f}".format(**row)
        )
    if options.json:
        write(options.json, found)


def told(kind: str, runs: Mapping[str, list[Run]]) -> dict[str, Any]:
    """A row: medians, and the medians of what each repeat has beside one process, and beside the plain script."""
    alone = runs[kind.replace("two workers", "one process")]
    plain = runs.get(kind.replace("tiphys", "plain tf-keras"))
    rate, cpu, wall = (statistics.median(values) for values in zip(*runs[kind], strict=True))
    row: dict[str, Any] = {
        "kind": kind,
        "examples_per_second": round(rate),
        "of_one_process": round(
            statistics.median(run.rate / other.rate for run, other in zip(runs[kind], alone, strict=True)), 2
        ),
        "of_plain_cpu": "",
        "cpu_ms_a_thousand": round(cpu),
        "wall_s": round(wall, 1),
    }
    if plain:
        row["of_plain_cpu"] = round(
            statistics.median(other.cpu / run.cpu for run, other in zip(runs[kind], plain, strict=True)), 2
        )
    return row


def train(
    module: str, workers: int, key: str, dataset: str, options: argparse.Namespace, volume: Path
) -> Run:
    """One training by ``workers`` processes; its figures from the metrics that the chief writes."""
    inputs = {
        "DATASET": dataset,
        "MODEL": options.model,
        "OUTPUT": f"pvc://tiphys/models/{key}",
        "WORK": f"pvc://tiphys/work/{key}",
        "EPOCHS": options.epochs,
        "BATCH_SIZE": options.batch_size,
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
