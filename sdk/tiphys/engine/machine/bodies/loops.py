"""``withItems``, ``withParam`` and ``withSequence``: one step or task into many."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING

from tiphys.argo.any_string import any_string
from tiphys.expr import gojson
from tiphys.expr.budget import within
from tiphys.expr.gofmt import sprintf
from tiphys.expr.gojson_scan import RawText, compact, elements, members, squeezed, syntax_error, unquoted
from tiphys.expr.gotext import atoi, atoi_problem
from tiphys.expr.govaluate import WhenError, evaluate_when
from tiphys.expr.lexer import ExprError
from tiphys.expr.tags import (
    Chain,
    Layers,
    TagError,
    Variables,
    compile_plan,
    substitute,
)

if TYPE_CHECKING:
    from tiphys.argo.types import LoopSequence, WorkflowStep
    from tiphys.jsontypes import Json


__all__ = ["LoopError", "expand", "is_loop"]


class LoopError(Exception):
    """A loop cannot be expanded; the text is Argo's."""


def is_loop(step: WorkflowStep) -> bool:
    """Return whether the step or task stands for many."""
    return bool(step.get("withItems")) or bool(step.get("withParam")) or step.get("withSequence") is not None


def expand(step: WorkflowStep, variables: Variables, *, strict_values: bool = False) -> list[WorkflowStep]:
    """Return the steps, one for each item, named ``name(index:item)``; with ``strict_values`` no item brings a tag.

    Raises
    ------
    LoopError
        The items cannot be read, or a tag stays unresolved.
    """
    try:
        items = _items(step)
    except LoopError:
        if _plainly_false(step, Layers({})):
            return []
        raise
    base = step.copy()
    base.pop("withItems", None)
    base.pop("withParam", None)
    base.pop("withSequence", None)
    name = str(base.pop("name"))
    plan = compile_plan(base)
    result = []
    for index, item in enumerate(items):
        values, description = _values(item)
        scope = Chain(Layers(values), variables)
        copy = base
        if plan is not None:
            try:
                copy = plan.render(
                    base, functools.partial(substitute, variables=scope, strict=None, literal=strict_values)
                )
            except TagError as error:
                if not _plainly_false(base, scope):
                    raise LoopError(str(error)) from None
                copy = {**base, "when": substitute(str(base["when"]), scope)}
        made = copy.copy()
        made["name"] = f"{name}({index}:{description})"
        result.append(made)
    return result


def _plainly_false(step: WorkflowStep, variables: Variables) -> bool:
    when = str(step.get("when") or "")
    if not when:
        return False
    try:
        return not evaluate_when(substitute(when, variables))
    except (WhenError, TagError):
        return False


def _items(step: WorkflowStep) -> list[Json]:
    if step.get("withItems"):
        return list(step["withItems"])
    if step.get("withParam"):
        text = step["withParam"]
        if not isinstance(text, str):
            return list(text)
        problem = syntax_error(text)
        letter = text.strip()[:1]
        if not problem and letter not in ("[", "n"):
            kind = {"{": "object", '"': "string", "t": "bool", "f": "bool"}.get(letter, "number")
            problem = f"json: cannot unmarshal {kind} into Go value of type []v1alpha1.Item"
        if problem:
            raise LoopError(f"withParam value could not be parsed as a JSON list: {text.strip()}: {problem}")
        return list(elements(text)) if letter == "[" else []
    return [*_sequence(step["withSequence"])]


def _number(value: int | str) -> int:
    number = atoi(any_string(value))
    if number is None:
        raise LoopError(f'strconv.Atoi: parsing "{value}": {atoi_problem(any_string(value))}')
    return number


def _sequence(sequence: LoopSequence) -> list[str]:
    start = _number(sequence["start"]) if sequence.get("start") is not None else 0
    if sequence.get("end") is not None:
        end = _number(sequence["end"])
    elif sequence.get("count") is not None:
        count = _number(sequence["count"])
        if count == 0:
            return []
        end = start + count - 1
    else:
        raise LoopError("must have end or count in withSequence")
    numbers = range(start, end + 1) if start <= end else range(start, end - 1, -1)
    try:
        within(abs(end - start) + 1)
    except ExprError as error:  # Argo goes on until its controller has no memory
        raise LoopError(f"withSequence from {start} to {end}: {error}") from None
    template = sequence.get("format") or "%d"
    return [sprintf(template, number) for number in numbers]


def _values(item: Json) -> tuple[dict[str, str], str]:
    """Return the variables of an item and how it is described in the node's name.

    A text is described as it is written in JSON, escapes included; members of maps and lists are shown and passed on
    that way, too. Numbers keep their spelling.
    """
    raw = item if isinstance(item, RawText) else RawText(_spelled(item))
    if raw[0] == "{":
        parts = {name: _bare(value) for name, value in members(raw)}
        values = {f"item.{name}": value for name, value in parts.items()}
        values["item"] = "{" + ",".join(
            f"{gojson.marshal(name)}:{compact(value)}" for name, value in sorted(members(raw))
        ) + "}"  # fmt: skip
        description = ",".join(sorted(f"{name}:{value}" for name, value in parts.items()))
    elif raw[0] == "[":
        values = {"item": compact(raw)}
        description = "[" + " ".join(_bare(part) for part in elements(raw)) + "]"
    elif raw[0] == '"':
        values = {"item": unquoted(raw)}
        description = raw[1:-1]
    else:
        values = {"item": str(raw)}
        description = "[]" if raw == "null" else str(raw)
    return values, re.sub(r"[()]", "", description)


def _bare(raw: RawText) -> str:
    text = raw[1:-1] if raw[0] == '"' else squeezed(raw)
    for escaped, plain in (("\\u003c", "<"), ("\\u003e", ">"), ("\\u0026", "&")):
        text = text.replace(escaped, plain)
    return text


def _spelled(item: Json) -> str:
    """Return the JSON that the API server keeps of an item: numbers as Go writes them, nothing escaped needlessly."""
    if isinstance(item, (int, float)) and not isinstance(item, bool):
        kept = isinstance(item, int) and -(2**63) <= item < 2**63
        return str(item) if kept else gojson.float_text(float(item))
    if isinstance(item, dict):
        return "{" + ",".join(f"{_spelled(name)}:{_spelled(value)}" for name, value in item.items()) + "}"
    if isinstance(item, list):
        return "[" + ",".join(_spelled(part) for part in item) + "]"
    return json.dumps(item, ensure_ascii=False)
