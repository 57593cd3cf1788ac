"""Argo's objects as rules see them: decoded, typed data that knows where each part stands in the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast, overload

from tiphys.argo import spec as argo_spec
from tiphys.argo.decode import Misfit, decode
from tiphys.argo.reader import Document, Path
from tiphys.argo.schema import table
from tiphys.argo.version import NEWEST, Argo, known
from tiphys.lint.tags import mark_tags

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec, ObjectMeta
    from tiphys.argo.types import (
        Artifact,
        CronWorkflow,
        CronWorkflowSpec,
        DAGTask,
        GivenObject,
        Parameter,
        Template,
        Workflow,
        WorkflowSpec,
    )

__all__ = [
    "ARGO_KINDS",
    "KINDS",
    "REFERRED",
    "CallView",
    "ConfigMapView",
    "ElsewhereError",
    "Project",
    "TemplateView",
    "WorkflowView",
    "load",
]

ARGO_KINDS = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")

REFERRED = ("WorkflowTemplate", "ClusterWorkflowTemplate", "ConfigMap")
"""What workflows refer to that stand in other files."""

Kind = Literal["parameters", "artifacts"]
KINDS: tuple[Kind, ...] = ("parameters", "artifacts")

_PODS = frozenset(("Container", "ContainerSet", "Script", "Resource", "Data"))


class TemplateView:
    """One template: ``data`` is decoded, ``path`` leads to it from the top of its object."""

    __slots__ = ("_calls", "data", "inline", "name", "path", "type", "workflow")

    def __init__(self, workflow: WorkflowView, data: Template, path: Path, inline: bool = False) -> None:
        self.workflow = workflow
        self.data = data
        self.path = path
        self.inline = inline
        self.name = data.get("name", "")
        self.type = next((argo_spec.TYPES[key] for key in argo_spec.TYPES if key in data), "")
        self._calls: list[CallView] | None = None

    @property
    def types(self) -> list[str]:
        """Every template type that is present; a right template has one."""
        return [key for key in argo_spec.TYPES if key in self.data]

    @property
    def leaf(self) -> bool:
        """A template that does something itself."""
        return self.type in _PODS or self.type in ("HTTP", "Plugin")

    @property
    def pod(self) -> bool:
        """A template that runs as a pod."""
        return self.type in _PODS

    @overload
    def inputs(self, kind: Literal["parameters"]) -> list[Parameter]: ...
    @overload
    def inputs(self, kind: Literal["artifacts"]) -> list[Artifact]: ...
    @overload
    def inputs(self, kind: Kind) -> Sequence[Parameter | Artifact]: ...
    def inputs(self, kind: Kind) -> Sequence[Parameter | Artifact]:
        """The input ``parameters`` or ``artifacts``."""
        return (self.data.get("inputs") or {}).get(kind) or []

    @overload
    def outputs(self, kind: Literal["parameters"]) -> list[Parameter]: ...
    @overload
    def outputs(self, kind: Literal["artifacts"]) -> list[Artifact]: ...
    @overload
    def outputs(self, kind: Kind) -> Sequence[Parameter | Artifact]: ...
    def outputs(self, kind: Kind) -> Sequence[Parameter | Artifact]:
        """The output ``parameters`` or ``artifacts``."""
        return (self.data.get("outputs") or {}).get(kind) or []

    def containers(self) -> Iterator[tuple[Path, ContainerSpec]]:
        """Every container of the pod with its path: main ones, sidecars, init containers."""
        for path, item in argo_spec.containers(self.data):
            yield (*self.path, *path), item

    def has_result(self) -> bool:
        """Whether ``outputs.result`` and ``exitCode`` can be referred to."""
        if self.type == "ContainerSet":
            return any(item.get("name") == "main" for item in argo_spec.set_containers(self.data))
        return self.type in ("Container", "Script", "Data", "HTTP", "Plugin")

    def calls(self) -> list[CallView]:
        """The steps or tasks of this template, in the order of the text."""
        if self._calls is not None:
            return self._calls
        self._calls = [
            CallView(self, cast("DAGTask", each.holder), (*self.path, *each.path), each.family, each.group)
            for each in argo_spec.calls(self.data)
        ]
        return self._calls

    @property
    def label(self) -> str:
        """``templates.NAME``, as Argo's messages begin."""
        return f"templates.{self.name}"


