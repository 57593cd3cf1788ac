"""The top-level statements of a file that change an object which another statement has bound.

``K["a"] = 2``, ``K.update(b=5)``, ``A.method = f``, ``@register("x")`` before a function, a loop, ``with`` or ``try``
around them: they bind no name, so who follows names alone leaves them out, and the step is another program than the
one written. Here each of them is listed with the names it may change.

What a call may change is judged from above: a function of the file that changes nothing but its own local names
changes nothing; any other changes the names that it uses and is given. A statement too many costs a needless
statement in the step, one too few a wrong result. Statements that build the pipeline (they use what ``tiphys`` or
``hera`` gives to authors) stay at home, and so does ``if __name__ == "__main__":``.
"""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tiphys.dsl.source.names_used import FunctionNode, scan
from tiphys.dsl.source.statements import (
    BLOCKS,
    DEFINITIONS,
    bound,
    calls,
    expressions,
    flat,
    handed_on,
    inner_bindings,
    inside,
    targets,
    walk,
)

__all__ = ["Effect", "effects_of"]

_AUTHORING = ("dsl", "compiler", "runs", "lint", "engine", "cli")
_RUNTIME = frozenset(["Reference", "errors", "reference", "step", "training", "serving"])


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# what these give holds nothing of what they take
_PLAIN = _words("bool int float str len hash repr isinstance callable")
# what these are given is not changed by them
_HARMLESS = _words(
    """abs all any bool bytes callable chr complex dict divmod enumerate filter float format frozenset hasattr hash hex
    id int isinstance issubclass len list map max min oct ord pow print range repr reversed round set slice sorted str
    sum tuple type zip"""
)
_CHANGING = _words(  # methods of Python's own containers that change them
    """add append appendleft clear difference_update discard extend extendleft insert intersection_update move_to_end
    pop popitem popleft remove reverse rotate send setdefault sort subtract symmetric_difference_update update"""
)
_READING = _words(
    """copy count endswith format get index isdisjoint issubset items join keys lower most_common split startswith strip
    title upper values"""
)
_ITERATORS = _words("accumulate chain count cycle enumerate filter iter map open product reader reversed zip")
_UNFOLLOWED = frozenset(["exec", "eval", "globals", "locals", "vars", "__import__"])


@dataclass(frozen=True, slots=True)
class Effect:
    """The top-level statement ``index`` may change ``touches``; ``unfollowed``: by which word it hides what it does.

    ``authoring``: it builds the pipeline, too, so it cannot travel.
    """

    index: int
    line: int
    touches: frozenset[str]
    authoring: bool = False
    unfollowed: str = ""


def effects_of(tree: ast.Module) -> tuple[tuple[Effect, ...], frozenset[str]]:
    """The effects of a module, in file order, and the names in it that are for authors: they build pipelines."""
    file = _File(tree)
    return tuple(file.effects()), frozenset(file.authoring)


