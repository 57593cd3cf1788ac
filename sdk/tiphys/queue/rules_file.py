"""Files in TOML in which people say rules: told by the key what is wrong, and read again when they have changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from tiphys.argo.quantity import unit_of, whole_quantity
from tiphys.errors import TiphysError, did_you_mean
from tiphys.frozen import frozen

__all__ = ["Reread", "RulesTables", "shown"]

T = TypeVar("T")


class Reread(Generic[T]):
    """What a file says now, read again by ``load`` when it has changed; while it is wrong, what it said before, and
    ``first`` at the beginning."""

    def __init__(self, path: Path, load: Callable[[Path], T], first: T) -> None:
        self._path, self._load = path, load
        self._stamp: tuple[int, ...] | None = None
        self._value = first

    def _now(self) -> tuple[int, ...] | None:
        try:
            state = self._path.stat()
        except (OSError, ValueError):  # there is no such file, or there cannot be one
            return None
        return state.st_mtime_ns, state.st_size, state.st_ino

    def changed(self) -> bool:
        """Whether it would be read again."""
        return self._now() != self._stamp

    def __call__(self) -> T:
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            with contextlib.suppress(TiphysError):  # who needs it right is told when he begins
                self._value = self._load(self._path)
        return self._value


def shown(value: object) -> str:
    """A value in an error, not longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "this number"
    return text if len(text) <= 80 else f"{text[:80]}…"


@frozen
class RulesTables:
    """The tables of a file. ``error`` makes what is raised of a key, what is wrong with it, and what to do."""

    error: Callable[[str, str, str], TiphysError]

    def wrong(self, key: str, problem: str, fix: str = "") -> TiphysError:
        return self.error(key, problem, fix)

    def keys(self, given: Mapping[str, object], key: str, known: tuple[str, ...]) -> None:
        """Raises for a key that is none of the known ones."""
        for name in given:
            if name not in known:
                where = f"{key}.{name}" if key else name
                problem = f"nobody knows this key.{did_you_mean(name, known)}"
                raise self.wrong(where, problem, f"the keys here are {', '.join(known)}")

    def table(self, given: Mapping[str, object], key: str) -> Mapping[str, object]:
        """A table, empty when it is not there."""
        return self.mapping(given.get(key, {}), key)

    def mapping(self, value: object, key: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self.wrong(key, f"{shown(value)} is no table", f"write [{key}]")
        return value

    def amount(self, value: object, key: str, resource: str, fix: str = "") -> int:
        """So much of a resource, in what it is counted in."""
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.wrong(key, f"{shown(value)} is no amount")
        try:
            return whole_quantity(shown(value) if isinstance(value, int) else value, unit_of(resource))
        except ValueError as error:
            raise self.wrong(key, str(error), fix) from None
