"""Outputs: each has one source, of a kind that its template can give."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tiphys.lazy import regex
from tiphys.lint.model import TemplateView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.tags import is_tag

_VALIDATE = "argo-workflows v4.1.2, workflow/validate/validate.go (validateOutputs)"
_SOURCES = ("path", "jqFilter", "jsonPath", "parameter", "expression")
_CHOICE = "path, jqFilter, jsonPath, parameter, raw"  # Argo's words
_NAME = regex(r"[-a-zA-Z0-9_]+\Z")


@rule(
    "L260",
    "output-source",
    "error",
    what="An output parameter needs exactly one source.",
    why="Argo must know where to read it: path, jqFilter, jsonPath, parameter, expression or supplied.",
    source=_VALIDATE,
    scope="template",
    needs="outputs",
)
def output_source(template: TemplateView) -> Iterator[Issue]:
    for index, item in enumerate(template.outputs("parameters")):
        label = f"{template.label}.outputs.parameters.{item.get('name', '')}"
        path = (*template.path, "outputs", "parameters", index)
        source = item.get("valueFrom")
        if "value" in item:
            if source is not None:
                words = f"{label} has both valueFrom and value specified, choose one"
                yield Issue((*path, "value"), words, key=True)
            continue
        if source is None:
            yield Issue(path, f"{label} does not have valueFrom or value specified", fix=_fix(template))
            continue
        given = [key for key in _SOURCES if source.get(key)]
        if "supplied" in source:
            given.append("supplied")
        if not given:
            words = f"valueFrom type unspecified. choose one of: {_CHOICE}, expression"
            yield Issue((*path, "valueFrom"), words, fix=_fix(template))
        elif len(given) > 1:
            words = f"multiple valueFrom types specified. choose one of: {_CHOICE}"
            yield Issue((*path, "valueFrom", given[1]), words, key=True)


@rule(
    "L261",
    "output-kind",
    "error",
    what="The source of an output parameter does not fit the type of its template.",
    why="Containers and scripts write files (path), resources have fields (jsonPath, jqFilter), steps, DAGs "
    "pass on the outputs of their parts (parameter, expression).",
    source=_VALIDATE,
    scope="template",
    needs="outputs",
)
def output_kind(template: TemplateView) -> Iterator[Issue]:
    wanted = {
        "Container": ("path",),
        "ContainerSet": ("path",),
        "Script": ("path",),
        "Resource": ("jqFilter", "jsonPath"),
        "DAG": ("parameter", "expression"),
        "Steps": ("parameter", "expression"),
    }.get(template.type)
    if not wanted:
        return
    for index, item in enumerate(template.outputs("parameters")):
        source = item.get("valueFrom")
        if source is not None and not any(source.get(key) for key in wanted):
            name = item.get("name", "")
            words = (
                f"{template.label}.outputs.parameters.{name}.{' or '.join(wanted)} must be specified "
                f"for {template.type} templates"
            )
            path = (*template.path, "outputs", "parameters", index, "valueFrom")
            yield Issue(path, words, fix=_fix(template))


@rule(
    "L262",
    "global-name",
    "error",
    what="A globalName with letters that Argo does not allow.",
    why="It becomes part of `workflow.outputs.parameters.NAME`: letters, digits, `_` and `-`.",
    source=_VALIDATE,
    scope="template",
    needs="globalName",
)
def global_name(template: TemplateView) -> Iterator[Issue]:
    for kind in ("parameters", "artifacts"):
        for index, item in enumerate(template.outputs(kind)):
            name = item.get("globalName", "")
            if name and not is_tag(name) and not _NAME.match(name):
                label = f"{template.label}.outputs.{kind}.{item.get('name', '')}"
                path = (*template.path, "outputs", kind, index, "globalName")
                words = f"{label}.globalName: {name!r} must consist of letters, digits, '_' and '-'"
                yield Issue(path, words, fix=f"call it {re.sub(r'[^-a-zA-Z0-9_]+', '-', name).strip('-')!r}")


def _fix(template: TemplateView) -> str:
    if template.type in ("Container", "ContainerSet", "Script"):
        return "write valueFrom: {path: /tmp/NAME} and let the step write that file"
    if template.type == "Resource":
        return "write valueFrom: {jsonPath: '{.status.FIELD}'}"
    if template.type in ("DAG", "Steps"):
        family = "tasks" if template.type == "DAG" else "steps"
        return f'write valueFrom: {{parameter: "{{{{{family}.NAME.outputs.parameters.NAME}}}}"}}'
    return "give it one source"
