"""One file, parsed: what a statement's source is, and which lines are inside strings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiphys import DefinitionError
from tiphys.compiler.line import Site
from tiphys.dsl.source.module import module_of

TEXT = 'a = 1; b = """one \n two"""; c = 3 \n\n@staticmethod\ndef f():\n    pass\n'


def test_each_statement_has_its_own_source(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(TEXT)
    module = module_of("m", str(path), Site(str(path), 1))
    found = [module.segment(statement).strip(" ;") for statement in module.tree.body]
    assert found == ["a = 1", 'b = """one \n two"""', "c = 3", "@staticmethod\ndef f():\n    pass"]
    assert set(module.bindings) == {"a", "b", "c", "f"}
    assert module.strings == {1}


@pytest.mark.parametrize("text", ["def (", None])
def test_what_cannot_be_read_is_refused(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DefinitionError) as refused:
        module_of("m", str(path), Site(str(path), 1))
    assert refused.value.code == "TIP112"


def test_functions_are_found_by_name_wherever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("def f():\n    def f(): ...\n\nclass C:\n    async def g(self): ...\n")
    module = module_of("m", str(path), Site(str(path), 1))
    assert {name: [node.lineno for node in nodes] for name, nodes in module.functions.items()} == {
        "f": [1, 2],
        "g": [5],
    }
