"""Semaphores that are permits of the project's pools, as a workflow that Tiphys compiled says.

Argo's semaphores admit one holder for each permit: a gang of w workers is one, of ``capacity // w``, and gangs of
another size have a semaphore of their own, which knows nothing of the first. The annotation ``tiphys.dev/pools`` says
what they mean together: a JSON object of the semaphore to ``{"pool": "training", "permits": 2, "size": 4}``. On a
cluster it is a note; the engine of this machine admits by it.

``"least": 1`` beside it: each permit is a worker, and the training can do with so many. There the engine admits it with
what there is, and changes that later. ``"counts": [1, 2, 4]``: it can do with these numbers alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["POOLS", "TRAINING_POOL", "Weight", "pools_of", "pools_text", "weight_of"]

POOLS = "tiphys.dev/pools"
TRAINING_POOL = "tiphys.dev/training-pool"
"""The label of a workflow that the training service began: it admits the whole of it."""


class Weight(NamedTuple):
    """A holder of the semaphore ``key`` (``CONFIGMAP/KEY``) has ``permits`` of ``pool``, which has ``size``. ``least``:
    the permits that it can do with; 0: no fewer. ``counts``: the numbers of them that it can do with, from ``least`` to
    ``permits``; empty: all between."""

    key: str
    pool: str
    permits: int
    size: int
    least: int = 0
    counts: tuple[int, ...] = ()

    def fit(self, permits: int) -> int:
        """How many of so many permits, ``least`` or more, it can make use of."""
        return max((each for each in self.counts if each <= permits), default=permits)


def pools_text(weights: Iterable[Weight]) -> str:
    """The annotation. A pool is as large as the largest ``size`` that is said of it."""
    sizes: dict[str, int] = {}
    weights = list(weights)
    for each in weights:
        sizes[each.pool] = max(each.size, sizes.get(each.pool, 0))
    said = {
        each.key: {
            "pool": each.pool,
            "permits": each.permits,
            "size": sizes[each.pool],
            **({"least": each.least} if each.least else {}),
            **({"counts": each.counts} if each.counts else {}),
        }
        for each in weights
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def pools_of(annotations: Mapping[str, object]) -> dict[str, Weight]:
    """The semaphores that are a pool's, by ``CONFIGMAP/KEY``; what cannot be understood says nothing."""
    text = annotations.get(POOLS)
    try:
        said = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    found = {key: _weight(key, value) for key, value in said.items()}
    return {key: weight for key, weight in found.items() if weight is not None}


def weight_of(lock: str, weights: Mapping[str, Weight]) -> Weight | None:
    """Of a lock as Argo writes it, ``NAMESPACE/ConfigMap/CONFIGMAP/KEY``; None for one that is no pool's."""
    kind, _, key = lock.partition("/")[2].partition("/")
    return weights.get(key) if kind == "ConfigMap" else None


def _weight(key: str, value: object) -> Weight | None:
    if not isinstance(value, dict):
        return None
    pool, permits, size = (value.get(name) for name in ("pool", "permits", "size"))
    if not (isinstance(pool, str) and pool and type(permits) is int and type(size) is int):
        return None
    least = value.get("least", 0)
    if type(least) is not int or not 0 <= least <= permits:
        return None
    counts = value.get("counts", [])
    if not isinstance(counts, list) or any(type(each) is not int for each in counts):
        return None
    if counts and (counts[0], counts[-1], sorted(set(counts))) != (least, permits, counts):
        return None
    return Weight(key, pool, permits, size, least, tuple(counts)) if 1 <= permits <= size < 2**31 else None
