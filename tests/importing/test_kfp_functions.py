"""The source of a function in a component's command."""

from __future__ import annotations

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
        ("def f(x: Input[Dataset]):\n    pass\n", "pathlib.Path"),
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
