"""What became of a job, read from its Workflow and from what its training told."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tiphys.records.record import SAMPLED, RunRecord, StepRecord
from tiphys.runs.records import record_of
from tiphys.store.layout import Store
from tiphys.training.place import SeenJob

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["seen_job"]

_PROGRESS = re.compile(r"\d{1,9}/[1-9]\d{0,8}")
_MOST = 200  # metrics that are kept of a job


def seen_job(workflow: Workflow, store: Store | None = None) -> SeenJob:
    """``store``: where what its steps told is found; None for a Workflow of a cluster, whose last step says it."""
    record = record_of(workflow, store)
    step = next((each for each in record.steps if each.template == "train"), None)
    cause = next(iter(record.causes()), None)
    message = record.message
    if cause is not None:
        message = f"{cause[0]}: {cause[1].evidence}"
    return SeenJob(
        phase=record.phase,
        message=message,
        cause=cause[1].kind if cause is not None else "",
        progress=_progress(workflow, step),
        metrics=_metrics(record, step),
        outputs=dict(record.outputs) or _outputs(workflow),
    )


def _progress(workflow: Workflow, step: StepRecord | None) -> str:
    """What the training said in Argo's way, or by its reports."""
    if step is None:
        return ""
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    said = str((nodes.get(step.node) or {}).get("progress") or "")
    if _PROGRESS.fullmatch(said) and said not in ("0/1", "1/1"):
        return said
    last = {point.key: point.value for point in step.points if point.key in ("epoch", "of")}
    epochs = [point.epoch for point in step.points if point.epoch]
    epoch = int(last.get("epoch", max(epochs, default=0)))
    return f"{epoch}/{int(last['of'])}" if epoch and last.get("of", 0) >= epoch else ""


def _metrics(record: RunRecord, step: StepRecord | None) -> dict[str, float]:
    found = dict(step.metrics) if step is not None else {}
    try:
        told = json.loads(_outputs_of(record).get("metrics") or "{}")
    except ValueError:
        told = {}
    if isinstance(told, dict):
        found.update(
            {str(key): float(value) for key, value in told.items() if isinstance(value, int | float)}
        )
    kept = {key: value for key, value in found.items() if key not in (*SAMPLED, "epoch", "of")}
    return dict(list(kept.items())[:_MOST])


def _outputs_of(record: RunRecord) -> dict[str, str]:
    step = next((each for each in record.steps if each.template == "trained"), None)
    return dict(step.outputs) if step is not None else {}


def _outputs(workflow: Workflow) -> dict[str, str]:
    """The output parameters of the entrypoint, which has the Workflow's own name."""
    name = workflow["metadata"].get("name", "")
    for node in ((workflow.get("status") or {}).get("nodes") or {}).values():
        if node.get("name") == name:
            parameters = (node.get("outputs") or {}).get("parameters") or []
            return {str(each["name"]): str(each.get("value") or "") for each in parameters}
    return {}