class CallView:
    """A step or a task: a call of a template. ``family`` (``steps`` or ``tasks``): how its outputs are referred to."""

    __slots__ = ("caller", "data", "family", "group", "path")

    def __init__(self, caller: TemplateView, data: DAGTask, path: Path, family: str, group: int) -> None:
        self.caller = caller
        self.data = data
        self.path = path
        self.family = family
        self.group = group

    @property
    def name(self) -> str:
        """The name of the step or task."""
        return self.data.get("name", "")

    @property
    def key(self) -> str:
        """The name as other tags can spell it: a tag inside it is replaced by a mark."""
        return mark_tags(self.name)

    @property
    def label(self) -> str:
        """``templates.T.steps[0].S`` or ``templates.T.tasks.S``, as in Argo's messages."""
        if self.family == "steps":
            return f"{self.caller.label}.steps[{self.group}].{self.name}"
        return f"{self.caller.label}.tasks.{self.name}"

    @overload
    def arguments(self, kind: Literal["parameters"]) -> list[Parameter]: ...
    @overload
    def arguments(self, kind: Literal["artifacts"]) -> list[Artifact]: ...
    @overload
    def arguments(self, kind: Kind) -> Sequence[Parameter | Artifact]: ...
    def arguments(self, kind: Kind) -> Sequence[Parameter | Artifact]:
        """The ``parameters`` or ``artifacts`` that it passes."""
        return (self.data.get("arguments") or {}).get(kind) or []

    @property
    def looped(self) -> bool:
        """Whether its outputs are aggregated (a sequence's are not, for validation)."""
        return bool(self.data.get("withItems")) or bool(self.data.get("withParam"))


class WorkflowView:
    """An object of one of Argo's four kinds. ``number``: of the object in its file, from 1; ``cron``: empty but for a
    CronWorkflow; ``cache``: what analyses computed once."""

    __slots__ = (
        "_every", "cache", "cron", "data", "document", "kind", "metadata", "misfits", "number", "project", "spec",
        "spec_path", "templates",
    )  # fmt: skip

    project: Project

    def __init__(
        self,
        document: Document,
        kind: str,
        data: Workflow | CronWorkflow,
        misfits: list[Misfit],
        number: int,
    ) -> None:
        self.document = document
        self.kind = kind
        self.data = data
        self.misfits = misfits
        self.number = number
        self.metadata: ObjectMeta = data.get("metadata") or {}
        self.spec_path: Path = ("spec",)
        self.cron: CronWorkflowSpec = {}
        if kind == "CronWorkflow":
            self.spec_path = ("spec", "workflowSpec")
            self.cron = cast("CronWorkflow", data).get("spec") or {}
            self.spec: WorkflowSpec = self.cron.get("workflowSpec") or {}
        else:
            self.spec = cast("Workflow", data).get("spec") or {}
        self.templates = [
            TemplateView(self, each, (*self.spec_path, "templates", index))
            for index, each in enumerate(self.spec.get("templates") or [])
        ]
        self._every: list[TemplateView] | None = None
        self.cache: dict[object, object] = {}

    @property
    def name(self) -> str:
        """The name, else the generateName, else ``object #N``."""
        given = self.metadata.get("name") or self.metadata.get("generateName")
        return str(given) if given else f"object #{self.number}"

    @property
    def namespace(self) -> str:
        """The namespace as written; empty when absent."""
        return str(self.metadata.get("namespace", ""))

    @property
    def reusable(self) -> bool:
        """A WorkflowTemplate or ClusterWorkflowTemplate."""
        return self.kind in ("WorkflowTemplate", "ClusterWorkflowTemplate")

    def template(self, name: str) -> TemplateView | None:
        """The first template of that name."""
        return next((item for item in self.templates if item.name == name), None)

    def at(self, *steps: str | int) -> Path:
        """A path below the workflow's spec."""
        return (*self.spec_path, *steps)

    def every_template(self) -> list[TemplateView]:
        """The templates and those written inline in their steps and tasks."""
        if self._every is None:
            named = {template.path: template for template in self.templates}
            self._every = [
                named.get(path) or TemplateView(self, data, path, inline=True)
                for path, data in argo_spec.every_template(self.spec.get("templates"), self.at("templates"))
            ]
        return self._every


