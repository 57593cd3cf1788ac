"""Memoization: the driver's side of ``LookupCache`` and ``StoreCache``. A hit must be seen to be true.

An entry is given to the core only when :mod:`tiphys.reuse.judge` trusts it; otherwise it is a miss, and the observer
hears why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tiphys.engine.base.observations import CacheChecked
from tiphys.engine.machine.protocol import CacheAnswer, CacheStored, Event, LookupCache, StoreCache
from tiphys.engine.pods.host import Host
from tiphys.errors import StoreError
from tiphys.reuse.judge import problem_of
from tiphys.store.configmaps import check_cache_label

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry


__all__ = ["Memoizer"]


class Memoizer:
    """Answers cache commands; ``emit`` takes the events."""

    def __init__(self, host: Host, emit: Callable[[Event], None]) -> None:
        self._host = host
        self._emit = emit

    def lookup(self, command: LookupCache) -> None:
        """Read an entry; verifying it is work for a thread."""
        host, loop = self._host, self._host.loop
        try:
            self._seed(command.cache_name)
            entry = host.store.configmaps.lookup(command.cache_name, command.key, now=loop.now())
        except StoreError as error:
            self._emit(CacheAnswer(loop.now(), command.node_id, None, error.message))
            return
        if entry is None:
            self._answer(command, None, "")
            return
        found = entry

        def done(problem: str) -> None:
            self._answer(command, None if problem else found, problem)

        loop.in_thread(lambda: problem_of(found, host.store), done, lambda error: done(str(error)))

    def store(self, command: StoreCache) -> None:
        """Write an entry."""
        host, now, error = self._host, self._host.loop.now(), ""
        try:
            self._seed(command.cache_name)
            host.store.configmaps.save(
                command.cache_name,
                command.key,
                node_id=command.node_id,
                outputs=command.outputs,
                now=now,
                namespace=host.namespace,
            )
        except StoreError as problem:
            error = problem.message
            if problem.code == "TIP422":
                error = (
                    f"error creating cache entry: {error} Please check out this page for help: "
                    "https://argo-workflows.readthedocs.io/en/latest/memoization/#faqs"
                )
        self._emit(CacheStored(now, command.node_id, error))

    def _answer(self, command: LookupCache, entry: CacheEntry | None, why: str) -> None:
        now = self._host.loop.now()
        hit = entry is not None
        self._host.tell(CacheChecked(now, command.node_id, command.cache_name, command.key, hit, why))
        self._emit(CacheAnswer(now, command.node_id, entry))

    def _seed(self, name: str) -> None:
        """A ConfigMap that was given with the workflow is the cache's first state."""
        given = self._host.objects.raw("ConfigMap", name)
        if given is not None and self._host.store.configmaps.get(name) is None:
            check_cache_label(given, name)
            self._host.store.configmaps.change(name, lambda current: current or given.copy())
