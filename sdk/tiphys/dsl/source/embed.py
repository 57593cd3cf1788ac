"""A function of the pipeline's own file as a script that needs nothing but Python.

The whole function travels, with the helpers, classes, constants and imports it reaches. Values come from the
environment and are decoded by the annotations; outputs go to files. Nothing is spliced into the source.
"""

from __future__ import annotations

import ast
import enum
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from tiphys.compiler.line import Site
from tiphys.dsl.source import decoding
from tiphys.dsl.source.brought import brought_along, shown
from tiphys.dsl.source.closure import check_names, function_node, reached, used_names
from tiphys.dsl.source.imports import own_module
from tiphys.dsl.source.module import Module, module_of
from tiphys.dsl.source.names_used import FunctionNode, scan
from tiphys.dsl.source.tree import nodes_of
from tiphys.dsl.types import Field, FunctionSignature, is_record, may_be_long
from tiphys.errors import DefinitionError
from tiphys.reference import Reference, content_digest
from tiphys.step import files as step_files
from tiphys.step.kinds import file_library, form, members, quoted, unwrap
from tiphys.verbatim import PARTED, REJOINED, SPOILED

__all__ = ["protected", "script_source"]

TIME_IMPORT = "import datetime as tiphys_datetime"


def script_source(
    function: Callable[..., Any],
    signature: FunctionSignature,
    site: Site,
    *,
    rename: Mapping[str, str] | None = None,
    files: Collection[str] = (),
    shortens: bool = False,
) -> str:
    """The source of a script that runs ``function``; ``rename`` gives outputs other names.

    ``files`` are the inputs (by their name in the workflow) that may come as a file, and with ``shortens`` a long
    output may go as one (:mod:`tiphys.large`).

    Raises DefinitionError (TIP110, TIP111, TIP112).
    """
    module = module_of(function.__module__, function.__code__.co_filename, site)
    node = function_node(module, function, site)
    _refuse_closure(function, site)
    check_names(module, node, site)
    imports = _Imports()
    texts = {f.name: _environ(f) for f in signature.inputs}
    texts |= {name: _whole(texts[name]) for name in texts if name in files}
    inputs = [f"    {f.python!r}: {_input(f, texts[f.name], imports, site)}," for f in signature.inputs]
    if _writes_text(signature):
        imports.lines.add("import re")
    if any(decoding.writes_rich(f.type) for f in signature.outputs):
        imports.lines.add(TIME_IMPORT)
        imports.helpers.add(decoding.plain(signature.outputs))
    if any(decoding.writes_objects(f.type) for f in signature.outputs):
        imports.helpers.add(decoding.OBJECTS)
    for_files = _files(signature, imports)
    needed = [*used_names(node), *imports.classes]
    statements = [s for s in reached(module, needed, scan(node).imports) if not _future(s)]
    imports.lines |= {f"import {name}" for name in _inner_imports([node, *statements])}
    parts = [
        "from __future__ import annotations",
        "\n".join(sorted({"import json", "import os", *imports.lines})),
        _large() if files or shortens else "",
        *_grouped(module, statements),
        _function(module, node),
        *sorted(imports.helpers),
        for_files,
        "\n".join(_footer(function.__name__, inputs, signature, rename or {}, shortens)),
    ]
    return protected("\n\n".join(part for part in parts if part) + "\n")


def protected(source: str) -> str:
    """Source in which Argo would substitute something, or the kubelet (a script travels in an environment variable),
    becomes a string that has none of it."""
    if not SPOILED.search(source):
        return source
    quoted = json.dumps(source).replace("{", "\\u007b").replace("$", "\\u0024")
    return (
        "# Argo or the kubelet would replace something in this code; so it travels as a string\n"
        f"exec(compile({quoted}, '<step>', 'exec'))\n"
    )


def _refuse_closure(function: Callable[..., Any], site: Site) -> None:
    free = function.__code__.co_freevars
    if free:
        raise DefinitionError(
            "TIP111",
            f"{function.__name__} uses {free[0]!r} of the function around it",
            where=str(site),
            cause="a value captured from an enclosing function does not exist in the pod",
            fix=f"pass {free[0]} as an argument, or make it a constant of the file",
        )


def _inner_imports(code: list[FunctionNode | ast.stmt]) -> Iterator[str]:
    """Modules of packages that the code names as attributes of these (``a.b`` after ``import a``): in the pipeline's
    program another module has imported them."""
    found = [node for each in code for node in nodes_of(each)]
    packages = {
        alias.name
        for node in found
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname is None and own_module(alias.name)
    }
    for node in found:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in packages:
            name = f"{node.value.id}.{node.attr}"
            if own_module(name):
                yield name


