"""``python -m tiphys.step``: inputs by annotation, outputs as files, failures as exit codes with a cause."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional

import pytest

from tiphys.errors import RefusedError
from tiphys.reference import Reference
from tiphys.step import decode, encode, outputs_of
from tiphys.verbatim import rejoined


class Colour(Enum):
    RED = "red"
    ONE = 1


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Shape:
    points: list[Point]
    colour: Colour = Colour.RED
    where: Reference | None = None


class Pair(NamedTuple):
    first_name: str
    total: int


@pytest.mark.parametrize(
    "text, kind, value",
    [
        ("x", str, "x"),
        ("", str, ""),
        ('"x"', str, '"x"'),
        ("null", str, "null"),
        ("x", object, "x"),
        ('["{\\"a\\": [1]}", {"b": null}]', list[dict[str, object]], [{"a": [1]}, {"b": None}]),
        ("12", int, 12),
        ("-3", int, -3),
        ("3.0", int, 3),
        ("0.5", float, 0.5),
        ("1e-3", float, 0.001),
        ("7", float, 7.0),
        ("true", bool, True),
        ("false", bool, False),
        ("mean", Literal["mean", "vote"], "mean"),
        ("2", Literal[1, 2], 2),
        ("red", Colour, Colour.RED),
        ("1", Colour, Colour.ONE),
        ("null", Optional[int], None),  # noqa: UP045
        ("4", int | None, 4),
        ("pvc://a/b", Reference, Reference("pvc://a/b")),
        ('{"digest":"sha256:00","uri":"pvc://a/b"}', Reference, Reference("pvc://a/b", "sha256:00")),
        ('["a", "1"]', list[str], ["a", "1"]),
        ('["1", 2]', list[int], [1, 2]),
        ('["0.5", 2]', list[float], [0.5, 2.0]),
        ('["true", false]', list[bool], [True, False]),
        ("[1, 2]", tuple[int, ...], (1, 2)),
        ('[1, "a"]', tuple[int, str], (1, "a")),
        ('{"a": {"b": [1]}}', dict, {"a": {"b": [1]}}),
        ('{"a": "1"}', dict[str, int], {"a": 1}),
        ('{"x": 1, "tags": ["t"]}', Point, Point(1, 0.5, ["t"])),
        ('{"x": "1", "y": 2}', Point, Point(1, 2.0)),
        ('["{\\"x\\": 1}", {"x": 2}]', list[Point], [Point(1), Point(2)]),
        (
            '{"points": [{"x": 1}], "where": {"uri": "pvc://a/b", "digest": ""}}',
            Shape,
            Shape([Point(1)], Colour.RED, Reference("pvc://a/b")),
        ),
        ('{"anything": 1}', Any, '{"anything": 1}'),
    ],
)
def test_inputs_are_decoded_by_annotation(text: str, kind: Any, value: Any) -> None:
    decoded = decode(text, kind)
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(
    "text, kind, words",
    [
        ("two", int, "a whole number"),
        ("2.5", int, "a whole number"),
        ("", int, "a whole number"),
        ("fast", float, "a number"),
        ("True", bool, "true or false"),
        ("median", Literal["mean", "vote"], "Did you mean 'mean'?"),
        ("blue", Colour, "one of red, 1"),
        ("/tmp/x", Reference, "pvc://"),
        ("[1", list[int], "JSON"),
        ('{"a": 1}', list[int], "list"),
        ('["x"]', list[int], "a whole number"),
        ('{"x": 1, "z": 2}', Point, "'z'"),
        ("{}", Point, "Point"),
        ("[1, 2, 3]", tuple[int, str], "a list of 2"),
        ("x", int | None, "int"),
    ],
)
def test_a_bad_input_says_what_was_expected(text: str, kind: Any, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        decode(text, kind, "amount")
    error = caught.value
    assert error.code == "TIP241"
    assert "'amount'" in error.message and words in error.message
    assert error.fix


@pytest.mark.parametrize(
    "result, outputs",
    [
        (None, {}),
        ("text\n", {"result": "text\n"}),
        (3, {"result": "3"}),
        (0.1, {"result": "0.1"}),
        (True, {"result": "true"}),
        ([1, "é"], {"result": '[1,"é"]'}),
        ({"b": 1, "a": None}, {"result": '{"a":null,"b":1}'}),
        (Colour.RED, {"result": "red"}),
        (Reference("pvc://a/b", "sha256:00"), {"result": '{"digest":"sha256:00","uri":"pvc://a/b"}'}),
        (Pair("x", 2), {"first-name": "x", "total": "2"}),
        (Point(1), {"x": "1", "y": "0.5", "tags": "[]"}),
        (
            Shape([Point(1)], where=Reference("pvc://a/b")),
            {
                "points": '[{"tags":[],"x":1,"y":0.5}]',
                "colour": "red",
                "where": '{"digest":"","uri":"pvc://a/b"}',
            },
        ),
    ],
)
def test_outputs_are_written_as_text(result: Any, outputs: dict[str, str]) -> None:
    assert outputs_of(result) == outputs


@pytest.mark.parametrize("value", [Path("/x"), object(), float("nan"), {"a": {1: object()}}, b"x"])
def test_what_has_no_text_is_refused(value: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        encode(value, "model")
    assert caught.value.code == "TIP242"
    assert "'model'" in caught.value.message


MODULE = """
import os, signal, sys, time
from dataclasses import dataclass
from tiphys.errors import ComponentError

