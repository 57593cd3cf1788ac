"""The index of the records at a million runs: twelve questions, folding, and a list, beside the plain ways.

    python benchmarks/records.py [--runs 1000000] [--demo RUN_FOLDER] [--json FILE]

Times are CPU seconds of this process. Each question asks for its first hundred, three times after one that warms up,
and the slowest counts. The runs are made up and written straight into a file: five parameters, two metrics, two labels,
an image. ``one index`` is the same question to the schema that comes to mind first, facts with an index on (name,
value, run), as one SQL statement that SQLite plans by itself; what takes longer than ten seconds is ended. Exit code 1
when a question takes longer than 100 ms, fewer than 300 runs a second are folded, 10 000 take longer than a second to
list, or a walk from a thing to its makers longer than 50 ms.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, show, write
from tiphys.engine import Run, RunOptions
from tiphys.records.index import Index
from tiphys.records.listed import listed
from tiphys.records.query import compiled
from tiphys.records.record import ArtifactRecord, RunRecord, StepRecord
from tiphys.records.schema import FILE
from tiphys.records.where import parsed
from tiphys.runs.records import sync
from tiphys.store import Store
from tiphys.store.ended import Ended

_NOW = 1_795_000_000.0  # when the last run began: in November 2026
_STEP = 30.0  # seconds between two runs
_PATIENCE = 10.0  # seconds for a peer
MODELS = ("cnn", "dropout", "batch-norm")
QUESTIONS = {
    "a rare parameter": ("params.seed == '777777'", ""),
    "a common parameter": ("params.model == 'cnn'", ""),
    "two parameters": ("params.model == 'cnn' and params.epochs == 12", ""),
    "two parameters in another order": ("params.model == 'cnn' and params.epochs == 12", "-metrics.accuracy"),
    "the newest": ("", "-started"),
    "above a threshold": ("metrics.accuracy >= 0.99", ""),
    "the best of those": ("metrics.accuracy >= 0.9 and params.model == 'cnn'", "-metrics.accuracy"),
    "by labels": ("labels.team in ('a', 'b') and labels.stage == 'prod'", ""),
    "by the beginning of a name": ("name like 'digits-00012%'", "name"),
    "in a week": (f"started > {_NOW - 40 * 7 * 86400} and started < {_NOW - 39 * 7 * 86400}", "started"),
    "what is not": ("not (phase == 'Succeeded' or labels.team in ('a', 'b')) and duration > 60", ""),
    "a rare phase": ("phase == 'Error'", "-metrics.accuracy"),
}
FURTHER = {
    "two that are seldom together": ("params.lr == 0.1 and labels.team == 'z'", ""),
    "a half of a text": ("params.data like '%/7777.%'", ""),
    "the worst above a threshold": ("metrics.accuracy >= 0.97", "metrics.accuracy"),
}
"""What no promise is made of."""


def _made(count: int) -> Iterator[tuple[int, tuple[Any, ...], list[tuple[str, str]]]]:
    """Runs: their number, their row, their facts."""
    chance = random.Random(1)
    more = json.dumps(
        {"parameters": {}, "outputs": {}, "labels": {}, "made_from": {}, "images": [], "resources": {}}
    )
    for number in range(1, count + 1):
        pipeline = chance.choice(("fashion", "digits", "churn"))
        key = f"{pipeline}-{number:07d}"
        phase = chance.choices(("Succeeded", "Failed", "Error", "Running"), (900, 97, 1, 2))[0]
        began = _NOW - (count - number) * _STEP
        seconds = chance.randrange(5, 600)
        model = chance.choice(MODELS)
        facts = [
            ("params.model", model),
            ("params.epochs", str(chance.choice((3, 6, 12, 24)))),
            ("params.seed", str(number)),
            ("params.lr", "0.1" if number % 2 else str(chance.choice((0.01, 0.001)))),
            ("params.data", f"pvc://tiphys/datasets/{number % 10_000}.npz"),
            ("metrics.accuracy", repr(round(0.7 + 0.3 * chance.betavariate(3, 2), 6))),
            ("metrics.loss", repr(round(chance.random(), 6))),
            ("labels.team", "z" if number % 2 == 0 and chance.random() < 0.1 else chance.choice("abcdefgh")),
            ("labels.stage", chance.choice(("dev", "dev", "prod"))),
            ("image", f"registry.example.com/train:{number % 50}"),
        ]
        if phase in ("Failed", "Error") and chance.random() < 0.5:
            facts = [fact for fact in facts if not fact[0].startswith("metrics.")]
        end = began + seconds
        row = (
            number, key, number, "1", "local", key, "argo", f"uid-{number}", pipeline, phase, "", began, began, end,
            seconds, "3/3", more,
        )  # fmt: skip
        yield number, row, facts


def _fill(folder: Path, count: int) -> None:
    """The index, and beside it the naive one."""
    with Index(Store(folder)) as index, index.reading() as db:
        naive = sqlite3.connect(folder / "naive.db")
        naive.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE runs(id INTEGER PRIMARY KEY, name TEXT, phase TEXT, started REAL, duration REAL);"
            "CREATE TABLE facts(run INTEGER, name TEXT, value TEXT, number REAL);"
        )
        names: dict[str, int] = {}
        made = _made(count)
        db.execute("PRAGMA synchronous=OFF")
        while batch := list(itertools.islice(made, 20_000)):
            facts = []
            for number, _, own in batch:
                for name, value in own:
                    known = names.setdefault(name, len(names) + 1)
                    text = value.replace(".", "", 1).isdigit()
                    facts.append((number, known, value, float(value) if text else None, name))
            db.execute("BEGIN")
            db.executemany(f"INSERT INTO runs VALUES({','.join('?' * 17)})", [row for _, row, _ in batch])
            db.executemany("INSERT INTO facts VALUES(?,?,?,?)", [fact[:4] for fact in facts])
            db.executemany(
                "INSERT OR IGNORE INTO names VALUES(?,?)", [(at, name) for name, at in names.items()]
            )
            db.execute("COMMIT")
            naive.executemany(
                "INSERT INTO runs VALUES(?,?,?,?,?)", [(r[0], r[5], r[9], r[12], r[14]) for _, r, _ in batch]
            )
            naive.executemany("INSERT INTO facts VALUES(?,?,?,?)", [(f[0], f[4], f[2], f[3]) for f in facts])
        naive.execute("CREATE INDEX by_value ON facts(name, value, run)")
        naive.commit()
        naive.close()


def _cpu(ask: Callable[[], object]) -> float:
    before = time.process_time()
    ask()
    return time.process_time() - before


def _asked(folder: Path, where: str, order: str) -> tuple[float, int]:
    """CPU seconds of the slowest of three, and how many it found."""
    with Index(Store(folder)) as index:
        found = len(listed(index, where, order, 100)[0])
        return max(_cpu(lambda: listed(index, where, order, 100)) for _ in range(3)), found


def _asked_naively(folder: Path, where: str, order: str) -> float | None:
    """The same as one statement of SQL over one index."""
    condition = compiled(parsed(where), lambda name: name) if where else None  # type: ignore[arg-type,return-value]
    sql, values = condition[:2] if condition is not None else ("1", ())
    name = order.lstrip("-") or "started"
    way = "DESC" if order.startswith("-") or not order else "ASC"
    best = f"(SELECT max(number) FROM facts WHERE run=r.id AND name='{name}')" if "." in name else f"r.{name}"
    sql = sql.format(run="r.id", row="r").replace(
        "EXISTS(SELECT 1 FROM facts NOT INDEXED WHERE run=r.id AND", "r.id IN (SELECT run FROM facts WHERE"
    )
    db = sqlite3.connect(folder / "naive.db")
    until = time.monotonic() + _PATIENCE
    db.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        return _cpu(
            lambda: db.execute(
                f"SELECT r.id FROM runs r WHERE {sql} ORDER BY {best} {way} LIMIT 100", values
            ).fetchall()
        )
    except sqlite3.OperationalError:
        return None
    finally:
        db.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1_000_000, help="that are asked")
    parser.add_argument(
        "--linked", type=int, default=100_000, help="runs with things that they used and made"
    )
    parser.add_argument("--folded", type=int, default=600)
    parser.add_argument("--listed", type=int, default=10_000)
    parser.add_argument(
        "--demo", metavar="FOLDER", help="of a run that was really made (else one is made now)"
    )
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for part, count in (
        (_folding, options.folded),
        (_listing, options.listed),
        (_links, options.linked),
        (_questions, options.runs),
    ):
        with tempfile.TemporaryDirectory(prefix="tiphys-records-") as folder:
            found |= part(Path(folder), count, options.demo)
    show({name: value for name, value in found.items() if name != "questions"})
    slow = [name for name in QUESTIONS if found["questions"][name]["ms"] > 100]
    missed = {
        "slow": slow,
        "folded": found["folded_per_second"] < 300,
        "listed": found["listed_seconds"] > 1,
        "links": found["makers_ms"] > 50 or found["users_ms"] > 50,
    }
    if options.json:
        write(Path(options.json), {**found, **about()})
    print("missed:", ", ".join(name for name, bad in missed.items() if bad) or "nothing")
    return 1 if any(missed.values()) else 0


def _really(folder: Path, demo: str | None) -> Path:
    """The folder of a run of some fifty nodes, as its engine left it."""
    if demo:
        return Path(demo)
    task = {
        "name": "work",
        "retryStrategy": {"limit": 1},
        "inputs": {"parameters": [{"name": "n"}, {"name": "data", "value": "pvc://tiphys/datasets/x"}]},
        "script": {"image": "bench", "command": ["sh"], "source": "echo 0.9 > accuracy"},
        "outputs": {"parameters": [{"name": "accuracy", "valueFrom": {"path": "accuracy"}}]},
    }  # fmt: skip
    calls = [
        {
            "name": f"t{n}",
            "template": "work",
            "arguments": {"parameters": [{"name": "n", "value": str(n % 4)}]},
        }
        for n in range(25)
    ]
    flow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "really-made"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "dag": {"tasks": calls}}, task]},
    }
    Run(flow, options=RunOptions(store=folder, images={"*": "host"}, handle_signals=False)).execute()
    return Store(folder).run("really-made")


def _copied(source: Path, store: Store, count: int) -> None:
    """A run under many names, as if each had been run."""
    files = {name: (source / name).read_bytes() for name in ("workflow.json", "journal.db", "began")}
    name, ended = json.loads(files["workflow.json"])["metadata"]["name"], Ended(store)
    for number in range(count):
        own = f"r{number:0{len(name) - 1}d}"  # as long: a journal is no text
        folder = store.new_run(own)
        for each, data in files.items():
            (folder / each).write_bytes(data.replace(name.encode(), own.encode()))
        path = folder / "workflow.json"
        ended.note(own, path.stat(), float(files["began"]) + number, json.loads(path.read_bytes()))


def _folding(folder: Path, count: int, demo: str | None) -> dict[str, Any]:
    """Runs read from their folders into the index; and only read, for what that alone takes."""
    source, store = _really(folder / "made", demo), Store(folder / "store")
    nodes = len(json.loads((source / "workflow.json").read_bytes())["status"]["nodes"])
    _copied(source, store, count)
    with Index(store) as index:
        cpu = _cpu(lambda: sync(index))
        again = _cpu(lambda: sync(index))
    files = [store.run(name) / "workflow.json" for name in store.runs()]
    read = _cpu(lambda: [json.loads(path.read_bytes()) for path in files])
    return {
        "folded_nodes": nodes,
        "folded_per_second": round(count / cpu),
        "only_reading_json_per_second": round(count / read),
        "nothing_new_ms": round(again * 1000, 1),
    }


def _listing(folder: Path, count: int, demo: str | None) -> dict[str, Any]:
    """CPU seconds of whole commands that list all runs of a store, of one step each."""
    flow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "really-made"},
        "spec": {
            "entrypoint": "main",
            "templates": [{"name": "main", "script": {"image": "b", "command": ["sh"], "source": "echo x"}}],
        },
    }
    made, store = Store(folder / "made"), Store(folder / "store")
    Run(flow, options=RunOptions(store=made.root, images={"*": "host"}, handle_signals=False)).execute()
    _copied(made.run("really-made"), store, count)
    words = ["list", "--store", str(store.root)]
    first = _command(*words, "--where", "phase == 'Succeeded'")
    return {
        "listed_runs": count,
        "listed_first_seconds": round(first, 2),
        "listed_seconds": round(
            min(_command(*words, "--where", "phase == 'Succeeded'") for _ in range(3)), 2
        ),
        "plain_list_seconds": round(min(_command(*words) for _ in range(3)), 2),
    }


def _command(*words: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "tiphys", *words], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _links(folder: Path, count: int, demo: str | None) -> dict[str, Any]:
    """From a thing to the steps that made and used it: a thing that one run made, and one that a hundred used."""

    def runs() -> Iterator[tuple[str, RunRecord]]:
        for number in range(count):
            step = StepRecord(
                f"n{number}", "train", "train", "Pod", "Succeeded", started=float(number),
                uses=(ArtifactRecord(f"pvc://tiphys/datasets/{number // 100}", "", "data"),),
                makes=(ArtifactRecord(f"pvc://tiphys/models/{number}", f"sha256:{number:064x}", "model"),),
            )  # fmt: skip
            yield (
                "1",
                RunRecord(f"r-{number}", f"r-{number}", "", "", "local", "r", "Succeeded", steps=(step,)),
            )

    with Index(Store(folder)) as index:
        put = _cpu(lambda: index.put(runs()))
        middle = count // 2
        return {
            "small_runs_put_per_second": round(count / put),
            "makers_ms": round(
                max(_cpu(lambda: index.producers(f"sha256:{middle:064x}")) for _ in range(5)) * 1e3, 2
            ),
            "users_ms": round(
                max(_cpu(lambda: index.consumers(f"pvc://tiphys/datasets/{middle // 100}")) for _ in range(5))
                * 1e3,
                2,
            ),
        }


def _questions(folder: Path, count: int, demo: str | None) -> dict[str, Any]:
    _fill(folder, count)
    answers = {}
    for name, (where, order) in {**QUESTIONS, **FURTHER}.items():
        cpu, rows = _asked(folder, where, order)
        naive = _asked_naively(folder, where, order)
        answers[name] = {
            "ms": round(cpu * 1000, 1),
            "found": rows,
            "one_index_ms": naive and round(naive * 1000, 1),
        }
        print(
            f"{name:35} {cpu * 1000:8.1f} ms {rows:4}  {'-' if naive is None else f'{naive * 1000:8.1f}'}",
            flush=True,
        )
    return {"runs": count, "megabytes": (folder / FILE).stat().st_size >> 20, "questions": answers}


if __name__ == "__main__":
    sys.exit(main())
