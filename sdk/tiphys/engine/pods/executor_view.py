"""A template as Argo's executor reads it.

The controller hands it over in an environment variable (``ARGO_TEMPLATE``), in which the kubelet replaces
``$(NAME)`` and ``$$``: in the source of a script, raw artifacts, paths, defaults of outputs, manifests. Seen on 4.0.5.
A template of more than 128 KiB travels in a ConfigMap, and is left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from tiphys.engine.pods.environment import expand

if TYPE_CHECKING:
    from tiphys.argo.types import Template
    from tiphys.engine.machine.protocol import StartPod

__all__ = ["as_executor_reads"]

_LONGEST = 131072  # common.MaxEnvVarLen
_READ = ("outputs", "resource", "data")


def as_executor_reads(command: StartPod, workflow: str, uid: str) -> Template:
    """The template of a pod with what the kubelet replaces in it. (Commands, arguments and variables of containers are
    the kubelet's own matter, later.)"""
    template = cast("Mapping[str, object]", command.template)
    known = {
        "ARGO_POD_NAME": command.pod_name,
        "ARGO_WORKFLOW_NAME": workflow,
        "ARGO_WORKFLOW_UID": uid,
        "ARGO_CONTAINER_NAME": "init",
    }
    changed: dict[str, object] = {}
    for name in _READ:
        if template.get(name):
            changed[name] = _expanded(template[name], known)
    script, inputs = template.get("script"), template.get("inputs")
    if isinstance(script, Mapping) and "$" in (source := str(script.get("source") or "")):
        changed["script"] = {**script, "source": expand(source, {}, known)}
    if isinstance(inputs, Mapping) and inputs.get("artifacts"):
        changed["inputs"] = {**inputs, "artifacts": _expanded(inputs["artifacts"], known)}
    changed = {name: value for name, value in changed.items() if value != template[name]}
    if not changed:
        return command.template
    handed = {
        **template,
        "inputs": {"artifacts": (inputs or {}).get("artifacts") if isinstance(inputs, Mapping) else None},
    }
    if len(json.dumps(handed, separators=(",", ":"), ensure_ascii=False).encode()) > _LONGEST:
        return command.template
    return cast("Template", {**template, **changed})


def _expanded(value: object, known: Mapping[str, str]) -> object:
    if isinstance(value, str):
        return expand(value, {}, known)
    if isinstance(value, Mapping):
        return {key: _expanded(each, known) for key, each in value.items()}
    if isinstance(value, list):
        return [_expanded(each, known) for each in value]
    return value
