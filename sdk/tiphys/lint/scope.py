"""What can be referred to where: Argo's variables as its validation knows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tiphys.lint.model import KINDS, CallView, TemplateView, WorkflowView
from tiphys.lint.tags import PREFIXES, is_tag, mark_tags

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import Parameter, WorkflowMetadata

__all__ = ["Scope", "global_names", "items", "own_names", "result_names"]

# Never checked: filled at run time, or by what starts the workflow.
_EXEMPT = (
    "outputs.",
    "workflow.creationTimestamp",
    "workflow.scheduledTime",
    "workflow.duration",
    "tasks.name",
    "steps.name",
    "node.name",
)
_RETRIES = ("retries", "lastRetry.exitCode", "lastRetry.status", "lastRetry.duration", "lastRetry.message")


class Scope:
    """Names that resolve; ``wild`` are prefixes below which anything does.

    ``outer`` is the scope around it, whose names resolve, too. ``more`` adds names that are seldom asked for: it is
    called once, when a name does not resolve without it.
    """

    __slots__ = ("more", "names", "outer", "wild")

    def __init__(
        self,
        names: set[str] | None = None,
        wild: set[str] | None = None,
        outer: Scope | None = None,
        more: Callable[[Scope], None] | None = None,
    ) -> None:
        self.names = names if names is not None else set()
        self.wild = wild if wild is not None else set()
        self.outer = outer
        self.more = more

    def within(self, more: Callable[[Scope], None] | None = None) -> Scope:
        """A scope inside this one, that can grow by itself."""
        return Scope(outer=self, more=more)

    def has(self, name: str) -> bool:
        """Whether there is a variable of exactly that name."""
        if name in self.names or (self.outer is not None and self.outer.has(name)):
            return True
        if self.more is not None:
            self._complete()
            return name in self.names
        return False

    def knows(self, name: str) -> bool:
        """Whether a tag of that name passes: known, exempt, or no variable of Argo's at all."""
        if not name.startswith(PREFIXES) or name.startswith(_EXEMPT) or self.has(name):
            return True
        return any(name.startswith(prefix) for prefix in self._wild())

    def every(self) -> set[str]:
        """All the names."""
        self._complete()
        return self.names | (self.outer.every() if self.outer is not None else set())

    def _complete(self) -> None:
        more, self.more = self.more, None
        if more is not None:
            more(self)

    def _wild(self) -> set[str]:
        return self.wild | (self.outer._wild() if self.outer is not None else set())


def global_names(workflow: WorkflowView, arguments: list[Parameter], shared: WorkflowView | None) -> set[str]:
    """The names that every template of the workflow can use."""
    names = {
        "workflow.name",
        "workflow.namespace",
        "workflow.mainEntrypoint",
        "workflow.serviceAccountName",
        "workflow.uid",
        "workflow.status",
        "workflow.labels",
        "workflow.labels.json",
        "workflow.annotations",
        "workflow.annotations.json",
    }
    if arguments:
        names |= {"workflow.parameters", "workflow.parameters.json"}
    names |= {f"workflow.parameters.{item.get('name', '')}" for item in arguments if item.get("name")}
    # a CronWorkflow's workflows take their labels from spec.workflowMetadata
    own = workflow.cron.get("workflowMetadata") if workflow.kind == "CronWorkflow" else workflow.metadata
    given: list[WorkflowMetadata] = [workflow.spec.get("workflowMetadata") or {}]
    if shared is not None:
        given.append(shared.spec.get("workflowMetadata") or {})
    sources: list[ObjectMeta | WorkflowMetadata] = [own or {}, *given]
    for source in sources:
        names |= {f"workflow.annotations.{name}" for name in source.get("annotations") or {}}
        names |= {f"workflow.labels.{name}" for name in source.get("labels") or {}}
    for each in given:
        names |= {f"workflow.labels.{name}" for name in each.get("labelsFrom") or {}}
    if "priority" in workflow.spec:
        names.add("workflow.priority")
    return names


def own_names(template: TemplateView) -> set[str]:
    """What a template brings itself: its inputs, the paths of its outputs, its pod and its retries."""
    names = {f"inputs.parameters.{item.get('name', '')}" for item in template.inputs("parameters")}
    names.add("inputs.parameters")  # of a template that has none, too: it is null
    for item in template.inputs("artifacts"):
        names.add(f"inputs.artifacts.{item.get('name', '')}")
        if template.leaf:
            names.add(f"inputs.artifacts.{item.get('name', '')}.path")
    if template.pod:
        names.add("pod.name")
    if "retryStrategy" in template.data:
        names.update(_RETRIES)
    return names


def items(call: CallView, scope: Scope, param: str) -> None:
    """Add what a loop's ``item.KEY`` can be (the bare ``item`` is never checked); ``param`` is withParam, filled."""
    if call.data.get("withItems"):
        for item in call.data["withItems"]:
            if isinstance(item, dict):
                scope.names.update(f"item.{key}" for key in item)
            elif isinstance(item, list):
                scope.names.update(f"item.[{index}]" for index in range(len(item)))
    elif param:
        scope.wild.add("item")


def result_names(
    template: TemplateView | None,
    call: CallView,
    shared: Scope,
    local: Scope,
    *,
    aggregate: bool,
    ancestor: bool,
) -> set[str]:
    """What a step or task offers to others; names exported to the workflow go to ``shared`` as well.

    A name that only a run knows opens all exported names, but in the template at hand (``local``) alone.
    """
    prefix = f"{call.family}.{call.key}"
    names = {f"{prefix}.{word}" for word in ("id", "startedAt", "finishedAt", "hostNodeName")}
    if template is None:
        return names
    if template.data.get("daemon"):
        names.add(f"{prefix}.ip")
    if template.has_result():
        names |= {f"{prefix}.outputs.result", f"{prefix}.exitCode"}
    for kind in KINDS:
        for item in template.outputs(kind):
            names.add(f"{prefix}.outputs.{kind}.{mark_tags(item.get('name', ''))}")
            exported = item.get("globalName")
            if exported and is_tag(exported):
                local.wild.add(f"workflow.outputs.{kind}.")
            elif exported:
                shared.names.add(f"workflow.outputs.{kind}.{exported}")
    if aggregate:
        names.add(f"{prefix}.outputs.parameters")
        if template.type in ("Script", "ContainerSet"):
            names |= {f"{prefix}.outputs.result", f"{prefix}.exitCode"}
    if ancestor:
        names.add(f"{prefix}.status")
    return names
