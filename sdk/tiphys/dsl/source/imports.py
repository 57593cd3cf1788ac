"""The author's own modules: which an import brings, what they share, and what importing or calling them changes."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator

from tiphys.compiler.line import Site
from tiphys.dsl.source.bindings import words
from tiphys.dsl.source.effects import Ask
from tiphys.dsl.source.module import Module, module_of
from tiphys.dsl.source.names_used import scan
from tiphys.dsl.source.statements import DEFINITIONS
from tiphys.dsl.source.tree import nodes_of

__all__ = ["Import", "OwnModules", "own_module", "tops"]

Import = ast.Import | ast.ImportFrom
_INSTALLED = ("site-packages", "dist-packages")
# Python's own modules that a program changes as a whole: a seed, a context, a variable of the environment
_STATEFUL = words(
    """builtins codecs copyreg decimal gc locale logging multiprocessing os random signal socket sys threading time
    warnings"""
)
_OF_EVERYONE = frozenset(["builtins"])
_CHILDREN = frozenset(["__subclasses__", "__init_subclass__", "metaclass"])


class OwnModules:
    """The modules of one program, and what each shares with others; asked while one step is read.

    A *place* is where state can be: the path of a module of the author's own, or the name of an installed one.
    """

    def __init__(self) -> None:
        self._targets: dict[int, tuple[Import, list[tuple[Module, str | None]]]] = {}
        self._known: dict[str, Module | None] = {}
        self._closures: dict[str, frozenset[str]] = {}
        self._modules: dict[str, Module] = {}
        self._reaching: dict[str, bool] = {}
        self._imports: dict[str, tuple[Import, ...]] = {}

    def own(self, name: str, importer: str = "") -> Module | None:
        """See :func:`own_module`; asked once for each name."""
        if name not in self._known:
            self._known[name] = own_module(name)
        return None if name == importer else self._known[name]

    def imports(self, module: Module) -> tuple[Import, ...]:
        """All imports of a module, those in functions, too."""
        if module.path not in self._imports:
            found = (i for s in module.tree.body for i in scan(s).imports)
            self._imports[module.path] = tuple(found)
        return self._imports[module.path]

    def targets(self, module: Module, statement: Import) -> list[tuple[Module, str | None]]:
        """The author's own modules that an import brings, each with what is wanted of it; None: all of it."""
        known = self._targets.get(id(statement))
        if known is None:
            known = self._targets[id(statement)] = statement, list(self._brought(module, statement))
        return known[1]

    def _brought(self, module: Module, statement: Import) -> Iterator[tuple[Module, str | None]]:
        if isinstance(statement, ast.Import):
            wanted: list[tuple[str, str | None]] = [(alias.name, None) for alias in statement.names]
        else:
            base = statement.module or ""
            if statement.level:
                parts = module.name.split(".")
                up = statement.level - (
                    os.path.basename(module.path) == "__init__.py"
                )  # a package is its own parent
                package = parts[: len(parts) - up] if module.name else []
                base = ".".join([*package, *([base] if base else [])])
            wanted = [(base, None if alias.name == "*" else alias.name) for alias in statement.names]
        for base, name in wanted:
            if name is not None and (submodule := self.own(f"{base}.{name}", module.name)):
                yield submodule, None
            elif found := self.own(base, module.name):
                yield found, name

    def closure(self, module: Module) -> frozenset[str]:
        """The paths of a module of the author's own and of all that it imports of them, at any depth."""
        known = self._closures.get(module.path)
        if known is None:
            seen = {module.path: module}
            queue = [module]
            while queue:
                current = queue.pop()
                brought = [m for i in self.imports(current) for m, _ in self.targets(current, i)]
                for found in (*brought, *self._named(current)):
                    if found.path not in seen:
                        seen[found.path] = found
                        queue.append(found)
            self._modules.update(seen)
            known = self._closures[module.path] = frozenset(seen)
        return known

    def _named(self, module: Module) -> Iterator[Module]:
        """The author's own modules that a module changes by their names in a text."""
        asks = (ask for effect in module.effects for ask in effect.asks if ask.kind == "text")
        return (found for ask in asks if (found := self.own(ask.dotted.partition(".")[0])))

    def _installed(self, module: Module) -> frozenset[str]:
        """The names of the top level that a module and its own ones import."""
        paths = self.closure(module)
        return frozenset(
            top for p in paths for i in self.imports(self._modules[p]) for top in tops(i) if not self.own(top)
        )

    # -- places -----------------------------------------------------------------------------------------------

    def read(self, module: Module, statements: Iterable[Import]) -> frozenset[str]:
        """Where what these imports bring may look for its state."""
        places = set(_OF_EVERYONE)
        for statement in statements:
            for found, _ in self.targets(module, statement):
                places |= self.closure(found)
                places |= self._installed(found)
            places.update(top for top in tops(statement) if not self.own(top))
        if any(top not in sys.stdlib_module_names for top in places if os.sep not in top):
            places.add("os")  # what is installed reads the environment
        return frozenset(places)

    def changed(self, module: Module, statements: Iterable[Import], *, called: bool) -> frozenset[str]:
        """What a change of what these imports bring may change; ``called``: a function of theirs runs."""
        places: set[str] = set()
        for statement in statements:
            for found, _ in self.targets(module, statement):
                places |= self.closure(found)
                if called:
                    places |= self._installed(found) & _STATEFUL
            places.update(top for top in tops(statement) if not self.own(top))
        return frozenset(places)

    # -- what changes others ----------------------------------------------------------------------------------

    def reaches_out(self, module: Module, seen: frozenset[str] = frozenset()) -> bool:
        """Whether importing a module changes what another one has: a plug-in, which is imported for its effect."""
        if module.path in seen:
            return False
        known = self._reaching.get(module.path)
        if known is None:
            known = self._reaches_out(module, seen | {module.path})
            if known or not seen:
                self._reaching[module.path] = known
        return known

    def _reaches_out(self, module: Module, seen: frozenset[str]) -> bool:
        imports = [statement for statement in module.tree.body if isinstance(statement, Import)]
        brought = {name for statement in self.imports(module) for name in scan(statement).stores}
        plain = {name for statement in imports if _is_pythons(statement) for name in scan(statement).stores}
        for effect in module.effects:
            # Python's own decorators (dataclass, contextmanager, cache) give another function and register nothing
            decorated = isinstance(module.tree.body[effect.index], DEFINITIONS)
            if effect.unfollowed or effect.touches & (brought - plain if decorated else brought):
                return True
            if any(self.may_change(module, ask) for ask in effect.asks):
                return True
        inner = (found for statement in imports for found, _ in self.targets(module, statement))
        return any(self.reaches_out(found, seen) for found in inner)

    def may_change(self, module: Module, ask: Ask, seen: frozenset[tuple[str, str]] = frozenset()) -> bool:
        """Whether a call (or a subclass) of something imported may change what a module of the author's own has."""
        first, *rest = ask.dotted.split(".")
        if ask.kind == "text":
            return self.own(first) is not None
        if (module.path, ask.dotted) in seen or len(seen) > 50:
            return False
        seen |= {(module.path, ask.dotted)}
        for statement in self.imports(module):
            if first not in scan(statement).stores and "*" not in scan(statement).stores:
                continue
            for found, wanted in self.targets(module, statement):
                star = isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"
                names = [first, *rest] if star else [wanted, *rest] if wanted else rest
                if not star and wanted and not _binds(statement, first, wanted):
                    continue
                if ask.kind == "sure" or self._changes(found, names, ask.kind, seen):
                    return True
        return False

    def _changes(self, module: Module, names: list[str], kind: str, seen: frozenset[tuple[str, str]]) -> bool:
        while names and (inner := self.own(f"{module.name}.{names[0]}", module.name)):
            module, names = inner, names[1:]
        if not names:
            return False
        name = names[0]
        if kind == "look":
            again = any(name in scan(i).stores for i in self.imports(module))
            return module.changes.iterates(name) or (again and self.may_change(module, Ask(name, kind), seen))
        if kind == "base":
            return self._told_of_children(module)
        if module.changes.defines(name):
            changes, asks = module.changes.of(name)
            return changes or any(self.may_change(module, each, seen) for each in asks)
        if "*" not in module.bindings and not any(name in scan(i).stores for i in self.imports(module)):
            return True
        return self.may_change(module, Ask(".".join(names), kind), seen)

    def _told_of_children(self, module: Module) -> bool:
        return any(not _CHILDREN.isdisjoint(_words(self._modules[p].tree)) for p in self.closure(module))


