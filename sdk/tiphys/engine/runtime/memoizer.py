"""Memoization: the driver's side of ``LookupCache`` and ``StoreCache``. A hit must be seen to be true.

An entry is given to the core only when :mod:`tiphys.reuse.judge` trusts it; otherwise it is a miss, and the observer
hears why. Both are work for a thread: the file of entries is shared by all engines on the store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tiphys.engine.base.observations import CacheChecked
from tiphys.engine.machine.protocol import CacheAnswer, CacheStored, Event, LookupCache, StoreCache
from tiphys.engine.pods.host import Host
from tiphys.errors import StoreError
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.judge import Judge, held_by
from tiphys.reuse.limits import automatic
from tiphys.reuse.uses import Lookup, note
from tiphys.store.files import heed_full_disk

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry


__all__ = ["Memoizer"]


class Memoizer:
    """Answers cache commands; ``emit`` takes the events."""

    def __init__(self, host: Host, emit: Callable[[Event], None]) -> None:
        self._host = host
        self._emit = emit
        self._opened: Entries | None = None
        self._opening = threading.Lock()

    def lookup(self, command: LookupCache) -> None:
        """Read an entry and verify it."""
        now = self._host.loop.now()

        def work() -> tuple[CacheEntry | None, str]:
            entries = self._entries(command.cache_name)
            # used now, before it is looked at: no collection takes it, and what it points to, away meanwhile
            found = entries.get(command.cache_name, command.key, now=time.time())
            problem = ""
            if found is not None:
                judge = Judge(self._host.store, entries)
                problem = judge.problem(found, command.max_age, at=command.now)
            good = found is not None and not problem
            step = command.node_name.removeprefix(self._host.workflow).lstrip(".")
            note(
                entries.file,
                Lookup(
                    command.cache_name,
                    command.key,
                    self._host.workflow,
                    step,
                    command.template,
                    now,
                    good,
                    problem,
                    command.parts,
                ),
            )
            return found.argo() if found is not None and good else None, problem

        def failed(error: BaseException) -> None:
            heed_full_disk(error)
            if isinstance(error, StoreError):
                self._emit(CacheAnswer(self._host.loop.now(), command.node_id, None, error.message))
            else:
                self._answer(command, None, str(error))

        self._host.loop.in_thread(work, lambda answer: self._answer(command, *answer), failed)

    def store(self, command: StoreCache) -> None:
        """Write an entry."""
        host, now = self._host, self._host.loop.now()
        entry = CachedResult(
            command.cache_name,
            command.key,
            node=command.node_id,
            outputs=command.outputs,
            created=now,
            hit=now,
            run=host.workflow,
            template=command.template,
            max_age=command.max_age,
            parts=command.parts,
        )

        def work() -> None:
            held = held_by(command.outputs or {}, host.store)
            self._entries(command.cache_name).save(replace(entry, data=sum(held.values()), held=held))

        def done(error: str) -> None:
            self._emit(CacheStored(host.loop.now(), command.node_id, error))

        def stored(_: None) -> None:
            done("")
            host.loop.in_thread(self._keep_limits, lambda _: None, lambda error: None)

        def failed(error: BaseException) -> None:
            heed_full_disk(error)
            done(error.message if isinstance(error, StoreError) else str(error))

        host.loop.in_thread(work, stored, failed)

    def _keep_limits(self) -> None:
        """The step has its entry; that another has to go is nobody's trouble."""
        if self._opened is not None:
            automatic(self._host.store, self._opened, time.time())

    def close(self) -> None:
        """Close the file of entries."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _answer(self, command: LookupCache, entry: CacheEntry | None, why: str) -> None:
        now = self._host.loop.now()
        hit = entry is not None
        self._host.tell(CacheChecked(now, command.node_id, command.cache_name, command.key, hit, why))
        self._emit(CacheAnswer(now, command.node_id, entry))

    def _entries(self, cache: str) -> Entries:
        """The entries; a ConfigMap that was given with the workflow is its cache's first state."""
        with self._opening:
            if self._opened is None:
                self._opened = Entries(self._host.store)
        given = self._host.objects.raw("ConfigMap", cache)
        if given is not None:
            self._opened.begin(given)
        return self._opened
