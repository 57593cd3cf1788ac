"""Node IDs and pod names as Argo makes them (``wf.NodeID``, ``util.GeneratePodName``)."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["fnv32a", "node_id", "pod_name"]

_LONGEST_POD_NAME = 253
_HASH_ROOM = 10


# a node's ID and its pod's name are asked for several times, one right after the other
@lru_cache(maxsize=4096)
def fnv32a(text: str) -> int:
    """Return the 32-bit FNV-1a hash of the UTF-8 bytes of ``text``."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


@lru_cache(maxsize=4096)
def node_id(workflow: str, node_name: str) -> str:
    """Return the node ID: the workflow's name for the root, else ``<workflow>-<hash of the node name>``."""
    return workflow if node_name == workflow else f"{workflow}-{fnv32a(node_name)}"


def pod_name(workflow: str, node_name: str, template: str) -> str:
    """Return the pod's name (version 2): ``<workflow>-<template>-<hash>``, cut to fit Kubernetes' limit."""
    if node_name == workflow:
        return workflow
    prefix = f"{workflow}-{template}" if template else workflow
    return f"{prefix[: _LONGEST_POD_NAME - _HASH_ROOM - 1]}-{fnv32a(node_name)}"
