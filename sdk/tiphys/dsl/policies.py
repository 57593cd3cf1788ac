"""Conditions on which an earlier result may be taken: added with ``&`` to a :class:`tiphys.Cache`.

``Cache.by_content() & while_metric("accuracy", ">=", 0.9) & unless_data("records", grew=2.0)``: an earlier result is
taken only while every one of them holds. Argo's memoization cannot say them; how they are compiled is in
:mod:`tiphys.dsl.guarded`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tiphys.compiler.line import Site, caller
from tiphys.dsl.types import Field
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.reference import Reference
from tiphys.step.kinds import unwrap

__all__ = [
    "NONE",
    "Conditions",
    "DataRule",
    "IntactRule",
    "MetricRule",
    "unless_data",
    "while_intact",
    "while_metric",
]

Operator = Literal[">=", ">", "<=", "<", "=="]
_OPERATORS: tuple[Operator, ...] = get_args(Operator)


@dataclass(frozen=True, slots=True)
class MetricRule:
    """The result's own output must meet a bar."""

    output: str
    operator: Operator
    bound: float
    site: Site = field(compare=False)

    def json(self, inputs: Sequence[Field], outputs: Sequence[Field]) -> dict[str, str | float]:
        name = _named(self.output, outputs).name
        return {"output": name, "op": self.operator, "bound": self.bound}


@dataclass(frozen=True, slots=True)
class DataRule:
    """An input must not have changed so much since the result was made."""

    input: str
    grew: float | None
    by: float | None
    of: frozenset[str]
    site: Site = field(compare=False)

    def json(self, inputs: Sequence[Field], outputs: Sequence[Field]) -> dict[str, str | float]:
        rule: dict[str, str | float] = {"input": _named(self.input, inputs).name}
        if self.grew is not None:
            rule["grew"] = self.grew
        if self.by is not None:
            rule["by"] = self.by
        return rule


@dataclass(frozen=True, slots=True)
class IntactRule:
    """Nothing but what always holds: every reference among the result's outputs verifies."""

    def json(self, inputs: Sequence[Field], outputs: Sequence[Field]) -> dict[str, str | float]:
        return {}


@dataclass(frozen=True, slots=True)
class Conditions:
    """One condition or several, all of which must hold; ``&`` adds more."""

    rules: tuple[MetricRule | DataRule | IntactRule, ...] = ()

    def __and__(self, other: object) -> Conditions:
        if not isinstance(other, Conditions):
            return NotImplemented  # a Cache knows how to take conditions
        rules = (*self.rules, *other.rules)
        _refuse_empty([rule for rule in rules if isinstance(rule, MetricRule)])
        return Conditions(rules)

    def __bool__(self) -> bool:
        return bool(self.rules)

    @property
    def judged(self) -> frozenset[str]:
        """The inputs that are judged, and so do not count in the key (Python names)."""
        data = [rule for rule in self.rules if isinstance(rule, DataRule)]
        return frozenset(name for rule in data for name in (rule.input, *rule.of))

    @property
    def bars(self) -> frozenset[str]:
        """The outputs that are judged."""
        return frozenset(rule.output for rule in self.rules if isinstance(rule, MetricRule))

    def check(self, inputs: Sequence[Field], outputs: Sequence[Field], owner: str) -> None:
        """Raises DefinitionError: TIP103 no such input, TIP106 no such output, TIP105 not a number."""
        for rule in self.rules:
            if isinstance(rule, MetricRule):
                found = _find(rule.output, outputs, "TIP106", f"an output of {owner}", rule.site)
                _refuse_text(found, rule.site, f"while_metric({rule.output!r}, …)", (int, float, Any))
            elif isinstance(rule, DataRule):
                for name in (rule.input, *sorted(rule.of)):
                    found = _find(name, inputs, "TIP103", f"an input of {owner}", rule.site)
                    if name == rule.input and (rule.grew is not None or rule.by is not None):
                        kinds = (int, float, Reference, Any)
                        _refuse_text(found, rule.site, f"unless_data({name!r}, …)", kinds)


NONE = Conditions()


def _find(name: str, fields: Sequence[Field], code: str, what: str, site: Site) -> Field:
    for each in fields:
        if each.is_called(name):
            return each
    names = [each.python for each in fields]
    raise DefinitionError(
        code,
        f"{name!r} is not {what}.{did_you_mean(name, names)}",
        where=str(site),
        cause="while_metric looks at outputs of the step itself, unless_data at its inputs",
        fix=f"one of: {', '.join(names) or 'none'}",
    )


