"""A pipeline from ``path.py`` or ``module:object``, with its compile-time settings."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tiphys.argo.parameters import declared, named_as_declared
from tiphys.argo.spec import workflow_spec
from tiphys.compiler.line import Site, raised_at
from tiphys.compiler.objects import objects_of
from tiphys.compiler.project import FLAG, import_folders, module_name, project_of
from tiphys.errors import DefinitionError, TiphysError, did_you_mean

__all__ = ["load", "load_with"]

_BUILD = "build"
_OBJECTS = ("pipeline", "workflow", "wf", "w")


def load(source: str, settings: Mapping[str, str] | None = None) -> Any:
    """The pipeline (or Hera workflow, or mapping) that ``source`` names.

    ``source`` is ``path.py``, ``path.py:object``, ``module`` or ``module:object``. When the object is a
    function (by default one called ``build``) it is called; ``settings`` are its arguments as text, converted
    by its annotations. Settings that are not arguments but parameters of the workflow replace those
    parameters' values.

    Raises DefinitionError: TIP120 nothing to load, TIP121 unknown name, TIP122 bad value; RefusedError for a
    bad value of a parameter.
    """
    return _built(*_target(source), source, settings or {})


def load_with(
    source: str, parameters: Mapping[str, str], *, python_names: bool = False
) -> tuple[Any, dict[str, str]]:
    """The pipeline, made once with those of ``parameters`` that are compile-time settings, and the rest of them: the
    run-time parameters of the workflow.

    ``python_names``: ``batch_size`` stands for ``batch-size`` where only that is declared.

    Raises DefinitionError (TIP121) for a name that is neither, naming both kinds, and what :func:`load` raises.
    """
    target, where = _target(source)
    arguments = _arguments(target, source) if _is_builder(target) else {}
    settings = {k: v for k, v in parameters.items() if k in arguments}
    built = _built(target, where, source, settings)
    runtime = {k: v for k, v in parameters.items() if k not in arguments}
    known = _runtime_names(built) if runtime else None
    if known is not None:
        if python_names:
            runtime = named_as_declared(runtime, known)
        for name in runtime:
            if name not in known:
                raise _unknown(name, known, arguments, where)
    return built, runtime


def _built(target: Any, where: str, source: str, settings: Mapping[str, str]) -> Any:
    """The workflow that is the target of ``source``, or that it makes."""
    given = dict(settings)
    if not _is_builder(target):
        return _with_parameters(target, given, {}, where)
    arguments = _arguments(target, source)
    chosen = {k: given.pop(k) for k in list(given) if k in arguments}
    values = {k: _convert(k, text, arguments[k], where) for k, text in chosen.items()}
    needed = [k for k, p in arguments.items() if p.default is p.empty and k not in values]
    if needed:
        raise DefinitionError(
            "TIP122",
            f"{where} needs the setting {needed[0]!r}",
            where=where,
            cause=f"{target.__name__}() has no default for it",
            fix=f"give it: -p {needed[0]}=VALUE{_or_object(target, source)}",
        )
    try:
        built = target(**values)
    except TiphysError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise _broken(source, error) from error
    if not _is_workflow(built) and not isinstance(built, Mapping):
        raise DefinitionError(
            "TIP120",
            f"{where}: {target.__name__}() returned {type(built).__name__}",
            where=where,
            fix=f"return the Pipeline, or name the object that is one: {source.partition(':')[0]}:NAME",
        )
    return _with_parameters(built, given, arguments, where)


def _target(source: str) -> tuple[Any, str]:
    """The object that ``source`` names, and how to call its place in messages."""
    module_text, _, name = (
        source.partition(":") if not re.match(r"^[A-Za-z]:[\\/]", source) else (source, "", "")
    )
    is_file = module_text.endswith(".py") or "/" in module_text
    module = _from_file(module_text) if is_file else _from_module(module_text)
    if name:
        target = module
        for part in name.split("."):
            if not hasattr(target, part):
                raise DefinitionError(
                    "TIP120",
                    f"{module_text} has no {name!r}.{did_you_mean(part, dir(target))}",
                    where=module_text,
                    fix="name a Pipeline or a function that returns one",
                )
            target = getattr(target, part)
        if not (_is_builder(target) or _is_workflow(target) or isinstance(target, Mapping)):
            raise DefinitionError(
                "TIP120",
                f"{source} is a {type(target).__name__}, not a workflow",
                where=source,
                fix="name a Pipeline or a function that returns one",
            )
        return target, source
    if _is_builder(getattr(module, _BUILD, None)):
        return getattr(module, _BUILD), module_text
    for candidate in _OBJECTS:
        if _is_workflow(getattr(module, candidate, None)):
            return getattr(module, candidate), module_text
    found = {k: v for k, v in vars(module).items() if _is_workflow(v) and not isinstance(v, type)}
    if len({id(v) for v in found.values()}) == 1:
        return next(iter(found.values())), module_text
    raise DefinitionError(
        "TIP120",
        f"{module_text} has {'no pipeline' if not found else 'several workflows: ' + ', '.join(found)}",
        where=module_text,
        fix="define build() that returns a Pipeline, or `pipeline = Pipeline(…)`"
        if not found
        else f"say which: {module_text}:{next(iter(found))}",
    )


def _is_builder(x: Any) -> bool:
    """Whether ``x`` is a function that makes the pipeline: a plain one, no template, script or class that is called
    like it. Hera's decorators hide a function in one of their own."""
    return inspect.isfunction(x) and not str(x.__globals__.get("__name__")).startswith("hera.")


