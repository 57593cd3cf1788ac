"""What Argo's controller checks before it executes a workflow, as far as execution itself needs it.

Every call that can be reached from the entrypoint and the exit handler must name a template that exists, is of a
known kind, and gets the inputs it must have. The words are those of Argo's validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiphys.argo.spec import TYPES, calls
from tiphys.engine.machine.library import Context, TemplateError

Json = Any

__all__ = ["first_problem"]


class _Problem(Exception):
    pass


def first_problem(spec: Mapping[str, Json], context: Context) -> str:
    """Return the first thing wrong, or an empty string. Hooks, the exit hook among them, are not looked at."""
    arguments = spec.get("arguments") or {}
    try:
        walk = _Walk()
        walk.call({"template": spec.get("entrypoint") or ""}, arguments, context, "")
        if spec.get("onExit"):
            walk.call({"template": spec["onExit"]}, arguments, context, "", leaf=True)
    except _Problem as problem:
        return str(problem)
    return ""


class _Walk:
    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    def call(
        self,
        holder: Mapping[str, Json],
        arguments: Mapping[str, Json],
        context: Context,
        path: str,
        leaf: bool = False,
    ) -> None:
        if any("{{" in str(holder.get(key) or "") for key in ("template", "templateRef")):
            return
        try:
            inner, compiled = context.resolve(holder)
        except TemplateError as error:
            raise _Problem(f"{path}{_not_found(holder, str(error))}") from None
        template = compiled.template
        name = str(template.get("name") or "")
        if not any(template.get(kind) is not None for kind in TYPES):
            raise _Problem(f"{path}template '{name}' type is unknown")
        here = f"{path}templates.{name}"
        given = {item.get("name") for item in arguments.get("parameters") or ()}
        for item in (template.get("inputs") or {}).get("parameters") or ():
            settled = any(item.get(key) is not None for key in ("value", "valueFrom", "default"))
            if not settled and item.get("name") not in given:
                raise _Problem(f"{here} inputs.parameters.{item.get('name')} was not supplied")
        key = (inner.label, name)
        if leaf or key in self.seen or holder.get("inline") is not None:
            return
        self.seen.add(key)
        for call in calls(template):
            self.call(call.holder, call.holder.get("arguments") or {}, inner, f"{here}.{call.label} ")


def _not_found(holder: Mapping[str, Json], error: str) -> str:
    reference = holder.get("templateRef")
    if reference:
        return f"template reference {reference.get('name')}.{reference.get('template')} not found"
    return f"template name '{holder.get('template')}' undefined" if holder.get("template") else error
