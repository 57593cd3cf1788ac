"""What reads a store that was damaged, or that a hostile hand has written: bytes that changed, and rows whose sums are
right and whose values are not. And what a step leaves: values, references, sealed folders, progress."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Literal, get_args

from tests.engine.harness import out, workflow
from tests.fuzz.archives import folder
from tests.fuzz.mutate import bytes_of, text_of, tree_of
from tests.fuzz.texts import Target
from tiphys import large
from tiphys.engine import RunOptions, run
from tiphys.engine.runtime.journal import Journal
from tiphys.engine.runtime.progress import progress_of_pod
from tiphys.engine.runtime.stored import Record
from tiphys.errors import TiphysError
from tiphys.queue import Locks
from tiphys.records.lineage import lineage
from tiphys.records.models import models
from tiphys.reference import Reference, pointed, seal, verify
from tiphys.reuse import explain, judge
from tiphys.reuse.gc import CacheLimits, collect
from tiphys.runs import Client
from tiphys.runs.records import answered
from tiphys.serving.gate import golden
from tiphys.serving.gate.compare import of_answers
from tiphys.step.codec import decode
from tiphys.store import Store

__all__ = ["STORES"]

_KEYS = (
    "name", "kind", "spec", "templates", "entrypoint", "node_id", "phase", "now", "outputs", "status", "version",
)  # fmt: skip
_SUMMED = {"facts": ("name", "value"), "events": ("kind", "body"), "objects": ("kind", "name", "body")}


@functools.cache
def _seed() -> Path:
    """A store with one run that has ended: a memoized step under a lock, with a parameter and an artifact, a loop."""
    place = Path(tempfile.mkdtemp(), "seed")
    step = {
        "name": "step",
        "inputs": {"parameters": [{"name": "x", "value": "1"}]},
        "container": {
            "image": "host",
            "command": [
                "sh",
                "-c",
                'mkdir -p /tmp/out; printf \'{"uri": "pvc://data/a"}\' > /tmp/out/v; cp /tmp/out/v /tmp/a',
            ],
        },
        "outputs": {**out("v"), "artifacts": [{"name": "a", "path": "/tmp/a"}]},
        "memoize": {"key": "k-{{inputs.parameters.x}}", "cache": {"configMap": {"name": "cache"}}},
        "synchronization": {"mutexes": [{"name": "one"}]},
    }
    loop = {"name": "each", "template": "step", "withItems": ["1", "2"]}
    loop["arguments"] = {"parameters": [{"name": "x", "value": "{{item}}"}]}  # type: ignore[assignment]
    flow = workflow({"name": "main", "steps": [[loop]]}, step)
    options = RunOptions(store=place, name="r", images={"host": "host"})
    given = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}]
    assert run(flow, options=options, context=given).phase == "Succeeded"
    sealed = place / "volumes" / "data" / "a"
    sealed.mkdir(parents=True)
    (sealed / "f").write_text("content")
    seal(sealed)
    for path in place.rglob("*.db"):  # what lies in a log beside it is taken over
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode=DELETE")
    return place


@functools.cache
def _files() -> list[str]:
    seed = _seed()
    found = [path for path in seed.rglob("*") if path.is_file() and path.stat().st_size]
    return sorted(str(path.relative_to(seed)) for path in found if path.suffix != ".turn")


def _make_store(seeds: Sequence[Any], chance: Random) -> str:
    """The name of a file and its bytes, as they are to be."""
    name = chance.choice(_files())
    data = bytes_of((_seed() / name).read_bytes(), chance)
    return f"{name}\n{data.decode('latin-1')}"


def _store(text: str) -> None:
    """Every verb that looks at a store, while one of its files is damaged."""
    name, _, data = text.partition("\n")
    if name not in _files():
        return
    with _copy() as place:
        (place / name).write_bytes(data.encode("latin-1"))
        _ask(place)


@contextlib.contextmanager
def _copy() -> Any:
    place = folder() / "store"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(_seed(), place, ignore=shutil.ignore_patterns("bell", "*.turn"))
    yield place


def _ask(place: Path) -> None:
    store = Store(place)
    with Client(store=place) as client:
        questions = [
            lambda: list(client.list()),
            lambda: client.get("r"),
            lambda: list(client.logs("r")),
            lambda: models(store),
            lambda: answered(store, lambda index: lineage(index, "r")),
            lambda: list(judge.entries(store)),
            lambda: explain.explain(store, "step"),
            lambda: collect(store, CacheLimits(), dry_run=True),
            lambda: _locks(store),
        ]
        problem = None
        for question in questions:
            try:
                question()
            except TiphysError as error:
                problem = error
        if problem is not None:
            raise problem


def _locks(store: Store) -> None:
    with contextlib.closing(Locks(store.locks)) as locks:
        locks.table()


def _make_rows(seeds: Sequence[Any], chance: Random) -> str:
    """A table of the journal, a row's number and its new value."""
    table = chance.choice(("facts", "events", "events"))
    with contextlib.closing(sqlite3.connect(_seed() / "runs" / "r" / "journal.db")) as db:
        rows = db.execute(f"SELECT {','.join(_SUMMED[table])} FROM {table}").fetchall()
    number = chance.randrange(len(rows))
    value = rows[number][-1]
    if chance.random() < 0.7:
        trees = [json.loads(row[-1]) for row in (rows if chance.random() < 0.5 else [rows[number]])]
        value = json.dumps(tree_of(trees, _KEYS, chance))
    else:
        value = text_of([value], chance)
    return json.dumps([table, number, value])


