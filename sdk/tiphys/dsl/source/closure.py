"""The code that a function reaches in its file: to embed it in a script, and to hash it for a cache key.

Everything is read from source, without importing anything that is not imported already. A module's top-level
statements are indexed by the names they bind; from a function the names it uses are followed through that
index.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tiphys.compiler.line import Site
from tiphys.dsl.source.effects import Effect
from tiphys.dsl.source.imports import Import, OwnModules
from tiphys.dsl.source.module import Module
from tiphys.dsl.source.names_used import FunctionNode, scan
from tiphys.dsl.source.statements import DEFINITIONS
from tiphys.dsl.source.tree import nodes_of
from tiphys.errors import DefinitionError, did_you_mean

__all__ = ["check_names", "function_node", "reached", "used_names"]

_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__annotations__"}


def function_node(module: Module, function: Callable[..., Any], site: Site) -> FunctionNode:
    """The definition of ``function`` in its module (by name and line, so nested ones are found too)."""
    line = function.__code__.co_firstlineno + module.before
    for node in module.functions.get(function.__name__, ()):
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        if first <= line <= node.lineno:
            return node
    raise DefinitionError(
        "TIP112",
        f"the source of {function.__name__} is not in {module.path}",
        where=str(site),
        fix="write the component with `def` at the top level of its file",
    )


def used_names(node: ast.AST) -> dict[str, int]:
    """Global names that ``node`` uses when it runs -> first line."""
    return scan(node).loads


def check_names(module: Module, node: FunctionNode, site: Site) -> None:
    """Refuse a name that the file never binds (TIP111): it would be a NameError in the pod."""
    if "*" in module.bindings:
        return
    for name, line in used_names(node).items():
        if name not in module.bindings and name not in _BUILTINS:
            near = did_you_mean(name, [*module.bindings, *_BUILTINS])
            raise DefinitionError(
                "TIP111",
                f"{node.name} uses {name!r}, which {Path(module.path).name} does not define.{near}",
                where=str(Site(module.path, line)),
                cause="only what the file defines or imports at its top level travels with the function",
                fix=f"import or define {name} at the top of the file, or inside {node.name}",
            )


def reached(
    module: Module, names: Iterable[str], imports: Iterable[Import] = (), program: OwnModules | None = None
) -> list[ast.stmt]:
    """The top-level statements that ``names`` need, in file order: those that bind them, and those that change them.

    ``imports``: those in the function itself. What changes another module counts for whoever uses that one, and so
    does an import of a module which changes it.

    Raises DefinitionError (TIP124) for one that changes them and cannot travel, or hides what it does.
    """
    found: set[int] = set()
    queue = list(names)
    seen: set[str] = set()
    outward = _Outward(module, program or OwnModules())
    outward.use(imports)
    while queue:
        while queue:
            name = queue.pop()
            if name in seen:
                continue
            seen.add(name)
            stars = module.bindings.get("*", ()) if name not in _BUILTINS or outward.star_binds(name) else ()
            for index in (*module.bindings.get(name, ()), *stars):  # ``K |= …`` needs what the star brought
                if index not in found:
                    found.add(index)
                    queue.extend(_needs(module.tree.body[index], module.reads_annotations))
                    outward.use(scan(module.tree.body[index]).imports)
        found.update(outward.plug_ins())
        for effect in module.effects:
            if effect.unfollowed or not effect.touches.isdisjoint(seen) or outward.changes(effect):
                _refuse_effect(module, effect)
                if effect.index not in found:
                    found.add(effect.index)
                    queue.extend(_needs(module.tree.body[effect.index], module.reads_annotations))
                    outward.use(scan(module.tree.body[effect.index]).imports)
    return [module.tree.body[index] for index in sorted(found)]


class _Outward:
    """What statements of a module change in others, as far as that concerns who uses these."""

    def __init__(self, module: Module, program: OwnModules) -> None:
        self._module, self._program = module, program
        self._used = program.read(module, ())
        self._bringing: dict[str, list[Import]] = {}
        for statement in program.imports(module):
            for name in scan(statement).stores:
                self._bringing.setdefault(name, []).append(statement)
        self._changed: dict[Effect, frozenset[str]] = {}

    def use(self, imports: Iterable[Import]) -> None:
        """What is asked for uses what these bring."""
        self._used |= self._program.read(self._module, imports)

    def changes(self, effect: Effect) -> bool:
        """Whether an effect changes what is used of other modules."""
        known = self._changed.get(effect)
        if known is None:
            program, names = self._program, {n for n in effect.touches if n in self._bringing}
            asked = [ask for ask in effect.asks if program.may_change(self._module, ask)]
            called = {ask.dotted.partition(".")[0] for ask in asked if ask.kind != "text"}
            runs = [s for n in {*called, *(names if effect.runs else ())} for s in self._brought_by(n)]
            runs += [ast.Import([ast.alias(a.dotted.partition(".")[0])]) for a in asked if a.kind == "text"]
            stored = [s for n in names for s in self._brought_by(n)]
            known = program.changed(self._module, runs, called=True)
            known |= program.changed(self._module, stored, called=False)
            self._changed[effect] = known
        return not known.isdisjoint(self._used)

    def star_binds(self, name: str) -> bool:
        """Whether a star brings ``name`` of Python's own in another meaning."""
        stars = self._bringing.get("*", [])
        return any(name in m.bindings for s in stars for m, _ in self._program.targets(self._module, s))

    def _brought_by(self, name: str) -> list[Import]:
        return self._bringing.get(name) or self._bringing.get("*", [])

    def plug_ins(self) -> Iterable[int]:
        """The imports that change what is used of other modules."""
        for index, statement in enumerate(self._module.tree.body):
            if isinstance(statement, Import):
                found = [m for m, _ in self._program.targets(self._module, statement)]
                if any(self._program.reaches_out(m) for m in found):
                    places = self._program.changed(self._module, [statement], called=True)
                    if not places.isdisjoint(self._used):
                        yield index


def _refuse_effect(module: Module, effect: Effect) -> None:
    where = f"{module.path}:{effect.line}"
    if effect.unfollowed:
        raise DefinitionError(
            "TIP124",
            f"{effect.unfollowed} at the top level hides which names this file binds or changes",
            where=where,
            cause="the statements that a step needs are found by the names in them",
            fix='write the names out, or move the statement under `if __name__ == "__main__":`',
        )
    if effect.authoring:
        changed = ", ".join(sorted(effect.touches & module.bindings.keys())) or "a name"
        raise DefinitionError(
            "TIP124",
            f"this statement changes {changed}, which a step uses, and builds the pipeline, too",
            where=where,
            cause="what builds the pipeline stays here, so the step would run without the change",
            fix=f"change {changed} in a statement of its own, outside of what builds the pipeline",
        )


def _needs(statement: ast.stmt, annotations: bool) -> Iterator[str]:
    """The names a top-level statement needs, decorators included: they travel with it; ``annotations``: those, too."""
    names = scan(statement)
    yield from names.loads
    yield from names.both
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for decorator in statement.decorator_list:
            yield from scan(decorator).loads
    looked_at = isinstance(statement, DEFINITIONS) and (annotations or statement.decorator_list)
    if looked_at or isinstance(statement, ast.ClassDef):
        yield from _annotated(statement)


def _annotated(statement: ast.stmt) -> Iterator[str]:
    """The names in annotations: a dataclass, a model, a function that is chosen by type look at them."""
    for node in nodes_of(statement):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                with contextlib.suppress(SyntaxError):
                    part = ast.parse(part.value, mode="eval").body
            if isinstance(part, ast.AST):
                yield from scan(part).loads
