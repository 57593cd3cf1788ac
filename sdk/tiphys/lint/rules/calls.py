"""Steps and tasks: what they call, loop over, wait for and refer to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.expr.dependencies import RESULTS, dependencies, unknown_results
from tiphys.lint import depends
from tiphys.lint.analysis import walk_of
from tiphys.lint.model import TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.tags import is_tag

if TYPE_CHECKING:
    from tiphys.argo.types import DAGTask

_VALIDATE = "argo-workflows v4.1.2, workflow/validate/validate.go"
_ANCESTRY = "argo-workflows v4.1.2, workflow/common/ancestry.go"


@rule(
    "L220",
    "unresolved-variable",
    "error",
    what="A `{{...}}` tag that nothing in its scope provides.",
    why="It would stay in the text, or stop the workflow when it is reached.",
    source=f"{_VALIDATE} (resolveAllVariables)",
    fixable=True,
)
def unresolved_variable(workflow: WorkflowView) -> Iterator[Issue]:
    walk = walk_of(workflow)
    for reference in walk.references:
        if reference.known:
            continue
        shown = "{{" + reference.text + "}}"
        fix = "" if reference.closed else "close the tag with }}"
        scope = reference.scope
        near = tuple(scope.every() | walk.globals.names) if scope else ()
        yield Issue(
            reference.path,
            f"{reference.label} failed to resolve {shown}",
            fix=fix,
            near=near,
            wrong=reference.name,
            severity="warning" if reference.quiet else None,
            document=reference.document,
        )


@rule(
    "L221",
    "no-template-named",
    "error",
    what="A step or task that names no template.",
    why="It has nothing to run.",
    source=_VALIDATE,
)
def no_template_named(workflow: WorkflowView) -> Iterator[Issue]:
    yield from walk_of(workflow).of("no-template")


@rule(
    "L222",
    "template-reference",
    "error",
    what="A step or task with both template and templateRef, or an incomplete templateRef.",
    why="It must be clear which template is meant: `templateRef: {name, template}` or `template`.",
    source=_VALIDATE,
)
def template_reference(workflow: WorkflowView) -> Iterator[Issue]:
    yield from walk_of(workflow).of("both-templates")


@rule(
    "L223",
    "loop-kinds",
    "error",
    what="More than one of withItems, withParam and withSequence; or both count and end in a sequence.",
    why="A step or task has one loop.",
    source=_VALIDATE,
    needs="with",
)
def loop_kinds(workflow: WorkflowView) -> Iterator[Issue]:
    for template in workflow.every_template():
        for call in template.calls():
            present = [name for name in ("withItems", "withParam") if call.data.get(name)]
            if "withSequence" in call.data:
                present.append("withSequence")
            if len(present) > 1:
                words = f"{call.label} only one of withItems, withParam, withSequence can be specified"
                yield Issue(
                    (*call.path, present[1]), words, fix=f"keep one of {', '.join(present)}", key=True
                )
            sequence = call.data.get("withSequence") or {}
            if present == ["withSequence"] and "count" in sequence and "end" in sequence:
                words = f"{call.label} only one of count or end can be defined in withSequence"
                yield Issue((*call.path, "withSequence", "end"), words, fix="keep count or end", key=True)


@rule(
    "L224",
    "dag-without-tasks",
    "error",
    what="A DAG without tasks.",
    why="Argo refuses it.",
    source=_VALIDATE,
)
def dag_without_tasks(workflow: WorkflowView) -> Iterator[Issue]:
    for template in _dags(workflow):
        if not template.data["dag"].get("tasks"):
            yield Issue((*template.path, "dag"), f"{template.label} must have at least one task")


@rule(
    "L225",
    "dag-cycle",
    "error",
    what="Tasks that wait for each other in a circle.",
    why="None of them could ever start.",
    source=_VALIDATE,
    needs="depend",
)
def dag_cycle(workflow: WorkflowView) -> Iterator[Issue]:
    for template in _dags(workflow):
        tasks = template.data["dag"].get("tasks") or []
        circle = depends.cycle(tasks)
        if circle:
            at = next(i for i, task in enumerate(tasks) if task.get("name") == circle[0])
            key = "depends" if tasks[at].get("depends") else "dependencies"
            words = f"{template.label} sorting failed: graph with cycle: {' -> '.join(circle)}"
            yield Issue(
                (*template.path, "dag", "tasks", at, key), words, fix="remove one of the dependencies"
            )


@rule(
    "L226",
    "dependency-undefined",
    "error",
    what="A task waits for a task that does not exist.",
    why="The dependency can never be met.",
    source=_ANCESTRY,
    fixable=True,
    needs="depend",
)
def dependency_undefined(workflow: WorkflowView) -> Iterator[Issue]:
    for template in _dags(workflow):
        names = tuple(call.name for call in template.calls())
        known = set(names)
        for call in template.calls():
            for name in dependencies(call.data):
                if name not in known:
                    key = "depends" if call.data.get("depends") else "dependencies"
                    path = (*call.path, key)
                    listed = call.data.get("dependencies") or []
                    if key == "dependencies" and name in listed:
                        path = (*path, listed.index(name))
                    words = f"{call.label} dependency {name!r} not defined"
                    yield Issue(path, words, near=tuple(item for item in names if item != call.name))


@rule(
    "L227",
    "depends-result",
    "error",
    what="A result in `depends` that does not exist, or one for loops used on a task without a loop.",
    why=f"The results are {', '.join(RESULTS)}; the last two are for loops only.",
    source=f"{_ANCESTRY} (ValidateTaskResults)",
    fixable=True,
    needs="depends",
)
def depends_result(workflow: WorkflowView) -> Iterator[Issue]:
    for template in _dags(workflow):
        tasks = {call.name: call.data for call in template.calls()}
        for call in template.calls():
            path = (*call.path, "depends")
            for name, word in unknown_results(call.data):
                words = f"{call.label} task result {word!r} for task {name!r} is invalid"
                yield Issue(path, words, near=RESULTS)
            for name, loops in dependencies(call.data).items():
                other = tasks.get(name)
                if loops and other is not None and not _looped(other):
                    words = (
                        f"{template.label}.tasks.{name} dependency {name!r} uses an items-based condition such as "
                        ".AnySucceeded or .AllFailed but does not contain any items"
                    )
                    yield Issue(path, words, fix=f"use {name}.Succeeded or {name}.Failed")


@rule(
    "L228",
    "depends-mixed",
    "error",
    what="`depends` together with `dependencies` or `continueOn` in one DAG.",
    why="`depends` says by itself which results go on.",
    source=_VALIDATE,
    needs="depends",
)
def depends_mixed(workflow: WorkflowView) -> Iterator[Issue]:
    for template in _dags(workflow):
        calls = template.calls()
        if not any(call.data.get("depends") for call in calls):
            continue
        for call in calls:
            if call.data.get("dependencies"):
                words = (
                    f"{template.label} cannot use both 'depends' and 'dependencies' in the same DAG template"
                )
                fix = f'write depends: "{" && ".join(call.data["dependencies"])}"'
                yield Issue((*call.path, "dependencies"), words, fix=fix, key=True)
            if "continueOn" in call.data:
                words = f"{template.label} cannot use 'continueOn' when using 'depends'"
                fix = f"write `{call.name}.Succeeded || {call.name}.Failed` in the tasks that follow"
                yield Issue((*call.path, "continueOn"), words, fix=fix, key=True)


@rule(
    "L229",
    "task-begins-with-digit",
    "error",
    what="A task whose name begins with a digit, in a DAG with dependencies.",
    why="The expression behind `depends` would read it as a number.",
    source=_VALIDATE,
)
def task_begins_with_digit(workflow: WorkflowView) -> Iterator[Issue]:
    for template in _dags(workflow):
        calls = template.calls()
        using = any(call.data.get("depends") for call in calls)
        for call in calls:
            if (using or call.data.get("dependencies")) and call.name[:1].isdigit():
                words = f"{call.label} name cannot begin with a digit when using 'depends' or 'dependencies'"
                yield Issue((*call.path, "name"), words, fix=f"call it 't{call.name}'")


@rule(
    "L230",
    "target-undefined",
    "error",
    what="A DAG target that is not one of its tasks.",
    why="The DAG would have nothing to aim at.",
    source=_VALIDATE,
    fixable=True,
    needs="target",
)
def target_undefined(workflow: WorkflowView) -> Iterator[Issue]:
    for template in _dags(workflow):
        target = template.data["dag"].get("target") or ""
        names = tuple(call.name for call in template.calls())
        for word in target.split(" ") if target else ():
            if word not in names and not is_tag(word):
                words = f"{template.label}.targets: target {word!r} is not defined"
                yield Issue((*template.path, "dag", "target"), words, near=names)


@rule(
    "L231",
    "missing-dependency",
    "error",
    what="A task uses the output of a task that it does not wait for.",
    why="The output need not exist when the task starts.",
    source=f"{_VALIDATE} (validateDAGTaskArgumentDependency)",
    needs="{{tasks.",
)
def missing_dependency(workflow: WorkflowView) -> Iterator[Issue]:
    for template in _dags(workflow):
        edges = depends.graph(template.data["dag"].get("tasks") or [])
        for call in template.calls():
            before: set[str] | None = None
            values = [(item.get("name", ""), item.get("value")) for item in call.arguments("parameters")]
            origins = [(item.get("name", ""), item.get("from")) for item in call.arguments("artifacts")]
            for kind, key, passed in (("parameters", "value", values), ("artifacts", "from", origins)):
                for index, (name, given) in enumerate(passed):
                    text = given or ""
                    if not text.startswith("{{tasks."):
                        continue
                    if before is None:
                        before = depends.ancestors(call.name, edges)
                    other = text.split(".")[1]
                    if other not in before:
                        words = f"{call.label} missing dependency {other!r} for {kind[:-1]} {name!r}"
                        yield Issue(
                            (*call.path, "arguments", kind, index, key),
                            words,
                            fix=f"add {other} to its depends",
                        )


def _dags(workflow: WorkflowView) -> Iterator[TemplateView]:
    return (template for template in workflow.every_template() if template.type == "DAG")


def _looped(task: DAGTask) -> bool:
    return bool(task.get("withItems")) or bool(task.get("withParam")) or "withSequence" in task
