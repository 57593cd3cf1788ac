"""A pipeline: a Hera Workflow whose main graph is written by calling components inside its ``with`` block."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from hera.workflows import Workflow
from hera.workflows.models import Workflow as WorkflowModel

from tiphys.argo.copies import plain_copy
from tiphys.argo.jsonpatch import merge_patch
from tiphys.argo.parameters import ANNOTATION, check
from tiphys.argo.pools import POOLS, pools_text
from tiphys.compiler.line import Site, caller
from tiphys.dsl.context import GraphScope, refuse_hera
from tiphys.dsl.dags import Dag
from tiphys.dsl.fields import check_field
from tiphys.dsl.graphs import Graph
from tiphys.dsl.hera_calls import install
from tiphys.dsl.large import places
from tiphys.dsl.locks import Lock, Semaphore, synchronization
from tiphys.dsl.names import check_name
from tiphys.dsl.parameters import Declared, declare, schema_text
from tiphys.dsl.pod import POD_SECURITY, SERVICE_ACCOUNT, STEP_IMAGE, Defaults, Places, Volume
from tiphys.dsl.schedule import CronOptions, Overlap
from tiphys.dsl.scheduling import Scheduling, borne_together
from tiphys.dsl.shown import in_a_line, in_a_notebook
from tiphys.dsl.template import StepTemplate, volumes_for
from tiphys.dsl.types import MISSING
from tiphys.dsl.values import ParameterValue
from tiphys.errors import DefinitionError, did_you_mean

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments
    from tiphys.argo.types import Workflow as ArgoWorkflow
    from tiphys.jsontypes import JsonObject

__all__ = ["Pipeline"]

_MAIN = "main"
install()
_OWN = ("site", "pipeline_name", "graph", "exit_graph", "entrypoint", "locks", "declared")
_GENERATED = 6  # Argo appends a dash and five characters


class Pipeline(Workflow):
    """A workflow written in Python.

    Calls of components, :class:`TFJob`, :class:`Serving` templates and ``@dag`` functions inside ``with
    Pipeline("name"):`` make tasks; passing outputs makes their order. Compile it with ``tiphys.to_yaml``,
    check it with ``tiphys.lint``, run it here with ``tiphys.run``.

    ``image`` runs components that name none (by default the project's own step image); ``volumes`` are
    mounted in every step (by default the claim ``tiphys`` when anything takes or makes a
    :class:`tiphys.Reference`); ``title``, ``description`` and ``links`` are shown by the Argo UI; ``locks``
    hold for the whole workflow; ``scheduling`` orders it among others, and ``priority=5, queue="anna"`` is short for
    ``scheduling=Scheduling(priority=5, queue="anna")``. ``gpu_nodes`` is where steps go that ask for a GPU
    (their labels, their taints beside that of the GPU). ``patch`` is any part of the workflow's
    spec in Argo's words, merged last (a JSON merge: null removes). ``service_account`` is by default
    ``tiphys`` (manifests/) for a pipeline that creates Kubernetes objects, and for others the namespace's own;
    "" names none. Being a Hera Workflow, it also takes Hera's own templates, and Hera's fields as attributes
    (``pipeline.ttl_strategy = …``).

    Raises DefinitionError, with the Python line, for anything that Argo would refuse or misread.
    """

    def __init__(
        self,
        name: str,
        *,
        title: str = "",
        description: str = "",
        links: Mapping[str, str] | None = None,
        image: str = "",
        volumes: Sequence[Volume] | None = None,
        scheduling: Scheduling | None = None,
        priority: int | None = None,
        queue: str = "",
        gpu_nodes: Scheduling | None = None,
        locks: Sequence[Lock] = (),
        service_account: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        entrypoint: str = _MAIN,
        patch: Mapping[str, object] | None = None,
    ) -> None:
        site = caller()
        check_name(name, "a pipeline", site, limit=63 - _GENERATED)
        super().__init__(generate_name=f"{name}-", api_version="argoproj.io/v1alpha1", kind="Workflow")
        self.site = site
        self.pipeline_name = name
        self.graph = Graph(entrypoint, site)
        self.exit_graph: Graph | None = None
        self.entrypoint = entrypoint
        self.locks = tuple(locks)
        self._volumes = None if volumes is None else tuple(volumes)
        scheduling = _scheduling(scheduling, priority, queue, site)
        self._defaults = Defaults(image or STEP_IMAGE, (), scheduling, site.file, name, gpu_nodes=gpu_nodes)
        self.declared: list[Declared] = []
        self._patch = cast("JsonObject", dict(patch or {}))
        self._needs_account = service_account is None
        if service_account:
            self.service_account_name = check_name(service_account, "a service account", site)
        if labels:
            self.labels = dict(labels)
        shown = "\n\n".join([*([description] if description else []), *_links(links or {}, site)])
        self.annotations = {
            **(self.annotations or {}),  # class defaults of Hera's global_config
            **({"workflows.argoproj.io/title": _one_line(title)} if title else {}),
            **({"workflows.argoproj.io/description": shown} if shown else {}),
            **(annotations or {}),
        } or None

    def __setattr__(self, name: str, value: Any) -> None:
        check_field(type(self), name, _OWN)
        super().__setattr__(name, value)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        refuse_hera(error, trace)

    @classmethod
    def _not_read(cls, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise DefinitionError(
            "TIP120",
            f"a {cls.__name__} is written in Python, and not read from YAML",
            where=str(caller()),
            fix="give the file as it is to tiphys.run, tiphys.lint or tiphys submit; or read it with Hera's "
            "Workflow.from_yaml",
        )

    from_yaml = from_file = from_dict = _not_read

    def param(
        self,
        name: str,
        default: Any = MISSING,
        *,
        type: Any = None,
        choices: Sequence[Any] = (),
        minimum: float | None = None,
        maximum: float | None = None,
        pattern: str = "",
        description: str = "",
    ) -> ParameterValue:
        """Declare a parameter of the workflow, given at run time (``-p name=value``).

        The type is that of ``default`` unless said. Without a default a value is required. Raises
        DefinitionError: TIP101 illegal name, TIP102 declared twice, TIP109 default out of range.
        """
        site = caller()
        for other in self.declared:
            if other.name == name:
                raise DefinitionError(
                    "TIP102",
                    f"the parameter {name!r} is declared twice",
                    where=str(site),
                    fix="keep the object that the first declaration returned",
                )
        declared = declare(name, default, type, choices, minimum, maximum, pattern, description, site)
        self.declared.append(declared)
        return declared.value

    def set_parameter(self, name: str, text: str) -> None:
        """Replace the default of a parameter by the text from a command line. Raises RefusedError."""
        for index, declared in enumerate(self.declared):
            if declared.name == name:
                annotations = {ANNOTATION: schema_text([declared])}
                arguments: Arguments = {"parameters": [declared.argument()]}
                check(
                    {"metadata": {"annotations": annotations}, "spec": {"arguments": arguments}}, {name: text}
                )
                self.declared[index] = dataclasses.replace(declared, default=text)
                return
        names = [d.name for d in self.declared]
        raise DefinitionError(
            "TIP121",
            f"no parameter {name!r}.{did_you_mean(name, names)}",
            fix=f"parameters: {', '.join(names)}",
        )

    def exit_handler(self, name: str = "cleanup") -> GraphScope:
        """``with pipeline.exit_handler():`` tasks that run when the main graph has ended in any way.

        ``tiphys.workflow_status`` says how. It runs after ``argo stop`` too, but not after ``argo
        terminate``.
        """
        site = caller()
        check_name(name, "an exit handler", site)
        if self.exit_graph is not None:
            raise DefinitionError(
                "TIP102",
                "the pipeline has two exit handlers",
                where=str(site),
                cause=f"the first is at {self.exit_graph.site}",
                fix="put all tasks in one `with pipeline.exit_handler():` block",
            )
        self.exit_graph = Graph(name, site)
        return GraphScope(self.exit_graph)

    def _used(self) -> Iterator[StepTemplate]:
        """Templates of all graphs, in order of first use, nested graphs included."""
        graphs = [self.graph, *([self.exit_graph] if self.exit_graph else [])]
        seen: set[int] = set()

        def walk(templates: Iterable[StepTemplate]) -> Iterator[StepTemplate]:
            for template in templates:
                if id(template) in seen:
                    continue
                seen.add(id(template))
                if isinstance(template, Dag):
                    template.parameters = self.parameters
                yield template
                yield from walk(template.inner_templates())

        for graph in graphs:
            yield from walk(graph.templates())
        own: list[Any] = self.templates
        yield from walk(each for each in own if isinstance(each, StepTemplate))

    @property
    def parameters(self) -> list[ParameterValue]:
        """The declared parameters."""
        return [declared.value for declared in self.declared]

    @property
    def defaults(self) -> Defaults:
        """What templates take from the pipeline."""
        return self._given_to(list(self._used()))

    def _given_to(self, used: Sequence[StepTemplate]) -> Defaults:
        volumes = self._volumes
        if volumes is None:
            volumes = volumes_for(used)
        large = places(self._graphs(used), used) if volumes else Places()
        return dataclasses.replace(self._defaults, volumes=volumes, large=large)

    def _graphs(self, used: Iterable[StepTemplate]) -> list[Graph]:
        """All graphs: the main one, that of the exit handler, and those inside."""
        inner = [template.inner for template in used if isinstance(template, Dag)]
        return [self.graph, *([self.exit_graph] if self.exit_graph else []), *inner]

    def sites(self) -> dict[str, str]:
        """Where each part was written: ``{"template": "file:line", "template/task": "file:line"}``."""
        used = list(self._used())
        found = {template.name: str(template.site) for template in used}
        for graph in self._graphs(used):
            found.setdefault(graph.name, str(graph.site))
            found.update({f"{graph.name}/{node.task_name}": str(node.site) for node in graph.tasks})
        return found

    def as_template(self, name: str = "") -> dict[str, Any]:
        """A ``WorkflowTemplate`` of this pipeline, to keep on a cluster and start by name."""
        body = self.to_dict()
        label = check_name(name or self.pipeline_name, "a WorkflowTemplate", self.site)
        given, own = _for_runs(body["metadata"]), body["spec"].get("workflowMetadata") or {}
        merged = {**given, **own, **{key: {**given[key], **(own.get(key) or {})} for key in given}}
        spec = {**body["spec"], **({"workflowMetadata": merged} if merged else {})}
        return {**body, "kind": "WorkflowTemplate", "metadata": _named(body["metadata"], label), "spec": spec}

    def as_cron(
        self,
        *schedules: str,
        timezone: str = "",
        name: str = "",
        suspend: bool = False,
        overlap: Overlap = "forbid",
        starting_deadline: str | timedelta | None = None,
        keep_succeeded: int | None = None,
        keep_failed: int | None = None,
        when: str = "",
        stop_when: str = "",
    ) -> dict[str, Any]:
        """A ``CronWorkflow`` that starts this pipeline at ``schedules``: five fields each, ``@daily``, ``@every 1h``.

        ``overlap`` says what happens when the run before still goes on: ``"forbid"`` leaves the new one out,
        ``"replace"`` ends the old one, ``"allow"`` runs both. A run that was missed is started as long as
        ``starting_deadline`` is not over. ``keep_succeeded`` and ``keep_failed`` runs are kept (3 and 1 unless said).
        ``when`` (may this one start?) and ``stop_when`` (is it over with the schedule for good?) are expressions over
        ``cronworkflow``: ``"cronworkflow.failed >= 3"``. ``suspend`` makes it wait for ``argo cron resume``.

        Raises
        ------
        DefinitionError
            TIP105: an option of another kind. TIP109: no schedule, not a schedule, a time zone, a number or an
            expression. TIP115: not a duration.
        """
        site = caller()
        body = self.to_dict()
        label = check_name(name or self.pipeline_name, "a CronWorkflow", site, limit=52)
        options = CronOptions(
            schedules,
            timezone,
            suspend,
            overlap,
            starting_deadline,
            keep_succeeded,
            keep_failed,
            when,
            stop_when,
        )
        spec: dict[str, Any] = {**options.spec(site)}
        if given := _for_runs(body["metadata"]):
            spec["workflowMetadata"] = given
        spec["workflowSpec"] = body["spec"]
        return {**body, "kind": "CronWorkflow", "metadata": _named(body["metadata"], label), "spec": spec}

    def semaphores(self) -> list[Semaphore]:
        """Semaphores that the workflow needs."""
        return self._semaphores(self._used())

    def _semaphores(self, used: Iterable[StepTemplate]) -> list[Semaphore]:
        found = [lock for lock in self.locks if isinstance(lock, Semaphore)]
        for template in used:
            found += template.semaphores()
        return found

    def _compiled_templates(self, used: Iterable[StepTemplate], defaults: Defaults) -> list[dict[str, Any]]:
        graphs = [self.graph, *([self.exit_graph] if self.exit_graph else [])]
        bodies: list[dict[str, Any]] = []
        taken: dict[str, tuple[dict[str, Any], Site]] = {}

        def add(name: str, body: dict[str, Any], site: Site) -> None:
            other = taken.get(name)
            if other is None:
                taken[name] = (body, site)
                bodies.append(body)
            elif other[0] != body:
                raise DefinitionError(
                    "TIP117",
                    f"two templates are named {name!r}",
                    where=str(site),
                    cause=f"the other one is at {other[1]}, and they differ",
                    fix="give one of them another name (name=…), or one call other options: train(…).using(…)",
                )

        for graph in graphs:
            if graph.tasks:
                body = {"name": graph.name, "dag": graph.dag(self.parameters, defaults)}
                add(graph.name, body, graph.site)
        for template in used:
            for part in template.parts(defaults):
                add(str(part["name"]), plain_copy(part), template.site)
        for hera in self.templates:
            if isinstance(hera, StepTemplate):
                continue  # among those in use
            model = hera if not hasattr(hera, "_build_template") else hera._build_template()
            add(str(model.name), model.model_dump(exclude_none=True, by_alias=True, mode="json"), self.site)
        return bodies

    def to_dict(self) -> dict[str, Any]:
        """The Argo Workflow as a mapping (without a detour through models for what Tiphys makes itself)."""
        if not self.graph.tasks and not self.templates:
            raise DefinitionError(
                "TIP113",
                f"the pipeline {self.pipeline_name!r} has no tasks",
                where=str(self.site),
                fix="call a component inside its `with` block",
            )
        used = list(self._used())
        defaults = self._given_to(used)
        templates = self._compiled_templates(used, defaults)
        base = self._hera_fields()
        metadata = base.setdefault("metadata", {})
        annotations = dict(metadata.get("annotations") or {})
        if self.declared:
            annotations[ANNOTATION] = schema_text(self.declared)
        if semaphores := self._semaphores(used):
            annotations[POOLS] = pools_text(each.weight() for each in semaphores)
        if annotations:
            metadata["annotations"] = annotations
        spec: dict[str, Any] = {"entrypoint": self.entrypoint}
        if self.exit_graph is not None and self.exit_graph.tasks:
            spec["onExit"] = self.exit_graph.name
        if self.declared:
            spec["arguments"] = {"parameters": [d.argument() for d in self.declared]}
        spec.update(defaults.scheduling.workflow())
        spec["securityContext"] = POD_SECURITY
        locks = synchronization(list(self.locks), [])
        if locks:
            spec["synchronization"] = locks
        if defaults.volumes:
            spec["volumes"] = [v.volume() for v in defaults.volumes]
        if self._needs_account:
            for template in templates:
                if "resource" in template:
                    template.setdefault("serviceAccountName", SERVICE_ACCOUNT)
        heras = base.pop("spec", {})
        borne_together(templates, spec, heras)
        for key, value in heras.items():
            spec[key] = (
                _together(spec[key], value) if key in ("volumes", "podMetadata") and key in spec else value
            )
        spec = {**plain_copy(spec), "templates": templates}
        if self._patch:
            spec = merge_patch(spec, self._patch)
        return {"apiVersion": base["apiVersion"], "kind": base["kind"], "metadata": metadata, "spec": spec}

    def _hera_fields(self) -> dict[str, Any]:
        """What was set through Hera's own attributes."""
        templates, self.templates = self.templates, []
        entrypoint, self.entrypoint = self.entrypoint, None
        try:
            fields: dict[str, Any] = super().build().model_dump(exclude_none=True, by_alias=True, mode="json")
        finally:
            self.templates, self.entrypoint = templates, entrypoint
        return fields

    def build(self) -> WorkflowModel:
        """The Hera model of the compiled workflow."""
        return WorkflowModel.model_validate(self.to_dict())

    def __repr__(self) -> str:
        named = (each.name for each in self.declared)
        return in_a_line(type(self).__name__, self.pipeline_name, len(self.graph.tasks), named)

    def _repr_html_(self) -> str:
        return in_a_notebook(self.pipeline_name, lambda: cast("ArgoWorkflow", self.to_dict()))

    def to_yaml(self, *_args: Any, **_kwargs: Any) -> str:
        """Like ``tiphys.to_yaml(pipeline)``."""
        from tiphys.compiler.compile import to_yaml

        return to_yaml(self)


def _scheduling(given: Scheduling | None, priority: int | None, queue: str, site: Site) -> Scheduling:
    """``given``, or what the short forms say."""
    short = [word for word, value in (("priority", priority), ("queue", queue or None)) if value is not None]
    if given is not None and short:
        raise DefinitionError(
            "TIP102",
            f"the pipeline's scheduling is given twice: by scheduling= and by {'= and '.join(short)}=",
            where=str(site),
            fix=f"write scheduling=Scheduling({', '.join(f'{word}=…' for word in short)}, …)",
        )
    return given or Scheduling(priority, queue=queue, site=site)


def _together(own: Any, given: Any) -> Any:
    """What the pipeline makes and what was set through Hera's attribute: of a label that both have, the latter's."""
    if isinstance(own, list):
        return [*own, *given]
    return {**given, **{key: {**value, **(given.get(key) or {})} for key, value in own.items()}}


def _for_runs(metadata: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Labels and annotations for the runs: Argo gives them what workflowMetadata says, nothing of the metadata of the
    object that they come from."""
    return {key: dict(metadata[key]) for key in ("labels", "annotations") if metadata.get(key)}


def _named(metadata: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**{key: value for key, value in metadata.items() if key != "generateName"}, "name": name}


def _links(links: Mapping[str, str], site: Site) -> Iterator[str]:
    """Links for the description, which the Argo UI renders as Markdown."""
    for name, url in links.items():
        if not re.fullmatch(r"https?://[^\s()<>]+", url):
            raise DefinitionError(
                "TIP101", f"the link {name!r} is {url!r}", where=str(site), fix="give a URL, https://…"
            )
        yield f"[{_one_line(name)}]({url})"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
