"""A graph of tasks: names, edges from data flow, cycles, and Argo's ``depends``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import filterfalse
from typing import TYPE_CHECKING, Any, TypeAlias

from tiphys.argo.copies import plain_copy
from tiphys.compiler.line import Site
from tiphys.dsl.files import written_arguments
from tiphys.dsl.loops import LoopTemplate
from tiphys.dsl.pod import Defaults
from tiphys.dsl.task import RESULTS, Exit, TaskNode
from tiphys.dsl.values import Input, LoopItem, Output, ParameterValue, Value
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.dsl.template import StepTemplate

__all__ = ["Graph"]

_SUCCESS, _ORDER, _OPTIONAL = "success", "order", "optional"
_SUCCEEDED = (_SUCCESS, (RESULTS["succeeded"],))
_Bits: TypeAlias = dict[TaskNode, tuple[int, int]]
"""A bit for each task, and the bits of those whose success its own implies."""
_BITS = 1024
"""After so many tasks those for which none waits any more lose their bits, so a long graph takes as much for each."""
_OF_ITEMS = frozenset([RESULTS["any_succeeded"], RESULTS["all_failed"]])


class Graph:
    """Tasks that belong to one DAG template."""

    def __init__(self, name: str, site: Site) -> None:
        self.name = name
        self.site = site
        self.tasks: list[TaskNode] = []
        self._names: dict[TaskNode, str] = {}
        self._taken: dict[str, TaskNode] = {}

    def add(self, task: TaskNode) -> None:
        """Take a new task, which has no name of its own yet."""
        self.tasks.append(task)
        self._names.clear()

    def rename(self, task: TaskNode, name: str, site: Site) -> None:
        """Give ``task`` a name of its own."""
        if task.explicit_name:
            self._taken.pop(task.explicit_name, None)
        other = self._taken.get(name)
        if other is not None and other is not task:
            raise DefinitionError(
                "TIP102",
                f"two tasks of {self.name} are named {name!r}",
                where=str(site),
                cause=f"the other one is at {other.site}",
                fix="give one of them another name with .named(…)",
            )
        self._taken[name] = task
        task.explicit_name = name
        self._names.clear()

    def name_of(self, task: TaskNode) -> str:
        """The final name of ``task``: its own, or its template's with a number when that is taken."""
        return self._all_names()[task]

    def _all_names(self) -> Mapping[TaskNode, str]:
        if not self._names:
            used = set(self._taken)
            counts: dict[str, int] = {}
            for each in self.tasks:
                name = each.explicit_name
                if not name:
                    base = each.template.called
                    number = counts.get(base, 1)
                    name = base if number == 1 else f"{base}-{number}"
                    while name in used:
                        number += 1
                        name = f"{base}-{number}"
                    counts[base] = number + 1
                    used.add(name)
                self._names[each] = name
        return self._names

    def templates(self) -> Iterable[StepTemplate]:
        """The templates in use, each once, in order of first use."""
        found: dict[StepTemplate, None] = {}
        for task in self.tasks:
            found[task.loop or task.template] = None
            if task.exit is not None:
                found[task.exit.template] = None
        return found

    def dag(self, parameters: Iterable[ParameterValue], defaults: Defaults) -> dict[str, Any]:
        """Argo's ``dag``. ``parameters`` are those of the pipeline, to tell them from another pipeline's."""
        known = {id(p) for p in parameters}
        edges = {task: self._edges(task, known) for task in self.tasks}
        order = self._sorted(edges)
        depends = self._depends(edges, order)
        return {"tasks": [self._task(task, depends[task], defaults) for task in self.tasks]}

    def _edges(self, task: TaskNode, known: set[int]) -> dict[TaskNode, Any]:
        """What ``task`` waits for, and why."""
        edges: dict[TaskNode, Any] = {}
        for leaf, optional in task.uses():
            self._check_owner(task, leaf, known)
            if isinstance(leaf, Output):
                other = leaf.task
                assert isinstance(other, TaskNode)
                if edges.get(other) != _SUCCESS:
                    edges[other] = _OPTIONAL if optional else _ORDER if other.may_be_empty() else _SUCCESS
        for after in task.orders:
            for other in after.nodes:
                if other.graph is not self:
                    raise DefinitionError(
                        "TIP108",
                        f"{task.task_name} is ordered after {other.task_name}, which is in another graph",
                        where=str(after.site),
                        fix="order tasks of one graph, or pass a value between the graphs",
                    )
                if not after.results:
                    edges.setdefault(other, _ORDER)
                    continue
                if other.loop is not None and not _OF_ITEMS.isdisjoint(after.results):
                    raise DefinitionError(
                        "TIP118",
                        f"{task.task_name} asks for the single items of {other.task_name}",
                        where=str(after.site),
                        cause="a loop with limits is a template of its own, which succeeds or fails as a whole",
                        fix="say how many may fail: for_each(…, tolerate=…), and look at the output failures",
                    )
                edges[other] = after.results
        return edges

    def _check_owner(self, task: TaskNode, leaf: Value, known: set[int]) -> None:
        problem = ""
        if isinstance(leaf, Output) and isinstance(leaf.task, TaskNode) and leaf.task.graph is not self:
            problem = f"the graph {leaf.task.graph.name!r}"
        elif isinstance(leaf, Output) and not isinstance(leaf.task, TaskNode):
            problem = "a Hera DAG"
        elif isinstance(leaf, Input) and leaf.owner is not self:
            problem = "another template"
        elif isinstance(leaf, ParameterValue) and id(leaf) not in known:
            problem = "another pipeline"
        if problem:
            raise DefinitionError(
                "TIP108",
                f"{task.task_name} uses {leaf.describe()}, which belongs to {problem}",
                where=str(task.site),
                cause="a template sees only its own inputs, its own tasks and the pipeline's parameters",
                fix="pass the value as an argument, or return it from the @dag function",
            )

    def _sorted(self, edges: dict[TaskNode, dict[TaskNode, Any]]) -> list[TaskNode]:
        """Topological order. Raises DefinitionError (TIP107) that names the cycle."""
        order: dict[TaskNode, None] = {}
        for root in self.tasks:
            if edges[root].keys() <= order.keys():  # as mostly, or it has a place already
                order[root] = None
                continue
            # tasks that wait for each other, and what each waits for that has no place in the order yet
            path = {root: filterfalse(order.__contains__, edges[root])}
            while path:
                task, rest = next(reversed(path.items()))
                following = next(rest, None)
                if following is None:
                    order[task] = None
                    path.popitem()
                elif following not in path:
                    path[following] = filterfalse(order.__contains__, edges[following])
                else:
                    waiting = list(path)
                    cycle = [*waiting[waiting.index(following) :], following]
                    raise DefinitionError(
                        "TIP107",
                        "tasks wait for each other: " + " -> ".join(t.task_name for t in cycle),
                        where=str(task.site),
                        cause="each waits for the next: "
                        + ", ".join(f"{t.task_name} at {t.site}" for t in cycle[:-1]),
                        fix="remove one .after(…) or one argument on that path",
                    )
        return list(order)

    def _depends(
        self, edges: dict[TaskNode, dict[TaskNode, Any]], order: list[TaskNode]
    ) -> dict[TaskNode, str]:
        """``depends`` for each task, without what another dependency implies."""
        names = self._all_names()
        may_skip = {task for task in order if _may_skip(task)}
        bits: _Bits = {}
        width, most = 0, _BITS
        last: dict[TaskNode, int] = {}  # of each task the last that waits for it
        if len(order) > most:
            last = {other: number for number, task in enumerate(order) for other in edges[task]}
        result: dict[TaskNode, str] = {}
        for number, task in enumerate(order):
            if width == most:
                bits = _narrowed(bits, last, number)
                width = max((own.bit_length() for own, _ in bits.values()), default=0)
                most = max(_BITS, 2 * width)
            mine = through = 0
            for other, kind in edges[task].items():
                # whether the edge means that the other has succeeded
                if (other not in may_skip) if kind == _ORDER else (kind in _SUCCEEDED):
                    own, implied = bits[other]
                    mine |= own
                    through |= implied
            bits[task] = (1 << width, mine | through)
            width += 1
            clauses = []
            for other, kind in edges[task].items():
                if not through & bits[other][0] or isinstance(kind, tuple):
                    clauses.append(_clause(names[other], kind, other in may_skip))
            result[task] = " && ".join(clauses)
        return result

    def _task(self, task: TaskNode, depends: str, defaults: Defaults) -> dict[str, Any]:
        if task.loop is not None:
            return self._limited(task, task.loop, depends, defaults)
        template = task.template
        body: dict[str, Any] = {"name": task.task_name, "template": template.name}
        arguments = {**task.arguments, **template.extra_arguments(task.arguments, defaults)}
        if given := written_arguments(template.inputs, arguments, _text):
            body["arguments"] = given
        if depends:
            body["depends"] = depends
        if task.condition is not None:
            body["when"] = task.condition.tag()
        item = task.looped()
        if item is not None:
            body.update(self._loop(task, item))
        if task.exit is not None:
            body["hooks"] = {"exit": _hook(task.exit)}
        return body

    def _limited(
        self, task: TaskNode, loop: LoopTemplate, depends: str, defaults: Defaults
    ) -> dict[str, Any]:
        item = task.looped()
        assert item is not None
        self._loop(task, item)
        loop.check_items()
        body: dict[str, Any] = {"name": task.task_name, "template": loop.name}
        if arguments := loop.arguments(defaults, _text):
            body["arguments"] = arguments
        if depends:
            body["depends"] = depends
        if task.condition is not None and loop.when_as_a_whole:
            body["when"] = task.condition.tag()
        if task.exit is not None:
            body["hooks"] = {"exit": _hook(task.exit)}
        return body

    @staticmethod
    def _loop(task: TaskNode, item: LoopItem) -> dict[str, Any]:
        root = getattr(item, "item", item)
        for value in task.values():
            for leaf in value.leaves():
                if isinstance(leaf, LoopItem) and getattr(leaf, "item", leaf) is not root:
                    raise DefinitionError(
                        "TIP118",
                        f"{task.task_name} uses the items of two loops",
                        where=str(task.site),
                        cause="Argo runs a task over one list",
                        fix="loop over one list of objects, or put one loop inside a @dag",
                    )
        if isinstance(item.source, Value):
            return {"withParam": item.source.tag()}
        assert isinstance(item.source, list)
        return {"withItems": plain_copy(item.source)}


