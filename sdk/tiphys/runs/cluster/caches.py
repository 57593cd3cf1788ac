"""The removal of entries from the memoization caches of a namespace, which are ConfigMaps."""

from __future__ import annotations

import time
from urllib.parse import quote

from tiphys.errors import ClusterError
from tiphys.reuse.cluster import Beyond, beyond
from tiphys.reuse.configmaps import CACHE_LABEL
from tiphys.reuse.limits import CacheLimits
from tiphys.runs.cluster.calls import Caller
from tiphys.runs.cluster.transport import Request

__all__ = ["collect"]

_MERGE_PATCH = "application/merge-patch+json"
_TURNS = 5


def collect(
    api: Caller, namespace: str, limits: CacheLimits, *, now: float | None = None, dry_run: bool = False
) -> Beyond:
    """Remove what is beyond the limits from the caches of a namespace of the Kubernetes API ``api``.

    A ConfigMap that the controller wrote since it was read (a hit, a new entry) is read again first, so an entry that
    was just used stays. Raises ClusterError: TIP606 when one changes all the time.
    """
    moment = time.time() if now is None else now
    base = f"/api/v1/namespaces/{quote(namespace)}/configmaps"
    gone: list[tuple[str, str]] = []
    for _ in range(_TURNS):
        listing = Request("GET", base, {"labelSelector": f"{CACHE_LABEL}=Cache"})
        maps = api.json("list the caches", listing).get("items") or []
        found = beyond(maps, limits, moment)
        if dry_run:
            return found
        late = False
        for config in maps:
            name = str(config["metadata"]["name"])
            keys = [key for cache, key in found.entries if cache == name]
            if not keys:
                continue
            body = {
                "metadata": {"resourceVersion": config["metadata"]["resourceVersion"]},
                "data": dict.fromkeys(keys),
            }
            request = Request("PATCH", f"{base}/{quote(name)}", {}, body, _MERGE_PATCH)
            if api.send(f"remove entries of {name}", request, allowed=(409,)).status == 409:
                late = True
            else:
                gone += [(name, key) for key in keys]
        if not late:
            return Beyond(tuple(gone), found.kept)
    raise ClusterError(
        "TIP606",
        f"the caches of {namespace} change all the time",
        cause=f"{len(gone)} entries were removed; each time a cache was read again it had been written meanwhile",
        fix="try again when fewer workflows run",
    )
