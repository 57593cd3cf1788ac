"""Loops with limits: what runs, what is collected, and that Argo accepts what is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

import tiphys
from tests.dsl.told import check_told
from tests.tools import argo_lint
from tiphys import (
    Cache,
    Fake,
    Pipeline,
    Resources,
    Retry,
    Volume,
    component,
    compose,
    dag,
    for_each,
    http,
    with_fakes,
    workflow_name,
)
from tiphys.engine import RunOptions

Argo = Literal["4.0", "4.1"]


class Trained(NamedTuple):
    accuracy: float
    name: str


@component
def rates(count: int) -> list[float]:
    return [number / 10 for number in range(count)]


@component
def train(rate: float, base: float = 0.0, items: str = "") -> Trained:
    if rate == 0.3:
        raise SystemExit(3)
    return Trained(rate + base, f"{rate}{items}")


@component
def check(rate: float) -> None:
    if rate > 0.25:
        raise SystemExit(1)


@component
def show(accuracies: list[float], items: list[float], failures: int) -> list[str]:
    return [f"{accuracies}", f"{items}", f"{failures}"]


@component
def numbers(values: list[float]) -> str:
    return str(values)


@component
def texts(values: list[str]) -> str:
    return "|".join(values)


@component
def note(text: str = "") -> str:
    return text


@component
def union(n: int) -> int | str:
    return n if n % 2 else str(n)


@component
def perhaps(n: int) -> int | None:
    return n if n % 2 else None


@component
def called(n: int) -> str | None:
    return ["x", None, 'a "b" {{', ""][n % 4]


@component
def names(values: list[str | None]) -> str:
    return repr(values)


@component
def nested(n: int) -> list[int] | int | None:
    return None if n == 0 else [n] if n % 2 else n


@component
def shown(unions: list[int | str], optional: list[int | None], lists: list[list[int] | int | None]) -> str:
    return f"{unions} {optional} {lists}"


class Ran:
    """A run: the nodes by their names after the workflow's."""

    def __init__(self, x: Any, store: Path, argo: Argo = "4.1") -> None:
        result = tiphys.run(x, options=RunOptions(store=store, argo=argo))
        body = result.workflow
        self.phase = body["status"]["phase"]
        self.run = body["metadata"]["name"]
        self.nodes = {node["name"][len(self.run) + 1 :]: node for node in body["status"]["nodes"].values()}
        self.folder = result.folder

    def value(self, node: str, name: str = "result") -> Any:
        found = {each["name"]: each["value"] for each in self.nodes[node]["outputs"]["parameters"]}
        return found[name]

    def pods(self, name: str) -> list[dict[str, Any]]:
        found = [
            each for each in self.nodes.values() if each["type"] == "Pod" and each["templateName"] == name
        ]
        return sorted(found, key=lambda each: str(each["name"]))


def accepted(pipeline: Pipeline, folder: Path) -> None:
    """By this project's rules and, where it is here, by the real program."""
    assert [
        found for found in tiphys.lint(pipeline) if found.code != "L401"
    ] == []  # an output that nobody uses
    folder.mkdir(exist_ok=True)
    assert argo_lint(tiphys.to_yaml(pipeline), folder) == ""


def template(pipeline: Pipeline, name: str) -> Mapping[str, Any]:
    return next(each for each in pipeline.to_dict()["spec"]["templates"] if each["name"] == name)


@pytest.mark.parametrize("argo", ["4.0", "4.1"])
def test_at_most_so_many_items_run_at_a_time(tmp_path: Path, argo: Argo) -> None:
    with Pipeline("p") as pipeline:
        base = note(text="0.5")
        fixed = train(rate=for_each([0.1, 0.2, 0.4, 0.5], parallel=1), items=base.result).named("fixed")
        texts(values=fixed.name).named("of-fixed")
        listed = train(rate=for_each(rates(count=3), parallel=2), base=0.5).named("listed")
        numbers(values=listed.accuracy).named("of-listed")
        none = train(rate=for_each(rates(count=0).named("none"), parallel=2)).named("empty")
        numbers(values=none.accuracy).named("of-empty")
    accepted(pipeline, tmp_path / "lint")
    assert template(pipeline, "main-fixed")["parallelism"] == 1
    ran = Ran(pipeline, tmp_path / "store", argo)
    assert ran.phase == "Succeeded"
    assert ran.value("of-fixed") == "0.10.5|0.20.5|0.40.5|0.50.5"
    assert ran.value("of-listed") == str([train.function(rate, 0.5).accuracy for rate in rates.function(3)])
    assert ran.value("of-empty") == "[]"
    assert len([name for name in ran.nodes if name.startswith("listed[0].train(")]) == 3


