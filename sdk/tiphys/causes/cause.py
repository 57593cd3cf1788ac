"""The causes there are, and what is known of an attempt that ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from tiphys.frozen import frozen

__all__ = ["ADVICE", "KINDS", "Cause", "Ending", "Kind", "ReplicaEnd"]

Kind = Literal[
    "oom",
    "preempted",
    "node_lost",
    "data_missing",
    "code",
    "image",
    "timeout",
    "disk_full",
    "refused",
    "stopped",
    "unknown",
]
KINDS: tuple[str, ...] = get_args(Kind)

ADVICE: Mapping[str, str] = {
    "oom": "give it more memory: Resources(memory=…), or OnFailure(oom=MoreMemory(2))",
    "preempted": "nothing is wrong with the step: tiphys retry, or OnFailure(preempted=Again(5))",
    "node_lost": "nothing is wrong with the step: tiphys retry, or OnFailure(node_lost=Again(5))",
    "data_missing": "make the data again: run the step that makes it once more",
    "code": "mend the code of the step: its log says where it failed",
    "image": "mend the image's name, or make the image reachable from the nodes",
    "timeout": "give it more time, or make it faster",
    "disk_full": "make room on the disk, or give the step more of it",
    "refused": "mend what the cluster refused, or ask whoever set the limit",
    "stopped": "somebody ended it: start it again when it is wanted",
    "unknown": "look at its log and at the events of its pod",
}
"""What a person does about each."""


@frozen
class Cause:
    """Why an attempt ended badly.

    ``permanent``: the same attempt would end so again. ``evidence`` quotes what was seen, in one line.
    """

    kind: Kind
    permanent: bool
    evidence: str

    @property
    def advice(self) -> str:
        return ADVICE[self.kind]

    def line(self) -> str:
        """``oom, permanent: main: OOMKilled (exit code 137)``."""
        return f"{self.kind}, {'permanent' if self.permanent else 'will pass'}: {self.evidence}"

    def json(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "permanent": self.permanent,
            "evidence": self.evidence,
            "advice": self.advice,
        }


@frozen
class ReplicaEnd:
    """What happened to a replica that the attempt waited for: ``failed``, ``restarted``, …"""

    event: str
    message: str = ""
    exit_code: int | None = None


@frozen
class Ending:
    """What is known of an attempt that ended.

    ``phase``, ``message`` and ``exit_code`` (None: nothing says it) are the node's; ``waited`` is the last message that
    it had while it was Pending; ``memory`` is the most that was seen in use and ``memory_limit`` what it was allowed,
    in bytes (0: not known); ``events`` are those of its replicas, in order of time; ``problem`` is what a look at its
    inputs found wrong; ``shutdown`` is the Workflow's (``Stop``, ``Terminate``).
    """

    phase: str
    message: str = ""
    exit_code: int | None = None
    waited: str = ""
    memory: float = 0.0
    memory_limit: float = 0.0
    events: tuple[ReplicaEnd, ...] = ()
    problem: str = ""
    shutdown: str = ""
