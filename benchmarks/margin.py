"""What the margin of `enough` is for: how far trainings of the mission end above what their curves said of them.

    python benchmarks/margin.py --source FOLDER [--seeds 7 8 9] [--epochs 10] [--json FILE]

The three networks are trained as in the mission, on all of Fashion-MNIST (the four idx files in FOLDER), and judged on
the validation images. After each epoch from the second on `enough` would have said what a training can reach at most:
its best accuracy, its slope for each epoch to come, and the largest gain that the other two had in judgement. Short is
by how much its own judgement was above that, so that a smaller margin could drop a model that belongs to the top;
negative where the curve alone was enough. Exit code 1 when the margin does not cover it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, show, write
from components.fingerprint import fingerprint
from components.ingest import ingest
from components.models import MODELS
from tiphys.reference import VOLUMES_ENV
from tiphys.step.straggler import MARGIN, Curve, curve, lift, reach

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", required=True, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--volume", default="", help="keep models here, and take those that are there")
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    volume = options.volume or tempfile.mkdtemp(prefix="tiphys-margin-")
    os.environ[VOLUMES_ENV] = json.dumps({"tiphys": volume})
    data = str(ingest(fingerprint(options.source).source, validation_size=6000).dataset)
    shorts: dict[str, dict[str, float]] = {name: {} for name in MODELS}
    judgements: dict[str, list[float]] = {name: [] for name in MODELS}
    for seed in options.seeds:
        seen = {name: _trained(name, seed, options.epochs, data, Path(volume)) for name in MODELS}
        for name, (whole, judged) in seen.items():
            judgements[name].append(judged)
            up = lift(each for other, each in seen.items() if other != name)
            for epoch in range(2, options.epochs):
                known = Curve(whole.values[:epoch], epoch, options.epochs)
                short = judged - reach(known) - up
                key = f"after epoch {epoch}"
                shorts[name][key] = round(max(short, shorts[name].get(key, -1.0)), 5)
    most = max(short for each in shorts.values() for short in each.values())
    found = {
        "largest_shortfall": most,
        "margin": MARGIN,
        "shortfall": shorts,
        "judged": judgements,
        "seeds": options.seeds,
        "epochs": options.epochs,
    }
    show(found)
    if options.json:
        write(Path(options.json), {**found, **about()})
    return 0 if most <= MARGIN else 1


def _trained(name: str, seed: int, epochs: int, data: str, volume: Path) -> tuple[Curve, float]:
    """The curve of a training, and the validation accuracy of its model."""
    key = f"{name}-{seed}-{epochs}"
    uri = f"pvc://tiphys/models/{key}"
    given = {
        "DATASET": data, "MODEL": name, "OUTPUT": uri, "WORK": f"pvc://tiphys/work/{key}", "EPOCHS": epochs,
        "SEED": seed,
    }  # fmt: skip
    _step("components.train", given)
    outputs = volume / "outputs" / key
    if not (outputs / "accuracy").exists():
        judge = {"NAME": name, "MODEL": uri, "DATASET": data}
        _step("tiphys.step", judge, "components.evaluate:evaluate", TIPHYS_OUTPUTS=str(outputs))
    lines = (volume / "models" / key / "metrics.jsonl").read_text().splitlines()
    return curve(lines), float((outputs / "accuracy").read_text())


def _step(module: str, inputs: dict[str, object], *words: str, **environ: str) -> None:
    given = {f"TIPHYS_INPUT_{name}": str(value) for name, value in inputs.items()}
    subprocess.run(
        [sys.executable, "-m", module, *words], env={**os.environ, **given, **environ}, cwd=ROOT, check=True
    )


if __name__ == "__main__":
    sys.exit(main())
