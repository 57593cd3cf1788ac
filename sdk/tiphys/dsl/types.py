"""Types of inputs and outputs: what a function's signature says, and what fits what."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args, get_origin

from tiphys.argo.parameters import json_text
from tiphys.compiler.line import Site
from tiphys.dsl.habits import of_annotation, of_name
from tiphys.dsl.values import Output, ParameterValue, Value
from tiphys.errors import DefinitionError
from tiphys.reference import Reference
from tiphys.step.kinds import (
    HERA_ARTIFACT,
    TIMES,
    field_names,
    file_format,
    form,
    input_variable,
    is_model,
    members,
    named,
    optional,
    unwrap,
)

__all__ = [
    "MISSING",
    "Field",
    "FunctionSignature",
    "fields_of",
    "fits",
    "is_record",
    "kebab",
    "may_be_long",
    "says_none",
    "signature_of",
    "type_name",
]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()
FORMS = "str, int, float, bool, Literal, Enum, a date or time, list, set, dict, a dataclass, a model, Path or Reference"
_SCALARS = (str, int, float, bool, Reference)
_COLLECTIONS = (list, tuple, set, frozenset)
_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*\Z")


def kebab(name: str) -> str:
    """``batch_size`` as ``batch-size``."""
    return name.strip("_").replace("_", "-")


@dataclass(frozen=True, slots=True)
class Field:
    """An input or an output: its Python name, its name in the workflow, its type and default.

    ``result``: an output that is what the step has printed, or a server has answered: Argo's ``outputs.result``.
    ``optional``: a file that need not be there. ``nullable``: None is a value, beside those of its type.
    """

    python: str
    name: str
    type: Any
    default: Any = MISSING
    result: bool = False
    optional: bool = False
    nullable: bool = False
    is_file: bool = dataclasses.field(init=False, repr=False, compare=False)
    """Whether it travels as an artifact: a ``Path``, a table or an array."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_file", file_format(self.type) is not None)

    @property
    def variable(self) -> str:
        """Of the step's environment, for an input."""
        return input_variable(self.python)

    def is_called(self, name: str) -> bool:
        """Whether ``name`` is its name in Python or in the workflow."""
        return name in (self.python, self.name, self.name.replace("-", "_"))

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


def _supported(kind: Any, within: frozenset[object] = frozenset()) -> bool:
    """Whether a value of a type has a text, and is made of it again; ``within``: records that are being looked at."""
    kind = unwrap(kind)
    if kind is Any or kind in _SCALARS or kind is type(None) or kind in TIMES or is_model(kind):
        return True
    if (options := members(kind)) is not None:
        return all(_supported(each, within) for each in options) and _told_apart(options)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return True
    if is_record(kind):
        hints = _readable_hints(kind) if kind not in within else {}
        return all(_inside(hints.get(each, Any), within | {kind}) for each in field_names(kind))
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        told = {json_text(each) for each in inner if type(each) in (str, int, bool, type(None))}
        return len(told) == len(inner)
    if origin is dict:
        return not inner or (_names(inner[0]) and _inside(inner[1], within))
    return origin in _COLLECTIONS and all(_inside(each, within) for each in inner if each is not Ellipsis)


def _inside(kind: Any, within: frozenset[object]) -> bool:
    """Whether a value in a list or an object has a form: there, that is JSON."""
    return kind is object or _supported(kind, within)


def _names(kind: Any) -> bool:
    """Whether values of a type may be the names of a JSON object: each is one text."""
    return (kind is Any or kind is object or form(kind) in ("text", "number", "boolean")) and not optional(
        kind
    )


def _told_apart(options: tuple[Any, ...]) -> bool:
    """Whether the JSON of a value says which member of a union it is."""
    forms = [form(each) for each in options if not (each is float and int in options)]
    return "" not in forms and len(set(forms)) == len(forms) and not {"number", "seconds"} <= set(forms)


def fields_of(
    kinds: Mapping[str, object], what: str, site: Site, *, files: bool = False
) -> tuple[Field, ...]:
    """Inputs or outputs that are given as a mapping of names to types; ``files``: they may be files. Raises
    DefinitionError: TIP101, TIP110."""
    for name, kind in kinds.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
            raise DefinitionError(
                "TIP101",
                f"{what} is called {name!r}",
                where=str(site),
                fix="begin with a letter, and write letters, digits and underscores",
            )
        _check(kind, f"{what} {name!r}", site, files=files)
    return tuple(
        Field(name.replace("-", "_"), kebab(name), unwrap(kind), optional=_maybe_file(kind))
        for name, kind in kinds.items()
    )


def _maybe_file(kind: Any) -> bool:
    return file_format(kind) is not None and optional(kind)


def _check(kind: Any, what: str, site: Site, *, files: bool) -> None:
    """Refuse (TIP110) a type that can be no input or output."""
    if file_format(kind) is None and not _holds_file(kind, set()):
        if not _supported(kind):
            raise _no_text(what, kind, site)
    elif not files:
        raise DefinitionError(
            "TIP110",
            f"{what} has the type {type_name(kind)}",
            where=str(site),
            cause="files are handed on between components and containers",
            fix="take a Reference to a folder of a volume, or put a component around it",
        )
    elif file_format(kind) is None:
        raise DefinitionError(
            "TIP110",
            f"{what} has the type {type_name(kind)}",
            where=str(site),
            cause="a file is an artifact of its own in Argo, and stands in no list, object or union with text",
            fix="make each file an input or output (a field of the dataclass that is returned), or hand on one folder",
        )


