"""The recipe of a data set: what was kept comes back, and what is no recipe is said to be none."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.recipe import keep_recipe, recipe_of
from tiphys.errors import ComponentError
from tiphys.reference import Reference

DATASET = Reference("pvc://tiphys/datasets/d-1")


def test_what_was_kept_comes_back(volume: Path) -> None:
    source = Reference("pvc://tiphys/sources/s", "sha256:12")
    keep_recipe(DATASET, source, {"seed": 7, "limit": 0})
    keep_recipe(DATASET, source, {"seed": 8, "limit": 0})
    found = recipe_of(DATASET)
    assert (found.source, found.parameters) == (source, {"seed": 8, "limit": 0})
    assert [path.name for path in (volume / "recipes").iterdir()] == ["d-1.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"source": 1, "parameters": {}}', "\0", '{"source": {"uri": 1}}']
)
def test_what_is_none(volume: Path, text: str) -> None:
    (volume / "recipes").mkdir()
    (volume / "recipes/d-1.json").write_text(text)
    with pytest.raises(ComponentError) as caught:
        recipe_of(DATASET)
    assert caught.value.code == "TIP708"
