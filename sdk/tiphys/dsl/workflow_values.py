"""What a run knows of itself, as values: passed to a step like any other."""

from __future__ import annotations

from datetime import datetime

from tiphys.dsl.values import Expression, WorkflowValue

__all__ = [
    "scheduled_time",
    "workflow_created",
    "workflow_duration",
    "workflow_failures",
    "workflow_namespace",
    "workflow_parameters",
    "workflow_uid",
]

workflow_uid = WorkflowValue("uid")
workflow_namespace = WorkflowValue("namespace")
workflow_parameters = WorkflowValue("parameters", list)
"""All parameters of the run: a list of ``{"name": …, "value": …}``."""
workflow_created = WorkflowValue("creationTimestamp.RFC3339", datetime)
workflow_duration = WorkflowValue("duration", float)
"""Seconds since the run began, where an exit handler asks for it."""

_SCHEDULED, _CREATED = WorkflowValue("scheduledTime", datetime), workflow_created
scheduled_time = Expression(
    lambda: f"{_SCHEDULED.expr()} ?? {_CREATED.expr()}", (_SCHEDULED, _CREATED), datetime
)
"""The time for which a schedule has started the run; for a run that was started by hand, when it was created."""

# JSON inside a JSON string; without any failure it is a quoted null
_FAILURES = WorkflowValue("failures")
workflow_failures = Expression(
    lambda: f"{_FAILURES.expr()} contains '[' ? fromJSON({_FAILURES.expr()}) : '[]'", (_FAILURES,), list
)
"""In an exit handler: the steps that failed, a list of ``{"displayName": …, "message": …, "phase": …, …}``."""
