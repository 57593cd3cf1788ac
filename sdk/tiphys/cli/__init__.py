"""The command line: parse, call the library, print. Nothing else in Tiphys prints.

Exit codes: 0 done (``run``: Succeeded), 1 it ran and failed, or findings, 2 refused before anything ran,
130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from tiphys._version import __version__
from tiphys.errors import TiphysError
from tiphys.garbage import seldom_collected
from tiphys.terminal import columns, plain

__all__ = ["main", "parser"]

# each module has register(subparsers), for the command of its name and perhaps others; the order is that in --help
_COMMANDS = (
    "compile", "lint", "run", "graph", "cache", "records", "models", "lineage", "diff", "serve", "runs", "reproduce",
    "queue", "report", "server", "ui", "train", "algorithms", "pools", "training_service", "imports",
)  # fmt: skip


class _Help(argparse.HelpFormatter):
    """One is made for each argument that is added: it should import nothing."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns() - 2)


class _Parser(argparse.ArgumentParser):
    """Those of the commands are of its kind."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, formatter_class=_Help)


def parser(command: str = "") -> argparse.ArgumentParser:
    """The parser of all commands; of one command that has a module of its name the parser of that module's, which takes
    a fraction of the time to make.
    """
    made = _Parser(
        prog="tiphys",
        description="ML pipelines in Python, as Argo Workflows YAML, on a laptop or on Kubernetes.",
        epilog="example: tiphys run pipelines/fashion_mnist.py -p epochs=12",
    )
    made.add_argument("--version", action="version", version=f"tiphys {__version__}")
    made.add_argument(
        "--traceback",
        action="store_true",
        help="show the Python traceback of an error (or TIPHYS_TRACEBACK=1)",
    )
    subparsers = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    alone = command in _COMMANDS
    for name in (command,) if alone else _COMMANDS:
        importlib.import_module(f"tiphys.cli.{name}").register(subparsers)
    if alone and command not in subparsers.choices:  # a module's name only
        return parser()
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Without ``arguments`` those of this process are meant, and it is over
    with the command: what is settled is not even looked at when Python ends, which took a tenth of a short one."""
    try:
        with seldom_collected():
            return _run(sys.argv[1:] if arguments is None else arguments)
    finally:
        if arguments is not None:
            gc.unfreeze()  # for whoever goes on: see tiphys.garbage.settled


def _run(given: Sequence[str]) -> int:
    options = parser(given[0] if given else "").parse_args(given)
    show = options.traceback or os.environ.get("TIPHYS_TRACEBACK", "") not in ("", "0")
    try:
        return int(options.handler(options))
    except TiphysError as error:
        if show:
            _trace()
        return _told(error)
    except KeyboardInterrupt:
        sys.stderr.write("tiphys: interrupted\n")
        return 130
    except BrokenPipeError:  # `tiphys … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        if show:
            _trace()
        place = f" ({error.filename})" if error.filename else ""
        return _told(TiphysError("TIP300", f"{error.strerror or error}{place}"))
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user who did not ask for it
        if show:
            _trace()
        return _told(_unexpected(error, str(options.command)))


def _trace() -> None:
    import traceback  # slow to import, as it reads source text

    traceback.print_exc()


def _told(error: TiphysError) -> int:
    sys.stderr.write(f"tiphys: {plain(str(error), 20_000)}\n")
    return error.exit_code


def _unexpected(error: Exception, command: str) -> TiphysError:
    """What nobody foresaw, as an error with a code.

    What is of use to who mends it is kept in a file: the traceback, and no argument, for those may be secrets.
    """
    import tempfile
    import traceback

    what = f"{type(error).__name__}: {error}"[:200].partition("\n")[0].rstrip(": ")
    frames = "".join(traceback.format_tb(error.__traceback__, 50))
    fix = "show the traceback with --traceback, and report it"
    with contextlib.suppress(OSError):
        handle, path = tempfile.mkstemp(prefix="tiphys-report-", suffix=".txt")
        with os.fdopen(handle, "w", errors="replace") as stream:
            stream.write(
                f"tiphys {__version__}, Python {sys.version}\ncommand: {command}\n\n{frames}{what}\n"
            )
        fix = f"report it with the file {path}"
    cause = "the input is larger or nested deeper than this program can take"
    if not isinstance(error, RecursionError | MemoryError):
        cause = "a fault of tiphys: it should have said what is wrong with the input"
    return TiphysError("TIP303", f"unexpected error: {what}", cause=cause, fix=fix)
