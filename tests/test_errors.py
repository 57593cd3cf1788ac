"""Errors say what, where, why and how to fix; the tree is what the docstring draws."""

from __future__ import annotations

import pickle

import pytest

from tiphys import errors
from tiphys.errors import RefusedError, TiphysError, UserCodeError, did_you_mean


def test_the_text_has_every_part_once() -> None:
    error = RefusedError(
        "TIP201", "no such file", where="a.yaml:3", cause="it was moved", fix="give the new path"
    )
    assert str(error).splitlines() == [
        "TIP201: no such file",
        "  where: a.yaml:3",
        "  cause: it was moved",
        "  fix:   give the new path",
    ]


def test_parts_that_are_empty_are_left_out() -> None:
    assert str(TiphysError("TIP300", "it broke")) == "TIP300: it broke"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_error_survives_pickling_with_all_its_fields(name: str) -> None:
    error = getattr(errors, name)("TIP999", "m", where="w", cause="c", fix="f")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)


def test_what_never_ran_exits_with_2() -> None:
    assert RefusedError.exit_code == errors.DefinitionError.exit_code == 2
    assert issubclass(UserCodeError, errors.RunError)
    assert errors.RunError.exit_code == 1


def test_near_misses() -> None:
    assert did_you_mean("epoch", ["epochs", "batch-size"]) == " Did you mean 'epochs'?"
    assert did_you_mean("zzz", ["epochs"]) == ""
