"""What a pod's description says: its containers, declared paths, metadata, and ``podSpecPatch``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tiphys.argo.patch import POD_SPEC, PatchError, strategic
from tiphys.argo.spec import set_containers
from tiphys.engine.machine.protocol import StartPod
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.base import StartProblem, absolute

__all__ = ["SCRIPT", "declared_paths", "main_spec", "patched", "pod_metadata", "required_outputs"]

Json = Any
SCRIPT = "/argo/staging/script"  # where Argo's executor writes a script template's source
_OWN = (
    "init",
    "wait",
)  # Argo's executor in a pod; here it is the engine, and what a patch says of it is void


def main_spec(template: Mapping[str, Json]) -> dict[str, Json]:
    """The container that outputs are read from."""
    found = template.get("container") or template.get("script")
    if found is not None:
        return dict(found)
    containers = set_containers(template) or [{}]
    return dict(next((each for each in containers if each.get("name") == "main"), containers[0]))


def declared_paths(template: Mapping[str, Json]) -> list[str]:
    """The paths of the template's inputs and outputs."""
    paths = []
    for side in ("inputs", "outputs"):
        group = template.get(side) or {}
        paths += [item["path"] for item in group.get("artifacts") or [] if item.get("path")]
        for item in group.get("parameters") or []:
            path = (item.get("valueFrom") or {}).get("path")
            if path:
                paths.append(path)
    return [str(path) for path in paths]


def required_outputs(template: Mapping[str, Json]) -> list[str]:
    """The paths of outputs that must be there when the step ends."""
    outputs = template.get("outputs") or {}
    paths = [item.get("path") for item in outputs.get("artifacts") or [] if not item.get("optional")]
    for item in outputs.get("parameters") or []:
        source = item.get("valueFrom") or {}
        if source.get("default") is None:
            paths.append(source.get("path"))
    return [absolute(str(path)) for path in paths if path]


def pod_metadata(host: Host, command: StartPod) -> dict[str, Json]:
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
    template: Mapping[str, Json], volumes: Sequence[Mapping[str, Json]], patches: Sequence[str]
) -> tuple[Mapping[str, Json], Sequence[Mapping[str, Json]], float | None]:
    """The pod's containers as a template, volumes and ``terminationGracePeriodSeconds`` after ``podSpecPatch``, the
    workflow's first. A script's path is the last of its arguments before any patch (the controller's
    ``executeScript``).

    Raises StartProblem with the controller's words for text that is no patch. What a pod has beside its containers,
    volumes and host aliases (in the template those of the whole pod) places it on a node, and has no effect here.
    """
    if (script := template.get("script")) is not None:
        script = {**script, "args": [*(script.get("args") or []), SCRIPT]}
        template = {**template, "script": script}
    if not patches:
        return template, volumes, None
    kind = next((key for key in ("container", "script", "containerSet") if template.get(key) is not None), "")
    if not kind:
        return template, volumes, None
    sidecars = [dict(each) for each in template.get("sidecars") or []]
    if kind == "containerSet":
        mains = [dict(each) for each in set_containers(template)]
    else:
        mains = [{**template[kind], "name": "main"}]
    pod: dict[str, Json] = {
        "containers": [*mains, *sidecars],
        "initContainers": [dict(each) for each in template.get("initContainers") or []],
        "volumes": [dict(each) for each in volumes],
        "hostAliases": [dict(each) for each in template.get("hostAliases") or []],
    }
    for text in patches:
        try:
            patch = yaml.safe_load(text)
            if not isinstance(patch, dict):
                raise PatchError("the patch must be an object")
            pod = strategic(pod, patch, POD_SPEC)
        except (yaml.YAMLError, PatchError) as error:
            raise StartProblem("Error applying PodSpecPatch", phase="Error") from error
    by_name = {str(each.get("name")): each for each in pod.get("containers") or []}
    result = dict(template)
    names = [str(each["name"]) for each in mains]
    if kind == "containerSet":
        result[kind] = {**template[kind], "containers": [by_name.pop(name) for name in names]}
    else:
        result[kind] = by_name.pop("main")
    result["sidecars"] = [each for name, each in by_name.items() if name not in _OWN]
    result["initContainers"] = [
        each for each in pod.get("initContainers") or [] if each.get("name") not in _OWN
    ]
    result["hostAliases"] = pod.get("hostAliases") or []
    grace = pod.get("terminationGracePeriodSeconds")
    return json.loads(json.dumps(result)), pod.get("volumes") or [], None if grace is None else float(grace)