def _future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _grouped(module: Module, statements: list[ast.stmt]) -> Iterator[str]:
    """Sources of statements; simple ones stay together, definitions stand apart."""
    simple: list[str] = []
    for statement in statements:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if simple:
                yield "\n".join(simple)
                simple = []
            yield module.segment(statement)
        else:
            simple.append(module.segment(statement))
    if simple:
        yield "\n".join(simple)


def _function(module: Module, node: FunctionNode) -> str:
    """The function without its decorators, at the left margin."""
    lines = module.lines_of(node.lineno, node.end_lineno or node.lineno)
    indent = len(lines[0]) - len(lines[0].lstrip())
    if indent and not module.strings.isdisjoint(range(node.lineno, node.end_lineno or node.lineno)):
        return "\n".join(["if True:", *lines])  # moved to the margin, its strings would be others
    return "\n".join(line[indent:] if line[:indent].isspace() or not indent else line for line in lines)


def _environ(field: Field) -> str:
    text = f"os.environ[{field.variable!r}]"
    if not may_be_long(field):
        return text
    return text + "".join(f".replace({_quoted(mark)}, {_quoted(sign)})" for mark, sign in REJOINED)


def _quoted(text: str) -> str:
    return ascii(text).replace("'", '"')


_VOLUMES = 'json.loads(os.environ["TIPHYS_VOLUMES"])'


def _files(signature: FunctionSignature, imports: _Imports) -> str:
    """What reads and writes the function's files."""
    read = {library for f in signature.inputs if (library := file_library(f.type)) is not None}
    written = {library for f in signature.outputs if (library := file_library(f.type)) is not None}
    needed: list[Callable[..., object]] = []
    if read - {""}:
        needed.append(step_files.read_table)
    if "" in read:
        imports.lines.add("import pathlib as tiphys_pathlib")
    if written:
        imports.lines.add("import hashlib")
        needed.append(content_digest)
    if written - {""}:
        needed.append(step_files.write_table)
    if "" in written:
        imports.lines.add("import shutil")
        needed += [step_files.place_file, step_files.place]
    return shown(*needed)


def _large() -> str:
    """What reads and writes the files of long values; it hides nothing that the function itself imports."""
    return (
        "# the part of tiphys that keeps long values in the volume, so that the image needs nothing but Python\n"
        + brought_along("tiphys.large")
        + "tiphys_large = sys.modules.pop('tiphys.large')\nsys.modules.pop('tiphys.errors')"
    )


def _whole(text: str) -> str:
    return f"tiphys_large.whole({text}, {_VOLUMES})"


class _Imports:
    """What the decoding needs besides the function."""

    def __init__(self) -> None:
        self.lines: set[str] = set()
        self.classes: set[str] = set()
        self.helpers: set[str] = set()

    def rich(self, kind: Any, text: str) -> str:
        """An expression for a value of a type that takes a converter."""
        self.lines.add(TIME_IMPORT)
        self.classes.update(decoding.classes_of(kind))
        self.helpers.update(decoding.converters(kind))
        if form(kind) in ("text", "seconds"):
            return f"({decoding.converter(kind)})({text})"
        self.helpers.add(decoding.READ)
        return f"({decoding.converter(kind)})(tiphys_read({text}))"


def _input(field: Field, text: str, imports: _Imports, site: Site) -> str:
    """An expression for an input; None has the text ``null``, as in a step of a module."""
    if field.is_file:
        library = file_library(field.type)
        value = f"tiphys_read_table({text}, {library!r})" if library else f"tiphys_pathlib.Path({text})"
        return f"{value} if os.path.exists({text}) else None" if field.optional else value
    decoded = _decode(field.type, text, imports, site)
    nullable = field.default is None or (field.nullable and members(field.type) is None)
    if not nullable or decoded == f"json.loads({text})" or field.type is Any:
        return decoded
    return f"None if {text} == 'null' else {decoded}"


def _decode(kind: Any, text: str, imports: _Imports, site: Site) -> str:
    """An expression that decodes ``text`` (itself an expression for a string)."""
    kind = unwrap(kind)
    origin = get_origin(kind) or kind
    if decoding.is_rich(kind):
        return imports.rich(kind, text)
    if origin is Literal:
        kinds = {type(choice) for choice in get_args(kind)}
        return _decode(kinds.pop(), text, imports, site) if len(kinds) == 1 else decoding.choice(kind, text)
    if kind in (int, float):
        return f"{kind.__name__}({text})"
    if kind is str or kind is Any:
        return text
    if kind is Reference:
        imports.lines.add("from tiphys.reference import Reference")
        return f"Reference.parse({text})"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        imports.classes.add(kind.__name__)
        inner = _decode(type(next(iter(kind)).value), text, imports, site)
        return f"{kind.__name__}({inner})"
    return _convert(kind, f"json.loads({text})", imports, site)


