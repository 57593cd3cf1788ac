"""Which outputs of cached steps may be handed on as references when they are long (:mod:`tiphys.large`).

Those that nothing takes but inputs of components, directly or through the inputs and outputs of graphs: these read the
file. What a condition, a loop, an expression, another kind of template or the workflow's own outputs take is needed as
text, and stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tiphys.dsl.composed import Raw
from tiphys.dsl.dags import Dag
from tiphys.dsl.graphs import Graph
from tiphys.dsl.pod import Places
from tiphys.dsl.task import TaskNode
from tiphys.dsl.template import Argument, StepTemplate
from tiphys.dsl.values import Input, LoopItem, Output, Value
from tiphys.reference import Reference

__all__ = ["places"]

_Place = tuple[int, str, str]  # whose, "input" or "output", and the name
_ELSEWHERE: _Place = (0, "", "")
_NAME = re.compile(r"inputs\.parameters(?:\.|\[['\"])([-\w]+)")


def places(graphs: Iterable[Graph], templates: Iterable[StepTemplate]) -> Places:
    """Of the steps in these graphs, all graphs of a pipeline; ``templates`` are what their tasks use."""
    templates = list(templates)
    long = [(template, name) for template in templates for name in template.long_outputs]
    if not long:
        return Places()
    takers: dict[_Place, set[_Place]] = {}
    for taken, by in _uses(graphs, [each for each in templates if isinstance(each, Dag)]):
        takers.setdefault(taken, set()).add(by)
    readers = {id(template): template for template in templates if template.reads_files}
    outputs, inputs = set[tuple[str, str]](), set[tuple[str, str]]()
    for template, name in long:
        reached = _reached((id(template), "output", name), takers)
        if _ELSEWHERE not in reached:
            outputs.add((template.name, name))
            inputs |= {
                (readers[whose].name, place)
                for whose, kind, place in reached
                if kind == "input" and whose in readers
            }
    return Places(frozenset(outputs), frozenset(inputs))


def _reached(start: _Place, takers: Mapping[_Place, set[_Place]]) -> set[_Place]:
    """Every place to which a value goes."""
    found, left = {start}, [start]
    while left:
        new = takers.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def _uses(graphs: Iterable[Graph], dags: Iterable[Dag]) -> Iterator[tuple[_Place, _Place]]:
    """What is taken, and where it goes."""
    for graph in graphs:
        for task in graph.tasks:
            yield from _given(task, task.template, task.arguments)
            if task.loop is not None:
                for asked in task.loop.asked_of_trial():
                    yield (id(task.template), "output", asked.name), _ELSEWHERE
                for leaf in task.loop.outer_values():
                    yield from ((taken, _ELSEWHERE) for taken in _taken(leaf))
            if task.exit is not None:
                yield from _given(task, task.exit.template, task.exit.arguments)
            for leaf in task.condition.leaves() if task.condition is not None else ():
                yield from ((taken, _ELSEWHERE) for taken in _taken(leaf))
    for each in dags:
        for name, value in each.returned.items():
            yield from _goes(value, (id(each), "output", name))


def _given(
    task: TaskNode, template: StepTemplate, arguments: Mapping[str, Argument]
) -> Iterator[tuple[_Place, _Place]]:
    for name, value in arguments.items():
        if isinstance(value, Value):
            yield from _goes(value, _input(template, name))
        elif isinstance(value, Raw):
            for other in task.graph.tasks if "tasks" in value else ():
                if other.task_name in value:
                    for field in other.template.outputs:
                        yield (id(other.template), "output", field.name), _ELSEWHERE
            # what goes into the graph around it, too
            yield from (((id(task.graph), "input", each), _ELSEWHERE) for each in _NAME.findall(value))


def _input(template: StepTemplate, name: str) -> _Place:
    """Where an argument goes: into a step that reads files, or into a graph."""
    if isinstance(template, Dag):
        return id(template.inner), "input", name
    read = template.reads_files and any(f.name == name and f.type is not Reference for f in template.inputs)
    return (id(template), "input", name) if read else _ELSEWHERE


def _goes(value: Value, where: _Place) -> Iterator[tuple[_Place, _Place]]:
    """A value by itself goes there; of what is made of several, the text of each is needed."""
    alone = isinstance(value, (Output, Input)) and not _is_list(value)
    for leaf in value.leaves():
        yield from ((taken, where if alone else _ELSEWHERE) for taken in _taken(leaf))


def _is_list(value: Value) -> bool:
    """Whether Argo makes a list of what each round of a loop returned."""
    return isinstance(value, Output) and isinstance(value.task, TaskNode) and value.task.looped() is not None


def _taken(leaf: Value) -> Iterator[_Place]:
    if isinstance(leaf, Output) and isinstance(leaf.task, TaskNode):
        yield id(leaf.task.template), "output", leaf.name
    elif isinstance(leaf, Input):
        yield id(leaf.owner), "input", leaf.name
    elif isinstance(leaf, LoopItem) and isinstance(leaf.source, Value):
        for inner in leaf.source.leaves():
            yield from _taken(inner)
