"""From an ending to its cause: a table of small rules, asked in order; what none of them knows is ``unknown``.

The order is from what is said outright to what is only inferred: somebody's will, then memory, data and disk (which are
named in so many words), then who was sent away and lost, then what never began, then time (Argo ends with its deadline
what waits for an image, too), and last the exit code. The words are those of the real controller (4.0.5), of the
kubelet (1.33) and of the training operator (1.9.4): ``tests/causes/endings`` has an ending for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tiphys.argo.nodes import FAILED
from tiphys.causes.cause import Cause, Ending, Kind
from tiphys.causes.conditions import KILLED, WORDS

__all__ = ["RULES", "CauseRule", "cause_of"]

_NEAR = 0.95  # of the limit: so much was in use when it was killed
_LONGEST = 300  # characters of an evidence

_Evidence = str | None


class CauseRule(NamedTuple):
    """``see`` gives the evidence of this cause in an ending, or None."""

    name: str
    kind: Kind
    permanent: bool
    see: Callable[[Ending], _Evidence]


def cause_of(ending: Ending) -> Cause | None:
    """Why it ended badly; None when it did not."""
    if ending.phase not in FAILED:
        return None
    for rule in RULES:
        if evidence := rule.see(ending):
            return Cause(rule.kind, rule.permanent, _one_line(evidence))
    return Cause("unknown", False, _one_line(ending.message) or f"{ending.phase}, and nothing says why")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


# -- where to look -------------------------------------------------------------------------------------------


def _texts(ending: Ending) -> Iterable[str]:
    """What was said of its end, the attempt's own words first. Not why it waited: a scheduler that says that preemption
    would not help has preempted nobody."""
    yield ending.problem
    yield ending.message
    yield from (event.message for event in ending.events)


def _said(pattern: str) -> Callable[[Ending], _Evidence]:
    """The text in which the pattern stands."""
    found = re.compile(pattern)

    def see(ending: Ending) -> _Evidence:
        return next((text for text in _texts(ending) if found.search(text)), None)

    return see


def _waited_for(pattern: str) -> Callable[[Ending], _Evidence]:
    """The message of its waiting, with how the waiting ended."""
    found = re.compile(pattern)

    def see(ending: Ending) -> _Evidence:
        if ending.exit_code is not None or not found.search(ending.waited):  # it has run
            return None
        return f"{ending.waited}; {ending.message}" if ending.message else ending.waited

    return see


def _of_its_object(ending: Ending) -> bool:
    """The object that it made has failed: its own exit code says no more than that."""
    return "failure condition" in ending.message


def _codes(ending: Ending) -> Iterable[tuple[int, str]]:
    """The attempt's exit code, and that of the replica that failed last, with what says them."""
    if ending.exit_code is not None and not _of_its_object(ending):
        yield ending.exit_code, ending.message or f"exit code {ending.exit_code}"
    for event in reversed(ending.events):
        if event.exit_code:
            word = f"{event.event}: " if event.event else ""
            yield event.exit_code, f"{word}{event.message or 'a replica'} (exit code {event.exit_code})"
            return


def _shut_down(ending: Ending) -> _Evidence:
    """Argo says so, or the Workflow was being shut down when the program was killed."""
    if said := _SHUT_DOWN(ending):
        return said
    if ending.shutdown and any(code in KILLED for code, _ in _codes(ending)):
        return f"{ending.message}, in a workflow with shutdown: {ending.shutdown}"
    return None


def _at_its_limit(ending: Ending) -> _Evidence:
    """Killed while it used all that it may; without a word of the kernel's."""
    if not ending.memory_limit or ending.memory < _NEAR * ending.memory_limit:
        return None
    for code, text in _codes(ending):
        if code == 137:
            used, limit = (f"{each / 2**20:.0f}Mi" for each in (ending.memory, ending.memory_limit))
            return f"{text}, with {used} of {limit} in use"
    return None


def _killed(ending: Ending) -> _Evidence:
    return next((text for code, text in _codes(ending) if code in KILLED), None)


def _failed(ending: Ending) -> _Evidence:
    return next((text for code, text in _codes(ending) if code > 0), None)


def _exit_code_said(ending: Ending) -> _Evidence:
    """In Argo's words; what ``wait`` or a sidecar ended with."""
    return None if _of_its_object(ending) else _said(r"\(exit code [1-9]\d*\)")(ending)


_SHUT_DOWN = _said(r"[Ss]topped with strategy|shutdown with strategy")

# -- the table -----------------------------------------------------------------------------------------------

_DELETED = r"has been deleted\b|(tfjobs|jobsets).* not found"
_DATA = r"\bTIP(406|702|703|708)\b|artifact \S+ failed to load|failed to load artifact"
_NO_IMAGE = r"ImagePull|ErrImage|InvalidImageName|ImageInspectError"
_NO_PROGRAM = (
    r"failed to find name in PATH|executable file not found|StartError|exec format error|" + _NO_IMAGE
)
_NOT_STARTED = r"CreateContainer|Unschedulable|FailedMount"
_NOT_GIVEN = r"\b(secret|configmap) \"[^\"]+\" not found|couldn't find key \S+ in (Secret|ConfigMap) "
_NO_ROOM = r"exceeded quota|OutOf(cpu|memory|pods)|[Tt]oo many requests"
_NOT_ALLOWED = (
    r"forbidden|is invalid|admission webhook|denied the request|[Pp]redicate .*failed|no matches for kind"
    r"|doesn't have a resource type|could not find the requested resource|invalid spec: |rejected"
)

RULES: tuple[CauseRule, ...] = (
    CauseRule("shut down", "stopped", True, _shut_down),
    CauseRule("its object was deleted", "stopped", True, _said(_DELETED)),
    CauseRule("the kernel says so", "oom", True, _said(WORDS["oom"])),
    CauseRule("killed at its limit", "oom", True, _at_its_limit),
    CauseRule("its inputs do not verify", "data_missing", True, lambda ending: ending.problem or None),
    CauseRule("its data", "data_missing", True, _said(_DATA)),
    CauseRule("the disk", "disk_full", True, _said(WORDS["disk_full"])),
    CauseRule("a peer is gone, or slow", "preempted", False, _said(r"\bTIP71[56]\b")),
    CauseRule("the node went", "node_lost", False, _said(WORDS["node_lost"])),
    CauseRule("sent away", "preempted", False, _said(WORDS["preempted"])),
    CauseRule("waited for its image", "image", True, _waited_for(_NO_IMAGE)),
    CauseRule("the image has no such program", "image", True, _said(_NO_PROGRAM)),
    CauseRule("waited for room", "refused", False, _waited_for(_NO_ROOM)),
    CauseRule("waited for what it needs", "refused", True, _waited_for(_NOT_STARTED)),
    CauseRule("what it names is not there", "refused", True, _said(_NOT_GIVEN)),
    CauseRule("no room", "refused", False, _said(_NO_ROOM)),
    CauseRule("not allowed, or not understood", "refused", True, _said(_NOT_ALLOWED)),
    CauseRule("its time", "timeout", True, _said(WORDS["timeout"])),
    CauseRule("killed from outside", "preempted", False, _killed),
    CauseRule("its exit code", "code", True, _failed),
    CauseRule("Argo's words for its exit code", "code", True, _exit_code_said),
)
"""In the order in which they are asked."""
