"""``workflowMetadata``: labels and annotations that a spec gives its Workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.engine.core.state import State
from tiphys.engine.expr.evaluate import ExprError, compile_expression
from tiphys.engine.expr.tags import environment

Json = Any

__all__ = ["apply_metadata"]


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
                program = compile_expression(expression)
                value = program.run(environment(program, state.base))
            except ExprError as error:
                problem = (
                    problem or f"Failed to evaluate {kind[:-1]} {name!r} expression {expression!r}: {error}"
                )
                continue
            if not isinstance(value, str):
                problem = (
                    problem
                    or f"failed to evaluate {kind[:-1]} {name!r} expression {expression!r} evaluted to non-string"
                )
                continue
            found[name] = value
        if declared:
            state.globals.set_metadata(kind, found)
            result[kind] = found
    state.globals.changed()
    return result, problem
