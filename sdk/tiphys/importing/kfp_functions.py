"""The function of a KFP component, from the source in its command: with annotations that a step of ours has."""

from __future__ import annotations

import ast
import re
import typing
from dataclasses import dataclass, field

from tiphys.importing.json_parts import items_of
from tiphys.importing.kfp_files import check_use, file_way, framed
from tiphys.importing.python_text import record, value
from tiphys.importing.told import CannotSay
from tiphys.jsontypes import JsonObject

__all__ = ["KfpFunction", "function_of", "packages_of"]

_PLAIN = {"str", "int", "float", "bool", "list", "dict", "Any", "None"}
_GENERIC = {
    "List": "list",
    "Dict": "dict",
    "list": "list",
    "dict": "dict",
    "Tuple": "tuple",
    "tuple": "tuple",
}
_PIP = re.compile(r"pip install (.*?)(?:&&|\n|$)", re.DOTALL)


@dataclass(slots=True)
class KfpFunction:
    """A function in Python, without its name and decorator: the class of its outputs first, where it has several."""

    name: str
    parameters: str
    returns: str
    body: str
    classes: str = ""
    imports: set[str] = field(default_factory=set)
    annotations: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """The files that it takes (``Input``) and makes (``Output``)."""

    @property
    def made_files(self) -> list[str]:
        return [name for name, way in self.files.items() if way == "Output"]

    def text(self, name: str, decorator: str) -> str:
        head = f"{decorator}\ndef {name}({self.parameters}) -> {self.returns}:\n{self.body}"
        return f"{self.classes}\n\n\n{head}" if self.classes else head


def function_of(container: JsonObject) -> KfpFunction | None:
    """The function that a container runs; None where it runs a program. Raises CannotSay for what no step has."""
    args = [str(each) for each in items_of(container.get("args"))]
    if "--function_to_execute" not in args:
        return None
    name = args[args.index("--function_to_execute") + 1]
    for part in items_of(container.get("command")):
        if re.search(rf"^\s*(async )?def {re.escape(name)}\b", str(part), re.MULTILINE):
            return _function(name, str(part))
    raise CannotSay("the source of its function is not in its command")


def packages_of(container: JsonObject) -> list[str]:
    """What it installs before it runs, without kfp itself."""
    found: list[str] = []
    for part in items_of(container.get("command")):
        for line in _PIP.findall(str(part)):
            for quoted in re.findall(r"'([^']+)'", line):
                if not quoted.startswith(("kfp", "typing-extensions", "--")):
                    found.append(quoted)
    return list(dict.fromkeys(found))


def _function(name: str, source: str) -> KfpFunction:
    try:
        module = ast.parse(source)
    except SyntaxError as error:
        raise CannotSay(f"its source cannot be read: {error.msg}") from error
    found = next(
        (each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == name), None
    )
    if found is None:
        raise CannotSay("its function is no plain function")
    others = [
        each
        for each in module.body
        if each is not found and not isinstance(each, (ast.Import, ast.ImportFrom, ast.Expr))
    ]
    if others:
        raise CannotSay("its source holds more than the function")
    made = KfpFunction(name, "", "None", _body(found, source))
    arguments = found.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        raise CannotSay("it takes *args, **kwargs or inputs without a name")
    inputs = [*arguments.args, *arguments.kwonlyargs]
    defaults: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults))
    defaults += [*arguments.defaults, *arguments.kw_defaults]
    texts = []
    for each, default in sorted(zip(inputs, defaults, strict=True), key=lambda pair: pair[1] is not None):
        if way := file_way(each.annotation):
            made.files[each.arg] = way
            if way == "Output":
                continue
        kind = "Path" if way else _kind(each.annotation, f"its input {each.arg!r}")
        made.annotations[each.arg] = kind
        if default is not None:
            try:
                text = value(ast.literal_eval(default))
            except ValueError as error:
                raise CannotSay(f"the default of {each.arg!r} is no constant") from error
            if ast.unparse(default) == "None" and "None" not in kind:
                kind = f"{kind} | None"
        texts.append(f"{each.arg}: {kind}" + (f" = {text}" if default is not None else ""))
    made.parameters = ", ".join(texts)
    _returns(found.returns, made)
    if made.files:
        _with_files(found, made)
    body_names = {n.id for each in found.body for n in ast.walk(each) if isinstance(n, ast.Name)}
    bound = {
        n.asname or n.name
        for i in ast.walk(found)
        if isinstance(i, (ast.Import, ast.ImportFrom))
        for n in i.names
    }
    if body_names & {"kfp", "dsl"} - bound:
        raise CannotSay("its code uses kfp itself")
    needed = (body_names & set(typing.__all__)) - bound
    if re.search(r"\bAny\b", made.parameters + made.returns + made.classes):
        needed.add("Any")
    if made.classes:
        needed.add("NamedTuple")
    if made.files:
        needed |= {"Path", "SimpleNamespace", *(["mkdtemp"] if made.made_files else [])}
    made.imports = needed
    return made


