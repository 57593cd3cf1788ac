"""Who may run at the same time: semaphores, mutexes, and gangs of training workers.

Argo 4 admits one permit for each holder and has no weights, so a gang of W workers is one permit and the
limit is ``capacity // W``: a gang starts whole or not at all. Limits live in a ConfigMap whose key must exist
before the run; the compiler writes it before the workflow, and beside it (:mod:`tiphys.argo.pools`) that the gang is W
permits of its pool.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tiphys.argo.pools import Weight
from tiphys.compiler.line import Site, caller
from tiphys.dsl.names import check_name
from tiphys.errors import DefinitionError

__all__ = ["LOCKS", "Gang", "Lock", "Mutex", "Semaphore", "synchronization"]

LOCKS = "tiphys-locks"
"""The ConfigMap with the limits of semaphores."""


@dataclass(frozen=True, slots=True)
class Semaphore:
    """At most ``limit`` holders at a time, over all workflows of the namespace that name it.

    ``part``: the pool, how many of its permits each holder has, and how many there are; without, the semaphore is a
    pool of its own. ``counts``: the numbers of them that a holder can do with, where it
    can do with fewer.
    """

    name: str
    limit: int
    config_map: str = LOCKS
    site: Site = field(default_factory=caller, compare=False, repr=False)
    part: tuple[str, int, int] | None = None
    counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "a semaphore", self.site)
        check_name(self.config_map, "a ConfigMap", self.site)
        if isinstance(self.limit, bool) or not isinstance(self.limit, int) or self.limit < 1:
            raise DefinitionError(
                "TIP116",
                f"the semaphore {self.name!r} has the limit {self.limit!r}",
                where=str(self.site),
                cause="Argo fails a workflow whose semaphore has a limit below 1",
                fix="give a limit of at least 1",
            )

    def weight(self) -> Weight:
        """What a holder has of which pool. Those of another ConfigMap are other pools."""
        pool, permits, size = self.part or (self.name, 1, self.limit)
        place = "" if self.config_map == LOCKS else f"{self.config_map}:"
        least = self.counts[0] if self.counts else 0
        every = self.counts == tuple(range(least, permits + 1))
        key = f"{self.config_map}/{self.name}"
        return Weight(key, f"{place}{pool}", permits, size, least, () if every else self.counts)

    def reference(self) -> dict[str, Any]:
        return {"configMapKeyRef": {"name": self.config_map, "key": self.name}}


@dataclass(frozen=True, slots=True)
class Mutex:
    """One holder at a time."""

    name: str
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_name(self.name, "a mutex", self.site)

    def reference(self) -> dict[str, Any]:
        return {"name": self.name}


Lock = Semaphore | Mutex


@dataclass(frozen=True, slots=True)
class Gang:
    """Admission of whole gangs: ``capacity`` workers of ``pool`` fit at a time, in gangs of any size.

    Without a capacity a pool is as large as its largest gang.

    On a cluster, gangs of W workers have a semaphore of ``capacity // W``, and those of another size one of their own,
    so there a pool should hold jobs of one size.
    """

    capacity: int | None = None
    pool: str = "training"
    config_map: str = LOCKS
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_name(self.pool, "a pool", self.site)
        if self.capacity is None:
            return
        if isinstance(self.capacity, bool) or not isinstance(self.capacity, int) or self.capacity < 1:
            raise DefinitionError(
                "TIP109",
                f"the gang's capacity is {self.capacity!r}",
                where=str(self.site),
                cause="it counts workers that may run at the same time",
                fix="give a whole number of at least 1",
            )

    def semaphore(
        self, workers: int, site: Site, *, counts: tuple[int, ...] = (), label: str = ""
    ) -> Semaphore:
        """The semaphore for gangs of ``workers``, or (``counts``, as ``label`` has it) of fewer, too. Raises
        DefinitionError (TIP109) when none would ever fit."""
        capacity = workers if self.capacity is None else self.capacity
        if workers > capacity:
            raise DefinitionError(
                "TIP109",
                f"a gang of {workers} workers never fits a capacity of {capacity}",
                where=str(site),
                cause="a gang starts whole or not at all",
                fix=f"use at most {capacity} workers, or raise the capacity to {workers}",
            )
        return Semaphore(
            f"{self.pool}-{label or workers}",
            capacity // workers,
            self.config_map,
            self.site,
            part=(self.pool, workers, capacity),
            counts=counts,
        )


def synchronization(locks: list[Lock], mutex_names: list[str]) -> dict[str, Any] | None:
    """Argo's lists of locks: semaphores first, then mutexes, as Argo takes them."""
    result: dict[str, Any] = {}
    semaphores = [lock.reference() for lock in locks if isinstance(lock, Semaphore)]
    mutexes = [lock.reference() for lock in locks if isinstance(lock, Mutex)]
    mutexes += [{"name": name} for name in mutex_names]
    if semaphores:
        result["semaphores"] = semaphores
    if mutexes:
        result["mutexes"] = mutexes
    return result or None
