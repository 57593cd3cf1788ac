"""A template: something with typed inputs and outputs that a task can run."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_origin

from tiphys.argo.parameters import json_text
from tiphys.compiler.line import Site, caller, is_users
from tiphys.dsl.cached_retry import split
from tiphys.dsl.composed import Raw, guard
from tiphys.dsl.encoding import encode
from tiphys.dsl.habits import of_call
from tiphys.dsl.literals import literal
from tiphys.dsl.locks import Lock, Semaphore
from tiphys.dsl.names import check_name
from tiphys.dsl.pending import Pending
from tiphys.dsl.pod import Defaults, Volume
from tiphys.dsl.sources import file_argument
from tiphys.dsl.types import MISSING, Field, check_argument, says_none, type_name
from tiphys.dsl.values import Expression, Value
from tiphys.errors import DefinitionError, UnknownNameError, did_you_mean
from tiphys.reference import Reference
from tiphys.step.kinds import form, quoted, unwrap

__all__ = ["StepTemplate", "bind", "volumes_for"]

Argument = Value | str | None


class StepTemplate:
    """The base of everything that a task can run.

    It also has what Hera asks of a template (``name`` and ``_build_template``), so it can stand in
    ``Workflow.templates`` and be called inside a plain Hera ``DAG`` or ``Steps``.
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[Field],
        outputs: Sequence[Field],
        *,
        locks: Sequence[Lock] = (),
        site: Site | None = None,
    ) -> None:
        self.site = site or caller()
        self.name: str = check_name(name, "a template", self.site)
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.locks = list(locks)

    def __setattr__(self, name: str, value: Any) -> None:
        ours = type(self).__module__.startswith("tiphys.")
        if ours and not name.startswith("_") and is_users(sys._getframe(1).f_code.co_filename):
            raise UnknownNameError(
                "TIP103",
                f"the field {name!r} of {self.name} cannot be set",
                where=str(caller()),
                cause="it would have no effect, or one that depends on the order of the lines",
                fix=of_call(name, self.option_names) or "give it where the template is made",
            )
        super().__setattr__(name, value)

    option_names: frozenset[str] = frozenset()
    """What ``using`` of this kind of template takes."""

    @property
    def called(self) -> str:
        """What its tasks are named if nobody names them."""
        return self.name

    def variant(self, changes: Mapping[str, object], site: Site) -> StepTemplate:
        """The template with other options for one call. Raises DefinitionError (TIP103)."""
        raise DefinitionError(
            "TIP103",
            f"{self.name} has no options for one call",
            where=str(site),
            cause="only a component does",
            fix="give them where it is made",
        )

    def body(self, defaults: Defaults) -> dict[str, Any]:
        """The Argo template as a mapping."""
        raise NotImplementedError

    def parts(self, defaults: Defaults) -> list[dict[str, Any]]:
        """The Argo templates that it takes: the first has its name, the others are what that one needs."""
        return split(self.body(defaults))

    @property
    def conditional(self) -> bool:
        """Whether its cache has conditions, which need steps and a volume of their own."""
        return False

    @property
    def long_outputs(self) -> tuple[str, ...]:
        """The outputs that its step can put into a file when they are long (:mod:`tiphys.large`)."""
        return ()

    reads_files: bool = False
    """Whether its step reads what was put into a file."""

    digests: bool = False
    """Whether the digest of each file that it returns is an output beside it."""

    def extra_arguments(self, arguments: Mapping[str, Argument], defaults: Defaults) -> dict[str, Argument]:
        """Arguments that the template works out from the others (such as the key of a training)."""
        return {}

    def semaphores(self) -> list[Semaphore]:
        """Semaphores whose limits must exist in a ConfigMap before the run."""
        return [lock for lock in self.locks if isinstance(lock, Semaphore)]

    def inner_templates(self) -> Iterable[StepTemplate]:
        """The templates that this one uses, if it is a graph."""
        return ()

    def outside(self, args: tuple[Any, ...], arguments: dict[str, Any], site: Site) -> Any:
        """What a call outside any pipeline does."""
        raise DefinitionError(
            "TIP113",
            f"{self.name} is called outside a pipeline",
            where=str(site),
            fix=f'write it inside `with Pipeline("…"):`, a @dag function, or a Hera DAG: {self.name}(…)',
        )

    def own_defaults(self) -> Defaults:
        """What it takes where no Pipeline gives it anything: the claim only if it takes or makes a Reference."""
        return Defaults(home=self.site.file, volumes=volumes_for([self]))

    def _build_template(self) -> Any:
        """The Hera model of this template (Hera's protocol ``Templatable``)."""
        from hera.workflows.models import Template as Model

        if self.conditional:
            raise DefinitionError(
                "TIP113",
                f"the cache of {self.name} has conditions, and here it is one template",
                where=str(self.site),
                cause="a condition is a step of its own before the cached one",
                fix="call it in a Pipeline or in a DAG instead of putting it on a list of templates",
            )
        body = self.body(self.own_defaults())
        if (
            "memoize" in body
        ):  # not both on one template (see tiphys.dsl.cached_retry), and here there is only one
            body.pop("retryStrategy", None)
        return Model.model_validate(body)

    def __str__(self) -> str:
        """A tag, so that text which a template was put into is refused (TIP119)."""
        return "{{" + self.name + "}}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def volumes_for(templates: Iterable[StepTemplate]) -> tuple[Volume, ...]:
    """The volumes that templates need when nothing else is said: the claim if one takes or makes a Reference, or
    has a cache with conditions."""
    needed = any(
        template.conditional
        or any(field.type is Reference for field in (*template.inputs, *template.outputs))
        for template in templates
    )
    return (Volume("tiphys"),) if needed else ()


