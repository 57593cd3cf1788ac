"""What code depends on besides code: files, modules that are found by a computed name, the environment at import.

A cache key holds the code that a step reaches. What is named there by a constant can be followed: a module, a file
beside the code. Everything else is a :class:`Hidden` input, which the author names (``depends_on=``), or has no cache
by content. A path that comes from an input of the step, or from a file that the step wrote, hides nothing.
"""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tiphys.dsl.source.statements import is_main
from tiphys.dsl.source.tree import children
from tiphys.dsl.source.written_paths import FUNCTIONS, FunctionScope, PathReader, assigned, own_nodes, words

if TYPE_CHECKING:
    from tiphys.dsl.source.module import Module

__all__ = ["Found", "Hidden", "Pass", "look"]


_IMPORTERS = words("importlib.import_module __import__ builtins.__import__ runpy.run_module")
_UNKNOWN_MODULES = words(
    """importlib.util.spec_from_file_location importlib.machinery.SourceFileLoader importlib.metadata.entry_points
    pkgutil.iter_modules pkgutil.walk_packages runpy.run_path zipimport.zipimporter pickle.load pickle.loads
    pickle.Unpickler dill.load dill.loads cloudpickle.load cloudpickle.loads joblib.load"""
)  # a pickle names the classes of its objects, wherever they are
_READERS = words(
    """open io.open os.open codecs.open gzip.open bz2.open lzma.open tarfile.open zipfile.ZipFile sqlite3.connect
    shelve.open dbm.open linecache.getline linecache.getlines fileinput.input glob.glob glob.iglob os.listdir
    os.scandir os.walk os.stat os.path.getsize os.path.getmtime builtins.open io.FileIO io.open_code
    shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move xml.etree.ElementTree.parse
    numpy.load numpy.loadtxt numpy.genfromtxt numpy.fromfile numpy.memmap joblib.load torch.load
    PIL.Image.open cv2.imread h5py.File xarray.open_dataset pyarrow.parquet.read_table
    pyarrow.parquet.ParquetFile tensorflow.io.read_file tensorflow.io.gfile.GFile tensorflow.saved_model.load
    tensorflow.keras.models.load_model keras.models.load_model keras.saving.load_model
    tf_keras.models.load_model ctypes.CDLL"""
)
_READER_FAMILIES = ("pandas.read_", "polars.read_", "polars.scan_")
_RESOURCES = words(
    """importlib.resources.open_text importlib.resources.open_binary importlib.resources.read_text
    importlib.resources.read_binary importlib.resources.path importlib.resources.contents pkgutil.get_data"""
)
_READING = words("open read_text read_bytes iterdir glob rglob stat")
_HANDED_ON = words("pathlib.Path.read_text pathlib.Path.read_bytes pathlib.Path.open pathlib.Path.iterdir")
_BY_NAME = words("read_text read_bytes import_module __import__ open __globals__ __dict__")
_WORDS = re.compile(r"[\w./-]+")
# a step's own scratch space, and what the machine says of itself
_FIRST = words("file path name filename filepath_or_buffer src")
_NO_DATA = ("/tmp/", "/dev/", "/proc/", "/sys/")
_OF_THE_RUN = ("TIPHYS_", "TF_CONFIG")
_NAMESPACES = words("globals eval exec builtins.globals builtins.eval builtins.exec")


@dataclass(frozen=True, slots=True)
class Hidden:
    """An input that the code does not show. ``env``: the variable it is, when its name is known."""

    line: int
    what: str
    env: str = ""
    path: str = ""
    """How the path is written, for files."""
    file: str = ""
    """The path itself, when it is known."""


@dataclass(slots=True)
class Found:
    """``modules``: named by constants; ``files``: paths of files and folders that are there; the rest is hidden."""

    modules: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    """What may be the name of a module, in a text."""
    hidden: list[Hidden] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    readers: set[tuple[str, str]] = field(default_factory=set)
    """(function, parameter) of those that read the file that they are given."""
    passes: list[Pass] = field(default_factory=list)
    places: dict[Hidden, str] = field(default_factory=dict)
    """The paths of the modules that something hidden is in."""

    def settle(self) -> None:
        """Find who reads a file by way of a function that is given its path."""
        while True:
            before = len(self.readers)
            for given in self.passes:
                if given.giver and (given.function, given.parameter) in self.readers:
                    self.readers.add(given.giver)
            if len(self.readers) == before:
                break
        for given in self.passes:
            if not given.giver and (given.function, given.parameter) in self.readers:
                if given.file:
                    self.files.append(given.file)
                elif given.hidden is not None:
                    self.hidden.append(hidden := given.hidden())
                    self.places[hidden] = given.place
        self.hidden = [hidden for hidden in self.hidden if not hidden.path or hidden.path not in self.written]


