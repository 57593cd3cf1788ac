"""What all trainings on several pods have in common: a function with its inputs, folders that are this training's own,
a key, a cache, who admits the gang, and what follows when it fails.

What a job of one kind looks like is in the module of its class: ``tfjob.py``, ``pytorchjob.py``, ``mpijob.py``, ….
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, cast

from tiphys.argo.cache_mode import KEY_ENV
from tiphys.compiler.line import Site, caller
from tiphys.dsl import operator
from tiphys.dsl.cache import Cache, content_of, environment_parts, in_use, key_expression
from tiphys.dsl.cached_retry import split
from tiphys.dsl.component_options import ComponentOptions, changed
from tiphys.dsl.components import Component
from tiphys.dsl.durations import whole_seconds
from tiphys.dsl.equipment import Equipment
from tiphys.dsl.guarded import GENERATED, guarded
from tiphys.dsl.job_checks import check_equipment, check_folders, check_follows, further, module_of
from tiphys.dsl.key_parts import depends_made, depends_parts, key_parts, memoize
from tiphys.dsl.literals import expression_of_text, literal
from tiphys.dsl.locks import Gang, Lock, Semaphore
from tiphys.dsl.names import check_claim_path, check_options
from tiphys.dsl.on_failure import OnFailure
from tiphys.dsl.pod import POD_SECURITY, Defaults, secured
from tiphys.dsl.pod_settings import PodSettings
from tiphys.dsl.prepared import prepared
from tiphys.dsl.reporting import report_env
from tiphys.dsl.resource import Resource, splice
from tiphys.dsl.resources import Resources
from tiphys.dsl.scheduling import Scheduling
from tiphys.dsl.secrets import Keyed, check_cached
from tiphys.dsl.source.digest import depended
from tiphys.dsl.template import Argument, StepTemplate, default_text
from tiphys.dsl.types import Field, kebab, signature_of
from tiphys.dsl.values import Expression, Input, Value
from tiphys.dsl.workers import shown
from tiphys.reference import Reference
from tiphys.step.backups import BACKUP

if TYPE_CHECKING:
    from tiphys.argo.types import Template
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["OUTPUT_ANNOTATION", "GangJob", "JobOptions"]

OUTPUT_ANNOTATION = "tiphys.dev/output"
_FOLDERS = {"output": "pvc://tiphys/models", "work": "pvc://tiphys/work"}
_KEY = "key"


class JobOptions(TypedDict, total=False):
    """The options of a training on several pods, whatever its kind is; :class:`GangJob` says what they mean."""

    gang: Gang | None
    cache: Cache | None
    name: str
    image: str
    folders: Mapping[str, str] | None
    output: str
    backup: str
    result: str
    instance: str
    deadline: str | timedelta
    resources: Resources | None
    scheduling: Scheduling | None
    secrets: Sequence[Keyed]
    pod: PodSettings | None
    env: Mapping[str, str] | None
    locks: Sequence[Lock]
    retry: bool
    on_failure: OnFailure | None
    depends_on: Sequence[str] | None
    prepare: Component | None
    title: str


class GangJob(Resource):
    """A training function on several pods, which start together: what TFJob, PyTorchJob and the others share.

    ``function`` is typed like a component's and lives in an importable module; its inputs are in the environment of
    each worker (``TIPHYS_INPUT_<NAME>``). ``folders`` names the function's parameters that are folders of this very
    training, as ``{parameter: "pvc://claim/root"}``; each gets ``root/<key>``, where the key is made of code, image,
    workers and inputs. ``output`` names the folder that is the result, ``result`` the output parameter that carries it.

    ``retry`` survives the loss of the pod that watches the job, and of a worker's pod: one fresh job goes on
    from the backup; with ``on_failure=OnFailure(preempted=Again(5))`` as many.

    ``prepare`` is a component that runs right before the job, when the gang has been admitted: one that sees to it that
    the data is still there, however long the gang has waited. What it takes is taken from the inputs of the same name;
    those that the training does not have are inputs of the step besides, and say nothing about the result.

    ``instance`` names an input that tells jobs of one workflow apart; it becomes part of the job's name and
    key. ``resources``, ``scheduling``, ``secrets`` and ``pod`` are of each worker's pod, and mean what they mean for a
    component; a job's pods have the namespace's default account and none of its tokens. ``gang`` admits whole gangs
    only. ``cache`` reuses a finished training; ``depends_on`` is as for a component.

    Raises DefinitionError: TIP109 for numbers out of range, TIP110 for a function that cannot be referenced.
    """

    job_kind: ClassVar[str]
    container: ClassVar[str]

    @classmethod
    def begin(cls, function: Callable[..., Any], options: JobOptions) -> tuple[Site, str]:
        """Where the job is written, and how messages name it. Raises DefinitionError TIP103 for an unknown option."""
        site = caller()
        label = options.get("name") or kebab(getattr(function, "__name__", "train"))
        own = [name for name in inspect.signature(cls).parameters if name not in ("function", "options")]
        check_options(options, [*own, *JobOptions.__annotations__], label, site)
        return site, label

    def __init__(
        self,
        function: Callable[..., Any],
        counts: tuple[int, ...],
        *,
        plural: str,
        success: Sequence[str],
        failure: Sequence[str],
        kind: str = "",
        elastic: bool = False,
        gang: Gang | None = None,
        cache: Cache | None = None,
        name: str = "",
        image: str = "",
        folders: Mapping[str, str] | None = None,
        output: str = "output",
        backup: str = "work",
        result: str = "model",
        instance: str = "",
        deadline: str | timedelta = "2h",
        resources: Resources | None = None,
        scheduling: Scheduling | None = None,
        secrets: Sequence[Keyed] = (),
        pod: PodSettings | None = None,
        env: Mapping[str, str] | None = None,
        locks: Sequence[Lock] = (),
        retry: bool = True,
        on_failure: OnFailure | None = None,
        depends_on: Sequence[str] | None = None,
        prepare: Component | None = None,
        title: str = "",
    ) -> None:
        """``counts``: the numbers of workers that there may be; ``elastic``: the engine of this machine chooses one.
        ``kind``: what it becomes, where that is another kind than the class says; ``plural``: how kubectl names such
        objects."""
        site = caller()
        label = name or kebab(getattr(function, "__name__", "train"))
        check_follows(on_failure, self.job_kind, label, site)
        folders = _FOLDERS if folders is None else folders
        function = getattr(function, "__wrapped__", function)
        signature = signature_of(function, site)
        asked = [("output", output), ("instance", instance), *([("backup", backup)] if elastic else [])]
        check_folders(folders, [f.python for f in signature.inputs], asked, label, site)
        most = counts[-1]
        semaphores: list[Semaphore] = []
        if gang is not None:
            fewer = counts if elastic else ()
            semaphores = [gang.semaphore(most, site, counts=fewer, label=shown(counts))]
        super().__init__(
            label,
            {},
            action="apply",
            outputs={result: f"{{.metadata.annotations.{OUTPUT_ANNOTATION.replace('.', chr(92) + '.')}}}"},
            success=success,
            failure=failure,
            locks=[*semaphores, *locks],
            retry=operator.adopt(on_failure or operator.ONCE) if retry else None,
            title=title,
        )
        self.site = site
        self.function = function
        self.kind = kind or self.job_kind
        self.workers, self.counts, self.cache, self.image = most, counts, in_use(cache), image
        self.elastic, self.backup = elastic, backup
        self.folders, self.output_folder, self.instance = dict(folders), output, instance
        self.deadline = whole_seconds(deadline, "deadline", site)
        self.resources = resources or Resources(cpu="1", memory="1Gi", cpu_limit="2", memory_limit="4Gi")
        given = {"scheduling": scheduling, "secrets": secrets, "pod": pod, "resources": self.resources}
        self.equipment = changed(ComponentOptions(), given, label).equipment
        check_equipment(self.equipment, self.kind, label, site)
        self.env = dict(env or {})
        self.arguments = tuple(f for f in signature.inputs if f.python not in folders)
        self.folder_fields = tuple(f for f in signature.inputs if f.python in folders)
        self.outputs = (Field(result.replace("-", "_"), kebab(result), Reference),)
        self.module, code = module_of(function, site)
        self.digest = code.digest
        named = [depends_on] if isinstance(depends_on, str) else depends_on
        self.depends_on = depended(named or (), os.path.dirname(site.file), site)
        if cache is not None and cache.code:
            code.check(label, self.env, named)
            check_cached(label, self.equipment.secrets, self.depends_on)
        self.stop = Resource(
            "stop-training",
            action="delete",
            flags=[plural, "--selector", "tiphys.dev/workflow={{workflow.name}}"],
        )
        """``stop()``: remove all training jobs of this kind of this run."""
        job = "{{workflow.name}}-" + Input("name").tag()
        self.drop = Resource(
            "drop-training",
            action="delete",
            inputs={"name": str},
            flags=[
                plural,
                job,
                *(f"{job}-r{i}" for i in range(1, self.retry.limit + 1 if self.retry else 1)),
            ],
        )
        """``drop(name=…)``: remove the job whose ``instance`` has this value, and those that followed it."""
        if self.cache is not None:
            self.cache.conditions.check(self.arguments, self.outputs, label)
        self.prepare = prepare
        # and the key, which is worked out where the job is called
        self.inputs = (*self.arguments, *further(prepare, self.arguments, folders, label, site))

    # -- what a kind says ---------------------------------------------------------------------------------------

    @abstractmethod
    def command(self) -> list[str]:
        """What each worker runs; nothing where the operator says it."""

    @abstractmethod
    def job(
        self, metadata: JsonObject, pod: JsonObject, leader: JsonObject, scheduling: Scheduling
    ) -> JsonObject:
        """The manifest. ``pod``: the metadata and the spec of a worker's template; ``leader``: those of the one that
        leads, which are the same where it has no resources of its own."""

    def leads_with(self) -> Resources | None:
        """What the pod that leads has, where that is something else than a worker's."""
        return None

    def shape(self) -> str:
        """What of the gang says something about the result: part of the key."""
        return shown(self.counts)

    def ports(self) -> list[JsonObject]:
        """Of a worker's container."""
        return []

    def further_env(self) -> Sequence[JsonObject]:
        """Variables of a worker besides those of every kind."""
        return []

    # -- the key --------------------------------------------------------------------------------------------------

    def inner_templates(self) -> Iterable[StepTemplate]:
        return () if self.prepare is None else (self.prepare,)

    def extra_arguments(self, arguments: Mapping[str, Argument], defaults: Defaults) -> dict[str, Argument]:
        """The key: the instance (or the name) and a hash of code, image, workers and inputs."""
        keyed = self.cache.keyed(self.arguments, self.name) if self.cache else list(self.arguments)
        if self.cache is not None:
            self.cache.check_arguments(self.arguments, arguments, self.name)

        def expression_of(field: Field) -> str:
            value = arguments.get(field.name)
            if value is None:
                return literal(default_text(field) or "")
            if isinstance(value, Value):
                return value.expr()
            return expression_of_text(value)

        def render() -> str:
            by_age = self.cache is not None and not self.cache.code
            parts = [content_of(f, expression_of(f), by_name=by_age) for f in keyed]
            # what an env value says of the job's own inputs is among the parts already
            parts += environment_parts(self.env, keep="inputs.")
            parts += depends_parts(self.depends_on)
            by_name = {f.python: f for f in self.arguments}
            instance = by_name.get(self.instance)
            prefix = literal(f"{self.name}-") if instance is None else f"{expression_of(instance)} + '-'"
            code = f"{self.digest}:{self.image or defaults.image}:{self.shape()}"
            salt = self.cache.salt(f"{defaults.scope}/{self.name}", code) if self.cache else code
            return key_expression(prefix, salt, parts)

        values = tuple(v for v in arguments.values() if isinstance(v, Value))
        return {_KEY: Expression(render, values)}

    def mutex_names(self) -> list[str]:
        single = self.cache is None or self.cache.single_flight
        return [f"{self.name}-" + Input(_KEY).tag()] if single else []

    # -- the object -----------------------------------------------------------------------------------------------

    def object(self, defaults: Defaults) -> JsonObject:
        own = self.equipment
        scheduling = (own.scheduling or defaults.scheduling).over(defaults.scheduling)
        pod = self.pod(defaults, own)  # which looks at the folders
        other = self.leads_with()
        leader = pod if other is None else self.pod(defaults, dataclasses.replace(own, resources=other))
        key, run = splice(Input(_KEY)), "{{workflow.name}}"
        root = check_claim_path(self.folders[self.output_folder], self.output_folder, self.site)
        instance = next((f for f in self.arguments if f.python == self.instance), None)
        suffix = splice(Input(instance.name)) if instance else self.name
        annotations: JsonObject = {OUTPUT_ANNOTATION: f"{root}/{key}"}
        metadata: JsonObject = {
            "name": f"{run}-{suffix}" + (operator.AGAIN if self.retry else ""),
            "labels": {"tiphys.dev/workflow": run, **scheduling.labels()},
            "annotations": annotations,
        }
        if self.elastic:
            annotations[BACKUP] = f"{self.folders[self.backup]}/{key}"
        return self.job(metadata, pod, leader, scheduling)

    def pod(self, defaults: Defaults, equipment: Equipment) -> JsonObject:
        """The metadata and the spec of a pod's template."""
        run = "{{workflow.name}}"
        spec: JsonObject = {
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
        }
        command: list[Json] = [*self.command()]
        env: list[Json] = [*self._env(equipment.mounted(defaults))]
        ports: list[Json] = [*self.ports()]
        if defaults.volumes:
            spec["volumes"] = [v.volume() for v in defaults.volumes]
        container: JsonObject = {
            "name": self.container,
            "image": self.image or defaults.image,
            **({"command": command} if command else {}),
            "env": env,
            **({"ports": ports} if ports else {}),
            "resources": equipment.resources.mapping(),
        }
        secured(container, spec, defaults.volumes, own_tmp=equipment.has("/tmp"))
        # the first label makes `argo logs` and the Argo UI show the workers
        labels = {"workflows.argoproj.io/workflow": run, "tiphys.dev/workflow": run}
        return equipment.job_pod({"metadata": {"labels": {**labels}}, "spec": spec}, container, defaults)

    def _env(self, defaults: Defaults) -> list[JsonObject]:
        key = splice(Input(_KEY))
        env: list[JsonObject] = [{"name": f.variable, "value": splice(Input(f.name))} for f in self.arguments]
        for field in self.folder_fields:
            root = check_claim_path(self.folders[field.python], field.python, self.site)
            defaults.mount_of(root.removeprefix("pvc://").split("/")[0], self.site)
            env.append({"name": field.variable, "value": f"{root}/{key}"})
        told = [*defaults.volumes_env(), {"name": "TIPHYS_WORKFLOW", "value": "{{workflow.name}}"}]
        own = ({"name": name, "value": value} for name, value in self.env.items())
        reported = report_env(defaults, key)
        return [
            *env,
            {"name": KEY_ENV, "value": key},
            *(cast("JsonObject", each) for each in (*told, *reported, *own)),
            *self.further_env(),
        ]

    def body(self, defaults: Defaults) -> JsonObject:
        template = cast("Template", super().body(defaults))
        template.setdefault("inputs", {}).setdefault("parameters", []).append({"name": _KEY})
        if self.cache is not None:
            memo = memoize(Input(_KEY).tag(), self.cache, self.name)
            items: list[tuple[str, object]] = list(template.items())
            position = next(i for i, (k, _) in enumerate(items) if k == "inputs") + 1
            items.insert(position, ("memoize", memo))
            template = cast("Template", dict(items))
            said = key_parts(
                self.cache,
                self.arguments,
                self.name,
                scope=f"{defaults.scope}/{self.name}",
                env=self.env,
                code=self.digest,
                image=self.image or defaults.image,
                workers=self.shape(),
                **depends_made(self.depends_on),
            )
            template.setdefault("annotations", {}).update(said)
        return cast("JsonObject", template)

    @property
    def conditional(self) -> bool:
        return self.cache is not None and bool(self.cache.conditions)

    def parts(self, defaults: Defaults) -> list[JsonObject]:
        body, jobs = cast("Template", self.body(defaults)), cast("list[Template]", [])
        if self.prepare is not None:
            asked = [each.name for each in self.prepare.inputs]
            own = [each.name for each in self.arguments]
            body, *jobs = prepared(body, self.prepare.name, asked, [*own, _KEY])
        if self.cache is None or not self.cache.conditions:
            return cast("list[JsonObject]", [*split(cast("JsonObject", body)), *jobs])
        key = Input(_KEY).tag()
        parts = guarded(
            body,
            self.cache.conditions,
            self.arguments,
            self.outputs,
            key=key,
            mutex=next(iter(self.mutex_names()), ""),
            arguments={_KEY: f"{key}-{GENERATED}"},
            defaults=defaults,
            site=self.site,
        )
        return cast("list[JsonObject]", [*parts, *jobs])
