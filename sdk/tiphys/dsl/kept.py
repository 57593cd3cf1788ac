"""Templates in Argo's own words: for what no word of ours says, and for YAML that is moved one template at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from tiphys.compiler.line import Site, caller
from tiphys.dsl.context import CallableTemplate
from tiphys.dsl.pod import Defaults
from tiphys.dsl.template import StepTemplate
from tiphys.dsl.types import MISSING, Field
from tiphys.errors import DefinitionError, RefusedError
from tiphys.jsontypes import Json, JsonObject

__all__ = ["PRINTS", "KeptTemplate", "argo_template", "parameters_of", "python_name"]

PRINTS = ("container", "script", "http", "containerSet", "plugin")
"""The kinds of templates whose output ``result`` is what they print or answer."""


class KeptTemplate(CallableTemplate):
    """A template as Argo has it. Make one with :func:`argo_template`; its call makes a task."""

    def __init__(self, template: JsonObject, uses: Sequence[StepTemplate], site: Site) -> None:
        name = template.get("name")
        if not isinstance(name, str) or not name:
            raise _kind("the template has no name", "write `name: …` in its first line", site)
        given, made = parameters_of(template, "inputs"), parameters_of(template, "outputs")
        inputs = [Field(python_name(n), n, Any, _default(each)) for n, each in given.items()]
        outputs = [Field(python_name(n), n, Any) for n in made]
        if "result" not in made and any(kind in template for kind in PRINTS):
            outputs.append(Field("result", "result", Any, result=True))
        super().__init__("kept", inputs, outputs, site=site)
        self.name = name  # Argo takes more names than we make
        self.template, self.uses = template, tuple(uses)

    def body(self, defaults: Defaults) -> JsonObject:
        return copy.deepcopy(self.template)

    def parts(self, defaults: Defaults) -> list[JsonObject]:
        return [self.body(defaults)]

    def inner_templates(self) -> Iterable[StepTemplate]:
        return self.uses


def argo_template(template: str | Mapping[str, object], *, uses: Sequence[StepTemplate] = ()) -> KeptTemplate:
    """A template of Argo's as a step, byte for byte: YAML text, or the mapping it stands for.

    Its parameters are the inputs of the task that a call makes, and its outputs those of the task, of any type; a
    container or script has ``result``, what it prints, too. ``uses``: the templates that it names itself, which come
    along. Nothing of the pipeline (image, volumes, security) is added to it. ``pipeline.templates.append(…)`` keeps one
    that no task calls.

    Raises DefinitionError TIP105 for what is no template.
    """
    site = caller()
    if isinstance(template, str):
        from tiphys.argo.reader import read_value

        try:
            data: Json | Mapping[str, object] = read_value(template)
        except RefusedError as error:
            raise _kind(f"the template is not YAML: {error.message}", error.fix, site) from error
    else:
        data = template
    if not isinstance(data, Mapping):
        raise _kind(f"the template is {data!r}", "write the mapping below `- name: …` of templates", site)
    for each in uses:
        if not isinstance(each, StepTemplate):
            raise _kind(f"uses= holds {each!r}", "name components and templates, without calling them", site)
    return KeptTemplate(cast("JsonObject", dict(data)), uses, site)


def parameters_of(template: JsonObject, place: str) -> dict[str, JsonObject]:
    """The parameters among a template's ``inputs`` or ``outputs``, by name."""
    part = template.get(place)
    listed = part.get("parameters") if isinstance(part, dict) else None
    rows = listed if isinstance(listed, list) else []
    return {str(each["name"]): each for each in rows if isinstance(each, dict) and "name" in each}


def python_name(name: str) -> str:
    """The name of a parameter as Python spells it."""
    return name.replace("-", "_").replace(".", "_")


def _default(parameter: JsonObject) -> object:
    found = parameter.get("value", parameter.get("default"))
    if found is None:
        return "" if "valueFrom" in parameter else MISSING
    return found


def _kind(message: str, fix: str, site: Site) -> DefinitionError:
    return DefinitionError("TIP105", message, where=str(site), fix=fix)
