"""Values are what a frozen dataclass of the standard library is: each is held beside one."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tiphys.frozen import frozen


@frozen
class Point:
    """A value."""

    x: int
    names: tuple[str, ...] = ()
    seen: dict[str, int] = field(default_factory=dict, compare=False, repr=False)
    kind: ClassVar[str] = "point"


@frozen
class Named(Point):
    """One that has more."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class PlainPoint:
    x: int
    names: tuple[str, ...] = ()
    seen: dict[str, int] = field(default_factory=dict, compare=False, repr=False)
    kind: ClassVar[str] = "point"


@dataclass(frozen=True, slots=True)
class PlainNamed(PlainPoint):
    name: str = ""


PAIRS = [(Point, PlainPoint), (Named, PlainNamed)]


@pytest.mark.parametrize(("ours", "plain"), PAIRS)
def test_as_the_dataclass(ours: Any, plain: Any) -> None:
    mine, theirs = ours(1, ("a",), {"b": 2}), plain(1, ("a",), {"b": 2})
    assert repr(mine) == repr(theirs).replace("Plain", "")
    assert hash(mine) == hash(theirs)
    assert dataclasses.asdict(mine) == dataclasses.asdict(theirs)
    assert dataclasses.replace(mine, x=3) == ours(3, ("a",)) != mine
    assert ours.__match_args__ == plain.__match_args__
    assert not hasattr(mine, "__dict__")
    assert copy.copy(mine) == pickle.loads(pickle.dumps(mine)) == mine == ours(1, ("a",), {"c": 3})
    assert ours.kind == mine.kind == "point"
    with pytest.raises(TypeError):
        ours()


def test_what_is_of_another_class_is_never_equal() -> None:
    assert Point(1) != Named(1)
    assert Point(1) != 1
    assert len({Point(1), Point(1), Named(1)}) == 2


def test_methods_of_its_own_stay() -> None:
    @frozen
    class Fold:
        text: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Fold) and self.text.lower() == other.text.lower()

        def __hash__(self) -> int:
            return hash(self.text.lower())

        def __repr__(self) -> str:
            return self.text

    assert Fold("A") == Fold("a")
    assert hash(Fold("A")) == hash(Fold("a"))
    assert repr(Fold("A")) == "A"


def test_the_type_checker_sees_who_changes_one(tmp_path: Path) -> None:
    file = tmp_path / "changes.py"
    file.write_text(
        "from tiphys.frozen import frozen\n\n\n@frozen\nclass A:\n    x: int\n\n\na = A(1)\na.x = 2\nA('1')\n"
    )
    command = [sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 'Property "x" defined in "A" is read-only' in done.stdout, done.stdout + done.stderr
    assert 'Argument 1 to "A" has incompatible type "str"' in done.stdout