def _convert(kind: Any, value: str, imports: _Imports, site: Site) -> str:
    """An expression that turns decoded JSON into ``kind``; items of a list may be text that is JSON."""
    kind = unwrap(kind)
    origin = get_origin(kind) or kind
    if is_record(kind):
        imports.classes.add(kind.__name__)
        return f"{kind.__name__}(**{value})"
    if origin is tuple:
        as_list: Any = list[get_args(kind)[:1]] if get_args(kind) else list  # type: ignore[misc]
        return f"tuple({_convert(as_list, value, imports, site)})"
    if origin is list and get_args(kind):
        inner = unwrap(get_args(kind)[0])
        if inner in (int, float):
            return f"[{inner.__name__}(item) for item in {value}]"
        if inner is bool:
            return f"[item in (True, 'true') for item in {value}]"
        if (get_origin(inner) or inner) in (dict, list):
            return f"[json.loads(item) if isinstance(item, str) else item for item in {value}]"
        if is_record(inner):
            imports.classes.add(inner.__name__)
            item = "json.loads(item) if isinstance(item, str) else item"
            return f"[{inner.__name__}(**({item})) for item in {value}]"
    return value


def _writes_text(signature: FunctionSignature) -> bool:
    return any(may_be_long(field) for field in signature.outputs)


def _may_end_a_line(field: Field) -> bool:
    """Whether an output is text as it is, and not JSON."""
    return form(field.type) in ("text", "") and may_be_long(field) and not quoted(field.type)


def _texts(signature: FunctionSignature, rename: Mapping[str, str]) -> Iterator[str]:
    """The lines that make text of an output."""
    if any(decoding.writes_objects(f.type) for f in signature.outputs):
        yield "    value = tiphys_objects(value)"
    rich = any(decoding.writes_rich(f.type) for f in signature.outputs)
    if rich:
        yield "    if not isinstance(value, (str, int, float, list, dict, tuple, type(None))):"
        yield "        value = tiphys_plain(value)"
    names = [rename.get(f.name, f.name) for f in signature.outputs if quoted(f.type)]
    yield "    if not isinstance(value, str)" + (f" or name in {names!r}:" if names else ":")
    default = "tiphys_plain" if rich else "vars"
    yield (
        f"        value = json.dumps(value, default={default}, sort_keys=True, allow_nan=False, ensure_ascii=False)"
    )


def _footer(
    name: str, inputs: list[str], signature: FunctionSignature, rename: Mapping[str, str], shortens: bool
) -> Iterator[str]:
    if inputs:
        yield "inputs = {"
        yield from inputs
        yield "}"
        yield f"result = {name}(**inputs)"
    else:
        yield f"result = {name}()"
    if not signature.outputs:
        return
    single = len(signature.outputs) == 1 and signature.outputs[0].python == "result"
    made = {
        rename.get(f.name, f.name): (f, "result" + ("" if single else f".{f.python}"))
        for f in signature.outputs
    }
    pairs = [f"{name!r}: {value}" for name, (field, value) in made.items() if not field.is_file]
    yield 'folder = os.environ["TIPHYS_OUTPUTS"]'
    yield "os.makedirs(folder, exist_ok=True)"
    for name, (field, value) in made.items():
        if (library := file_library(field.type)) is not None:
            target = f"os.path.join(folder, {name!r})"
            put = f"tiphys_place({value}, {target})"
            if library:
                put = f"tiphys_write_table({value}, {target}, {library!r})"
            yield f"if {value} is not None:\n    {put}" if field.optional else put
            digest = f"tiphys_content_digest({target})"
            pairs.append(
                f"{name + step_files.DIGEST!r}: "
                + (f"{step_files.NO_FILE!r} if {value} is None else {digest}" if field.optional else digest)
            )
    yield "for name, value in {" + ", ".join(pairs) + "}.items():"
    yield from _texts(signature, rename)
    if shortens:
        yield f"    value = tiphys_large.shortened(name, value, {_VOLUMES}, os.environ)"
    if _writes_text(signature):
        yield "    # two braces would be a tag to Argo, a dollar sign may be a variable to the kubelet: marks part them"
        for pattern, by in PARTED:
            yield f"    value = re.sub({_quoted(pattern)}, {_quoted(by)}, value)"
    yield '    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:'
    if any(_may_end_a_line(field) for field in signature.outputs):
        yield "        # Argo takes one end of a line off"
        yield '        file.write(value + "\\n" if value.endswith("\\n") else value)'
    else:
        yield "        file.write(value)"
