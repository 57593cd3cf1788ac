"""When a step that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from tiphys.causes.conditions import OOM
from tiphys.compiler.line import Site, caller
from tiphys.dsl.durations import go_duration
from tiphys.errors import DefinitionError

__all__ = ["Retry"]

_POLICY = {"failure": "OnFailure", "error": "OnError", "always": "Always"}
# -1: no exit code (evicted, node lost); 137 and 143: killed from outside; the last: the pod that watches a
# resource was evicted (it ends as Failed with exit code 64). Not what needs more memory: it would need it again
_INFRASTRUCTURE = (
    f"!({OOM}) && (lastRetry.status == 'Error' || lastRetry.exitCode in ['-1', '137', '143']"
    " || lastRetry.message contains 'low on resource' || lastRetry.message contains 'context canceled')"
)


@dataclass(frozen=True, slots=True)
class Retry:
    """``limit`` more attempts after the first (Argo counts them so), after failures, errors or both.

    ``backoff`` waits before the second attempt and doubles each time up to ``max_backoff``. ``expression`` is
    expr-lang over ``lastRetry.{exitCode,status,duration,message}`` and ``retries``, and decides in the end.
    """

    limit: int = 2
    on: Literal["failure", "error", "always"] = "failure"
    backoff: str | timedelta | None = None
    max_backoff: str | timedelta | None = None
    expression: str = ""
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.limit, bool) or not isinstance(self.limit, int) or self.limit < 1:
            raise DefinitionError(
                "TIP109",
                f"Retry(limit={self.limit!r})",
                where=str(self.site),
                cause="the limit counts the attempts after the first",
                fix="give a whole number of at least 1, or leave retry out",
            )
        if self.on not in _POLICY:
            raise DefinitionError(
                "TIP109",
                f"Retry(on={self.on!r})",
                where=str(self.site),
                fix='use "failure", "error" or "always"',
            )
        if self.max_backoff and not self.backoff:
            raise DefinitionError(
                "TIP109",
                "Retry has max_backoff without backoff",
                where=str(self.site),
                cause="Argo needs a first duration to grow from",
                fix='for example Retry(backoff="10s", max_backoff="5m")',
            )
        self.strategy()

    @classmethod
    def on_infrastructure(cls, limit: int = 2) -> Retry:
        """Try again when the pod was lost or killed, but not when the code failed, nor when it needs more memory
        (:class:`tiphys.OnFailure` gives it more)."""
        return cls(limit=limit, on="always", expression=_INFRASTRUCTURE)

    def strategy(self) -> dict[str, Any]:
        """Argo's ``retryStrategy``."""
        result: dict[str, Any] = {"limit": str(self.limit), "retryPolicy": _POLICY[self.on]}
        if self.expression:
            result["expression"] = self.expression
        if self.backoff:
            result["backoff"] = {"duration": go_duration(self.backoff, "backoff", self.site), "factor": "2"}
            if self.max_backoff:
                result["backoff"]["cap"] = go_duration(self.max_backoff, "max_backoff", self.site)
        return result