class Pass(NamedTuple):
    """A call that gives ``function`` a path: its own parameter (``giver``), or one that is written in the code, which
    leads to a ``file`` or is ``hidden`` in the module at ``place``; what that is called is asked of few."""

    function: str
    parameter: str
    giver: tuple[str, str] | None = None
    file: str = ""
    hidden: Callable[[], Hidden] | None = None
    place: str = ""


def look(module: Module, node: ast.AST, *, whole: bool, runs: bool = True) -> Found:
    """What ``node`` of ``module`` depends on besides code.

    ``whole``: all of the module counts, so that what is found in its namespace does. ``runs``: the statement is
    executed at import; False for the function of the step.
    """
    looker = _Looker(module, whole)
    looker.visit(node, [] if runs else [FunctionScope()])
    return looker.found


class _Looker:
    def __init__(self, module: Module, whole: bool) -> None:
        self._module, self._whole = module, whole
        self._paths = PathReader(module)
        self._set = _set_variables(module.tree)
        self.found = Found()

    # -- the walk ---------------------------------------------------------------------------------------------

    def visit(self, node: ast.AST, scopes: list[FunctionScope]) -> None:
        if isinstance(node, ast.If) and is_main(node):  # runs in the step, in its own environment
            for inner in node.body:
                self.visit(inner, [*scopes, FunctionScope()])
            for inner in node.orelse:
                self.visit(inner, scopes)
            return
        if isinstance(node, FUNCTIONS):
            self._function(node, scopes)
            return
        if isinstance(node, ast.Call):
            self._call(node, scopes)
        elif isinstance(node, ast.Constant):
            self._text(node)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            self._subscript(node, scopes)
        elif isinstance(node, (ast.DictComp, ast.Dict, ast.For, ast.comprehension)) and not scopes:
            self._environment_whole(node)
        called = node.func if isinstance(node, ast.Call) else None
        for child in children(node):
            if isinstance(child, (ast.Name, ast.Attribute)) and child is not called:
                self._handed_on(child, scopes)
            if not isinstance(child, ast.Name):  # nothing is below one
                self.visit(child, scopes)

    def _handed_on(self, node: ast.Name | ast.Attribute, scopes: list[FunctionScope]) -> None:
        """A function that reads or imports, as a value: whoever is given it calls it with what nobody knows."""
        if not isinstance(node.ctx, ast.Load):
            return
        name = self._paths.dotted(node, scopes)
        if name in _IMPORTERS or name in _UNKNOWN_MODULES:
            self._hide(node, f"`{name}` is handed on, so what it imports is not shown")
        elif name in _READERS or name in _HANDED_ON or name in _RESOURCES:
            self._hide(node, f"`{name}` is handed on, so what it reads is not shown", path=name)
        elif name in _NAMESPACES and not self._whole:
            self._hide(node, f"`{name}` is handed on: it reaches names that the code does not show")

    def _text(self, node: ast.Constant) -> None:
        """A text may name a file that lies beside the code, or a module: it counts, whoever is given the text."""
        text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
        if not isinstance(text, str) or len(text) > 2000:
            return
        found = _WORDS.findall(text)
        for word in found:
            plain = word.strip("./")
            if "." not in plain and "/" not in plain:
                if "import" in found:
                    self.found.named.append(plain)
                continue
            if "/" not in plain:
                self.found.named.append(plain)
            path = os.path.join(os.path.dirname(self._module.path), plain)
            if os.path.isfile(path):
                self.found.files.append(os.path.normpath(path))

    def _function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scopes: list[FunctionScope]
    ) -> None:
        arguments = node.args
        for default in (*arguments.defaults, *arguments.kw_defaults, *getattr(node, "decorator_list", [])):
            if default is not None:
                self.visit(default, scopes)
        within = [*scopes, _scope(node)]
        for inner in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(inner, within)

    # -- what it meets ----------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, scopes: list[FunctionScope]) -> None:
        name = self._paths.dotted(node.func, scopes)
        if name in _IMPORTERS:
            self._module_by_name(node, scopes)
        elif name in _UNKNOWN_MODULES:
            self._hide(node, f"`{_short(node.func)}` finds code that the key cannot follow")
        elif name in _NAMESPACES and not self._whole:
            self._hide(node, f"`{name}` reaches names that the code does not show")
        elif name == "vars" and not node.args and not self._whole:
            self._hide(node, "`vars()` reaches names that the code does not show")
        elif name == "sys.modules.get":
            self._hide(node, "`sys.modules` reaches modules that the code does not show")
        elif name in ("os.getenv", "os.environ.get", "os.environ.pop") and not scopes:
            self._variable(node, node.args[0] if node.args else None)
        elif name in ("os.environ.items", "os.environ.values", "os.environ.copy", "dict") and not scopes:
            if name != "dict" or any(self._paths.dotted(a, []) == "os.environ" for a in node.args):
                self._variable(node, None)
        elif name in _READERS or name.startswith(_READER_FAMILIES):
            first = next((k.value for k in node.keywords if k.arg in _FIRST), None)
            self._read(node, node.args[0] if node.args else first, _mode(node, 1), scopes)
        elif name == "getattr" and len(node.args) > 1:
            self._attribute_by_name(node, scopes)
        elif name in _RESOURCES:
            self._hide(node, f"`{_short(node)}` reads a file", path=_short(node))
        elif isinstance(node.func, ast.Attribute) and self._reads(node.func.attr, name):
            self._read(node, node.func.value, _mode(node, 0) if node.func.attr == "open" else "r", scopes)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in ("write_text", "write_bytes"):
            self.found.written.add(ast.unparse(node.func.value))
        if node.args or node.keywords:
            self._pass(node, scopes)

    def _attribute_by_name(self, node: ast.Call, scopes: list[FunctionScope]) -> None:
        """``getattr(path, "read_text")``; of a module that was imported, what is read there is found by its text."""
        text = self._paths.text(node.args[1], scopes)
        imports = self._paths.dotted(node.args[0], scopes) in ("importlib", "builtins")
        if text in _BY_NAME or imports:
            what = f"`{_short(node)}` reads or imports what the code does not show"
            self._hide(node, what, path="" if imports else _short(node))

    def _reads(self, method: str, name: str) -> bool:
        """Whether a method reads a file; ``open`` of an imported class (``name``) is a function of its own."""
        return method in _READING and (
            method.startswith(("read_", "iter")) or not name or name.startswith("pathlib.")
        )

    def _module_by_name(self, node: ast.Call, scopes: list[FunctionScope]) -> None:
        text = self._paths.text(node.args[0], scopes) if node.args else None
        if text is None or not text:
            self._hide(node, f"`{_short(node)}` imports what the code does not name")
        elif text.startswith("."):
            package = self._paths.text(node.args[1], scopes) if len(node.args) > 1 else None
            if package is None:
                self._hide(node, f"`{_short(node)}` imports what the code does not name")
            else:
                up = len(text) - len(text.lstrip(".")) - 1
                parts = package.split(".")
                self.found.modules.append(".".join([*parts[: len(parts) - up], text.lstrip(".")]))
        else:
            self.found.modules.append(text)

    def _subscript(self, node: ast.Subscript, scopes: list[FunctionScope]) -> None:
        name = self._paths.dotted(node.value, scopes)
        if name == "sys.modules":
            if not (self._whole and isinstance(node.slice, ast.Name) and node.slice.id == "__name__"):
                self._hide(node, "`sys.modules` reaches modules that the code does not show")
        elif name == "os.environ" and not scopes:
            self._variable(node, node.slice)

    def _environment_whole(self, node: ast.AST) -> None:
        parts = [getattr(node, "iter", None), *(getattr(node, "values", None) or [])]
        if any(isinstance(p, ast.expr) and self._paths.dotted(p, []) == "os.environ" for p in parts):
            self._variable(node, None)

    def _variable(self, node: ast.AST, name: ast.expr | None) -> None:
        text = self._paths.text(name, []) if name is not None else None
        if text is None:
            self._hide(node, "the environment is read when the module is imported")
        elif text not in self._set and not text.startswith(_OF_THE_RUN):
            self._hide(node, f"the environment variable {text} is read when the module is imported", env=text)

    def _read(self, node: ast.Call, path: ast.expr | None, mode: str, scopes: list[FunctionScope]) -> None:
        if path is None:
            return
        written = ast.unparse(path)
        if set(mode) & set("wax"):
            self.found.written.add(written)
            return
        giver = self._paths.parameter(path, scopes)
        if giver:
            self.found.readers.update(_both(giver, scopes[-1]))
        elif self._paths.fixed(path, scopes):
            hidden, file = self._file(node, path, scopes)
            if file:
                self.found.files.append(file)
            elif hidden is not None:
                self.found.hidden.append(hidden())

    def _file(
        self, node: ast.Call, path: ast.expr, scopes: list[FunctionScope]
    ) -> tuple[Callable[[], Hidden] | None, str]:
        """What a path that is written in the code leads to: hidden, a file that is there, or neither."""
        text, start = self._paths.text(path, scopes), self._paths.start(path, scopes) or ""
        own = os.path.dirname(self._module.path) + os.sep
        if text is not None and text.startswith(own) and os.path.exists(text):
            return None, os.path.normpath(text)
        if start.startswith(_NO_DATA) and not start.startswith(own):
            return None, ""
        return functools.partial(_hidden_file, node, path, text or ""), ""

    def _pass(self, node: ast.Call, scopes: list[FunctionScope]) -> None:
        """A call of an author's function: does it hand a path on?"""
        match node.func:
            case ast.Name(id=function) | ast.Attribute(attr=function):
                pass
            case _:
                return
        given: list[tuple[str, ast.expr]] = [(str(n), a) for n, a in enumerate(node.args)]
        given += [(k.arg, k.value) for k in node.keywords if k.arg]
        for parameter, value in given:
            giver = self._paths.parameter(value, scopes)
            if giver:
                for each in _both(giver, scopes[-1]):
                    self.found.passes.append(Pass(function, parameter, each))
            elif self._paths.fixed(value, scopes):
                hidden, file = self._file(node, value, scopes)
                if hidden is not None or file:
                    self.found.passes.append(Pass(function, parameter, None, file, hidden, self._module.path))

    def _hide(self, node: ast.AST, what: str, *, env: str = "", path: str = "") -> None:
        self.found.hidden.append(Hidden(getattr(node, "lineno", 1), what, env, path))


