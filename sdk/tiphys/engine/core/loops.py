"""``withItems``, ``withParam`` and ``withSequence``: one step or task into many."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tiphys.engine.core.arguments import any_string
from tiphys.engine.expr import gojson
from tiphys.engine.expr.gofmt import sprintf
from tiphys.engine.expr.govaluate import WhenError, evaluate_when
from tiphys.engine.expr.tags import Chain, Layers, TagError, Variables, compile_plan, substitute

Json = Any

__all__ = ["LoopError", "expand", "is_loop"]

_LOOP_KEYS = ("withItems", "withParam", "withSequence")


class LoopError(Exception):
    """A loop cannot be expanded; the text is Argo's."""


def is_loop(step: Mapping[str, Json]) -> bool:
    """Return whether the step or task stands for many."""
    return bool(step.get("withItems")) or bool(step.get("withParam")) or step.get("withSequence") is not None


def expand(step: Mapping[str, Json], variables: Variables) -> list[dict[str, Json]]:
    """Return the steps, one for each item, named ``name(index:item)``.

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
    base = {key: value for key, value in step.items() if key not in _LOOP_KEYS}
    name = str(base.pop("name"))
    plan = compile_plan(base)
    result = []
    for index, item in enumerate(items):
        values, description = _values(item)
        scope = Chain(Layers(values), variables)
        copy = base
        if plan is not None:
            try:
                copy = plan.render(base, lambda text, scope=scope: substitute(text, scope, strict=None))  # type: ignore[misc]
            except TagError as error:
                if not _plainly_false(base, scope):
                    raise LoopError(str(error)) from None
                copy = plan.render(base, lambda text, scope=scope: substitute(text, scope))  # type: ignore[misc]
        made = dict(copy)
        made["name"] = f"{name}({index}:{description})"
        result.append(made)
    return result


def _plainly_false(step: Mapping[str, Json], variables: Variables) -> bool:
    when = str(step.get("when") or "")
    if not when:
        return False
    try:
        return not evaluate_when(substitute(when, variables, strict=None))
    except (WhenError, TagError):
        return False


def _items(step: Mapping[str, Json]) -> list[Json]:
    if step.get("withItems"):
        return list(step["withItems"])
    if step.get("withParam"):
        text = step["withParam"]
        if not isinstance(text, str):
            return list(text)
        try:
            items = json.loads(text)
        except ValueError as error:
            from tiphys.engine.core.scope import _json_error

            raise LoopError(
                f"withParam value could not be parsed as a JSON list: {text.strip()}: {_json_error(text, error)}"
            ) from None
        if items is None:
            return []
        if not isinstance(items, list):
            kind = {dict: "object", str: "string", bool: "bool"}.get(type(items), "number")
            raise LoopError(
                f"withParam value could not be parsed as a JSON list: {text.strip()}: "
                f"json: cannot unmarshal {kind} into Go value of type []v1alpha1.Item"
            )
        return items
    return _sequence(step["withSequence"])


def _number(value: Json) -> int:
    try:
        return int(any_string(value))
    except ValueError:
        raise LoopError(f'strconv.Atoi: parsing "{value}": invalid syntax') from None


def _sequence(sequence: Mapping[str, Json]) -> list[str]:
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
    template = sequence.get("format") or "%d"
    return [sprintf(template, number) for number in numbers]


def _values(item: Json) -> tuple[dict[str, str], str]:
    """Return the variables of an item and how it is described in the node's name."""
    if isinstance(item, dict):
        values = {f"item.{key}": _inner(value) for key, value in item.items()}
        values["item"] = gojson.marshal(item)
        description = ",".join(sorted(f"{key}:{_inner(value)}" for key, value in item.items()))
    elif isinstance(item, list) or item is None:
        items = item or []
        values = {"item": gojson.marshal(items)}
        description = "[" + " ".join(_inner(part) for part in items) + "]"
    else:
        text = any_string(item)
        values = {"item": text}
        description = text
    return values, re.sub(r"[()]", "", description)


def _inner(value: Json) -> str:
    """Return an Item inside an item as text: strings bare, the rest as JSON."""
    return (
        gojson.marshal(value, sort=False)
        if isinstance(value, (dict, list)) or value is None
        else any_string(value)
    )