def _named(name: str, fields: Iterable[Field]) -> Field:
    return next(each for each in fields if each.is_called(name))


def _refuse_text(found: Field, site: Site, what: str, kinds: tuple[object, ...]) -> None:
    kind = unwrap(found.type)
    if kind not in kinds:
        raise DefinitionError(
            "TIP105",
            f"{what}: {found.python} is {getattr(kind, '__name__', kind)}, not a number",
            where=str(site),
            cause="it is compared with a number",
            fix=f"annotate {found.python} as float or int, or name another one",
        )


def _refuse_empty(bars: list[MetricRule]) -> None:
    """Two bars that no number meets at once would mean that no earlier result is ever taken."""
    for rule in bars:
        same = [other for other in bars if other.output == rule.output]
        least = max((r.bound for r in same if r.operator in (">=", ">", "==")), default=-math.inf)
        most = min((r.bound for r in same if r.operator in ("<=", "<", "==")), default=math.inf)
        strict = any(r.bound == least and r.operator == ">" for r in same) or any(
            r.bound == most and r.operator == "<" for r in same
        )
        if least > most or (least == most and strict):
            raise DefinitionError(
                "TIP125",
                f"no {rule.output} meets all bars: {', '.join(f'{r.operator} {r.bound:g}' for r in same)}",
                where=str(same[-1].site),
                cause="an earlier result would never be taken",
                fix="leave one of the bars out, or write Cache.refresh() if that is what is meant",
            )


def while_intact() -> Conditions:
    """An earlier result is taken only while every reference among its outputs is there with its digest, on a cluster,
    too. The other conditions look at that as well.
    """
    return Conditions((IntactRule(),))


def while_metric(output: str, operator: Operator, bound: float) -> Conditions:
    """An earlier result is taken only while its own output ``output`` meets the bar: ``while_metric("accuracy", ">=",
    0.9)``. The bar does not count in the key: with another bar the same result is judged anew.

    Raises DefinitionError (TIP105) for what is no comparison with a number.
    """
    site = caller()
    number = not isinstance(bound, bool) and isinstance(bound, (int, float)) and math.isfinite(bound)
    if operator not in _OPERATORS or not number:
        raise DefinitionError(
            "TIP105",
            f"while_metric({output!r}, {operator!r}, {bound!r}) is no comparison with a number",
            where=str(site),
            fix=f'write while_metric("accuracy", ">=", 0.9); operators are {" ".join(_OPERATORS)}',
        )
    return Conditions((MetricRule(output, operator, float(bound), site),))


def unless_data(
    name: str,
    *,
    grew: float | str | None = None,
    changed: str | None = None,
    of: str | Iterable[str] = (),
) -> Conditions:
    """An earlier result is taken although the data changed, unless the input ``name`` changed too much since.

    ``grew=2.0`` (or ``"100%"``): it is at least so many times what it was when the result was made. ``changed="5%"``:
    it is 5 % more or less. With neither: it is another one. ``name`` is an input of the step: a number (of records), a
    text (a schema, a digest), or a :class:`tiphys.Reference`, whose measure is its bytes for ``grew`` and ``changed``,
    and else its digest. It does not count in the key, and neither do the inputs in ``of``, the data that it measures.

    Raises DefinitionError (TIP109) for a growth that is none.
    """
    site = caller()
    factor = part = None
    if grew is not None:
        factor = 1 + _part(grew, site) if isinstance(grew, str) else grew
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 1 < factor < math.inf:
            raise _no_growth(f"grew={grew!r}", site)
    if changed is not None:
        part = _part(changed, site)
    names = frozenset([of] if isinstance(of, str) else of)
    return Conditions((DataRule(name, None if factor is None else float(factor), part, names, site),))


def _part(text: object, site: Site) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text) if isinstance(text, str) else None
    if match is None or float(match[1]) == 0:
        raise _no_growth(repr(text), site)
    return float(match[1]) / 100


def _no_growth(text: str, site: Site) -> DefinitionError:
    return DefinitionError(
        "TIP109",
        f"unless_data: {text} is no growth and no part",
        where=str(site),
        fix='write grew=2.0 for twice as much (more than 1), grew="20%" or changed="5%" for a part (more than 0 %)',
    )
