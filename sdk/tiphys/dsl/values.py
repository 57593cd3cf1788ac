"""Values that exist only while a workflow runs: parameters, outputs, loop items, and expressions over them.

A value knows its Python type, the object that makes it (by identity, so a renamed task keeps its consumers)
and how Argo spells it, both as a simple tag (``{{tasks.a.outputs.parameters.x}}``) and inside an expression
tag (``tasks.a.outputs.parameters.x``). Comparing values gives a :class:`ConditionValue`.

In Argo every value is text; numbers are compared through ``asFloat``, booleans with ``'true'``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from tiphys.argo.parameters import json_text
from tiphys.compiler.line import Site, caller
from tiphys.dsl.literals import Raw, access, literal
from tiphys.dsl.pending import Pending
from tiphys.errors import DefinitionError, UnknownNameError

__all__ = [
    "ConditionValue",
    "Expression",
    "Input",
    "LoopItem",
    "Output",
    "ParameterValue",
    "Value",
    "WorkflowValue",
    "as_condition",
    "only_tasks",
    "seen_as",
    "workflow_name",
    "workflow_status",
]

_only_tasks: ContextVar[bool] = ContextVar("_only_tasks", default=False)


@contextlib.contextmanager
def only_tasks() -> Iterator[None]:
    """Spell expressions for ``outputs.parameters[].valueFrom.expression`` of a DAG.

    There Argo knows ``tasks`` alone; what else is used enters through a tag, as a JSON string, which is a literal of
    the expression language too.
    """
    token = _only_tasks.set(True)
    try:
        yield
    finally:
        _only_tasks.reset(token)


_seen: ContextVar[Mapping[int, tuple[str, ...]]] = ContextVar("_seen", default={})  # noqa: B039 - never written


@contextlib.contextmanager
def seen_as(places: Mapping[int, tuple[str, ...]]) -> Iterator[None]:
    """Spell outputs and inputs, by identity, as a template does that was given them."""
    token = _seen.set(places)
    try:
        yield
    finally:
        _seen.reset(token)


class Value(Pending):
    """A value that is known only while the workflow runs."""

    type: Any = str

    def path(self) -> tuple[str, ...] | None:
        """The parts of the simple tag, or None when only an expression can say it."""
        return None

    def expr(self) -> str:
        """How an expression tag spells it."""
        parts = self.path()
        if parts is None:
            raise NotImplementedError
        if parts[0] != "tasks" and _only_tasks.get():
            return "{{=toJson(" + access(parts) + ")}}"
        return access(parts)

    def tag(self) -> str:
        """How a field of the workflow spells it."""
        parts = self.path()
        return "{{=" + self.expr() + "}}" if parts is None else "{{" + ".".join(parts) + "}}"

    def leaves(self) -> Iterator[Value]:
        """The parameters, outputs and items it is made of."""
        yield self

    def describe(self) -> str:
        parts = self.path()
        return ".".join(parts) if parts else self.expr()

    def _as_value(self, site: Site | None = None) -> Value:
        return self

    def _needs_text(self) -> None:
        """Refuse, where the value is put into text or looked into, what has none: a file (TIP105)."""

    def _shown(self) -> str:
        return self.describe()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnknownNameError(
            "TIP114",
            f"{self.describe()} has no {name!r} while the pipeline is being built",
            where=str(caller()),
            cause=f"it is a placeholder for a {getattr(self.type, '__name__', self.type)}, not the value itself",
            fix="do it in a component, whose inputs are plain Python values",
        )

    def __str__(self) -> str:
        return self.tag()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.describe()}>"

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> ConditionValue:  # type: ignore[override]
        return _compare(self, "==", other)

    def __ne__(self, other: object) -> ConditionValue:  # type: ignore[override]
        return _compare(self, "!=", other)

    def __lt__(self, other: object) -> ConditionValue:
        return _compare(self, "<", other)

    def __le__(self, other: object) -> ConditionValue:
        return _compare(self, "<=", other)

    def __gt__(self, other: object) -> ConditionValue:
        return _compare(self, ">", other)

    def __ge__(self, other: object) -> ConditionValue:
        return _compare(self, ">=", other)

    def __invert__(self) -> ConditionValue:
        return ~as_condition(self)

    def __and__(self, other: object) -> ConditionValue:
        return as_condition(self) & as_condition(other)

    def __or__(self, other: object) -> ConditionValue:
        return as_condition(self) | as_condition(other)

    def is_in(self, *choices: object) -> ConditionValue:
        """True when the value is one of ``choices``."""
        self._needs_text()
        for choice in choices:
            if not isinstance(choice, (str, int, float, bool)):
                raise DefinitionError(
                    "TIP105",
                    f"is_in() takes strings, numbers and bools, not {choice!r}",
                    where=str(caller()),
                    fix="combine comparisons instead: (a == b) | (a == c)",
                )
        listed = literal([json_text(c) for c in choices])
        return ConditionValue(lambda: f"{self.expr()} in {listed}", (self,))

    def __bool__(self) -> bool:
        raise DefinitionError(
            "TIP114",
            f"{self.describe()} has no value while the pipeline is being built",
            where=str(caller()),
            cause="a Python `if`, `and`, `or` or `not` asked for it; it exists only while the workflow runs",
            fix="use .when(condition) on a task, and & | ~ to combine conditions",
        )

    def __iter__(self) -> Iterator[Any]:
        raise DefinitionError(
            "TIP114",
            f"{self.describe()} cannot be looped over while the pipeline is being built",
            where=str(caller()),
            fix="use for_each(value) and pass the item to a task",
        )


class ConditionValue:
    """Something true or false while the workflow runs. Combine with ``&``, ``|``, ``~``.

    ``render`` is called when names are final, since a task may be renamed after it was compared.
    """

    def __init__(self, render: Callable[[], str], values: tuple[Value, ...], operator: str = "") -> None:
        self._render, self._values, self._operator = render, values, operator

    def expr(self) -> str:
        """How an expression tag spells it."""
        return self._render()

    def tag(self) -> str:
        """How the field ``when`` spells it; it becomes ``true`` or ``false``, so no value can change its
        shape."""
        return "{{=" + self.expr() + "}}"

    def leaves(self) -> Iterator[Value]:
        """The parameters, outputs and items it looks at."""
        for value in self._values:
            yield from value.leaves()

    def _side(self, operator: str) -> str:
        return f"({self.expr()})" if self._operator not in ("", operator) else self.expr()

    def _join(self, operator: str, other: object) -> ConditionValue:
        right = as_condition(other)
        return ConditionValue(
            lambda: f"{self._side(operator)} {operator} {right._side(operator)}",
            (*self._values, *right._values),
            operator,
        )

    def __and__(self, other: object) -> ConditionValue:
        return self._join("&&", other)

    def __or__(self, other: object) -> ConditionValue:
        return self._join("||", other)

    def __invert__(self) -> ConditionValue:
        return ConditionValue(lambda: f"!({self.expr()})", self._values)

    def __str__(self) -> str:
        return self.tag()

    def __repr__(self) -> str:
        return f"<Condition {self.expr()}>"

    def __bool__(self) -> bool:
        raise DefinitionError(
            "TIP114",
            f"the condition {self.expr()} is not known while the pipeline is being built",
            where=str(caller()),
            cause="a Python `if`, `and`, `or` or `not` asked for its truth",
            fix="use .when(condition) on a task, and & | ~ to combine conditions",
        )


class _RawCondition(ConditionValue):
    """A condition in Argo's own words (``when(raw("{{…}} > 3"))``), as it stands."""

    def __init__(self, text: str) -> None:
        super().__init__(lambda: str(text), ())

    def tag(self) -> str:
        return self.expr()

    def _join(self, operator: str, other: object) -> ConditionValue:
        raise DefinitionError(
            "TIP114",
            f"the condition {self.expr()!r} is Argo's own text, and cannot be combined",
            where=str(caller()),
            fix="say the whole condition in one raw(…), or in values: value == 3",
        )

    def __invert__(self) -> ConditionValue:
        return self._join("!", None)


