"""What it costs to list a store of many runs: CPU seconds of the whole ``tiphys list``, a process of its own.

Run: python benchmarks/listing.py [--sizes 100,1000,10000]

One run is really made; the others are its folder under other names. ``without`` is the same where the file of ended
runs is not there, so that each run is read by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile

from tiphys.engine import Run, RunOptions
from tiphys.store import Store
from tiphys.store.ended import Ended

FLOW = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "run-00000"},
    "spec": {
        "entrypoint": "main",
        "templates": [{"name": "main", "script": {"image": "bench", "command": ["sh"], "source": "echo x"}}],
    },
}


def fill(store: Store, first: int, last: int) -> None:
    """Runs number ``first`` to ``last`` - 1, as the engine leaves them."""
    source = store.run("run-00000")
    files = {name: (source / name).read_bytes() for name in ("workflow.json", "journal.db", "began")}
    ended = Ended(store)
    for number in range(first, last):
        name = f"run-{number:05d}"
        folder = store.new_run(name)
        for each, data in files.items():
            (folder / each).write_bytes(data.replace(b"run-00000", name.encode()))
        path = folder / "workflow.json"
        ended.note(name, path.stat(), float(files["began"]) + number, json.loads(path.read_bytes()))


def _cpu(store: Store) -> tuple[float, int]:
    """CPU seconds of ``tiphys list``, and the lines it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "tiphys", "list", "--store", str(store.root)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, len(done.stdout.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="100,1000,10000")
    sizes = [int(text) for text in parser.parse_args().sizes.split(",")]
    print(f"{'runs':>6}  {'list':>7}  {'without':>7}   CPU seconds")
    with tempfile.TemporaryDirectory() as folder:
        store, made = Store(folder), 1
        Run(FLOW, options=RunOptions(store=folder, images={"*": "host"}, handle_signals=False)).execute()
        for size in sizes:
            fill(store, made, size)
            made = max(made, size)
            best = min(_cpu(store) for _ in range(3))
            if best[1] != size + 1:
                raise SystemExit(f"{size} runs, {best[1]} lines")
            file, aside = store.root / "ended.jsonl", store.root / "aside"
            os.rename(file, aside)
            without = _cpu(store)[0] if size <= 1000 else None
            os.rename(aside, file)
            print(
                f"{size:>6}  {best[0]:>7.2f}  {'-' if without is None else f'{without:.2f}':>7}", flush=True
            )


if __name__ == "__main__":
    main()
