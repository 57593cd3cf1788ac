"""Types of inputs and outputs: what a function's signature says, and what fits what."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args, get_origin

from tiphys.argo.parameters import json_text
from tiphys.compiler.line import Site
from tiphys.dsl.habits import of_annotation, of_name
from tiphys.dsl.values import Output, ParameterValue, Value
from tiphys.errors import DefinitionError
from tiphys.reference import Reference
from tiphys.step.kinds import TIMES, as_json, field_names, form, is_model, members, quoted, time_of

__all__ = [
    "MISSING",
    "Field",
    "FunctionSignature",
    "encode",
    "fields_of",
    "fits",
    "is_record",
    "kebab",
    "may_be_long",
    "signature_of",
    "type_name",
]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()
FORMS = "str, int, float, bool, Literal, Enum, a date or time, list, dict, a dataclass, a model or Reference"
_SCALARS = (str, int, float, bool, dict, list, Reference)
_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*\Z")


def kebab(name: str) -> str:
    """``batch_size`` as ``batch-size``."""
    return name.strip("_").replace("_", "-")


@dataclass(frozen=True, slots=True)
class Field:
    """An input or an output: its Python name, its name in the workflow, its type and default.

    ``result``: an output that is what the step has printed, or a server has answered: Argo's ``outputs.result``.
    """

    python: str
    name: str
    type: Any
    default: Any = MISSING
    result: bool = False

    @property
    def required(self) -> bool:
        return self.default is MISSING


@dataclass(frozen=True, slots=True)
class FunctionSignature:
    """The inputs and outputs of a function."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]


def type_name(kind: Any) -> str:
    """A type as a reader writes it."""
    if kind is Any:
        return "Any"
    if get_origin(kind) is not None or not isinstance(kind, type):
        return re.sub(r"\b(typing|builtins|[a-z_]+(\.[a-z_]+)*)\.(?=[A-Z])", "", str(kind))
    return kind.__name__


def unwrap(kind: Any) -> Any:
    """Without ``Annotated`` and ``Optional``."""
    if get_origin(kind) is typing.Annotated:
        return unwrap(get_args(kind)[0])
    if get_origin(kind) in (typing.Union, types.UnionType):
        rest = [a for a in get_args(kind) if a is not type(None)]
        if len(rest) == 1:
            return unwrap(rest[0])
    return kind


