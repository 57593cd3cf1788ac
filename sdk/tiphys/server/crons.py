"""What a CronWorkflow does when it is due, and what it says of itself: Argo's rules, without a clock and without I/O
(workflow/cron/operator.go of Argo 4.0). All functions take a CronWorkflow and give the changed one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypedDict, cast

from tiphys.argo import cron as schedules
from tiphys.argo.nodes import COMPLETED
from tiphys.argo.time import rfc3339, seconds
from tiphys.expr.evaluate import compile_expression, evaluate_bool
from tiphys.expr.govaluate import WhenError, govaluate
from tiphys.expr.lexer import ExprError
from tiphys.expr.tags import Layers, TagError, substitute

if TYPE_CHECKING:
    from tiphys.argo.types import CronWorkflow, CronWorkflowSpec, Workflow
    from tiphys.jsontypes import JsonObject

__all__ = [
    "ActiveRun",
    "Child",
    "CronStatus",
    "Decision",
    "decide",
    "missed",
    "reconciled",
    "refused",
    "started",
    "surplus",
]

_API = "argoproj.io/v1alpha1"
_LATEST = "cronworkflows.argoproj.io/last-used-schedule"
_COMPLETED = "cronworkflows.argoproj.io/completed"
_KEPT = {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
_MINUTES = 120.0  # seconds: the shortest span that is looked at
Condition = Literal["SpecError", "SubmissionError"]


class ActiveRun(TypedDict, total=False):
    """A reference to a run that goes on."""

    kind: str
    apiVersion: str
    namespace: str
    name: str
    uid: str


class CronCondition(TypedDict):
    type: str
    status: str
    message: str


class CronStatus(TypedDict):
    """``status`` of a CronWorkflow."""

    active: list[ActiveRun]
    lastScheduledTime: str | None
    conditions: list[CronCondition]
    succeeded: int
    failed: int
    phase: str


@dataclass(frozen=True)
class Child:
    """A run of a CronWorkflow. ``finished``: seconds since the epoch, 0 while it goes on."""

    name: str
    uid: str
    phase: str
    finished: float = 0.0

    @property
    def ended(self) -> bool:
        return self.phase in COMPLETED


@dataclass(frozen=True)
class Decision:
    """What is to be done at a time that was due: terminate these runs, then create ``start``, if there is one."""

    cron: CronWorkflow
    start: Workflow | None = None
    terminate: Sequence[str] = field(default_factory=list)


def _status(cron: CronWorkflow) -> CronStatus:
    given = cast("CronStatus", cron.get("status") or {})
    return {
        "active": list(given.get("active") or []),
        "lastScheduledTime": given.get("lastScheduledTime"),
        "conditions": list(given.get("conditions") or []),
        "succeeded": given.get("succeeded") or 0,
        "failed": given.get("failed") or 0,
        "phase": given.get("phase") or "",
    }


def _with(cron: CronWorkflow, status: CronStatus) -> CronWorkflow:
    """What is empty is not there, as a merge patch of the controller leaves it."""
    made: CronWorkflow = {**cron}
    made["status"] = cast(
        "JsonObject", {key: value for key, value in status.items() if value not in ([], None)}
    )
    return made


def _schedules(spec: CronWorkflowSpec) -> list[str]:
    return [str(each) for each in spec.get("schedules") or []]


def _used(cron: CronWorkflow) -> str:
    """The schedules in one text, as Argo notes which it used last."""
    spec = cron.get("spec") or {}
    zone = spec.get("timezone")
    return ",".join(f"CRON_TZ={zone} {each}" if zone else each for each in _schedules(spec))


def _is_new(cron: CronWorkflow) -> bool:
    """Whether it has another schedule than at its last run, or had none yet."""
    return (cron["metadata"].get("annotations") or {}).get(_LATEST) != _used(cron)


def is_over(cron: CronWorkflow) -> bool:
    """Whether its ``stopStrategy`` has ended it."""
    return (cron["metadata"].get("labels") or {}).get(_COMPLETED) == "true"


def missed(cron: CronWorkflow, now: float) -> float | None:
    """The latest time that was missed and may still be made up for: within ``startingDeadlineSeconds``, with the same
    schedule, after a first run."""
    spec = cron.get("spec") or {}
    deadline, last = spec.get("startingDeadlineSeconds"), _status(cron)["lastScheduledTime"]
    if deadline is None or not last or _is_new(cron) or is_over(cron):
        return None
    for schedule in _schedules(spec):
        found = _latest(schedule, str(spec.get("timezone") or ""), seconds(last), now)
        if found is not None and now < found + deadline:
            return found
    return None


def _latest(schedule: str, zone: str, since: float, now: float) -> float | None:
    """The last time between two: looked for from the end, as there may be one a minute for years. Periods (``@every``)
    are counted from the beginning."""
    first = schedules.after(schedule, zone, since)
    if first is None or first >= now:
        return None
    if "@every" in schedule:
        period = first - since
        return first + ((now - first) // period - ((now - first) % period == 0)) * period
    width, found = _MINUTES, None
    while found is None:
        moment = max(since, now - width)
        while (due := schedules.after(schedule, zone, moment)) is not None and due < now:
            found = moment = due
        width *= 30
    return found


def decide(cron: CronWorkflow, at: float, problem: str = "") -> Decision:
    """What a CronWorkflow does at ``at``, a time of its schedule. ``problem``: what is wrong with the Workflow that it
    would make. ``now()`` in its expressions is the present of expressions (:data:`tiphys.expr.moment.PRESENT`)."""
    if _is_new(cron):
        metadata = cron["metadata"]
        annotations = {**(metadata.get("annotations") or {}), _LATEST: _used(cron)}
        cron = {**cron, "metadata": {**metadata, "annotations": annotations}}
    if problem:
        return Decision(_reported(cron, "SpecError", problem))
    cron = _cleared(cron, "SpecError")
    try:
        cron = _stopped(cron)
    except ValueError as error:
        name = cron["metadata"]["name"]
        return Decision(
            _reported(cron, "SpecError", f"failed to check CronWorkflow '{name}' stopping condition: {error}")
        )
    spec, status = cron.get("spec") or {}, _status(cron)
    if spec.get("suspend") or status["phase"] == "Stopped":
        return Decision(cron)
    try:
        goes = _when(cron)
    except ValueError as error:
        return Decision(_reported(cron, "SubmissionError", f"run policy error: {error}"))
    if not goes:
        return Decision(cron)
    policy, ended = spec.get("concurrencyPolicy") or "Allow", []
    if status["active"] and policy == "Forbid":
        return Decision(cron)
    if status["active"] and policy == "Replace":
        ended = [each["name"] for each in status["active"]]
    return Decision(cron, _run(cron, at), ended)


def _run(cron: CronWorkflow, at: float) -> Workflow:
    made = schedules.child_workflow(cron, at)
    owner: JsonObject = {
        "apiVersion": _API,
        "kind": "CronWorkflow",
        "name": cron["metadata"]["name"],
        "uid": cron["metadata"].get("uid", ""),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    made["metadata"] = {**made["metadata"], "ownerReferences": [owner]}
    return made


def _reference(cron: CronWorkflow, name: str, uid: str) -> ActiveRun:
    """A run of a CronWorkflow is in its namespace."""
    namespace = cron["metadata"].get("namespace", "")
    return {"apiVersion": _API, "kind": "Workflow", "name": name, "namespace": namespace, "uid": uid}


def started(cron: CronWorkflow, at: float, run: Workflow) -> CronWorkflow:
    """A run was created for ``at``."""
    status = _status(cron)
    metadata = run["metadata"]
    status["active"].append(_reference(cron, metadata["name"], metadata.get("uid", "")))
    status["phase"] = "Active"
    status["lastScheduledTime"] = rfc3339(at)
    return _cleared(_with(cron, status), "SubmissionError")


def refused(cron: CronWorkflow, why: str) -> CronWorkflow:
    """The run could not be created: that is a failed one."""
    return _reported(cron, "SubmissionError", f"Failed to submit Workflow: {why}")


def reconciled(cron: CronWorkflow, children: Iterable[Child]) -> CronWorkflow:
    """Its ``active`` runs are those that go on; those that ended are counted, and may be the ones after which it stops.

    Raises
    ------
    ValueError
        Its ``stopStrategy`` cannot be evaluated.
    """
    known = {child.uid: child for child in children}
    status = _status(cron)
    there = {each.get("uid") for each in status["active"]}
    for child in known.values():
        if not child.ended and child.uid not in there:
            status["active"].append(_reference(cron, child.name, child.uid))
    for each in list(status["active"]):
        run = known.get(each.get("uid", ""))
        if run is None or run.ended:
            status["active"].remove(each)
            if run is not None:
                status["succeeded" if run.phase == "Succeeded" else "failed"] += 1
                if _is_enough(_with(cron, status)):
                    status["phase"] = "Stopped"  # its label comes with the next time that it is due
    return _with(cron, status) if status != _status(cron) else cron


def surplus(cron: CronWorkflow, children: Iterable[Child]) -> list[str]:
    """The runs that are more than the history may hold, those that ended first before others."""
    spec = cron.get("spec") or {}
    over: list[str] = []
    runs = sorted((each for each in children if each.ended), key=lambda each: -each.finished)
    for name, fewest in _KEPT.items():
        given = spec.get(name)
        kept = given if isinstance(given, int) and given >= 0 else fewest
        good = name.startswith("success")
        over += [each.name for each in [run for run in runs if (run.phase == "Succeeded") is good][kept:]]
    return over


def _reported(cron: CronWorkflow, kind: Condition, message: str) -> CronWorkflow:
    status = _status(cron)
    status["conditions"] = [each for each in status["conditions"] if each["type"] != kind]
    status["conditions"].append({"type": kind, "status": "True", "message": message})
    if kind == "SubmissionError":
        status["failed"] += 1
    return _with(cron, status)


def _cleared(cron: CronWorkflow, kind: Condition) -> CronWorkflow:
    status = _status(cron)
    status["conditions"] = [each for each in status["conditions"] if each["type"] != kind]
    return _with(cron, status)


# -- its expressions ---------------------------------------------------------------------------------------------------


def _variables(cron: CronWorkflow) -> dict[str, object]:
    metadata, status = cron["metadata"], _status(cron)
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    last = status["lastScheduledTime"]
    return {
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "labels": labels,
        "annotations": labels,  # so does Argo
        "labels.json": json.dumps(labels),
        "annotations.json": json.dumps(annotations),
        "failed": status["failed"],
        "succeeded": status["succeeded"],
        "lastScheduledTime": datetime.fromtimestamp(seconds(last), UTC) if last else None,
    }


def _when(cron: CronWorkflow) -> bool:
    """Raises ValueError."""
    text = str((cron.get("spec") or {}).get("when") or "")
    if not text:
        return True
    try:
        said = substitute(text, Layers({f"cronworkflow.{name}": it for name, it in _variables(cron).items()}))
        found = govaluate(said)
    except (TagError, WhenError, ExprError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(found, bool):
        raise ValueError(f"Expected boolean evaluation for '{said}'. Got {found}")
    return found


def _is_enough(cron: CronWorkflow) -> bool:
    """Whether its ``stopStrategy`` ends it. Raises ValueError."""
    text = ((cron.get("spec") or {}).get("stopStrategy") or {}).get("expression") or ""
    if not text:
        return False
    try:
        return evaluate_bool(compile_expression(text), {"cronworkflow": _variables(cron)})
    except ExprError as error:
        raise ValueError(f"failed to evaluate stop expression: {error}") from None


def _stopped(cron: CronWorkflow) -> CronWorkflow:
    """Ended for good, when its ``stopStrategy`` says so. Raises ValueError."""
    if not _is_enough(cron):
        return cron
    metadata, status = cron["metadata"], _status(cron)
    status["phase"] = "Stopped"
    labels = {**(metadata.get("labels") or {}), _COMPLETED: "true"}
    return _with({**cron, "metadata": {**metadata, "labels": labels}}, status)