class ConfigMapView:
    """A ConfigMap among the given documents: limits of semaphores, caches, parameters. ``size``: the bytes of its keys
    and values."""

    __slots__ = ("data", "document", "labels", "misfits", "name", "namespace", "size")

    def __init__(self, document: Document) -> None:
        self.document = document
        value, self.misfits = decode(document.data, table().objects["/v1/ConfigMap"])
        kept = cast("GivenObject", value)
        meta = kept.get("metadata") or {}
        self.name, self.namespace = meta.get("name", ""), meta.get("namespace", "")
        self.labels = meta.get("labels") or {}
        self.data = kept.get("data") or {}
        parts = [*self.data.items(), *(kept.get("binaryData") or {}).items()]
        self.size = sum(len(str(key).encode()) + len(str(value).encode()) for key, value in parts)


class ElsewhereError(Exception):
    """What is asked for may be in a file that is not at hand."""


class Project:
    """All that was given to one call of the linter; or a ``part`` of it, for rules that ask for nothing else."""

    __slots__ = ("_maps", "argo", "documents", "part", "shared", "workflows")

    def __init__(
        self, documents: list[Document], workflows: list[WorkflowView], argo: Argo, part: bool
    ) -> None:
        self.documents = documents
        self.workflows = workflows
        self.argo = argo
        self.part = part
        self.shared: dict[tuple[str, str, str], WorkflowView] = {}
        self._maps: list[ConfigMapView] | None = None
        for item in workflows:
            item.project = self
            if item.kind == "WorkflowTemplate":
                self.shared.setdefault((item.kind, item.namespace, item.name), item)
            elif item.kind == "ClusterWorkflowTemplate":
                self.shared.setdefault((item.kind, "", item.name), item)

    def close(self) -> None:
        """Take its parts from each other, which refer to each other in circles: they are gone with the last reference
        to it."""
        for item in self.workflows:
            for template in item._every or item.templates:
                template._calls = None
            item.templates, item._every, item.cache = [], None, {}
            del item.project
        self.documents, self.workflows, self.shared, self._maps = [], [], {}, None

    def having(self, word: str) -> Iterator[WorkflowView]:
        """The workflows whose text has a word, and those that have no text."""
        return (item for item in self.workflows if word in item.document.text or not item.document.text)

    def _whole(self) -> None:
        if self.part:
            raise ElsewhereError

    def find(self, name: str, namespace: str, cluster: bool) -> WorkflowView | None:
        """The WorkflowTemplate (exact namespace, as offline lint) or ClusterWorkflowTemplate of that name."""
        self._whole()
        if cluster:
            return self.shared.get(("ClusterWorkflowTemplate", "", name))
        return self.shared.get(("WorkflowTemplate", namespace, name))

    def named(self, reference: Mapping[str, object]) -> WorkflowView | None:
        """What a ``templateRef`` or ``workflowTemplateRef`` names, in whatever namespace it was given: a run has only
        one."""
        self._whole()
        wanted = (argo_spec.template_kind(reference), reference.get("name"))
        return next((item for key, item in self.shared.items() if (key[0], key[2]) == wanted), None)

    def config_maps(self) -> list[ConfigMapView]:
        """The ConfigMaps among the documents."""
        self._whole()
        if self._maps is None:
            found = [
                item for item in self.documents if item.kind == "ConfigMap" and isinstance(item.data, dict)
            ]
            self._maps = [ConfigMapView(item) for item in found]
        return self._maps


def load(documents: list[Document], argo: Argo = NEWEST, part: bool = False) -> Project:
    """Decode the Argo objects of the documents; ``part``: there are others."""
    workflows: list[WorkflowView] = []
    roots = table().roots
    numbers: dict[str, int] = {}
    for document in documents:
        numbers[document.file] = numbers.get(document.file, 0) + 1
        if document.kind in ARGO_KINDS and isinstance(document.data, dict):
            value, misfits = decode(document.data, roots[document.kind])
            data = cast("Workflow | CronWorkflow", value)
            number = numbers[document.file]
            workflows.append(WorkflowView(document, document.kind, data, misfits, number))
    return Project(documents, workflows, known(argo), part)
