"""Files of KFP functions: ``Input[Dataset]`` and ``Output[Model]`` are a ``pathlib.Path`` here.

The function's own code stays as it is: the name of a file is bound to something with a ``path``, as KFP gives it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from tiphys.importing.told import CannotSay

__all__ = ["check_use", "file_way", "framed"]

_WAY = re.compile(r"(?:typing\.|dsl\.|kfp\.)*(Input|Output)\[.+\]", re.DOTALL)


def file_way(annotation: ast.expr | None) -> str:
    """``Input`` or ``Output`` for a file that a function takes or makes; empty for anything else."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    match = _WAY.fullmatch(ast.unparse(annotation)) if isinstance(annotation, ast.Subscript) else None
    return match[1] if match and "list" not in match[0].lower() else ""


def check_use(function: ast.FunctionDef, files: Mapping[str, str], returns: str = "None") -> None:
    """Raises CannotSay where the code does more with a file than to take its path, or gives something else besides
    (``returns``), or may end before it is made."""
    inside = [node for each in function.body for node in ast.walk(each)]
    paths = {id(each.value) for each in inside if isinstance(each, ast.Attribute) and each.attr == "path"}
    for node in inside:
        if isinstance(node, ast.Name) and node.id in files and id(node) not in paths:
            raise CannotSay(
                f"its code takes more of {node.id!r} than its path: a file here is a pathlib.Path"
            )
    ends = returns != "None" or any(isinstance(node, ast.Return) for node in inside)
    if ends and "Output" in files.values():
        raise CannotSay("it makes files, and returns: hand both on as fields of a NamedTuple")


def framed(body: str, files: Mapping[str, str], returns: str) -> str:
    """The body between what KFP would give it for its files, and what a step of ours returns."""
    before = [
        f"    {name} = SimpleNamespace(path=str({name}))"
        if way == "Input"
        else f'    {name} = SimpleNamespace(path=f"{{mkdtemp()}}/{name}")'
        for name, way in files.items()
    ]
    made = [name for name, way in files.items() if way == "Output"]
    after = []
    if len(made) == 1:
        after = [f"    return Path({made[0]}.path)"]
    elif made:
        fields = ", ".join(f"{name}=Path({name}.path)" for name in made)
        after = [f"    return {returns}({fields})"]
    return "\n".join([*before, body, *after])
