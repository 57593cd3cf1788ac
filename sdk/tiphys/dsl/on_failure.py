"""What follows when a step fails, by its cause: compiled to what Argo does by itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tiphys.argo.quantity import quantity
from tiphys.causes.conditions import OOM, WORDS, retried
from tiphys.compiler.line import Site, caller
from tiphys.dsl.durations import go_duration, whole_seconds
from tiphys.dsl.resources import Resources
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.argo.types import RetryStrategy

__all__ = ["Again", "MoreMemory", "OnFailure"]

_MIB = 2**20
_WHY: Mapping[str, str] = {
    "code": "an error of the code is there again in the next attempt",
    "oom": "the same limit would be too small again",
}
_WRITE: Mapping[str, str] = {
    "code": "leave it out; retry=Retry(…) is for code that fails by chance",
    "oom": "write MoreMemory(2), or None",
}
_WAIT = "1s"  # Argo counts `within` only where it waits between attempts


@dataclass(frozen=True, slots=True)
class Again:
    """The same once more, while fewer than ``times`` attempts have been repeated, for whatever cause.

    ``within`` is the time that all attempts have together, from the start of the first: Argo ends also the attempt that
    runs when it is over.
    """

    times: int = 2
    within: str | timedelta | None = None
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_times(self, self.times, self.site)
        if self.within is not None:
            whole_seconds(self.within, "within", self.site)


@dataclass(frozen=True, slots=True)
class MoreMemory:
    """Once more with twice the memory for each attempt before, at most ``up_to`` ("8Gi"; else as often doubled as there
    are ``times``), while fewer than ``times`` attempts have been repeated."""

    times: int = 2
    up_to: str = ""
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_times(self, self.times, self.site)
        if self.up_to:
            Resources(memory=self.up_to, site=self.site)  # says what is wrong with a quantity

    def mebibytes(self, resources: Resources) -> tuple[int, int, int]:
        """Request and limit of the first attempt, and the most. Raises DefinitionError TIP109."""
        amounts = resources.amounts()
        request, limit = (
            math.ceil(quantity(amounts[each]["memory"]) / _MIB) for each in ("requests", "limits")
        )
        most = math.ceil(quantity(self.up_to) / _MIB) if self.up_to else limit * 2**self.times
        if most <= limit:
            raise DefinitionError(
                "TIP109",
                f"MoreMemory(up_to={self.up_to!r}) is not more than the memory limit, {amounts['limits']['memory']}",
                where=str(self.site),
                cause="an attempt with the same limit would end in the same way",
                fix="give more, or a lower limit to begin with: Resources(memory_limit=…)",
            )
        return request, limit, most

    def grown(self, resources: Resources) -> dict[str, dict[str, str]]:
        """The resources of the main container in ``podSpecPatch``: they grow if the last attempt ended for memory."""
        request, limit, most = self.mebibytes(resources)

        def text(first: int) -> str:
            return f"{{{{={OOM} ? min({most}, {first} * 2 ** int(retries)) : {first}}}}}Mi"

        return {"requests": {"memory": text(request)}, "limits": {"memory": text(limit)}}


@dataclass(frozen=True, slots=True)
class OnFailure:
    """What follows when a step fails, by its cause (docs/operations.md); None: it has failed.

    ``preempted``: deleted, evicted or killed from outside. ``node_lost``: its node went down. ``oom``: it needed more
    memory than its limit. ``timeout``: its time was over. An error of the code is
    permanent: ``code`` may only be None.
    """

    preempted: Again | None = field(default_factory=Again)
    node_lost: Again | None = field(default_factory=Again)
    oom: MoreMemory | None = None
    timeout: Again | None = None
    code: None = None
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        for kind in (*WORDS, "code"):
            value = getattr(self, kind, None)
            if value is None or (
                kind != "code" and isinstance(value, MoreMemory if kind == "oom" else Again)
            ):
                continue
            raise DefinitionError(
                "TIP105",
                f"OnFailure({kind}={value!r})",
                where=str(self.site),
                cause=_WHY.get(kind, ""),
                fix=_WRITE.get(kind, "write Again(5), or None"),
            )

    def strategy(self) -> RetryStrategy | None:
        """Argo's ``retryStrategy``; None where nothing is tried again."""
        chosen = ((kind, getattr(self, kind, None)) for kind in WORDS)
        budgets = {kind: again.times for kind, again in chosen if again is not None}
        if not budgets:
            return None
        result: RetryStrategy = {
            "limit": str(max(budgets.values())),
            "retryPolicy": "Always",
            "expression": retried(budgets),
        }
        if within := self._within():
            result["backoff"] = {"duration": _WAIT, "factor": "1", "maxDuration": within}
        return result

    def patch(self, resources: Resources, text: str) -> str:
        """``podSpecPatch`` with the memory of the main container."""
        if self.oom is None:
            return text
        patch = json.loads(text)
        own = {"name": "main", "resources": self.oom.grown(resources)}
        patch["containers"] = [*(patch.get("containers") or ()), own]
        return json.dumps(patch, separators=(",", ":"))

    def _within(self) -> str:
        """The longest that is given: Argo has one for all causes."""
        given = [
            each
            for kind in WORDS
            if isinstance(chosen := getattr(self, kind, None), Again) and (each := chosen.within) is not None
        ]
        longest = max(given, key=lambda each: whole_seconds(each, "within", self.site), default=None)
        return go_duration(longest, "within", self.site)


def _check_times(what: object, times: object, site: Site) -> None:
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 20:
        raise DefinitionError(
            "TIP109",
            f"{type(what).__name__}({times!r})",
            where=str(site),
            cause="it counts the attempts after the first",
            fix="give a whole number from 1 to 20, or leave the cause out",
        )
