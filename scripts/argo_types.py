"""Write sdk/tiphys/argo/types.py from the schema's table: Argo's central objects as TypedDicts.

    python scripts/argo_types.py

Struct types have numbers in the table; here those get a name that code speaks of, by the way that leads to them.
"""

from __future__ import annotations

import re
from pathlib import Path

from tiphys.argo.schema import table

OUT = Path(__file__).resolve().parent.parent / "sdk" / "tiphys" / "argo" / "types.py"
# the name, and the fields that lead to it from a Workflow
NAMED = {
    "Workflow": "",
    "ObjectMeta": "metadata",
    "WorkflowSpec": "spec",
    "Arguments": "spec arguments",
    "Parameter": "spec arguments parameters",
    "ValueFrom": "spec arguments parameters valueFrom",
    "Artifact": "spec arguments artifacts",
    "Hook": "spec hooks",
    "Synchronization": "spec synchronization",
    "RetryStrategy": "spec retryStrategy",
    "Template": "spec templates",
    "Metadata": "spec templates metadata",
    "Memoize": "spec templates memoize",
    "DAGTemplate": "spec templates dag",
    "DAGTask": "spec templates dag tasks",
    "TemplateRef": "spec templates dag tasks templateRef",
    "WorkflowStep": "spec templates steps",
    "Outputs": "spec templates outputs",
    "WorkflowStatus": "status",
    "Node": "status nodes",
    "Condition": "status conditions",
}
_PLAIN = {
    "s": "str",
    "b": "bool",
    "i": "int",
    "l": "int",
    "t": "str | None",
    "x": "int | str",
    "v": "str",
    "*": "Any",
}
_HEAD = '''"""Argo's central objects as types: written by scripts/argo_types.py from Argo 4.1.2's schema, not by hand.

Every field may be absent: that is how Argo's own Go types are written (``omitempty``). ``JsonObject`` stands for a part
that no code here looks into by name.
"""

from __future__ import annotations

from typing import Any, TypedDict

'''


def _references(schema: object) -> dict[str, str]:
    found = {}
    for name, way in NAMED.items():
        reference = table().roots["Workflow"]
        for step in way.split():
            reference = re.sub(r"^[am]+", "", table().fields(reference)[step])
        found.setdefault(reference, name)
    return found


def _type(code: str, names: dict[str, str]) -> str:
    if code in _PLAIN:
        return _PLAIN[code]
    if code.startswith("#"):
        return names.get(code, "JsonObject")
    if code[0] == "a":
        return f"list[{_type(code[1:], names)}]"
    if code[0] == "m":
        return f"dict[str, {_type(code[1:], names)}]"
    return "Any"


def text() -> str:
    """The module."""
    names = _references(table())
    parts = [_HEAD]
    parts.append(
        "__all__ = [\n"
        + "".join(f'    "{name}",\n' for name in sorted({*names.values(), "JsonObject"}))
        + "]\n\n"
    )
    parts.append("JsonObject = dict[str, Any]\n")
    parts.append('_From = TypedDict("_From", {"from": str}, total=False)  # a word of Python\n')
    for reference, name in names.items():
        fields = table().fields(reference)
        base = "_From" if "from" in fields else "TypedDict"
        body = [f"    {field}: {_type(code, names)}\n" for field, code in fields.items() if field != "from"]
        parts.append(f"\n\nclass {name}({base}, total=False):\n{''.join(body)}")
    return "".join(parts)


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
