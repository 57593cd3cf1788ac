"""What expr-lang's compiler refuses before anything is evaluated: operators and functions over the wrong kinds.

Only what is known without the environment is judged: literals, and what operators and functions make of them. Values
of the scope have no kind until they are there.

Source: github.com/expr-lang/expr v1.17.8, checker/checker.go and builtin/builtin.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tiphys.expr.lexer import ExprError
from tiphys.expr.regexp import regexp

Tree = tuple[Any, ...]
Names = Mapping[str, str]

__all__ = ["check"]

_UNKNOWN = ""
_NUMBERS = ("int", "float64")
_S = "string"
_I = "int"
_SIGNATURES: dict[str, tuple[tuple[tuple[str, ...], ...], str]] = {
    "trim": (((_S,), (_S, _S)), _S), "trimPrefix": (((_S,), (_S, _S)), _S), "trimSuffix": (((_S,), (_S, _S)), _S),
    "upper": (((_S,),), _S), "lower": (((_S,),), _S), "replace": (((_S, _S, _S), (_S, _S, _S, _I)), _S),
    "split": (((_S, _S), (_S, _S, _I)), _UNKNOWN), "splitAfter": (((_S, _S), (_S, _S, _I)), _UNKNOWN),
    "repeat": (((_S, _I),), _S), "indexOf": (((_S, _S),), _I), "lastIndexOf": (((_S, _S),), _I),
    "hasPrefix": (((_S, _S),), "bool"), "hasSuffix": (((_S, _S),), "bool"), "toBase64": (((_S,),), _S),
    "fromBase64": (((_S,),), _S), "fromJSON": (((_S,),), _UNKNOWN), "duration": (((_S,),), _UNKNOWN),
}  # fmt: skip
_RESULTS = {
    "len": "int", "type": _S, "int": "int", "float": "float64", "count": "int", "string": _S, "toJSON": _S,
    "all": "bool", "any": "bool", "one": "bool", "none": "bool", "asInt": "int", "asFloat": "float64", "toJson": _S,
}  # fmt: skip


def check(tree: Tree, names: Names) -> str:
    """Return the kind that an expression makes: a Go type's name, or an empty string where only a run knows.

    ``names``: the kinds of plain names (``item``, ``retries``); members of names have none.

    Raises
    ------
    ExprError
        It cannot be compiled.
    """
    rule = _RULES.get(tree[0])
    if rule is not None:
        return rule(tree, names)
    for part in tree[1:]:
        _check_all(part, names)
    return _UNKNOWN


def _check_all(part: Any, names: Names) -> None:
    if isinstance(part, tuple) and part and isinstance(part[0], str) and isinstance(part[-1], int):
        check(part, names)
    elif isinstance(part, (list, tuple)):
        for item in part:
            _check_all(item, names)


def _const(tree: Tree, names: Names) -> str:
    value = tree[1]
    return {bool: "bool", int: "int", float: "float64", str: _S}.get(type(value), _UNKNOWN)


def _unary(tree: Tree, names: Names) -> str:
    kind = check(tree[2], names)
    operator = tree[1]
    if kind and ((operator == "!") != (kind == "bool") or (operator != "!" and kind not in _NUMBERS)):
        raise ExprError(f"invalid operation: {operator} (mismatched type {kind})", tree[-1])
    return "bool" if operator == "!" else kind


def _both(kinds: tuple[str, ...]) -> Callable[[str, str], bool]:
    return lambda left, right: left in kinds and right in kinds


_numbers = _both(_NUMBERS)
_texts = _both((_S,))
_ordered: Callable[[str, str], bool] = lambda a, b: _numbers(a, b) or _texts(a, b)  # noqa: E731
_FITS: dict[str, tuple[Callable[[str, str], bool], str]] = {
    "==": (lambda a, b: a == b or _numbers(a, b), "bool"), "!=": (lambda a, b: a == b or _numbers(a, b), "bool"),
    "&&": (_both(("bool",)), "bool"), "||": (_both(("bool",)), "bool"),
    "<": (_ordered, "bool"), ">": (_ordered, "bool"), "<=": (_ordered, "bool"), ">=": (_ordered, "bool"),
    "-": (_numbers, ""), "*": (_numbers, ""), "/": (_numbers, "float64"), "**": (_numbers, "float64"),
    "%": (_both(("int",)), "int"), "+": (_ordered, ""), "..": (_both(("int",)), ""),
    "contains": (_texts, "bool"), "startsWith": (_texts, "bool"), "endsWith": (_texts, "bool"),
    "matches": (_texts, "bool"),
}  # fmt: skip


def _binary(tree: Tree, names: Names) -> str:
    operator, left, right, position = tree[1], check(tree[2], names), check(tree[3], names), tree[-1]
    rule = _FITS.get(operator)
    if rule is None:
        return "bool" if operator == "in" else _UNKNOWN
    fits, result = rule
    if left and right and not fits(left, right):
        raise ExprError(f"invalid operation: {operator} (mismatched types {left} and {right})", position)
    if operator == "matches" and tree[3][0] == "const":
        if not isinstance(tree[3][1], str):
            raise ExprError(
                f"invalid operation: {operator} (mismatched types {left or 'unknown'} and {right})", position
            )
        try:
            regexp(tree[3][1])
        except ExprError as error:
            raise ExprError(str(error), position) from None
    if result or not (left and right) or operator == "..":
        return result
    return "float64" if "float64" in (left, right) else left


def _cond(tree: Tree, names: Names) -> str:
    test = check(tree[1], names)
    if test and test != "bool":
        raise ExprError(f"non-bool expression (type {test}) used as condition", tree[-1])
    yes, no = check(tree[2], names), check(tree[3], names)
    return yes if yes == no else _UNKNOWN


def _builtin(tree: Tree, names: Names) -> str:
    name, arguments, position = tree[1], tree[2], tree[-1]
    kinds = [check(item, names) for item in arguments]
    if name == "len" and kinds and kinds[0] in ("int", "float64", "bool"):
        raise ExprError(f"invalid argument for len (type {kinds[0]})", position)
    if name in ("max", "min"):
        wrong = next((kind for kind in kinds if kind in (_S, "bool")), "")
        if wrong:
            raise ExprError(f"invalid argument for {name} (type {wrong})", position)
    if name == "get" and arguments and arguments[0][:2] == ("const", None):
        raise ExprError("type unknown does not support indexing", arguments[0][-1])
    if name not in _SIGNATURES:
        return _RESULTS.get(name, _UNKNOWN)
    shapes, result = _SIGNATURES[name]
    problem: ExprError | None = None
    for shape in shapes:
        problem = _problem(name, shape, arguments, kinds, position)
        if problem is None:
            return result
    assert problem is not None
    raise problem


def _problem(
    name: str, shape: tuple[str, ...], arguments: list[Tree], kinds: list[str], position: int
) -> ExprError | None:
    if len(kinds) < len(shape):
        return ExprError(f"not enough arguments to call {name}", position)
    if len(kinds) > len(shape):
        return ExprError(f"too many arguments to call {name}", position)
    for wanted, kind, argument in zip(shape, kinds, arguments, strict=True):
        if kind and kind != wanted:
            return ExprError(f"cannot use {kind} as argument (type {wanted}) to call {name} ", argument[-1])
    return None


_KEEPS_TIME = ("In", "UTC", "Local", "Add", "AddDate", "Round", "Truncate")


def _is_time(tree: Tree) -> bool:
    """Whether the compiler knows it for a time: one that expr-lang itself makes (sprig's values have no kind)."""
    if tree[0] == "builtin":
        return tree[1] in ("date", "now")
    if tree[0] == "call" and tree[1][0] == "member":
        return tree[1][2][1] in _KEEPS_TIME and _is_time(tree[1][1])
    return False


def _call(tree: Tree, names: Names) -> str:
    if tree[1][0] == "member" and tree[1][2][1] in ("Date", "Clock") and _is_time(tree[1][1]):
        raise ExprError(f"func {tree[1][2][1]} returns more then two values", tree[-1])
    _check_all(tree[2], names)
    check(tree[1], names)
    return _RESULTS.get(tree[1][1], _UNKNOWN) if tree[1][0] == "name" else _UNKNOWN


def _member(tree: Tree, names: Names) -> str:
    kind = check(tree[1], names)
    key = check(tree[2], names)
    if kind == _S and key:
        raise ExprError(f"type string[{key}] is undefined", tree[-1])
    if kind in ("bool", *_NUMBERS) and key == _S and tree[2][0] == "const":
        raise ExprError(f"type {kind} has no field {tree[2][1]}", tree[-1])
    return _UNKNOWN


def _name(tree: Tree, names: Names) -> str:
    return names.get(tree[1], _UNKNOWN)


def _inner(tree: Tree, names: Names) -> str:
    return check(tree[1], names)


def _let(tree: Tree, names: Names) -> str:
    return check(tree[3], {**names, tree[1]: check(tree[2], names)})


_RULES: dict[str, Callable[[Tree, Names], str]] = {
    "const": _const, "unary": _unary, "binary": _binary, "cond": _cond, "builtin": _builtin, "call": _call,
    "member": _member, "closure": _inner, "chain": _inner, "name": _name,
    "let": _let,
}  # fmt: skip