def _hidden_file(node: ast.Call, path: ast.expr, file: str) -> Hidden:
    """The file that a call reads. (To write code as text takes longer than to look at it.)"""
    what = f"`{_short(node)}` reads a file that is no input of the step"
    return Hidden(node.lineno, what, path=ast.unparse(path), file=file)


@functools.lru_cache(maxsize=4096)  # each step looks at what it reaches
def _scope(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> FunctionScope:
    """The names of a function, which nobody changes."""
    arguments = node.args
    parameters = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    names = assigned(node.body if isinstance(node.body, list) else [node.body])
    scope = FunctionScope(names, getattr(node, "name", ""), tuple(a.arg for a in parameters))
    for argument in (*parameters, arguments.vararg, arguments.kwarg):
        if argument is not None:
            scope.names.setdefault(argument.arg, []).append(None)
    return scope


def _both(giver: tuple[str, str], scope: FunctionScope) -> Iterator[tuple[str, str]]:
    """A parameter by its name and by its place, as a call may give it; ``self`` has no place in a call."""
    function, name = giver
    yield function, name
    yield function, str(scope.parameters.index(name) - (scope.parameters[0] in ("self", "cls")))


def _mode(node: ast.Call, position: int) -> str:
    """The mode that a file is opened with; what is no constant reads."""
    given = next((k.value for k in node.keywords if k.arg == "mode"), None)
    if given is None and len(node.args) > position:
        given = node.args[position]
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else "r"


def _short(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else text[:57] + "..."


@functools.lru_cache(maxsize=256)  # it is asked for at each statement of the module
def _set_variables(tree: ast.Module) -> frozenset[str]:
    """The environment variables that the module itself sets."""
    found = set()
    for node in own_nodes(tree.body):
        match node:
            case ast.Subscript(ctx=ast.Store(), slice=ast.Constant(value=str() as name)):
                found.add(name)
    return frozenset(found)
