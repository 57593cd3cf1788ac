"""``enough``: a selection goes on when those that are still under way cannot change it.

In Argo's words: the candidates are tasks as before; each has a task ``hand-in-NAME`` that follows it however it ends,
and so is the leaf that the graph's phase is read from. ``enough`` depends on none of them: it reads what was handed in,
and how the trainings go, from the volume. What it drops, ``drop-training`` stops.

A task that failed has no outputs, and Argo waits for ever for an expression that names them, even in a branch that is
not taken; so what is handed in is the whole task, ``toJson(tasks.NAME)`` (seen on Argo 4.0.5).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from tiphys.compiler.line import Site, caller
from tiphys.dsl.component_options import ComponentOptions
from tiphys.dsl.components import Component
from tiphys.dsl.composed import compose
from tiphys.dsl.context import for_each
from tiphys.dsl.durations import whole_seconds
from tiphys.dsl.gang_job import GangJob
from tiphys.dsl.literals import access
from tiphys.dsl.names import check_claim_path, check_name
from tiphys.dsl.resources import Resources
from tiphys.dsl.retry import Retry
from tiphys.dsl.task import Task, TaskNode
from tiphys.dsl.values import ConditionValue, Expression, Output, Value, workflow_name
from tiphys.errors import DefinitionError
from tiphys.step import enough as steps
from tiphys.step.straggler import MARGIN

__all__ = ["enough"]

_ENDED = ("succeeded", "failed", "errored", "skipped", "omitted")


def enough(
    candidates: Sequence[Task | Output],
    *,
    top: int | Value = 1,
    min_accuracy: float | Value = 0.0,
    training: GangJob | None = None,
    by: str = "validation_accuracy",
    patience: str | timedelta | int | Value | None = None,
    margin: float = MARGIN,
    ended: bool | ConditionValue = False,
    folder: str = "pvc://tiphys/runs",
    name: str = "enough",
) -> Task:
    """Wait for ``candidates`` until the best ``top`` of them are certain; outputs ``reports``, ``dropped``, ``stop``.

    A candidate is a named task whose output ``report`` holds the number ``by``, or that output. One that failed for
    good is dropped, and so is one that still trains and cannot come before the last of the ``top`` that have
    ``min_accuracy``: its best accuracy, plus its slope for each epoch to come, plus ``margin``, stays below.
    ``patience`` (``"10m"``; 0: none; a value: seconds) drops whoever has not ended so long after ``top`` others were
    good enough; without it nobody is dropped who may still be among the best. ``training`` is the job that trains the
    candidates, with the candidate's name as its ``instance``: the jobs of those that were dropped are stopped, and no
    failure of theirs is one of the workflow. What was dropped and why is the output ``dropped``.

    A step that judges may hand in its report itself (``tiphys.step.enough.judged``), which is some seconds earlier on a
    cluster; with ``ended`` it counts when the candidate's task has ended: where more follows that must be over before
    the selection, such as an early publication.

    When fewer than ``top`` can be good enough, its step fails with TIP730, which names what became of each. ``folder``
    is in the pipeline's first volume.

    Raises DefinitionError: TIP101 a folder that is none, TIP105 what is no candidate, TIP109 a number out of range,
    TIP115 not a duration.
    """
    site = caller()
    outputs = [_report(each, site) for each in candidates]
    nodes = [_node(output, site) for output in outputs]
    _check(nodes, top, min_accuracy, margin, site)
    if training is not None and not training.instance:
        raise DefinitionError(
            "TIP105",
            f"the jobs of {training.name} are not told apart",
            where=str(site),
            cause="only those of dropped candidates are to be stopped",
            fix='name the input that has the candidate\'s name: TFJob(…, instance="model")',
        )
    check_name(name, "a task", site)
    root = check_claim_path(folder, "the folder of enough", site)
    claim = root.removeprefix("pvc://").split("/")[0]
    place = compose(f"{root}/{{run}}/{name}", run=workflow_name)
    watch, take = _components()
    for output, node in zip(outputs, nodes, strict=True):
        given = take(name=node.task_name, task=_all_of(output, node), output=output.name, folder=place)
        given.named(f"hand-in-{node.task_name}").after(Task(node), on=_ENDED)
    found: Task = watch(
        names=[node.task_name for node in nodes],
        top=top,
        min_accuracy=min_accuracy,
        folder=place,
        records=compose(f"pvc://{claim}/records/{{run}}", run=workflow_name),
        by=by,
        patience=_seconds(patience, site),
        margin=margin,
        ended=Expression(ended.expr, tuple(ended.leaves()), bool)
        if isinstance(ended, ConditionValue)
        else ended,
    ).named(name)
    if training is not None:
        training.drop(name=for_each(found.stop))
    return found


@functools.cache
def _components() -> tuple[Component, Component]:
    small = Resources(cpu="50m", memory="64Mi")
    options = ComponentOptions(resources=small, retry=Retry.on_infrastructure())
    watch = Component(steps.enough, options)
    # reports are handed on as they came: a list of whatever the candidates give
    watch.outputs = tuple(replace(f, type=list) if f.python == "reports" else f for f in watch.outputs)
    return watch, Component(steps.hand_in, options)


def _report(candidate: object, site: Site) -> Output:
    if isinstance(candidate, Task):
        return candidate._node.output("report")
    if isinstance(candidate, Output):
        return candidate
    raise DefinitionError(
        "TIP105",
        f"enough() takes candidates, not {candidate!r}",
        where=str(site),
        fix="pass tasks with an output `report`, or that output of each",
    )


def _node(output: Output, site: Site) -> TaskNode:
    node = output.task
    if not isinstance(node, TaskNode) or node.looped() is not None:
        raise DefinitionError(
            "TIP105",
            f"{output.describe()} is not a candidate of its own",
            where=str(site),
            cause="each candidate is one task of this pipeline, which may end by itself",
            fix="make a task for each, in a Python loop: [candidate(model=m).named(m) for m in models]",
        )
    node.graph.rename(node, node.task_name, site)
    return node


def _all_of(output: Output, node: TaskNode) -> Expression:
    """The task as JSON; it waits for the task itself, however it ends."""
    return Expression(lambda: f"toJson({access(('tasks', node.task_name))})", (output,))


def _check(nodes: list[TaskNode], top: object, least: object, margin: float, site: Site) -> None:
    problem = ""
    if not nodes:
        problem = "there are no candidates"
    elif len(set(map(id, nodes))) != len(nodes):
        problem = "a candidate is there twice"
    elif not isinstance(top, Value) and not (type(top) is int and 1 <= top <= len(nodes)):
        problem = f"top={top!r} of {len(nodes)} candidates"
    elif not isinstance(least, Value) and not (isinstance(least, int | float) and 0 <= least <= 1):
        problem = f"min_accuracy={least!r}"
    elif not 0 <= margin <= 1:
        problem = f"margin={margin!r}"
    if problem:
        raise DefinitionError(
            "TIP109",
            f"enough: {problem}",
            where=str(site),
            fix="accuracies and margin are parts of one; top is at most the number of candidates",
        )


def _seconds(patience: str | timedelta | int | Value | None, site: Site) -> float | Value:
    if patience is None:
        return steps.FOREVER
    if isinstance(patience, Value):
        return patience
    return 0.0 if patience == 0 else float(whole_seconds(patience, "patience", site))  # type: ignore[arg-type]
