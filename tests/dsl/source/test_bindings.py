"""Which names of a file are for authors, and which may hold the same object."""

from __future__ import annotations

import ast

import pytest

from tiphys.dsl.source.bindings import dotted
from tiphys.dsl.source.effects import changes_of

FILE = """
import lib
from lib import thing
from tiphys import Pipeline, component, Reference
K = {{}}
SAME = K
BOTH = [K]
FEW = 3
ALSO = lib
{0}
"""


@pytest.mark.parametrize(
    ("statement", "touched"),
    [
        ("K['a'] = 1", {"K"}),
        ("SAME['a'] = 1", {"K", "SAME"}),
        ("BOTH[0]['a'] = 1", {"K", "BOTH"}),
        ("SAME |= {1: 2}", {"K", "SAME"}),
        ("ALSO.rate = 1", {"ALSO", "lib"}),
        ("thing.rate = 1", {"thing"}),
        ("MORE = FEW + 1", None),
        ("MORE = [K]", None),
    ],
)
def test_a_change_is_one_of_all_names_of_the_object(statement: str, touched: set[str] | None) -> None:
    effects, _, _ = changes_of(ast.parse(FILE.format(statement)))
    assert [set(effect.touches) for effect in effects if effect.touches] == (
        [] if touched is None else [touched]
    )


def test_what_builds_pipelines_is_for_authors() -> None:
    _, authoring, _ = changes_of(ast.parse(FILE.format("p = Pipeline('x')\nq = p.param('a')\nr = FEW")))
    assert {"p", "q", "component", "Pipeline"} <= authoring
    assert authoring.isdisjoint({"r", "Reference", "lib"})


def test_a_dotted_name() -> None:
    names = [dotted(ast.parse(text, mode="eval").body) for text in ("a", "a.b.c", "a().b", "a[0].b")]
    assert names == ["a", "a.b.c", "", ""]
