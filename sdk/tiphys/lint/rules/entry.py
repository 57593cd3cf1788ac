"""The way in and out: entrypoint, exit handlers, hooks, references to shared templates."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.lint.analysis import walk_of
from tiphys.lint.model import Project, WorkflowView
from tiphys.lint.registry import Issue, rule

_VALIDATE = "argo-workflows v4.1.2, workflow/validate/validate.go"


@rule(
    "L210",
    "entrypoint-missing",
    "error",
    what="A Workflow or CronWorkflow without an entrypoint.",
    why="Nothing says which template to run first.",
    source=_VALIDATE,
)
def entrypoint_missing(workflow: WorkflowView) -> Iterator[Issue]:
    for issue in walk_of(workflow).of("entrypoint"):
        names = [template.name for template in workflow.templates if template.name]
        fix = f"add `entrypoint: {names[-1]}`" if len(names) == 1 else "name the first template in entrypoint"
        yield Issue(issue.path, issue.message, fix=fix)


@rule(
    "L211",
    "template-undefined",
    "error",
    what="A template that is called (by entrypoint, onExit, a step or a task) but not defined.",
    why="The reference leads nowhere.",
    source=_VALIDATE,
    fixable=True,
)
def template_undefined(workflow: WorkflowView) -> Iterator[Issue]:
    yield from walk_of(workflow).of("template")


@rule(
    "L212",
    "shared-template-not-found",
    "error",
    what="A WorkflowTemplate or ClusterWorkflowTemplate that is referred to but not among the given files.",
    why="Offline, references resolve among the given files, in exactly the same namespace.",
    source="argo-workflows v4.1.2, cmd/argo/lint (offline getters)",
)
def shared_template_not_found(workflow: WorkflowView) -> Iterator[Issue]:
    yield from walk_of(workflow).of("shared")


@rule(
    "L213",
    "templates-beside-reference",
    "error",
    what="A workflow with a workflowTemplateRef must not have templates of its own.",
    why="The whole specification comes from the reference.",
    source=_VALIDATE,
    needs="workflowTemplateRef",
)
def templates_beside_reference(workflow: WorkflowView) -> Iterator[Issue]:
    if workflow.spec.get("workflowTemplateRef") is not None and workflow.spec.get("templates"):
        words = "Templates is invalid field in spec if workflow referred WorkflowTemplate reference"
        yield Issue(workflow.at("templates"), words, fix="remove templates, or the reference", key=True)


@rule(
    "L214",
    "hook-without-expression",
    "error",
    what="A lifecycle hook other than `exit` needs an expression.",
    why="The expression says when the hook runs.",
    source=_VALIDATE,
    needs="hooks",
)
def hook_without_expression(workflow: WorkflowView) -> Iterator[Issue]:
    hooks = workflow.spec.get("hooks") or {}
    places = [("hooks", workflow.at("hooks"), hooks)]
    for template in workflow.every_template():
        for call in template.calls():
            if call.family == "steps":  # Argo does not look at those of DAG tasks
                places.append((call.label, (*call.path, "hooks"), call.data.get("hooks") or {}))
    for label, path, found in places:
        for name, hook in found.items():
            if name != "exit" and not (hook or {}).get("expression"):
                words = f"{label}.{name} Expression required"
                subject = "workflow" if label == "hooks" else "steps.NAME"
                fix = f"""add `expression: {subject}.status == "Running"`"""
                yield Issue((*path, name), words, fix=fix, key=True)


@rule(
    "L215",
    "shared-template-twice",
    "error",
    what="Two WorkflowTemplates (or ClusterWorkflowTemplates) of one name in one namespace.",
    why="A reference could mean either; `argo lint` stops for all files.",
    source="argo-workflows v4.1.2, cmd/argo/lint",
    scope="project",
    needs="Template",
)
def shared_template_twice(project: Project) -> Iterator[Issue]:
    seen: set[tuple[str, str, str]] = set()
    for workflow in project.workflows:
        if workflow.reusable:
            space = workflow.namespace if workflow.kind == "WorkflowTemplate" else ""
            key = (workflow.kind, space, workflow.metadata.get("name", ""))
            if key in seen:
                words = f'duplicate {workflow.kind} found: "{key[2]}"'
                yield Issue(("metadata", "name"), words, fix="rename one", document=workflow.document)
            seen.add(key)
