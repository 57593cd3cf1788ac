"""The limits of a loop, as an author writes them: ``for_each(rates, parallel=2, tolerate=1, until=…)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from tiphys.compiler.line import Site
from tiphys.errors import DefinitionError

__all__ = ["LoopLimits", "limits_of"]


@dataclass(frozen=True)
class LoopLimits:
    """``parallel``: items at a time. ``tolerate``: how many may fail, or which share. ``until``: which trial ends the
    loop."""

    parallel: int | None
    tolerate: int | float
    until: Callable[[Any], Any] | None
    site: Site

    @property
    def counted(self) -> bool:
        """Whether the items are counted, which takes a graph for each."""
        return bool(self.tolerate) or self.until is not None


def limits_of(parallel: object, tolerate: object, until: object, site: Site) -> LoopLimits | None:
    """The limits as written, looked at; None without any. Raises DefinitionError TIP105 and TIP109."""
    problem = ""
    if parallel is not None and (type(parallel) is not int or parallel < 1):
        problem = f"parallel={parallel!r}: it is a number of items, at least 1"
    elif isinstance(tolerate, bool) or not isinstance(tolerate, int | float) or not tolerate >= 0:
        problem = f"tolerate={tolerate!r}: it is a number of items, or a share between 0 and 1"
    elif isinstance(tolerate, float) and not tolerate <= 1:
        problem = f"tolerate={tolerate!r}: a share is at most 1.0; a number of items is an int"
    if problem:
        raise DefinitionError(
            "TIP109",
            f"for_each({problem}",
            where=str(site),
            cause="it is fixed when the pipeline is compiled",
            fix="write for_each(rates, parallel=2, tolerate=1), or tolerate=0.25 for a quarter of them",
        )
    if until is not None and not callable(until):
        raise DefinitionError(
            "TIP105",
            f"for_each(until={until!r}) is no function of a trial",
            where=str(site),
            cause="it is asked of the outputs of each item by itself",
            fix="write until=lambda trial: trial.accuracy >= 0.95",
        )
    if parallel is None and not tolerate and until is None:
        return None
    return LoopLimits(
        cast("int | None", parallel),
        cast("float", tolerate),
        cast("Callable[[Any], Any] | None", until),
        site,
    )
