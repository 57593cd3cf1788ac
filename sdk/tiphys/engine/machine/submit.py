"""From a Workflow object to the spec that is executed: template references, parameters, refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from tiphys.argo.any_string import any_string
from tiphys.argo.parameters import not_one_of, unknown
from tiphys.argo.patch import WORKFLOW_SPEC, PatchError, strategic, without_nulls
from tiphys.argo.spec import every_template, template_type
from tiphys.engine.machine.arguments import ArgumentError, filled, looked_up
from tiphys.engine.machine.library import Library, TemplateError
from tiphys.engine.machine.state import State
from tiphys.errors import RefusedError
from tiphys.expr.tags import TagError

if TYPE_CHECKING:
    from tiphys.argo.types import Parameter, Template, ValueFrom, Workflow, WorkflowSpec


__all__ = ["GlobalsError", "InvalidSpec", "effective_spec", "refuse_unsupported", "workflow_parameters"]


class InvalidSpec(Exception):
    """What Argo's controller finds when it first looks at a workflow: it ends Failed, ``invalid spec: …``."""


class GlobalsError(Exception):
    """A parameter of the workflow has no value, or not the one of its ConfigMap: it ends Failed with this text."""


def effective_spec(workflow: Workflow, library: Library) -> tuple[WorkflowSpec, WorkflowSpec | None]:
    """Return the spec to execute and, with ``workflowTemplateRef``, what ``status`` stores of it.

    Raises
    ------
    TemplateError
        The WorkflowTemplate was not given, or the two cannot be merged.
    """
    spec: WorkflowSpec = (workflow.get("spec") or {}).copy()
    reference = spec.get("workflowTemplateRef")
    if not reference:
        return spec, None
    found = library.workflow_template(reference)
    base: WorkflowSpec = found.get("spec") or {}
    own = {
        key: value
        for key, value in spec.items()
        if key != "workflowTemplateRef" and value not in ("", None, [], {})  # unset, as Go's omitempty has it
    }
    try:
        merged = cast("WorkflowSpec", strategic(without_nulls(base), without_nulls(own), WORKFLOW_SPEC))
    except PatchError as error:
        raise TemplateError(str(error)) from error
    if base.get("hooks") and spec.get("hooks"):
        merged["hooks"] = {**base["hooks"], **spec["hooks"]}  # Argo takes a hook whole
    merged["workflowTemplateRef"] = reference
    return merged, merged


def workflow_parameters(state: State, given: Mapping[str, str]) -> list[Parameter]:
    """Return ``spec.arguments.parameters`` with the values to use. Their ``default`` is not read, as by Argo.

    Raises
    ------
    RefusedError
        A name the workflow does not have, a value outside ``enum``.
    InvalidSpec
        A parameter without a value.
    GlobalsError
        A ConfigMap that was not given, or lacks the key; a value that nobody supplied.
    """
    declared = [item.copy() for item in (state.spec.get("arguments") or {}).get("parameters") or ()]
    names = [item.get("name", "") for item in declared]
    for name in given:
        if name not in names:
            raise unknown(name, names)
    result = []
    for item in declared:
        name = item.get("name", "")
        if name in given:
            item["value"] = given[name]
            item.pop("valueFrom", None)
        _from_config_map(state, item)
        if item.get("value") is None:
            if item.get("valueFrom") is None:
                raise InvalidSpec(
                    f"spec.arguments.{name}.value or spec.arguments.{name}.valueFrom is required"
                )
            raise GlobalsError(
                "failed to set global parameters: either value or valueFrom must be specified in order to set global "
                f"parameter {name}"
            )
        item["value"] = any_string(item["value"])
        refused = not_one_of(item, item["value"], given=name in given)
        if refused is not None:
            raise refused
        result.append(item)
    return result


def _from_config_map(state: State, item: Parameter) -> None:
    source: ValueFrom = item.get("valueFrom") or {}
    if not source.get("configMapKeyRef"):
        return
    reference = filled(source["configMapKeyRef"], state.base)
    try:
        found = looked_up(reference, source, state.config_map_value)
    except (ArgumentError, TagError) as error:
        raise GlobalsError(
            f"failed to set global parameters: failed to set global parameter {item.get('name')} from configmap with "
            f"name {reference.get('name')} and key {reference.get('key')}: {error}"
        ) from None
    item["value"] = found
    item.pop("valueFrom", None)


def refuse_unsupported(spec: WorkflowSpec, library: Library, contexts: Sequence[Sequence[Template]]) -> None:
    """Refuse what cannot run on one machine, before anything runs.

    Raises
    ------
    RefusedError
        With the code of the feature.
    """
    for templates in contexts:
        for _, template in every_template(list(templates)):
            if template_type(template) == "plugin":
                name = str(template.get("name") or "inline")
                raise RefusedError(
                    "TIP231",
                    f"template '{name}' is a plugin",
                    where=f"spec.templates.{name}.plugin",
                    cause="executor plugins are services of the cluster",
                    fix="run it on a cluster, or write the step as a container",
                )
