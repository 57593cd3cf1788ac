"""Whether the controller has taken up a workflow that was changed behind its back, and a nudge if it has not.

Argo 4.0.5 forgets a workflow that is retried within about a second of its end: it counts the old run off after it
counted the new one in, says once "postponed due to max parallelism limit", and does not look again until the object
changes. Any change will do, so an annotation does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tiphys.errors import ClusterError

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.jsontypes import JsonObject

__all__ = ["ANNOTATION", "see_to_it"]

ANNOTATION = "tiphys.dev/nudged"
# Seconds: looks after 0.2, 0.5 and 1, then a nudge; and so on. A controller that is away is not waited for for long.
_ROUNDS = ((0.2, 0.3, 0.5), (0.5, 1.0), (1.0, 1.0), (2.0, 2.0))


def see_to_it(
    written: Workflow,
    look: Callable[[], Workflow],
    nudge: Callable[[JsonObject], object],
    now: Callable[[], str],
    pause: Callable[[float], None],
) -> Workflow:
    """The workflow as the controller left it at its first touch, or as ``written`` when nothing came of it.

    The controller has touched it when its status is another: labels and annotations are changed by others, too.
    ``nudge`` is given a merge patch. What fails on the way is not told: the change itself has been made.
    """
    before = written.get("status")
    try:
        for number, pauses in enumerate(_ROUNDS, 1):
            for seconds in pauses:
                pause(seconds)
                seen = look()
                if seen.get("status") != before:
                    return seen
            if number < len(_ROUNDS):
                nudge({"metadata": {"annotations": {ANNOTATION: f"{now()} {number}"}}})
    except ClusterError:
        pass
    return written
