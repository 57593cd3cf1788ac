"""The digest of the code that a step depends on, for cache keys.

What counts is the code that the function reaches: in its own file and in every module of the author's own that it
imports, at any depth, beside the file or in a package. Installed distributions that it imports count by name and
version, as they are where the pipeline is compiled. Comments, docstrings and blank lines do not count.
"""

from __future__ import annotations

import ast
import fnmatch
import functools
import glob
import hashlib
import io
import os
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiphys.compiler.line import Site
from tiphys.dsl.source.closure import function_node, reached, used_names
from tiphys.dsl.source.hidden import Found, Hidden, look
from tiphys.dsl.source.imports import Import, OwnModules, own_module, tops
from tiphys.dsl.source.installed import installed
from tiphys.dsl.source.module import Module, inside_strings, module_of
from tiphys.dsl.source.names_used import scan
from tiphys.dsl.source.statements import DEFINITIONS
from tiphys.dsl.source.tree import nodes_of
from tiphys.errors import DefinitionError
from tiphys.reference import file_digest

__all__ = ["StepCode", "depended", "module_code", "step_code"]

# what lets a program see its own text (comments and the numbers of lines count then), or the documentation in it
_OWN_TEXT = re.compile(
    r"\b(?:getsource|getsourcelines|findsource|getcomments|linecache|f_lineno|co_firstlineno|co_lines|co_linetable"
    r"|co_positions|tb_lineno|(?:format|print)_(?:exc|exception|tb|stack)|extract_(?:tb|stack)|TracebackException)\b"
)
_OWN_DOCS = re.compile(r"\b(?:__doc__|getdoc|help|pydoc|doctest)\b")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class StepCode:
    """What a step runs: the digest of all that its author's code shows, and what that code depends on besides."""

    digest: str
    hidden: tuple[tuple[str, Hidden], ...] = ()
    """Inputs that cannot be followed, each with the path of its file."""

    def check(self, owner: str, env: Iterable[str], depends_on: Sequence[str] | None) -> None:
        """Refuse a cache by content (TIP126) when a result depends on what the key does not hold.

        ``env``: the variables that the key holds. An author answers for what ``depends_on`` names, each for itself, and
        with ``[]`` for all.
        """
        given = frozenset(env)
        for path, hidden in self.hidden if depends_on is None or depends_on else ():
            if hidden.env in given or any(_answers(entry, hidden) for entry in depends_on or ()):
                continue
            raise DefinitionError(
                "TIP126",
                f"the cache of {owner} cannot know what its result depends on: {hidden.what}",
                where=str(Site(path, hidden.line)),
                cause="the key holds code, image, env= and inputs; with this the same key can mean another result",
                fix=f'{_fix(hidden)}, or name it: depends_on=["{_entry(hidden)}"] (each answers for what it names; []'
                " says that no result depends on anything hidden)",
            )


def _answers(entry: str, hidden: Hidden) -> bool:
    """Whether an entry of ``depends_on`` names what is hidden: files a file, modules code, a text what it mentions."""
    kind, separator, rest = entry.partition(":")
    if separator and kind == "text":
        return (hidden.env or os.path.basename(hidden.file)) in rest
    if hidden.env:
        return False
    if not hidden.path:
        return bool(separator and kind == "module") or entry.endswith(".py")
    file, named = f"/{hidden.file.strip('./')}", entry.strip("./")
    return not hidden.file or any(
        fnmatch.fnmatch(one, f"*/{two}")
        for one, two in ((file, named), (file, f"{named}/*"), (f"/{named}", file[1:]))
    )


def _entry(hidden: Hidden) -> str:
    """How ``depends_on`` may name what is hidden."""
    if hidden.env:
        return f"text:{hidden.env}=…"
    return (hidden.file or "data/*.csv") if hidden.path else "module:plugins.a"


def _fix(hidden: Hidden) -> str:
    if hidden.env:
        return f'give it with env={{"{hidden.env}": …}} or as an input'
    return "make it an input of the step (a path, a Reference)" if hidden.path else "import it by its name"


def step_code(function: Callable[..., Any], site: Site) -> StepCode:
    """The code that ``function`` reaches in its file and in modules that are not installed.

    Raises DefinitionError: TIP112 (no source), TIP124 (what it depends on cannot be followed).
    """
    module = module_of(function.__module__, function.__code__.co_filename, site)
    node = function_node(module, function, site)
    collected = _Collected(module.path)
    collected.add(module.name, function.__qualname__, _code(module, node, module.authoring))
    imports = [
        *scan(node).imports,
        *collected.look(module, _undecorated(node, module.authoring), whole=False),
    ]
    collected.names(module, used_names(node), imports)
    return collected.code()


def module_code(name: str, path: str, site: Site) -> StepCode:
    """A whole module and what it imports that is not installed (for ``python -m NAME``)."""
    collected = _Collected(path)
    collected.whole(module_of(name, path, site))
    return collected.code()


