"""What a pod's description says: its containers, declared paths, metadata, and ``podSpecPatch``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from tiphys.argo.patch import POD_SPEC, PatchError, strategic
from tiphys.argo.spec import set_containers
from tiphys.engine.machine.protocol import StartPod
from tiphys.engine.pods.gpus import pod_needs, shares
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.room import requests
from tiphys.engine.runners.base import StartProblem, absolute
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec, HostAlias, Metadata, ScriptSpec, SideContainer
    from tiphys.argo.types import Arguments, Outputs, Template
    from tiphys.argo.volume_types import VolumeSpec
    from tiphys.engine.runners.gpus import Gpu

    class _Pod(TypedDict, total=False):
        """What of a patched pod has an effect here."""

        containers: list[_Container]
        initContainers: list[SideContainer]
        volumes: list[VolumeSpec]
        hostAliases: list[HostAlias]
        terminationGracePeriodSeconds: int

    class _Container(ScriptSpec, total=False):
        """A container of any part of a template."""

        dependencies: list[str]
        mirrorVolumeMounts: bool


__all__ = [
    "SCRIPT",
    "beside_main",
    "declared_paths",
    "gpu_shares",
    "main_spec",
    "patched",
    "pod_containers",
    "pod_gpus",
    "pod_metadata",
    "pod_requests",
    "required_outputs",
]

SCRIPT = "/argo/staging/script"  # where Argo's executor writes a script template's source
_OWN = (
    "init",
    "wait",
)  # Argo's executor in a pod; here it is the engine, and what a patch says of it is void


def main_spec(template: Template) -> ContainerSpec:
    """The container that outputs are read from."""
    found = template.get("container") or template.get("script")
    if found is not None:
        return found.copy()
    containers = set_containers(template) or [{}]
    return next((each for each in containers if each.get("name") == "main"), containers[0]).copy()


def pod_containers(template: Template) -> dict[str, ContainerSpec]:
    """The containers of the template's pod, by name."""
    main = template.get("container") or template.get("script")
    mains: list[ContainerSpec] = [{**main, "name": "main"}] if main else [*set_containers(template)]
    others = [*(template.get("sidecars") or []), *(template.get("initContainers") or [])]
    return {str(each.get("name")): each for each in [*mains, *others]}


def pod_gpus(command: StartPod) -> int:
    """How many GPUs the pod of a step asks for. Raises as :func:`tiphys.engine.pods.gpus.asked`."""
    return pod_needs(*_asking(command, "/"))  # a patch may ask for some: their name has one


def pod_requests(command: StartPod) -> dict[str, int]:
    """The permits that the pod of a step requests of the machine's pools."""
    return requests(*_asking(command, ""))


def gpu_shares(template: Template, gpus: Sequence[Gpu]) -> dict[str, tuple[Gpu, ...]]:
    """Which container of a step's pod has which of its GPUs."""
    return shares(gpus, *_in_turn(template)) if gpus else {}


def _asking(command: StartPod, mark: str) -> tuple[list[ContainerSpec], list[ContainerSpec]]:
    """As :func:`_in_turn`, of the pod of a step, with patches that have ``mark`` in them."""
    if not {"container", "script", "containerSet"} & command.template.keys():
        return [], []  # no containers of its own
    template = command.template
    if command.patches and any(mark in text for text in command.patches):
        try:
            template, _, _ = patched(template, command.volumes, command.patches)
        except StartProblem:
            return [], []  # told when it is started
    return _in_turn(template)


def _in_turn(template: Template) -> tuple[list[ContainerSpec], list[ContainerSpec]]:
    """The init containers of the template's pod, and those that run at once."""
    inits: list[ContainerSpec] = [*(template.get("initContainers") or [])]
    others = pod_containers(template)
    for each in inits:
        others.pop(str(each.get("name")), None)
    return inits, [*others.values()]


def beside_main(spec: SideContainer, template: Template) -> ContainerSpec:
    """A sidecar or an init container, with the main one's mounts where it mirrors them."""
    if not spec.get("mirrorVolumeMounts"):
        return spec
    whole = spec.copy()
    mirrored = main_spec(template).get("volumeMounts") or []
    whole["volumeMounts"] = [*(spec.get("volumeMounts") or []), *mirrored]
    return whole


