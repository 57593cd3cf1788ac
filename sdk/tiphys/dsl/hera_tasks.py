"""Tiphys templates inside a plain Hera ``DAG`` or ``Steps``: the call makes a Hera Task or Step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hera.workflows import DAG, Artifact, ExistingVolume, Parameter, Step, Steps, Workflow
from hera.workflows import Task as HeraTask
from hera.workflows.models import Artifact as ArtifactModel
from hera.workflows.models import Template as Model
from hera.workflows.steps import Parallel

from tiphys.compiler.line import Site, caller
from tiphys.dsl.composed import Raw
from tiphys.dsl.files import output_value, written_arguments
from tiphys.dsl.locks import Semaphore
from tiphys.dsl.pod import POD_SECURITY
from tiphys.dsl.task import no_output
from tiphys.dsl.template import Argument, StepTemplate, bind
from tiphys.dsl.values import ConditionValue, LoopItem, Output, Value
from tiphys.errors import DefinitionError

__all__ = ["TiphysStep", "TiphysTask", "hera_task"]

_OPTIONS = (
    "name",
    "when",
    "depends",
    "dependencies",
    "with_items",
    "with_param",
    "with_sequence",
    "continue_on",
)
_TAG = re.compile(r"\{\{")


@dataclass(frozen=True)
class _Node:
    """What an output needs to know of a Hera task or step."""

    scope: str
    task_name: str


class _Outputs:
    def __init__(self, template: StepTemplate, node: _Node) -> None:
        self._template, self._node = template, node

    def __getattr__(self, name: str) -> Output:
        if name in ("_template", "_node"):
            raise AttributeError(name)
        for field in self._template.outputs:
            if field.is_called(name):
                if field.is_file:
                    digests = self._template.digests
                    return output_value(self._node, field, digests=digests, looped=False, site=caller())
                return Output(self._node, field.name, field.type)
        if name.startswith("__"):
            raise AttributeError(name)
        raise no_output(self._template, name)

    def __getitem__(self, name: str) -> Output:
        return self.__getattr__(str(name))


@dataclass(kw_only=True)
class TiphysTask(HeraTask):
    """A Hera Task made by calling a Tiphys template; ``task.outputs.x`` is a value object.

    That it waits for the tasks whose outputs it takes is written when it is built, beside what the author has ordered
    with ``>>``: to say the same twice is no error.
    """

    outputs: Any = None
    producers: Any = None

    def _build_dag_task(self) -> Any:
        for other in self.producers() if self.producers is not None else ():
            if other.name not in self._get_dependency_tasks():
                other.next(self)
        return super()._build_dag_task()


@dataclass(kw_only=True)
class TiphysStep(Step):
    """A Hera Step made by calling a Tiphys template; ``step.outputs.x`` is a value object."""

    outputs: Any = None


_TASK: Any = TiphysTask
_STEP: Any = TiphysStep


def hera_task(
    template: StepTemplate, args: tuple[Any, ...], given: Mapping[str, Any], pieces: list[Any], site: Site
) -> Any:
    """A Hera Task or Step for ``template`` in the innermost Hera context."""
    context, workflow = pieces[-1], pieces[0]
    if isinstance(context, DAG):
        kind, scope = _TASK, "tasks"
    elif isinstance(context, (Steps, Parallel)):
        kind, scope = _STEP, "steps"
    else:
        raise DefinitionError(
            "TIP113",
            f"{template.name} is called directly under {type(context).__name__}",
            where=str(site),
            cause="a Hera Workflow holds templates; tasks stand in a DAG or Steps",
            fix='write it inside `with DAG(name="main"):`, or use tiphys.Pipeline instead of Workflow',
        )
    inputs = {field.python for field in template.inputs}
    options = {k: v for k, v in given.items() if k in _OPTIONS and k not in inputs}
    literals = {k: _hera_value(v, site) for k, v in given.items() if k not in options}
    used = [value for value in options.values() if isinstance(value, (Value, ConditionValue))]
    options = {k: v.tag() if isinstance(v, (Value, ConditionValue)) else v for k, v in options.items()}
    arguments = bind(template, args, literals, site)
    if any(isinstance(leaf, LoopItem) for each in arguments.values() for leaf in _leaves(each)):
        raise DefinitionError(
            "TIP118",
            f"for_each in Hera's {type(context).__name__}",
            where=str(site),
            cause="the loop of a Hera task is one of its own options",
            fix='write train(rate="{{item}}", with_items=[0.1, 0.2]), or use tiphys.Pipeline',
        )
    arguments.update(template.extra_arguments(arguments, template.own_defaults()))
    _register(template, workflow, site)
    name = options.pop("name", template.name)
    spelt = written_arguments(
        template.inputs, arguments, lambda v: v.tag() if isinstance(v, Value) else str(v)
    )
    task = kind(
        name=name,
        template=template.name,
        arguments=[
            *(Parameter(name=each["name"], value=each["value"]) for each in spelt.get("parameters", [])),
            *(ArtifactModel.model_validate(each) for each in spelt.get("artifacts", [])),
        ],
        outputs=_Outputs(template, _Node(scope, name)),
        **options,
    )
    if scope == "tasks" and "depends" not in options and "dependencies" not in options:
        task.producers = lambda: _producers(task, [*arguments.values(), *used], context)
    return task


def _leaves(value: Argument) -> Iterator[Value]:
    if isinstance(value, Value):
        yield from value.leaves()


def _hera_value(value: Any, site: Site) -> Any:
    """Hera's own values are strings with tags, or Parameters; both are left to Argo."""
    if isinstance(value, str) and _TAG.search(value):
        return Raw(value)
    if isinstance(value, Artifact) and value.from_:
        return Raw(value.from_)
    if isinstance(value, Parameter):
        if value.value is None:
            raise DefinitionError(
                "TIP105",
                f"the Hera parameter {value.name!r} has no value",
                where=str(site),
                fix="pass a value",
            )
        return Raw(str(value.value))
    return value


