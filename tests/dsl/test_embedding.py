"""A function of the pipeline's file travels whole, runs alone, and is refused when it could not."""

from __future__ import annotations

import ast
import functools
import json
import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_type_hints

import pytest

from tiphys import DefinitionError, Pipeline, component
from tiphys.dsl.components import Component
from tiphys.step.codec import decode
from tiphys.verbatim import rejoined

FACTOR = 2
SCALED = FACTOR * 10
UNUSED = math.tau


@dataclass(frozen=True)
class Report:
    name: str
    accuracy: float = 0.0


class Result(NamedTuple):
    total: float
    names: list[str]
    flag: bool
    text: str


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@functools.lru_cache
def helper(x: int) -> int:
    return inner_helper(x) * SCALED


def inner_helper(x: int) -> int:
    return math.floor(x + 0.5)


@component
def work(
    reports: list[Report],
    colour: Colour,
    mode: Literal["mean", "vote"] = "mean",
    sizes: list[int] | None = None,
    count: int = 1,
    ratio: float = 0.5,
    flag: bool = True,
    extra: dict[str, Any] | None = None,
) -> Result:
    """Uses a helper, a constant behind it, a class, an enum and a default."""
    total = sum(r.accuracy for r in reports) * ratio + helper(count)
    names = [f"{r.name}-{colour.value}-{mode}" for r in reports]
    return Result(total, names, flag and colour is Colour.RED, json.dumps(extra) + str(sum(sizes or [])))


@component
def braces(name: str) -> str:
    return f"{{{name}}}" + "{{workflow.name}}"


@component
def left_out(
    sizes: list[int] | None = None,
    part: float | None = None,
    of: Report | None = None,
    word: str | None = None,
) -> list[bool]:
    return [each is None for each in (sizes, part, of, word)]


@component
def nothing() -> None:
    """Returns nothing."""


def source_of(step: Component, **arguments: Any) -> str:
    with Pipeline("p") as pipeline:
        step(**arguments)
    template = pipeline.to_dict()["spec"]["templates"][1]
    source: str = template["script"]["source"]
    return source


def run(source: str, folder: Path, **inputs: str) -> dict[str, str]:
    """Run a script with nothing but Python: no site packages, no access to this project."""
    environment = {f"TIPHYS_INPUT_{k.upper()}": v for k, v in inputs.items()}
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", source],
        env={**environment, "TIPHYS_OUTPUTS": str(folder / "out"), "PATH": os.defpath},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    out = folder / "out"
    return {p.name: p.read_text(encoding="utf-8") for p in out.iterdir()} if out.exists() else {}


def test_the_whole_function_travels_with_what_it_reaches(tmp_path: Path) -> None:
    source = source_of(work, reports=[{"name": "a"}], colour="red")
    outputs = run(
        source,
        tmp_path,
        reports=json.dumps([{"name": "cnn", "accuracy": 0.5}, json.dumps({"name": "b", "accuracy": 0.25})]),
        colour="red",
        mode="vote",
        sizes='[1, "2"]',
        count="3",
        ratio="2.0",
        flag="true",
        extra='{"k": "it\'s \\"}"}',
    )
    assert outputs == {
        "total": "61.5",
        "names": '["cnn-red-vote", "b-red-vote"]',
        "flag": "true",
        "text": '{"k": "it\'s \\"}"}3',
    }
    assert "UNUSED" not in source and "tiphys" not in source.lower().replace("tiphys_", "")
    assert source.count("def ") == 3


def test_comments_and_the_docstring_survive() -> None:
    assert '"""Uses a helper, a constant behind it' in source_of(work, reports=[], colour="red")


def test_hostile_values_are_only_values(tmp_path: Path) -> None:
    @component
    def echo(text: str) -> str:
        return text

    text = "'''\\\n\"\"\" {{x}} $(rm) `x` \\' \u2028 é"
    (told,) = run(source_of(echo, text="x"), tmp_path, text=text).values()
    assert rejoined(told) == text and "{{" not in told and "$(" not in told


def test_source_with_double_braces_is_hidden_from_argo(tmp_path: Path) -> None:
    source = source_of(braces, name="x")
    assert "{{" not in source
    assert {k: rejoined(v) for k, v in run(source, tmp_path, name="n").items()} == {
        "result": "{n}" + "{{workflow.name}}"
    }


def test_source_in_which_the_kubelet_would_replace_something_is_hidden_from_it(tmp_path: Path) -> None:
    """A script travels in an environment variable: `$$` became `$`, seen on 4.0.5."""

    @component
    def dollars() -> list[str]:
        return ["$$", "$(ARGO_POD_NAME)", "$é", "$", "$HOME"]

    source = source_of(dollars)
    assert not any(pair in source for pair in ("$$", "$(", "$é"))
    (told,) = run(source, tmp_path).values()
    assert json.loads(rejoined(told)) == ["$$", "$(ARGO_POD_NAME)", "$é", "$", "$HOME"]


