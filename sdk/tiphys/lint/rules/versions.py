"""What Argo 4.0 refuses and 4.1 takes: only asked with ``--argo 4.0``."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.argo.newer import newer_fields
from tiphys.argo.spec import written
from tiphys.lint.model import TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.tags import simple_tags

_WHY = "Asked with `--argo 4.0`, for clusters that are not at 4.1 yet."


@rule(
    "L116",
    "newer-field",
    "error",
    what="A field that Argo 4.0 does not have.",
    why=_WHY + " Strict decoding refuses the object; without it the setting has no effect.",
    source="argo-workflows v4.0.5, api/jsonschema/schema.json",
)
def newer_field(workflow: WorkflowView) -> Iterator[Issue]:
    if workflow.project.argo != "4.0":
        return
    for path in newer_fields(workflow.data, workflow.kind):
        words = f'unknown field "{written(path)}": Argo has it since 4.1'
        yield Issue(path, words, fix="leave it out, or run Argo 4.1", key=True)


@rule(
    "L206",
    "step-name-filled-in",
    "error",
    what="A step whose name holds a tag that is not known before the workflow runs.",
    why=_WHY + " It validates such a name with a stand-in for the value, which is no legal name.",
    source="argo-workflows v4.0.5, workflow/validate/validate.go (validateSteps); its issue 15896",
    scope="template",
    needs="steps",
)
def step_name_filled_in(template: TemplateView) -> Iterator[Issue]:
    workflow = template.workflow
    if workflow.project.argo != "4.0" or template.type != "Steps":
        return
    for call in template.calls():
        unknown = [tag for tag in simple_tags(call.name) if not _literal(tag, template)]
        if unknown:
            words = f"{call.caller.label}.steps[{call.group}].name {call.name!r} is invalid before Argo 4.1"
            yield Issue((*call.path, "name"), words, fix="give the step a name without a tag")


def _literal(tag: str, template: TemplateView) -> bool:
    """Whether 4.0 has a value to put there: from the arguments of the workflow itself."""
    workflow = template.workflow
    given = {
        item.get("name"): item for item in (workflow.spec.get("arguments") or {}).get("parameters") or []
    }
    group, _, name = tag.rpartition(".")
    if group == "workflow.parameters":
        return "value" in given.get(name, {})
    if group == "inputs.parameters":
        if workflow.reusable or template.name != workflow.spec.get("entrypoint"):
            return False  # the arguments of a call are not looked at
        own = next((item for item in template.inputs("parameters") if item.get("name") == name), None)
        return "value" in given.get(name, {}) or (own is not None and ("value" in own or "default" in own))
    # another is refused by both versions, or is free text
    return not tag.startswith(("workflow.", "inputs."))
