"""Distributed training as a step: a Kubeflow TFJob of N workers with MultiWorkerMirroredStrategy.

Facts this module keeps (training operator 1.9.4, Argo 4.1.2): the container is named ``tensorflow``; the
default success policy ends when worker 0 ends, so ``AllWorkers``; with restart policy ``ExitCode`` exit codes
of 128 and more restart a worker and smaller ones fail the job, and ``replicaStatuses.Worker.failed`` counts
workers that are being restarted, so failure is read from the job's conditions, which are found by position;
``ExitCode`` restarts ignore ``backoffLimit``, so a deadline ends them.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from tiphys.argo.cache_mode import KEY_ENV
from tiphys.compiler.line import Site, caller
from tiphys.dsl import jobset, operator
from tiphys.dsl.cache import Cache, content_of, environment_parts, in_use, key_expression
from tiphys.dsl.cached_retry import split
from tiphys.dsl.components import Component, env_name
from tiphys.dsl.durations import whole_seconds
from tiphys.dsl.guarded import GENERATED, guarded
from tiphys.dsl.key_parts import depends_made, depends_parts, key_parts, memoize
from tiphys.dsl.literals import expression_of_text, literal
from tiphys.dsl.locks import Gang, Lock
from tiphys.dsl.names import check_claim_path
from tiphys.dsl.on_failure import OnFailure
from tiphys.dsl.pod import POD_SECURITY, Defaults, Resources, Scheduling, secured
from tiphys.dsl.prepared import prepared
from tiphys.dsl.reporting import report_env
from tiphys.dsl.resource import Resource, splice
from tiphys.dsl.source.digest import StepCode, depended, module_code
from tiphys.dsl.template import Argument, StepTemplate, default_text
from tiphys.dsl.types import Field, kebab, signature_of, unwrap
from tiphys.dsl.values import Expression, Input, Value
from tiphys.dsl.workers import check_elastic, numbers, shown
from tiphys.errors import DefinitionError, did_you_mean
from tiphys.reference import Reference
from tiphys.step.backups import BACKUP

if TYPE_CHECKING:
    from tiphys.argo.types import Template

__all__ = ["OUTPUT_ANNOTATION", "TFJob"]

OUTPUT_ANNOTATION = "tiphys.dev/output"
RESTART_POLICIES = ("ExitCode", "OnFailure", "Never", "Always")
SUCCESS_POLICIES = ("AllWorkers", "")
KINDS = ("TFJob", "JobSet")
_KEY = "key"


class TFJob(Resource):
    """A training function on ``workers`` replicas.

    ``(least, most)``, or all the numbers that there may be, ``[1, 2, 4]``: the engine of this machine starts it with
    what its ``gang``'s pool has, and goes on with another number from one of its backups on, which are in the folder
    ``backup``. On a cluster it has the most.

    ``function`` is typed like a component's and lives in an importable module; each worker runs ``python -m
    MODULE`` with the inputs in the environment (``TIPHYS_INPUT_<NAME>``) and ``TF_CONFIG`` from the operator.
    ``folders`` names the function's parameters that are folders of this very training, as ``{parameter:
    "pvc://claim/root"}``; each gets ``root/<key>``, where the key is made of code, image, workers and inputs.
    ``output`` names the folder that is the result, ``result`` the output parameter that carries it.

    ``kind`` is what it becomes: a TFJob, or a JobSet where the cluster has no training operator. What a JobSet cannot
    say is a warning (TIP129); docs/cluster.md has both side by side.

    ``retry`` survives the loss of the pod that watches the job, and of a worker's pod: one fresh job goes on
    from the backup; with ``on_failure=OnFailure(preempted=Again(5))`` as many. Its other causes are the operator's: a
    worker that needs more memory, and every exit code of 128 and more, is started again inside the job.

    ``prepare`` is a component that runs right before the job, when the gang has been admitted: one that sees to it that
    the data is still there, however long the gang has waited. What it takes is taken from the inputs of the same name;
    those that the training does not have are inputs of the step besides, and say nothing about the result.

    ``instance`` names an input that tells jobs of one workflow apart; it becomes part of the job's name and
    key. ``gang`` admits whole gangs only. ``cache`` reuses a finished training; ``depends_on`` is as for a component.

    Raises DefinitionError: TIP109 for numbers out of range, TIP110 for a function that cannot be referenced.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        workers: int | tuple[int, int] | list[int] = 2,
        gang: Gang | None = None,
        cache: Cache | None = None,
        name: str = "",
        image: str = "",
        folders: Mapping[str, str] | None = None,
        output: str = "output",
        backup: str = "work",
        result: str = "model",
        instance: str = "",
        restart_policy: Literal["ExitCode", "OnFailure", "Never", "Always"] = "ExitCode",
        success_policy: Literal["AllWorkers", ""] = "AllWorkers",
        deadline: str | timedelta = "2h",
        clean_pods: Literal["Running", "All", "None"] = "Running",
        resources: Resources | None = None,
        scheduling: Scheduling | None = None,
        env: Mapping[str, str] | None = None,
        locks: Sequence[Lock] = (),
        retry: bool = True,
        on_failure: OnFailure | None = None,
        depends_on: Sequence[str] | None = None,
        kind: Literal["TFJob", "JobSet"] = "TFJob",
        prepare: Component | None = None,
        title: str = "",
    ) -> None:
        site = caller()
        label = name or kebab(getattr(function, "__name__", "train"))
        counts = numbers(workers, label, site)
        most, elastic = counts[-1], len(counts) > 1
        if elastic:
            check_elastic(gang, locks, success_policy, kind, prepare, label, site)
        _one_of("restart_policy", restart_policy, RESTART_POLICIES, label, site)
        _one_of("success_policy", success_policy, SUCCESS_POLICIES, label, site)
        _one_of("kind", kind, KINDS, label, site)
        _check_follows(on_failure, label, site)
        if as_set := kind == "JobSet":
            jobset.warn_of_dropped(label, site, restart_policy=restart_policy, clean_pods=clean_pods)
        folders = (
            {"output": "pvc://tiphys/models", "work": "pvc://tiphys/work"} if folders is None else folders
        )
        function = getattr(function, "__wrapped__", function)
        signature = signature_of(function, site)
        names = [f.python for f in signature.inputs]
        for folder, root in folders.items():
            if folder not in names:
                raise DefinitionError(
                    "TIP103",
                    f"{label} has no parameter {folder!r} for a folder.{did_you_mean(folder, names)}",
                    where=str(site),
                    cause=f"parameters are: {', '.join(names)}",
                    fix="name parameters of the training function in folders={…}",
                )
            check_claim_path(root, f"the folder {folder!r} of {label}", site)
        asked = [("output", output), ("instance", instance), *([("backup", backup)] if elastic else [])]
        for what, value in asked:
            allowed = [n for n in names if n not in folders] if what == "instance" else list(folders)
            if (value or what != "instance") and value not in allowed:
                raise DefinitionError(
                    "TIP103",
                    f"{label}: {what}={value!r}{did_you_mean(value, allowed)}",
                    where=str(site),
                    fix=f"one of: {', '.join(allowed)}",
                )
        fewer = counts if elastic else ()
        semaphores = (
            [gang.semaphore(most, site, counts=fewer, label=shown(counts))] if gang is not None else []
        )
        super().__init__(
            label,
            {},
            action="apply",
            outputs={result: f"{{.metadata.annotations.{OUTPUT_ANNOTATION.replace('.', chr(92) + '.')}}}"},
            success=jobset.SUCCESS if as_set else operator.success(most, success_policy, elastic=elastic),
            failure=jobset.FAILURE if as_set else operator.FAILURE,
            locks=[*semaphores, *locks],
            retry=operator.adopt(on_failure or operator.ONCE) if retry else None,
            title=title,
        )
        self.site = site
        self.function = function
        self.as_set = as_set
        self.workers, self.counts, self.cache, self.image = most, counts, in_use(cache), image
        self.backup = backup
        self.folders, self.output_folder, self.instance = dict(folders), output, instance
        self.restart_policy, self.success_policy, self.clean_pods = restart_policy, success_policy, clean_pods
        self.deadline = whole_seconds(deadline, "deadline", site)
        self.resources = resources or Resources(cpu="1", memory="1Gi", cpu_limit="2", memory_limit="4Gi")
        self.scheduling = scheduling
        self.env = dict(env or {})
        self.arguments = tuple(f for f in signature.inputs if f.python not in folders)
        self.folder_fields = tuple(f for f in signature.inputs if f.python in folders)
        self.outputs = (Field(result.replace("-", "_"), kebab(result), Reference),)
        self.module, code = _module(function, site)
        self.digest = code.digest
        named = [depends_on] if isinstance(depends_on, str) else depends_on
        self.depends_on = depended(named or (), os.path.dirname(site.file), site)
        if cache is not None and cache.code:
            code.check(label, self.env, named)
        self.stop = Resource(
            "stop-training",
            action="delete",
            flags=[
                jobset.RESOURCE if as_set else operator.TFJOBS,
                "--selector",
                "tiphys.dev/workflow={{workflow.name}}",
            ],
        )
        """``stop()``: remove all training jobs of this run."""
        job = "{{workflow.name}}-" + Input("name").tag()
        self.drop = Resource(
            "drop-training",
            action="delete",
            inputs={"name": str},
            flags=[
                jobset.RESOURCE if as_set else operator.TFJOBS,
                job,
                *(f"{job}-r{i}" for i in range(1, self.retry.limit + 1 if self.retry else 1)),
            ],
        )
        """``drop(name=…)``: remove the job whose ``instance`` has this value, and those that followed it."""
        if self.cache is not None:
            self.cache.conditions.check(self.arguments, self.outputs, label)
        self.prepare = prepare
        # and the key, which is worked out where the job is called
        self.inputs = (*self.arguments, *_further(prepare, self.arguments, folders, label, site))

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
            code = f"{self.digest}:{self.image or defaults.image}:{shown(self.counts)}"
            salt = self.cache.salt(f"{defaults.scope}/{self.name}", code) if self.cache else code
            return key_expression(prefix, salt, parts)

        values = tuple(v for v in arguments.values() if isinstance(v, Value))
        return {_KEY: Expression(render, values)}

    def mutex_names(self) -> list[str]:
        single = self.cache is None or self.cache.single_flight
        return [f"{self.name}-" + Input(_KEY).tag()] if single else []

    def object(self, defaults: Defaults) -> Mapping[str, Any]:
        key = Input(_KEY)
        image = self.image or defaults.image
        scheduling = self.scheduling or defaults.scheduling
        run = "{{workflow.name}}"
        instance = next((f for f in self.arguments if f.python == self.instance), None)
        suffix = splice(Input(instance.name)) if instance else self.name
        labels = {"tiphys.dev/workflow": run, **scheduling.labels()}
        env = [{"name": env_name(f), "value": splice(Input(f.name))} for f in self.arguments]
        for field in self.folder_fields:
            root = check_claim_path(self.folders[field.python], field.python, self.site)
            defaults.mount_of(root.removeprefix("pvc://").split("/")[0], self.site)
            env.append({"name": env_name(field), "value": f"{root}/{splice(key)}"})
        env += [
            {"name": KEY_ENV, "value": splice(key)},
            *defaults.volumes_env(),
            {"name": "TIPHYS_WORKFLOW", "value": run},
            *report_env(defaults, splice(key)),
            *({"name": k, "value": v} for k, v in self.env.items()),
            *(jobset.tf_config(self.workers) if self.as_set else ()),
        ]
        spec: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            **scheduling.pod(),
        }
        if defaults.volumes:
            spec["volumes"] = [v.volume() for v in defaults.volumes]
        container: dict[str, Any] = {
            "name": jobset.CONTAINER,
            "image": image,
            "command": ["python", "-m", self.module],
            "env": env,
            "ports": [{"name": "tfjob-port", "containerPort": jobset.PORT}],
            "resources": self.resources.mapping(),
        }
        secured(container, spec, defaults.volumes)
        root = check_claim_path(self.folders[self.output_folder], self.output_folder, self.site)
        metadata: dict[str, Any] = {
            "name": f"{run}-{suffix}" + (operator.AGAIN if self.retry else ""),
            "labels": labels,
            "annotations": {OUTPUT_ANNOTATION: f"{root}/{splice(key)}"},
        }
        if len(self.counts) > 1:
            metadata["annotations"][BACKUP] = f"{self.folders[self.backup]}/{splice(key)}"
        pod: dict[str, Any] = {
            # the first label makes `argo logs` and the Argo UI show the workers
            "metadata": {"labels": {"workflows.argoproj.io/workflow": run, "tiphys.dev/workflow": run}},
            "spec": {**spec, "containers": [container]},
        }
        if self.as_set:
            return jobset.job_set(
                metadata,
                pod,
                workers=self.workers,
                restart_policy=self.restart_policy,
                success_policy=self.success_policy,
                deadline=self.deadline,
            )
        worker: dict[str, Any] = {
            "replicas": self.workers,
            "restartPolicy": self.restart_policy,
            "template": pod,
        }
        job: dict[str, Any] = {
            "runPolicy": {
                "activeDeadlineSeconds": self.deadline,
                "cleanPodPolicy": self.clean_pods,
                **scheduling.policy(),
            }
        }
        if self.success_policy:
            job["successPolicy"] = self.success_policy
        return {
            "apiVersion": "kubeflow.org/v1",
            "kind": "TFJob",
            "metadata": metadata,
            "spec": {**job, "tfReplicaSpecs": {"Worker": worker}},
        }

    def body(self, defaults: Defaults) -> dict[str, Any]:
        template = super().body(defaults)
        template.setdefault("inputs", {}).setdefault("parameters", []).append({"name": _KEY})
        if self.cache is not None:
            memo = memoize(Input(_KEY).tag(), self.cache, self.name)
            items = list(template.items())
            position = next(i for i, (k, _) in enumerate(items) if k == "inputs") + 1
            items.insert(position, ("memoize", memo))
            template = dict(items)
            said = key_parts(
                self.cache,
                self.arguments,
                self.name,
                scope=f"{defaults.scope}/{self.name}",
                env=self.env,
                code=self.digest,
                image=self.image or defaults.image,
                workers=shown(self.counts),
                **depends_made(self.depends_on),
            )
            template.setdefault("annotations", {}).update(said)
        return template

    @property
    def conditional(self) -> bool:
        return self.cache is not None and bool(self.cache.conditions)

    def parts(self, defaults: Defaults) -> list[dict[str, Any]]:
        body, jobs = cast("Template", self.body(defaults)), cast("list[Template]", [])
        if self.prepare is not None:
            asked = [each.name for each in self.prepare.inputs]
            own = [each.name for each in self.arguments]
            body, *jobs = prepared(body, self.prepare.name, asked, [*own, _KEY])
        if self.cache is None or not self.cache.conditions:
            return cast("list[dict[str, Any]]", [*split(cast("dict[str, Any]", body)), *jobs])
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
        return cast("list[dict[str, Any]]", [*parts, *jobs])


