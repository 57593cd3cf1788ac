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
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from tiphys.dsl.source.bindings import Bindings, dotted, words
from tiphys.dsl.source.names_used import FunctionNode, scan
from tiphys.dsl.source.statements import BLOCKS, DEFINITIONS, calls, expressions, flat, targets, walk
from tiphys.dsl.source.tree import nodes_of

__all__ = ["Ask", "Changes", "Effect", "changes_of"]

# what these are given is not changed by them
_HARMLESS = words(
    """abs all any bool bytes callable chr complex dict divmod enumerate filter float format frozenset hasattr hash hex
    id int isinstance issubclass len list map max min oct ord pow print range repr reversed round set slice sorted str
    sum tuple type zip"""
)
_CHANGING = words(  # methods of Python's own containers that change them
    """add append appendleft clear difference_update discard extend extendleft insert intersection_update move_to_end
    pop popitem popleft remove reverse rotate send setdefault sort subtract symmetric_difference_update update"""
)
_READING = words(
    """copy count endswith format get index isdisjoint issubset items join keys lower most_common split startswith strip
    title upper values"""
)
_UNFOLLOWED = frozenset(["exec", "eval", "globals", "locals", "vars", "__import__"])


# functions of other modules that change something there, although they give a value
_SETTING = re.compile(
    r"(set|seed|manual_seed|register|enable|disable|configure|install|patch)(_|[A-Z]|\Z)|set[a-z]+\Z|\w+_seed\Z"
)

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+\Z")


@dataclass(frozen=True, slots=True)
class Ask:
    """What another module must be asked: whether ``dotted``, a name that was imported, changes something there.

    ``kind``: it is called (``call``), it is a base of a class (``base``), something of it is given away (``sure``), or
    it stands in a text (``text``).
    """

    dotted: str
    kind: str = "call"


@dataclass(frozen=True, slots=True)
class Effect:
    """The top-level statement ``index`` may change ``touches``; ``unfollowed``: by which word it hides what it does.

    ``asks``: what it changes is known only by the modules that these names come from. ``runs``: code of theirs runs.
    ``authoring``: it builds the pipeline, too, so it cannot travel.
    """

    index: int
    line: int
    touches: frozenset[str]
    asks: frozenset[Ask] = frozenset()
    runs: bool = False
    authoring: bool = False
    unfollowed: str = ""


class Changes:
    """What the functions and classes of a module change when others call them."""

    def __init__(self, file: _File) -> None:
        self._file = file

    def defines(self, name: str) -> bool:
        """Whether ``name`` is a function or class of the module."""
        return self._file.defines(name)

    def iterates(self, name: str) -> bool:
        """Whether ``name`` is an iterator, which is used up by who looks at it."""
        return self._file.iterates(name)

    def of(self, name: str) -> tuple[bool, frozenset[Ask]]:
        """Whether a call of ``name`` may change more than local names; what it calls of other modules."""
        return self._file.called_from_outside(name)


def changes_of(tree: ast.Module) -> tuple[tuple[Effect, ...], frozenset[str], Changes]:
    """The effects of a module, in file order; its names for authors (they build pipelines); what its functions do."""
    file = _File(tree)
    return tuple(file.effects()), frozenset(file.authoring), Changes(file)


