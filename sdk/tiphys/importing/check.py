"""What is written is compiled and compared with its source, so that nothing is lost silently."""

from __future__ import annotations

import re
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.parameters import ANNOTATION
from tiphys.compiler.objects import objects_of
from tiphys.dsl.literals import expression_of_text
from tiphys.errors import TiphysError
from tiphys.importing.argo_graph import PlainGraph, graph_of, text_of_value
from tiphys.importing.argo_values import condition_of
from tiphys.importing.python_text import imports_of, lines_of
from tiphys.importing.told import CannotSay
from tiphys.jsontypes import Json, JsonObject

if TYPE_CHECKING:
    from tiphys.importing.argo_document import DocumentWriter

__all__ = ["differences", "made_by"]

_IGNORED = {"entrypoint", "templates", "arguments", "onExit"}


def made_by(source: str, name: str) -> JsonObject:
    """The object that ``name`` of a module is, or makes, compiled. Raises what building it raises."""
    module = types.ModuleType("_tiphys_imported")
    with tempfile.TemporaryDirectory(
        prefix="tiphys-import-"
    ) as folder:  # functions are embedded from their file
        file = Path(folder, "imported.py")
        file.write_text(source, encoding="utf-8")
        module.__file__ = str(file)
        sys.modules[module.__name__] = module
        try:
            exec(compile(source, str(file), "exec"), vars(module))  # noqa: S102 - it is what this room has written
            found = getattr(module, name)
            return objects_of(found() if callable(found) and name.startswith("build") else found)[-1]
        finally:
            del sys.modules[module.__name__]


def differences(writer: DocumentWriter) -> list[str]:
    """What of the compiled object is not the source; a reason where it cannot be compiled."""
    kind = writer.document.kind
    name = f"{'pipeline' if kind == 'Workflow' else 'build'}{writer.suffix}"
    try:
        made = made_by(lines_of(imports_of(writer.words, writer.imports), writer.blocks), name)
    except TiphysError as error:
        return [f"{error.code} {error.message}"]
    except Exception as error:  # noqa: BLE001 - what we wrote is wrong: the parts are kept in Argo's words
        return [f"{type(error).__name__}: {error}"]
    return list(_found(writer, made))


def _found(writer: DocumentWriter, made: JsonObject) -> Iterator[str]:
    if made["kind"] != writer.document.kind:
        yield f"the kind is {made['kind']}"
    spec: Json = made["spec"]
    if writer.document.kind == "CronWorkflow" and isinstance(spec, dict):
        outer, source = spec, writer.document.data["spec"]
        spec = spec["workflowSpec"]
        for key in sorted({*outer, *source} - {"workflowSpec", "schedule", "schedules"}):
            if not _same(outer.get(key) or None, source.get(key) or None) and not (
                key == "concurrencyPolicy" and not source.get(key)
            ):
                yield f"spec.{key}"
    assert isinstance(spec, dict)
    for key in sorted({*spec, *writer.spec} - _IGNORED):
        if not _same(spec.get(key), writer.spec.get(key)):
            yield f"spec.{key}"
    if spec.get("onExit") != writer.spec.get("onExit"):
        yield "spec.onExit"
    if not writer.wrapped and (spec.get("entrypoint") or "") != writer.entry:
        yield "spec.entrypoint"
    yield from _parameters(spec.get("arguments"), writer.spec.get("arguments"), writer)
    rows = spec["templates"]
    templates = (
        {str(each["name"]): each for each in rows if isinstance(each, dict)} if isinstance(rows, list) else {}
    )
    for name, template in writer.templates.items():
        if name not in templates:
            yield f"the template {name!r}"
        elif name in writer.graphs:
            yield from _graphs(name, template, templates, writer)
        elif name in writer.said:
            yield from _leaf(name, template, templates[name])
        elif not _same(templates[name], template):
            yield f"the template {name!r}"
    for name in templates.keys() - writer.templates.keys():
        if not writer.wrapped:
            yield f"a new template {name!r}"


def _leaf(name: str, source: JsonObject, made: JsonObject) -> Iterator[str]:
    """What of a template that is said in words must be the same whatever is around it."""
    where = f"the template {name!r}"
    before, after = source.get("container"), made.get("container")
    if isinstance(before, dict) and isinstance(after, dict):
        line = [text_of_value(x) for key in ("command", "args") for x in before.get(key) or []]  # type: ignore[union-attr]
        ours = [str(x).replace("$$(", "$(").replace("$$$", "$$") for x in after["command"]]  # type: ignore[union-attr]
        if line != ours or before.get("image") != after.get("image"):
            yield f"{where}: its command"
    elif ("suspend" in source) != ("suspend" in made) or not _same(
        made.get("suspend"), source.get("suspend") or {}
    ):
        yield where
    for key in ("inputs", "outputs"):
        if _rows(made.get(key)) != _rows(source.get(key)):
            yield f"{where}: its {key}"