def test_no_more_of_them_than_that_are_there_at_once(tmp_path: Path) -> None:
    """Each item writes into one file when it begins and when it ends."""

    @component
    def work(rate: float) -> None:
        import time

        with open("/mnt/data/seen", "a", encoding="utf-8") as file:
            print("+", end="", file=file, flush=True)
            time.sleep(0.3)
            print("-", end="", file=file, flush=True)

    @component
    def seen() -> str:
        with open("/mnt/data/seen", encoding="utf-8") as file:
            return file.read()

    with Pipeline("p", volumes=[Volume("data")]) as pipeline:
        done = work(rate=for_each([0.1, 0.2, 0.3, 0.4, 0.5], parallel=2))
        seen().after(done)
    marks = Ran(pipeline, tmp_path).value("seen")
    assert sorted(marks) == ["+"] * 5 + ["-"] * 5
    assert max(marks[:each].count("+") - marks[:each].count("-") for each in range(11)) == 2


@pytest.mark.parametrize("argo", ["4.0", "4.1"])
def test_some_items_may_fail(tmp_path: Path, argo: Argo) -> None:
    with Pipeline("p") as pipeline:
        some = train(rate=for_each(rates(count=6), parallel=2, tolerate=1), base=0.5).named("some")
        show(accuracies=some.accuracy, items=some.done_items, failures=some.failures).named("of-some")
        every = train(rate=for_each([0.3, 0.3], tolerate=1.0)).named("every")
        show(accuracies=every.accuracy, items=every.done_items, failures=every.failures).named("of-every")
        none = train(rate=for_each(rates(count=0).named("none"), tolerate=0.5)).named("empty")
        show(accuracies=none.accuracy, items=none.done_items, failures=none.failures).named("of-empty")
        silent = check(rate=for_each(rates(count=4).named("four"), tolerate=0.25)).named("silent")
        show(accuracies=[], items=silent.done_items, failures=silent.failures).named("of-silent")
    accepted(pipeline, tmp_path / "lint")
    ran = Ran(pipeline, tmp_path / "store", argo)
    assert ran.phase == "Succeeded"
    good = [rate for rate in rates.function(6) if rate != 0.3]
    assert json.loads(ran.value("of-some")) == [str([rate + 0.5 for rate in good]), str(good), "1"]
    assert json.loads(ran.value("of-every")) == ["[]", "[]", "2"]
    assert json.loads(ran.value("of-empty")) == ["[]", "[]", "0"]
    assert json.loads(ran.value("of-silent")) == ["[]", "[0.0, 0.1, 0.2]", "1"]
    assert ran.pods("tiphys-too-many-failed") == []


@pytest.mark.parametrize(("source", "tolerate"), [([0.3, 0.1, 0.3], 1), (4, 0.24), ([0.3], 0.99)])
def test_more_failures_fail_the_loop(tmp_path: Path, source: Any, tolerate: float) -> None:
    with Pipeline("p") as pipeline:
        items = rates(count=source) if isinstance(source, int) else source
        some = train(rate=for_each(items, tolerate=tolerate)).named("some")
        numbers(values=some.accuracy)
        note(text="then").named("then").after(some, on="failed")
    accepted(pipeline, tmp_path / "lint")
    ran = Ran(pipeline, tmp_path / "store")
    assert ran.nodes["some"]["phase"] == "Failed"
    assert ran.nodes["then"]["phase"] == "Succeeded"
    assert "numbers" not in ran.nodes or ran.nodes["numbers"]["phase"] == "Omitted"
    [judge] = ran.pods("tiphys-too-many-failed")
    assert "TIP732" in (ran.folder / "logs" / f"{judge['id']}.log").read_text()


