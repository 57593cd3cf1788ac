import ast
from pathlib import Path

import pytest

import tiphys.dsl
from tiphys.dsl.source.tree import children, nodes_of

FILES = sorted(Path(tiphys.dsl.__file__).parent.rglob("*.py"))
MARKS = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_all_nodes_as_python_walks_them(file: Path) -> None:
    tree = ast.parse(file.read_text())
    for _ in range(2):  # the second time they are kept
        assert nodes_of(tree) == [node for node in ast.walk(tree) if not isinstance(node, MARKS)]


def test_a_copy_that_is_made_anew_has_children_of_its_own() -> None:
    function = ast.parse("@once\ndef f(): return 1").body[0]
    assert isinstance(function, ast.FunctionDef)
    assert len(children(function)) == 3
    parts = {**dict(ast.iter_fields(function)), "decorator_list": []}
    assert len(children(ast.FunctionDef(**parts))) == 2
