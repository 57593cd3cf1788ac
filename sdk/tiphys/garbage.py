"""How often Python looks for garbage."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["never_collected", "seldom_collected", "settled"]

_THRESHOLD = 20_000


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Look when there are 20 000 objects more than at the last look, not 700.

    What a run keeps is all alive, and a tenth of its CPU went into finding that out; so is what an import makes: a
    tenth of Hera's. A pod leaves some 60 objects that only a look frees, so no more than those of a few hundred pods
    wait for it.
    """
    before = gc.get_threshold()
    if before[0]:  # 0: whoever calls wants none
        gc.set_threshold(max(before[0], _THRESHOLD), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextlib.contextmanager
def never_collected() -> Iterator[None]:
    """Do not look: for what makes many small objects and no cycles worth collecting, as a compilation or a lint, which
    take half as long. What is left is looked at once it is over."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """Do not look, nor ever again at what is there by then: what a command imports and reads before its work stays
    until its end, where whoever began it calls :func:`gc.unfreeze`."""
    with never_collected():
        yield
        gc.freeze()
