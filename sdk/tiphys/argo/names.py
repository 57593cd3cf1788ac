"""Node IDs and pod names as Argo makes them (``wf.NodeID``, ``util.GeneratePodName``)."""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

__all__ = ["fnv32a", "generated_name", "invalid_pod_name", "node_id", "pod_name", "subdomain_problem"]

_LONGEST_POD_NAME = 253
LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so no words
_RANDOM = 5
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


def invalid_pod_name(name: str, workflow: str) -> str:
    """What the API server says to a pod of that name; an empty string when it accepts it.

    A template's name may have capital letters, the name of its pods may not. The workflow's own name, with which it
    begins, is not looked at: an object of a bad name is never created.
    Source: k8s.io/apimachinery, validation.IsDNS1123Subdomain.
    """
    problem = subdomain_problem("x" + name.removeprefix(workflow))
    return f'Pod "{name}" is invalid: metadata.name: Invalid value: "{name}": {problem}' if problem else ""


def subdomain_problem(name: str) -> str:
    """What is wrong with the name of an object; an empty string when nothing is."""
    if _SUBDOMAIN.fullmatch(name):
        return ""
    return (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character "
        f"(e.g. 'example.com', regex used for validation is '{_SUBDOMAIN.pattern}')"
    )


def generated_name(prefix: str, letters: Random | None = None) -> str:
    """Return the name that the API server makes of a ``generateName``: 63 characters at most, five of them random.

    Without ``letters`` it is a name of that length, for those who only look at its form.
    Source: k8s.io/apiserver, pkg/storage/names/generate.go.
    """
    made = "".join(letters.choices(LETTERS, k=_RANDOM)) if letters is not None else "x" * _RANDOM
    return prefix[: 63 - _RANDOM] + made
