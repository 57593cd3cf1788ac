"""Values of every type through a step, embedded and of a module: plain Python beside it says what comes out."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, TypedDict
from unittest import mock

import pytest

import tiphys
from tiphys import DefinitionError, Pipeline, component, for_each
from tiphys.compiler.line import Site
from tiphys.dsl.source.embed import script_source
from tiphys.dsl.types import signature_of
from tiphys.engine import RunOptions
from tiphys.step.codec import decode, outputs_of
from tiphys.verbatim import rejoined

HEAD = """\
from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, Union

from pydantic import BaseModel

from tiphys import Pipeline, component

given: list[Any] = []


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


User = NewType("User", int)


class Named(str, enum.Enum):
    FIRST = "the first"


@dataclass(frozen=True, order=True)
class Ranked:
    rank: int


class Inner(BaseModel):
    rate: float
    day: date


class Model(BaseModel):
    name: str = "m"
    inner: Inner
    more: list[Inner] = []
    when: Optional[datetime] = None


class Point(NamedTuple):
    x: int
    colour: Colour


@dataclass
class Record:
    point: Point
    wait: timedelta
    seen: dict[str, datetime]
    levels: list[Level] = field(default_factory=list)
    maybe: Optional[Point] = None


@dataclass(slots=True)
class Slotted:
    x: int
    y: float = 0.5


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Slotted
    more: list[Slotted] = field(default_factory=list)


@dataclass
class Tree:
    name: str
    since: date = date(2026, 1, 1)
    branches: list[Tree] = field(default_factory=list)
    best: Optional[Tree] = None
    paths: dict[str, Path] = field(default_factory=dict)


@dataclass(slots=True)
class Path:
    to: list[Tree]


class Plain(NamedTuple):
    number: int
    more: list[Plain] = []


class Nested(BaseModel):
    number: int
    more: list[Nested] = []
