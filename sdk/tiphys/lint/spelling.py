"""How Go spells a template as JSON, the text in which Argo looks for tags: enough of its field order to know where a
tag would end."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["runs_out", "step_json", "template_json"]

_TEMPLATE = """
    name inputs outputs nodeSelector affinity metadata daemon steps container containerSet script
    resource dag suspend data http plugin volumes initContainers sidecars archiveLocation
    activeDeadlineSeconds retryStrategy parallelism failFast tolerations schedulerName priorityClassName
    serviceAccountName automountServiceAccountToken executor hostAliases securityContext podSpecPatch
    metrics synchronization memoize timeout annotations
"""
_STEP = """
    name template inline arguments templateRef dependencies withItems withParam withSequence when
    continueOn onExit hooks depends
"""
_CONTAINER = """
    name image command args workingDir ports envFrom env resources resizePolicy volumeMounts
    volumeDevices livenessProbe readinessProbe startupProbe lifecycle terminationMessagePath
    terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty source dependencies
    mirrorVolumeMounts
"""


def template_json(data: Mapping[str, object]) -> str:
    """A template as Go writes it."""
    whole: dict[str, object] = {"inputs": {}, "outputs": {}, "metadata": {}, **data}
    for key in ("container", "script"):
        body = whole.get(key)
        if isinstance(body, dict):
            whole[key] = _ordered({"name": "", "resources": {}, **body}, _CONTAINER)
    for key in ("sidecars", "initContainers"):
        items = whole.get(key)
        if isinstance(items, list):
            whole[key] = [_ordered({"resources": {}, **item}, _CONTAINER) for item in items]
    steps, dag = whole.get("steps"), whole.get("dag")
    if isinstance(steps, list):
        whole["steps"] = [[_step(step) for step in group] for group in steps]
    if isinstance(dag, dict):
        tasks = {"tasks": [_step(task) for task in dag.get("tasks") or []]}
        whole["dag"] = {**({"target": dag["target"]} if "target" in dag else {}), **tasks}
    return json.dumps(_ordered(whole, _TEMPLATE), separators=(",", ":"))


def step_json(data: Mapping[str, object]) -> str:
    """A step or task as Go writes it."""
    return json.dumps(_step(data), separators=(",", ":"))


def runs_out(text: str) -> bool:
    """Whether a ``{{`` of the text has no ``}}`` anywhere behind it."""
    start = text.find("{{")
    while start >= 0:
        end = text.find("}}", start + 2)
        if end < 0:
            return True
        start = text.find("{{", end + 2)
    return False


def _step(data: Mapping[str, object]) -> dict[str, object]:
    return _ordered({"arguments": {}, **data}, _STEP)


def _ordered(data: Mapping[str, object], order: str) -> dict[str, object]:
    rank = {name: at for at, name in enumerate(order.split())}
    return dict(sorted(data.items(), key=lambda item: rank.get(item[0], len(rank))))
