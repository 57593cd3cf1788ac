"""``progress`` of nodes that do not execute anything themselves: the sum over all that do and that they lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.argo.types import Node


__all__ = ["progress_of", "sum_progress"]


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


def sum_progress(nodes: Mapping[str, Node], executes: Container[str]) -> None:
    """Write ``progress`` on the nodes whose type is not in ``executes``.

    A node counts once, however many ways lead to it, so sums of children cannot be added up. Each node's reach is a
    set of bits, one for each executing node, made of those of its children; a child's is dropped with its last parent.
    """
    executing = [identity for identity, node in nodes.items() if node["type"] in executes]
    index = {identity: place for place, identity in enumerate(executing)}
    known = [progress_of(nodes[identity]) for identity in executing]
    done, total = _Sum([each[0] for each in known]), _Sum([each[1] for each in known])
    parents = Counter(child for node in nodes.values() for child in node.get("children") or ())
    reach: dict[str, int] = {}
    entered: set[str] = set()
    for start in nodes:
        if start in index or start in entered:
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
            if identity not in index:
                nodes[identity]["progress"] = f"{done.over(bits)}/{total.over(bits)}"
