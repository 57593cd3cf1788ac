"""The Workflows of a store as one collection, whose every change has a number: what the API server has in etcd.

A thread looks at the store; others list it, and wait for changes. Numbers only grow, and those of a later server are
higher: who asks for what came after a number of an earlier one is told that it is too old, and lists again.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tiphys.argo.nodes import COMPLETED
from tiphys.engine import runtime
from tiphys.errors import StoreError
from tiphys.runs.local.backend import seen
from tiphys.runs.local.listing import UNREADABLE, read, written
from tiphys.runs.local.stamps import RunStamp, names_of, stamp
from tiphys.server.recent import RecentRuns
from tiphys.server.texts import encoded
from tiphys.store.ended import Ended, Line, brief

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import Workflow
    from tiphys.store import Store

__all__ = ["ARCHIVED", "Board", "BoardChange", "ExpiredError"]

log = logging.getLogger("tiphys.server")
_PERIOD = 0.05  # seconds between two looks at the runs that go on
_SWEEP = 2.0  # seconds in which each of those that have ended is looked at again
_AT_ONCE = 100  # but no more of them in one look: of 10 000 each is looked at every 5 s
_CLOCK = 0.05  # seconds: more than a tick of the clock that times of files are of
_DOUBT = 60.0  # seconds since it was written, in which a run that cannot be read is looked at again and again
_REMEMBERED = 10_000  # deletions that are known
_TOLD = 64  # changes whose Workflows are kept for who comes later
_MANY = 20  # new runs at once, for which one file tells what a list shows of them
ARCHIVED = "workflows.argoproj.io/workflow-archiving-status"
"""The label that says of a Workflow that it is in the archive."""


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
        # whether a run that has ended says that it is in the archive, which Argo's UI then asks for it
        self.archives: Callable[[], bool] = lambda: False
        self.beginning: set[str] = set()  # runs that are made, and whose engine is on its way
        self._records: dict[str, runtime.Record] = {}  # of runs that go on: read from where they were
        self._first = time.time_ns() // 1000 if first is None else first
        self._last = self._first
        self._runs: dict[str, _Run] = {}  # the one that changed last is the last
        self._names: list[str] | None = None  # sorted; None: others have come, or gone
        self._latest: list[str] | None = None  # the newest first; None: also when one has begun
        self._gone: dict[str, BoardChange] = {}
        self._going: set[str] = set()  # those that have not ended
        self._sweep: Iterator[str] = iter(())
        self._folder = -1.0
        self._scanned = -_SWEEP
        self._recent = RecentRuns()
        self._told: dict[tuple[str, int], Workflow] = {}  # of the last changes
        self._guard = threading.RLock()
        self._scanning = threading.Lock()
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

    def latest(self) -> tuple[int, list[Workflow]]:
        """As :meth:`briefs`, the one that began last first."""
        with self._guard:
            if self._latest is None:
                runs = sorted(
                    self._runs.items(), key=lambda item: (_began(item[1].brief), item[1].born), reverse=True
                )
                self._latest = [name for name, _ in runs]
            return self._last, [self._runs[name].brief for name in self._latest]

    def newest(self) -> str:
        """The name of the Workflow that was created last; empty without any."""
        with self._guard:
            made = ((run.brief["metadata"], run.born) for run in self._runs.values())
            last = max(made, key=lambda each: (each[0].get("creationTimestamp") or "", each[1]), default=None)
        return last[0]["name"] if last is not None else ""

    def get(self, name: str) -> Workflow | None:
        """A Workflow, whole."""
        with self._guard:
            run = self._runs.get(name)
            if run is None:
                return None
            whole, number = run.whole or self._known(name, run.stamp), run.number
        return self._with_number(name, whole, number)

    def whole(self, shown: Workflow) -> Workflow | None:
        """As :meth:`get`, of one that :meth:`briefs` shows."""
        return self.get(shown["metadata"]["name"])

    def text(self, shown: Workflow) -> bytes | None:
        """Its JSON; of one that has ended it is kept."""
        name = shown["metadata"]["name"]
        with self._guard:
            run = self._runs.get(name)
            if run is None:
                return None
            now, number = run.stamp, run.number
        kept = self._recent.text(name, now, number) if now.ended else b""
        if kept and stamp(self.store, name) == now:
            return kept
        found = self.get(name)
        if found is None:
            return None
        text = encoded(found)
        if now.ended and found["metadata"].get("resourceVersion") == str(number):
            self._recent.keep_text(name, now, number, text)
        return text

    def _known(self, name: str, now: RunStamp) -> Workflow | None:
        """What was read of a run that has ended, if that is still how it ended."""
        found = self._recent.get(name, now)
        return found if found is not None and stamp(self.store, name) == now else None

    def _with_number(self, name: str, whole: Workflow | None, number: int) -> Workflow | None:
        if whole is None:
            before = stamp(self.store, name)
            whole = written(self.store, name)
            if whole is not None:
                self._recent.put(name, before, whole)
        if whole is None:  # one that had ended may just now begin anew
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
            shown = whole if kind == "DELETED" else self._told_of(name, whole, number)
            if shown is not None:
                yield BoardChange(number, kind, name, shown)

    def _told_of(self, name: str, whole: Workflow | None, number: int) -> Workflow | None:
        """The same object for all who are told of a change."""
        if (found := self._told.get((name, number))) is not None:
            return found
        shown = self._with_number(name, whole, number)
        if shown is not None:
            with self._guard:
                shown = self._told.setdefault((name, number), shown)
                while len(self._told) > _TOLD:
                    del self._told[next(iter(self._told))]
        return shown

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

    def look(self, *names: str) -> None:
        """Take in what has changed in the store: the runs that go on, those that came or went, and some of those that
        have ended, which only a retry or a deletion changes. With ``names`` only these, and the runs that go on."""
        before, there = (set(), None) if names else self._scan()
        with self._guard:
            last = self._last
            for name in before - there if there is not None else ():
                if name in self._runs:
                    self._forget(name)
            came = (there or {name for name in names if self.store.has_run(name)}) - self._runs.keys()
            # one that makes room for another of its name has a number behind it
            room = (each.rpartition(".")[0] for each in came)
            ended = () if names else self._swept()
            known = [name for name in (*names, *room, *self._going, *ended) if name in self._runs]
            lines = Ended(self.store).lines() if len(came) > _MANY else {}
            found = {name: stamp(self.store, name) for name in (*came, *known)}
            for name, now in sorted(found.items(), key=lambda item: (item[1].began, item[0])):
                run = self._runs.get(name)
                if run is None or run.stamp != now:
                    self._take(name, now, run, lines.get(name))
            heard = list(self._heard) if self._last != last else []
        for each in heard:
            each()

    def _scan(self) -> tuple[set[str], set[str] | None]:
        """Those that were known, and then all that there are, as :meth:`_there`: nobody waits for it."""
        with self._scanning:
            with self._guard:
                known = set(self._runs)
            return known, self._there()

    def _there(self) -> set[str] | None:
        """The names of all runs; None while the folder that they are in is as it was."""
        folder = self.store.root / "runs"
        with contextlib.suppress(OSError):
            written_at, now = os.stat(folder).st_mtime, time.monotonic()
            if written_at == self._folder and now - self._scanned < _SWEEP:
                return None
            recent = time.time() - written_at < _CLOCK  # what comes in the same tick leaves the same time
            self._folder, self._scanned = -1.0 if recent else written_at, now
        return names_of(self.store)

    def _swept(self) -> list[str]:
        """The next few of the runs that have ended: all of them within ``_SWEEP``, or so many that it costs little."""
        count = min(_AT_ONCE, math.ceil(len(self._runs) * _PERIOD / _SWEEP))
        found = list(itertools.islice(self._sweep, count))
        if len(found) < count:
            self._sweep = iter(list(self._runs))
            found += itertools.islice(self._sweep, count - len(found))
        return found

    def _take(self, name: str, now: RunStamp, run: _Run | None, line: Line | None) -> None:
        if line is not None and now.is_of(line):
            whole: Workflow | None = line.workflow
        else:
            whole = self._read(name, ended=now.ended)
        if whole is None:  # it is being made, or deleted, just now: look again, at all
            self._folder = -1.0
            return
        # what cannot be read of a run that goes on may be so for a moment alone, and nobody may write it any more
        doubtful = (whole.get("status") or {}).get("phase") == UNREADABLE
        if not now.ended and time.time() - now.began < (_DOUBT if doubtful else _CLOCK):
            now = replace(
                now, stamp=f"{now.stamp} just now"
            )  # what is written in the same tick has the same stamp
        (self._going.discard if now.ended else self._going.add)(name)
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
        if run is None or _began(run.brief) != _began(shown):
            self._latest = None

    def _forget(self, name: str) -> None:
        run = self._runs.pop(name)
        self._names = self._latest = None
        self._going.discard(name)
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
        phase = (workflow.get("status") or {}).get("phase")
        if phase in COMPLETED and self.archives():
            metadata["labels"] = {**(metadata.get("labels") or {}), ARCHIVED: "Archived"}
        if phase:
            # the real `argo server` fails without a repository when an artifact is asked for
            shown["status"] = {"artifactRepositoryRef": {"default": True}, **workflow["status"]}
        return shown


def _began(shown: Workflow) -> str:
    """When it started, else when it was created."""
    status = shown.get("status") or {}
    return str(status.get("startedAt") or shown["metadata"].get("creationTimestamp") or "")
