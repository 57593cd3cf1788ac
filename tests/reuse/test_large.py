"""A long output of a cached step is a file in the volume; what a cache keeps and other steps are told is small."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tiphys.engine import RunOptions, RunResult
from tiphys.reuse.gc import collect
from tiphys.reuse.limits import CacheLimits
from tiphys.store import Store

pytestmark = pytest.mark.long

FILE = """
from tiphys import Cache, Pipeline, Volume, component, while_intact

@component(cache=Cache.by_content()CONDITION)
def make(letter: str) -> str:
    return "".join(f"{number:06d}{letter}" for number in range(57143))

@component
def read(text: str) -> list[int]:
    import hashlib
    return [len(text), int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)]

with Pipeline("large", volumes=[Volume("tiphys")]) as pipeline:
    read(text=make(letter=pipeline.param("letter", "a")))
"""


def expected(letter: str) -> list[int]:
    text = "".join(f"{number:06d}{letter}" for number in range(57143))
    assert len(text) == 400_001
    return [len(text), int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)]


class Runs:
    """A pipeline file and its store."""

    def __init__(self, folder: Path, text: str) -> None:
        self.file, self.store = folder / "large.py", Store(folder / "store")
        self.file.write_text(text)

    def run(self, **given: Any) -> RunResult:
        options = RunOptions(store=self.store.root, handle_signals=False)
        return tiphys.run(str(self.file), options=options, **given)

    def values(self) -> list[Path]:
        return sorted(self.store.volume("tiphys").glob(".tiphys/values/*"))


def node(result: RunResult, name: str) -> Any:
    nodes = result.workflow["status"]["nodes"].values()
    return next(each for each in nodes if each["displayName"] == name)


def answer(result: RunResult) -> list[int]:
    assert result.phase == "Succeeded", result.message
    found: list[int] = json.loads(node(result, "read")["outputs"]["parameters"][0]["value"])
    return found


def hit(result: RunResult) -> bool:
    nodes = result.workflow["status"]["nodes"].values()
    (status,) = [each["memoizationStatus"] for each in nodes if "memoizationStatus" in each]
    return bool(status["hit"])


@pytest.fixture(params=["embedded", "of a module"])
def runs(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Runs:
    text = FILE.replace("CONDITION", "")
    if request.param == "of a module":  # python -m tiphys.step
        head, tail = text.split("with Pipeline", 1)
        (tmp_path / "large_steps.py").write_text(
            head.replace("@component(cache=Cache.by_content())\n", "").replace("@component\n", "")
        )
        text = (
            "from tiphys import Cache, Pipeline, Volume, component\n"
            'make = component("large_steps:make", cache=Cache.by_content())\n'
            'read = component("large_steps:read")\n\nwith Pipeline' + tail
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Runs(tmp_path, text)


def test_the_reader_gets_the_text_and_the_entry_is_small(runs: Runs) -> None:
    for letter in "abc":
        first = runs.run(letter=letter)
        assert answer(first) == expected(letter) and not hit(first)
    entries = [each for each in collect_entries(runs.store)]
    assert len(entries) == 3 and all(len(json.dumps(each)) < 1000 for each in entries)
    assert [path.stat().st_size for path in runs.values()] == [400_001] * 3
    again = runs.run(letter="b")
    assert hit(again) and answer(again) == expected("b")


def collect_entries(store: Store) -> list[Any]:
    from tiphys.reuse.entries import Entries

    with Entries(store) as known:
        return [entry.outputs for entry in known.all()]


def test_a_value_that_is_gone_is_a_miss_here(runs: Runs) -> None:
    runs.run(letter="a")
    (value,) = runs.values()
    value.unlink()
    again = runs.run(letter="a")
    assert not hit(again) and answer(again) == expected("a") and runs.values() == [value]
    value.write_bytes(b"x" * 400_001)
    again = runs.run(letter="a")
    assert not hit(again) and answer(again) == expected("a")


SPOILED = """    made = make(letter="a")
    read(text=made.result).after(spoil().after(made))

