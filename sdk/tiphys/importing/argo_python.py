"""A plain graph as lines of Python: a call for each task, with its order, condition and loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiphys.dsl.task import RESULTS
from tiphys.importing.argo_graph import PLAIN, GraphTask, PlainGraph
from tiphys.importing.argo_values import Said, TagScope, condition_of
from tiphys.importing.python_text import PythonNames, call, keywords, task_lines, value
from tiphys.importing.told import CannotSay

__all__ = ["Called", "GraphWriter"]

_RESULTS = {argo: ours for ours, argo in RESULTS.items()}


@dataclass(frozen=True, slots=True)
class Called:
    """A template as its calls know it: its variable, its inputs (Argo's names to Python's), and its outputs."""

    variable: str
    inputs: Mapping[str, str]
    outputs: frozenset[str]
    name: str
    fixed: tuple[str, ...] = ()
    """Arguments of every call."""


@dataclass(slots=True)
class GraphWriter:
    """Writes the tasks of one graph."""

    graph: PlainGraph
    called: Mapping[str, Called]
    scope: TagScope
    names: PythonNames
    words: set[str] = field(default_factory=set)

    def lines(self) -> list[str]:
        """The lines, in an order in which each task is made before it is used. Raises CannotSay."""
        uses: dict[str, int] = {}
        for task in self.graph.tasks.values():
            uses[task.template] = uses.get(task.template, 0) + 1
        found: list[str] = []
        for name in self._order():
            task = self.graph.tasks[name]
            found += self._task(task, alone=uses[task.template] == 1)
        return found

    def _order(self) -> list[str]:
        order: list[str] = []
        state: dict[str, int] = {}

        def visit(name: str) -> None:
            if state.get(name) == 1:
                raise CannotSay(f"its tasks wait for each other: {name}")
            if name not in state:
                state[name] = 1
                for other in self.graph.tasks[name].waits:
                    visit(other)
                state[name] = 2
                order.append(name)

        for name in self.graph.tasks:
            visit(name)
        return order

    def _said(self, said: Said) -> str:
        self.words |= said.words
        return said.python

    def _task(self, task: GraphTask, *, alone: bool) -> list[str]:
        template = self.called[task.template]
        lines: list[str] = []
        looped = task.items is not None or bool(task.param)
        self.scope.item = self.names.take(f"each_{task.name}") if looped else ""
        if looped:
            self.words.add("for_each")
            source = value(task.items) if task.items is not None else self._list(task)
            lines.append(call("for_each", [source], "    ", f"{self.scope.item} = "))
        said = {key: self.scope.text(text) for key, text in task.arguments.items()}
        if looped and not any(each.item for each in said.values()):
            raise CannotSay(
                f"the loop of {task.name!r} hands its item on only inside of other text, or not at all"
            )
        arguments = {}
        for key, each in said.items():
            if key not in template.inputs:
                raise CannotSay(f"{task.name!r} gives {template.name!r} {key!r}, which it does not take")
            arguments[template.inputs[key]] = self._said(each)
        methods = [] if alone and template.name == task.name else [f".named({value(task.name)})"]
        condition, conditions = self._when(task)
        methods += [condition] if condition else []
        variable = self.names.take(task.name)
        produced = set().union(*(each.tasks for each in [*said.values(), *conditions]))
        if looped and task.param:
            produced |= self.scope.text(task.param).tasks
        methods += self._after(task, produced)
        if task.exit is not None:
            hook = self.called[task.exit[0]]
            if hook.fixed:
                raise CannotSay(f"the hook of {task.name!r} is an approval")
            if unknown := set(task.exit[1]) - set(hook.inputs):
                raise CannotSay(
                    f"the hook of {task.name!r} gives {min(unknown)!r}, which {hook.name!r} does not take"
                )
            given = {hook.inputs[k]: self._said(self.scope.text(t)) for k, t in task.exit[1].items()}
            methods.append(f".on_exit({', '.join([hook.variable, *keywords(given)])})")
        parts = [*template.fixed, *keywords(arguments)]
        lines += task_lines(template.variable, parts, methods, variable, used=self._needed(task))
        self.scope.tasks[task.name] = variable
        self.scope.outputs[task.name] = set(template.outputs)
        if task.param:
            self.scope.lists.add(task.name)
        return lines

    def _needed(self, task: GraphTask) -> bool:
        """Whether the variable of a task is used after it."""
        others = any(task.name in each.waits for each in self.graph.tasks.values())
        return others or any(f"tasks.{task.name}." in text for text in self.graph.outputs.values())

    def _list(self, task: GraphTask) -> str:
        said = self.scope.text(task.param)
        if said.python.startswith(("raw(", "compose(", '"')):
            raise CannotSay(
                f"the loop of {task.name!r} is over `{task.param}`, which no value of ours stands for"
            )
        return self._said(said)

    def _when(self, task: GraphTask) -> tuple[str, list[Said]]:
        if not task.when:
            return "", []
        parts, used = [], []
        for tag, operator, text in condition_of(task.when) or ():
            said = self.scope.text("{{" + tag + "}}")
            if said.python.startswith("raw("):
                break
            parts.append(f"{said.python} {operator} {value(text)}")
            used.append(said)
        else:
            if parts:
                for each in used:
                    self.words |= each.words
                text = parts[0] if len(parts) == 1 else " & ".join(f"({each})" for each in parts)
                return f".when({text})", used
        self.words.add("raw")
        return f".when(raw({value(task.when)}))", []

    def _after(self, task: GraphTask, produced: set[str]) -> list[str]:
        """The order that no value says, and the results that a value would not say."""
        methods: list[str] = []
        plain: list[str] = []
        by_results: dict[tuple[str, ...], list[str]] = {}
        clear = self.graph.waits()[task.name]
        for other, results in task.waits.items():
            producer = self.graph.tasks[other]
            if other not in clear and other not in produced:
                continue
            if results == PLAIN or (not producer.may_skip and results <= PLAIN and "Succeeded" in results):
                if other not in produced:
                    plain.append(self.scope.tasks[other])
                elif producer.may_skip:
                    by_results.setdefault(("succeeded", "skipped"), []).append(self.scope.tasks[other])
            else:
                by_results.setdefault(tuple(_RESULTS[r] for r in sorted(results)), []).append(
                    self.scope.tasks[other]
                )
        if missing := produced - set(task.waits):
            closure = self._closure(task)
            if missing - closure:
                raise CannotSay(f"{task.name!r} takes an output of {min(missing)!r} without waiting for it")
            for other in missing:  # waited for through others
                if self.graph.tasks[other].may_skip:
                    by_results.setdefault(("succeeded", "skipped"), []).append(self.scope.tasks[other])
        if plain:
            methods.append(f".after({', '.join(plain)})")
        for names, tasks in by_results.items():
            on = value(names[0]) if len(names) == 1 else "(" + ", ".join(value(n) for n in names) + ")"
            methods.append(f".after({', '.join(tasks)}, on={on})")
        return methods

    def _closure(self, task: GraphTask) -> set[str]:
        found: set[str] = set()
        rest = list(task.waits)
        while rest:
            name = rest.pop()
            if name not in found:
                found.add(name)
                rest += self.graph.tasks[name].waits
        return found
