"""Parser of expr-lang: source text to a small tree of tuples.

Node shapes: ``("const", value)``, ``("name", id)``, ``("member", object, key, optional)``,
``("slice", object, from, to)``, ``("call", function, arguments)``, ``("builtin", name, arguments)``,
``("closure", body)``, ``("pointer", name)``, ``("unary", op, x)``, ``("binary", op, a, b)``,
``("cond", test, yes, no)``, ``("array", items)``, ``("map", pairs)``, ``("let", name, value, body)``,
``("chain", x)``, ``("seq", items)``; the last element of each is its position in the source, as expr-lang has it.
"""

from __future__ import annotations

from typing import Any

from tiphys.expr.lexer import WORD_OPERATORS, ExprError, Token, tokenize

Tree = tuple[Any, ...]

__all__ = ["CLOSURE_BUILTINS", "Tree", "parse"]

_BINARY: dict[str, tuple[int, bool]] = {
    "||": (10, False), "or": (10, False), "&&": (15, False), "and": (15, False),
    "==": (20, False), "!=": (20, False), "<": (20, False), ">": (20, False), "<=": (20, False), ">=": (20, False),
    "in": (20, False), "matches": (20, False), "contains": (20, False), "startsWith": (20, False),
    "endsWith": (20, False), "..": (25, False), "+": (30, False), "-": (30, False),
    "*": (60, False), "/": (60, False), "%": (60, False), "**": (100, True), "^": (100, True), "??": (500, False),
}  # fmt: skip
_NEGATED = ("in", "matches", "contains", "startsWith", "endsWith")
_UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
CLOSURE_BUILTINS = frozenset(
    [
        "all",
        "none",
        "any",
        "one",
        "filter",
        "map",
        "find",
        "findIndex",
        "findLast",
        "findLastIndex",
        "count",
        "sum",
        "groupBy",
        "sortBy",
        "reduce",
    ]
)


def parse(source: str, builtins: frozenset[str]) -> Tree:
    """Return the tree of an expression.

    Raises
    ------
    ExprError
        The text is not an expression.
    """
    try:
        return _Parser(source, builtins).whole()
    except RecursionError:
        raise ExprError("expression is nested too deeply") from None


