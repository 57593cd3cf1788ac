"""``TF_CONFIG`` as the training operator writes it (pkg/controller.v1/tensorflow/tensorflow.go), on localhost.

It has the operator's keys; only the host names differ: ``localhost`` and a free port each.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFJobSpec, TFReplica
    from tiphys.jsontypes import JsonObject

__all__ = ["free_ports", "replica_counts", "tf_config"]


def replica_counts(replicas: Mapping[str, TFReplica]) -> dict[str, int]:
    """``{Worker: 2, …}``; the default of ``replicas`` is 1."""
    counts = {}
    for kind, replica in replicas.items():
        value = (replica or {}).get("replicas")
        counts[kind] = 1 if value is None else int(value)
    return counts


def tf_config(spec: TFJobSpec, hosts: Mapping[tuple[str, int], str], kind: str, index: int) -> str | None:
    """The text of ``TF_CONFIG`` for one replica; None when the job has a single replica in all."""
    counts = replica_counts(spec.get("tfReplicaSpecs") or {})
    if sum(counts.values()) <= 1:
        return None
    cluster: JsonObject = {}
    for each in sorted(counts):
        if each != "Evaluator":
            cluster[each.lower()] = [hosts[each, number] for number in range(counts[each])]
    task: JsonObject = {"type": kind.lower(), "index": index}
    if spec.get("enableDynamicWorker"):
        sparse: JsonObject = {}
        if kind == "PS":
            sparse["ps"] = [hosts["PS", index]]
            task["index"] = 0
        elif kind == "Worker":
            sparse["worker"] = {str(index): hosts["Worker", index]}
            if "ps" in cluster:
                sparse["ps"] = cluster["ps"]
        return json.dumps({"cluster": sparse, "task": task}, separators=(",", ":"))
    return json.dumps({"cluster": cluster, "task": task, "environment": "cloud"}, separators=(",", ":"))


def free_ports(count: int) -> list[int]:
    """Ports on localhost that nothing uses, below the range that outgoing connections take."""
    found: list[int] = []
    start = random.randrange(20000, 31000)
    with contextlib.ExitStack() as stack:
        for port in [*range(start, 32000), *range(20000, start)]:
            if len(found) == count:
                break
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("", port))
                found.append(port)
    return found
