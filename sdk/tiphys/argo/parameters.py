"""Checking run-time parameters before anything starts.

A pipeline's parameters carry their types and ranges in the annotation ``tiphys.dev/parameters``: a JSON
object of parameter name to a small JSON Schema (``type``, ``enum``, ``minimum``, ``maximum``,
``exclusiveMinimum``, ``exclusiveMaximum``, ``pattern``). Argo's own ``enum`` of a parameter counts too (Argo
checks it at submission only).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypedDict

from tiphys.argo.any_string import any_string
from tiphys.argo.spec import workflow_spec
from tiphys.errors import RefusedError, did_you_mean

__all__ = [
    "ANNOTATION",
    "as_text",
    "check",
    "declared",
    "json_text",
    "named_as_declared",
    "not_one_of",
    "unknown",
]

ANNOTATION = "tiphys.dev/parameters"

if TYPE_CHECKING:
    from tiphys.argo.types import Parameter, Workflow
    from tiphys.jsontypes import Json

    class _Schema(TypedDict, total=False):
        type: str
        items: _Schema
        enum: list[str] | list[Json]
        minimum: float
        maximum: float
        exclusiveMinimum: float
        exclusiveMaximum: float
        pattern: str


def json_text(value: object) -> str:
    """A Python value as the text that Argo carries: strings as they are, everything else as compact JSON.

    Raises
    ------
    TypeError
        It is nothing that JSON has.
    """
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def as_text(value: object) -> str:
    """A Python value that is given for a parameter, as text: :func:`json_text`, or what ``str`` makes of what JSON has
    not (a reference, a path)."""
    try:
        return json_text(value)
    except TypeError:
        return str(value)


def check(
    workflow: Workflow, parameters: Mapping[str, str], *, complete: bool = True, literal: bool = False
) -> None:
    """Check ``parameters`` (given for this run) and the values in ``workflow``. Raises RefusedError.

    TIP280: the workflow has no such parameter; TIP281: a value is of another type or out of range; TIP282: a
    parameter has no value (only if ``complete``: Argo itself ends such a workflow Failed); TIP283: a value that
    Argo would not take as it is (of a YAML file only what it cannot read, unless ``literal``).
    """
    spec = workflow.get("spec") or {}
    known = declared(workflow)
    open_ended = "workflowTemplateRef" in spec  # the template may declare more
    for name in parameters:
        if name not in known and not open_ended:
            raise unknown(name, known)
    schemas = _schemas(workflow)
    for name, item in known.items():
        given = name in parameters
        value: object = parameters[name] if given else item.get("value")
        if value is None:
            if complete and not item.get("valueFrom"):
                unread = (
                    "Argo does not read the default of a workflow's parameter" if "default" in item else ""
                )
                raise RefusedError(
                    "TIP282",
                    f"parameter {name!r} has no value",
                    cause=unread,
                    fix=f"give it: -p {name}=VALUE",
                )
            continue
        if given:
            _taken_literally(name, parameters[name], typed=literal or name in schemas)
        schema: _Schema = {**_choices(item), **(schemas.get(name) or {})}
        text = any_string(value)
        problem = _problem(text, schema)
        if problem:
            raise _refused(item, text, problem, given=given)


def declared(workflow: Mapping[str, object]) -> dict[str, Parameter]:
    """The parameters of a workflow, or of those that a CronWorkflow makes, by name, in order."""
    arguments = workflow_spec(workflow).get("arguments") or {}
    return {str(item.get("name")): item for item in arguments.get("parameters") or [] if item}


def named_as_declared(given: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    """``batch_size`` becomes ``batch-size`` where only that is declared."""
    names = set(known)

    def name_of(name: str) -> str:
        dashed = name.replace("_", "-")
        return dashed if name not in names and dashed in names else name

    return {name_of(name): value for name, value in given.items()}


def unknown(name: str, known: Iterable[str]) -> RefusedError:
    """TIP280: the workflow (or the template that it is made from) has no such parameter."""
    names = sorted(known)
    return RefusedError(
        "TIP280",
        f"the workflow has no parameter {name!r}." + did_you_mean(name, names),
        cause="its parameters: " + (", ".join(names) or "none"),
        fix="use one of these names" if names else "give none",
    )


def not_one_of(item: Parameter, value: str, *, given: bool) -> RefusedError | None:
    """TIP281 for a value outside the ``enum`` of a parameter."""
    problem = _problem(value, _choices(item))
    return _refused(item, value, problem, given=given) if problem else None


def _choices(item: Parameter) -> _Schema:
    """Argo's own ``enum`` of a parameter as a schema."""
    return {"enum": [any_string(choice) for choice in item.get("enum") or ()]}


