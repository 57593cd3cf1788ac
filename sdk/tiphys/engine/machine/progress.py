"""``progress`` and ``resourcesDuration`` of nodes that execute nothing themselves: sums over all that do and that they
lead to (Argo 4.1.2: workflow/progress/updater.go, util/resource/updater.go)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING

from tiphys.argo.nodes import ENDED

if TYPE_CHECKING:
    from tiphys.argo.types import Node


__all__ = ["progress_of", "sum_up"]


def progress_of(node: Node) -> tuple[int, int]:
    """Return (done, total) of an executing node."""
    done, _, total = str(node.get("progress", "0/1")).partition("/")
    return int(done), int(total)


class _Sum:
    """The sum of a number over any set of nodes: one set of bits for each binary digit."""

    def __init__(self, numbers: list[int]) -> None:
        digits = [bytearray(len(numbers) // 8 + 1) for _ in range(max(numbers, default=0).bit_length())]
        for place, number in enumerate(numbers):
            for digit, bits in enumerate(digits):
                bits[place >> 3] |= (number >> digit & 1) << (place & 7)
        self._digits = [int.from_bytes(bits, "little") for bits in digits]

    def over(self, places: int) -> int:
        return sum((places & bits).bit_count() << digit for digit, bits in enumerate(self._digits))


def sum_up(nodes: Mapping[str, Node], executes: Container[str]) -> dict[str, int]:
    """Write ``progress`` on the nodes whose type is not in ``executes``, and ``resourcesDuration`` on those that are no
    pods and have ended. Returns the sum of the latter over all pods.

    A node counts once, however many ways lead to it, so sums of children cannot be added up.
    """
    executing = [identity for identity, node in nodes.items() if node["type"] in executes]
    known = [progress_of(nodes[identity]) for identity in executing]
    done, total = _Sum([each[0] for each in known]), _Sum([each[1] for each in known])
    used = [_of_pod(nodes[identity]) for identity in executing]
    names = sorted({name for each in used for name in each})
    units = {name: _Sum([each.get(name, 0) for each in used]) for name in names}
    has = {name: _Sum([int(name in each) for each in used]) for name in names}
    for identity, bits in _reached(nodes, {identity: place for place, identity in enumerate(executing)}):
        node = nodes[identity]
        if node["type"] not in executes:
            node["progress"] = f"{done.over(bits)}/{total.over(bits)}"
        if node["type"] != "Pod" and (node["phase"] in ENDED or node.get("daemoned")):
            node.pop("resourcesDuration", None)
            if found := {name: units[name].over(bits) for name in names if has[name].over(bits)}:
                node["resourcesDuration"] = found
    return {name: sum(each.get(name, 0) for each in used) for name in names}


def _of_pod(node: Node) -> Mapping[str, int]:
    return (node.get("resourcesDuration") or {}) if node["type"] == "Pod" else {}


def _reached(nodes: Mapping[str, Node], index: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Each node that has children or no place in ``index``, and which of those that have one it leads to.

    A reach is a set of bits, made of those of the children; a child's is dropped with its last parent.
    """
    parents = Counter(child for node in nodes.values() for child in node.get("children") or ())
    reach: dict[str, int] = {}
    entered: set[str] = set()
    for start in nodes:
        if start in entered:
            continue
        stack = [start]
        while stack:
            identity = stack[-1]
            children = [child for child in nodes[identity].get("children") or () if child in nodes]
            if identity not in entered:
                entered.add(identity)
                stack.extend(child for child in children if child not in entered)
                continue
            stack.pop()
            if identity in reach:  # it was on the stack twice
                continue
            bits = 0
            for child in children:
                bits |= reach.get(child, 0)
                if child in index:
                    bits |= 1 << index[child]
                parents[child] -= 1
                if not parents[child]:
                    reach.pop(child, None)
            reach[identity] = bits
            if children or identity not in index:
                yield identity, bits
