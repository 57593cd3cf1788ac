"""Values made of other values: lists, composed text; and text that is left to Argo."""

from __future__ import annotations

import re
from typing import Any

from tiphys.compiler.line import Site, caller
from tiphys.dsl.literals import Raw, literal
from tiphys.dsl.pending import Pending
from tiphys.dsl.values import Expression, Value
from tiphys.errors import DefinitionError

__all__ = ["Raw", "collect", "compose", "guard", "raw"]


_TAG = re.compile(r"\{\{=|\{\{(tasks|inputs|workflow|item)\b")


def raw(text: str) -> Raw:
    """Mark ``text`` as an Argo template string on purpose: its ``{{…}}`` tags are left to Argo, unchecked."""
    return Raw(text)


def guard(text: str, what: str, site: Site, argument: str = "") -> str:
    """Refuse a literal that Argo would read as a template tag (TIP119); ``argument``: it is that one of ``what``."""
    if "{{" in text:
        what = f"{what}({argument}=…)" if argument else what
        raise DefinitionError(
            "TIP119",
            f"the text of {what} contains '{{{{'",
            where=str(site),
            cause="Argo would substitute it, or fail on it; dependencies inside text are not seen either",
            fix="pass the value object itself, compose('…{x}…', x=value), or raw('…') to leave it to Argo",
        )
    return text


def collect(*values: Value, kind: Any = None) -> Expression:
    """A JSON list of ``values``, for an input of type ``list[…]``."""
    values = tuple(value._as_value() if isinstance(value, Pending) else value for value in values)
    for value in values:
        if not isinstance(value, Value):
            raise DefinitionError(
                "TIP105",
                f"collect() takes outputs and parameters, not {value!r}",
                where=str(caller()),
                fix="a list of both can be passed as it is: train(rates=[0.1, other.result])",
            )
        value._needs_text()
    element: Any = kind or (values[0].type if values else str)
    return Expression(
        lambda: "toJson([" + ", ".join(v.expr() for v in values) + "])", tuple(values), list[element]
    )


def compose(template: str, **values: Value) -> Expression:
    """``template`` with ``{name}`` replaced by values, as one tracked value: ``compose("runs/{run}",
    run=…)``."""
    if _TAG.search(template):
        raise DefinitionError(
            "TIP119",
            f"compose: the text {template!r} holds a task or a value",
            where=str(caller()),
            cause="an f-string has put its tag there; it would stay as it is",
            fix="compose('…{x}…', x=value)",
        )
    parts: list[object] = []
    position = 0
    for match in re.finditer(r"\{(\w+)\}", template):
        if match[1] not in values:
            raise DefinitionError(
                "TIP103",
                f"compose: no value for {{{match[1]}}}",
                where=str(caller()),
                fix=f"pass {match[1]}=… ",
            )
        if match.start() > position:
            parts.append(template[position : match.start()])
        value = values[match[1]]
        value = value._as_value() if isinstance(value, Pending) else value
        if isinstance(value, Value):
            value._needs_text()
        parts.append(value)
        position = match.end()
    if position < len(template):
        parts.append(template[position:])
    return Expression(
        lambda: " + ".join(p.expr() if isinstance(p, Value) else literal(p) for p in parts),
        tuple(p for p in parts if isinstance(p, Value)),
    )