"""
TREE = (
    "Tree('a', branches=[Tree('b', date(2026, 1, 2)), Tree('c', branches=[Tree('d')])], best=Tree('e'), "
    "paths={'x': Path([Tree('f')])})"
)

VALUES = [
    ("int", "5"),
    ("Colour", "Colour.BLUE"),
    ("Level", "Level.HIGH"),
    ('Literal["a", "b"]', '"b"'),
    ("date", "date(2026, 2, 28)"),
    ("datetime", "datetime(2026, 2, 28, 1, 2, 3, 4, tzinfo=timezone.utc)"),
    ("datetime", "datetime(2026, 2, 28)"),
    ("timedelta", "timedelta(days=2, microseconds=5)"),
    ("int | str", "5"),
    ("int | str", '"5"'),
    ("int | str", '"a \\"quoted\\" text"'),
    ("Union[str, float, None]", "None"),
    ("Union[str, float, None]", "0.25"),
    ("bool | int", "True"),
    ("bool | int", "1"),
    ("int | float", "1"),
    ("int | float", "1.5"),
    ("list[int] | str", "[1, 2]"),
    ("list[int] | str", '"[1, 2]"'),
    ("list[Inner | None]", "[None, Inner(rate=0.1, day=date(2026, 1, 1))]"),
    ("Inner | int", "Inner(rate=0.1, day=date(2026, 1, 1))"),
    ("Inner | int", "7"),
    ("list[date]", "[date(2026, 1, 1)]"),
    ("dict[str, timedelta]", "{'a': timedelta(seconds=1)}"),
    ("list[Colour]", "[Colour.RED, Colour.BLUE]"),
    ("tuple[int, date]", "(1, date(2026, 1, 1))"),
    ("list[Slotted]", "[Slotted(1), Slotted(2, 0.25)]"),
    ("dict[str, Slotted]", "{'a': Slotted(1)}"),
    ("list[Outer]", "[Outer(Slotted(1), [Slotted(2)])]"),
    ("list[Model]", "[Model(inner=Inner(rate=1, day=date(2026, 1, 1)))]"),
    ("dict[int, float]", "{1: 0.5, 20: 1.5}"),
    ("dict[float, int]", "{0.5: 1}"),
    ("dict[bool, str]", "{False: '1'}"),
    ("dict[Colour, Level]", "{Colour.RED: Level.LOW}"),
    ("dict[Level, int]", "{Level.HIGH: 1}"),
    ("dict[date, list[Point]]", "{date(2026, 1, 1): [Point(1, Colour.RED)]}"),
    ("dict[Literal[1, 2], int]", "{1: 2}"),
    ("dict[str, dict[int, int]]", "{'a': {1: 2}}"),
    ("dict[User, Sequence[User]]", "{User(1): [User(2)]}"),
    ("Optional[dict[int, int]]", "None"),
    ("tuple", "(1, 'a')"),
    ("tuple[int, ...]", "(1, 2)"),
    ("tuple[int, str]", "(1, 'a')"),
    ("tuple[tuple[int, int], ...]", "((1, 2), (3, 4))"),
    ("set[int]", "{1}"),
    ("set", "{'a'}"),
    ("frozenset[str]", "frozenset({'1'})"),
    ("list[set[date]]", "[{date(2026, 1, 1)}]"),
    ("set[Ranked]", "{Ranked(3)}"),
    ("set[str] | int", "{'a'}"),
    ("User", "User(5)"),
    ("Sequence[int]", "[1, 2]"),
    ("Iterable[date]", "[date(2026, 1, 1)]"),
    ("Mapping[str, timedelta]", "{'a': timedelta(seconds=1)}"),
    ("list[Annotated[int, 'x']]", "[3]"),
    ('Literal["a", 1]', "1"),
    ('Literal["a", None]', "None"),
    ("Optional[int]", "None"),
    ("Optional[int]", "7"),
    ("str | None", "None"),
    ("str | None", "'a'"),
    ("dict[str, object]", "{'a': [1, None]}"),
    ("list[object]", "['5', 5]"),
    ("list[Tree]", f"[{TREE}]"),
    ("list[Tree | None]", f"[None, {TREE}]"),
    ("list[Point]", "[Point(1, Colour.RED)]"),
    ("tuple[int, Point]", "(1, Point(1, Colour.RED))"),
    ("dict[str, Point]", "{'a': Point(1, Colour.RED)}"),
    ("Point | int", "Point(1, Colour.RED)"),
    ("dict[str, Path]", f"{{'a': Path([{TREE}])}}"),
    ("list[Plain]", "[Plain(1, [Plain(2), Plain(3, [Plain(4)])])]"),
    ("list[Nested]", "[Nested(number=1, more=[Nested(number=2)])]"),
]
RECORDS = [
    (
        "Model",
        "Model(name='n', inner=Inner(rate=1, day=date(2026, 1, 1)), "
        "more=[Inner(rate=2, day=date(2026, 1, 2))], when=datetime(2026, 1, 1))",
    ),
    (
        "Record",
        "Record(Point(1, Colour.RED), timedelta(seconds=3), {'a': datetime(2026, 1, 1)}, [Level.LOW], "
        "Point(2, Colour.BLUE))",
    ),
    ("Record", "Record(Point(1, Colour.RED), timedelta(0), {})"),
    ("Slotted", "Slotted(3, 4.5)"),
    ("Outer", "Outer(Slotted(1), [Slotted(2)])"),
    ("Tree", TREE),
    ("Path", f"Path([{TREE}])"),
    ("Nested", "Nested(number=1, more=[Nested(number=2)])"),
]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A pipeline's file with a component ``handed_N`` for each of them."""
    text = HEAD + "".join(
        f"\n\n@component\ndef handed_{number}(value: {kind}) -> {kind}:\n    given.append(value)\n    return value\n"
        for number, (kind, _) in enumerate(CASES)
    )
    (tmp_path / "rich_types.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("rich_types")
    del sys.modules["rich_types"]


CASES = [*VALUES, *RECORDS]


def embedded(component: Any, texts: Mapping[str, str], folder: Path) -> tuple[Any, dict[str, str]]:
    """What the script of a component gives its function, and what it writes."""
    environment = {f"TIPHYS_INPUT_{name.upper()}": text for name, text in texts.items()}
    made = types.ModuleType("rich_script")  # pydantic looks for the module of a class
    there = mock.patch.dict(sys.modules, {"rich_script": made})
    with there, mock.patch.dict(os.environ, {**environment, "TIPHYS_OUTPUTS": str(folder)}):
        exec(script_source(component.function, component.signature, component.site), vars(made))
    return made.given[-1], {path.name: rejoined(path.read_text()) for path in folder.iterdir()}


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{kind}: {value[:20]}" for kind, value in CASES])
def test_a_value_comes_as_it_was_given(module: Any, number: int, tmp_path: Path) -> None:
    component = getattr(module, f"handed_{number}")
    value = eval(CASES[number][1], vars(module))
    with Pipeline("p") as pipeline:
        component(value=value)
    task = pipeline.to_dict()["spec"]["templates"][0]["dag"]["tasks"][0]
    text = task["arguments"]["parameters"][0]["value"]
    kind = typing.get_type_hints(component.function)["value"]
    (tmp_path / "out").mkdir()
    came, written = embedded(component, {"value": text}, tmp_path / "out")
    assert repr(came) == repr(value) == repr(decode(text, kind))
    wrote = outputs_of(value, typing.get_type_hints(component.function)["return"])
    assert {k: read(v) for k, v in written.items()} == {k: read(v) for k, v in wrote.items()}
    kinds = {"result": kind} if list(written) == ["result"] else typing.get_type_hints(type(value))
    for name, each in kinds.items():
        expected = repr(value if name == "result" else getattr(value, name))
        assert repr(decode(written[name], each)) == repr(decode(wrote[name], each)) == expected


SETS = {
    "set[int]": "{10, 9, 1}",
    "set[Colour]": "{Colour.RED, Colour.BLUE}",
    "set[date]": "{date(2026, 1, 2), date(2026, 1, 1)}",
    "set[Ranked]": "{Ranked(2), Ranked(1)}",
    "set[Point]": "{Point(1, Colour.RED), Point(1, Colour.BLUE)}",
    "set[tuple[int, str]]": "{(2, 'a'), (1, 'b')}",
    "list[frozenset[Colour]]": "[frozenset({Colour.RED, Colour.BLUE})]",
}


@pytest.mark.parametrize("kind", SETS)
def test_a_set_is_written_in_one_order(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Embedded and of a module alike, whatever the order that Python has it in."""
    (tmp_path / "sets_of_all.py").write_text(
        HEAD
        + f"\n\n@component\ndef handed(value: {kind}) -> {kind}:\n    given.append(value)\n    return value\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sets_of_all", raising=False)
    made = importlib.import_module("sets_of_all")
    value, declared = eval(SETS[kind], vars(made)), typing.get_type_hints(made.handed.function)["value"]
    text = outputs_of(value, declared)["result"]
    assert decode(text, declared) == value
    (tmp_path / "out").mkdir()
    came, written = embedded(made.handed, {"value": text}, tmp_path / "out")
    assert sorted(repr(came)) == sorted(repr(value))
    assert read(written["result"]) == read(text)
    with Pipeline("p") as pipeline:
        made.handed(value=value)
    (given,) = pipeline.to_dict()["spec"]["templates"][0]["dag"]["tasks"][0]["arguments"]["parameters"]
    assert given["value"] == text


def test_a_record_whose_types_are_not_here_is_read_by_nobody() -> None:
    """As with ``if TYPE_CHECKING``: what a step of a module returns needs no more than its fields."""

    def make() -> list[Unreadable]: ...

    assert [field.name for field in signature_of(make, Site("f.py", 1)).outputs] == ["result"]


LOOPED = [
    "date(2026, 2, 28)",
    "datetime(2026, 2, 28, 1, tzinfo=timezone.utc)",
    "timedelta(seconds=90)",
    "Colour.BLUE",
    "Named.FIRST",
    "Level.HIGH",
    "Point(1, Colour.RED)",
    "Slotted(3, 4.5)",
    "Inner(rate=1, day=date(2026, 1, 1))",
    "Tree('a', branches=[Tree('b')])",
    "[1, None]",
    "{'a': date(2026, 1, 1)}",
    "(1, 'a')",
    "{1}",
    "2**63 - 1",
    "-(2**63)",
    "0.1",
    "True",
]


@pytest.mark.parametrize("text", LOOPED)
def test_an_item_of_a_list_comes_as_it_was_given(module: Any, text: str, tmp_path: Path) -> None:
    """Through the engine: an item is what Argo makes of it."""
    value = eval(text, vars(module))
    kind = KINDS.get(type(value), type(value))
    (tmp_path / "looped.py").write_text(
        "from rich_types import *\nfrom tiphys import for_each\n\n\n@component\n"
        f"def shown(value: {kind if isinstance(kind, str) else kind.__name__}) -> str:\n    return repr(value)\n\n\n"
        f'with Pipeline("p") as pipeline:\n    shown(value=for_each([{text}]))\n'
    )
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    result = tiphys.run(str(tmp_path / "looped.py"), options=options)
    assert result.succeeded, result.message
    (pod,) = (node for node in result.workflow["status"]["nodes"].values() if node["type"] == "Pod")
    assert rejoined(pod["outputs"]["parameters"][0]["value"]) == repr(value)


KINDS: dict[type, str] = {
    dict: "dict[str, date]",
    list: "list",
    tuple: "tuple[int, str]",
    set: "set[int]",
}


@pytest.mark.parametrize(
    "item", [2**63, -(2**63) - 1, None, {1: 2}, b"a", {1, "a"}, {"a": [10**30]}, "{{a}}"]
)
def test_what_argo_would_read_otherwise_is_no_item(item: object) -> None:
    with pytest.raises(DefinitionError) as caught:
        for_each([item])
    assert caught.value.code == "TIP118" and repr(item) in caught.value.message


def read(text: str) -> object:
    """JSON as a value, whatever blanks are in it."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def test_what_is_returned_has_an_output_for_each_field(module: Any) -> None:
    value = eval(RECORDS[0][1], vars(module))
    found = outputs_of(value, module.Model)
    assert found["when"] == "2026-01-01T00:00:00" and found["name"] == "n"
    assert json.loads(found["inner"]) == {"rate": 1.0, "day": "2026-01-01"}


@dataclasses.dataclass
class Unreadable:
    amount: Missing  # type: ignore[name-defined] # noqa: F821


class Mapped(TypedDict):
    a: int


HELD = {
    "str | date": "which member",
    "list[int] | list[str]": "which member",
    "timedelta | int": "which member",
    "complex": "no form",
    "list[complex]": "no form",
    "dict[str, list[bytes]]": "no form",
    "dict[tuple[int, int], int]": "no form",
    "dict[str | None, int]": "no form",
    "dict[Literal[1, 'a'], int]": "no form",
    "Literal[1, '1']": "no form",
    "list[Mapped]": "no form",
}


@pytest.mark.parametrize("kind", HELD)
def test_a_union_whose_json_does_not_say_is_refused(kind: str) -> None:
    scope: dict[str, Any] = {"timedelta": timedelta, "date": date, "Literal": Literal, "Mapped": Mapped}
    exec(f"def f(value: {kind}) -> None: ...", scope)
    with pytest.raises(DefinitionError) as caught:
        signature_of(scope["f"], Site("f.py", 1))
    assert caught.value.code == "TIP110" and HELD[kind] in caught.value.cause


def test_what_is_written_as_none_is_no_text(module: Any) -> None:
    with Pipeline("p"), pytest.raises(DefinitionError) as caught:
        component(optional_text)(value="null")
    assert caught.value.code == "TIP105" and "None" in caught.value.cause

    with pytest.raises(DefinitionError) as caught:
        component(null_by_itself)
    assert caught.value.code == "TIP110" and "None" in caught.value.cause


def null_by_itself(value: str | None = "null") -> None: ...


def optional_text(value: str | None) -> str:
    return value or ""


@component
def lines() -> str:
    return "a\nb\n"


@component
def counted(text: str) -> int:
    return text.count("\n")


def test_the_end_of_a_text_is_kept(tmp_path: Path) -> None:
    """Argo takes one end of a line off each output."""
    with Pipeline("p") as pipeline:
        counted(text=lines().result)
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    result = tiphys.run(pipeline, options=options)
    nodes = result.workflow["status"]["nodes"].values()
    (found,) = (node["outputs"] for node in nodes if node["displayName"] == "counted")
    assert found["parameters"][0]["value"] == str(counted.function("a\nb\n")) == "2"


@component
def text() -> str:
    return "5"


@component
def kept(value: int | str) -> int | str:
    assert value == "5"
    return value


def test_text_of_another_step_is_text_in_a_union(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        kept(value=kept(value=text()).result).named("again")
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    result = tiphys.run(pipeline, options=options)
    assert result.succeeded, result.message
    for node in result.workflow["status"]["nodes"].values():
        if node["displayName"] in ("kept", "again"):
            assert node["outputs"]["parameters"][0]["value"] == '"5"'
