"""``resourcesDuration``: the seconds that the containers of a pod ran, times what each requested, by resource.

A unit is a second of one core, of 100Mi of memory, of 10Gi of storage; of anything else a second of one. Each container
counts by itself and is rounded down. Argo's own ``wait`` beside the main container requests nothing, and counts as who
requests nothing does: 100m and 100Mi.

Sources: argo-workflows v4.1.2, util/resource/duration.go (DurationForPod), summary.go (Duration); the denominators are
in pkg/apis/workflow/v1alpha1/workflow_types.go (ResourceQuantityDenominator). ``podResources`` are left out: there they
count for Argo's ``init``, which takes no time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from tiphys.argo.quantity import quantity

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec

__all__ = ["UNITS", "pod_duration"]

UNITS = {"memory": 100 * 2**20, "storage": 10 * 2**30, "ephemeral-storage": 10 * 2**30}
"""How much of a resource is one, where it is not 1."""
_LEAST = {"cpu": "100m", "memory": "100Mi"}  # what counts where nothing is requested


def pod_duration(containers: Iterable[tuple[ContainerSpec, float, float]]) -> dict[str, int]:
    """The sum over containers, each with its start and its end in seconds since the epoch; empty without any.

    Kubernetes tells times in whole seconds, so of both the part behind the point is cut off.
    """
    found: dict[str, int] = {}
    for spec, started, ended in containers:
        seconds = max(int(ended) - int(started), 0)
        resources = spec.get("resources") or {}
        counted = {**_LEAST, **(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, amount in counted.items():
            thousandths = _thousandths(str(amount))
            if thousandths is not None:
                units = thousandths * seconds // (UNITS.get(name, 1) * 1000)
                found[name] = found.get(name, 0) + units
    return found


@lru_cache(256)  # the pods of a run ask for few different amounts
def _thousandths(amount: str) -> int | None:
    """None for what is no quantity."""
    try:
        return math.ceil(round(quantity(amount) * 1000, 3))
    except (ValueError, OverflowError):
        return None
