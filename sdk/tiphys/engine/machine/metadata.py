"""``workflowMetadata``: labels and annotations that a spec gives its Workflow, and those that are changed later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.engine.machine.state import State
from tiphys.expr.evaluate import ExprError, compile_expression
from tiphys.expr.operators import go_kind
from tiphys.expr.tags import environment

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta


__all__ = ["apply_metadata", "relabelled"]


def _evaluated(kind: str, name: str, expression: str, state: State) -> str:
    try:
        program = compile_expression(expression)
        known = environment(program, state.base)
        program.check(known)
    except ExprError as error:
        raise ExprError(f'failed to compile function for expression "{expression}": {error}') from None
    try:
        value = program.run(known)
    except ExprError as error:
        raise ExprError(f'failed to evaluate {kind} "{name}" expression "{expression}": {error}') from None
    if not isinstance(value, str):
        raise ExprError(
            f'failed to evaluate {kind} "{name}" expression "{expression}" evaluted to {go_kind(value)} '
            "but must be a string"
        )
    return value


def apply_metadata(state: State, metadata: ObjectMeta) -> tuple[ObjectMeta, str]:
    """Return the metadata with what ``spec.workflowMetadata`` adds, and what is wrong with it, if anything.

    The variables ``workflow.labels.*`` and ``workflow.annotations.*`` are brought up to date.
    """
    declared = state.spec.get("workflowMetadata") or {}
    result = metadata.copy()
    problem = ""
    labels = {**(metadata.get("labels") or {}), **(declared.get("labels") or {})}
    for name, source in (declared.get("labelsFrom") or {}).items():
        expression = str((source or {}).get("expression") or "")
        try:
            labels[name] = _evaluated("label", name, expression, state)
        except ExprError as error:
            problem = problem or str(error)
    if declared:
        annotations = {**(metadata.get("annotations") or {}), **(declared.get("annotations") or {})}
        state.globals.set_metadata("labels", labels)
        state.globals.set_metadata("annotations", annotations)
        result["labels"], result["annotations"] = labels, annotations
    state.globals.changed()
    return result, problem


def relabelled(
    metadata: ObjectMeta, labels: Mapping[str, str | None], annotations: Mapping[str, str | None]
) -> ObjectMeta:
    """Return the metadata with other labels and annotations; None takes one away."""
    result = metadata.copy()
    if labels:
        result["labels"] = _merged(metadata.get("labels") or {}, labels)
    if annotations:
        result["annotations"] = _merged(metadata.get("annotations") or {}, annotations)
    return result


def _merged(before: Mapping[str, str], change: Mapping[str, str | None]) -> dict[str, str]:
    after: Mapping[str, str | None] = {**before, **change}
    return {key: value for key, value in after.items() if value is not None}