"""


def test_the_reader_says_with_a_code_that_a_value_is_gone(runs: Runs) -> None:
    spoil = (
        "@component\ndef spoil() -> None:\n    import json, os, shutil\n"
        "    shutil.rmtree(json.loads(os.environ['TIPHYS_VOLUMES'])['tiphys'] + '/.tiphys/values')\n\n"
    )
    head, tail = runs.file.read_text().split("with Pipeline")
    runs.file.write_text(f"{head}{spoil}with Pipeline{tail.splitlines()[0]}\n{SPOILED}")
    lost = runs.run()
    assert lost.phase == "Failed" and node(lost, "read")["phase"] == "Failed"
    files = [path for path in runs.store.run(lost.name).rglob("*") if path.is_file()]
    assert any(b"TIP406: " in path.read_bytes() for path in files), "no log has the code"


def test_gone_is_a_miss_under_while_intact(tmp_path: Path) -> None:
    runs = Runs(tmp_path, FILE.replace("CONDITION", " & while_intact()"))
    assert answer(runs.run()) == expected("a")
    again = runs.run()
    assert hit(again) and node(again, "guard")["outputs"]["parameters"][1]["value"] == ""
    (value,) = runs.values()
    value.unlink()
    again = runs.run()
    reason = node(again, "guard")["outputs"]["parameters"][1]["value"]
    assert not hit(again) and answer(again) == expected("a")
    assert "missing" in reason and value.name in reason


def test_what_it_points_to_is_looked_at_too(tmp_path: Path) -> None:
    """Beyond 16 KiB the recorder could not be told of them, and the result was never taken."""
    text = (
        FILE.replace("CONDITION", " & while_intact()")
        .replace(
            'return "".join(f"{number:06d}{letter}" for number in range(57143))',
            "from pathlib import Path\n    from tiphys.reference import Reference, resolve, seal\n    made = []\n"
            "    for number in range(200):\n        uri = f'pvc://tiphys/parts/{number}'\n"
            "        resolve(uri).mkdir(parents=True, exist_ok=True)\n"
            "        (resolve(uri) / 'file').write_text(str(number))\n"
            "        made.append(Reference(uri, seal(resolve(uri))))\n"
            "    return [{'digest': r.digest, 'uri': r.uri} for r in made]",
        )
        .replace("-> str:", "-> list[dict[str, str]]:")
        .replace("text: str) ->", "text: list[dict[str, str]]) ->")
        .replace(
            "return [len(text), int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)]",
            "return [len(text)]",
        )
    )
    runs = Runs(tmp_path, text)
    assert answer(runs.run()) == [200]
    assert hit(runs.run())
    (runs.store.volume("tiphys") / "parts" / "77" / "file").write_text("other")
    again = runs.run()
    assert not hit(again) and "parts/77" in node(again, "guard")["outputs"]["parameters"][1]["value"]
    assert answer(again) == [200]


USED = {
    "a condition": 'made = make(letter="a"); read(text="x").when(made.outputs["result"] == "x")',
    "a loop": "read(text=for_each(listed(letter='a')))",
    "an expression": 'made = make(letter="a"); read(text=compose("{x}!", x=made.result))',
    "a list of several": "made = make(letter='a'); several(texts=[made.result, 'x'])",
    "its own text": "made = make(letter='a'); read(text=raw('{{tasks.make.outputs.parameters.result}}')).after(made)",
    "an output of the workflow": "read(text=exported(letter='a'))",
    "a graph that looks at it": "made = make(letter='a'); inside(text=made.result)",
}
MORE = """
@component(cache=Cache.by_content())
def listed(letter: str) -> list[str]:
    return [letter * 20000]

@component
def several(texts: list[str]) -> int:
    return len(texts[0])

@component(cache=Cache.by_content(), exports={"result": "all"})
def exported(letter: str) -> str:
    return letter * 20000

@dag
def inside(text: str) -> None:
    read(text="x").when(text == "x")

"""


@pytest.mark.parametrize("use", USED)
def test_what_must_be_there_as_text_is(tmp_path: Path, use: str) -> None:
    head, tail = FILE.replace("CONDITION", "").split("with Pipeline", 1)
    head = head.replace("import Cache", "import compose, dag, for_each, raw, Cache")
    first = tail.split("\n")[0]
    runs = Runs(
        tmp_path,
        f"{head.replace('57143', '10000')}{MORE}with Pipeline{first}\n    {USED[use]}\n",
    )
    result = runs.run()
    assert result.phase == "Succeeded", result.message
    assert runs.values() == []


def test_through_a_graph_it_stays_a_reference(tmp_path: Path) -> None:
    text = (
        FILE.replace("CONDITION", "")
        .replace("component,", "component, dag,")
        .replace(
            "with Pipeline",
            "@dag\ndef around(text: str) -> str:\n    read(text=text)\n"
            "    return make(letter='b').result\n\nwith Pipeline",
        )
    )
    runs = Runs(
        tmp_path, text.replace("read(text=make(", "read(text=around(text=make(").replace('"a")))', '"a"))))')
    )
    result = runs.run()
    assert result.phase == "Succeeded", result.message
    found = [
        json.loads(each["outputs"]["parameters"][0]["value"])
        for each in result.workflow["status"]["nodes"].values()
        if each["displayName"] == "read"
    ]
    assert sorted(found) == sorted([expected("a"), expected("b")])
    assert len(runs.values()) == 2


def test_the_form_is_in_the_key(tmp_path: Path) -> None:
    """Else a pipeline that needs the text would be given the reference that another one may take."""
    runs = Runs(tmp_path, FILE.replace("CONDITION", "").replace("57143", "10000"))
    assert not hit(runs.run()) and len(runs.values()) == 1
    head, tail = runs.file.read_text().split("with Pipeline")
    first = tail.splitlines()[0]
    runs.file.write_text(
        f"{head}with Pipeline{first}\n    made = make(letter='a')\n"
        "    read(text=made.result).when(made.result != '')\n"
    )
    second = runs.run()
    assert answer(second)[0] == 70_000 and not hit(second)


def test_without_a_volume_it_is_handed_on_as_it_is(tmp_path: Path) -> None:
    text = FILE.replace("CONDITION", "").replace(', volumes=[Volume("tiphys")]', "").replace("57143", "10000")
    runs = Runs(tmp_path, text)
    assert answer(runs.run())[0] == 70_000
    assert hit(runs.run()) and runs.values() == []


def test_what_nothing_names_is_collected(tmp_path: Path) -> None:
    runs = Runs(tmp_path, FILE.replace("CONDITION", ""))
    runs.run()
    (value,) = runs.values()
    old = time.time() - 90000
    os.utime(value, (old, old))
    assert collect(runs.store, CacheLimits()).volumes == ()
    other = value.with_name("0" * 64)
    other.write_bytes(b"x" * 20000)
    os.utime(other, (old, old))
    assert collect(runs.store, CacheLimits()).volumes == (
        (f"pvc://tiphys/.tiphys/values/{other.name}", 20000),
    )
    assert runs.values() == [value]


def test_a_fake_that_reads_gets_the_text(tmp_path: Path) -> None:
    runs = Runs(tmp_path, FILE.replace("CONDITION", ""))

    def read(text: str) -> list[int]:
        return [len(text) + 1]

    faked = tiphys.with_fakes(str(runs.file), {"read": read})
    result = tiphys.run(faked, options=RunOptions(store=runs.store.root, handle_signals=False))
    assert answer(result) == [400_002] and len(runs.values()) == 1