@functools.lru_cache(maxsize=256)
def _words(tree: ast.Module) -> frozenset[str]:
    """What a file names that has to do with subclasses."""
    found: set[str] = set()
    for node in nodes_of(tree):
        match node:
            case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.keyword(arg=str() as name):
                found.add(name)
    return frozenset(found & _CHILDREN)


def _binds(statement: Import, name: str, wanted: str) -> bool:
    return any((a.asname or a.name) == name and a.name == wanted for a in statement.names)


def _is_pythons(statement: Import) -> bool:
    found = list(tops(statement))
    return bool(found) and all(top in sys.stdlib_module_names for top in found)


def tops(statement: Import) -> Iterator[str]:
    """The names of the top level that an import names; none when it is relative."""
    if isinstance(statement, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in statement.names)
    elif not statement.level and statement.module:
        yield statement.module.partition(".")[0]


def own_module(name: str) -> Module | None:
    """The module ``name`` when its source is the author's own: neither Python's, nor installed, nor tiphys."""
    top = name.partition(".")[0]
    if not top or top == "tiphys" or top in sys.stdlib_module_names:
        return None
    path = getattr(sys.modules.get(name), "__file__", None)
    if path is None:
        if top != name and _is_installed(top):
            return None  # to find a module of a package is to import the package
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
        path = spec.origin if spec else None
    if not path or not path.endswith(".py") or _in_library(path):
        return None
    return module_of(name, path, Site(path, 1))


def _in_library(path: str) -> bool:
    return any(f"{os.sep}{part}{os.sep}" in path for part in _INSTALLED)


@functools.lru_cache(maxsize=1024)
def _is_installed(top: str) -> bool:
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return False
    places = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec else []
    return any(_in_library(place + os.sep) for place in places)
