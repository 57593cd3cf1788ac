"""What became of a job, read from its Workflow and from what its training told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.numbers import finite
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
    where, cause = next(iter(record.causes()), ("", None))
    message = record.message
    if cause is not None:
        where = where.rpartition(".")[2] or where  # of "[1].train" what it is called
        message = f"{where}: {cause.evidence.removeprefix('main: ')}; {cause.advice}"
    summary = _summary(record)
    return SeenJob(
        phase=record.phase,
        message=message,
        cause=cause.kind if cause is not None else "",
        progress=_progress(workflow, step, summary),
        metrics=_metrics(step, summary),
        outputs=dict(record.outputs) or _outputs(workflow),
    )


def _progress(workflow: Workflow, step: StepRecord | None, summary: Mapping[str, float]) -> str:
    """What the training said in Argo's way, or by its reports."""
    if step is None:
        return ""
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    last = step.attempts[-1].node if step.attempts else step.node  # the sum of all attempts says nothing
    said = str((nodes.get(last) or {}).get("progress") or "")
    if _PROGRESS.fullmatch(said) and said not in ("0/1", "1/1"):
        return said
    told = {point.key: point.value for point in step.points if point.key in ("epoch", "of")} or summary
    epoch = int(told.get("epoch", max((point.epoch for point in step.points), default=0)))
    return f"{epoch}/{int(told['of'])}" if epoch and told.get("of", 0) >= epoch else ""


def _summary(record: RunRecord) -> dict[str, float]:
    """What the step after the training says that it told."""
    step = next((each for each in record.steps if each.template == "trained"), None)
    try:
        told = json.loads((step.outputs if step is not None else {}).get("metrics") or "{}")
    except ValueError:
        return {}
    items = told.items() if isinstance(told, dict) else ()
    return {str(key): finite(value) for key, value in items if not math.isnan(finite(value))}


def _metrics(step: StepRecord | None, summary: Mapping[str, float]) -> dict[str, float]:
    found = {**(step.metrics if step is not None else {}), **summary}
    kept = {key: value for key, value in found.items() if key not in (*SAMPLED, "epoch", "of")}
    return dict(list(kept.items())[:_MOST])


def _outputs(workflow: Workflow) -> dict[str, str]:
    """The output parameters of the entrypoint, which has the Workflow's own name."""
    name = workflow["metadata"].get("name", "")
    for node in ((workflow.get("status") or {}).get("nodes") or {}).values():
        if node.get("name") == name:
            parameters = (node.get("outputs") or {}).get("parameters") or []
            return {str(each["name"]): str(each.get("value") or "") for each in parameters}
    return {}
