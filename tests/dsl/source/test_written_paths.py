"""The text of a path that is known before anything runs is the one that Python makes of the same expression."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tiphys.compiler.line import Site
from tiphys.dsl.source.module import module_of
from tiphys.dsl.source.written_paths import PathReader

HEAD = "import os\nfrom pathlib import Path\nHERE = Path(__file__).parent\nNAME = 'a' + '.json'\n"


@pytest.mark.parametrize(
    "expression",
    [
        "HERE",
        "HERE / NAME",
        "HERE / 'data' / 'x.csv'",
        "HERE.joinpath('data', NAME)",
        "Path(__file__).with_name('b.csv')",
        "Path(__file__).parents[1] / 'c'",
        "os.path.join(os.path.dirname(__file__), NAME)",
        "str(HERE) + '/d.txt'",
        "Path('e', 'f.txt')",
        "HERE.resolve() / 'g'",
    ],
)
def test_what_is_known_is_what_python_says(expression: str, tmp_path: Path) -> None:
    path = tmp_path / "somewhere" / "paths.py"
    path.parent.mkdir()
    path.write_text(HEAD)
    names: dict[str, object] = {"__file__": str(path)}
    exec(HEAD, names)
    reader = PathReader(module_of("paths", str(path), Site(str(path), 1)))
    node = ast.parse(expression, mode="eval").body
    assert reader.text(node, []) == os.fspath(eval(expression, names))
    assert reader.fixed(node, [])


@pytest.mark.parametrize(
    "expression", ["given", "Path(given) / 'a'", "os.environ['X']", "make()", "f'{given}/a'"]
)
def test_what_is_not_known_is_not_said(expression: str, tmp_path: Path) -> None:
    path = tmp_path / "paths.py"
    path.write_text(HEAD)
    reader = PathReader(module_of("paths", str(path), Site(str(path), 1)))
    node = ast.parse(expression, mode="eval").body
    assert reader.text(node, []) is None
    assert not reader.fixed(node, [])