@pytest.mark.parametrize("argo", ["4.0", "4.1"])
def test_no_further_round_begins_once_a_trial_is_good_enough(tmp_path: Path, argo: Argo) -> None:
    with Pipeline("p") as pipeline:
        bar = pipeline.param("bar", 0.15)
        least = numbers(values=[0.0]).named("least")
        found = train(
            rate=for_each(rates(count=8), parallel=2, tolerate=1, until=lambda trial: trial.accuracy >= bar),
        ).named("found")
        show(accuracies=found.accuracy, items=found.done_items, failures=found.failures).named("of-found")
        single = train(
            rate=for_each([0.1, 0.2, 0.4], until=lambda trial: trial.name == note(text="0.2").result)
        ).named("single")
        texts(values=single.name).named("of-single")
        never = train(
            rate=for_each([0.1, 0.2, 0.4], parallel=2, until=lambda t: t.accuracy > 9), items=least.result
        )
        texts(values=never.named("never").name).named("of-never")
        none = train(rate=for_each(rates(count=0).named("none"), until=lambda t: t.accuracy > 0)).named(
            "empty"
        )
        show(accuracies=none.accuracy, items=none.done_items, failures=none.failures).named("of-empty")
    accepted(pipeline, tmp_path / "lint")
    ran = Ran(pipeline, tmp_path / "store", argo)
    assert ran.phase == "Succeeded"
    assert json.loads(ran.value("of-found")) == ["[0.0, 0.1, 0.2]", "[0.0, 0.1, 0.2]", "1"]
    assert ran.value("of-single") == "0.1|0.2"
    assert ran.value("of-never") == "0.1[0.0]|0.2[0.0]|0.4[0.0]"
    assert json.loads(ran.value("of-empty")) == ["[]", "[]", "0"]


