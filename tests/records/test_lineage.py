"""Lineage of runs that really ran: what each step read and wrote is known from plain Python beside it."""

from __future__ import annotations

import pytest

import tiphys
from tiphys import Reference
from tiphys.engine import RunOptions
from tiphys.errors import StoreError
from tiphys.records.fold import fold
from tiphys.records.lineage import Folded, Lineage, lineage, mermaid, tree
from tiphys.records.record import ArtifactRecord, RunRecord, StepRecord
from tiphys.store import Store


@tiphys.component
def raw(words: str) -> Reference:
    from components.publish import publish

    return publish("pvc://tiphys/raw/a", lambda folder: (folder / "words.txt").write_text(words))


@tiphys.component
def model(data: Reference) -> Reference:
    from components.publish import publish
    from tiphys.reference import resolve

    text = (resolve(data.uri) / "words.txt").read_text()
    made = publish("pvc://tiphys/models/m", lambda folder: (folder / "1").write_text(text.upper()))
    return Reference(made.uri)


@tiphys.component
def judge(model: Reference) -> dict[str, object]:
    from components.publish import published

    found = published(model.uri)
    assert found is not None
    return {"uri": found.uri, "digest": found.digest, "accuracy": 0.5}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    with tiphys.Pipeline("words") as pipeline:
        judge(model=model(data=raw(words=pipeline.param("words", "some"))))
    store = Store(tmp_path_factory.mktemp("lineage") / "store")
    for name in ("first", "second"):
        assert tiphys.run(pipeline, options=RunOptions(store=store.root, name=name)).succeeded
    return store


def folded(store: Store) -> Folded:
    import json

    return Folded(fold(json.loads((store.run(name) / "workflow.json").read_text())) for name in store.runs())


def lines(graph: Lineage) -> list[str]:
    return [f"{depth} {thing.kind} {thing.label}" for depth, thing, _ in tree(graph)]


def test_up_to_the_source_and_the_run(store: Store) -> None:
    graph = lineage(folded(store), "pvc://tiphys/models/m", volumes=store.volumes())
    found = [line.replace("second", "RUN").replace("first", "RUN") for line in lines(graph)]
    assert found[:5] == [  # both began in the same second
        "0 artifact pvc://tiphys/models/m",
        "1 step model of RUN",
        "2 artifact pvc://tiphys/raw/a",
        "3 step raw of RUN",
        "4 run RUN  Succeeded",
    ]
    assert not graph.problems


def test_a_digest_that_only_the_judge_told(store: Store) -> None:
    from tiphys.reference import MANIFEST, file_digest

    digest = file_digest(store.volume("tiphys") / "models" / "m" / MANIFEST)
    assert lines(lineage(folded(store), digest)) == lines(lineage(folded(store), "pvc://tiphys/models/m"))


def test_down_to_what_was_said_of_it(store: Store) -> None:
    graph = lineage(folded(store), "pvc://tiphys/raw/a", down=True)
    found = lines(graph)
    assert found[:3] == ["0 artifact pvc://tiphys/raw/a", found[1], "2 artifact pvc://tiphys/models/m"]
    assert sorted(found[1:]) == [  # both began in the same second
        "1 step model of first",
        "1 step model of second",
        "2 artifact pvc://tiphys/models/m",
        "2 artifact pvc://tiphys/models/m",
        "3 step judge of first",
        "3 step judge of second",
        "4 report accuracy 0.5",
        "4 report accuracy 0.5",
    ]
    assert graph.runs == ["first", "second"]


def test_of_a_run(store: Store) -> None:
    found = lines(lineage(folded(store), "first"))
    assert found[0] == "0 run first  Succeeded"
    assert "1 artifact pvc://tiphys/models/m" in found


def test_what_was_tampered_with_or_is_gone(store: Store) -> None:
    words = store.volume("tiphys") / "raw" / "a" / "words.txt"
    before = words.read_text()
    try:
        words.write_text("evil")
        graph = lineage(folded(store), "pvc://tiphys/models/m", volumes=store.volumes())
        assert graph.problems == ["pvc://tiphys/raw/a: words.txt has another content than recorded"]
        assert "NOT WHAT IT WAS" in mermaid(graph)
        words.unlink()
        graph = lineage(folded(store), "pvc://tiphys/models/m", volumes=store.volumes())
        assert graph.problems == ["pvc://tiphys/raw/a: words.txt is missing"]
    finally:
        words.write_text(before)


def test_what_no_run_knows(store: Store) -> None:
    with pytest.raises(StoreError, match=r"TIP431.*Did you mean 'pvc://tiphys/models/m'") as error:
        lineage(folded(store), "pvc://tiphys/models/n", known=["pvc://tiphys/models/m"])
    assert error.value.code == "TIP431"


def test_a_circle_and_a_long_chain_end() -> None:
    """Two steps that each use what the other made (a folder that is written again), and 5 000 in a row."""

    def step(number: int, uses: str, makes: str) -> StepRecord:
        return StepRecord(
            str(number),
            f"s{number}",
            "t",
            "Pod",
            "Succeeded",
            uses=(ArtifactRecord(uses),),
            makes=(ArtifactRecord(makes),),
        )

    def run(*steps: StepRecord) -> Folded:
        return Folded([RunRecord("r", "r", "", "", "local", "r", "Succeeded", steps=steps)])

    circle = lineage(run(step(1, "pvc://c/a", "pvc://c/b"), step(2, "pvc://c/b", "pvc://c/a")), "pvc://c/a")
    assert len(circle.things) == 5
    chain = [step(number, f"pvc://c/{number}", f"pvc://c/{number + 1}") for number in range(2000)]
    graph = lineage(run(*chain), "pvc://c/2000")
    assert max(depth for depth, _, _ in tree(graph)) == 4000


def test_names_in_a_drawing_cannot_leave_their_quotes() -> None:
    hostile = 'pvc://c/a"]; click n0 "javascript:alert(1)'
    step = StepRecord("1", "x", "t", "Pod", "Succeeded", makes=(ArtifactRecord(hostile),))
    drawn = mermaid(
        lineage(Folded([RunRecord("r", "r", "", "", "local", "r", "Succeeded", steps=(step,))]), hostile)
    )
    assert all(line.count('"') in (0, 2) for line in drawn.splitlines())


def test_of_what_very_many_used_the_newest_are_told() -> None:
    data = ArtifactRecord("pvc://c/data")
    runs = [
        RunRecord(
            f"r{number}", f"r{number}", "", "", "local", "r", "Succeeded",
            steps=(StepRecord("1", "fit", "t", "Pod", "Succeeded", started=float(number), uses=(data,)),),
        )
        for number in range(20)
    ]  # fmt: skip
    graph = lineage(Folded(runs), data.uri, down=True, limit=5)
    assert lines(graph)[1:] == [f"1 step fit of r{number}" for number in (19, 18, 17, 16, 15)]
    assert graph.more == {graph.root: 15}