def _with_files(function: ast.FunctionDef, made: KfpFunction) -> None:
    check_use(function, made.files, made.returns)
    files = made.made_files
    if len(files) == 1:
        made.returns = "Path"
    elif files:
        made.returns = f"{made.name.title().replace('_', '')}Files"
        made.classes = record(made.returns, dict.fromkeys(files, "Path"))
    made.body = framed(made.body, made.files, made.returns)


def _body(function: ast.FunctionDef, source: str) -> str:
    """The lines of the body as they stand, comments included, by four blanks."""
    lines = source.splitlines()
    first = function.body[0].lineno - 1
    signature_end = max(
        [
            function.lineno,
            *(each.end_lineno or 0 for each in ast.walk(function.args) if hasattr(each, "end_lineno")),
        ]
    )
    if function.returns is not None:
        signature_end = max(signature_end, function.returns.end_lineno or 0)
    while first > signature_end and (
        lines[first - 1].strip().startswith("#") or not lines[first - 1].strip()
    ):
        first -= 1
    if lines[function.body[0].lineno - 1][: function.body[0].col_offset].strip():
        return "    " + "; ".join(ast.unparse(each) for each in function.body)
    body = lines[first : function.end_lineno]
    return "\n".join(body).strip("\n")


def _kind(annotation: ast.expr | None, what: str) -> str:
    """An annotation in words of ours. Raises CannotSay, for artifacts above all."""
    if annotation is None:
        raise CannotSay(f"{what} has no type")
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _kind(ast.parse(annotation.value, mode="eval").body, what)
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return "None"
    text = ast.unparse(annotation)
    bare = text.removeprefix("typing.").removeprefix("dsl.")
    if bare in _PLAIN:
        return bare
    if bare in _GENERIC:
        return _GENERIC[bare]
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return f"{_kind(annotation.left, what)} | {_kind(annotation.right, what)}"
    if isinstance(annotation, ast.Subscript):
        outer = ast.unparse(annotation.value).removeprefix("typing.")
        inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        if outer in _GENERIC:
            return f"{_GENERIC[outer]}[{', '.join(_kind(each, what) for each in inner)}]"
        if outer == "Optional":
            return f"{_kind(inner[0], what)} | None"
        if outer == "Literal":
            return text.removeprefix("typing.")
    raise CannotSay(f"{what} is {text}: hand on a file as pathlib.Path, or a folder as tiphys.Reference")


def _returns(annotation: ast.expr | None, made: KfpFunction) -> None:
    if annotation is None:
        return
    if isinstance(annotation, ast.Call) and ast.unparse(annotation.func).endswith("NamedTuple"):
        title = annotation.args[0]
        fields: list[tuple[str, ast.expr]] = [(str(each.arg), each.value) for each in annotation.keywords]
        if len(annotation.args) > 1 and isinstance(annotation.args[1], (ast.List, ast.Tuple)):
            for each in annotation.args[1].elts:
                if isinstance(each, ast.Tuple) and isinstance(each.elts[0], ast.Constant):
                    fields.append((str(each.elts[0].value), each.elts[1]))
        name = str(title.value) if isinstance(title, ast.Constant) else "Outputs"
        made.returns = f"{made.name.title().replace('_', '')}{name}"
        kinds = {key: _kind(kind, f"its output {key!r}") for key, kind in fields}
        made.classes = record(made.returns, kinds)
        return
    made.returns = _kind(annotation, "what it returns")