def _further(
    prepare: Component | None, arguments: Sequence[Field], folders: Iterable[str], label: str, site: Site
) -> list[Field]:
    """The inputs that the step before the job has of its own. Raises DefinitionError (TIP105)."""
    if prepare is None:
        return []
    own = {each.python: each for each in arguments}
    for field in prepare.inputs:
        there = own.get(field.python)
        if field.python in folders or (there is not None and unwrap(there.type) != unwrap(field.type)):
            raise DefinitionError(
                "TIP105",
                f"{label}: {prepare.name} takes {field.python!r}, which is another thing in the training",
                where=str(site),
                cause="what both take has one value",
                fix=f"give the input of {prepare.name} another name",
            )
    return [field for field in prepare.inputs if field.python not in own]


def _check_follows(follows: OnFailure | None, label: str, site: Site) -> None:
    if follows is None:
        return
    if not isinstance(follows, OnFailure):
        raise DefinitionError(
            "TIP105", f"{label}: on_failure={follows!r}", where=str(site), fix="write on_failure=OnFailure(…)"
        )
    again = follows.preempted
    if follows.oom or follows.timeout or (again is not None and again.within is not None):
        raise DefinitionError(
            "TIP105",
            f"{label}: of its causes a TFJob has only preempted=Again(N)",
            where=str(site),
            cause="the training operator does not tell Argo why a job failed, and starts a worker again by itself",
            fix="give the workers memory by resources=Resources(…), and the job its time by deadline=",
        )


def _one_of(what: str, value: object, allowed: Sequence[str], label: str, site: Site) -> None:
    if value not in allowed:
        raise DefinitionError(
            "TIP105",
            f"{label}: {what}={value!r}{did_you_mean(str(value), allowed)}",
            where=str(site),
            fix=f"one of: {', '.join(repr(a) for a in allowed)}",
        )


def _module(function: Callable[..., Any], site: Site) -> tuple[str, StepCode]:
    """The module that each worker runs, and its code."""
    module = function.__module__
    if module == "__main__" or "<locals>" in function.__qualname__:
        raise DefinitionError(
            "TIP110",
            f"the training function {function.__name__} is not in an importable module",
            where=str(site),
            cause="each worker runs `python -m MODULE` in its image",
            fix="move it to a module of your package, for example components/train.py",
        )
    path = function.__code__.co_filename
    if importlib.util.find_spec(module) is None:
        raise DefinitionError(
            "TIP110",
            f"the module {module} cannot be found",
            where=str(site),
            fix="install it, or fix sys.path",
        )
    return module, module_code(module, path, site)