def _is_number(value: object) -> bool:
    kind = value.type if isinstance(value, Value) else type(value)
    return kind in (int, float)


def _number(value: object) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise DefinitionError(
        "TIP105",
        f"a number is compared with {value!r}",
        where=str(caller()),
        cause="one side is declared int or float, the other is not a number",
        fix="compare with a number, or declare the value as str",
    )


def _compare(left: Value, operator: str, right: object) -> ConditionValue:
    if isinstance(right, Pending):
        right = right._as_value()
    for side in (left, right):
        if isinstance(side, Value):
            side._needs_text()
    if not isinstance(right, (Value, str, int, float, bool)):
        raise DefinitionError(
            "TIP105",
            f"{left.describe()} cannot be compared with {type(right).__name__}",
            where=str(caller()),
            fix="compare with a string, a number, a bool or another value",
        )
    if operator not in ("==", "!=") and not (_is_number(left) or _is_number(right)):
        raise DefinitionError(
            "TIP105",
            f"{left.describe()} {operator} {right!r} orders text",
            where=str(caller()),
            cause="neither side is declared int or float, and text would be ordered letter by letter",
            fix="declare the value as int or float",
        )
    numeric = _is_number(left) or _is_number(right)
    if numeric and not isinstance(right, Value):
        _number(right)

    def spelt(value: object) -> str:
        if isinstance(value, Value):
            return f"asFloat({value.expr()})" if numeric else value.expr()
        return literal(value) if numeric else literal(json_text(value))

    values = tuple(v for v in (left, right) if isinstance(v, Value))
    return ConditionValue(lambda: f"{spelt(left)} {operator} {spelt(right)}", values)