def _arguments(function: Callable[..., Any], source: str) -> dict[str, inspect.Parameter]:
    """The arguments of a build function by name, where an annotation of the user's may not be a name that exists."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except TiphysError:
        raise
    except Exception as error:  # annotations are the user's code
        raise _broken(
            source, error, Site(function.__code__.co_filename, function.__code__.co_firstlineno)
        ) from error
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in named}


def _or_object(function: Any, source: str) -> str:
    """Another way out, where the function's file holds a workflow as well."""
    names = [name for name, value in function.__globals__.items() if _is_workflow(value)]
    return f"; or name the workflow: {source.partition(':')[0]}:{names[0]}" if names else ""


def _is_workflow(x: Any) -> bool:
    return hasattr(x, "to_dict") and hasattr(x, "templates") and not isinstance(x, type)


_loaded: dict[tuple[str, int], types.ModuleType] = {}


def _from_file(text: str) -> types.ModuleType:
    path = Path(text)
    if not path.is_file():
        near = did_you_mean(
            path.name, [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        )
        raise DefinitionError(
            "TIP120", f"there is no file {text}.{near}", where=text, fix="give the path of a Python file"
        )
    path = path.resolve()
    key = (str(path), path.stat().st_mtime_ns)
    _leave()
    if key in _loaded:
        return _enter(_loaded[key])
    if any(neighbour.stem in sys.stdlib_module_names for neighbour in path.parent.glob("*.py")):
        # before a neighbour called http.py hides the standard one from it
        importlib.import_module("hera.workflows")
    for folder in (str(path.parent), *map(str, import_folders(project_of(path)))):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    name = module_name(path) or "tiphys_pipeline_" + re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DefinitionError("TIP120", f"{text} is not a Python file", where=text, fix="give a .py file")
    module = importlib.util.module_from_spec(spec)
    module.__dict__[FLAG] = True  # its functions are embedded, not referenced
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except TiphysError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise _broken(text, error) from error
    else:
        _loaded[key] = module
    finally:
        if before is not None:  # what imported it before keeps what it has
            sys.modules[name] = before
        elif key not in _loaded:
            sys.modules.pop(name, None)
    return module


def _enter(module: types.ModuleType) -> types.ModuleType:
    """Let a file that was loaded before be found by its name again."""
    sys.modules.setdefault(module.__name__, module)
    return module


def _leave() -> None:
    """A file that was loaded as a pipeline is not what another one gets when it imports it by name: there its functions
    are referenced, and what was loaded first must make no difference."""
    for module in _loaded.values():
        if sys.modules.get(module.__name__) is module:
            del sys.modules[module.__name__]


def _from_module(name: str) -> types.ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except TiphysError:
        raise
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise DefinitionError(
                "TIP120",
                f"there is no module {name!r}",
                where=name,
                fix="give path.py or module:object, and run from the folder that has the module",
            ) from error
        raise _broken(name, error) from error
    except Exception as error:  # the user's code may raise anything
        raise _broken(name, error) from error


def _broken(source: str, error: Exception, site: Site | None = None) -> DefinitionError:
    """The user's file raised: say where in the user's own code, not where in a library that it called."""
    where = source
    if isinstance(error, SyntaxError):
        where = str(Site(str(error.filename), error.lineno or 0))
    else:
        where = str(raised_at(error.__traceback__)) or str(site or "") or source
    return DefinitionError(
        "TIP120",
        f"{source} could not be loaded: {type(error).__name__}: {error}",
        where=where,
        cause="the file's own code raised this",
        fix="correct the file; run it with python to see the whole traceback",
    )


def _with_parameters(
    built: Any, given: dict[str, str], arguments: Mapping[str, inspect.Parameter], where: str
) -> Any:
    """Put values of run-time parameters into the workflow."""
    if not given:
        return built
    known = _runtime_names(built)
    for name, text in given.items():
        if known is not None and name not in known:
            raise _unknown(name, known, arguments, where)
        if hasattr(built, "set_parameter"):
            built.set_parameter(name, text)
        else:
            raise DefinitionError(
                "TIP121",
                f"the parameter {name!r} cannot be set while compiling {where}",
                where=where,
                cause="it is not a tiphys Pipeline",
                fix="give it when the workflow is run or submitted",
            )
    return built


def _runtime_names(built: Any) -> list[str] | None:
    own = getattr(built, "declared", None)
    if own is not None:
        return [d.name for d in own]
    workflow = objects_of(built)[-1]
    return None if "workflowTemplateRef" in workflow_spec(workflow) else list(declared(workflow))


def _unknown(
    name: str, known: list[str], arguments: Mapping[str, inspect.Parameter], where: str
) -> DefinitionError:
    settings = list(arguments)
    return DefinitionError(
        "TIP121",
        f"there is no parameter {name!r}.{did_you_mean(name, [*known, *settings])}",
        where=where,
        cause=f"settings when compiling: {', '.join(settings) or 'none'}; "
        f"parameters when running: {', '.join(known) or 'none'}",
        fix="use one of these names",
    )


def _convert(name: str, text: str, parameter: inspect.Parameter, where: str) -> Any:
    """A setting by its annotation (or by the type of its default)."""
    kind = parameter.annotation
    if kind is parameter.empty:
        kind = str if parameter.default in (parameter.empty, None) else type(parameter.default)
    try:
        return _parse(text, kind)
    except ValueError as error:
        raise DefinitionError(
            "TIP122",
            f"the setting {name}={text!r} is not {error}",
            where=where,
            fix=f"the default is {parameter.default!r}" if parameter.default is not parameter.empty else "",
        ) from None


def _parse(text: str, kind: Any) -> Any:
    """``text`` as ``kind``. Raises ValueError that says what was expected."""
    origin = get_origin(kind) or kind
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in get_args(kind) if a is not type(None)]
        return None if text == "" and len(inner) < len(get_args(kind)) else _parse(text, inner[0])
    if origin is Literal:
        for choice in get_args(kind):
            if str(choice) == text:
                return choice
        choices = [str(c) for c in get_args(kind)]
        raise ValueError(f"one of {', '.join(choices)}.{did_you_mean(text, choices)}")
    if origin in (tuple, list):
        inner_kind = (get_args(kind) or (str,))[0]
        return origin(_parse(part.strip(), inner_kind) for part in text.split(",") if part.strip())
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError("true or false")
        return text == "true"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError("a whole number" if kind is int else "a number") from None
    return text
