"""Judging one input after the other: a value or a documented error, soon, and without growing.

What is told is about the process that calls: :mod:`tests.fuzz.worker` is one of its own for each target.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tiphys.errors import TiphysError

__all__ = ["CORPUS", "LIMIT", "Broken", "Watch", "file_of", "kept", "resident"]

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).with_name("corpus")
LIMIT = 10.0  # seconds of processor time for one input
KNOWN = frozenset(re.findall(r"^\| (TIP\d{3}) \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))
_TRIES = 400  # to make an input smaller
_PATIENCE = 10.0  # seconds of processor time for all of them


class Broken(Exception):
    """What came out is wrong: it was written outside, or two readers say two things."""


class _Hang(BaseException):
    pass


def _alarm(number: int, frame: FrameType | None) -> None:
    raise _Hang


def resident() -> float:
    """Megabytes that the process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


class Watch:
    """Counts what came of the inputs of one target; ``findings`` are told once for each place in the code."""

    def __init__(
        self,
        call: Callable[[Any], object],
        allowed: tuple[type[Exception], ...],
        shrink: Callable[[Any], Any],
    ) -> None:
        self._call = call
        self._allowed = allowed
        self._shrink = shrink
        self.ends: Counter[str] = Counter()
        self.findings: dict[str, dict[str, Any]] = {}
        self.slowest = (0.0, "")
        signal.signal(signal.SIGVTALRM, _alarm)

    def judge(self, given: Any) -> None:
        """Call with one input."""
        begin = time.process_time()
        end, finding = self._end(given)
        self.ends[end] += 1
        spent = time.process_time() - begin
        if spent > self.slowest[0]:
            self.slowest = (spent, repr(given)[:200])
        if finding:
            known = self.findings.setdefault(end, {"count": 0, "input": given, "said": finding})
            known["count"] += 1
            if len(given) < len(known["input"]):
                known["input"], known["said"] = given, finding

    def _end(self, given: Any) -> tuple[str, str]:
        """How it ended, and what is wrong with that."""
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
        try:
            self._call(given)
        except _Hang as error:
            return "hang", _place(error)
        except TiphysError as error:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            if error.code not in KNOWN or not str(error):
                return f"unknown code {error.code}", _place(error)
            return error.code, ""
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            if type(error) in self._allowed:
                return type(error).__name__, ""
            place = _place(error)
            return f"{type(error).__name__} {place}", f"{place}: {type(error).__name__}: {str(error)[:200]}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        return "value", ""

    def minimise(self) -> None:
        """Make the input of each finding smaller, while it ends as it does."""
        until = time.process_time() + _PATIENCE
        for end, known in self.findings.items():
            if end == "hang":
                continue
            tries = 0
            smaller = True
            while smaller and tries < _TRIES and time.process_time() < until:
                smaller = False
                for each in self._shrink(known["input"]):
                    tries += 1
                    if tries > _TRIES or time.process_time() > until:
                        break
                    if self._end(each)[0] == end:
                        known["input"] = each
                        smaller = True
                        break


def _place(error: BaseException) -> str:
    """The last place of the house in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if "/tiphys/" in each.filename or "/components/" in each.filename]
    last = (ours or list(frames))[-1]
    return f"{last.filename.removeprefix(str(ROOT)).lstrip('/')}:{last.lineno}"


def file_of(target: str) -> Path:
    """The file of the corpus that is a target's."""
    return CORPUS / (re.sub(r"[^\w-]", "", target.replace(" ", "-")) + ".jsonl")


def kept(target: str) -> list[Any]:
    """The corpus of a target: one JSON value a line; lines with # are remarks."""
    path = file_of(target)
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line and not line.startswith("#")]
