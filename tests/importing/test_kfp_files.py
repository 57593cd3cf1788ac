"""Files of KFP functions."""

from __future__ import annotations

import ast

import pytest

from tiphys.importing.kfp_files import check_use, file_way, framed
from tiphys.importing.told import CannotSay


@pytest.mark.parametrize(
    ("annotation", "way"),
    [
        ("dsl.Input[dsl.Dataset]", "Input"),
        ("Output[Model]", "Output"),
        ("'Input[Artifact]'", "Input"),
        ("kfp.dsl.Output[kfp.dsl.HTML]", "Output"),
        ("Input[List[Artifact]]", ""),
        ("List[Input[Artifact]]", ""),
        ("OutputPath(str)", ""),
        ("int", ""),
    ],
)
def test_which_annotations_are_files(annotation: str, way: str) -> None:
    assert file_way(ast.parse(annotation, mode="eval").body) == way


def test_the_code_may_take_paths_alone() -> None:
    (function,) = ast.parse("def f():\n    g(a.path, x.path.y)\n    def h():\n        return 1\n").body
    assert isinstance(function, ast.FunctionDef)
    check_use(function, {"a": "Input"})
    with pytest.raises(CannotSay, match="returns"):
        check_use(function, {"a": "Output"})
    (function,) = ast.parse("def f():\n    g(a)\n").body
    assert isinstance(function, ast.FunctionDef)
    with pytest.raises(CannotSay, match="more of 'a' than its path"):
        check_use(function, {"a": "Input"})


def test_a_frame_gives_and_takes_files() -> None:
    assert framed("    pass", {"a": "Input"}, "None") == "    a = SimpleNamespace(path=str(a))\n    pass"
    assert framed("    pass", {"b": "Output"}, "Path").endswith("\n    return Path(b.path)")
    both = framed("    pass", {"b": "Output", "c": "Output"}, "Two")
    assert both.endswith("\n    return Two(b=Path(b.path), c=Path(c.path))")
