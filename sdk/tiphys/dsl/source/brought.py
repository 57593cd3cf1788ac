"""Modules of Tiphys that a script takes along, so that its image needs nothing but Python."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
from pathlib import Path

__all__ = ["brought_along"]


@functools.cache
def brought_along(module: str) -> str:
    """Lines of a script that make ``module``, and what it imports of Tiphys, modules without a file."""
    modules: dict[str, str] = {}
    _collect(module, modules)
    texts = json.dumps(list(modules.items())).replace("{", "\\u007b")  # Argo would take two of them for a tag
    return (
        "import sys\nimport types\n\n"
        f"for name, text in {texts}:\n"
        "    sys.modules[name] = module = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
    )


def _collect(module: str, found: dict[str, str]) -> None:
    """The module and what it imports of Tiphys, the latter first, without their docstrings and comments."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for statement in tree.body:
        name = str(statement.module) if isinstance(statement, ast.ImportFrom) else ""
        if name.startswith("tiphys.") and name not in found:
            _collect(name, found)
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef))
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    found[module] = ast.unparse(tree)
