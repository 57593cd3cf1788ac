"""What ``resources`` of a container say."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from tiphys.argo.quantity import quantity
from tiphys.engine.runners.base import StartProblem

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec, ResourceFieldRef


__all__ = ["memory_limit", "resource_field"]


def memory_limit(spec: ContainerSpec) -> int:
    """``resources.limits.memory`` in bytes; 0 without one. Raises StartProblem."""
    value = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    return 0 if value in (None, "") else int(_parse("limits.memory", value))


def resource_field(container: ContainerSpec, reference: ResourceFieldRef) -> str:
    """The value of a ``resourceFieldRef``: in units of its divisor, rounded up, as the kubelet gives it.

    A request that is not set is the limit; a limit that is not set is what the machine has.
    """
    resource = str(reference.get("resource") or "")
    group, _, name = resource.partition(".")
    resources = container.get("resources") or {}
    limits = resources.get("limits") or {}
    value = limits.get(name) if group == "limits" else None
    if group == "requests":
        value = (resources.get("requests") or {}).get(name)
        if value in (None, ""):
            value = limits.get(name) or 0
    if value in (None, ""):
        value = _capacity(name)
    divisor = _parse("divisor", reference.get("divisor") or 1) or 1
    return str(math.ceil(round(_parse(resource, value) / divisor, 9)))


def _capacity(name: str) -> int:
    if name == "cpu":
        return os.cpu_count() or 1
    if name == "memory":
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 0


def _parse(where: str, value: object) -> float:
    try:
        return quantity(value)
    except ValueError as error:
        raise StartProblem(f"resources: {where}: {value!r} is not a quantity", phase="Error") from error
