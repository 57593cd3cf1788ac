"""How many workers a training has: one number, the least and the most, or all there may be."""

from __future__ import annotations

from collections.abc import Sequence

from tiphys.compiler.line import Site
from tiphys.dsl.components import Component
from tiphys.dsl.locks import Gang, Lock, Semaphore
from tiphys.errors import DefinitionError

__all__ = ["check_elastic", "numbers", "one_number", "shown"]


def numbers(workers: object, label: str, site: Site) -> tuple[int, ...]:
    """The numbers that there may be. Raises DefinitionError TIP109."""
    given = list(workers) if isinstance(workers, tuple | list) else [workers]
    counts = [each for each in given if isinstance(each, int) and not isinstance(each, bool) and each >= 1]
    pair = isinstance(workers, tuple) and len(workers) != 2
    if not counts or counts != given or sorted(counts) != counts or pair:
        raise DefinitionError(
            "TIP109",
            f"{label}: workers={workers!r}",
            where=str(site),
            cause="a job needs at least one worker",
            fix="give a whole number of at least 1, the least and the most, (1, 4), or all there may be, [1, 2, 4]",
        )
    every = range(counts[0], counts[-1] + 1)
    return tuple(every if isinstance(workers, tuple) else sorted(set(counts)))


def one_number(workers: object, label: str, site: Site) -> tuple[int]:
    """Of a job that has one number of them. Raises DefinitionError TIP109."""
    if isinstance(workers, tuple | list):
        raise DefinitionError(
            "TIP109",
            f"{label}: workers={workers!r}",
            where=str(site),
            cause="the number of its workers cannot change",
            fix="give a whole number of at least 1",
        )
    return (numbers(workers, label, site)[0],)


def shown(counts: tuple[int, ...]) -> str:
    """As part of a name; a training goes on in the same folder with another number of workers."""
    if len(counts) > 1 and counts == tuple(range(counts[0], counts[-1] + 1)):
        return f"{counts[0]}-{counts[-1]}"
    return "-or-".join(map(str, counts))


def check_elastic(
    gang: Gang | None,
    locks: Sequence[Lock],
    policy: str,
    kind: str,
    prepare: Component | None,
    label: str,
    site: Site,
) -> None:
    """Raise DefinitionError TIP109 for what would not go with a number of workers that changes."""
    if gang is None:
        cause = "the pool of its gang says how many workers there may be"
        fix = "add gang=Gang(capacity=…), or give one number of workers"
    elif any(isinstance(each, Semaphore) for each in locks):
        cause = "of another pool it would hold the same whatever number of workers it has"
        fix = "leave the semaphore out, or give one number of workers"
    elif policy != "AllWorkers":
        cause = "a gang that begins anew ends as a whole"
        fix = "leave success_policy out"
    elif kind != "TFJob":
        cause = f"a {kind} has the number of workers that it was made with"
        fix = "leave kind out, or give one number of workers"
    elif prepare is not None:
        cause = "what is admitted with it would be the step before it, too"
        fix = "leave prepare out, or give one number of workers"
    else:
        return
    raise DefinitionError(
        "TIP109", f"{label}: the number of its workers may not change", where=str(site), cause=cause, fix=fix
    )
