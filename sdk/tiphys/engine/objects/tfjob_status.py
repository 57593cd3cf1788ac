"""The status of a TFJob, as pkg/controller.v1/common of the training operator 1.9.4 writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobStatus, TFReplicaStatus

__all__ = ["end_of_job", "replica_status", "set_condition"]

_ENDS = ("Failed", "Succeeded")


def replica_status(count: Mapping[str, int]) -> TFReplicaStatus:
    """The API server leaves zeros out."""
    found: TFReplicaStatus = {}
    if count["active"]:
        found["active"] = count["active"]
    if count["succeeded"]:
        found["succeeded"] = count["succeeded"]
    if count["failed"]:
        found["failed"] = count["failed"]
    return found


def end_of_job(status: TFJobStatus) -> str:
    """How a job has ended; empty while it has not."""
    ends = (each["type"] for each in status["conditions"] if each["status"] == "True")
    return next((kind for kind in ends if kind in _ENDS), "")


def set_condition(status: TFJobStatus, kind: str, reason: str, message: str, now: str) -> None:
    """Add a condition, and take away or turn those that it is put in the place of; nothing after the end."""
    conditions = status["conditions"]
    current = next((each for each in conditions if each["type"] == kind), None)
    if current is not None and current["status"] == "True" and current["reason"] == reason:
        return
    if end_of_job(status):
        return
    kept = []
    for each in conditions:
        if {each["type"], kind} == {"Running", "Restarting"} or each["type"] == kind:
            continue
        if kind in _ENDS and each["type"] in ("Running", "Failed"):
            each = {**each, "status": "False"}
        kept.append(each)
    kept.append(
        {
            "lastTransitionTime": now,
            "lastUpdateTime": now,
            "message": message,
            "reason": reason,
            "status": "True",
            "type": kind,
        }
    )
    status["conditions"] = kept