def test_failures_are_counted_over_the_rounds(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        train(rate=for_each([0.3, 0.1, 0.3, 0.2], tolerate=1, until=lambda trial: trial.accuracy > 1)).named(
            "t"
        )
    ran = Ran(pipeline, tmp_path)
    assert ran.nodes["t"]["phase"] == "Failed"
    assert len(ran.pods("train")) == 3  # the fourth is not begun
    assert len(ran.pods("tiphys-too-many-failed")) == 1


def test_many_rounds_stay_below_what_argo_can_nest() -> None:
    with Pipeline("p") as pipeline:
        train(rate=for_each([float(each) for each in range(1000)], until=lambda t: t.accuracy > 1)).named("t")
        train(rate=for_each(rates(count=9), parallel=3, until=lambda t: t.accuracy > 1)).named("u")
    tasks = {each["name"]: each for each in template(pipeline, "main")["dag"]["tasks"]}
    size = {each["name"]: each["value"] for each in tasks["t"]["arguments"]["parameters"]}["size"]
    assert 1000 / int(size) <= 64
    assert template(pipeline, "main-t-round")["parallelism"] == 1
    assert template(pipeline, "main-u-round")["parallelism"] == 3


def test_items_that_argo_would_round_are_refused() -> None:
    def make() -> object:
        with Pipeline("p") as pipeline:
            train(rate=for_each([2**53 + 1], until=lambda trial: trial.accuracy > 1))
        return pipeline.to_dict()

    check_told(make, "TIP109", "2**53", __file__)


def test_it_goes_with_caches_options_conditions_orders_fields_graphs_and_fakes(tmp_path: Path) -> None:
    kept = component(train.function, name="kept", cache=Cache.by_content(), retry=Retry(limit=1))

    @dag
    def one(rate: float) -> Trained:
        done: Any = kept(rate=rate)
        return Trained(done.accuracy, done.name)

    @dag
    def sweep(values: list[float], base: float) -> list[float]:
        found: list[float] = train(rate=for_each(values, parallel=1), base=base).accuracy
        return found

    with Pipeline("p") as pipeline:
        go = pipeline.param("go", True)
        first = note(text="first")
        a = kept(rate=for_each([0.1, 0.2], parallel=1), items=first.result).named("a")
        a.using(resources=Resources(memory="300Mi"), cache=None).when(go).after(note(text="z").named("z"))
        texts(values=a.name).named("of-a")
        numbers(values=one(rate=for_each(rates(count=3), parallel=2)).named("b").accuracy).named("of-b")
        numbers(values=sweep(values=rates(count=2).named("two"), base=0.5)).named("of-sweep")
        each = for_each([{"t": "x", "r": 0.1}, {"t": "y", "r": 0.2}], tolerate=1)
        c = train(
            rate=each["r"], items=compose("-{run}-{t}-{x}", run=workflow_name, t=each["t"], x=first.result)
        )
        texts(values=c.named("c").name).named("of-c")
        word = for_each(["p", "q"], parallel=1)
        note(text=word).when(word != "q").named("d").on_exit(note, text="bye")
        off = train(rate=for_each([0.1], parallel=1)).named("off").when(~go)
        note(text="after").named("after-off").after(off)
        numbers(values=off.accuracy).named("of-off")
    accepted(pipeline, tmp_path / "lint")
    ran = Ran(pipeline, tmp_path / "store")
    assert ran.phase == "Succeeded"
    assert ran.value("of-a") == "0.1first|0.2first"
    assert ran.value("of-b") == "[0.0, 0.1, 0.2]"
    assert ran.value("of-sweep") == "[0.5, 0.6]"
    assert [text.split("-", 1)[0] + text[-8:] for text in ran.value("of-c").split("|")] == [
        "0.1-x-first",
        "0.2-y-first",
    ]
    assert [ran.nodes[f"d[0].note({each})"]["phase"] for each in ("0:p", "1:q")] == ["Succeeded", "Skipped"]
    assert ran.nodes["d.onExit"]["phase"] == "Succeeded"
    assert ran.nodes["off"]["phase"] == "Skipped"
    assert ran.nodes["after-off"]["phase"] == "Succeeded"
    assert ran.nodes["of-off"]["phase"] == "Omitted"

    faked = Ran(
        with_fakes(pipeline, {"train": Fake(accuracy=7.0, name="f"), "texts": Fake(result="")}),
        tmp_path / "f",
    )
    assert faked.phase == "Succeeded"
    assert faked.value("of-sweep") == "[7.0, 7.0]"


def test_what_has_no_pod_counts_too() -> None:
    ask = http("https://example.org/{team}", inputs={"team": str}, name="ask")
    with Pipeline("p") as pipeline:
        ask(team=for_each(["a", "b"], parallel=1))
    assert template(pipeline, "main-ask")["steps"][0][0]["template"] == "main-ask-item"
    assert template(pipeline, "main-ask-item")["dag"]["tasks"][0]["template"] == "ask"


def test_a_graph_in_a_loop_returns_lists_of_an_empty_list_too(tmp_path: Path) -> None:
    @dag
    def plain(values: list[float]) -> list[float]:
        found: list[float] = train(rate=for_each(values)).accuracy
        return found

    with Pipeline("p") as pipeline:
        numbers(values=plain(values=rates(count=0)))
    for argo in ("4.0", "4.1"):
        assert Ran(pipeline, tmp_path / argo, argo).value("numbers") == "[]"


def test_loops_inside_loops_give_lists_of_lists_of_numbers(tmp_path: Path) -> None:
    @dag
    def row(count: int) -> list[float]:
        found: list[float] = train(
            rate=for_each(rates(count=count), parallel=2, until=lambda trial: trial.accuracy > 0.15)
        ).accuracy
        return found

    @component
    def flat(rows: list[list[float]]) -> str:
        return str(rows)

    with Pipeline("p") as pipeline:
        flat(rows=row(count=for_each([0, 1, 4], parallel=1, tolerate=1)).result)
        with pipeline.exit_handler("bye"):
            train(rate=for_each([0.1], parallel=1))
    accepted(pipeline, tmp_path / "lint")
    ran = Ran(pipeline, tmp_path / "store")
    assert ran.phase == "Succeeded"
    assert ran.value("flat") == "[[], [0.0]]"  # of the last, the second round has failed, and one may
    rows = [node["phase"] for name, node in ran.nodes.items() if re.fullmatch(r".*[.]row\(\d:\d\)", name)]
    assert sorted(rows) == ["Failed", "Succeeded", "Succeeded"]


@pytest.mark.parametrize("limits", [{}, {"parallel": 2}, {"until": lambda trial: trial.result.is_in("no")}])
def test_what_a_loop_collects_of_a_union_is_what_was_returned(tmp_path: Path, limits: Any) -> None:
    @component
    def counted(count: int) -> list[int]:
        return list(range(count))

    @dag
    def inside(ns: list[int]) -> list[int | str]:
        found: list[int | str] = union(n=for_each(ns, **limits)).result
        return found

    with Pipeline("p") as pipeline:
        for count in (4, 0):
            ns = counted(count=count).result
            each = for_each(ns, **limits)
            got = (perhaps(n=each).result, nested(n=each).result)
            shown(unions=union(n=each).result, optional=got[0], lists=got[1]).named(f"plain-{count}")
            shown(unions=inside(ns=ns).result, optional=got[0], lists=got[1]).named(f"inside-{count}")
    accepted(pipeline, tmp_path / "lint")
    ran = Ran(pipeline, tmp_path / "store")
    for count in (4, 0):
        of = [[step.function(n) for n in range(count)] for step in (union, perhaps, nested)]
        assert ran.value(f"plain-{count}") == ran.value(f"inside-{count}") == shown.function(*of)


@pytest.mark.parametrize("limits", [{}, {"parallel": 2}, {"until": lambda trial: trial.result.is_in("no")}])
@pytest.mark.parametrize("items", [[0, 1, 2, 3], [1], [1, 1]])
def test_what_a_loop_collects_of_text_may_be_none(tmp_path: Path, limits: Any, items: list[int]) -> None:
    with Pipeline("p") as pipeline:
        names(values=called(n=for_each(items, **limits)).result)
    accepted(pipeline, tmp_path / "lint")
    ran = Ran(pipeline, tmp_path / "store")
    said = ran.value("names").replace("\u2060", "")
    assert said == names.function([called.function(n) for n in items])


def _conditional() -> object:
    with Pipeline("p") as pipeline:
        rate = for_each([0.1, 0.2], tolerate=1)
        train(rate=rate).when(rate > 0.1)
    return pipeline.to_dict()


def _two_loops() -> object:
    with Pipeline("p") as pipeline:
        train(rate=for_each([0.1], parallel=1), base=for_each([0.2]))
    return pipeline.to_dict()


def _any_succeeded() -> object:
    with Pipeline("p") as pipeline:
        note().after(train(rate=for_each([0.1], parallel=1)), on="any_succeeded")
    return pipeline.to_dict()


def _in_hera() -> object:
    from hera.workflows import DAG, Workflow

    with Workflow(generate_name="p-", entrypoint="main"), DAG(name="main"):
        return train(rate=for_each([0.1]))


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (_in_hera, "TIP118", "with_items="),
        (_conditional, "TIP118", "leave the items out"),
        (_two_loops, "TIP118", "two loops"),
        (_any_succeeded, "TIP118", "tolerate="),
    ],
)
def test_what_cannot_be_is_told(make: Callable[[], object], code: str, words: str) -> None:
    check_told(make, code, words, __file__)


@component
def total(numbers: list[int]) -> list[int]:
    return numbers


@component
def rows(count: int) -> Path:
    Path("rows.txt").write_text("row\n" * count)
    return Path("rows.txt")


@component
def count_rows(data: Path, extra: Path | None, times: int) -> int:
    return len(data.read_text().splitlines()) * times + (len(extra.read_text()) if extra else 0)


@pytest.mark.parametrize(
    ("limits", "counted"),
    [({"parallel": 2}, [5, 9, 13]), ({"tolerate": 1}, [5, 9, 13]), ({"until": 9}, [5, 9])],
)
def test_files_go_into_loops_with_limits(limits: dict[str, Any], counted: list[int], tmp_path: Path) -> None:
    if "until" in limits:
        limits = {"until": lambda trial: trial.result >= 9}
    with Pipeline("files") as pipeline:
        made = rows(count=4)
        times = for_each([1, 2, 3], **limits)
        counts = count_rows(data=made, extra=tiphys.Text(compose("{n}", n=times)), times=times)
        total(numbers=counts.result)
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    result = tiphys.run(pipeline, options=RunOptions(store=tmp_path / "store"))
    assert result.succeeded, result.message
    assert json.loads(result.outputs_of("total")["result"]) == counted