def bind(
    template: StepTemplate, args: tuple[Any, ...], given: Mapping[str, Any], site: Site
) -> dict[str, Argument]:
    """Check a call against the template's inputs and return its arguments by workflow name.

    Raises DefinitionError: TIP103 unknown input, TIP104 missing input, TIP105 wrong type.
    """
    fields = {field.python: field for field in template.inputs}
    if len(args) > len(fields):
        raise DefinitionError(
            "TIP103",
            f"{template.name} takes {len(fields)} inputs, {len(args)} were given",
            where=str(site),
            fix=f"inputs are: {', '.join(fields) or 'none'}",
        )
    if args:
        by_place = dict(zip(fields, args, strict=False))
        for name in by_place:
            if name in given:
                raise DefinitionError(
                    "TIP103",
                    f"{template.name} got {name!r} twice",
                    where=str(site),
                    fix="pass it once, by name",
                )
        given = {**given, **by_place}
    for name in given:
        if name not in fields:
            raise DefinitionError(
                "TIP103",
                f"{template.name} has no input {name!r}.{did_you_mean(name, fields)}",
                where=str(site),
                cause=f"inputs are: {', '.join(fields) or 'none'}",
                fix=of_call(name, template.option_names)
                or "correct the name, or add the input to the function",
            )
    if len(given) < len(fields) and (
        missing := [name for name, field in fields.items() if name not in given and field.required]
    ):
        raise DefinitionError(
            "TIP104",
            f"{template.name} needs {', '.join(repr(m) for m in missing)}",
            where=str(site),
            fix=f"pass {', '.join(f'{m}=…' for m in missing)}, or give {missing[0]!r} a default",
        )
    return {fields[name].name: argument(template, fields[name], value, site) for name, value in given.items()}


def argument(template: StepTemplate, field: Field, value: Any, site: Site) -> Argument:
    """One argument: a value object that fits, or the text of a literal; None for a file that is left out."""
    if isinstance(value, Pending):
        value = value._as_value(site)
    if field.is_file:
        return file_argument(template.name, field, value, site)
    if isinstance(value, (list, tuple)) and any(isinstance(v, Pending) for v in value):
        value = _list_of(template, field, value, site)
    if isinstance(value, Value):
        check_argument(field, value, template.name, site)
        return _in_quotes(value) if quoted(field.type) and form(value.type) == "text" else value
    if isinstance(value, Raw):
        return value
    if value is None and (field.nullable or field.default is None):
        return "null"
    if says_none(field, value):
        raise DefinitionError(
            "TIP105",
            f"{template.name} takes {field.python}: {type_name(field.type)} or None, but got the text 'null'",
            where=str(site),
            cause="that text is how None is written",
            fix="pass None, or another text",
        )
    text = encode(value, field.type)
    if text is None:
        raise DefinitionError(
            "TIP105",
            f"{template.name} takes {field.python}: {type_name(field.type)}, but got {_show(value)}",
            where=str(site),
            fix=f"pass {type_name(field.type)}",
        )
    return guard(text, template.name, site, field.python)


def _in_quotes(value: Value) -> Expression:
    """Text for a union in which text is JSON."""
    return Expression(lambda: f"toJson({value.expr()})", (value,), value.type)


def _list_of(template: StepTemplate, field: Field, items: Sequence[Any], site: Site) -> Expression:
    """A JSON list that mixes literals and value objects."""

    inner = (get_args(field.type) or (Any,))[0] if get_origin(unwrap(field.type)) in (list, tuple) else Any
    element = dataclasses.replace(field, type=inner, python=f"{field.python}[…]")
    values: list[Value | str] = []
    for item in items:
        converted = argument(template, element, item, site)
        assert converted is not None  # no file is in a list
        values.append(converted)
    return Expression(
        lambda: (
            "toJson([" + ", ".join(v.expr() if isinstance(v, Value) else literal(v) for v in values) + "])"
        ),
        tuple(v for v in values if isinstance(v, Value)),
        list[inner],  # type: ignore[valid-type]
    )


def _show(value: Any) -> str:
    text = repr(value)
    return f"{text[:60]} ({type(value).__name__})"


def default_text(field: Field) -> str | None:
    """The text of an input's default, or None when it is required."""
    if field.default is MISSING:
        return None
    if field.default is None:
        return "null"
    text = encode(field.default, field.type)
    return json_text(field.default) if text is None else text


def input_parameters(fields: Sequence[Field], site: Site | None = None) -> list[dict[str, Any]]:
    """``inputs.parameters`` of a template."""
    parameters = []
    for field in fields:
        if field.is_file:
            continue
        text = default_text(field)
        if text is not None and "{{" in text:
            guard(text, f"the default of {field.python}", site or Site("", 0))
        parameters.append({"name": field.name} if text is None else {"name": field.name, "default": text})
    return parameters