def depended(depends_on: Sequence[str], base: str, site: Site) -> list[str]:
    """What an author's ``depends_on`` gives to a key: files by name and content, modules by their code, texts.

    Files and globs are relative to ``base``, the folder of the pipeline's file. Raises DefinitionError (TIP127).
    """
    parts: list[str] = []
    for entry in depends_on:
        kind, separator, rest = entry.partition(":")
        if separator and kind == "text":
            parts.append(entry)
        elif separator and kind == "module":
            found = own_module(rest)
            if found is None:
                raise _unknown(entry, "it is no module of your own that can be imported", site)
            collected = _Collected(found.path)
            collected.whole(found)
            parts.append(f"{entry}={collected.code().digest}")
        elif separator and kind == "env":
            raise _unknown(entry, "a step does not get the environment of the machine that compiles it", site)
        else:
            files = sorted(f for f in glob.glob(os.path.join(base, entry), recursive=True))
            files = sorted({inner for f in files for inner in _inside(f)})
            if not files:
                raise _unknown(
                    entry, f"there is no such file in {base or 'the folder of the pipeline'}", site
                )
            parts += [f"{os.path.relpath(f, base)}={file_digest(Path(f))}" for f in files]
    return parts


def _inner_modules(path: str) -> list[str]:
    """The names of the modules and packages beside an ``__init__.py``."""
    names = [entry.name.removesuffix(".py") for entry in os.scandir(os.path.dirname(path))]
    return sorted(name for name in names if name.isidentifier() and name not in ("__init__", "__pycache__"))