def is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (
        (dataclasses.is_dataclass(kind) and kind is not Reference)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def may_be_long(field: Field) -> bool:
    """Whether a value of it may be a long text: it is no number, choice or reference."""
    kind = unwrap(field.type)
    if (options := members(kind)) is not None:
        return any(may_be_long(dataclasses.replace(field, type=each)) for each in options)
    plain = (get_origin(kind) or kind) in (list, dict, tuple)
    return kind in (str, Any) or plain or is_record(kind) or is_model(kind)


def _supported(kind: Any) -> bool:
    kind = unwrap(kind)
    if kind is Any or kind in _SCALARS or is_record(kind) or kind in TIMES or is_model(kind):
        return True
    if (options := members(kind)) is not None:
        return all(map(_supported, options)) and _told_apart(options)
    if kind is type(None):
        return True
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return True
    origin = get_origin(kind)
    return origin is Literal or origin in (list, dict, tuple)


def _told_apart(options: tuple[Any, ...]) -> bool:
    """Whether the JSON of a value says which member of a union it is."""
    forms = [form(each) for each in options if not (each is float and int in options)]
    return "" not in forms and len(set(forms)) == len(forms) and not {"number", "seconds"} <= set(forms)


def fields_of(kinds: Mapping[str, object], what: str, site: Site) -> tuple[Field, ...]:
    """Inputs or outputs that are given as a mapping of names to types. Raises DefinitionError: TIP101, TIP110."""
    for name, kind in kinds.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            raise DefinitionError(
                "TIP101",
                f"{what} is called {name!r}",
                where=str(site),
                fix="begin with a letter, and write letters, digits and underscores",
            )
        if not _supported(kind):
            raise _no_text(f"{what} {name!r}", kind, site)
    return tuple(Field(name.replace("-", "_"), kebab(name), unwrap(kind)) for name, kind in kinds.items())


def _no_text(what: str, kind: Any, site: Site) -> DefinitionError:
    return DefinitionError(
        "TIP110",
        f"{what} has the type {type_name(kind)}",
        where=str(site),
        cause="the text of a value does not say which member of the union it is"
        if members(unwrap(kind)) is not None
        else "this type has no form as text",
        fix=of_annotation(kind) or f"use {FORMS}",
    )


def signature_of(function: Callable[..., Any], site: Site) -> FunctionSignature:
    """The inputs and outputs that ``function`` declares. Raises DefinitionError (TIP110)."""
    name = getattr(function, "__qualname__", repr(function))
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise DefinitionError(
            "TIP110",
            f"{name} is {'async' if inspect.iscoroutinefunction(function) else 'a generator'}",
            where=str(site),
            cause="a step calls the function once and writes what it returns",
            fix="write a plain function; call asyncio.run(…) inside it if you must",
        )
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise DefinitionError(
            "TIP110",
            f"the annotations of {name} cannot be read: {error}",
            where=str(site),
            fix=of_name(getattr(error, "name", None) or "")
            or "define or import the annotated types at the top of the module",
        ) from error
    inputs = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise DefinitionError(
                "TIP110",
                f"{name} takes {parameter}, which cannot be an input",
                where=str(site),
                fix="give every input a name and a type",
            )
        kind = hints.get(parameter.name)
        if kind is None:
            raise DefinitionError(
                "TIP110",
                f"the input {parameter.name!r} of {name} has no type",
                where=str(site),
                cause="values arrive as text and are decoded by the annotation",
                fix=f"write {parameter.name}: str, or int, float, bool, Literal, list, dict, a dataclass",
            )
        _refuse_hera(kind, f"the input {parameter.name!r} of {name}", site)
        if not _supported(kind):
            raise _no_text(f"the input {parameter.name!r} of {name}", kind, site)
        default = MISSING if parameter.default is parameter.empty else parameter.default
        inputs.append(Field(parameter.name, kebab(parameter.name), unwrap(kind), default))
    return FunctionSignature(tuple(inputs), outputs_of(hints.get("return", MISSING), name, site))


def outputs_of(result: Any, name: str, site: Site) -> tuple[Field, ...]:
    """The outputs of a return annotation: a field each for a dataclass or NamedTuple, else ``result``."""
    if result is MISSING:
        raise DefinitionError(
            "TIP110",
            f"{name} does not say what it returns",
            where=str(site),
            cause="outputs are typed by the return annotation",
            fix="write -> None, -> int, or -> a dataclass with a field for each output",
        )
    _refuse_hera(result, f"the output of {name}", site)
    result = unwrap(result)
    if result in (None, type(None)):
        return ()
    if is_model(result) or is_record(result):
        hints = typing.get_type_hints(result, include_extras=True)
        names = field_names(result)
        for each in names:
            _refuse_hera(hints.get(each, Any), f"the output {each!r} of {name}", site)
        fields = tuple(Field(n, kebab(n), unwrap(hints.get(n, Any))) for n in names)
    else:
        fields = (Field("result", "result", result),)
    for field in fields:
        if not _supported(field.type):
            raise _no_text(f"the output {field.python!r} of {name}", field.type, site)
    return fields


def _refuse_hera(kind: Any, what: str, site: Site) -> None:
    """What Hera's ``Parameter`` or ``Artifact`` says inside an annotation would be lost here."""
    if get_origin(kind) is not typing.Annotated:
        for inner in get_args(kind):
            _refuse_hera(inner, what, site)
        return
    if fix := of_annotation(kind):
        raise DefinitionError(
            "TIP110",
            f"{what} is annotated with {type_name(get_args(kind)[0])} of another SDK",
            where=str(site),
            cause="what is said beside the type would be lost here",
            fix=fix,
        )
    for said in kind.__metadata__:
        if str(getattr(said, "__module__", "")).startswith("hera."):
            raise DefinitionError(
                "TIP110",
                f"{what} is annotated with Hera's {getattr(said, '__name__', type(said).__name__)}",
                where=str(site),
                cause="a component names its inputs and outputs itself and has no artifacts: it would have no effect",
                fix="leave it out; name outputs by the fields of a dataclass, and pass files as a Reference"
                ", or use Hera's @script in a DAG of Hera's Workflow",
            )


def fits(actual: Any, expected: Any) -> bool:
    """Whether a value declared ``actual`` may go where ``expected`` is declared."""
    actual, expected = unwrap(actual), unwrap(expected)
    if expected is Any or actual is Any or actual == expected:
        return True
    for options, every in ((members(actual), all), (members(expected), any)):
        if options is not None:
            return every(fits(each, expected) if every is all else fits(actual, each) for each in options)
    if expected is float:
        return actual is int
    if expected in (Reference, date, datetime):
        return actual is str
    if expected is str and actual in (date, datetime):
        return True
    expected_origin, actual_origin = get_origin(expected) or expected, get_origin(actual) or actual
    if expected_origin is Literal:
        if actual_origin is Literal:
            return set(get_args(actual)) <= set(get_args(expected))
        return any(actual is type(choice) for choice in get_args(expected))
    if actual_origin is Literal:
        return all(fits(type(choice), expected) for choice in get_args(actual))
    if isinstance(expected, type) and issubclass(expected, enum.Enum):
        return actual is str
    if expected_origin is dict:
        return actual_origin is dict or is_record(actual) or is_model(actual)
    if expected_origin in (list, tuple):
        if actual_origin not in (list, tuple):
            return False
        inner_actual, inner_expected = get_args(actual), get_args(expected)
        return not inner_actual or not inner_expected or fits(inner_actual[0], inner_expected[0])
    return (is_record(expected) or is_model(expected)) and actual is dict


def encode(value: Any, kind: Any) -> str | None:
    """``value`` as the text of an input of type ``kind``, or None when it does not fit."""
    kind = unwrap(kind)
    origin = get_origin(kind) or kind
    if (options := members(kind)) is not None:
        return _member(value, options, in_quotes=quoted(kind))
    if isinstance(value, enum.Enum):
        value = value.value
    if kind in TIMES:
        return json_text(as_json(value)) if type(value) is kind else None
    if is_model(kind):
        return _model(value, kind)
    if origin is Literal:
        return json_text(value) if value in get_args(kind) else None
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return json_text(value) if value in [member.value for member in kind] else None
    if kind is Reference:
        if isinstance(value, Reference):
            return str(value)
        return value if isinstance(value, str) and Reference.maybe(value) else None
    if kind is bool:
        return json_text(value) if isinstance(value, bool) else None
    if kind is int:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
    if kind is float:
        return repr(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if kind is str:
        return value if isinstance(value, str) else None
    plain = _plain(value)
    if not _conforms(plain, kind):
        return None
    try:
        return json_text(plain)
    except (TypeError, ValueError):
        return None


def _member(value: Any, options: tuple[Any, ...], *, in_quotes: bool) -> str | None:
    """The text of a union's value by the member that it is."""
    if value is None:
        return "null" if type(None) in options else None
    for kind in options:
        text = encode(value, kind)
        if text is not None and not (kind is float and int in options and isinstance(value, int)):
            return json.dumps(text, ensure_ascii=False) if in_quotes and form(kind) == "text" else text
    return None


def _model(value: Any, kind: Any) -> str | None:
    """The text of a model, or of a mapping that it accepts."""
    if isinstance(value, Mapping):
        try:
            value = kind.model_validate(value)
        except ValueError:
            return None
    return json_text(as_json(value)) if isinstance(value, kind) else None


def _plain(value: Any) -> Any:
    """Dataclasses, NamedTuples, tuples and enums inside ``value`` as JSON has them."""
    if isinstance(value, Reference):
        return {"digest": value.digest, "uri": value.uri}
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: _plain(v) for k, v in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return as_json(value)


def _conforms(value: Any, kind: Any) -> bool:
    """Whether JSON data has the shape of ``kind``, all the way down."""
    if (options := members(kind)) is not None:
        return any(value is None if each is type(None) else _conforms(value, each) for each in options)
    kind = unwrap(kind)
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return True
    if origin is Literal:
        return value in inner
    if origin in (list, tuple):
        if not isinstance(value, list):
            return False
        if origin is tuple and inner and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(_conforms, value, inner))
        return not inner or all(_conforms(v, inner[0]) for v in value)
    if origin is dict:
        return isinstance(value, dict) and (
            len(inner) < 2 or all(_conforms(v, inner[1]) for v in value.values())
        )
    if is_record(kind):
        return isinstance(value, dict) and _record_conforms(value, kind)
    if kind is Reference:
        return isinstance(value, dict) and isinstance(value.get("uri"), str)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return value in [member.value for member in kind]
    if kind in (float, timedelta):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in (date, datetime) or is_model(kind):
        return _reads(value, kind)
    return (
        isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if isinstance(kind, type)
        else True
    )


def _reads(value: Any, kind: Any) -> bool:
    try:
        _ = kind.model_validate(value) if is_model(kind) else time_of(value, kind)
    except (TypeError, ValueError):
        return False
    return True


def _record_conforms(value: dict[str, Any], kind: Any) -> bool:
    """Whether an object has the fields of a dataclass or NamedTuple."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if dataclasses.is_dataclass(kind):
        needed = {
            f.name
            for f in dataclasses.fields(kind)
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        }
    else:
        needed = set(kind._fields) - set(kind._field_defaults)
    return needed <= set(value) <= set(hints) and all(_conforms(v, hints[k]) for k, v in value.items())


def check_argument(field: Field, value: Value, owner: str, site: Site) -> None:
    """Refuse a value object whose type does not fit an input (TIP105)."""
    if isinstance(value, ParameterValue) and value.choices:
        allowed = get_args(field.type) if get_origin(field.type) is Literal else ()
        extra = [c for c in value.choices if allowed and c not in allowed]
        if not extra and allowed:
            return
        if extra:
            raise DefinitionError(
                "TIP105",
                f"{value.describe()} may be {extra[0]!r}, but {owner} takes {json.dumps(allowed)}",
                where=str(site),
                fix=f"give the parameter only choices among {', '.join(map(repr, allowed))}",
            )
    if not fits(value.type, field.type):
        raise DefinitionError(
            "TIP105",
            f"{owner} takes {field.python}: {type_name(field.type)}, but {value.describe()} is "
            f"{type_name(value.type)}",
            where=str(site),
            fix=_LOOPED
            if looped_over(value) and any(fits(each, field.type) for each in get_args(value.type))
            else f"pass a value of type {type_name(field.type)}, or change one of the two annotations",
        )


_LOOPED = (
    "it is a list, with one element for each item of the loop: to go on with each item, put both steps in a @dag "
    "function and loop over that; to take them all, annotate the input as a list"
)


def looped_over(value: Value) -> bool:
    """Whether a value is the output of a task that runs once for each item."""
    task = value.task if isinstance(value, Output) else None
    looped = getattr(task, "looped", None)
    return looped is not None and looped() is not None
