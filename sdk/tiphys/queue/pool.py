"""Who may have which of a pool's members: the policy alone, without clock, files or processes.

A request is for a number of members, all or nothing, of those that it may have. First come, first served: a request
that cannot be met yet keeps what is free of its members for itself, so that who needs many is not starved by those who
need few; whoever may have others goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tiphys.frozen import frozen

__all__ = ["Short", "Wanted", "admit"]


@frozen
class Wanted:
    """``holder`` asks for ``count`` of ``members``, the first that are free."""

    holder: str
    count: int
    members: tuple[str, ...]


@frozen
class Short:
    """Not yet: ``free`` of its members are nobody's, and ``before`` requests that came first want some of them, too."""

    free: int
    before: int


def admit(waiting: Sequence[Wanted], held: Collection[str]) -> dict[str, tuple[str, ...] | Short]:
    """What each of the ``waiting`` (in the order of their coming) gets now, while ``held`` are somebody's.

    A request for more than it may ever have waits, and keeps nobody waiting.
    """
    taken = set(held)
    answers: dict[str, tuple[str, ...] | Short] = {}
    ahead: list[Wanted] = []
    for request in waiting:
        free = [each for each in request.members if each not in taken]
        if request.count <= len(free):
            answers[request.holder] = tuple(free[: request.count])
            taken.update(free[: request.count])
            continue
        unheld = sum(each not in held for each in request.members)
        before = sum(not set(each.members).isdisjoint(request.members) for each in ahead)
        answers[request.holder] = Short(unheld, before)
        if request.count <= len(request.members):
            taken.update(free)
            ahead.append(request)
    return answers