class _File:
    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._functions: dict[str, list[FunctionNode]] = {}
        self._classes: dict[str, ast.ClassDef] = {}
        self._imported: set[str] = set()
        # None: bound in a way that tells nothing of the value
        self._values: dict[str, list[ast.expr | None]] = {}
        self.authoring: set[str] = set()
        self._changers: dict[str, bool] = {}
        # names from one module: what one of them does may change what another holds
        self._together: dict[str, set[str]] = {}
        for statement in tree.body:
            self._index(statement)
        if "*" in self._imported:
            loads = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
            stars = {n for n in loads if not self._is_bound(n) and not hasattr(builtins, n)}
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
        declared = {
            name for functions in self._functions.values() for f in functions for name in _declared(f)
        }
        while True:
            found = {
                name
                for name, values in self._values.items()
                if name not in declared
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
                held = self._held(value)
                for name in names:
                    related.setdefault(name, set()).update(held)
        return related

    def _held(self, value: ast.expr) -> set[str]:
        """The mutable names of the file that an expression may hand on."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _PLAIN:
            return set()
        loads = self._reach(scan(value).loads)
        return {n for n in loads if self._is_object(n)}

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
                isinstance(n, (ast.Yield, ast.YieldFrom)) for f in functions for n in ast.walk(f)
            )
        return (
            any(n in self._imported for n in self._base(value.func))
            and getattr(value.func, "attr", "") in _ITERATORS
        )

    # -- what a statement changes -----------------------------------------------------------------------------

    def effects(self) -> Iterator[Effect]:
        """What each statement changes; of one that builds the pipeline, what its other parts change on the way."""
        for index, statement in enumerate(self._tree.body):
            building = self._is_building(statement)
            if building and not isinstance(statement, BLOCKS):
                if stored := self._stored(statement):
                    yield Effect(index, statement.lineno, self._closure(stored), authoring=True)
                continue
            touched: set[str] = set()
            line, word = 0, ""
            for part in walk([statement]):
                if self._is_building(part):
                    continue
                found, hidden = self._touched(part), _unfollowed(part)
                if found or hidden:
                    line = line or part.lineno
                    touched |= found
                    word = word or hidden
            if line:
                yield Effect(index, line, self._closure(touched), authoring=building, unfollowed=word)

    def _is_building(self, statement: ast.stmt) -> bool:
        if isinstance(statement, DEFINITIONS):
            return any(self.authoring & scan(d).loads.keys() for d in statement.decorator_list)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return False
        return bool(self.authoring & scan(statement).loads.keys())

    def _closure(self, names: Iterable[str]) -> frozenset[str]:
        """With the names that may hold the same objects."""
        seen: set[str] = set()
        queue = list(names)
        while queue:
            name = queue.pop()
            if name not in seen:
                seen.add(name)
                queue.extend(self._related.get(name, ()))
        return frozenset(seen)

    def _stored(self, statement: ast.stmt) -> set[str]:
        """The roots of attributes and items that a statement assigns or deletes."""
        found: set[str] = set()
        for target in targets(statement):
            for part in flat(target):
                if isinstance(part, (ast.Attribute, ast.Subscript)):
                    found |= self._base(part)
        return found

    def _base(self, node: ast.expr) -> set[str]:
        """The names at the root of ``a.b[c].d``; those behind a call when the root is one."""
        while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Await)):
            node = node.value
        if isinstance(node, ast.Name):
            return {node.id}
        return self._reach(scan(node).loads)

    def _touched(self, statement: ast.stmt) -> set[str]:
        """What this statement itself changes; the statements inside it are asked by themselves."""
        if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Assert)):
            return set()
        if isinstance(statement, DEFINITIONS):
            return self._defined(statement)
        found = self._stored(statement)
        for expression in expressions(statement):
            found |= self._iterators & scan(expression).loads.keys()  # to look at one is to use it up
            for call in calls(expression):
                found |= self._called(call, discarded=isinstance(statement, ast.Expr))
        return found

    def _defined(self, statement: FunctionNode | ast.ClassDef) -> set[str]:
        found: set[str] = set()
        for decorator in statement.decorator_list:
            loads = scan(decorator).loads
            found |= loads.keys() | self._reach(loads)
        if isinstance(statement, ast.ClassDef):
            for base_node in statement.bases:
                for name in scan(base_node).loads:
                    if name in self._classes and self._knows_children(name):
                        found |= self._reach([name])
            for inner in walk(statement.body):
                if not isinstance(inner, DEFINITIONS):
                    found |= self._touched(inner)
            found.discard(statement.name)
        return {name for name in found if self._is_bound(name)}

    def _is_bound(self, name: str) -> bool:
        return any(name in names for names in (self._values, self._functions, self._classes, self._imported))

    def _knows_children(self, name: str) -> bool:
        """Whether a class of the file is told of its subclasses, or asked for them."""
        seen: set[str] = set()
        queue = [name]
        while queue:
            current = queue.pop()
            node = self._classes.get(current)
            if node is None or current in seen:
                continue
            seen.add(current)
            if node.keywords or any(
                isinstance(s, ast.FunctionDef) and s.name == "__init_subclass__" for s in node.body
            ):
                return True
            queue.extend(n for b in node.bases for n in scan(b).loads)
        return self._asks_children

    @functools.cached_property
    def _asks_children(self) -> bool:
        return any(isinstance(n, ast.Attribute) and n.attr == "__subclasses__" for n in ast.walk(self._tree))

    def _called(self, call: ast.Call, *, discarded: bool) -> set[str]:
        """What a call at the top level may change. ``discarded``: nobody takes its value, so it has an effect."""
        arguments = {
            name
            for value in (*call.args, *(k.value for k in call.keywords))
            for name in self._given(value, bare=True)
        }
        function = call.func
        if isinstance(function, ast.Name):
            name = function.id
            if name in self._functions or name in self._classes:
                if not self._changes(name):
                    return set()
                return {*arguments, *self._reach([name])}
            if name in _HARMLESS:
                return self._handed(call)
            if self._is_object(name):
                return {name, *arguments}
            return arguments | ({name} if discarded and name in self._imported else set())
        base = self._base(function)
        method = function.attr if isinstance(function, ast.Attribute) else ""
        objects = {n for n in base if self._is_object(n)}
        if objects:
            # a method of an object: one that is known to change it, or of which nothing is known
            reading = isinstance(function, ast.Attribute) and method in _READING and not discarded
            return set() if reading else {*base, *arguments}
        if discarded:
            return {*base, *arguments}
        return arguments

    def _handed(self, call: ast.Call) -> set[str]:
        """What a harmless function changes by the functions it is given (``map(NUMBERS.append, ...)``)."""
        found: set[str] = set()
        for value in (*call.args, *(k.value for k in call.keywords)):
            if isinstance(value, ast.Attribute):
                found |= {n for n in self._base(value) if self._is_object(n)}
            elif isinstance(value, ast.Lambda):
                for inner in calls(value.body):
                    found |= self._called(inner, discarded=True)
            elif isinstance(value, ast.Name) and value.id in self._functions and self._changes(value.id):
                rest = {n for a in call.args for n in self._given(a, bare=False)}
                found |= rest | self._reach([value.id])
        return found

    def _given(self, value: ast.expr, *, bare: bool) -> set[str]:
        """The mutable things of the file that an argument hands over; modules only when named bare."""
        if bare and isinstance(value, ast.Name) and value.id in self._imported:
            return {value.id}
        found = set()
        for name in scan(value).loads:
            if self._is_object(name):
                found.add(name)
            elif name in self._functions:
                found |= self._reach([name])
        return found

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
                seen.update(_declared(function))
            if name in self._classes:
                queue.extend(scan(self._classes[name]).loads)
        return seen

    def _changes(self, name: str) -> bool:
        """Whether a function or class of the file may change more than its own local names when it is called."""
        known = self._changers.get(name)
        if known is not None:
            return known
        self._changers[name] = False  # a function that calls itself
        nodes: Sequence[ast.AST] = self._functions.get(name) or [self._classes[name]]
        result = any(self._body_changes(node) for node in nodes)
        self._changers[name] = result
        return result

    def _body_changes(self, node: ast.AST) -> bool:
        for inner in ast.walk(node):
            if isinstance(inner, (ast.Global, ast.Nonlocal, ast.Delete, ast.Yield, ast.YieldFrom)):
                return True
            if isinstance(inner, (ast.Attribute, ast.Subscript)) and not isinstance(inner.ctx, ast.Load):
                return True
            if isinstance(inner, ast.AugAssign):
                return True
            if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
                return True
            if isinstance(inner, ast.Call):
                function = inner.func
                if isinstance(function, ast.Attribute) and function.attr in _CHANGING:
                    return True
                if isinstance(function, ast.Name):
                    called = function.id
                    if called in self._functions or called in self._classes:
                        if self._changes(called):
                            return True
                        continue
                    if called in _HARMLESS:
                        continue
                if any(self._is_object(n) for a in inner.args for n in scan(a).loads):
                    return True
        return False


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


def _declared(function: FunctionNode) -> Iterator[str]:
    """The names that a function binds in the module."""
    return (name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names)


def _unfollowed(statement: ast.stmt) -> str:
    """The word by which a statement's own expressions hide what they bind or change."""
    if isinstance(statement, DEFINITIONS):
        return ""
    for expression in expressions(statement):
        for node in ast.walk(expression):
            match node:
                case ast.Call(func=ast.Name(id=word), args=args) if word in _UNFOLLOWED and not (
                    args and word == "vars"
                ):
                    return word
                case ast.Attribute(attr="modules", value=ast.Name(id="sys")):
                    return "sys.modules"
    return ""
