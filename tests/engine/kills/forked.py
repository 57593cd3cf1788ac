"""Engines that are forked from this process, which has loaded all of tiphys: the start of Python is paid once.

The process that forks them is a child subreaper: what an engine leaves behind when it is killed, keeper and steps,
falls to it, and can be counted whatever it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tiphys.engine
from tiphys.engine import Run, RunOptions
from tiphys.errors import TiphysError

__all__ = ["Engine", "descendants", "name_of", "reap", "send", "subreaper", "warm"]

Json = Any
_PR_SET_CHILD_SUBREAPER = 36


def warm() -> None:
    """Load whatever an engine may load later, and leave it alone when garbage is looked for."""
    for module in pkgutil.walk_packages(tiphys.engine.__path__, "tiphys.engine."):
        if not module.name.rpartition(".")[2].startswith("_"):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def subreaper() -> None:
    """From now on, what loses its parent below this process becomes its child."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("this kernel has no child subreapers")


class Engine:
    """One engine in a process and session of its own. With a ``workflow`` it begins the run, else it goes on.
    ``before`` is called in it first."""

    def __init__(
        self,
        name: str,
        folder: Path,
        options: Mapping[str, Json],
        *,
        workflow: Mapping[str, Json] | None = None,
        context: list[Mapping[str, Json]] | None = None,
        before: Callable[[], None] | None = None,
    ) -> None:
        self.answer_path = folder / f"answer-{time.monotonic_ns()}.json"
        self._said = folder / "said.txt"
        self.code: int | None = None
        self.pid = os.fork()
        if not self.pid:
            code = 99
            try:
                os.setsid()
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                said = os.open(self._said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                null = os.open(os.devnull, os.O_RDONLY)
                for descriptor, place in ((null, 0), (said, 1), (said, 2)):
                    os.dup2(descriptor, place)
                if before is not None:
                    before()
                code = self._work(name, dict(options), workflow, context or [])
            except BaseException as error:  # noqa: BLE001 - it is told, and this process ends
                with contextlib.suppress(BaseException):
                    import traceback

                    os.write(2, "".join(traceback.format_exception(error)).encode())
            finally:
                os._exit(code)

    def _work(
        self,
        name: str,
        options: dict[str, Json],
        workflow: Mapping[str, Json] | None,
        context: list[Mapping[str, Json]],
    ) -> int:
        chosen = RunOptions(name=name, **options)
        try:
            if workflow is None:
                run = Run.load(name, options=chosen)
            else:
                run = Run(workflow, options=chosen, context=context, invalid="")  # type: ignore[arg-type]
            result = run.execute()
        except TiphysError as error:
            self._tell({"error": error.code, "text": str(error)})
            return 2
        self._tell({"phase": result.phase, "message": result.message})
        return 0

    def _tell(self, answer: Json) -> None:
        temporary = self.answer_path.with_suffix(".part")
        temporary.write_text(json.dumps(answer))
        temporary.rename(self.answer_path)

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it came."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.003)
        return True

    def answer(self) -> dict[str, str]:
        """What it told: ``phase`` of the run, or the ``error`` it ended with; empty when it was killed before."""
        try:
            found: dict[str, str] = json.loads(self.answer_path.read_text())
        except FileNotFoundError:
            return {}
        return found

    def said(self) -> str:
        """What engines of this folder wrote to stdout and stderr."""
        return self._said.read_text(errors="replace") if self._said.exists() else ""


def send(pid: int, number: int, *, group: bool = False) -> bool:
    """Send a signal; whether there was somebody to take it."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def descendants(pid: int) -> list[int]:
    """All processes below one that are no zombies, parents first."""
    found: list[int] = []
    look = [pid]
    while look:
        parent = look.pop(0)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                for word in Path(f"/proc/{parent}/task/{task}/children").read_text().split():
                    look.append(int(word))
                    if _state(int(word)) not in ("", "Z", "X"):
                        found.append(int(word))
    return found


def name_of(pid: int) -> str:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def reap(*engines: Engine) -> None:
    """Take the ends of what fell to this process, but for engines that are still looked at."""
    kept = {engine.pid for engine in engines if engine.code is None}
    for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        if int(word) not in kept:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(int(word), os.WNOHANG)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
