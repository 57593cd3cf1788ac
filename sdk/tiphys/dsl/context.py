"""What a call means where it is written: in a pipeline, in a plain Hera DAG or Steps, or in ordinary
Python."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args, get_origin

from tiphys.compiler.line import Site, caller, raised_at
from tiphys.dsl.graphs import Graph
from tiphys.dsl.loop_limits import limits_of
from tiphys.dsl.pending import Pending
from tiphys.dsl.task import Task, TaskNode
from tiphys.dsl.template import StepTemplate, bind
from tiphys.dsl.values import LoopItem, Value
from tiphys.errors import DefinitionError
from tiphys.step.kinds import plain

__all__ = ["CallableTemplate", "GraphScope", "for_each", "graph_here", "invoke", "refuse_hera"]


class GraphScope:
    """A graph that is being written, on Hera's stack of contexts (so that Hera's own objects see their
    workflow)."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def _add_sub(self, node: Any) -> None:
        pieces = _pieces()
        if pieces and pieces[0] is not self:
            pieces[0]._add_sub(node)

    def __enter__(self) -> Graph:
        from hera.workflows._context import _context

        _context.enter(self)
        return self.graph

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        from hera.workflows._context import _context

        _context.exit()
        refuse_hera(error, trace)


def _pieces() -> list[Any]:
    module = sys.modules.get("hera.workflows._context")
    return (module._context.pieces or []) if module else []


def refuse_hera(error: Any, trace: Any) -> None:
    """Say with a code what Hera has refused because the innermost context is ours (TIP113)."""
    if type(error).__name__ in ("InvalidTemplateCall", "InvalidType"):
        raise DefinitionError(
            "TIP113",
            "a task of Hera is made in a Pipeline",
            where=str(raised_at(trace)),
            cause="nothing would run it: what is called there is a task, be it a component or a template of Hera's",
            fix="call the template itself: publish(text=…); or make it a component (@component above the function)",
        ) from error


def graph_here() -> Graph | None:
    """The graph of Tiphys that is being written, if the innermost context is one."""
    return _graph_of(_pieces())


def _graph_of(pieces: list[Any]) -> Graph | None:
    graph = getattr(pieces[-1], "graph", None) if pieces else None
    return graph if isinstance(graph, Graph) else None


def invoke(template: StepTemplate, args: tuple[Any, ...], arguments: dict[str, Any], site: Site) -> Any:
    """Make a task where the call stands, or call the function in ordinary Python."""
    pieces = _pieces()
    if not pieces:
        return template.outside(args, arguments, site)
    if (graph := _graph_of(pieces)) is not None:
        return Task(TaskNode(template, bind(template, args, arguments, site), graph, site))
    from tiphys.dsl.hera_tasks import hera_task

    return hera_task(template, args, arguments, pieces, site)


class CallableTemplate(StepTemplate):
    """A template that is called where its task is wanted."""

    def __call__(self, *args: Any, **arguments: Any) -> Any:
        """A task inside a pipeline or one of Hera's DAGs or Steps; what the template stands for in ordinary Python."""
        return invoke(self, args, arguments, caller())


def for_each(
    items: Sequence[Any] | Value,
    *,
    parallel: int | None = None,
    tolerate: int | float = 0,
    until: Callable[[Any], Any] | None = None,
) -> LoopItem:
    """An item that stands for each of ``items``: a task that takes it runs once for each, in parallel.

    ``items`` is a list, or an output or parameter of type ``list[…]``. The outputs of such a task are lists.
    ``parallel``: at most so many items at a time. ``tolerate``: so many items may fail (an int) or such a share of them
    (a float up to 1.0); what failed is absent from the lists, whose order is that of the items.
    ``until=lambda trial: trial.accuracy >= 0.95``: items run in rounds of ``parallel`` (1 unless said), and no further
    round begins when the condition holds for a trial. More than 64 rounds become larger ones, which still run
    ``parallel`` items at a time. With ``tolerate`` or ``until`` the task has two more outputs: ``done_items``, the
    items that the lists are of, and ``failures``, how many failed.

    Raises DefinitionError: TIP118 what is no list, TIP105 and TIP109 options that cannot be.
    """
    site = caller()
    limits = limits_of(parallel, tolerate, until, site)
    if isinstance(items, Pending):
        items = items._as_value(site)
    if isinstance(items, Value):
        if (get_origin(items.type) or items.type) not in (list, tuple, Any):
            raise DefinitionError(
                "TIP118",
                f"for_each over {items.describe()}, which is not a list",
                where=str(site),
                fix="annotate the output as list[…]",
            )
        inner = get_args(items.type)
        return LoopItem(items, inner[0] if inner else Any, limits=limits)
    if isinstance(items, (str, bytes)) or not isinstance(items, Sequence):
        raise DefinitionError(
            "TIP118",
            f"for_each over {type(items).__name__}",
            where=str(site),
            cause="a loop needs a list whose order is fixed",
            fix="pass a list or a tuple",
        )
    values = [_item(value, site) for value in items]
    kinds = {type(value) for value in items}
    return LoopItem(values, kinds.pop() if len(kinds) == 1 else Any, limits=limits)


def _item(value: object, site: Site) -> object:
    """An item of a fixed list as JSON has it. Raises DefinitionError (TIP118)."""
    try:
        found = plain(value)
    except TypeError:  # a set without an order
        found = None
    if not _may_be_an_item(found):
        raise DefinitionError(
            "TIP118",
            f"for_each over a list with {value!r}",
            where=str(site),
            cause="the items of a fixed list are numbers (of at most 64 bits), strings, booleans, times, or lists, "
            "records or objects of these",
            fix="pass such values; for outputs of other tasks, use one output of type list[…]",
        )
    return found


def _may_be_an_item(value: object) -> bool:
    if isinstance(value, str):
        return "{{" not in value
    if isinstance(value, dict):
        return all(isinstance(k, str) and (v is None or _may_be_an_item(v)) for k, v in value.items())
    if isinstance(value, list):
        return all(v is None or _may_be_an_item(v) for v in value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63  # what is larger Argo reads as a float
    return isinstance(value, float)