@dataclass(frozen=True)
class Out:
    first_name: str
    total: int

def good(name: str, count: int = 2) -> Out:
    print("working on", name)
    return Out(name, count)

def foreseen(name: str) -> None:
    raise ComponentError("TIP799", "no data", where="here", cause="it is gone", fix="bring it")

def unforeseen(name: str) -> None:
    raise KeyError("oops")

def partly(name: str) -> dict:
    return {"a": object()}

def killed(name: str) -> None:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    finally:
        print("cleaned up")

def exits(name: str) -> None:
    sys.exit(7)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "steps_for_test.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def run(folder: Path, function: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TIPHYS_")}
    environment.update({f"TIPHYS_INPUT_{k.upper()}": v for k, v in inputs.items()})
    environment["TIPHYS_OUTPUTS"] = str(folder / "out")
    return subprocess.run(
        [sys.executable, "-m", "tiphys.step", function],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_step_writes_a_file_for_each_output(folder: Path) -> None:
    answer = run(folder, "steps_for_test:good", name='it\'s "x" $HOME\n{{y}}')
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("working on it's")
    files = {p.name: p.read_text(encoding="utf-8") for p in (folder / "out").iterdir()}
    assert {name: rejoined(text) for name, text in files.items()} == {
        "first-name": 'it\'s "x" $HOME\n{{y}}',
        "total": "2",
    }


def test_a_foreseen_failure_is_told_without_a_traceback(folder: Path) -> None:
    answer = run(folder, "steps_for_test:foreseen", name="x")
    assert answer.returncode == 1
    assert "TIP799: no data" in answer.stderr and "fix:   bring it" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (folder / "out").exists()


def test_any_other_failure_has_a_traceback_that_begins_in_the_users_code(folder: Path) -> None:
    answer = run(folder, "steps_for_test:unforeseen", name="x")
    assert answer.returncode == 1
    assert "KeyError: 'oops'" in answer.stderr and "steps_for_test.py" in answer.stderr
    assert "runner.py" not in answer.stderr


def test_nothing_is_left_when_an_output_cannot_be_written(folder: Path) -> None:
    answer = run(folder, "steps_for_test:partly", name="x")
    assert answer.returncode == 1 and "TIP242" in answer.stderr
    assert not (folder / "out").exists() or not list((folder / "out").iterdir())


def test_a_terminated_step_cleans_up_and_ends_with_143(folder: Path) -> None:
    answer = run(folder, "steps_for_test:killed", name="x")
    assert answer.returncode == 128 + signal.SIGTERM
    assert "cleaned up" in answer.stdout


def test_a_step_may_choose_its_exit_code(folder: Path) -> None:
    assert run(folder, "steps_for_test:exits", name="x").returncode == 7


@pytest.mark.parametrize(
    "function, inputs, words",
    [
        ("steps_for_test:good", {}, "'name'"),
        ("steps_for_test:good", {"nmae": "x"}, "Did you mean 'TIPHYS_INPUT_NMAE'?"),
        ("steps_for_test:good", {"name": "x", "count": "two"}, "a whole number"),
        ("steps_for_test:goood", {"name": "x"}, "Did you mean 'good'?"),
        ("steps_for_tst:good", {"name": "x"}, "steps_for_tst"),
        ("steps_for_test", {"name": "x"}, "no function"),
    ],
)
def test_a_wrong_call_is_told(folder: Path, function: str, inputs: dict[str, str], words: str) -> None:
    answer = run(folder, function, **inputs)
    assert answer.returncode == 1
    assert words in answer.stderr and "fix:" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_broken_import_inside_the_module_keeps_its_traceback(folder: Path) -> None:
    (folder / "importing.py").write_text("import nothing_like_this\ndef f() -> None: ...\n", encoding="utf-8")
    answer = run(folder, "importing:f")
    assert answer.returncode == 1
    assert "ModuleNotFoundError" in answer.stderr and "nothing_like_this" in answer.stderr


def test_usage() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tiphys.step"], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 2 and "example:" in answer.stderr


def test_a_step_loads_neither_hera_nor_pydantic(folder: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, tiphys.step
        heavy = {"hera", "pydantic", "yaml", "requests", "numpy", "tensorflow"} & set(sys.modules)
        sys.exit(", ".join(sorted(heavy)) or 0)
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_decorated_component_runs_as_a_step(folder: Path) -> None:
    (folder / "decorated.py").write_text(
        "from tiphys import component\n@component\ndef f(x: int) -> int:\n    return x + 1\n",
        encoding="utf-8",
    )
    assert run(folder, "decorated:f", x="1").returncode == 0
    assert json.loads((folder / "out" / "result").read_text(encoding="utf-8")) == 2


@pytest.mark.parametrize("there", [True, False])
def test_an_error_of_ours_is_told_to_whoever_looks_at_the_end(tmp_path: Path, there: bool) -> None:
    """In a file that the kubelet, or the engine, puts into the step's message; where there is none the log has it."""
    said = tmp_path / "said" if there else tmp_path / "none" / "said"
    words = [sys.executable, "-m", "tiphys.step", "no.such.module:f"]
    done = subprocess.run(
        words,
        env={**os.environ, "TIPHYS_TERMINATION_LOG": str(said)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    if there:
        start = "TIP243: the module 'no.such.module' of the step"
        assert said.read_text().startswith(start)
