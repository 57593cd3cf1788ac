"""Places of files: what the real ``argo`` takes of them, and what is refused before."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.tools import argo_lint
from tiphys import (
    GCS,
    HTTP,
    S3,
    Cache,
    DefinitionError,
    Git,
    Pipeline,
    Text,
    component,
    compose,
    for_each,
    run,
)
from tiphys.compiler.line import Site
from tiphys.engine import RunOptions


@component
def read(data: Path) -> str:
    return data.read_text()


@component
def listed(data: Path) -> list[str]:
    return sorted(each.name for each in data.iterdir() if each.name != ".git")


@component(stores={"result": S3("models", "out/{workflow}/{part}.txt", endpoint="minio:9000", insecure=True)})
def kept(text: str, part: str) -> Path:
    Path("/tmp/kept").write_text(text)
    return Path("/tmp/kept")


@component(stores={"result": S3(key="shared/{part}")})
def shared(part: str) -> Path:
    folder = Path("/tmp/shared")
    folder.mkdir()
    (folder / "one").write_text(part)
    (folder / "two").write_text(part)
    return folder


def start(tmp_path: Path, workflow: Any, **given: str) -> Any:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    return run(workflow, options=options, **given)


def everywhere() -> Pipeline:
    keys = {"access": ("s3", "access-key"), "secret": ("s3", "secret-key")}
    with Pipeline("places") as pipeline:
        day = pipeline.param("day", "2026-11-29")
        read(
            data=S3(
                "data",
                compose("in/{d}.csv", d=day),
                endpoint="minio:9000",
                region="eu",
                insecure=True,
                **keys,
            )
        )
        read(data=S3("data", "rows.csv"))
        read(data=S3(key="rows.csv"))
        read(data=GCS("data", "rows.tgz", account=("gcs", "account.json"), unpack=True))
        read(data=HTTP("https://example.org/rows", user=("web", "user"), password=("web", "password")))
        listed(data=Git("https://example.org/a.git", "main", ssh_key=("git", "key")))
        read(data=Text("a"))
        kept(text="a", part="b")
    return pipeline


def test_the_real_argo_takes_every_place(tmp_path: Path) -> None:
    text = tiphys.to_yaml(everywhere())
    assert argo_lint(text, tmp_path) == ""
    templates = {each["name"]: each for each in yaml.safe_load(text)["spec"]["templates"]}
    tasks = {
        each["name"]: each["arguments"]["artifacts"][0] for each in templates["main"]["dag"]["tasks"][:7]
    }
    assert tasks["read"]["s3"]["key"] == "{{='in/' + workflow.parameters.day + '.csv'}}"
    # a bucket without an endpoint would be that of the cluster's own repository
    assert tasks["read-2"]["s3"]["endpoint"] == "s3.amazonaws.com"
    assert tasks["read-3"]["s3"] == {"key": "rows.csv"}
    assert "archive" not in tasks["read-4"]
    [stored] = templates["kept"]["outputs"]["artifacts"]
    assert stored["s3"]["key"] == "out/{{workflow.name}}/{{inputs.parameters.part}}.txt"
    assert stored["archive"] == {"none": {}}


def test_what_one_run_has_stored_another_reads_by_its_key(tmp_path: Path) -> None:
    with Pipeline("first") as first:
        read(data=kept(text="stored", part="b"))
        shared(part="x")
    made = start(tmp_path, first)
    assert made.succeeded and made.outputs_of("read")["result"] == "stored"
    with Pipeline("second") as second:
        read(data=S3("models", f"out/{made.name}/b.txt", endpoint="minio:9000"))
        listed(data=S3(key="shared/x"))
    again = start(tmp_path, second)
    assert again.outputs_of("read")["result"] == "stored"
    assert json.loads(again.outputs_of("listed")["result"]) == ["one", "two"]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "rows.txt").write_text("of the web")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/rows.txt"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_web_and_a_repository(tmp_path: Path, web: str) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "file").write_text("x")
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    with Pipeline("outside") as pipeline:
        read(data=HTTP(web))
        listed(data=Git(str(repository)))
    result = start(tmp_path, pipeline)
    assert result.outputs_of("read")["result"] == "of the web"
    assert result.outputs_of("listed")["result"] == '["file"]'


def made_wrong() -> dict[Callable[[], object], str]:
    def value() -> object:
        return S3("data", "x", access="AKIA")  # type: ignore[arg-type]

    def no_key() -> object:
        return read(data=S3("data"))

    def endpoint_alone() -> object:
        return read(data=S3(key="x", endpoint="minio:9000"))

    def half() -> object:
        return read(data=S3("data", "x", access=("s3", "access-key")))

    def outside() -> object:
        return read.outside((S3("data", "x"),), {}, Site("test_sources.py", 1))

    def made_by_another() -> object:
        place = S3("data", compose("{x}", x=read(data=Text("a")).result))
        return component(stores={"result": place})(kept.function)

    def tag() -> object:
        return S3("data", "{{workflow.name}}")

    def number() -> object:
        return S3("data", 7)  # type: ignore[arg-type]

    def address() -> object:
        return HTTP("ftp://example.org")

    def text_input() -> object:
        return kept(text=Text("a"), part="b")

    def no_such_output() -> object:
        return component(stores={"results": S3(key="x")})(read.function)

    def no_place() -> object:
        return component(stores={"result": "s3://x"})(kept.function)  # type: ignore[dict-item]

    def not_storable() -> object:
        return component(stores={"result": HTTP("https://x.org")})(kept.function)

    def unknown_name() -> object:
        return component(stores={"result": S3(key="{parts}/x")})(kept.function)

    return {
        value: "TIP105",
        no_key: "TIP104",
        endpoint_alone: "TIP104",
        half: "TIP104",
        outside: "TIP113",
        made_by_another: "TIP108",
        tag: "TIP119",
        number: "TIP105",
        address: "TIP105",
        text_input: "TIP105",
        no_such_output: "TIP106",
        no_place: "TIP105",
        not_storable: "TIP105",
        unknown_name: "TIP103",
    }


WRONG = made_wrong()


@pytest.mark.parametrize("make", WRONG, ids=lambda each: each.__name__)
def test_a_place_that_is_none_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(DefinitionError) as caught, Pipeline("wrong") as pipeline:
        make()
        tiphys.to_yaml(pipeline)
    assert caught.value.code == WRONG[make]
    assert "test_sources.py" in caught.value.where


@component(cache=Cache.by_content(), depends_on=["text:rows.csv of November"])
def named(data: Path) -> str:
    return data.read_text()


@component(cache=Cache.by_age("1h"))
def young(data: Path) -> str:
    return data.read_text()


def test_a_place_counts_where_its_author_says_so(tmp_path: Path) -> None:
    def compiled(key: str) -> str:
        with Pipeline("named") as pipeline:
            named(data=S3(key=key))
            young(data=S3(key=key))
        return tiphys.to_yaml(pipeline)

    assert argo_lint(compiled("rows.csv"), tmp_path) == ""
    assert "'rows.csv'" in compiled("rows.csv")
    with pytest.raises(DefinitionError, match="TIP128"):
        compiled("other.csv")


@component(stores={"result": S3(key="out/{part}.txt")})
def upper(data: Path, table: Path, part: str) -> Path:
    Path("/tmp/upper").write_text(data.read_text().upper() + table.read_text())
    return Path("/tmp/upper")


@component
def part_names() -> list[str]:
    return ["a", "b"]


def test_a_loop_reads_and_writes_a_key_for_each_item(tmp_path: Path) -> None:
    with Pipeline("seed") as seed:
        for name in ("a", "b"):
            shared(part=name).named(f"seed-{name}")
    assert start(tmp_path, seed).succeeded

    with Pipeline("batch") as pipeline:
        table = kept(text="!", part="t")
        given = upper(
            data=S3(key=compose("shared/{p}/one", p=(item := for_each(["a", "b"])))), table=table, part=item
        )
        made = for_each(part_names())
        again = (
            upper(data=S3(key=compose("shared/{p}/one", p=made)), table=table, part=made)
            .after(given)
            .named("again")
        )
        read(data=S3(key="out/b.txt")).after(again)
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    result = start(tmp_path, pipeline)
    assert result.succeeded, [n.get("message") for n in result.workflow["status"]["nodes"].values()]
    assert result.outputs_of("read")["result"] == "B!"
