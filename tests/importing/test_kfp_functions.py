"""The source of a function in a component's command."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from tiphys.importing.kfp_functions import KfpFunction, function_of, packages_of
from tiphys.importing.told import CannotSay

HEAD = "\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n"


def read(source: str, name: str = "f") -> KfpFunction:
    found = function_of({"command": ["sh", "-c", HEAD + source], "args": ["--function_to_execute", name]})
    assert found is not None
    return found


def test_annotations_defaults_and_comments_arrive_and_it_gives_the_same() -> None:
    made = read('''def f(b: Dict[str, List[int]], c: Optional[str] = None, *, a: int = 2) -> List[int]:
    # the first comment
    """Says what."""
    return [a, *b["x"]]  # the last
''')
    assert made.parameters == "b: dict[str, list[int]], c: str | None = None, a: int = 2"
    assert made.returns == "list[int]" and "# the first comment" in made.body and "# the last" in made.body
    found: dict[str, object] = {}
    exec(made.text("g", ""), found)
    function = found["g"]
    assert callable(function) and function({"x": [1]}) == [2, 1]


def test_several_outputs_are_a_class() -> None:
    made = read('def f() -> NamedTuple("Out", [("a", int), ("b", List[str])]):\n    return (1, ["x"])\n')
    assert made.classes == "class FOut(NamedTuple):\n    a: int\n    b: list[str]"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def f(x: List[Input[Dataset]]):\n    pass\n", "pathlib.Path"),
        ("def f(x: Input[Dataset]):\n    print(x.metadata)\n", "more of 'x' than its path"),
        ("def f(x: Output[Model]):\n    return\n", "it makes files, and returns"),
        ("def f(x: Output[Model]) -> int:\n    open(x.path, 'w')\n", "it makes files, and returns"),
        ("def f(x: OutputPath(str)):\n    pass\n", "pathlib.Path"),
        ("def f(x):\n    pass\n", "no type"),
        ("def f(*x: int):\n    pass\n", "args"),
        ("def f(x: int = y()):\n    pass\n", "no constant"),
        ("def f():\n    dsl.get_uri()\n", "uses kfp"),
        ("def g():\n    pass\n\ndef f():\n    pass\n", "more than the function"),
    ],
)
def test_what_is_no_step_says_why(source: str, why: str) -> None:
    with pytest.raises(CannotSay, match=why):
        read(source)


def test_packages_and_programs() -> None:
    line = "python3 -m pip install --quiet 'pandas==2.2' 'numpy' && python3 -m pip install 'kfp==2.1' '--no-deps'"
    assert packages_of({"command": ["sh", "-c", line]}) == ["pandas==2.2", "numpy"]
    assert function_of({"command": ["echo"], "args": ["x"]}) is None


def test_files_are_paths_and_the_code_stays(tmp_path: Path) -> None:
    made = read(
        "def f(rows: dsl.Input[dsl.Dataset], by: int, a: Output[Model], b: 'Output[Dataset]'):\n"
        "    with open(rows.path) as file, open(a.path, 'w') as other:  # as it was\n"
        "        other.write(file.read() * by)\n"
        "    with open(b.path, 'w') as file:\n"
        "        file.write(str(by))\n"
    )
    assert (made.parameters, made.returns) == ("rows: Path, by: int", "FFiles")
    assert "# as it was" in made.body
    found: dict[str, object] = {"Path": Path, "NamedTuple": NamedTuple}
    found |= {"SimpleNamespace": SimpleNamespace, "mkdtemp": lambda: str(tmp_path)}
    exec(made.text("g", ""), found)
    (tmp_path / "rows").write_text("x")
    function = found["g"]
    assert callable(function)
    out = function(rows=tmp_path / "rows", by=3)
    assert (out.a.read_text(), out.b.read_text()) == ("xxx", "3")
