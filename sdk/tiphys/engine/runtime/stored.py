"""The record of a run in the store: whether its engine lives, and the Workflow object as it stands.

Everything is rebuilt from the journal, so it is there while the engine runs, after it was killed, and at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from tiphys.engine.machine.machine import Machine
from tiphys.engine.runners.left import end_left
from tiphys.engine.runtime.facts import WRITTEN, RunFacts
from tiphys.engine.runtime.journal import Journal
from tiphys.engine.runtime.kept_by import part
from tiphys.errors import RefusedError, StoreError, TiphysError, did_you_mean
from tiphys.reference import contents
from tiphys.store import Store

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow


__all__ = ["Ownership", "Record"]

_GLANCE = 0.2  # seconds: who only looks whether a run goes on (Store.held) has the lock for a moment


class Ownership:
    """A run's folder, held by the one engine that may write its events; the lock ends with the process.

    Raises
    ------
    RefusedError
        TIP210: another engine holds it.
    FileNotFoundError
        The run was deleted meanwhile.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._descriptor = -1
        until = time.monotonic() + _GLANCE
        while not self._there(folder):
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            while not self._taken():
                if time.monotonic() > until:
                    self.close()
                    raise RefusedError(
                        "TIP210",
                        f"the run {name!r} goes on in another process",
                        where=str(folder),
                        fix="wait for it, stop it, or give this run another name",
                    )
                time.sleep(_GLANCE / 20)

    def _there(self, folder: Path) -> bool:
        """Whether the folder that is held is the one of that name: it may have been renamed or deleted meanwhile."""
        if self._descriptor < 0:
            return False
        held = os.fstat(self._descriptor)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(held, os.stat(folder)):
                return True
        self.close()
        return False

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def end_left(self) -> None:
        """End the steps that outlived a killed engine of this run: for who moves or removes its folder, or begins it
        anew."""
        self.part()
        end_left(self._folder)

    def part(self) -> None:
        """End the steps that the keeper of another run has, which made this one: for who goes on with it by itself."""
        part(self._folder, Store(self._folder.parents[1]))

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Ownership:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Record:
    """One run of the store. ``reading``: for those who only look; nothing is written, whatever is asked of it.

    Raises
    ------
    RefusedError
        TIP211: there is no such run; TIP213: its journal is of another version.
    StoreError
        TIP451: its journal is damaged; TIP411, TIP412: it cannot be read or written.
    """

    def __init__(self, store: Store, name: str, *, reading: bool = False) -> None:
        self.store = store
        self.name = name
        if not store.has_run(name) or not (store.run(name) / "journal.db").is_file():
            known = store.runs()
            near = did_you_mean(name, known)
            raise RefusedError(
                "TIP211",
                f"there is no run {name!r}.{near}",
                where=str(store.root),
                cause="" if near else f"runs: {', '.join(known[-5:]) or 'none'}",
                fix="`tiphys list --local` lists them; --store names another folder",
            )
        self.folder = store.run(name)
        self.journal = Journal(self.folder / "journal.db", reading=reading)
        try:
            self.facts = RunFacts.from_json(self.journal.facts())
        except TiphysError:
            self.journal.close()
            raise
        self._machine: Machine | None = None
        self._seen = 0

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begun(self) -> RunFacts:
        """The facts of the run. Raises RefusedError TIP226 when it was killed before they were written."""
        if self.facts is None:
            raise RefusedError(
                "TIP226", f"the run {self.name!r} was killed before it began", fix="run the workflow again"
            )
        return self.facts

    def own(self) -> Ownership:
        """Hold the run's folder.

        Raises
        ------
        RefusedError
            TIP210: another process holds it; TIP216: a later run has taken its name (a workflow with a fixed name).
        """
        name = self.begun().name
        if name != self.name:
            raise RefusedError(
                "TIP216",
                f"{self.name!r} is an earlier run of {name!r} and does not go on",
                cause="a later run has the name",
                fix=f"tiphys resubmit {self.name}",
            )
        return Ownership(self.folder, self.name)

    def take_up(self) -> Ownership:
        """Hold the run's folder to go on with it. Raises RefusedError TIP212 for one that has ended, and as
        :meth:`own`."""
        if self.state == "ended":
            raise RefusedError(
                "TIP212",
                f"the run {self.name!r} has ended",
                fix="retry it, or resubmit it: what is cached is used",
            )
        return self.own()

    @property
    def state(self) -> Literal["running", "killed", "ended"]:
        """``running``: its engine lives; ``killed``: it does not, and the run has not ended."""
        if self.live:
            return "running"
        return "ended" if self.has_ended else "killed"

    @property
    def has_ended(self) -> bool:
        """Whether its end was written, and nobody has begun it again."""
        return (self.folder / "workflow.json").is_file()

    @property
    def live(self) -> bool:
        """Whether some process holds the run."""
        return self.store.held(self.name)

    def machine(self) -> Machine:
        """The machine with all events so far; asked again, it takes in what has come since.

        Raises
        ------
        StoreError
            TIP451: the journal is damaged, also where its sums cannot tell (an earlier version wrote none).
        """
        try:
            if self._machine is None:
                self._machine = self.begun().machine()
            for number, event in self.journal.events_after(self._seen):
                self._seen = number
                self._machine.handle(event)
        except TiphysError:
            raise
        except Exception as error:  # whatever a machine makes of facts that nobody wrote
            raise StoreError(
                "TIP451",
                f"the journal of {self.name!r} cannot be replayed: {type(error).__name__}: {error}",
                where=str(self.folder / "journal.db"),
                fix="start the run anew",
            ) from error
        return self._machine

    @property
    def seen(self) -> int:
        """The number of the last event that :meth:`machine` took in, or, of a run that ended, of the last there is."""
        return self._seen or self.journal.last()

    @property
    def retries(self) -> int:
        """How often the run was retried, when its facts were read."""
        return self.facts.retries if self.facts is not None else 0

    def refresh(self) -> bool:
        """Read everything anew if the run was retried since; whether it was."""
        if (self.journal.fact("retries") or 0) == self.retries:
            return False
        self.facts = RunFacts.from_json(self.journal.facts())
        self._machine, self._seen = None, 0
        return True

    def workflow(self) -> Workflow:
        """The Workflow object as it stands; of a run that ended what was written at its end, if that is whole."""
        with contextlib.suppress(OSError, ValueError):
            data = contents(self.folder / "workflow.json")
            if self.journal.fact(WRITTEN) in (None, zlib.crc32(data)):
                found: Workflow = json.loads(data)
                return found
        return self.machine().workflow()