class _File(Bindings):
    def __init__(self, tree: ast.Module) -> None:
        super().__init__(tree)
        self._changers: dict[str, bool] = {}
        self._asks: set[Ask] = set()
        self._runs = False

    def defines(self, name: str) -> bool:
        return name in self._functions or name in self._classes

    def iterates(self, name: str) -> bool:
        return name in self._iterators

    def called_from_outside(self, name: str) -> tuple[bool, frozenset[Ask]]:
        asks: set[Ask] = set()
        for reached in self._reach([name]):
            nodes: list[ast.AST] = [*self._functions.get(reached, ())]
            nodes += [self._classes[reached]] if reached in self._classes else []
            for node in nodes:
                for call in (n for n in nodes_of(node) if isinstance(n, ast.Call)):
                    if self._imported.intersection([(text := dotted(call.func)).partition(".")[0]]):
                        asks.add(Ask(text))
        return self._changes(name), frozenset(asks)

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
            asks: set[Ask] = set()
            runs = False
            line, word = 0, ""
            for part in walk([statement]):
                if self._is_building(part):
                    continue
                self._asks, self._runs = set(), False
                found, hidden = self._touched(part), _unfollowed(part)
                if found or hidden or self._asks:
                    line = line or part.lineno
                    touched |= found
                    asks |= self._asks
                    runs = runs or self._runs
                    word = word or hidden
            if line:
                names = self._closure(touched)
                asks |= {Ask(drawn, "sure") for name in names for drawn in self._drawn.get(name, ())}
                yield Effect(index, line, names, frozenset(asks), runs, building, word)

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
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            found.add(statement.target.id)  # a list is changed in place, under all its names
        for target in targets(statement):
            for part in flat(target):
                if isinstance(part, (ast.Attribute, ast.Subscript)):
                    found |= self._base(part)
        return found

    def _touched(self, statement: ast.stmt) -> set[str]:
        """What this statement itself changes; the statements inside it are asked by themselves."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return set()
        if isinstance(statement, DEFINITIONS):
            return self._defined(statement)
        found = self._stored(statement)
        for expression in expressions(statement):
            loads = scan(expression).loads.keys()
            found |= self._iterators & loads  # to look at one is to use it up
            foreign = loads & (self._imported | self._together.get("*", set()))
            self._asks |= {Ask(name, "look") for name in foreign}
            for call in calls(expression):
                found |= self._called(call, discarded=isinstance(statement, ast.Expr))
        return found

    def _defined(self, statement: FunctionNode | ast.ClassDef) -> set[str]:
        found: set[str] = set()
        for decorator in statement.decorator_list:
            loads = scan(decorator).loads
            found |= loads.keys() | self._reach(loads)
            self._runs = True
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for part in _evaluated(statement):
                for call in calls(part):
                    found |= self._called(call, discarded=False)
        if isinstance(statement, ast.ClassDef):
            self._asks |= {Ask(base, "base") for base in self._imported_bases(statement)}
            for base_node in statement.bases:
                for name in scan(base_node).loads:
                    if name in self._classes and self._knows_children(name):
                        found |= self._reach([name])
            for inner in walk(statement.body):
                if not isinstance(inner, DEFINITIONS):
                    found |= self._touched(inner)
            found.discard(statement.name)
        return {name for name in found if self._is_bound(name)}

    def _imported_bases(self, node: ast.ClassDef) -> Iterator[str]:
        """The bases and metaclasses of a class that other modules bring, those of its bases, too."""
        seen: set[str] = set()
        queue = [node]
        while queue:
            current = queue.pop()
            for base in (*current.bases, *(k.value for k in current.keywords)):
                text = dotted(base)
                if text in self._classes and text not in seen:
                    seen.add(text)
                    queue.append(self._classes[text])
                elif text.partition(".")[0] in self._imported:
                    yield text

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
        return any(isinstance(n, ast.Attribute) and n.attr == "__subclasses__" for n in nodes_of(self._tree))

    def _called(self, call: ast.Call, *, discarded: bool) -> set[str]:
        """What a call at the top level may change. ``discarded``: nobody takes its value, so it has an effect."""
        given = [*call.args, *(k.value for k in call.keywords)]
        arguments = {name for value in given for name in self._given(value, bare=True)}
        function = call.func
        text = dotted(function)
        method = text.rpartition(".")[2] or getattr(function, "attr", "")
        foreign = text.partition(".")[0] in self._imported
        if foreign and not discarded and not _SETTING.match(method):
            self._asks.add(Ask(text))
        self._runs = self._runs or foreign
        if foreign:  # ``patch("lib.rate", 1)``
            self._asks |= {Ask(str(value.value), "text") for value in given if _is_dotted(value)}
        if discarded or self._changes_given(function):
            arguments |= {n for value in given for n in scan(value).loads if n in self._imported}
        if isinstance(function, ast.Name):
            name = function.id
            if name in self._functions or name in self._classes:
                self._asks |= self.called_from_outside(name)[1]
                if not self._changes(name):
                    return set()
                return {*arguments, *self._reach([name])}
            if name in _HARMLESS:
                return self._handed(call)
            if self._is_object(name):
                return {name, *arguments}
            known = name in self._imported and (discarded or _SETTING.match(name))
            return arguments | ({name} if known else set())
        base = self._base(function)
        objects = {n for n in base if self._is_object(n)}
        if objects:
            # a method of an object: one that is known to change it, or of which nothing is known
            reading = isinstance(function, ast.Attribute) and method in _READING and not discarded
            return set() if reading else {*base, *arguments}
        if discarded or (foreign and (method in _CHANGING or _SETTING.match(method))):
            return {*base, *arguments}
        return arguments

    def _changes_given(self, function: ast.expr) -> bool:
        """Whether a function changes what it is given: one of Python's own, or one of the file that changes things."""
        match function:
            case ast.Name(id="setattr" | "delattr"):
                return True
            case ast.Name(id=name) if self.defines(name):
                return self._changes(name)
        return False

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

    def _changes(self, name: str) -> bool:
        """Whether a function or class of the file may change more than its own local names when it is called."""
        known = self._changers.get(name)
        if known is not None:
            return known
        self._changers[name] = False  # a function that calls itself
        nodes: Sequence[ast.AST] = self._functions.get(name) or [self._classes[name]]
        result = any(self._body_changes(node) for node in nodes)
        if not result and name in self._classes:  # what its bases do when it is made
            parts = (*self._classes[name].bases, *(k.value for k in self._classes[name].keywords))
            loads = {n for part in parts for n in scan(part).loads if n != name}
            result = any(self._changes(n) for n in loads if self.defines(n))
        self._changers[name] = result
        return result

    def _body_changes(self, node: ast.AST) -> bool:
        new = _selves(node)  # a class that is called gives its attributes to an object that nobody else has
        for inner in nodes_of(node):
            if isinstance(inner, (ast.Global, ast.Nonlocal, ast.Delete, ast.Yield, ast.YieldFrom)):
                return True
            if isinstance(inner, (ast.Attribute, ast.Subscript)) and not isinstance(inner.ctx, ast.Load):
                if (
                    isinstance(inner, ast.Attribute)
                    and isinstance(inner.value, ast.Name)
                    and inner.value.id in new
                ):
                    continue
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
                    if called in ("setattr", "delattr"):
                        return True
                if any(self._is_object(n) for a in inner.args for n in scan(a).loads):
                    return True
        return False