def _holds_file(kind: Any, seen: set[Any]) -> bool:
    """Whether a file is inside of it, so that it would have to travel in text."""
    kind = unwrap(kind)
    if get_origin(kind) is Literal:
        return False
    if file_format(kind) is not None:
        return True
    if is_record(kind) or is_model(kind):
        if kind in seen:
            return False
        seen.add(kind)
        hints = _readable_hints(kind)
        return any(_holds_file(hints.get(each), seen) for each in field_names(kind))
    return any(_holds_file(each, seen) for each in get_args(kind))


def _readable_hints(kind: Any) -> Mapping[str, object]:
    """The types of the fields of a record, where they can be read; else whoever needs them says so."""
    try:
        return typing.get_type_hints(kind)
    except (NameError, TypeError):
        return {}


def says_none(field: Field, value: object) -> bool:
    """Whether a text would come as None: that is how None is written."""
    return field.nullable and form(field.type) == "text" and value == "null"


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


def signature_of(function: Callable[..., Any], site: Site, *, files: bool = False) -> FunctionSignature:
    """The inputs and outputs that ``function`` declares; ``files``: they may be files. Raises DefinitionError
    (TIP110)."""
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
        _check(kind, f"the input {parameter.name!r} of {name}", site, files=files)
        default = MISSING if parameter.default is parameter.empty else parameter.default
        field = Field(
            parameter.name,
            named(kind, kebab(parameter.name)),
            unwrap(kind),
            default,
            optional=_maybe_file(kind),
            nullable=optional(kind),
        )
        if says_none(field, default):
            raise DefinitionError(
                "TIP110",
                f"the input {parameter.name!r} of {name} has the default 'null'",
                where=str(site),
                cause="that text is how None is written",
                fix="write None, or another text",
            )
        if field.is_file and not (default is MISSING or (default is None and field.optional)):
            raise DefinitionError(
                "TIP110",
                f"the input {parameter.name!r} of {name} has the default {default!r}",
                where=str(site),
                cause="a file of this machine is not in the pod",
                fix=f"give it in the call, or write {parameter.name}: {type_name(field.type)} | None = None",
            )
        inputs.append(field)
    outputs = outputs_of(hints.get("return", MISSING), name, site, files=files)
    return FunctionSignature(tuple(inputs), outputs)


def outputs_of(result: Any, name: str, site: Site, *, files: bool = False) -> tuple[Field, ...]:
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
    declared, result = result, unwrap(result)
    if result in (None, type(None)):
        return ()
    if is_model(result) or is_record(result):
        hints = typing.get_type_hints(result, include_extras=True)
        names = field_names(result)
        for each in names:
            _refuse_hera(hints.get(each, Any), f"the output {each!r} of {name}", site)
        kinds = {n: hints.get(n, Any) for n in names}
    else:
        kinds = {"result": declared}
    for each, kind in kinds.items():
        _check(unwrap(kind), f"the output {each!r} of {name}", site, files=files)
    return tuple(
        Field(n, named(k, kebab(n)), unwrap(k), optional=_maybe_file(k), nullable=optional(k))
        for n, k in kinds.items()
    )


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
        if str(getattr(said, "__module__", "")).startswith("hera.") and not _names_a_file(
            kind, said, what, site
        ):
            raise DefinitionError(
                "TIP110",
                f"{what} is annotated with Hera's {getattr(said, '__name__', type(said).__name__)}",
                where=str(site),
                cause="a component names its inputs and outputs itself: it would have no effect",
                fix="leave it out; name outputs by the fields of a dataclass, and pass files as a Path"
                ", or use Hera's @script in a DAG of Hera's Workflow",
            )


def _names_a_file(kind: Any, said: Any, what: str, site: Site) -> bool:
    """Whether it is ``Artifact(name="scores")`` beside the type of a file, with nothing that would be lost."""
    whole = said if isinstance(said, type) else type(said)
    fields = {} if said is whole else vars(said)
    given = {key for key, value in fields.items() if value not in (None, False, "")}
    if file_format(kind) is None or whole.__module__ != HERA_ARTIFACT or given - {"name"}:
        return False
    if "name" in given and not _NAME.match(said.name):
        raise DefinitionError(
            "TIP101",
            f"{what} is called {said.name!r}",
            where=str(site),
            fix="begin with a letter or digit, and write letters, digits and dashes",
        )
    return True


def fits(actual: Any, expected: Any) -> bool:
    """Whether a value declared ``actual`` may go where ``expected`` is declared."""
    actual, expected = unwrap(actual), unwrap(expected)
    inside = [file_format(actual), file_format(expected)]
    if inside != [None, None]:  # what is in a Path nobody says
        return None not in inside and (inside[0] == inside[1] or "" in inside)
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
    inner_actual, inner_expected = get_args(actual), get_args(expected)
    if expected_origin is dict:
        if actual_origin is not dict:
            return is_record(actual) or is_model(actual)
        return not inner_actual or not inner_expected or all(map(fits, inner_actual, inner_expected))
    if expected_origin in _COLLECTIONS:
        if actual_origin not in _COLLECTIONS:
            return False
        if Ellipsis in (*inner_actual, *inner_expected) or len(inner_actual) != len(inner_expected):
            inner_actual, inner_expected = inner_actual[:1], inner_expected[:1]
        return not inner_actual or not inner_expected or all(map(fits, inner_actual, inner_expected))
    return (is_record(expected) or is_model(expected)) and actual is dict


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