def as_condition(value: object) -> ConditionValue:
    """A condition from a condition, from a bool value, or from a task whose only output is one."""
    if isinstance(value, ConditionValue):
        return value
    if isinstance(value, Raw):
        return _RawCondition(value)
    if isinstance(value, Pending):
        value = value._as_value()
    if isinstance(value, Value) and value.type is bool:
        return _compare(value, "==", True)
    raise DefinitionError(
        "TIP114",
        f"{value!r} is not a condition",
        where=str(caller()),
        cause="Python has compared while the pipeline is being built: a task, for example, instead of its output"
        if isinstance(value, bool)
        else "",
        fix='compare it: value == "text", value >= 0.9; a bool parameter or output works as it is',
    )


class ParameterValue(Value):
    """A parameter of the workflow."""

    def __init__(self, name: str, kind: Any = str, choices: tuple[Any, ...] = ()) -> None:
        self.name, self.type, self.choices = name, kind, choices

    def path(self) -> tuple[str, ...]:
        return ("workflow", "parameters", self.name)


class WorkflowValue(Value):
    """``workflow.name``, ``workflow.status`` and the like."""

    def __init__(self, name: str, kind: Any = str) -> None:
        self.name, self.type = name, kind

    def path(self) -> tuple[str, ...]:
        return ("workflow", *self.name.split("."))


class Input(Value):
    """An input of the template that is being written."""

    def __init__(self, name: str, kind: Any = str, owner: object = None) -> None:
        self.name, self.type, self.owner = name, kind, owner

    def path(self) -> tuple[str, ...]:
        return _seen.get().get(id(self)) or ("inputs", "parameters", self.name)


class NamedValue(Protocol):
    """A task: what an output belongs to."""

    @property
    def scope(self) -> str: ...

    @property
    def task_name(self) -> str: ...


class Output(Value):
    """An output parameter of a task."""

    def __init__(
        self, task: NamedValue, name: str, kind: Any = str, *, result: bool = False, each: str = ""
    ) -> None:
        self.task, self.name, self.type, self._result = task, name, kind, result
        self._each = each  # of a list that a loop collected: an element (#) as JSON, if it is not as it is

    def path(self) -> tuple[str, ...]:
        if (place := _seen.get().get(id(self))) is not None:
            return place
        if self._result:
            return (self.task.scope, self.task.task_name, "outputs", "result")
        return (self.task.scope, self.task.task_name, "outputs", "parameters", self.name)

    @property
    def rewritten(self) -> bool:
        """Whether only an expression can say it."""
        return bool(self._each) and id(self) not in _seen.get()

    def expr(self) -> str:
        whole = super().expr()
        if not self.rewritten:
            return whole
        return f"'[' + join(map(fromJSON({whole} ?? '[]'), {self._each}), ',') + ']'"

    def tag(self) -> str:
        return "{{=" + self.expr() + "}}" if self.rewritten else super().tag()

    def optional(self, default: str = "") -> Expression:
        """This output, or ``default`` when its task was skipped or omitted."""
        return Expression(lambda: f"({self.expr()} ?? {literal(default)})", (self,), self.type, optional=True)


class LoopItem(Value):
    """One element of a loop; made by ``for_each``."""

    def __init__(self, source: object, kind: Any = str, field: str = "", limits: object = None) -> None:
        self.source, self.type, self.field, self.limits = source, kind, field, limits

    def path(self) -> tuple[str, ...]:
        return ("item", self.field) if self.field else ("item",)

    def __getitem__(self, field: str) -> LoopItem:
        """A field of an item that is an object."""
        return _ItemField(self, field)


class _ItemField(LoopItem):
    def __init__(self, item: LoopItem, field: str) -> None:
        super().__init__(item.source, Any, field, item.limits)
        self.item = item

    def leaves(self) -> Iterator[Value]:
        yield self.item


class Expression(Value):
    """An expression over other values. ``render`` is called when the names are final."""

    def __init__(
        self, render: Callable[[], str], values: tuple[Value, ...], kind: Any = str, *, optional: bool = False
    ) -> None:
        self._render, self._values, self.type, self.optional_ = render, values, kind, optional

    def expr(self) -> str:
        return self._render()

    def leaves(self) -> Iterator[Value]:
        for value in self._values:
            yield from value.leaves()

    def outputs(self) -> Iterator[tuple[Value, bool]]:
        """The leaves, and whether each may be absent."""
        for value in self._values:
            if isinstance(value, Expression):
                for leaf, absent in value.outputs():
                    yield leaf, absent or self.optional_
            else:
                for leaf in value.leaves():
                    yield leaf, self.optional_


workflow_name = WorkflowValue("name")
workflow_status = WorkflowValue("status")