def _unfollowed(statement: ast.stmt) -> str:
    """The word by which a statement's own expressions hide what they bind or change."""
    if isinstance(statement, DEFINITIONS):
        return ""
    for expression in expressions(statement):
        for node in nodes_of(expression):
            match node:
                case ast.Call(func=ast.Name(id=word), args=args) if word in _UNFOLLOWED and not (
                    args and word == "vars"
                ):
                    return word
                case ast.Attribute(attr="modules", value=ast.Name(id="sys")):
                    return "sys.modules"
    return ""


def _evaluated(function: FunctionNode) -> Iterator[ast.expr]:
    """What is evaluated when a function is defined, its decorators left out."""
    arguments = function.args
    every = (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    )
    annotations = (*(a.annotation for a in every if a is not None), function.returns)
    for part in (*arguments.defaults, *arguments.kw_defaults, *annotations):
        if part is not None:
            yield part


def _is_dotted(value: ast.expr) -> TypeGuard[ast.Constant]:
    return (
        isinstance(value, ast.Constant) and isinstance(value.value, str) and bool(_DOTTED.match(value.value))
    )


def _selves(node: ast.AST) -> frozenset[str]:
    """What the methods of a class call their object; nothing for a function."""
    methods = (
        [s for s in node.body if isinstance(s, ast.FunctionDef)] if isinstance(node, ast.ClassDef) else []
    )
    return frozenset(m.args.args[0].arg for m in methods if m.args.args and not m.decorator_list)
