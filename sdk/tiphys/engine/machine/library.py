"""Where templates come from: the workflow itself, ``templateRef``, ``inline``; and ``templateDefaults``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from tiphys.argo.patch import TEMPLATE, PatchError, strategic, without_nulls
from tiphys.argo.spec import TYPES, template_kind, template_type
from tiphys.argo.version import NEWEST, Argo
from tiphys.expr.tags import Plan, compile_plan

if TYPE_CHECKING:
    from tiphys.argo.pod_types import Metadata
    from tiphys.argo.types import GivenObject, Hook, Template, TemplateRef, WorkflowStep, WorkflowTemplateRef


__all__ = ["Compiled", "Context", "Library", "TemplateError", "named_by"]

NODE_TYPES = {
    "container": "Pod", "containerSet": "Pod", "script": "Pod", "resource": "Pod", "data": "Pod", "http": "HTTP",
    "plugin": "Plugin", "suspend": "Suspend", "steps": "Steps", "dag": "DAG",
}  # fmt: skip


class TemplateError(Exception):
    """A template cannot be found."""


def named_by(hook: Hook) -> WorkflowStep:
    """Return what a step would say that runs the template of a hook."""
    holder: WorkflowStep = {}
    if hook.get("template"):
        holder["template"] = hook["template"]
    if hook.get("templateRef"):
        holder["templateRef"] = hook["templateRef"]
    return holder


class Compiled:
    """A template with what is worked out once: its kind and where its tags are."""

    __slots__ = ("dag", "kind", "plan", "template", "users")

    def __init__(self, template: Template) -> None:
        self.template = template
        self.kind = template_type(template)
        self.plan: Plan | None = compile_plan(
            {key: value for key, value in template.items() if key != "inputs"}
        )
        self.dag: Any = None
        self.users: frozenset[str] | None = None


class Context:
    """The templates that a name is looked up in: a workflow's own, or those of a (Cluster)WorkflowTemplate."""

    __slots__ = ("label", "library", "metadata", "templates")

    def __init__(
        self, library: Library, label: str, templates: Sequence[Template], metadata: Metadata | None = None
    ) -> None:
        self.library = library
        self.label = label
        self.metadata = metadata or {}  # the ``podMetadata`` beside the templates
        self.templates = {str(template.get("name")): template for template in templates}

    def resolve(self, holder: WorkflowStep) -> tuple[Context, Compiled]:
        """Return the template that a step, task, hook or entrypoint names, and the context its own names mean.

        Raises
        ------
        TemplateError
            There is none.
        """
        inline = holder.get("inline")
        if inline is not None:
            return self, self.library.compiled(inline, self)
        reference = holder.get("templateRef")
        if reference:
            context = self.library.reference(reference)
            template = context.templates.get(str(reference.get("template")))
            if template is None:
                raise TemplateError(
                    f"template {reference.get('template')} not found in workflow template {reference.get('name')}"
                )
            return context, self.library.compiled(template, context, stored=str(reference.get("template")))
        name = str(holder.get("template") or "")
        template = self.templates.get(name)
        if template is None:
            kind, _, owner = self.label.partition("/")
            where = "" if kind == "local" else f" in workflow template {owner}"
            raise TemplateError(f"template {name} not found{where}")
        return self, self.library.compiled(template, self, stored=name)


class Library:
    """All templates a workflow can reach."""

    def __init__(
        self,
        namespace: str,
        context: Sequence[GivenObject],
        defaults: Template | None,
        argo: Argo = NEWEST,
    ) -> None:
        self.namespace = namespace
        self.argo = argo
        self.defaults = defaults or None
        self.stored: dict[str, Template] = {}
        self._compiled: dict[int, Compiled] = {}
        self._keep: list[Template] = []
        self._objects: dict[tuple[str, str], GivenObject] = {}
        self._contexts: dict[tuple[str, str], Context] = {}
        for item in context:
            kind = str(item.get("kind"))
            name = str((item.get("metadata") or {}).get("name"))
            if kind in ("WorkflowTemplate", "ClusterWorkflowTemplate"):
                self._objects[(kind, name)] = item

    def workflow_template(self, reference: TemplateRef | WorkflowTemplateRef) -> GivenObject:
        """Return the (Cluster)WorkflowTemplate that a reference names.

        Raises
        ------
        TemplateError
            It was not given.
        """
        kind, name = template_kind(reference), str(reference.get("name"))
        found = self._objects.get((kind, name))
        if found is None:
            raise TemplateError(f'{kind.lower()}s.argoproj.io "{name}" not found')
        return found

    def reference(self, reference: TemplateRef) -> Context:
        """Return the context of the object a ``templateRef`` names."""
        key = ("cluster" if reference.get("clusterScope") else "namespaced", str(reference.get("name")))
        if key not in self._contexts:
            spec = self.workflow_template(reference).get("spec") or {}
            self._contexts[key] = Context(
                self, "/".join(key), spec.get("templates") or [], spec.get("podMetadata")
            )
        return self._contexts[key]

    def compiled(self, template: Template, context: Context, stored: str = "") -> Compiled:
        """Return the template merged with ``templateDefaults`` and analysed; kept by identity."""
        found = self._compiled.get(id(template))
        if found is None:
            merged = template
            if self.defaults:
                kind = template_type(template)
                defaults = {
                    key: value for key, value in self.defaults.items() if key not in TYPES or key == kind
                }
                try:
                    merged = cast(
                        "Template", strategic(without_nulls(defaults), without_nulls(template), TEMPLATE)
                    )
                except PatchError as error:
                    raise TemplateError(str(error)) from error
            found = Compiled(self._labelled(merged, context))
            self._keep.append(template)
            self._compiled[id(template)] = found
        if stored and not context.label.startswith("local/"):
            self.stored.setdefault(f"{context.label}/{stored}", template)
        return found

    def _labelled(self, template: Template, context: Context) -> Template:
        """The template with the ``podMetadata`` beside it: of a key that both have its own wins, in 4.0 the other.

        Source: argo-workflows v4.0.5 and v4.1.2, workflow/templateresolution/context.go (addPodMetadata).
        """
        if not context.metadata or NODE_TYPES.get(template_type(template)) != "Pod":
            return template
        own, around = template.get("metadata") or {}, context.metadata
        first, last = (own, around) if self.argo == "4.0" else (around, own)
        both: Metadata = {
            "labels": {**(first.get("labels") or {}), **(last.get("labels") or {})},
            "annotations": {**(first.get("annotations") or {}), **(last.get("annotations") or {})},
        }
        return {**template, "metadata": both}
