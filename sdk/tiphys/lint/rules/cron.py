"""CronWorkflows: schedules, time zone, policy."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.lint.model import WorkflowView
from tiphys.lint.registry import Issue, rule

_SOURCE = "argo-workflows v4.1.2, workflow/validate/validate.go (CronWorkflow)"
_POLICIES = ("Allow", "Forbid", "Replace")


@rule(
    "L295",
    "cron-schedule",
    "error",
    what="A CronWorkflow without schedules, or with one that cannot be read.",
    why="Five fields (minute hour day month weekday) or @daily and the like, in the list `schedules`.",
    source=_SOURCE,
    needs="CronWorkflow",
)
def cron_schedule(workflow: WorkflowView) -> Iterator[Issue]:
    from tiphys.argo import cron  # slow to import, and rarely needed

    if workflow.kind != "CronWorkflow":
        return
    schedules = workflow.cron.get("schedules") or []
    if not schedules:
        words = "cron workflow must have at least one schedule"
        yield Issue(("spec", "schedules"), words, fix='add schedules: ["0 3 * * *"]')
    for index, schedule in enumerate(schedules):
        reason = cron.problem(schedule)
        if reason:
            words = f"cron schedule {schedule} is malformed: {reason}"
            yield Issue(("spec", "schedules", index), words)


@rule(
    "L296",
    "cron-timezone",
    "error",
    what="A time zone that does not exist.",
    why="Names are those of the IANA data base, such as Europe/Berlin.",
    source=_SOURCE,
    needs="timezone",
)
def cron_timezone(workflow: WorkflowView) -> Iterator[Issue]:
    from tiphys.argo import cron  # slow to import, and rarely needed

    name = workflow.cron.get("timezone", "")
    if cron.zone_problem(name):
        yield Issue(("spec", "timezone"), f"invalid timezone {name!r}", near=cron.zones())


@rule(
    "L297",
    "cron-policy",
    "error",
    what="An unknown concurrencyPolicy, or a negative startingDeadlineSeconds.",
    why="The policy is Allow, Forbid or Replace.",
    source=_SOURCE,
    fixable=True,
    needs="CronWorkflow",
)
def cron_policy(workflow: WorkflowView) -> Iterator[Issue]:
    data = workflow.cron
    policy = data.get("concurrencyPolicy", "")
    if policy and policy not in _POLICIES:
        words = f"{policy!r} is not a valid concurrencyPolicy"
        yield Issue(("spec", "concurrencyPolicy"), words, near=_POLICIES)
    if data.get("startingDeadlineSeconds", 0) < 0:
        yield Issue(("spec", "startingDeadlineSeconds"), "startingDeadlineSeconds must be positive")


@rule(
    "L365",
    "cron-never-runs",
    "warning",
    what="A schedule that never comes: a day that its month does not have, or a second time zone.",
    why="Argo accepts it and starts no run: there is no such day, or its controller cannot read two time zones.",
    source="robfig/cron v3, spec.go; argo-workflows v4.1.2, cron_workflow_types.go (GetSchedulesWithTimezone)",
    needs="CronWorkflow",
)
def cron_never_runs(workflow: WorkflowView) -> Iterator[Issue]:
    from tiphys.argo import cron  # slow to import, and rarely needed

    data = workflow.cron
    name = data.get("timezone", "")
    for index, schedule in enumerate(data.get("schedules") or []):
        path = ("spec", "schedules", index)
        if cron.never(schedule):
            yield Issue(
                path, f"cron schedule {schedule!r} never comes", fix="give a day that one of its months has"
            )
        elif (
            name
            and not cron.problem(schedule)
            and not cron.zone_problem(name)
            and cron.problem(schedule, name)
        ):
            words = f"cron schedule {schedule!r} has a time zone beside spec.timezone: it never comes"
            yield Issue(path, words, fix="name the zone once, in spec.timezone")
