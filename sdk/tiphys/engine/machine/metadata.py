"""``workflowMetadata``: labels and annotations that a spec gives its Workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.engine.machine.state import State
from tiphys.expr.evaluate import ExprError, compile_expression
from tiphys.expr.operators import go_kind
from tiphys.expr.tags import environment

Json = Any

__all__ = ["apply_metadata"]


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


def apply_metadata(state: State, metadata: Mapping[str, Json]) -> tuple[dict[str, Json], str]:
    """Return the metadata with what ``spec.workflowMetadata`` adds, and what is wrong with it, if anything.

    The variables ``workflow.labels.*`` and ``workflow.annotations.*`` are brought up to date.
    """
    declared = state.spec.get("workflowMetadata") or {}
    result = dict(metadata)
    problem = ""
    for kind in ("labels", "annotations"):
        found = {**(metadata.get(kind) or {}), **(declared.get(kind) or {})}
        for name, source in (declared.get(f"{kind}From") or {}).items():
            expression = str((source or {}).get("expression") or "")
            try:
                found[name] = _evaluated(kind[:-1], name, expression, state)
            except ExprError as error:
                problem = problem or str(error)
        if declared:
            state.globals.set_metadata(kind, found)
            result[kind] = found
    state.globals.changed()
    return result, problem
