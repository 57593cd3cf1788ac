"""Parameters of a workflow: typed, bounded, and checked before anything starts.

Argo knows only text and, for a choice, ``enum``. The types and bounds travel as small JSON schemas in the
annotation ``tiphys.dev/parameters``; ``tiphys.argo.parameters.check`` reads it before anything starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin

from tiphys.argo.parameters import json_text
from tiphys.compiler.line import Site
from tiphys.dsl.names import check_parameter
from tiphys.dsl.types import MISSING
from tiphys.dsl.values import ParameterValue
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.argo.types import Parameter

__all__ = ["Declared", "declare", "schema_text"]

_KINDS: Mapping[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}


def _origin(kind: Any) -> Any:
    return get_origin(kind) or kind


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter with what is known about its values."""

    value: ParameterValue
    default: Any
    minimum: float | None
    maximum: float | None
    pattern: str
    description: str

    @property
    def name(self) -> str:
        return self.value.name

    def argument(self) -> Parameter:
        """The entry of ``spec.arguments.parameters``."""
        entry: Parameter = {"name": self.name}
        if self.default is not MISSING:
            entry["value"] = json_text(self.default)
        choices = [False, True] if self.value.type is bool else self.value.choices
        if choices:
            entry["enum"] = [json_text(choice) for choice in choices]
        if self.description:
            entry["description"] = self.description
        return entry

    def schema(self) -> dict[str, Any]:
        """The JSON schema of its values."""
        schema: dict[str, Any] = {"type": _KINDS[_origin(self.value.type)]}
        if inner := get_args(self.value.type):
            schema["items"] = {"type": _KINDS[inner[-1]]}
        if self.value.choices:
            schema["enum"] = list(self.value.choices)
        for key, bound in (("minimum", self.minimum), ("maximum", self.maximum)):
            if bound is not None:
                schema[key] = bound
        if self.pattern:
            schema["pattern"] = self.pattern
        return schema


def declare(
    name: str,
    default: Any,
    kind: Any,
    choices: Sequence[Any],
    minimum: float | None,
    maximum: float | None,
    pattern: str,
    description: str,
    site: Site,
) -> Declared:
    """Check a declaration. Raises DefinitionError: TIP101 name, TIP105 type, TIP109 default out of range."""
    check_parameter(name, "a parameter", site)
    if kind is None:
        sample = default if default is not MISSING else (choices[0] if choices else "")
        kind = _kind_of(sample)
    if _origin(kind) not in _KINDS or any(each not in (str, int, float, bool) for each in get_args(kind)):
        raise DefinitionError(
            "TIP105",
            f"the parameter {name!r} is of type {getattr(kind, '__name__', kind)}",
            where=str(site),
            cause="a workflow parameter is given on a command line",
            fix="use str, int, float, bool, or a list or dict of these: type=list[float]",
        )
    if kind is not str and pattern:
        raise DefinitionError(
            "TIP105", f"{name!r}: a pattern is for text", where=str(site), fix="leave it out"
        )
    if pattern:
        re.compile(pattern)
    if kind not in (int, float) and (minimum is not None or maximum is not None):
        raise DefinitionError(
            "TIP105",
            f"{name!r}: bounds are for numbers",
            where=str(site),
            fix="leave minimum and maximum out",
        )
    declared = Declared(
        ParameterValue(name, kind, tuple(choices)), default, minimum, maximum, pattern, description
    )
    for value in [*choices, *([] if default is MISSING else [default])]:
        problem = _problem(declared, value)
        if problem:
            raise DefinitionError(
                "TIP109",
                f"the parameter {name!r} has the value {value!r}: {problem}",
                where=str(site),
                fix="correct the default, or the bounds",
            )
    return declared


def _kind_of(sample: Any) -> Any:
    """The type of a default: of a list or dict with elements of one kind, that, too."""
    if not isinstance(sample, (list, dict)) or not sample:
        return type(sample)
    kinds = {type(each) for each in (sample.values() if isinstance(sample, dict) else sample)}
    inner = float if kinds == {int, float} else kinds.pop() if len(kinds) == 1 else None
    if inner not in (str, int, float, bool):
        return type(sample)
    return list[inner] if isinstance(sample, list) else dict[str, inner]  # type: ignore[valid-type]


def _fits(value: object, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _problem(declared: Declared, value: Any) -> str:
    kind = _origin(declared.value.type)
    if inner := get_args(declared.value.type):
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if any(not _fits(each, inner[-1]) for each in values):
            return f"its elements are not of type {inner[-1].__name__}"
    if not _fits(value, kind):
        return f"it is not of type {kind.__name__}"
    if declared.value.choices and value not in declared.value.choices:
        return f"choices are {', '.join(map(repr, declared.value.choices))}"
    if declared.minimum is not None and value < declared.minimum:
        return f"it must be at least {declared.minimum}"
    if declared.maximum is not None and value > declared.maximum:
        return f"it must be at most {declared.maximum}"
    if declared.pattern and not re.search(declared.pattern, value):
        return f"it must match {declared.pattern!r}"
    return ""


def schema_text(declared: Sequence[Declared]) -> str:
    """The schemas of all parameters, as the annotation holds them (``tiphys.argo.parameters`` checks them)."""
    return json.dumps({d.name: d.schema() for d in declared}, separators=(",", ":"), ensure_ascii=False)
