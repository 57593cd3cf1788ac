"""A task: one use of a template inside a graph, with its arguments, order, condition and loop.

:class:`Task` is what a call returns; it has few names of its own, so that outputs can be its attributes. What
is known about it is kept in a :class:`TaskNode`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tiphys.compiler.line import Site, caller
from tiphys.dsl.files import output_value
from tiphys.dsl.habits import of_call, of_task
from tiphys.dsl.loop_limits import LoopLimits
from tiphys.dsl.loop_parts import element
from tiphys.dsl.loops import LoopTemplate
from tiphys.dsl.names import check_name
from tiphys.dsl.pending import Pending
from tiphys.dsl.template import Argument, StepTemplate, bind
from tiphys.dsl.values import ConditionValue, Expression, LoopItem, Output, Value, as_condition
from tiphys.errors import DefinitionError, UnknownNameError, did_you_mean
from tiphys.frozen import frozen
from tiphys.step.kinds import form

__all__ = ["After", "Exit", "Result", "Task", "TaskNode", "no_output"]

Result = Literal["succeeded", "failed", "errored", "skipped", "omitted", "any_succeeded", "all_failed"]
_METHODS = "use named(), after(), when() or on_exit(); or change the options of the call: train(…).using(…)"
RESULTS: Mapping[str, str] = {
    "succeeded": "Succeeded",
    "failed": "Failed",
    "errored": "Errored",
    "skipped": "Skipped",
    "omitted": "Omitted",
    "any_succeeded": "AnySucceeded",
    "all_failed": "AllFailed",
}


@frozen
class After:
    """An order that no value says: the nodes and, in Argo's words, the results of each that let the next one start
    (empty: Argo's default)."""

    nodes: tuple[TaskNode, ...]
    results: tuple[str, ...]
    site: Site


@dataclass(frozen=True, slots=True)
class Exit:
    """A template that runs when a task has ended in any way."""

    template: StepTemplate
    arguments: Mapping[str, Argument]
    site: Site


class TaskGraph(Protocol):
    """The graph as its tasks know it; see :class:`tiphys.dsl.graphs.Graph`."""

    name: str
    tasks: list[TaskNode]

    def add(self, task: TaskNode) -> None:
        """Take a new task."""

    def name_of(self, task: TaskNode) -> str:
        """The final name of a task."""

    def rename(self, task: TaskNode, name: str, site: Site) -> None:
        """Give a task a name of its own."""


class _Trial:
    """The graph of one item of a loop, as the condition that ends the loop sees it."""

    name = ""

    def __init__(self) -> None:
        self.tasks: list[TaskNode] = []

    def add(self, task: TaskNode) -> None:
        self.tasks.append(task)

    def name_of(self, task: TaskNode) -> str:
        return task.template.called

    def rename(self, task: TaskNode, name: str, site: Site) -> None:
        raise DefinitionError(
            "TIP105",
            "a trial is not named",
            where=str(site),
            fix="return a condition: trial.accuracy >= 0.95",
        )


class TaskNode:
    """What is known about one use of a template. ``loop``: it over all items as a template of its own, where the loop
    has limits."""

    scope = "tasks"

    def __init__(
        self, template: StepTemplate, arguments: dict[str, Argument], graph: TaskGraph, site: Site
    ) -> None:
        self.template = template
        self.arguments = arguments
        self.graph = graph
        self.site = site
        self.explicit_name = ""
        self.orders: list[After] = []
        self.condition: ConditionValue | None = None
        self.exit: Exit | None = None
        self._item = self._loop_item()
        self.loop = self._limited()
        graph.add(self)

    @property
    def task_name(self) -> str:
        """The final name, unique in its graph."""
        return self.graph.name_of(self)

    def output(self, name: str) -> Output:
        """The output ``name`` (Python's or the workflow's spelling). Raises DefinitionError (TIP106)."""
        for field in self.template.outputs:
            if field.is_called(name):
                result = field.result and self.loop is None
                looped = self.looped() is not None
                if field.is_file:
                    return output_value(
                        self, field, digests=self.template.digests, looped=looped, site=caller()
                    )
                if not looped:
                    return Output(self, field.name, field.type, result=result)
                # of text that is collected only the type tells whether it is None
                kind: Any = field.type | None if field.nullable and form(field.type) == "text" else field.type
                return Output(self, field.name, list[kind], result=result, each=element(kind))
        if self.loop is not None and (found := self.loop.extra_output(name)) is not None:
            return Output(self, *found)
        raise no_output(self.template, name)

    def tag(self) -> str:
        """How text spells the node: its only output, or the whole node, which nothing accepts."""
        if len(self.template.outputs) == 1:
            return self.output(self.template.outputs[0].python).tag()
        return "{{" + f"{self.scope}.{self.task_name}.outputs" + "}}"

    def only_output(self, site: Site) -> Output:
        """The single output, when the task itself is passed as an argument."""
        declared = [field for field in self.template.outputs if not field.result]
        names = [field.python for field in declared or self.template.outputs]
        if len(names) == 1:
            return self.output(names[0])
        raise DefinitionError(
            "TIP106",
            f"the task {self.template.name} has {len(names)} outputs, so it cannot stand for one",
            where=str(site),
            cause=f"outputs are: {', '.join(names) or 'none'}",
            fix=f"pass one of them, for example {self.template.name}.{names[0]}"
            if names
            else "use .after(task) for order without data",
        )

    def looped(self) -> LoopItem | None:
        """The loop item among the arguments, if any."""
        return self._item

    def _loop_item(self) -> LoopItem | None:
        for value in self.arguments.values():
            if isinstance(value, Value):
                for leaf in value.leaves():
                    if isinstance(leaf, LoopItem):
                        return leaf
        return None

    @property
    def graph_name(self) -> str:
        """The name of the template that it is in."""
        return self.graph.name

    def _limited(self) -> LoopTemplate | None:
        item = self._item
        if item is None or not isinstance(item.limits, LoopLimits):
            return None
        trial, until = TaskNode(self.template, {}, _Trial(), self.site), item.limits.until
        ends = None if until is None else as_condition(until(Task(trial)))
        return LoopTemplate(self, item, item.limits, trial, ends)

    def may_be_empty(self) -> bool:
        """Whether it is a loop whose list may be empty, so that Argo skips it and has no lists of its outputs."""
        item = self.looped()
        return item is not None and isinstance(item.source, Value) and self.loop is None

    def values(self) -> list[Value | ConditionValue]:
        """Everything whose leaves this task depends on."""
        found: list[Value | ConditionValue] = []
        for value in self.arguments.values():
            if isinstance(value, Value):
                found.append(value)
        if self.condition is not None:
            found.append(self.condition)
        if self._item is not None and isinstance(self._item.source, Value):
            found.append(self._item.source)
        if self.loop is not None:
            found += self.loop.outer_values()
        return found

    def uses(self) -> list[tuple[Value, bool]]:
        """Leaves and whether each may be absent."""
        found: list[tuple[Value, bool]] = []
        for value in self.values():
            if isinstance(value, Expression):
                found += value.outputs()
            else:
                found += [(leaf, False) for leaf in value.leaves()]
        return found


def no_output(template: StepTemplate, name: str) -> UnknownNameError:
    """What to say when ``name`` is looked for in a task of ``template`` (TIP106)."""
    names = [field.python for field in template.outputs]
    word = of_task(name)
    return UnknownNameError(
        "TIP106",
        f"{template.name} has no output {name!r}.{'' if word else did_you_mean(name, names)}",
        where=str(caller()),
        cause=f"outputs are: {', '.join(names) or 'none'}",
        fix=word or ("add a field to the dataclass that the function returns" if names else "return a value"),
    )


class TaskOutputs:
    """The outputs of a task by name: ``task.outputs.accuracy``, ``task.outputs["accuracy"]``."""

    def __init__(self, node: TaskNode) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Output:
        if name == "_node" or name.startswith("__"):
            raise AttributeError(name)
        return self._node.output(name)

    def __getitem__(self, name: str) -> Output:
        return self._node.output(str(name))

    def __iter__(self) -> Iterator[Output]:
        return iter([self._node.output(field.python) for field in self._node.template.outputs])

    def __str__(self) -> str:
        return self._node.tag()

    def __repr__(self) -> str:
        return f"<Outputs of {self._node.task_name}>"


class Task(Pending):
    """One use of a template. Its outputs are attributes: ``task.accuracy``.

    Passing an output to another task makes that task wait for this one; nothing is looked up by name. An
    output that is called like a method of this class is found in ``task.outputs``.
    """

    _node: TaskNode

    def __init__(self, node: TaskNode) -> None:
        super().__setattr__("_node", node)

    @property
    def outputs(self) -> TaskOutputs:
        """All outputs, by attribute."""
        return TaskOutputs(self._node)

    def __getattr__(self, name: str) -> Any:
        if name == "_node" or name.startswith("__"):
            raise AttributeError(name)
        return self._node.output(name)

    def __setattr__(self, name: str, value: object) -> None:
        raise UnknownNameError(
            "TIP103",
            f"a task has no field {name!r} that could be set",
            where=str(caller()),
            cause="it would have no effect",
            fix=of_task(name) or of_call(name) or _METHODS,
        )

    def __bool__(self) -> bool:
        """As any object: ``if previous: task.after(previous)`` asks whether there is one."""
        return True

    def __lt__(self, other: object) -> ConditionValue:
        return self._as_value() < other

    def __le__(self, other: object) -> ConditionValue:
        return self._as_value() <= other

    def __gt__(self, other: object) -> ConditionValue:
        return self._as_value() > other

    def __ge__(self, other: object) -> ConditionValue:
        return self._as_value() >= other

    def __invert__(self) -> ConditionValue:
        return ~self._as_value()

    def __and__(self, other: object) -> ConditionValue:
        return self._as_value() & other

    def __or__(self, other: object) -> ConditionValue:
        return self._as_value() | other

    def __getitem__(self, name: object) -> Any:
        if isinstance(name, str):
            return self._node.output(name)
        self._refuse(f"Python cannot look up task[{name!r}]", "name the output: task.accuracy")

    def __iter__(self) -> Iterator[Any]:
        self._refuse(
            f"the task {self._node.template.name} cannot be taken apart",
            "name each output: task.accuracy; for a loop over a list use for_each(task.items)",
        )

    def __rshift__(self, other: object) -> Any:
        """``first >> second``, or a list of them: an order without data, as :meth:`after` says it."""
        for task in other if isinstance(other, (list, tuple)) else (other,):
            if not isinstance(task, Task):
                self._order(other)
            task.after(self)
        return other

    def __rrshift__(self, others: object) -> Task:
        """``[first, second] >> third``."""
        if not isinstance(others, (list, tuple)) or not all(isinstance(each, Task) for each in others):
            self._order(others)
        return self.after(*others)

    def named(self, name: str) -> Task:
        """Give the task its own name in the graph."""
        site = caller()
        check_name(name, "a task", site)
        self._node.graph.rename(self._node, name, site)
        return self

    def using(self, **options: Any) -> Task:
        """Other options of the component for this call: ``train(rate=0.1).using(resources=Resources(memory="8Gi"))``.

        They are a template of their own; calls with equal options share it. Raises DefinitionError as
        :meth:`tiphys.Component.using`, and TIP103 for what is no component.
        """
        self._node.template = self._node.template.variant(options, caller())
        return self

    def after(self, *tasks: Task, on: Result | Iterable[Result] = ()) -> Task:
        """Start only after ``tasks``, although no value is passed.

        Without ``on`` each must have succeeded or been skipped. With ``on`` each must have ended with one of
        these results, for example ``on=("failed", "errored")``.
        """
        site = caller()
        results: list[str] = []
        for result in (on,) if isinstance(on, str) else on:
            if result not in RESULTS:
                raise DefinitionError(
                    "TIP105",
                    f"after(on={result!r}){did_you_mean(result, RESULTS)}",
                    where=str(site),
                    cause=f"results are: {', '.join(RESULTS)}",
                    fix="correct the name of the result",
                )
            results.append(RESULTS[result])
        for task in tasks:
            if not isinstance(task, Task):
                raise DefinitionError(
                    "TIP105",
                    f"after() takes tasks, not {task!r}",
                    where=str(site),
                    fix="pass what a call returned",
                )
        self._node.orders.append(After(tuple([task._node for task in tasks]), tuple(results), site))
        return self

    def when(self, condition: ConditionValue | Value | Task) -> Task:
        """Run only if ``condition`` holds, otherwise be skipped; several conditions must all hold."""
        new = as_condition(condition)
        old = self._node.condition
        self._node.condition = new if old is None else old & new
        return self

    def on_exit(self, template: StepTemplate, **arguments: Any) -> Task:
        """Run ``template`` when this task has ended in any way; arguments may use this task's outputs."""
        site = caller()
        if not callable(getattr(template, "body", None)):
            raise DefinitionError(
                "TIP105",
                f"on_exit() takes a component, not {template!r}",
                where=str(site),
                fix="write the component's name without calling it: task.on_exit(clean_up, text=…)",
            )
        self._node.exit = Exit(template, bind(template, (), arguments, site), site)
        return self

    def _as_value(self, site: Site | None = None) -> Output:
        return self._node.only_output(site or caller())

    def _shown(self) -> str:
        return f"the task {self._node.template.name}"

    def __str__(self) -> str:
        """A tag, so that text which a task was put into is refused (TIP119) wherever text is given."""
        return self._node.tag()

    def __repr__(self) -> str:
        return f"<Task {self._node.task_name}>"