def _same(ours: Json, source: Json) -> bool:
    """Equal, but for nulls and empties of the source, which say nothing."""
    return ours == source or _bare(ours) == _bare(source)


def _bare(item: Json) -> Json:
    if isinstance(item, dict):
        if isinstance(noted := item.get("annotations"), dict) and set(noted) == {ANNOTATION}:
            return _bare({key: each for key, each in item.items() if key != "annotations"}) or None
        return {key: _bare(each) for key, each in item.items() if each is not None}
    return [_bare(each) for each in item] if isinstance(item, list) else item


def _parameters(ours: Json, source: Json, writer: DocumentWriter) -> Iterator[str]:
    made, given = _rows(ours), _rows(source)
    if [each.get("name") for each in made] != [each.get("name") for each in given]:
        yield "spec.arguments"
        return
    if isinstance(source, dict) and {k: v for k, v in source.items() if k != "parameters" and v} != {
        k: v for k, v in (ours if isinstance(ours, dict) else {}).items() if k != "parameters" and v
    }:
        yield "spec.arguments"
    told = " ".join(each.what for each in writer.notes.found)
    for one, other in zip(made, given, strict=True):
        if f"{other['name']!r}" in told:
            continue
        for key in sorted({*one, *other} - {"default"}):
            before = other.get("value", other.get("default")) if key == "value" else other.get(key)
            a, b = one.get(key), before
            if key == "enum":
                a, b = [text_of_value(x) for x in a or []], [text_of_value(x) for x in b or []]  # type: ignore[union-attr]
            elif key == "value":
                a, b = None if a is None else text_of_value(a), None if b is None else text_of_value(b)
            if a != b:
                yield f"the parameter {other['name']!r}: {key}"


def _rows(place: Json) -> list[JsonObject]:
    rows = place.get("parameters") if isinstance(place, dict) else None
    return [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []


def _graphs(
    name: str, source: JsonObject, made: Mapping[str, JsonObject], writer: DocumentWriter
) -> Iterator[str]:
    before = writer.graphs[name]
    try:
        after = graph_of(made[name], made)
    except CannotSay as reason:
        yield f"the template {name!r}: {reason}"
        return
    top = name in (writer.entry, writer.spec.get("onExit"))
    for key in sorted(before.tasks.keys() ^ after.tasks.keys()):
        yield f"the task {key!r} of {name!r}"
    if not top and (before.inputs != after.inputs or _outs(before) != _outs(after)):
        yield f"the inputs and outputs of {name!r}"
    ours, theirs = after.waits(), before.waits()
    for key in before.tasks.keys() & after.tasks.keys():
        one, other = before.tasks[key], after.tasks[key]
        where = f"the task {key!r} of {name!r}"
        if (
            one.template != other.template
            or one.items != other.items
            or _text(one.param, top) != _text(other.param, False)
        ):
            yield f"{where}: its template or loop"
        if {k: _text(v, top) for k, v in one.arguments.items()} != {
            k: _text(v, False) for k, v in other.arguments.items()
        }:
            yield f"{where}: its arguments"
        if _when(one.when, top) != _when(other.when, False):
            yield f"{where}: when"
        if theirs[key] != ours[key]:
            yield f"{where}: what it waits for"
        if _hook(one.exit, top) != _hook(other.exit, False):
            yield f"{where}: its hook"


def _hook(given: tuple[str, dict[str, str]] | None, top: bool) -> object:
    return given and (given[0], {key: _text(text, top) for key, text in given[1].items()})


def _outs(graph: PlainGraph) -> dict[str, str]:
    return {key: _text(text, False) for key, text in graph.outputs.items()}


def _text(text: str, top: bool) -> str:
    """A text as an expression; at the top inputs are parameters of the workflow."""
    if top:
        text = text.replace("{{inputs.parameters.", "{{workflow.parameters.")
    if "{{" not in text:
        return text
    text = re.sub(r"\{\{\s*([^={}][^{}]*?)\s*\}\}", r"{{\1}}", text)
    inner = re.fullmatch(r"\{\{=(.*)\}\}", text, re.DOTALL)
    return inner[1].strip() if inner and "{{" not in inner[1] else expression_of_text(text)


def _when(text: str, top: bool) -> object:
    if not text:
        return ""
    clauses = condition_of(text)
    if clauses is not None:
        return " && ".join(f"{_text('{{' + tag + '}}', top)} {op} '{other}'" for tag, op, other in clauses)
    return re.sub(r"[()]", "", _text(text, top)) if text.startswith("{{=") else _text(text, top)
