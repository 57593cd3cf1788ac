"""Conditions of a cache, executed: what each run hands out tells whether it computed."""

from __future__ import annotations

import shutil
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tiphys.engine import RunOptions, RunResult

pytestmark = pytest.mark.long

FILE = textwrap.dedent(
    """
    from typing import NamedTuple
    from tiphys import Cache, Pipeline, Reference, component, unless_data, while_intact, while_metric

    class Trained(NamedTuple):
        accuracy: float
        model: Reference
        name: str

    @component(cache=Cache.by_content() & {policy})
    def train(accuracy: float, records: int, schema: str = "a") -> Trained:
        import os, time, uuid
        from tiphys.reference import resolve, seal
        name = uuid.uuid4().hex
        uri = "pvc://tiphys/models/" + os.environ["TIPHYS_CACHE_KEY"]
        folder = resolve(uri)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model").write_text(name)
        {body}
        return Trained(accuracy, Reference(uri, seal(folder)), name)

    @component
    def see(name: str) -> str:
        return name

    with Pipeline("judged") as pipeline:
        made = train(
            accuracy=pipeline.param("accuracy", 0.95), records=pipeline.param("records", 100),
            schema=pipeline.param("schema", "a"),
        )
        see(name=made.name)
    """
)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "judged.py"

    def write(self, policy: str, body: str = "") -> None:
        self.path.write_text(FILE.format(policy=policy, body=body or "pass"))

    def run(
        self, *, cache: Any = "auto", env: dict[str, str] | None = None, **parameters: object
    ) -> RunResult:
        options = RunOptions(store=self.folder / "store", handle_signals=False, env=env or {})
        return tiphys.run(str(self.path), options=options, cache=cache, **parameters)

    def name(self, **given: Any) -> str:
        """The name of the model that a run hands on."""
        result = self.run(**given)
        assert result.phase == "Succeeded", result.workflow["status"]
        node = next(n for n in result.workflow["status"]["nodes"].values() if n["displayName"] == "see")
        return str(node["outputs"]["parameters"][0]["value"])

    def models(self) -> list[Path]:
        return sorted((self.folder / "store").glob("volumes/*/models/*"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_metric_below_the_bar_is_trained_again(bench: Bench) -> None:
    bench.write('while_metric("accuracy", ">=", 0.9)')
    good = bench.name(accuracy=0.95)
    assert bench.name(accuracy=0.95) == good
    bad = bench.name(accuracy=0.5)
    assert bench.name(accuracy=0.5) not in (good, bad)
    assert bench.name(accuracy=0.95) == good
    bench.write('while_metric("accuracy", ">=", 0.96)')
    again = bench.name(accuracy=0.95)
    assert again != good, "the bar was raised"
    bench.write('while_metric("accuracy", ">=", 0.9)')
    assert bench.name(accuracy=0.95) == again, "the bar is not in the key"


@pytest.mark.parametrize(
    ("text", "needed", "kept"),
    [("pvc://tiphys/x ", True, False), ("a long word ", True, True), ("pvc://tiphys/x ", False, True)],
)
def test_a_long_text_that_mentions_addresses(bench: Bench, text: str, needed: bool, kept: bool) -> None:
    """Where a condition needs the text, the recorder cannot be told all of it, and the result is never taken; else it
    lies in a file, which the recorder reads: it points to nothing."""
    bench.write("while_intact()", f"name += {text!r} * 2000")
    if needed:
        file = bench.path.read_text()
        bench.path.write_text(
            file.replace("see(name=made.name)", "see(name=made.name).when(made.name != '')")
        )
    first = bench.name()
    assert (bench.name() == first) is kept


def test_data_that_doubled_is_taken_in_again(bench: Bench) -> None:
    bench.write('unless_data("records", grew=2.0)')
    first = bench.name(records=100)
    assert [bench.name(records=n) for n in (100, 150, 199, 40)] == [first] * 4
    second = bench.name(records=200)
    assert second != first
    assert bench.name(records=399) == second, "it counts from what it was when the result was made"


def test_what_is_not_judged_counts_in_the_key(bench: Bench) -> None:
    bench.write('unless_data("records", changed="10%")')
    first = bench.name(records=100)
    assert bench.name(records=109) == first
    assert bench.name(records=109, schema="b") != first
    assert bench.name(records=90) != first


def test_all_conditions_must_hold(bench: Bench) -> None:
    bench.write(
        'while_metric("accuracy", ">=", 0.9) & unless_data("records", grew="100%") & unless_data("schema")'
    )
    first = bench.name()
    assert bench.name(records=199) == first
    assert bench.name(schema="b") != first
    second = bench.name(schema="b")
    assert bench.name(schema="b", records=200) != second


@pytest.mark.parametrize("damage", ["deleted", "changed", "added"])
@pytest.mark.parametrize("policy", ["while_intact()", 'while_metric("accuracy", ">=", 0.9)'])
def test_a_damaged_output_is_a_miss(bench: Bench, damage: str, policy: str) -> None:
    """The key is another then, so that it is a miss for the real controller, which looks at nothing."""
    bench.write(policy)
    first = bench.name()
    (folder,) = bench.models()
    if damage == "deleted":
        shutil.rmtree(folder)
    else:
        (folder / {"changed": "model", "added": "other"}[damage]).write_text("x")
    second = bench.name()
    assert second != first and bench.name() == second
    assert (
        len({path.name.rpartition("-")[2] for path in bench.models()} | {folder.name.rpartition("-")[2]}) == 2
    )


def test_for_one_run(bench: Bench) -> None:
    bench.write('while_metric("accuracy", ">=", 0.9)')
    first = bench.name()
    never = bench.name(cache="never")
    assert never != first and bench.name() == first, "never changes nothing"
    fresh = bench.name(cache="refresh")
    assert bench.name() == fresh


def test_equal_runs_at_once_compute_once(bench: Bench) -> None:
    bench.write('while_metric("accuracy", ">=", 0.9)', "time.sleep(0.5)")
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(bench.name())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 4 and len(set(names)) == 1


def test_a_step_that_fails_leaves_no_state(bench: Bench) -> None:
    bench.write('unless_data("records", grew=2.0)', 'assert not os.environ.get("FAIL")')
    assert bench.run(env={"FAIL": "1"}).phase == "Failed"
    assert not list((bench.folder / "store").rglob(".tiphys/reuse/*.json"))
    first = bench.name()
    assert bench.run(records=200, env={"FAIL": "1"}).phase == "Failed"
    assert bench.name() == first


TRAINER = """
import os, uuid

def train(records: int, data: str, output: str, work: str) -> None:
    from tiphys.reference import resolve, seal
    folder = resolve(output)
    folder.mkdir(parents=True)
    (folder / "model").write_text(uuid.uuid4().hex)
    seal(folder)

if __name__ == "__main__":
    given = {n: os.environ["TIPHYS_INPUT_" + n.upper()] for n in ("records", "data", "output", "work")}
    train(**given)
"""
TRAINING = """
from judged_trainer import train
from tiphys import Cache, Pipeline, Reference, TFJob, component, unless_data

@component
def see(model: Reference) -> str:
    return model.uri

job = TFJob(train, workers=1, retry=False, cache=Cache.by_content() & unless_data("records", grew=2.0, of="data"))
with Pipeline("training") as pipeline:
    records = pipeline.param("records", 100)
    see(model=job(records=records, data=pipeline.param("data", "a")).model)
"""


def test_a_training_is_kept_until_its_data_has_doubled(tmp_path: Path) -> None:
    """And a new one has folders of its own: its key has the generation."""
    bench = Bench(tmp_path)
    (tmp_path / "judged_trainer.py").write_text(TRAINER)
    bench.path.write_text(TRAINING)
    first = bench.name(records=100)
    assert bench.name(records=199, data="b") == first
    second = bench.name(records=200, data="b")
    assert second != first
    assert bench.name(records=399) == second
    shutil.rmtree(bench.folder / "store" / "volumes" / "tiphys" / second.removeprefix("pvc://tiphys/"))
    assert bench.name(records=200) not in (first, second)
