"""The Workflows of a store as one collection, whose every change has a number: what the API server has in etcd.

A thread looks at the store; others list it, and wait for changes. Numbers only grow, and those of a later server are
higher: who asks for what came after a number of an earlier one is told that it is too old, and lists again.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tiphys.engine import runtime
from tiphys.errors import StoreError
from tiphys.runs.local.backend import seen
from tiphys.runs.local.listing import UNREADABLE, read, written
from tiphys.runs.local.stamps import RunStamp, stamp, stamps
from tiphys.store.ended import Ended, Line, brief

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import Workflow
    from tiphys.store import Store

__all__ = ["Board", "BoardChange", "ExpiredError"]

log = logging.getLogger("tiphys.server")
_PERIOD = 0.05  # seconds between two looks at the runs that go on
_SWEEP = 2.0  # seconds between two looks at those that have ended: only a retry or a deletion changes them
_CLOCK = 0.05  # seconds: more than a tick of the clock that times of files are of
_REMEMBERED = 10_000  # deletions that are known
_MANY = 20  # new runs at once, for which one file tells what a list shows of them


class ExpiredError(Exception):
    """The number is of a time of which nothing is known any more."""


@dataclass(frozen=True, slots=True)
class BoardChange:
    """``kind`` is ``ADDED``, ``MODIFIED`` or ``DELETED``; of one that is deleted the Workflow is the last there was."""

    number: int
    kind: str
    name: str
    workflow: Workflow


@dataclass(slots=True)
class _Run:
    stamp: RunStamp
    born: int
    number: int
    brief: Workflow
    whole: Workflow | None  # None: it has ended, and is read when somebody wants it


class Board:
    """See the module. ``first`` is the number before the first change; usually the time in microseconds."""

    def __init__(self, store: Store, namespace: str = "argo", *, first: int | None = None) -> None:
        self.store = store
        self.namespace = namespace
        self.beginning: set[str] = set()  # runs that are made, and whose engine is on its way
        self._records: dict[str, runtime.Record] = {}  # of runs that go on: read from where they were
        self._first = time.time_ns() // 1000 if first is None else first
        self._last = self._first
        self._runs: dict[str, _Run] = {}  # the one that changed last is the last
        self._names: list[str] | None = None  # sorted; None: others have come, or gone
        self._gone: dict[str, BoardChange] = {}
        self._folder = -1.0
        self._swept = -_SWEEP
        self._guard = threading.RLock()
        self._heard: set[Callable[[], None]] = set()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look once, and begin to look again and again. Raises StoreError where the store cannot be read."""
        self.look()
        self._thread = threading.Thread(target=self._follow, name="tiphys-board", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        for record in self._records.values():
            record.close()
        self._records.clear()

    def _follow(self) -> None:
        while not self._over.wait(_PERIOD):
            try:
                self.look()
            except (StoreError, OSError) as error:  # it may be readable later
                log.warning("cannot look at the store: %s", error)
            except Exception:  # whoever waits must not wait for ever
                log.exception("cannot look at the store")

    # -- what there is ----------------------------------------------------------------------------------------

    @property
    def number(self) -> int:
        """Of the last change."""
        return self._last

    def briefs(self) -> tuple[int, list[Workflow]]:
        """The number of the last change, and all Workflows without nodes and templates, by name."""
        with self._guard:
            if self._names is None:
                self._names = sorted(self._runs)
            return self._last, [self._runs[name].brief for name in self._names]

    def get(self, name: str) -> Workflow | None:
        """A Workflow, whole."""
        with self._guard:
            run = self._runs.get(name)
            if run is None:
                return None
            whole, number = run.whole, run.number
        return self._with_number(name, whole, number)

    def _with_number(self, name: str, whole: Workflow | None, number: int) -> Workflow | None:
        # one that has ended may just now begin anew
        whole = whole or written(self.store, name)
        if whole is None:
            with self._guard:
                whole = self._read(name, ended=False)
        return None if whole is None else self._shown(whole, name, number)

    def changes(self, since: int) -> Iterator[BoardChange]:
        """What has changed after ``since``, in order; of a Workflow only the last. Raises ExpiredError."""
        with self._guard:
            if since < self._first:
                raise ExpiredError
            told: list[tuple[int, str, str, Workflow | None]] = [
                (run.number, "ADDED" if run.born > since else "MODIFIED", name, run.whole)
                for name, run in itertools.takewhile(
                    lambda item: item[1].number > since, reversed(self._runs.items())
                )
            ]
            told += [
                (each.number, each.kind, each.name, each.workflow)
                for each in self._gone.values()
                if each.number > since
            ]
        for number, kind, name, whole in sorted(told, key=lambda each: each[0]):
            # with the number that it had then: who goes on from it misses nothing that came in between
            shown = whole if kind == "DELETED" else self._with_number(name, whole, number)
            if shown is not None:
                yield BoardChange(number, kind, name, shown)

    def count(self) -> int:
        """The number of a change of something else in the store, which is told to all."""
        with self._guard:
            self._last += 1
            heard = list(self._heard)
            number = self._last
        for each in heard:
            each()
        return number

    def hear(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call ``heard`` (from another thread) after each change, until what this returns is called."""
        with self._guard:
            self._heard.add(heard)
        return lambda: self._heard.discard(heard)

    # -- looking ----------------------------------------------------------------------------------------------

    def look(self, *, ended: bool = False) -> None:
        """Take in what has changed in the store; with ``ended`` also, at once, of runs that had ended."""
        with self._guard:
            if ended:
                self._folder = -1.0
            before = self._last
            there = self._there()
            lines = Ended(self.store).lines() if len(there) - len(self._runs) > _MANY else {}
            for name in self._runs.keys() - there.keys():
                self._forget(name)
            for name, now in sorted(there.items(), key=lambda item: (item[1].began, item[0])):
                run = self._runs.get(name)
                if run is None or run.stamp != now:
                    self._take(name, now, run, lines.get(name))
            heard = list(self._heard) if self._last != before else []
        for each in heard:
            each()

    def _there(self) -> dict[str, RunStamp]:
        folder = self.store.root / "runs"
        with contextlib.suppress(OSError):
            written_at = os.stat(folder).st_mtime
            now = time.monotonic()
            if written_at == self._folder and now - self._swept < _SWEEP:
                return {
                    name: run.stamp if run.stamp.ended else stamp(self.store, name)
                    for name, run in self._runs.items()
                }
            self._folder, self._swept = written_at, now
        return stamps(self.store)

    def _take(self, name: str, now: RunStamp, run: _Run | None, line: Line | None) -> None:
        if line is not None and now.is_of(line):
            whole: Workflow | None = line.workflow
        else:
            whole = self._read(name, ended=now.ended)
        if whole is None:  # it is being made, or deleted, just now: look again, at all
            self._folder = -1.0
            return
        if not now.ended and time.time() - now.began < _CLOCK:
            now = replace(
                now, stamp=f"{now.stamp} just now"
            )  # what is written in the same tick has the same stamp
        if run is not None and whole == run.whole:
            run.stamp = now
            return
        self._last += 1
        shown = self._shown(whole, name, self._last)
        born = run.born if run is not None else self._last
        self._gone.pop(name, None)
        if self._runs.pop(name, None) is None:
            self._names = None
        self._runs[name] = _Run(now, born, self._last, brief(shown), None if now.ended else whole)

    def _forget(self, name: str) -> None:
        run = self._runs.pop(name)
        self._names = None
        self._let_go(name)
        self._last += 1
        last = self._shown(run.whole or run.brief, name, self._last)
        self._gone[name] = BoardChange(self._last, "DELETED", name, last)
        while len(self._gone) > _REMEMBERED:  # who has not heard of the oldest must list again
            oldest = next(iter(self._gone))
            self._first = self._gone.pop(oldest).number

    def _read(self, name: str, *, ended: bool = True) -> Workflow | None:
        """What there is of a run now. Called with the guard held."""
        if ended:
            self._let_go(name)
            return written(self.store, name)

        def goes_on(_: str, __: str) -> Workflow:
            record = self._records.get(name)
            if record is not None:
                before, workflow = record.seen, seen(record)
                if record.seen != before:
                    return workflow
                self._let_go(name)  # a journal that nobody wrote was opened as it was then, for good
            record = self._records[name] = runtime.Record(self.store, name, reading=True)
            return seen(record)

        whole = read(self.store, goes_on, name, 0.0)
        if whole is None or whole["status"].get("phase") == UNREADABLE:
            self._let_go(name)  # it is read anew the next time
        elif name in self.beginning:
            whole["status"].pop("message", None)
        return whole

    def _let_go(self, name: str) -> None:
        if (record := self._records.pop(name, None)) is not None:
            record.close()

    def _shown(self, workflow: Workflow, name: str, number: int) -> Workflow:
        """As the API server has it: a name of its own in its namespace, and the number of its last change."""
        metadata: ObjectMeta = {
            **workflow["metadata"],
            "name": name,
            "namespace": self.namespace,
            "resourceVersion": str(number),
        }
        shown: Workflow = {**workflow, "metadata": metadata}
        if (workflow.get("status") or {}).get("phase"):
            # the real `argo server` fails without a repository when an artifact is asked for
            shown["status"] = {"artifactRepositoryRef": {"default": True}, **workflow["status"]}
        return shown
