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
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import show
from tiphys.records.index import Index
from tiphys.records.listed import listed
from tiphys.records.query import compiled
from tiphys.records.schema import FILE
from tiphys.records.where import parsed
from tiphys.store import Store

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
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--folded", type=int, default=600)
    parser.add_argument("--listed", type=int, default=10_000)
    parser.add_argument(
        "--demo", metavar="FOLDER", help="a run that was really made (default: one of 26 steps, made now)"
    )
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tiphys-records-") as folder:
        found = _questions(Path(folder), options.runs)
    show(found)
    return 0


def _questions(folder: Path, count: int) -> dict[str, Any]:
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
