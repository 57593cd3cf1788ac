"""Running one function as a step: inputs from the environment and from files, outputs to files."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import signal
import sys
import tempfile
import traceback
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from tiphys.errors import RefusedError, TiphysError, did_you_mean
from tiphys.large import shortened, whole
from tiphys.reference import Reference, volumes_from_env
from tiphys.step import files
from tiphys.step.codec import decode, files_of, outputs_of
from tiphys.step.kinds import INPUT_PREFIX, LAST_WORDS_ENV, file_library, input_variable, optional
from tiphys.verbatim import parted, rejoined

__all__ = [
    "INPUT_PREFIX",
    "OUTPUTS_ENV",
    "arguments_of",
    "main",
    "resolve_function",
    "write_outputs",
]

OUTPUTS_ENV = "TIPHYS_OUTPUTS"
TERMINATED = 143
_LAST_WORDS = 1000  # characters of them; the kubelet keeps 4096
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run ``MODULE:FUNCTION`` and return the exit code: 0, 1 failed, 2 wrong call, 143 terminated."""
    signal.signal(signal.SIGTERM, _terminate)
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        sys.stderr.write(
            "usage: python -m tiphys.step MODULE:FUNCTION\n"
            "inputs: TIPHYS_INPUT_<NAME>; outputs: files in the folder TIPHYS_OUTPUTS\n"
            "example: TIPHYS_INPUT_LIMIT=9 TIPHYS_OUTPUTS=o python -m tiphys.step components.ingest:ingest\n"
        )
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    try:
        function = resolve_function(arguments[0])
        result = function(**arguments_of(function, os.environ))
        volumes = volumes_from_env()
        texts = {
            name: parted(shortened(name, text, volumes, os.environ))
            for name, text in outputs_of(result, _returned(function)).items()
        }
        folder = os.environ.get(OUTPUTS_ENV) or "outputs"
        if made := files_of(result, _returned(function)):
            texts.update(files.outputs(made, folder))
        write_outputs(texts, Path(folder))
    except TiphysError as error:
        sys.stderr.write(f"{error}\n")
        _last_words(f"{error.code}: {error.message}")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - the user's code may raise anything
        _print_traceback()
        return 1
    finally:
        sys.stdout.flush()
    return 0


def _returned(function: Callable[..., Any]) -> Any:
    """What a function says that it returns, if it can be read."""
    try:
        return typing.get_type_hints(function, include_extras=True).get("return")
    except (NameError, TypeError):
        return None


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """End through the normal exit, so that ``finally`` blocks and temporary folders are cleaned up."""
    raise SystemExit(TERMINATED)


def _last_words(text: str) -> None:
    """What Argo has in the node's message: the kubelet takes it from a file, as the engine of one machine does."""
    own = os.environ.get(LAST_WORDS_ENV)
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_TRUNC | (os.O_CREAT if own else 0)
        with open(
            os.open(own or "/dev/termination-log", flags, 0o644), "w", encoding="utf-8", errors="replace"
        ) as file:
            file.write(text[:_LAST_WORDS])


def _print_traceback() -> None:
    """The traceback from the user's first frame on."""
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__ and trace.tb_next is not None:
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


def resolve_function(reference: str) -> Callable[..., Any]:
    """The function that ``module:function`` names. Raises RefusedError (TIP243)."""
    module_name, _, name = reference.partition(":")
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise
        raise RefusedError(
            "TIP243",
            f"the module {module_name!r} of the step {reference!r} is not here",
            cause="the image does not have it, or it is not on the Python path",
            fix="install the package in the image, or keep the function in the pipeline's own file",
        ) from error
    value: Any = module
    for part in name.split("."):
        if not part or not hasattr(value, part):
            raise RefusedError(
                "TIP243",
                f"{module_name} has no function {name!r}.{did_you_mean(part, dir(value))}",
                fix="compile the pipeline again with the code that is in the image",
            )
        value = getattr(value, part)
    value = getattr(value, "__wrapped__", value)  # a decorated component
    if not callable(value):
        raise RefusedError("TIP243", f"{reference} is not a function", fix="name a function")
    return value  # type: ignore[no-any-return]


def arguments_of(function: Callable[..., Any], environ: Mapping[str, str]) -> dict[str, object]:
    """The arguments of ``function`` from ``TIPHYS_INPUT_<NAME>``. Raises RefusedError (TIP240, TIP241),
    StoreError (TIP406: the file of a long value is gone)."""
    hints = typing.get_type_hints(function, include_extras=True)
    arguments: dict[str, object] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        variable = input_variable(name)
        if variable in environ:
            kind = hints.get(name, str)
            if (library := file_library(kind)) is not None:
                arguments[name] = files.read(environ[variable], library, name, optional=optional(kind))
                continue
            text = rejoined(environ[variable])
            if kind is not Reference:
                text = whole(text, volumes_from_env(environ))
            arguments[name] = decode(text, kind, name)
        elif parameter.default is parameter.empty:
            given = [v for v in environ if v.startswith(INPUT_PREFIX)]
            raise RefusedError(
                "TIP240",
                f"the input {name!r} was not given.{did_you_mean(variable, given)}",
                cause=f"{variable} is not set",
                fix=f"set {variable}, or give {name!r} a default",
            )
    return arguments


def write_outputs(outputs: Mapping[str, str], folder: Path) -> None:
    """Write one file for each output: all to temporary files first, then renamed."""
    if not outputs:  # as of a worker of a job, which has no folder for them
        return
    folder.mkdir(parents=True, exist_ok=True)
    pending: list[tuple[str, Path]] = []
    try:
        for name, text in outputs.items():
            descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
            pending.append((temporary, folder / name))
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
                stream.write(text + "\n" if text.endswith("\n") else text)  # Argo takes one end of a line off
            os.chmod(temporary, 0o644)
        while pending:
            temporary, target = pending[0]
            os.replace(temporary, target)
            pending.pop(0)
    finally:
        for temporary, _ in pending:
            Path(temporary).unlink(missing_ok=True)
