"""Modules of Tiphys that a script takes along, so that its image needs nothing but Python."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["brought_along", "shown"]


@functools.cache
def brought_along(module: str) -> str:
    """Lines of a script that make ``module``, and what it needs of Tiphys, modules without a file."""
    trees: dict[str, ast.Module] = {}
    _collect(module, trees)
    for name, tree in trees.items():
        if name != module:
            _leave(tree, {each for other in trees.values() for each in _imported(other, name)})
        _strip(tree)
    modules = [(name, ast.unparse(tree)) for name, tree in trees.items()]
    texts = json.dumps(modules).replace("{", "\\u007b")  # Argo would take two of them for a tag
    return (
        "import sys\nimport types\n\n"
        f"for name, text in {texts}:\n"
        "    sys.modules[name] = module = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
    )


def shown(*functions: Callable[..., object]) -> str:
    """Functions of Tiphys as lines of a script, each named ``tiphys_NAME`` so that it hides none of the author's. They
    must use nothing but modules that the script imports, and each other."""
    names = {function.__name__: f"tiphys_{function.__name__}" for function in functions}
    parts = []
    for function in functions:
        tree = ast.parse(inspect.getsource(function))
        _strip(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                node.id = names.get(node.id, node.id)
            elif isinstance(node, ast.FunctionDef):
                node.name = names.get(node.name, node.name)
                node.returns = None
                for argument in node.args.args:
                    argument.annotation = None
        parts.append(ast.unparse(tree))
    return "\n\n".join(parts)


def _collect(module: str, found: dict[str, ast.Module]) -> None:
    """The module and what it imports of Tiphys, the latter first."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for statement in tree.body:
        name = str(statement.module) if isinstance(statement, ast.ImportFrom) else ""
        if name.startswith("tiphys.") and name not in found:
            _collect(name, found)
    found[module] = tree


def _imported(tree: ast.Module, module: str) -> Iterator[str]:
    """The names that a module imports of another one."""
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module == module:
            yield from (each.name for each in statement.names)


def _leave(tree: ast.Module, names: set[str]) -> None:
    """Leave in a module what ``names`` need: its other functions and classes go, and the list of all."""
    tree.body = [node for node in tree.body if _target(node) != "__all__"]
    definitions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    rest = [node for node in tree.body if node not in definitions.values()]
    waiting = {*names, *(name for node in rest for name in _used(node))}
    needed: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in definitions and name not in needed:
            needed.add(name)
            waiting |= _used(definitions[name])
    tree.body = [node for node in tree.body if node in rest or getattr(node, "name", "") in needed]


def _target(node: ast.stmt) -> str:
    """The name that a statement assigns to."""
    first = node.targets[0] if isinstance(node, ast.Assign) else None
    return first.id if isinstance(first, ast.Name) else ""


def _used(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _strip(tree: ast.Module) -> None:
    """Take the docstrings away; comments are none of the tree."""
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