class _Parser:
    def __init__(self, source: str, builtins: frozenset[str]) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.index = 0
        self.builtins = builtins
        self.depth = 0

    @property
    def current(self) -> Token:
        return self.tokens[self.index]

    def error(self, what: str) -> ExprError:
        return ExprError(what, self.current.position)

    def at(self, *values: str) -> bool:
        token = self.current
        return token.kind in ("op", "name") and token.value in values

    def name(self) -> Token:
        """Take an identifier."""
        if self.current.kind != "name":
            raise self.error(f"unexpected token {self.current}")
        return self.take()

    def take(self) -> Token:
        token = self.current
        self.index += 1
        return token

    def accept(self, value: str) -> bool:
        if self.at(value):
            self.index += 1
            return True
        return False

    def expect(self, value: str) -> None:
        if not self.accept(value):
            raise self.error(f"unexpected token {self.current}")

    def whole(self) -> Tree:
        tree = self.sequence()
        if self.current.kind != "end":
            raise self.error(f"unexpected token {self.current}")
        return tree

    def sequence(self) -> Tree:
        items = [self.expression(0)]
        while self.accept(";"):
            if self.current.kind == "end" or self.at(")", "}"):
                break
            items.append(self.expression(0))
        return items[0] if len(items) == 1 else ("seq", items, items[0][-1])

    def expression(self, precedence: int) -> Tree:
        if precedence == 0 and self.at("let"):
            position = self.take().position
            name = str(self.name().value)
            self.expect("=")
            value = self.expression(0)
            self.expect(";")
            return ("let", name, value, self.sequence(), position)
        if precedence == 0 and self.at("if"):
            return self.conditional()
        left = self.primary()
        previous = ""
        while True:
            negate = False
            mark = self.index
            if self.at("not"):
                self.take()
                if not self.at(*_NEGATED):
                    raise self.error(f"unexpected token {self.current}")
                negate = True
            operator = self.current.value if self.current.kind in ("op", "name") else None
            if not isinstance(operator, str) or operator not in _BINARY or _BINARY[operator][0] < precedence:
                if operator == "|" and not negate and precedence == 0:
                    self.take()
                    left = self.pipe(left)
                    continue
                self.index = mark
                break
            if operator == "??" and previous and previous != "??":
                raise self.error(
                    "Operator (??) and coalesce expressions cannot be mixed. Wrap either by parentheses."
                )
            position = self.take().position
            rank, right_associative = _BINARY[operator]
            right = self.expression(rank if right_associative else rank + 1)
            operator = {"or": "||", "and": "&&", "^": "**"}.get(operator, operator)
            left = ("binary", operator, left, right, position)
            if negate:
                left = ("unary", "!", left, position)
            previous = operator
        if precedence == 0 and self.accept("?"):
            if self.accept(":"):
                return ("cond", left, left, self.expression(0), left[-1])
            yes = self.expression(0)
            self.expect(":")
            left = ("cond", left, yes, self.expression(0), left[-1])
            if self.at("|"):
                self.take()
                left = self.pipe(left)
        return left

    def conditional(self) -> Tree:
        self.take()
        test = self.expression(0)
        self.expect("{")
        yes = self.sequence()
        self.expect("}")
        self.expect("else")
        if self.at("if"):
            return ("cond", test, yes, self.conditional(), test[-1])
        self.expect("{")
        no = self.sequence()
        self.expect("}")
        return ("cond", test, yes, no, test[-1])

    def pipe(self, left: Tree) -> Tree:
        token = self.name()
        return self.postfix(self.call(token, [left]))

    def primary(self) -> Tree:
        token = self.current
        if token.kind == "op" and token.value in _UNARY:
            self.take()
            operand = self.expression(_UNARY[str(token.value)])
            tree: Tree = ("unary", "!" if token.value == "not" else token.value, operand, token.position)
            return self.postfix(tree)
        if self.accept("("):
            tree = self.sequence()
            self.expect(")")
            return self.postfix(tree)
        if token.value == "#" and token.kind == "op":
            if not self.depth:
                raise self.error(f"unexpected token {token}")
            self.take()
            name = ""
            if self.current.kind == "name":
                name = str(self.take().value)
            return self.postfix(("pointer", name, token.position))
        if token.value == "." and token.kind == "op" and self.depth:
            return self.postfix(("pointer", "", token.position))
        if token.value == "::":
            self.take()
        tree = self.atom()
        if tree[0] == "const" and not isinstance(tree[1], str):
            return tree  # expr-lang takes nothing after nil, true, false or a number
        return self.postfix(tree)

    def atom(self) -> Tree:
        token = self.current
        if token.kind not in ("number", "string", "name") and token.value not in ("[", "{"):
            raise self.error(f"unexpected token {token}")
        self.take()
        if token.kind in ("number", "string"):
            return ("const", token.value, token.position)
        if token.kind == "name":
            name = str(token.value)
            if name in ("true", "false"):
                return ("const", name == "true", token.position)
            if name == "nil":
                return ("const", None, token.position)
            if self.at("("):
                return self.call(token, [])
            return ("name", name, token.position)
        if token.kind == "op" and token.value == "[":
            return ("array", self.items("]"), token.position)
        return self.mapping(token.position)

    def items(self, end: str) -> list[Tree]:
        items: list[Tree] = []
        while not self.at(end):
            items.append(self.expression(0))
            if not self.accept(","):
                break
        self.expect(end)
        return items

    def mapping(self, position: int) -> Tree:
        pairs: list[tuple[Tree, Tree]] = []
        while not self.at("}"):
            token = self.current
            if token.kind in ("name", "string", "number"):
                self.take()
                key: Tree = ("const", str(token.value), token.position)
            elif self.accept("("):
                key = self.expression(0)
                self.expect(")")
            else:
                raise self.error(
                    "a map key must be a quoted string, a number, a identifier, "
                    f"or an expression enclosed in parentheses (unexpected token {token})"
                )
            self.expect(":")
            pairs.append((key, self.expression(0)))
            if not self.accept(","):
                break
        self.expect("}")
        return ("map", pairs, position)

    def call(self, token: Token, first: list[Tree]) -> Tree:
        name, position = str(token.value), token.position
        self.expect("(")
        if name in CLOSURE_BUILTINS:
            arguments = list(first)
            while not self.at(")"):
                arguments.append(self.closure() if len(arguments) == 1 else self.expression(0))
                if not self.accept(","):
                    break
            self.expect(")")
            return ("builtin", name, arguments, position)
        arguments = first + self.items(")")
        if name in self.builtins:
            return ("builtin", name, arguments, position)
        return ("call", ("name", name, position), arguments, position)

    def closure(self) -> Tree:
        braces = self.accept("{")
        self.depth += 1
        body = self.sequence() if braces else self.expression(0)
        self.depth -= 1
        if braces:
            self.expect("}")
        return ("closure", body, body[-1])

    def postfix(self, tree: Tree) -> Tree:
        chained = False
        while self.current.kind == "op":
            operator = self.current.value
            token_position = self.current.position
            if operator in (".", "?."):
                self.take()
                optional = operator == "?."
                chained = chained or optional
                if optional and self.accept("["):
                    tree = ("member", tree, self.expression(0), True, token_position)
                    self.expect("]")
                    continue
                token = self.take() if self.current.value in WORD_OPERATORS else self.name()
                key = ("const", token.value, token.position)
                tree = ("member", tree, key, optional, token.position)
                if self.at("("):
                    self.take()
                    tree = ("call", tree, self.items(")"), token.position)
            elif operator == "[":
                self.take()
                tree = self.subscript(tree, token_position)
            else:
                break
        return ("chain", tree, tree[-1]) if chained else tree

    def subscript(self, tree: Tree, position: int) -> Tree:
        start: Tree | None = None
        if not self.at(":"):
            start = self.expression(0)
        if self.accept(":"):
            end = None if self.at("]") else self.expression(0)
            self.expect("]")
            return ("slice", tree, start, end, position)
        self.expect("]")
        if start is None:
            raise self.error("unexpected token")
        return ("member", tree, start, False, position)
