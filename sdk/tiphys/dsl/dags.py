"""A graph inside the graph: a function whose body makes tasks, as one DAG template."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

from tiphys.compiler.line import Site, caller
from tiphys.dsl.context import CallableTemplate, GraphScope
from tiphys.dsl.files import (
    FileInput,
    FileValue,
    declared,
    digest_arguments,
    digest_parameters,
    input_artifacts,
)
from tiphys.dsl.graphs import Graph
from tiphys.dsl.pending import Pending
from tiphys.dsl.pod import Defaults
from tiphys.dsl.retry import Retry
from tiphys.dsl.task import TaskNode
from tiphys.dsl.template import Argument, StepTemplate, input_parameters
from tiphys.dsl.types import Field, fits, kebab, signature_of, type_name
from tiphys.dsl.values import Input, Output, ParameterValue, Value, only_tasks
from tiphys.errors import DefinitionError
from tiphys.step.files import DIGEST

__all__ = ["Dag", "dag"]


class Dag(CallableTemplate):
    """A template that is a graph of tasks. Make one with :func:`dag`."""

    def __init__(self, function: Callable[..., Any], name: str = "", retry: Retry | None = None) -> None:
        site = Site(function.__code__.co_filename, function.__code__.co_firstlineno)
        signature = signature_of(function, site, files=True)
        super().__init__(name or kebab(function.__name__), signature.inputs, signature.outputs, site=site)
        self.function = function
        self.retry = retry
        self._graph: Graph | None = None
        self._returned: dict[str, Value] = {}
        self.parameters: Iterable[ParameterValue] = ()

    @property
    def inner(self) -> Graph:
        """The graph that the function's body makes; the body runs once."""
        if self._graph is None:
            self._graph = Graph(self.name, self.site)
            values = {
                f.python: FileInput(f, self._graph) if f.is_file else Input(f.name, f.type, self._graph)
                for f in self.inputs
            }
            with GraphScope(self._graph):
                self._returned = self._outputs(self.function(**values))
        return self._graph

    @property
    def returned(self) -> dict[str, Value]:
        """What the body returned, by the outputs' names in the workflow."""
        return {f.name: self._returned[f.python] for f in self.outputs if self.inner and self._returned}

    def inner_templates(self) -> Iterable[StepTemplate]:
        """The templates of the graph's tasks."""
        return self.inner.templates()

    def _outputs(self, result: Any) -> dict[str, Value]:
        """What the body returned, by output."""
        if not self.outputs:
            return {}
        if len(self.outputs) == 1 and self.outputs[0].python == "result":
            found = {"result": result}
        elif dataclasses.is_dataclass(result) and not isinstance(result, type):
            found = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
        elif hasattr(result, "_asdict"):
            found = dict(result._asdict())
        else:
            raise DefinitionError(
                "TIP106",
                f"{self.name} returns {type(result).__name__} instead of what it declares",
                where=str(self.site),
                fix=f"return an object with {', '.join(f.python for f in self.outputs)}",
            )
        return {f.python: self._value(f, found[f.python]) for f in self.outputs}

    def _value(self, field: Field, value: Any) -> Value:
        if isinstance(value, Pending):
            value = value._as_value(self.site)
        if not isinstance(value, Value):
            raise DefinitionError(
                "TIP106",
                f"the output {field.python!r} of {self.name} is {value!r}, which no task made",
                where=str(self.site),
                fix="return outputs of tasks",
            )
        if not fits(value.type, field.type):
            raise DefinitionError(
                "TIP105",
                f"the output {field.python!r} of {self.name} is declared {type_name(field.type)}, but "
                f"{value.describe()} is {type_name(value.type)}",
                where=str(self.site),
                fix="correct one of the two annotations",
            )
        if isinstance(value, FileValue) and value.maybe and not field.optional:
            raise DefinitionError(
                "TIP105",
                f"the output {field.python!r} of {self.name} is {value.describe()}, which may be no file",
                where=str(self.site),
                fix=f"declare it {type_name(field.type)} | None",
            )
        return value

    def body(self, defaults: Defaults) -> dict[str, Any]:
        graph = self.inner
        if not graph.tasks:
            raise DefinitionError(
                "TIP113", f"{self.name} has no tasks", where=str(self.site), fix="call components in its body"
            )
        template: dict[str, Any] = {"name": self.name}
        if self.inputs:
            parameters = [
                *input_parameters(self.inputs, self.site),
                *digest_parameters(self._counted(defaults)),
            ]
            template["inputs"] = declared(parameters, input_artifacts(self.inputs, placed=False))
        if self.retry is not None:
            template["retryStrategy"] = self.retry.strategy()
        template["dag"] = graph.dag(self.parameters, defaults)
        if self._returned:
            template["outputs"] = self._declared()
        return template

    digests = True

    def extra_arguments(self, arguments: Mapping[str, Argument], defaults: Defaults) -> dict[str, Argument]:
        """The digests of those files that count in the key of a cache inside."""
        return {**digest_arguments(self._counted(defaults), arguments)}

    def _counted(self, defaults: Defaults) -> list[Field]:
        if not any(f.is_file for f in self.inputs):
            return []
        given = [
            value
            for task in self.inner.tasks
            for value in task.template.extra_arguments(task.arguments, defaults).values()
        ]
        given += [value.digest() for value in self._returned.values() if isinstance(value, FileValue)]
        used = {
            leaf.name
            for value in given
            if isinstance(value, Value)
            for leaf in value.leaves()
            if isinstance(leaf, Input)
        }
        return [f for f in self.inputs if f.is_file and f.name + DIGEST in used]

    def _declared(self) -> dict[str, Any]:
        """The outputs in Argo's words."""
        parameters: list[dict[str, Any]] = []
        artifacts: list[dict[str, Any]] = []
        for field in self.outputs:
            value = self._returned[field.python]
            if isinstance(value, FileValue):
                artifacts.append({"name": field.name, **value.artifact()})
                digest = value.digest()
                known = _value_from(digest) if isinstance(digest, Value) else {"expression": "''"}
                parameters.append({"name": field.name + DIGEST, "valueFrom": known})
            else:
                parameters.append({"name": field.name, "valueFrom": _value_from(value)})
        return declared(parameters, artifacts)

    def outside(self, args: tuple[Any, ...], arguments: dict[str, Any], site: Site) -> Any:
        return self.function(*args, **arguments)


def _value_from(value: Value) -> dict[str, str]:
    if isinstance(value, Output) and not value.rewritten:
        empty = isinstance(value.task, TaskNode) and value.task.may_be_empty()
        return {"parameter": value.tag(), **({"default": "[]"} if empty else {})}
    with only_tasks():
        return {"expression": value.expr()}


@overload
def dag(function: Callable[..., Any]) -> Dag: ...
@overload
def dag(*, name: str = "") -> Callable[[Callable[..., Any]], Dag]: ...
def dag(function: Callable[..., Any] | None = None, *, name: str = "") -> Any:
    """Make a DAG template from a function: its parameters are inputs, what it returns are outputs.

    The body runs once, when the pipeline is built, with value objects as arguments. It may use parameters of
    the pipeline around it; outputs of tasks outside must be passed in.
    """
    if function is None:
        return lambda f: Dag(f, name)
    if not callable(function):
        raise DefinitionError(
            "TIP110", "@dag needs a function", where=str(caller()), fix="write @dag above a def"
        )
    return Dag(function)