def _refused(item: Parameter, value: str, problem: str, *, given: bool) -> RefusedError:
    name = item.get("name")
    return RefusedError(
        "TIP281",
        f"parameter {name}={_short(value)} is refused: it must be {problem}",
        cause=str(item.get("description") or ""),
        fix=f"give another value: -p {name}=…" if given else f"change its default, or give -p {name}=…",
    )


def _taken_literally(name: str, value: str, *, typed: bool) -> None:
    """Refuse a value that the controller replaces or evaluates: in a pipeline, where it is data; and always one that
    it cannot read.

    Seen with 4.1.2: ``{{workflow.name}}`` in a value given at submission is replaced, ``{{=…}}`` evaluated, a
    parameter that names itself unfolds 32 times; with a lone ``{{`` the workflow never gets a phase. There is no way to
    quote it.
    """
    opening = value.rfind("{{")
    if opening < 0 or (not typed and "}}" in value[opening:]):
        return
    raise RefusedError(
        "TIP283",
        f"parameter {name}={_short(value)} is refused: it holds '{{{{'",
        cause="Argo replaces {{…}} in a value, evaluates {{=…}}, and never starts a workflow with a lone {{",
        fix="give it in a file or with a blank between the braces: there is no way to quote it",
    )


def _schemas(workflow: Workflow) -> dict[str, _Schema]:
    annotations: object = (workflow.get("metadata") or {}).get("annotations")
    text = annotations.get(ANNOTATION) if isinstance(annotations, Mapping) else None
    if not isinstance(text, str):
        return {}  # what is of another type is told by who decodes it
    try:
        value = json.loads(text)
    except ValueError:
        return {}  # somebody else's annotation; Argo ignores it too
    return value if isinstance(value, dict) else {}


def _problem(text: str, schema: _Schema) -> str:
    """What ``text`` should have been, or an empty string."""
    kind = schema.get("type")
    number: float | None = None
    if kind == "integer":
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            return "a whole number" + _range(schema)
        number = int(text)
    elif kind == "number":
        try:
            number = float(text)
        except ValueError:
            return "a number" + _range(schema)
        if not math.isfinite(number):
            return "a finite number" + _range(schema)
    elif kind == "boolean" and text not in ("true", "false"):
        return "true or false"
    elif kind in ("array", "object"):
        return _collection_problem(text, kind, schema.get("items"))
    choices = [json_text(choice) for choice in schema.get("enum") or ()]
    if choices and text not in choices:
        return "one of " + ", ".join(choices) + "." + did_you_mean(text, choices)
    if number is not None and not (
        schema.get("minimum", -math.inf) <= number <= schema.get("maximum", math.inf)
        and schema.get("exclusiveMinimum", -math.inf) < number < schema.get("exclusiveMaximum", math.inf)
    ):
        return ("a whole number" if kind == "integer" else "a number") + _range(schema)
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, text):
        return f"text that matches {pattern}"
    return ""


def _collection_problem(text: str, kind: str, items: _Schema | None) -> str:
    """What a list or an object should have been, or an empty string."""
    word, holder = ("list", list) if kind == "array" else ("object", dict)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return f"a JSON {word}"
    if not isinstance(value, holder):
        return f"a JSON {word}"
    each: Iterable[Json] = value.values() if isinstance(value, dict) else value
    inner = (items or {}).get("type", "")
    for item in each if items else ():
        wrong = "" if isinstance(item, str) == (inner == "string") else _WORDS[inner]
        if wrong := wrong or _problem(json_text(item), items or {}):
            return f"a JSON {word}, each element {wrong}"
    return ""


_WORDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}


def _range(schema: _Schema) -> str:
    bounds = (
        ("at least", schema.get("minimum")),
        ("more than", schema.get("exclusiveMinimum")),
        ("at most", schema.get("maximum")),
        ("less than", schema.get("exclusiveMaximum")),
    )
    parts = [f"{words} {bound}" for words, bound in bounds if bound is not None]
    return (", " + " and ".join(parts)) if parts else ""


def _short(text: str) -> str:
    return text if len(text) <= 60 and text.isprintable() else repr(text[:60])
