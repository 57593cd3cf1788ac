"""What a file's top level binds, and which of its names may hold the same objects."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence

from tiphys.dsl.source.names_used import FunctionNode, scan
from tiphys.dsl.source.statements import (
    BLOCKS,
    DEFINITIONS,
    bound,
    expressions,
    handed_on,
    inner_bindings,
    inside,
    walk,
)
from tiphys.dsl.source.tree import children, nodes_of

__all__ = ["Bindings", "declared", "dotted", "words"]

_AUTHORING = ("dsl", "compiler", "runs", "lint", "engine", "cli")
_RUNTIME = frozenset(["Reference", "errors", "reference", "step", "training", "serving"])


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


# what these give holds nothing of what they take
_PLAIN = words("bool int float str len hash repr isinstance callable")
_ITERATORS = words("accumulate chain count cycle enumerate filter iter map open product reader reversed zip")


class Bindings:
    """The names of a module, by what they are bound to."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._functions: dict[str, list[FunctionNode]] = {}
        self._classes: dict[str, ast.ClassDef] = {}
        self._imported: set[str] = set()
        # None: bound in a way that tells nothing of the value
        self._values: dict[str, list[ast.expr | None]] = {}
        self.authoring: set[str] = set()
        # name -> the calls of imported functions whose value it holds
        self._drawn: dict[str, set[str]] = {}
        # names from one module: what one of them does may change what another holds
        self._together: dict[str, set[str]] = {}
        for statement in tree.body:
            self._index(statement)
        if "*" in self._imported:
            loads = {n.id for n in nodes_of(tree) if isinstance(n, ast.Name)}
            again = set(self._bound_again())
            stars = {n for n in loads if (n in again or not self._is_bound(n)) and not hasattr(builtins, n)}
            self._index_names(stars)
            self._together["*"] = stars
        self._constants = self._immutable()
        self._spread_authoring()
        self._related = self._aliases()
        self._iterators = {
            n for n, values in self._values.items() if any(self._is_iterator(v) for v in values)
        }

    # -- what the file binds ----------------------------------------------------------------------------------

    def _index(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._functions.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.ClassDef):
            self._classes[statement.name] = statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            self._import(statement)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                for name in bound(target):
                    whole = isinstance(target, ast.Name)
                    self._values.setdefault(name, []).append(statement.value if whole else None)
        elif isinstance(statement, BLOCKS):
            self._index_names(scan(statement).stores)
            for inner in inside(statement):
                self._index(inner)
        else:
            self._index_names(scan(statement).stores)
        if not isinstance(statement, DEFINITIONS):
            for expression in expressions(statement):
                for names, _ in inner_bindings(expression):
                    self._index_names(names)

    def _bound_again(self) -> Iterator[str]:
        """Names that are bound to what they were before, or only sometimes, or are deleted: a star may have brought
        them."""
        for statement in self._tree.body:
            if isinstance(statement, ast.AugAssign):
                yield from bound(statement.target)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                names = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                loads = scan(statement.value).loads
                yield from (name for target in names for name in bound(target) if name in loads)
            elif isinstance(statement, (ast.Delete, *BLOCKS)):
                yield from scan(statement).stores

    def _index_names(self, names: Iterable[str]) -> None:
        for name in names:
            self._values.setdefault(name, []).append(None)

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        module = getattr(statement, "module", None) or ""
        if isinstance(statement, ast.ImportFrom):
            names = self._together.setdefault("." * statement.level + module, set())
            names.update(alias.asname or alias.name for alias in statement.names)
        for alias in statement.names:
            name = alias.asname or alias.name.split(".")[0]
            self._imported.add(name)
            if name.isupper() and isinstance(statement, ast.ImportFrom):
                self._index_names([name])  # a table of another module, not a module or a function
            if isinstance(statement, ast.Import):
                parts = alias.name.split(".")
            else:
                parts = [] if statement.level else [*module.split("."), alias.name]
            if parts and _is_authoring(parts):
                self.authoring.add(name)

    def _immutable(self) -> frozenset[str]:
        """The names whose every value is a number, a text or a tuple of such."""
        constants: set[str] = set()
        globals_ = {name for functions in self._functions.values() for f in functions for name in declared(f)}
        while True:
            found = {
                name
                for name, values in self._values.items()
                if name not in globals_
                and name not in self._functions
                and name not in self._classes
                and name not in self._imported
                and all(value is not None and _immutable(value, constants) for value in values)
            }
            if found == constants:
                return frozenset(found)
            constants = found

    def _spread_authoring(self) -> None:
        """Components, pipelines and tasks: what is made with the authors' words is for authors, too."""
        while True:
            before = len(self.authoring)
            for statement in self._tree.body:
                if isinstance(statement, DEFINITIONS):
                    body = {} if isinstance(statement, ast.ClassDef) else scan(statement).loads
                    if self._is_building(statement) or not self.authoring.isdisjoint(body):
                        self.authoring.add(statement.name)
                elif self._is_building(statement) and not isinstance(statement, ast.If):
                    self.authoring |= scan(statement).stores - self._constants
            if len(self.authoring) == before:
                return

    def _aliases(self) -> dict[str, set[str]]:
        """Name -> the names whose objects it may hold, or be held by."""
        related: dict[str, set[str]] = {}
        for group in self._together.values():
            for name in group:
                related.setdefault(name, set()).update(n for n in group if n in self._values)
        for statement in walk(self._tree.body):
            for names, value in handed_on(statement):
                held = self._held(value) | self._bare(value)
                drawn = set(self._calls(value))
                for name in names:
                    related.setdefault(name, set()).update(held)
                    self._drawn.setdefault(name, set()).update(drawn)
        return related

    def _held(self, value: ast.expr) -> set[str]:
        """The mutable names of the file that an expression may hand on."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _PLAIN:
            return set()
        loads = self._reach(scan(value).loads)
        return {n for n in loads if self._is_object(n)}

    def _is_bound(self, name: str) -> bool:
        return any(name in names for names in (self._values, self._functions, self._classes, self._imported))

    def _is_building(self, statement: ast.stmt) -> bool:
        if isinstance(statement, DEFINITIONS):
            return any(self.authoring & scan(d).loads.keys() for d in statement.decorator_list)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return False
        return bool(self.authoring & scan(statement).loads.keys())

    def _reach(self, names: Iterable[str]) -> set[str]:
        """``names`` and all that the functions and classes among them use, at any depth."""
        seen: set[str] = set()
        queue = list(names)
        while queue:
            name = queue.pop()
            if name in seen or name in self._constants or hasattr(builtins, name):
                continue
            seen.add(name)
            for function in self._functions.get(name, ()):
                queue.extend(scan(function).loads)
                seen.update(declared(function))
            if name in self._classes:
                queue.extend(scan(self._classes[name]).loads)
        return seen

    def _base(self, node: ast.expr) -> set[str]:
        """The names at the root of ``a.b[c].d``; those behind a call when the root is one."""
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Await)):
            node = node.value
        if isinstance(node, ast.Name):
            return {node.id}
        return self._reach(scan(node).loads)

    def _bare(self, value: ast.expr) -> set[str]:
        """What was imported and stands in an expression as it is: the name that it is given is another one for it."""
        found: set[str] = set()
        queue: list[ast.AST] = [value]
        while queue:
            node = queue.pop()
            if isinstance(node, ast.Call):
                queue += [*node.args, *(k.value for k in node.keywords)]
            elif isinstance(node, ast.Name):
                found.update(self._imported & {node.id})
            else:
                queue.extend(children(node))
        return found

    def _calls(self, value: ast.expr) -> Iterator[str]:
        for node in nodes_of(value):
            if isinstance(node, ast.Call) and (text := dotted(node.func)).partition(".")[0] in self._imported:
                yield text

    def _is_object(self, name: str) -> bool:
        return (name in self._values or name in self._classes) and name not in self._constants

    def _is_iterator(self, value: ast.expr | None) -> bool:
        if isinstance(value, ast.GeneratorExp):
            return True
        if not isinstance(value, ast.Call):
            return False
        if isinstance(value.func, ast.Name):
            functions = self._functions.get(value.func.id, ())
            return value.func.id in _ITERATORS or any(
                isinstance(n, (ast.Yield, ast.YieldFrom)) for f in functions for n in nodes_of(f)
            )
        return (
            any(n in self._imported for n in self._base(value.func))
            and getattr(value.func, "attr", "") in _ITERATORS
        )


def dotted(node: ast.expr) -> str:
    """``a.b.c`` as it is written; empty for what is no plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _is_authoring(parts: Sequence[str]) -> bool:
    if parts[0] == "hera":
        return True
    if parts[0] != "tiphys":
        return False
    return len(parts) == 1 or parts[1] in _AUTHORING or (len(parts) == 2 and parts[1] not in _RUNTIME)


def _immutable(value: ast.expr, constants: Iterable[str]) -> bool:
    if isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.Name):
        return value.id in constants
    if isinstance(value, ast.Tuple):
        return all(_immutable(item, constants) for item in value.elts)
    if isinstance(value, ast.UnaryOp):
        return _immutable(value.operand, constants)
    if isinstance(value, ast.BinOp):
        return _immutable(value.left, constants) and _immutable(value.right, constants)
    return isinstance(value, ast.JoinedStr)


def declared(function: FunctionNode) -> Iterator[str]:
    """The names that a function binds in the module."""
    return (name for node in nodes_of(function) if isinstance(node, ast.Global) for name in node.names)