def _register(template: StepTemplate, workflow: Any, site: Site) -> None:
    """Add the template to the Hera workflow once; another one of that name is refused, not merged
    (TIP117)."""
    if not isinstance(workflow, Workflow):
        raise DefinitionError(
            "TIP113",
            f"{template.name} is called outside a workflow",
            where=str(site),
            fix="use `with Workflow(…):`",
        )
    templates: list[Any] = workflow.templates
    for part in _parts(template):
        other = next((t for t in templates if getattr(t, "name", None) == part.name), None)
        if other is None:
            templates.append(part)
            _bring_volumes(part.body, workflow)
        elif not (isinstance(other, _Part) and other.body == part.body):
            raise DefinitionError(
                "TIP117",
                f"two templates are named {part.name!r}",
                where=str(site),
                cause="Hera would silently use the first one for both",
                fix="give one of them another name",
            )


def _bring_volumes(body: Mapping[str, Any], workflow: Any) -> None:
    """The claims that the template mounts, where neither it nor the workflow has them."""
    container = body.get("script") or body.get("container") or {}
    own = {volume["name"] for volume in body.get("volumes") or ()}
    for mount in container.get("volumeMounts") or []:
        if mount["name"] in own:
            continue
        volumes = workflow.volumes or []
        volumes = list(volumes) if isinstance(volumes, (list, tuple)) else [volumes]
        if all(getattr(volume, "name", None) != mount["name"] for volume in volumes):
            claim = ExistingVolume(
                name=mount["name"], claim_name=mount["name"], mount_path=mount["mountPath"]
            )
            workflow.volumes = [*volumes, claim]


@dataclass
class _Part:
    """A compiled template on Hera's list."""

    name: str | None
    body: dict[str, Any]
    template: StepTemplate

    def _build_template(self) -> Any:
        return Model.model_validate(self.body)

    def semaphores(self) -> list[Semaphore]:
        return self.template.semaphores()


def _parts(template: StepTemplate) -> Iterator[_Part]:
    """The template as Hera's workflow needs it; a nested graph brings the templates it uses."""
    defaults = template.own_defaults()
    for body in template.parts(defaults):
        if any("path" in each for each in (body.get("inputs") or {}).get("artifacts", ())):
            # Argo lays files into a folder of mode 0700: who reads them must be whom a Pipeline makes all pods be
            body.setdefault("securityContext", POD_SECURITY)
        yield _Part(body["name"], body, template)
    for used in template.inner_templates():
        yield from _parts(used)


def _producers(task: Any, used: Iterable[Argument | ConditionValue], dag: Any) -> Iterator[Any]:
    """The tasks of the DAG whose outputs are used."""
    by_name = {t.name: t for t in dag.tasks}
    for value in used:
        names = (
            [leaf.task.task_name for leaf in value.leaves() if isinstance(leaf, Output)]
            if isinstance(value, (Value, ConditionValue))
            else re.findall(r"\{\{tasks\.([\w-]+)\.", str(value))
        )
        for name in names:
            other = by_name.get(name)
            if other is not None and other is not task:
                yield other
