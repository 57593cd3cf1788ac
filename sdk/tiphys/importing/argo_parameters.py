"""Parameters of a workflow as ``pipeline.param``: the type by the text of the value, choices by ``enum``."""

from __future__ import annotations

import json
import re

from tiphys.argo.parameters import json_text
from tiphys.importing.argo_graph import parameters_of, text_of_value
from tiphys.importing.python_text import PythonNames, call, value
from tiphys.importing.told import CannotSay
from tiphys.jsontypes import Json

__all__ = ["guessed", "parameter_lines"]

_ALLOWED = ("name", "value", "default", "enum", "description")


def guessed(text: str, *, loop: bool = False) -> Json:
    """The value whose text it is: a number, a truth, a list or an object, where its JSON is this very text (of what a
    loop is over: any list)."""
    if not loop and not re.match(r"-?\d|true$|false$|\[|\{", text):
        return text
    try:
        found: Json = json.loads(text)
    except ValueError:
        return text
    if loop:
        return found if isinstance(found, list) else text
    plain = not isinstance(found, (list, dict)) or all(
        isinstance(each, (str, int, float, bool))
        for each in (found.values() if isinstance(found, dict) else found)
    )
    return found if plain and found is not None and json_text(found) == text else text


def parameter_lines(
    arguments: Json, lists: set[str], names: PythonNames
) -> tuple[list[str], dict[str, str], list[str]]:
    """The lines, the variables by parameter, and the parameters whose JSON has other blanks then. Raises CannotSay."""
    lines, variables, changed = [], {}, []
    given = parameters_of(arguments, "the arguments", _ALLOWED)
    rows = arguments.get("parameters") if isinstance(arguments, dict) else None
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict):
            continue
        name = str(row["name"])
        text = None if given[name] is None else text_of_value(given[name])
        if text is not None and "{{" in text:
            raise CannotSay(f"the value of {name!r} holds a tag")
        if not re.fullmatch(r"[a-zA-Z0-9_][-a-zA-Z0-9_]*", name):
            raise CannotSay(f"{name!r} is no name of a parameter of ours")
        parts = [value(name)]
        choices = row.get("enum")
        texts = [text_of_value(each) for each in choices] if isinstance(choices, list) else []
        default = None if text is None else guessed(text, loop=name in lists)
        if texts or isinstance(default, bool):
            default = text
        if texts and text is not None and text not in texts:
            raise CannotSay(f"the value of {name!r} is none of its choices")
        if text is not None:
            parts.append(value(default))
            if default != text and json_text(default) != text:
                changed.append(name)
        if name in lists and not isinstance(default, list):
            parts.append("type=list")
            if text is not None:
                raise CannotSay(f"a loop is over {name!r}, whose value is no list")
        if texts:
            parts.append(f"choices={value([*texts])}")
        if row.get("description"):
            parts.append(f"description={value(str(row['description']))}")
        variables[name] = names.take(name)
        lines.append(call("pipeline.param", parts, "    ", f"{variables[name]} = "))
    return lines, variables, changed
