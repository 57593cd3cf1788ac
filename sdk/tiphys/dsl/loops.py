"""A loop with a bound, a tolerance or an early end, in Argo's words: a template of its own.

Argo's ``parallelism`` is a field of templates, so the loop is one: steps that hold the looped task, and whose outputs
are the collected lists. Argo collects only what went well, in the order of the items. To count it, and to say which
items it was, each item is a graph of its own (``…-item``) that hands its item on, and around the loop (``…-round``) is
a template that judges the count. It is where a loop ends early, too: it runs the first items, and calls itself with the
rest while no trial is good enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from tiphys.compiler.line import Site
from tiphys.dsl.files import FileValue
from tiphys.dsl.literals import access
from tiphys.dsl.loop_limits import LoopLimits
from tiphys.dsl.loop_parts import (
    TOO_MANY,
    arguments_of,
    evaluated,
    gives,
    handed_on,
    joined,
    judge,
    later,
    listed,
    same,
    takes,
)
from tiphys.dsl.names import check_name
from tiphys.dsl.pod import Defaults
from tiphys.dsl.template import Argument, StepTemplate
from tiphys.dsl.types import Field
from tiphys.dsl.values import (
    ConditionValue,
    Input,
    LoopItem,
    Output,
    ParameterValue,
    Value,
    WorkflowValue,
    only_tasks,
    seen_as,
)
from tiphys.errors import DefinitionError
from tiphys.jsontypes import JsonObject

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Artifact, DAGTask, Parameter, Template, WorkflowStep

__all__ = ["DONE_ITEMS", "FAILURES", "LoopTemplate", "LoopedTask"]

DONE_ITEMS, FAILURES = "done_items", "failures"
"""What the task of a loop with a tolerance or an early end gives besides the outputs of its template."""

_MOST_ROUNDS = 64  # Argo waits for ever at a hundred templates inside each other
_EXACT = 1 << 53  # numbers of JSON are floats to Argo's expressions
_ALONE = frozenset({"http", "suspend", "plugin"})  # their nodes do not count for parallelism
_LEFT = "left"
"""The input of the rounds that says how many may still fail."""


class LoopedTask(Protocol):
    """The task as its loop knows it; see :class:`tiphys.dsl.task.TaskNode`."""

    @property
    def template(self) -> StepTemplate: ...
    @property
    def arguments(self) -> Mapping[str, Argument]: ...
    @property
    def condition(self) -> ConditionValue | None: ...
    @property
    def site(self) -> Site: ...
    @property
    def task_name(self) -> str: ...
    @property
    def graph_name(self) -> str: ...


class _Parts(NamedTuple):
    """The arguments of the task in the graph, those of each item, its condition, and that of the end."""

    outer: dict[str, str]
    inner: dict[str, str]
    outer_files: dict[str, Artifact]
    inner_files: dict[str, Artifact]
    when: str
    asked: dict[str, str]
    good: str


class LoopTemplate(StepTemplate):
    """The loop of one task as a template; ``node`` has a loop item with limits."""

    def __init__(
        self, node: LoopedTask, item: LoopItem, limits: LoopLimits, trial: object, ends: ConditionValue | None
    ) -> None:
        self.site = node.site
        self.inputs = self.outputs = ()
        self.locks = []
        self._node, self._item, self._limits = node, item, limits
        self._trial, self._until = trial, ends
        leaves = list(ends.leaves()) if ends is not None else []
        if any(isinstance(leaf, LoopItem) for leaf in leaves):
            what = "the item of a loop"
        elif ends is not None and not any(map(self._of_trial, leaves)):
            what = "nothing of the trial"
        else:
            return
        raise DefinitionError(
            "TIP118",
            f"until= looks at {what}",
            where=str(limits.site),
            cause="it is asked of each trial when that has ended",
            fix="compare outputs of the trial: until=lambda trial: trial.accuracy >= 0.95",
        )

    @property
    def name(self) -> str:  # type: ignore[override]
        """``GRAPH-TASK``."""
        return self._called("")

    def _called(self, ending: str) -> str:
        name = f"{self._node.graph_name}-{self._node.task_name}{ending}"
        return check_name(name, "the template of a loop (the name of its graph and of its task)", self.site)

    @property
    def when_as_a_whole(self) -> bool:
        """Whether the task's condition is one of the loop, and not of each item."""
        condition = self._node.condition
        return condition is not None and not _of_items(condition)

    def outer_values(self) -> Iterator[Value]:
        """What its condition looks at besides the trial."""
        for leaf in self._until.leaves() if self._until is not None else ():
            if not self._of_trial(leaf):
                yield leaf

    def asked_of_trial(self) -> Iterator[Output]:
        """What its condition looks at of the trial."""
        for leaf in self._until.leaves() if self._until is not None else ():
            if self._of_trial(leaf):
                yield cast("Output", leaf)

    def _of_trial(self, leaf: Value) -> bool:
        return isinstance(leaf, Output) and leaf.task is self._trial

    def inner_templates(self) -> Iterable[StepTemplate]:
        yield self._node.template
        if self._limits.tolerate:
            yield TOO_MANY

    # -- what the task in the graph says -------------------------------------------------------------------------

    def arguments(self, defaults: Defaults, text: Callable[[Value | str], str]) -> Arguments:
        """The arguments of the task that runs the loop; ``text`` is how a graph writes one."""
        parts = self._split(defaults, text)
        found = parts.outer
        if self._by_list:
            found = {self._items: self._items_text(text), **found}
        if self._until is not None:
            found[self._size] = self._size_text(text)
        if self._limits.tolerate:
            found[self._free(_LEFT)] = self._allowed_text(text)
        return arguments_of(found, parts.outer_files)

    @property
    def _by_list(self) -> bool:
        """Whether the items come as an input, and do not stand in the loop."""
        return isinstance(self._item.source, Value) or self._until is not None

    @property
    def _items(self) -> str:
        return self._free("items")

    @property
    def _size(self) -> str:
        return self._free("size")

    def _free(self, name: str) -> str:
        taken = {field.name for field in (*self._node.template.inputs, *self._node.template.outputs)}
        while name in taken:
            name = f"loop-{name}"
        return name

    def _items_text(self, text: Callable[[Value | str], str]) -> str:
        source = self._item.source
        return text(source) if isinstance(source, Value) else json.dumps(source, ensure_ascii=False)

    def _count(self, text: Callable[[Value | str], str]) -> str:
        """How many items there are, as an expression where the task stands."""
        source = self._item.source
        if isinstance(source, list):
            return str(len(source))
        given = text(cast("Value", source))
        inside = given[3:-2] if given.startswith("{{=") else cast("Value", source).expr()
        return f"len(fromJSON({inside}))"

    def _size_text(self, text: Callable[[Value | str], str]) -> str:
        most, least = _MOST_ROUNDS, self._limits.parallel or 1
        if isinstance(self._item.source, list):
            return str(max(least, -(-len(self._item.source) // most)))
        return f"{{{{=max({least}, int(({self._count(text)} + {most - 1}) / {most}))}}}}"

    def _allowed_text(self, text: Callable[[Value | str], str]) -> str:
        tolerate = self._limits.tolerate
        if isinstance(tolerate, int):
            return str(tolerate)
        if isinstance(self._item.source, list):
            return str(int(len(self._item.source) * tolerate))
        return f"{{{{=int({self._count(text)} * {tolerate!r})}}}}"

    def _split(self, defaults: Defaults, text: Callable[[Value | str], str]) -> _Parts:
        """What is the same for all items becomes an input of the loop, unless every template knows it."""
        node = self._node
        given = {**node.arguments, **node.template.extra_arguments(node.arguments, defaults)}
        outer: dict[str, str] = {}
        inner: dict[str, str] = {}
        outer_files: dict[str, Artifact] = {}
        inner_files: dict[str, Artifact] = {}
        files = {field.name for field in node.template.inputs if field.is_file}
        seen: dict[int, tuple[str, ...]] = {}

        def take(leaves: Iterable[Value]) -> None:
            for leaf in leaves:
                if isinstance(leaf, (Output, Input)) and not self._of_trial(leaf) and id(leaf) not in seen:
                    name = self._free(f"value-{len(seen) + 1}")
                    seen[id(leaf)] = ("inputs", "parameters", name)
                    outer[name] = text(leaf)

        for name, value in given.items():
            if value is None:
                continue
            if name in files:
                if isinstance(value, FileValue) and _of_items(value):
                    take(value.leaves())
                    with seen_as(seen):
                        inner_files[name] = value.artifact()
                    continue
                own = (
                    value.artifact()
                    if isinstance(value, FileValue)
                    else cast("Artifact", {"from": str(value)})
                )
                outer_files[name] = own
                inner_files |= handed_on({name: own})
            elif not isinstance(value, Value) or _everywhere(value):
                inner[name] = text(value)
            elif not _of_items(value):
                outer[name], inner[name] = text(value), Input(name).tag()
            else:
                take(value.leaves())
                with seen_as(seen):
                    inner[name] = value.tag()
        when = ""
        if node.condition is not None and _of_items(node.condition):
            self._refuse_condition()
            take(node.condition.leaves())
            with seen_as(seen):
                when = node.condition.tag()
        before = set(seen)
        asked: dict[str, str] = {}
        good = ""
        if self._until is not None:
            take(self._until.leaves())
            asked = {seen[each][2]: Input(seen[each][2]).tag() for each in seen if each not in before}
            with seen_as(seen), only_tasks():
                good = self._until.expr()
        return _Parts(outer, inner, outer_files, inner_files, when, asked, good)

    def _refuse_condition(self) -> None:
        if self._limits.counted:
            raise DefinitionError(
                "TIP118",
                f"the condition of {self._node.task_name} looks at the items of a loop that counts them",
                where=str(self.site),
                cause="an item that is skipped would be none that went well",
                fix="leave the items out of the list in a component before",
            )

    # -- the templates -------------------------------------------------------------------------------------------

    def parts(self, defaults: Defaults) -> list[JsonObject]:
        counted = self._limits.counted
        wrapped = counted or bool(_ALONE & self._node.template.body(defaults).keys())
        parts = self._split(defaults, _plain_text)
        found = [
            *([self._rounds(parts)] if counted else []),
            self._loop(parts, wrapped),
            *([self._one(parts)] if wrapped else []),
        ]
        return [cast("JsonObject", each) for each in found]

    def _loop(self, parts: _Parts, wrapped: bool) -> Template:
        """All items, or those of a round."""
        counted = self._limits.counted
        given = {**parts.inner, **parts.asked, **({self._item_name: "{{item}}"} if counted else {})}
        step: WorkflowStep = {
            "name": self._node.template.called,
            "template": self._called("-item") if wrapped else self._node.template.name,
        }
        if given or parts.inner_files:
            step["arguments"] = arguments_of(given, parts.inner_files)
        if self._by_list:
            step["withParam"] = Input(self._items).tag()
        else:
            step["withItems"] = cast("Any", self._item.source)
        if parts.when:
            step["when"] = parts.when
        if self._limits.tolerate:
            step["continueOn"] = {"failed": True, "error": True}
        loop: Template = {"name": self._called("-round") if counted else self.name}
        takes(loop, [*([self._items] if self._by_list else []), *parts.outer], parts.outer_files)
        if self._limits.parallel is not None or self._until is not None:
            loop["parallelism"] = self._limits.parallel or 1
        loop["steps"] = [[step]]
        return gives(loop, self._collected(wrapped))

    def _collected(self, wrapped: bool) -> list[Parameter]:
        place = ("steps", self._node.template.called, "outputs")
        found = []
        for field in _texts(self._node.template):
            own = ("result",) if field.result and not wrapped else ("parameters", field.name)
            found.append(listed(field.name, (*place, *own)))
        if self._limits.counted:
            found.append(listed(self._done, (*place, "parameters", self._item_name)))
            count = f"len(fromJSON({_quoted(self._items)}))" if self._by_list else str(len(self._fixed))
            found.append(evaluated(self._failures, f"string({count} - {self._went_well()})"))
        if self._until is not None:
            found.append(listed(self._good, (*place, "parameters", self._good)))
        return found

    def _went_well(self) -> str:
        """How many items went well: the length of one collected list. If none did there is only that of all outputs, a
        text; where nothing ran there is nothing, or (4.1) nil."""
        seen = f"{access(('steps', self._node.template.called))}?.outputs?.parameters"
        one = access(("x", self._item_name))[1:]
        text = f"type({seen}) == 'string' ? {seen} : {seen}{one} ?? '[]'"
        return f"({seen} == nil ? 0 : len(fromJSON({text})))"

    @property
    def _fixed(self) -> list[object]:
        return cast("list[object]", self._item.source)

    @property
    def _item_name(self) -> str:
        return self._free("each")  # an expression with `item` in it waits for a loop, whatever else it means

    @property
    def _done(self) -> str:
        return self._free(DONE_ITEMS.replace("_", "-"))

    @property
    def _failures(self) -> str:
        return self._free(FAILURES)

    @property
    def _good(self) -> str:
        return self._free("good-enough")

    def extra_output(self, name: str) -> tuple[str, Any] | None:
        """The parameter and the type of an output that the loop adds, by Python's name for it."""
        if not self._limits.counted:
            return None
        if name in (DONE_ITEMS, self._done):
            kind: Any = getattr(self._item, "item", self._item).type
            return self._done, list[kind]
        return (self._failures, int) if name == FAILURES else None

    def _one(self, parts: _Parts) -> Template:
        """One item: the task, and what tells how it went."""
        called, counted = self._node.template.called, self._limits.counted
        task: DAGTask = {"name": called, "template": self._node.template.name}
        if parts.inner or parts.inner_files:
            given = {name: Input(name).tag() for name in parts.inner}
            task["arguments"] = arguments_of(given, handed_on(parts.inner_files))
        one: Template = {"name": self._called("-item")}
        names = [*parts.inner, *parts.asked, *([self._item_name] if counted else [])]
        takes(one, names, parts.inner_files)
        one["dag"] = {"tasks": [task]}
        outputs = []
        for field in _texts(self._node.template):
            place = ("result",) if field.result else ("parameters", field.name)
            outputs.append(same(field.name, ("tasks", called, "outputs", *place)))
        if counted:
            outputs.append(evaluated(self._item_name, _quoted(self._item_name)))
        if self._until is not None:
            outputs.append(evaluated(self._good, f"({parts.good}) ? 'true' : 'false'"))
        return gives(one, outputs)

    def _rounds(self, parts: _Parts) -> Template:
        """All items, or the first of them and then the rest unless one was good enough; fails if too many failed."""
        items, size, left = self._items, self._size, self._free(_LEFT)
        done = ("steps", "round", "outputs", "parameters")
        failed = f"asInt({access((*done, self._failures))})"
        shared = {name: Input(name).tag() for name in parts.outer}
        every, number = f"fromJSON({Input(items).expr()})", f"asInt({Input(size).expr()})"
        first = dict(shared)
        if self._by_list:
            first = {items: Input(items).tag(), **shared}
        if self._until is not None:
            first[items] = f"{{{{=toJson(take({every}, {number}))}}}}"
        round_: WorkflowStep = {"name": "round", "template": self._called("-round")}
        files = handed_on(parts.outer_files)
        if first or files:
            round_["arguments"] = arguments_of(first, files)
        groups = [[round_]]
        if self._limits.tolerate:
            allowed = f"asInt({Input(left).expr()})"
            groups.append(
                [judge(access((*done, self._failures)), Input(left).expr(), f"{failed} > {allowed}")]
            )
        if self._until is not None:
            rest = {items: f"{{{{=toJson({every}[{number}:])}}}}", **shared, size: Input(size).tag()}
            if self._limits.tolerate:
                rest[left] = f"{{{{={allowed} - {failed}}}}}"
            go_on = f"len({every}) > {number} && !({access((*done, self._good))} contains 'true')"
            arguments = arguments_of(rest, files)
            groups.append(
                [{"name": "rest", "template": self.name, "when": f"{{{{={go_on}}}}}", "arguments": arguments}]
            )
        whole: Template = {"name": self.name}
        numbers = [size] if self._until is not None else []
        numbers += [left] if self._limits.tolerate else []
        takes(whole, [*([items] if self._by_list else []), *parts.outer, *numbers], parts.outer_files)
        whole["steps"] = groups
        names = [*(field.name for field in _texts(self._node.template)), self._done]
        if self._until is None:
            return gives(whole, [same(name, (*done, name)) for name in (*names, self._failures)])
        outputs = [evaluated(name, joined(access((*done, name)), later(name))) for name in names]
        total = f"string({failed} + asInt({later(self._failures, '0')}))"
        return gives(whole, [*outputs, evaluated(self._failures, total)])

    def check_items(self) -> None:
        """Refuse numbers that would change on their way through expressions (TIP109)."""
        source = self._item.source
        if self._until is None or not isinstance(source, list):
            return
        for value in source:
            if isinstance(value, int) and abs(value) > _EXACT:
                raise DefinitionError(
                    "TIP109",
                    f"for_each(…, until=…) over {value}",
                    where=str(self._limits.site),
                    cause="Argo counts in floats, which would change it",
                    fix="use numbers below 2**53, or text",
                )


def _texts(template: StepTemplate) -> Iterator[Field]:
    """The outputs that a loop collects: Argo collects no files."""
    return (field for field in template.outputs if not field.is_file)


def _plain_text(value: Value | str) -> str:
    return value.tag() if isinstance(value, Value) else value


def _everywhere(value: Value) -> bool:
    """Whether every template of the workflow can say it."""
    return all(isinstance(leaf, (ParameterValue, WorkflowValue)) for leaf in value.leaves())


def _of_items(value: Value | ConditionValue) -> bool:
    return any(isinstance(leaf, LoopItem) for leaf in value.leaves())


def _quoted(name: str) -> str:
    """An input in an expression of outputs, which knows steps and tasks alone."""
    return "{{=toJson(" + Input(name).expr() + ")}}"
