"""Hera's own templates called in a Pipeline: the call is a task, with what the template declares as inputs and outputs.

Its artifacts are files, as a component's (``Path``).

Hera looks where a call stands and makes a Task in a DAG, a Step in Steps; in a Pipeline it would make nothing. So the
call is asked here first: it is ours if the innermost context is a graph of Tiphys.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hera.workflows import Artifact
from hera.workflows._meta_mixins import CallableTemplateMixin
from hera.workflows.models import Template as Model

from tiphys.compiler.line import Site, caller
from tiphys.dsl.composed import raw
from tiphys.dsl.context import CallableTemplate, graph_here
from tiphys.dsl.pod import Defaults
from tiphys.dsl.task import Task
from tiphys.dsl.types import MISSING, Field
from tiphys.errors import DefinitionError
from tiphys.jsontypes import JsonObject

__all__ = ["HeraTemplate", "install"]

_PRINTS = ("container", "script", "http", "container_set", "plugin")


class HeraTemplate(CallableTemplate):
    """A template of Hera's as one of ours. Its values are of any type: Hera does not say them."""

    def __init__(self, model: Model, site: Site) -> None:
        given, made = model.inputs, model.outputs
        inputs = [
            Field(_python(each.name), each.name, Any, MISSING if (text := _default(each)) is None else text)
            for each in (given.parameters if given else None) or ()
        ]
        inputs += [
            Field(
                _python(each.name),
                each.name,
                Path,
                None if each.optional or _has_a_place(each) else MISSING,
                optional=True,
            )
            for each in (given.artifacts if given else None) or ()
        ]
        outputs = [
            Field(_python(each.name), each.name, Any) for each in (made.parameters if made else None) or ()
        ]
        outputs += [
            Field(_python(each.name), each.name, Path, optional=bool(each.optional))
            for each in (made.artifacts if made else None) or ()
        ]
        if "result" not in (f.name for f in outputs) and any(getattr(model, kind, None) for kind in _PRINTS):
            outputs.append(Field("result", "result", Any, result=True))
        super().__init__(str(model.name), inputs, outputs, site=site)
        self._model = model

    def body(self, defaults: Defaults) -> JsonObject:
        found: JsonObject = self._model.model_dump(exclude_none=True, by_alias=True, mode="json")
        return found


def _python(name: str) -> str:
    return name.replace("-", "_")


def _default(parameter: Any) -> object:
    return parameter.value if parameter.default is None else parameter.default


def _has_a_place(artifact: Any) -> bool:
    """Whether the template itself says where the artifact comes from."""
    kinds = ("s3", "gcs", "http", "git", "raw", "oss", "azure", "hdfs", "artifactory", "from_", "plugin")
    return any(getattr(artifact, kind, None) is not None for kind in kinds)


def install() -> None:
    """Ask here first, once, whenever a template of Hera's is called."""
    made = CallableTemplateMixin.__call__
    if not hasattr(made, "__wrapped__"):
        CallableTemplateMixin.__call__ = _asked_first(made)  # type: ignore[method-assign]


def _asked_first(made: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(made)
    def called(self: Any, *args: object, **given: object) -> Any:
        if graph_here() is None:
            return made(self, *args, **given)
        return _task(self, args, given, caller())

    return called


def _task(hera: Any, args: tuple[object, ...], given: Mapping[str, object], site: Site) -> Task:
    """``name`` and ``arguments`` are Hera's words for the task's name and inputs; every other one is an input."""
    template = HeraTemplate(hera._build_template(), site)
    known = {f.name: f.python for f in template.inputs}
    rest: dict[str, object] = {key: value for key, value in given.items() if key not in ("name", "arguments")}
    inputs = {known.get(key, key): value for key, value in _arguments(given.get("arguments"), site)}
    task: Task = template(*args, **inputs, **rest)
    return task.named(str(given["name"])) if "name" in given else task


def _arguments(said: object, site: Site) -> Iterable[tuple[str, object]]:
    """Hera's ``arguments``: a mapping, a Parameter, or a list of either."""
    if isinstance(said, Mapping):
        yield from said.items()
    elif isinstance(said, (list, tuple)):
        for each in said:
            yield from _arguments(each, site)
    elif said is not None:
        name = getattr(said, "name", None)
        if isinstance(said, Artifact) and said.from_:
            yield str(name), raw(said.from_)
            return
        if not isinstance(name, str) or not hasattr(said, "value"):
            raise DefinitionError(
                "TIP105",
                f"arguments= holds {said!r}",
                where=str(site),
                cause="a task of a Pipeline takes parameters",
                fix="pass each input by its name: train(rate=0.1)",
            )
        yield name, said.value
