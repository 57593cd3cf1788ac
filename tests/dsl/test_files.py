"""Files between steps: what is compiled is what the real ``argo`` takes, and what arrives is what was written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import tiphys
from tests.tools import argo_lint
from tiphys import Cache, DefinitionError, Pipeline, Text, component, compose, container, dag, for_each, run
from tiphys.engine import RunOptions


class Made(NamedTuple):
    data: Path
    rows: int


@component
def fetch(rows: int) -> Made:
    import tempfile

    folder = Path(tempfile.mkdtemp())
    file = folder / "rows.csv"
    file.write_bytes(b"".join(b"%d\r\n" % number for number in range(rows)) + b"\xff\x00")
    return Made(file, rows)


@component
def tree(rows: int) -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp()) / "made"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "n.txt").write_text("n" * rows)
    (folder / "top.bin").write_bytes(bytes(range(256)))
    return folder


@component
def listed(folder: Path) -> dict[str, int]:
    return {
        each.relative_to(folder).as_posix(): each.stat().st_size
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


@component
def digest(data: Path) -> str:
    import hashlib

    return hashlib.sha256(data.read_bytes()).hexdigest()


def start(tmp_path: Path, workflow: Any, **given: str) -> Any:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    return run(workflow, options=options, **given)


def test_a_file_and_a_folder_arrive_as_they_are(tmp_path: Path) -> None:
    with Pipeline("files") as pipeline:
        made = fetch(rows=1000)
        digest(data=made.data)
        listed(folder=tree(rows=7))
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    result = start(tmp_path, pipeline)
    assert result.succeeded, result.workflow["status"]["nodes"]
    import hashlib

    content = b"".join(b"%d\r\n" % number for number in range(1000)) + b"\xff\x00"
    assert result.outputs_of("digest")["result"] == hashlib.sha256(content).hexdigest()
    assert json.loads(result.outputs_of("listed")["result"]) == {"deep/er/n.txt": 7, "top.bin": 256}


count = container(
    "alpine:3.20",
    ["sh", "-c", 'wc -c <"$data" | tr -d " " >/tmp/n; tr a-z A-Z <"$data" >/tmp/loud'],
    inputs={"data": Path},
    outputs={"n": (int, "/tmp/n"), "loud": (Path, "/tmp/loud")},
    name="count",
)


@component
def read(data: Path) -> str:
    return data.read_text()


@component
def written(text: str) -> Path:
    file = Path("made.txt").resolve() if Path("made.txt").exists() else Path("/tmp/made.txt")
    file.write_text(text)
    return file


@dag
def through(data: Path) -> Made:
    made = fetch(rows=3)
    count(data=data)
    return Made(made.data, made.rows)


@dag
def loud(data: Path) -> Path:
    return count(data=data).loud


@component
def either(data: Path | None = None) -> str:
    return "nothing" if data is None else data.read_text()


@component
def perhaps(there: bool) -> Path | None:
    if not there:
        return None
    Path("/tmp/there").write_text("there")
    return Path("/tmp/there")


def test_graphs_containers_and_text_hand_files_on(tmp_path: Path) -> None:
    with Pipeline("handed") as pipeline:
        word = pipeline.param("word", "hello")
        made = through(data=written(text="abc"))
        digest(data=made.data)
        read(data=loud(data=Text(word))).named("loud")
        read(data=Text("a {plain} $text")).named("plain")
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    result = start(tmp_path, pipeline, word="argo")
    assert result.succeeded
    import hashlib

    assert result.outputs_of("digest")["result"] == hashlib.sha256(b"0\r\n1\r\n2\r\n\xff\x00").hexdigest()
    assert result.outputs_of("loud")["result"] == "ARGO"
    assert result.outputs_of("plain")["result"] == "a {plain} $text"
    assert result.outputs_of("through.count")["n"] == "3"


@dag
def handed(data: Path | None) -> Path | None:
    either(data=data)
    return perhaps(there=False).result


@dag
def within(there: bool) -> str:
    return either(data=handed(data=perhaps(there=there))).result


def test_a_file_may_be_left_out(tmp_path: Path) -> None:
    with Pipeline("optional") as pipeline:
        within(there=False).named("within")
        go = pipeline.param("go", False)
        either().named("left-out")
        either(data=written(text="x").when(go).result.optional()).named("skipped")
        either(data=perhaps(there=False)).named("absent")
        either(data=perhaps(there=True)).named("present")
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    result = start(tmp_path, pipeline)
    assert result.succeeded, [
        (n["displayName"], n.get("message")) for n in result.workflow["status"]["nodes"].values()
    ]
    found = {name: result.outputs_of(name)["result"] for name in ("left-out", "skipped", "absent", "present")}
    assert found == {"left-out": "nothing", "skipped": "nothing", "absent": "nothing", "present": "there"}


def test_a_plain_call_takes_real_paths(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    assert read(data=tmp_path / "x") == "text"
    assert listed(tree(rows=2)) == {"deep/er/n.txt": 2, "top.bin": 256}


@component
def texts(items: list[str]) -> list[str]:
    return items


def _misfits() -> Any:
    """What is refused, by its code and a word of the message."""

    def to_text() -> object:
        return texts(items=["a"]) and http_like(text=written(text="a"))

    def text_to_file() -> object:
        return read(data=read(data=Text("a")))

    def constant() -> object:
        return read(data="/data/rows.csv")

    def local_path() -> object:
        return read(data=Path("/data/rows.csv"))

    def condition() -> object:
        return read(data=Text("a")).when(written(text="a").result == "x")

    def chosen() -> object:
        return written(text="a").result.is_in("x")

    def composed() -> object:
        return compose("{x}", x=written(text="a").result)

    def fstring() -> object:
        return http_like(text=f"see {written(text='a').result}")

    def loop() -> object:
        return for_each(written(text="a").result)

    def collected() -> object:
        return written(text=for_each(["a", "b"])).result

    def maybe() -> object:
        return read(data=perhaps(there=True))

    return {
        to_text: ("TIP105", "Path"),
        text_to_file: ("TIP105", "Path"),
        constant: ("TIP105", "Text("),
        local_path: ("TIP105", "S3("),
        condition: ("TIP105", "is a file"),
        chosen: ("TIP105", "is a file"),
        composed: ("TIP105", "is a file"),
        fstring: ("TIP119", "{{"),
        loop: ("TIP118", "not a list"),
        collected: ("TIP118", "Reference"),
        maybe: ("TIP105", "| None"),
    }


@component
def http_like(text: str) -> None:
    assert text


MISFITS = _misfits()


@pytest.mark.parametrize("wrong", MISFITS, ids=lambda each: each.__name__)
def test_what_is_no_file_is_refused_where_one_is_taken_and_the_other_way_round(wrong: Any) -> None:
    code, word = MISFITS[wrong]
    with Pipeline("wrong"), pytest.raises(DefinitionError) as caught:
        wrong()
    assert caught.value.code == code and word in str(caught.value)
    assert "test_files.py" in caught.value.where


@dataclass
class Nested:
    file: Path


def test_files_stand_in_no_list_object_or_union() -> None:
    def items(files: list[Path]) -> None: ...
    def record(nested: Nested) -> None: ...
    def union(either: Path | str) -> None: ...
    def default(data: Path = Path("x")) -> None: ...
    def returned() -> list[Path]: ...

    for function in (items, record, union, default, returned):
        with pytest.raises(DefinitionError) as caught:
            component(function)
        assert caught.value.code == "TIP110"


@component(cache=Cache.by_content())
def counted(data: Path, note: str = "") -> Made:
    import time

    file = Path("/tmp/copy")
    file.write_bytes(data.read_bytes() * 2)
    return Made(file, time.time_ns())


def cached(text: str) -> Pipeline:
    with Pipeline("cached") as pipeline:
        made = counted(data=written(text=text))
        read(data=made.data)
    return pipeline


def test_a_file_counts_by_its_content_and_a_hit_gives_the_file_again(tmp_path: Path) -> None:
    assert argo_lint(tiphys.to_yaml(cached("abc")), tmp_path) == ""
    first, again, other = (start(tmp_path, cached(text)) for text in ("abc", "abc", "abd"))
    rows = [each.outputs_of("counted")["rows"] for each in (first, again, other)]
    assert rows[0] == rows[1] != rows[2]
    assert [each.outputs_of("read")["result"] for each in (first, again, other)] == [
        "abcabc",
        "abcabc",
        "abdabd",
    ]
    hits = [
        node["memoizationStatus"]["hit"]
        for node in again.workflow["status"]["nodes"].values()
        if "memoizationStatus" in node
    ]
    assert hits == [True]


def test_a_source_under_a_cache_says_which_content_it_means(tmp_path: Path) -> None:
    with Pipeline("unknown") as pipeline:
        counted(data=tiphys.S3(key="data/rows"))
    with pytest.raises(DefinitionError) as caught:
        tiphys.to_yaml(pipeline)
    assert caught.value.code == "TIP128" and "version=" in str(caught.value)
    with Pipeline("known") as pipeline:
        counted(data=tiphys.S3(key="data/rows", version="2026-11-29"))
        counted(data=Text("a"))
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""


@component(cache=Cache.by_content() & tiphys.while_intact(), retry=tiphys.Retry(2))
def guarded(data: Path, extra: Path | None = None) -> Path:
    Path("/tmp/guarded").write_text(data.read_text() + ("" if extra is None else extra.read_text()))
    return Path("/tmp/guarded")


@component(cache=Cache.by_content("1h"), retry=tiphys.Retry(2))
def retried(data: Path, extra: Path | None = None) -> Path | None:
    if extra is None:
        return None
    Path("/tmp/guarded").write_text(data.read_text() + extra.read_text())
    return Path("/tmp/guarded")


@pytest.mark.parametrize("step", [guarded, retried], ids=lambda each: each.name)
def test_a_step_of_several_templates_hands_files_through(tmp_path: Path, step: Any) -> None:
    def build() -> Pipeline:
        with Pipeline("several") as pipeline:
            first = step(data=Text("a")).named("first")
            either(data=first).named("one")
            either(data=step(data=Text("a"), extra=Text("b")).named("second")).named("two")
        return pipeline

    assert argo_lint(tiphys.to_yaml(build()), tmp_path) == ""
    for _ in range(2):
        result = start(tmp_path, build())
        assert result.succeeded
        assert result.outputs_of("one")["result"] == ("a" if step is guarded else "nothing")
        assert result.outputs_of("two")["result"] == "ab"


def test_what_is_gone_from_the_store_is_made_again(tmp_path: Path) -> None:
    import shutil

    first = start(tmp_path, cached("abc"))
    shutil.rmtree(tmp_path / "store" / "artifacts" / "sha256")
    again = start(tmp_path, cached("abc"))
    assert again.succeeded and again.outputs_of("read")["result"] == "abcabc"
    assert again.outputs_of("counted")["rows"] != first.outputs_of("counted")["rows"]


def test_files_go_through_a_dag_of_hera(tmp_path: Path) -> None:
    from hera.workflows import DAG, Artifact, NoneArchiveStrategy, Script, Workflow

    with Workflow(generate_name="hera-", entrypoint="main") as workflow:
        maker = Script(
            name="maker",
            image="python:3.11",
            command=["python"],
            source="open('/tmp/made', 'w').write('of hera')",
            outputs=Artifact(name="made", path="/tmp/made", archive=NoneArchiveStrategy()),
        )
        with DAG(name="main"):
            made = maker(name="made")
            taken = read(data=made.get_artifact("made"))
            made >> taken
            read(name="text", data=written(text="of tiphys").outputs.result)
            counted(data=Text("a"))
    assert argo_lint(tiphys.to_yaml(workflow), tmp_path) == ""
    templates = {each["name"]: each for each in yaml.safe_load(tiphys.to_yaml(workflow))["spec"]["templates"]}
    # Argo's executor makes the folder of a file with mode 0700, as the user of its container
    init = json.loads(templates["read"]["podSpecPatch"])["initContainers"][0]["securityContext"]["runAsUser"]
    assert templates["read"]["securityContext"]["runAsUser"] == init
    result = start(tmp_path, workflow)
    assert result.succeeded
    assert result.outputs_of("read")["result"] == "of hera"
    assert result.outputs_of("text")["result"] == "of tiphys"


def test_templates_of_hera_give_and_take_files_in_a_pipeline(tmp_path: Path) -> None:
    from hera.workflows import Artifact, Container, S3Artifact, Script

    maker = Script(
        name="maker",
        image="python:3.11",
        command=["python"],
        source="open('/tmp/made', 'w').write('of hera')",
        outputs=[Artifact(name="made", path="/tmp/made")],
    )
    taker = Container(
        name="taker",
        image="alpine:3.20",
        command=["cat", "/tmp/in"],
        inputs=[Artifact(name="in-file", path="/tmp/in")],
    )
    placed = Container(
        name="placed",
        image="alpine:3.20",
        command=["true"],
        inputs=[S3Artifact(name="rows", path="/tmp/in", key="rows.csv")],
    )
    with Pipeline("both") as pipeline:
        go = pipeline.param("go", False)
        read(data=maker().made)
        taker(in_file=written(text="of tiphys"))
        placed().when(go)
        with pytest.raises(DefinitionError, match="TIP104"):
            taker()
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    result = start(tmp_path, pipeline)
    assert result.succeeded
    assert result.outputs_of("read")["result"] == "of hera"
