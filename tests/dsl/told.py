"""A mistake is told with its code, in words, with what to do, at the line that made it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tiphys import DefinitionError

__all__ = ["check_told"]


def check_told(given: Callable[[], object], code: str, words: str, file: str) -> None:
    """``file``: the ``__file__`` of the test."""
    with pytest.raises(DefinitionError) as caught:
        given()
    assert caught.value.code == code
    assert words in str(caught.value)
    assert caught.value.fix
    assert f"{file.rpartition('/')[2]}:" in caught.value.where