def declared_paths(template: Template) -> list[str]:
    """The paths of the template's inputs and outputs."""
    paths = []
    sides: tuple[Arguments | Outputs, ...] = (template.get("inputs") or {}, template.get("outputs") or {})
    for group in sides:
        paths += [item["path"] for item in group.get("artifacts") or [] if item.get("path")]
        for item in group.get("parameters") or []:
            path = (item.get("valueFrom") or {}).get("path")
            if path:
                paths.append(path)
    return [str(path) for path in paths]


def required_outputs(template: Template) -> list[str]:
    """The paths of outputs that must be there when the step ends."""
    outputs = template.get("outputs") or {}
    paths = [item.get("path") for item in outputs.get("artifacts") or [] if not item.get("optional")]
    for item in outputs.get("parameters") or []:
        source = item.get("valueFrom") or {}
        if source.get("default") is None:
            paths.append(source.get("path"))
    return [absolute(str(path)) for path in paths if path]


def pod_metadata(host: Host, command: StartPod) -> Metadata:
    """Labels and annotations of the pod: the workflow's ``podMetadata``, the template's, and Argo's own."""
    common = host.spec.get("podMetadata") or {}
    given = command.template.get("metadata") or {}
    labels = {
        **(common.get("labels") or {}),
        **(given.get("labels") or {}),
        "workflows.argoproj.io/workflow": host.workflow,
        "workflows.argoproj.io/completed": "false",
    }
    annotations = {
        **(common.get("annotations") or {}),
        **(given.get("annotations") or {}),
        "workflows.argoproj.io/node-name": command.node_name,
        "workflows.argoproj.io/node-id": command.node_id,
    }
    return {"labels": labels, "annotations": annotations}


def patched(
    template: Template, volumes: Sequence[VolumeSpec], patches: Sequence[str]
) -> tuple[Template, Sequence[VolumeSpec], float | None]:
    """The pod's containers as a template, volumes and ``terminationGracePeriodSeconds`` after ``podSpecPatch``, the
    workflow's first. A script's path is the last of its arguments before any patch, unless it has no
    source (the controller's ``executeScript``).

    Raises StartProblem with the controller's words for text that is no patch. What a pod has beside its containers,
    volumes and host aliases (in the template those of the whole pod) places it on a node, and has no effect here.
    """
    script = template.get("script")
    if script is not None and script.get("source"):
        script = {**script, "args": [*(script.get("args") or []), SCRIPT]}
        template = {**template, "script": script}
    if not patches:
        return template, volumes, None
    from tiphys.argo.reader import read_value  # 15 ms, and few runs have a text to read

    container = template.get("container")
    main = script if container is None else container
    if main is not None:
        mains: list[ContainerSpec] = [{**main, "name": "main"}]
    elif template.get("containerSet") is not None:
        mains = [*set_containers(template)]
    else:
        return template, volumes, None
    made: Mapping[str, object] = {
        "containers": [*mains, *(template.get("sidecars") or [])],
        "initContainers": template.get("initContainers") or [],
        "volumes": [*volumes],
        "hostAliases": template.get("hostAliases") or [],
    }
    for text in patches:
        try:
            patch = read_value(text)
            if not isinstance(patch, dict):
                raise PatchError("the patch must be an object")
            made = strategic(made, patch, POD_SPEC)
        except (RefusedError, PatchError) as error:
            raise StartProblem("Error applying PodSpecPatch", phase="Error") from error
    pod: _Pod = json.loads(json.dumps(made))
    by_name = {str(each.get("name")): each for each in pod.get("containers") or []}
    result = template.copy()
    if main is None:
        own = [by_name.pop(str(each["name"])) for each in mains]
        result["containerSet"] = {**template["containerSet"], "containers": [*own]}
    elif container is None:
        result["script"] = by_name.pop("main")
    else:
        result["container"] = by_name.pop("main")
    result["sidecars"] = [each for name, each in by_name.items() if name not in _OWN]
    result["initContainers"] = [
        each for each in pod.get("initContainers") or [] if each.get("name") not in _OWN
    ]
    result["hostAliases"] = pod.get("hostAliases") or []
    grace = pod.get("terminationGracePeriodSeconds")
    return result, pod.get("volumes") or [], None if grace is None else float(grace)