def _inside(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = [f for f in folders if f != "__pycache__"]
        yield from (os.path.join(folder, name) for name in files)


def _unknown(entry: str, why: str, site: Site) -> DefinitionError:
    return DefinitionError(
        "TIP127",
        f"depends_on: {entry!r} cannot be taken into a key",
        where=str(site),
        cause=why,
        fix='give files ("data/*.csv", relative to the pipeline\'s file), "module:NAME" or "text:ANYTHING"; a variable '
        'is given with env={"NAME": …}',
    )


class _Collected:
    """Pieces of code by module and place."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._entered: set[str] = set()
        self._program = OwnModules()
        self._texts: dict[tuple[str, str], str] = {}
        self._found = Found()
        self._modules: dict[str, Module] = {}

    def code(self) -> StepCode:
        """All that was collected."""
        self._submodules()
        self._own_text()
        self._found.settle()
        for file in self._found.files:
            base = os.path.dirname(self._base)
            for inner in _inside(file):
                name = os.path.relpath(inner, base)
                self.add("", f"file {name}", f"{name}={file_digest(Path(inner))}")
        hidden = {h: None for h in self._found.hidden}
        return StepCode(self._digest(), tuple((self._found.places.get(h, self._base), h) for h in hidden))

    def _submodules(self) -> None:
        """Modules of packages that the code names as attributes of these: whoever imports one makes it such."""
        grown = True
        while grown:
            grown = False
            text = "\n".join(self._texts.values())
            for package in [m for m in self._modules.values() if os.path.basename(m.path) == "__init__.py"]:
                for inner in _inner_modules(package.path):
                    found = re.search(rf"\.{inner}\b", text) and self._program.own(f"{package.name}.{inner}")
                    if found and (found.name, "") not in self._texts:
                        self.whole(found)
                        grown = True

    def _own_text(self) -> None:
        """The text of the modules, where the code looks at it, or their documentation."""
        text = "\n".join(self._texts.values())
        verbatim = bool(_OWN_TEXT.search(text))
        if verbatim or _OWN_DOCS.search(text):
            for name, module in self._modules.items():
                self.add(name, "text", "\n".join(module.lines) if verbatim else _bare(module.lines, True))

    def look(self, module: Module, node: ast.AST, *, whole: bool, runs: bool = False) -> list[Import]:
        """Take what ``node`` depends on besides code; gives the imports of what it names by constants."""
        seen = look(module, node, whole=whole, runs=runs)
        self._found.places.update(dict.fromkeys(seen.hidden, module.path))
        self._found.hidden += seen.hidden
        self._found.written |= seen.written
        self._found.files += seen.files
        self._found.passes += seen.passes
        self._found.readers |= seen.readers
        names = [*seen.modules, *(name for word in seen.named if (name := self._own_name(word)))]
        return [ast.Import(names=[ast.alias(name=name)]) for name in names]

    def _own_name(self, word: str) -> str:
        """The module of the author's own that a word of a text begins with; empty when there is none."""
        if not self._program.own(word.partition(".")[0]):
            return ""
        while not self._program.own(word):
            word = word.rpartition(".")[0]
        return word

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for _, text in sorted(self._texts.items()):
            digest.update(text.encode() + b"\0")
        return digest.hexdigest()[:16]

    def add(self, module: str, place: str, text: str) -> bool:
        """False when it was there already."""
        if (module, place) in self._texts:
            return False
        self._texts[module, place] = text
        return True

    def whole(self, module: Module) -> None:
        self._modules[module.name] = module
        if self.add(module.name, "", _bare(module.lines, module.reads_docs)):
            imports = [i for s in module.tree.body for i in scan(s).imports]
            for statement in module.tree.body:
                imports += self.look(module, statement, whole=True, runs=True)
            self._follow(module, imports)

    def names(self, module: Module, names: Iterable[str], imports: Iterable[Import] = ()) -> None:
        """What ``names`` of ``module`` need, and what ``imports`` bring."""
        imports = list(imports)
        self._modules[module.name] = module
        for statement in reached(module, names, imports, self._program):
            if self.add(
                module.name, f"{statement.lineno:06d}:{statement.col_offset}", _code(module, statement)
            ):
                imports += scan(statement).imports
                bare = _undecorated(statement, module.authoring)
                imports += self.look(module, bare, whole=False, runs=True)
        self._plug_ins(module)
        self._follow(module, imports)

    def _plug_ins(self, module: Module) -> None:
        """What a module imports for its effect on others counts, whether a name of it is used or not."""
        if module.path in self._entered:
            return
        self._entered.add(module.path)
        for statement in module.tree.body:
            for found, _ in self._program.targets(module, statement) if isinstance(statement, Import) else ():
                if self._program.reaches_out(found):
                    self.whole(found)

    def _follow(self, module: Module, imports: Iterable[Import]) -> None:
        for statement in imports:
            for top in tops(statement):
                if top not in sys.stdlib_module_names and top != "tiphys" and self._program.own(top) is None:
                    self.add("", f"installed {top}", " ".join(installed(top)) or f"{top} of the image")
            for found, wanted in self._program.targets(module, statement):
                self._parents(found)
                if wanted is None:
                    self.whole(found)
                elif self.add(found.name, f"import {wanted}", ""):
                    known = wanted in found.bindings or "__getattr__" not in found.bindings
                    self.names(found, [wanted if known else "__getattr__"])

    def _parents(self, module: Module) -> None:
        """The packages around a module are executed before it: what they change counts."""
        package = module.name
        while "." in package:
            package = package.rpartition(".")[0]
            found = self._program.own(package, module.name)
            if found is not None and found.effects:
                self.whole(found)


def _undecorated(node: ast.stmt, without: frozenset[str]) -> ast.stmt:
    """``node`` without the decorators that use a name in ``without``."""
    if not isinstance(node, DEFINITIONS) or not node.decorator_list:
        return node
    parts = dict(ast.iter_fields(node))
    parts["decorator_list"] = [d for d in node.decorator_list if without.isdisjoint(scan(d).loads)]
    return ast.copy_location(type(node)(**parts), node)


def _code(module: Module, node: ast.stmt, without: frozenset[str] = frozenset()) -> str:
    """The code of a statement; decorators that use a name in ``without`` are left out."""
    decorators = getattr(node, "decorator_list", [])
    if not decorators or not without:
        return _bare(tuple(module.segment(node).split("\n")), module.reads_docs)
    source = "\n".join(module.lines)
    kept = [ast.get_source_segment(source, d) or "" for d in decorators if without.isdisjoint(scan(d).loads)]
    pieces = [
        *((text, "@") for text in kept),
        ("\n".join(module.lines[node.lineno - 1 : node.end_lineno]), ""),
    ]
    return "\n".join(mark + _bare(tuple(text.split("\n")), module.reads_docs) for text, mark in pieces)


@functools.lru_cache(maxsize=4096)
def _bare(lines: tuple[str, ...], documented: bool) -> str:
    """Source without comments, docstrings, blank lines and trailing blanks; what stands in a string stays.

    ``documented`` keeps docstrings: the code looks at them.
    """
    indented = bool(lines) and lines[0][:1].isspace()
    text = "\n".join((*(("if 1:",) if indented else ()), *lines))
    rows = [row.encode() for row in text.split("\n")]
    cuts: list[tuple[int, int, int, int]] = []
    for token in tokenize.generate_tokens(io.StringIO(text + "\n").readline) if "#" in text else ():
        if token.type == tokenize.COMMENT:
            row = token.start[0] - 1
            cuts.append((row, len(token.line[: token.start[1]].encode()), row, len(rows[row])))
    tree = ast.parse(text)
    kept = {row - 1 for row in inside_strings(tree)}
    for node in nodes_of(tree):
        docs = None if documented else _docstring(node)
        if docs is not None:
            end_line, end_column = docs.end_lineno or docs.lineno, docs.end_col_offset or 0
            cuts.append((docs.lineno - 1, docs.col_offset, end_line - 1, end_column))
            kept.difference_update(range(docs.lineno - 1, end_line))
    for top, left, bottom, right in sorted(cuts, reverse=True):
        rest = rows[bottom][right:]
        rows[top : bottom + 1] = [rows[top][:left] + rest, *([b""] * (bottom - top))]
    found = ((row if n in kept else row.rstrip(), n in kept) for n, row in enumerate(rows))
    return "\n".join(row.decode() for row, keep in found if row or keep)


def _docstring(node: ast.AST) -> ast.Expr | None:
    if isinstance(node, _DOCUMENTED) and node.body:
        match node.body[0]:
            case ast.Expr(value=ast.Constant(value=str())) as first:
                return first
    return None
