"""sprig's functions that draw: each draw is decided by the present moment and how many came before it in it.

A run that is replayed from its journal sees the same moments, so it draws the same values again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tiphys.expr.budget import within
from tiphys.expr.moment import PRESENT

Value = Any

if TYPE_CHECKING:
    from random import Random

__all__ = ["RANDOM"]

_DRAWN: ContextVar[tuple[float, int]] = ContextVar("tiphys-drawn", default=(0.0, 0))
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
_ASCII = "".join(chr(code) for code in range(32, 127))


def _random() -> Random:
    from random import Random  # slow to import, and few expressions draw anything

    moment = PRESENT.get()
    last, count = _DRAWN.get()
    count = count + 1 if last == moment else 0
    _DRAWN.set((moment, count))
    return Random(f"{moment!r}/{count}")


def _draw(letters: str) -> Callable[[int], str]:
    return lambda count: "".join(_random().choices(letters, k=_size(count)))


def _size(count: int) -> int:
    within(count)
    return count


def _shuffle(text: str) -> str:
    letters = list(text)
    _random().shuffle(letters)
    return "".join(letters)


def _uuid() -> str:
    from uuid import UUID  # slow to import

    return str(UUID(int=_random().getrandbits(128), version=4))


RANDOM: dict[str, Callable[..., Value]] = {
    "uuidv4": _uuid,
    "randAlphaNum": _draw(_LETTERS + _DIGITS),
    "randAlpha": _draw(_LETTERS),
    "randNumeric": _draw(_DIGITS),
    "randAscii": _draw(_ASCII),
    "randInt": lambda low, high: _random().randrange(low, high),
    "randBytes": lambda count: base64.b64encode(_random().randbytes(_size(count))).decode(),
    "shuffle": _shuffle,
}