def _rows(text: str) -> None:
    """A row that somebody wrote with a right sum: whoever reads the run says what it is, or that it is damaged."""
    try:
        table, number, value = json.loads(text)
    except (ValueError, TypeError):
        return
    if table not in _SUMMED or not isinstance(number, int) or not isinstance(value, str):
        return
    columns = _SUMMED[table]
    with _copy() as place:
        (place / "runs" / "r" / "workflow.json").unlink()
        path = place / "runs" / "r" / "journal.db"
        with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(UnicodeEncodeError):
            rows = db.execute(f"SELECT {','.join(columns)} FROM {table}").fetchall()
            *key, _ = rows[number % len(rows)]
            total = zlib.crc32("\0".join([*key, value]).encode(errors="surrogatepass"))
            which = f"seq={number % len(rows) + 1}" if table == "events" else f"name='{key[0]}'"
            db.execute(f"UPDATE {table} SET {columns[-1]}=?, sum=? WHERE {which}", (value, total))
            db.commit()
        with Client(store=place) as client:
            list(client.list())
        with Record(Store(place), "r", reading=True) as record:
            json.dumps(record.workflow())


def _make_journal(seeds: Sequence[Any], chance: Random) -> str:
    return bytes_of((_seed() / "runs" / "r" / "journal.db").read_bytes(), chance).decode("latin-1")


def _journal(text: str) -> None:
    path = folder() / "journal.db"
    for each in folder().glob("journal.db*"):
        each.unlink()
    path.write_bytes(text.encode("latin-1"))
    problem = None
    for reading in (True, False):
        try:
            journal = Journal(path, reading=reading)
        except TiphysError as error:
            problem = error
            continue
        with contextlib.closing(journal):
            for ask in (Journal.facts, Journal.objects, Journal.requests, Journal.events):
                try:
                    list(ask(journal) or ())  # type: ignore[call-overload]
                except TiphysError as error:
                    problem = error
    if problem is not None:
        raise problem


# -- what a step leaves ----------------------------------------------------------------------------------------

_VALUES = (
    "1", "text", '{"digest": "sha256:00", "uri": "pvc://data/a"}', "pvc://data/a", "file:///tmp/x", "[1, 2]", "true",
    '[{"uri": "pvc://data/a"}, "pvc://data/b"]', '{"a": {"uri": "file:///a", "digest": ""}}', "pvc://../a",
    "pvc://data/../..",
    '{"uri": "pvc://data/a", "value": "tiphys-value"}', "1.5", "null", '{"k": [1, {"v": null}]}',
)  # fmt: skip
_KINDS: tuple[Any, ...] = (
    int, float, bool, str, list[int], dict[str, float], tuple[int, str], int | None, list[dict[str, Any]], Path,
    Reference,
    Literal["a", 1],
)  # fmt: skip


def _values(text: str) -> None:
    """A value of a step is read for what it points to, and by the next step as what it is declared to be."""
    volumes = {"data": str(folder())}
    list(pointed(text, volumes))
    large.whole(text, volumes)
    assert get_args(_KINDS[-1])
    problem = None
    for kind in _KINDS:
        try:
            decode(text, kind)
        except (TiphysError, TypeError, ValueError) as error:
            problem = error
    Reference.parse(text)
    if problem is not None:
        raise problem


def _make_seal(seeds: Sequence[Any], chance: Random) -> str:
    return bytes_of((_seed() / "volumes" / "data" / "a" / "manifest.json").read_bytes(), chance).decode(
        "latin-1"
    )


def _sealed(text: str) -> None:
    place = folder() / "data" / "a"
    place.mkdir(parents=True, exist_ok=True)
    (place / "f").write_text("content")
    (place / "manifest.json").write_bytes(text.encode("latin-1"))
    verify(Reference("pvc://data/a"), {"data": str(place.parent)})


def _make_progress(seeds: Sequence[Any], chance: Random) -> str:
    return text_of(
        ("1/2\n", "0/100\n50/100\n", "3/3", "99999999999/999999999999\n", '{"epoch": 3, "of": 10}\n'), chance
    )


def _progress(text: str) -> None:
    path = folder() / "progress"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    for pod in (SimpleNamespace(progress_file=path), SimpleNamespace(told=(path, ""))):
        if line := progress_of_pod(pod):
            done, total = map(int, line.split("/"))
            assert done <= total


_GOLDEN = (
    '{"format": "tiphys.golden/1", "inputs": {"x": [[1, 2], [3, 4]]}, "outputs": {"y": [0.5, "NaN"]}}',
    '{"format": "tiphys.golden/1", "inputs": {"x": [1]}, "outputs": {"y": [[0.1, null]], "z": [{"b64": "AA=="}]}}',
)


def _golden(text: str) -> None:
    """What a training wrote beside a model is compared with what the model answers."""
    path = folder()
    (path / golden.FILE).write_bytes(text.encode("utf-8", errors="surrogatepass"))
    if found := golden.read(path):
        of_answers(found.outputs, {"y": [[0.1, 1e400]], "z": [1, None]}, 0.1)
        of_answers(found.outputs, dict(found.inputs), 0.1)
        of_answers(found.outputs, dict(found.outputs), 0.1)


STORES = [
    Target("store", "stores", _make_store, _store, lambda: (), inputs=120),
    Target("rows", "stores", _make_rows, _rows, lambda: (), inputs=250),
    Target("journal", "stores", _make_journal, _journal, lambda: (), inputs=500),
    Target("values", "stores", text_of, _values, lambda: _VALUES, (ValueError, TypeError), inputs=1500),
    Target("manifest", "stores", _make_seal, _sealed, lambda: (), inputs=800),
    Target("golden", "stores", text_of, _golden, lambda: _GOLDEN, (ValueError,), inputs=800),
    Target("progress", "stores", _make_progress, _progress, lambda: (), inputs=800),
]
