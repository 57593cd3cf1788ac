"""What is only known when the workflow runs: Python's operators cannot work on it, and say so with a code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tiphys.compiler.line import Site, caller
from tiphys.errors import DefinitionError

__all__ = ["Pending"]


class Pending:
    """The base of values and tasks."""

    def _shown(self) -> str:
        raise NotImplementedError

    def _as_value(self, site: Site | None = None) -> Any:
        """As a value: a value itself, a task its only output. Raises DefinitionError (TIP106)."""
        raise NotImplementedError

    def _refuse(self, what: str, fix: str = "") -> NoReturn:
        raise DefinitionError(
            "TIP114",
            f"{what}, while the pipeline is being built",
            where=str(caller()),
            cause=f"{self._shown()} exists only while the workflow runs",
            fix=fix or "do it in a component, whose inputs are plain Python values",
        )

    def _calculate(self, *_: object) -> NoReturn:
        self._refuse(
            f"Python cannot calculate with {self._shown()}",
            "calculate in a component; for text use compose('…{x}…', x=value)",
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _calculate
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _calculate
    __neg__ = __pos__ = __abs__ = __round__ = _calculate

    def _convert(self) -> NoReturn:
        self._refuse(f"Python asked for the value of {self._shown()}")

    __int__ = __float__ = __index__ = __len__ = _convert

    def _order(self, _: object) -> NoReturn:
        raise DefinitionError(
            "TIP105",
            "only tasks are ordered, with >> and never with <<",
            where=str(caller()),
            fix="write second.after(first); a task that takes another's output waits for it anyway",
        )

    __rshift__: Callable[..., Any] = _order
    __rrshift__: Callable[..., Any] = _order
    __lshift__ = __rlshift__ = _order

    def __getitem__(self, key: Any) -> Any:
        self._refuse(
            f"Python cannot look up {self._shown()}[{key!r}]",
            "take the element in a component, or run a task for each: for_each(value)",
        )

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse(f"{self._shown()} cannot be called", "call the component: its result is the task")