def _narrowed(bits: _Bits, last: Mapping[TaskNode, int], number: int) -> _Bits:
    """The bits of those for which a task waits that has this ``number`` or a later one, as far to the right as they
    go."""
    asked = {task: both for task, both in bits.items() if last.get(task, -1) >= number}
    gone = min((own.bit_length() for own, _ in asked.values()), default=1) - 1
    return {task: (own >> gone, implied >> gone) for task, (own, implied) in asked.items()}


def _may_skip(task: TaskNode) -> bool:
    """Whether a task may come to no end of its own: by a condition, or over an empty list."""
    if task.loop is not None:
        return task.loop.when_as_a_whole
    return task.condition is not None or task.looped() is not None


def _clause(name: str, kind: Any, may_skip: bool) -> str:
    """What a task waits for of another, as Argo's ``depends`` has it."""
    if isinstance(kind, tuple):
        text = " || ".join(f"{name}.{result}" for result in kind)
        return f"({text})" if len(kind) > 1 else text
    if kind == _OPTIONAL:
        return f"({name}.Succeeded || {name}.Skipped || {name}.Omitted)"
    return f"{name}.Succeeded" if kind == _SUCCESS and may_skip else name


def _hook(exit: Exit) -> dict[str, Any]:
    """What runs when a task has ended."""
    hook: dict[str, Any] = {"template": exit.template.name}
    if given := written_arguments(exit.template.inputs, exit.arguments, _text):
        hook["arguments"] = given
    return hook


def _text(value: Value | str) -> str:
    """An argument as Argo reads it. What a loop makes is a list, also when nothing ran."""
    if not isinstance(value, Value):
        return value
    if (
        isinstance(value, Output)
        and not value.rewritten
        and isinstance(value.task, TaskNode)
        and value.task.may_be_empty()
    ):
        return "{{=" + f"{value.expr()} ?? '[]'" + "}}"
    return value.tag()
