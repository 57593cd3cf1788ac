"""Node IDs and pod names as Argo makes them (``wf.NodeID``, ``util.GeneratePodName``)."""

from __future__ import annotations

from functools import lru_cache
from random import Random

from tiphys.lazy import regex

_SUBDOMAIN = regex(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

__all__ = [
    "NodeIDs",
    "fnv32a",
    "fnv64a",
    "generated_name",
    "invalid",
    "invalid_pod_name",
    "pod_name",
    "subdomain_problem",
]

_LONGEST_POD_NAME = 253
LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so no words
_RANDOM = 5


# a node's ID and its pod's name are asked for several times, one right after the other
@lru_cache(maxsize=4096)
def fnv32a(text: str) -> int:
    """Return the 32-bit FNV-1a hash of the UTF-8 bytes of ``text``."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def fnv64a(text: str) -> int:
    """Return the 64-bit FNV-1a hash of the UTF-8 bytes of ``text``."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


class NodeIDs:
    """The IDs of the nodes of one workflow: no two names share one.

    The root's is the workflow's name, that of each other node ``<workflow>-<hash of the node name>`` with 32 bits. Of
    two names with one hash the first has it, and the other gets 64 bits.
    Source: argo-workflows, pull request 16883 (September 2026; 16988 for 4.0). Before it the two were taken for one
    node. That two names are equal in both is nobody's accident, and then a mark before the name makes them differ.
    """

    def __init__(self, workflow: str) -> None:
        self.workflow = workflow
        self._owner: dict[str, str] = {}
        self._wide: dict[str, str] = {}

    def keep(self, name: str, identity: str) -> None:
        """Note that a node of an earlier run has that ID: it keeps it, also when what it lost to is gone."""
        self._owner[identity] = name
        if identity != self._narrow(name):
            self._wide[name] = identity

    def take(self, name: str) -> str:
        """Return the ID of the node called ``name``, which has it from now on."""
        identity = self.find(name)
        if self._owner.setdefault(identity, name) == name and identity != self._narrow(name):
            self._wide[name] = identity
        return identity

    def find(self, name: str) -> str:
        """Return the ID that the node called ``name`` has, or would get now."""
        if self._wide and name in self._wide:
            return self._wide[name]
        identity, marks = self._narrow(name), ""
        while self._owner.get(identity, name) != name:
            identity = f"{self.workflow}-{fnv64a(marks + name)}"
            marks += "~"
        return identity

    def _narrow(self, name: str) -> str:
        return self.workflow if name == self.workflow else f"{self.workflow}-{fnv32a(name)}"


def pod_name(workflow: str, identity: str, template: str) -> str:
    """Return the name (version 2) of the pod of the node with that ID.

    It is ``<workflow>-<template>-<hash in the ID>``, cut to fit Kubernetes' limit.
    """
    if identity == workflow:
        return workflow
    prefix = f"{workflow}-{template}" if template else workflow
    digits = identity.removeprefix(f"{workflow}-")
    room = max(len(digits), 10)  # a shorter hash does not leave more to the rest
    return f"{prefix[: _LONGEST_POD_NAME - room - 1]}-{digits}"


def invalid_pod_name(name: str, workflow: str) -> str:
    """What the API server says to a pod of that name; an empty string when it accepts it.

    A template's name may have capital letters, the name of its pods may not. The workflow's own name, with which it
    begins, is not looked at: an object of a bad name is never created.
    Source: k8s.io/apimachinery, validation.IsDNS1123Subdomain.
    """
    problem = subdomain_problem("x" + name.removeprefix(workflow))
    return invalid("Pod", name, "metadata.name", name, problem) if problem else ""


def invalid(kind: str, name: str, where: str, value: str, problem: str) -> str:
    """What the API server answers to an object with such a value in a field. Source: field.Error of apimachinery."""
    if problem == "Required value":
        return f'{kind} "{name}" is invalid: {where}: {problem}'
    shown = value.replace("\0", "\\x00")
    return f'{kind} "{name}" is invalid: {where}: Invalid value: "{shown}": {problem}'


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
