"""What counts as the author's own code. Executed mutations: tests/dsl/test_keys.py."""

from __future__ import annotations

import pytest

from tests.dsl import library
from tiphys.dsl.source.imports import OwnModules, own_module


@pytest.mark.parametrize("name", ["json", "os.path", "yaml", "pytest", "tiphys.dsl", "nowhere", "", "sys"])
def test_what_is_installed_is_not_the_authors_own(name: str) -> None:
    assert own_module(name) is None


def test_what_lies_beside_the_pipeline_is() -> None:
    found = own_module(library.__name__)
    assert found is not None and found.path == library.__file__
    assert OwnModules().own(library.__name__, importer=library.__name__) is None