def test_what_is_left_out_is_none_as_in_a_module(tmp_path: Path) -> None:
    source, names = source_of(left_out), ("sizes", "part", "of", "word")
    assert run(source, tmp_path, **dict.fromkeys(names, "null")) == {"result": "[true, true, true, true]"}
    given = {"sizes": "[]", "part": "0", "of": '{"name": "a"}', "word": ""}
    assert run(source, tmp_path, **given) == {"result": "[false, false, false, false]"}
    for name in names:
        assert decode("null", get_type_hints(left_out.function)[name]) is None


def test_a_function_without_inputs_and_outputs(tmp_path: Path) -> None:
    source = source_of(nothing)
    ast.parse(source)
    assert run(source, tmp_path) == {}


def refused(code: str, tmp_path: Path) -> DefinitionError:
    """Load a pipeline file that must be refused."""
    from tiphys.compiler.compile import to_yaml
    from tiphys.compiler.load import load

    path = tmp_path / "broken_pipeline.py"
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        to_yaml(load(str(path), {}))
    return caught.value


def test_an_unknown_name_is_refused_at_its_line(tmp_path: Path) -> None:
    error = refused(
        """
        from tiphys import Pipeline, component

        THRESHOLD = 3

        @component
        def f(x: int) -> int:
            y = x + 1
            return y + TRESHOLD

        with Pipeline("p") as pipeline:
            f(x=1)
        """,
        tmp_path,
    )
    assert error.code == "TIP111"
    assert "'TRESHOLD'" in error.message and "Did you mean 'THRESHOLD'" in error.message
    assert error.where.endswith("broken_pipeline.py:9")


def test_a_captured_variable_is_refused(tmp_path: Path) -> None:
    error = refused(
        """
        from tiphys import Pipeline, component

        def build(n: int = 3) -> Pipeline:
            @component
            def f(x: int) -> int:
                return x + n

            with Pipeline("p") as pipeline:
                f(x=1)
            return pipeline
        """,
        tmp_path,
    )
    assert error.code == "TIP111"
    assert "'n'" in error.message


@pytest.mark.parametrize(
    "body",
    [
        "return [y for y in range(x) if (z := y)] and z",
        "import os.path as p; return p.sep",
        "def g(a, *b, c=1, **d): return a + c + len(b) + len(d)\n    return g(x)",
        "try:\n        return 1 / x\n    except ZeroDivisionError as e:\n        return str(e)",
        "match x:\n        case {'a': a, **rest}: return a, rest\n        case [first, *others]: return first, others\n"
        "        case int() as n: return n",
        "with open('f') as f, open('g') as (g): return f, g",
        "for i, (j, k) in []: print(i, j, k)\n    else: return 1",
        "class C:\n        y = 1\n        def m(self): return C, self.y\n    return C().m()",
        "global counter\n    counter = x\n    return counter",
        "return (lambda a, b=x: a + b)(1)",
        "return __name__, __file__, print, Exception",
        "x: UnknownType = 1\n    return x",
    ],
)
def test_every_way_to_bind_a_name_is_known(body: str, tmp_path: Path) -> None:
    from tiphys.compiler.compile import to_yaml
    from tiphys.compiler.load import load

    path = tmp_path / "binds.py"
    path.write_text(
        "from tiphys import Pipeline, component\ncounter = 0\n@component\ndef f(x: int) -> str:\n"
        f"    {body}\nwith Pipeline('p') as pipeline:\n    f(x=1)\n",
        encoding="utf-8",
    )
    assert "def f(x" in to_yaml(load(str(path), {}))


def test_a_function_of_another_module_is_referenced() -> None:
    with Pipeline("p") as pipeline:
        component("tests.dsl.library:greet")(name="x")
    container = pipeline.to_dict()["spec"]["templates"][1]["container"]
    assert container["command"] == ["python", "-m", "tiphys.step", "tests.dsl.library:greet"]


def shutil_like(x: int) -> int:
    return x


def test_a_component_of_another_module_can_be_embedded() -> None:
    with Pipeline("p") as pipeline:
        component("tests.dsl.library:greet", embed=True)(name="x")
    assert "def greet(" in pipeline.to_dict()["spec"]["templates"][1]["script"]["source"]


@pytest.mark.parametrize("reference", ["tests.dsl.library:gret", "tests.dsl.libary:greet", "nothing"])
def test_a_reference_that_cannot_be_imported_is_refused(reference: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        component(reference)
    assert caught.value.code == "TIP112"


def test_what_is_no_function_is_refused() -> None:
    make: Callable[..., Any] = component
    with pytest.raises(DefinitionError) as caught:
        make(functools.partial(shutil_like, 1))
    assert caught.value.code == "TIP110"


def test_strings_of_several_lines_stay_as_they_are(tmp_path: Path) -> None:
    """A function that is not at the margin is moved there, its strings are not."""

    @component
    def told() -> str:
        text = """one
        two
    three"""
        return repr(text)

    assert run(source_of(told), tmp_path)["result"] == told.function()
