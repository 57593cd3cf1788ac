"""From the events of libyaml's parser to plain data and a tree of nodes, in one bounded pass."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml
from yaml import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml._yaml import CParser

from tiphys.argo.copies import plain_copy
from tiphys.argo.reader.document import MappingNode, Node, Path, Problem, ScalarNode, SequenceNode
from tiphys.argo.reader.scalars import Scalar, Unrepresentable, key_text, resolve_plain, resolve_tagged
from tiphys.lazy import regex

__all__ = ["ReaderLimits", "TooMuch", "compose"]

# libyaml 0.2.6 has a limit of its own, and says so in words only
_LIBYAML_DEPTH = 1000
_TOO_DEEP = regex(r"nesting (depth|level)", re.IGNORECASE)


class ReaderLimits(NamedTuple):
    """What a text may cost: its size in bytes, how deep it nests, how many nodes it expands to."""

    bytes: int = 16 * 1024 * 1024
    depth: int = 200
    nodes: int = 1_000_000


class TooMuch(Exception):
    """A limit is exceeded at ``mark``."""

    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.mark = mark


class _Anchor(NamedTuple):
    node: Node | None = None
    data: Any = None
    size: int = 0  # nodes it expands to


class _Frame:
    """An open mapping or sequence."""

    __slots__ = ("anchor", "count_before", "data", "key", "key_node", "merges", "node")

    def __init__(
        self, node: MappingNode | SequenceNode, data: Any, anchor: str | None, count_before: int
    ) -> None:
        self.node = node
        self.data = data
        self.anchor = anchor
        self.count_before = count_before
        self.key: str | None = None
        self.key_node: ScalarNode | None = None
        self.merges: list[tuple[Node, Any]] | None = None


def compose(text: str, limits: ReaderLimits, problems: list[Problem]) -> tuple[Any, Node | None]:
    """Return (data, node) of the first document in ``text``; what a strict reader refuses joins ``problems``.

    Raises ``yaml.YAMLError`` for text that is not YAML and :class:`TooMuch` past a limit. The marks of the
    problems are those of ``text``.
    """
    parser = CParser(text)
    try:
        return _Composer(parser, limits, problems).run()
    finally:
        parser.dispose()


class _Composer:
    def __init__(self, parser: Any, limits: ReaderLimits, problems: list[Problem]) -> None:
        self.next_event = parser.get_event
        self.limits = limits
        self.problems = problems
        self.anchors: dict[str, _Anchor] = {}
        self.count = 0
        self.stack: list[_Frame] = []

    def run(self) -> tuple[Any, Node | None]:
        try:
            return self._compose()
        except yaml.MarkedYAMLError as error:
            if not _TOO_DEEP.search(error.problem or ""):
                raise
            # its scanner is ahead of the events that are counted below, so it comes first where a text nests at once
            depth = min(self.limits.depth, _LIBYAML_DEPTH)
            raise TooMuch(f"nested deeper than {depth} levels", error.problem_mark) from error

    def _compose(self) -> tuple[Any, Node | None]:
        next_event = self.next_event
        stack = self.stack
        root: tuple[Any, Node | None] = (None, None)
        max_nodes, max_depth = self.limits.nodes, self.limits.depth
        node: Node
        data: Any
        while True:
            event = next_event()
            kind = type(event)
            if kind is ScalarEvent:
                node, data = self.scalar(event)
                if event.anchor is not None:
                    self.anchors[event.anchor] = _Anchor(node, data, 1)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if len(stack) >= max_depth:
                    raise TooMuch(f"nested deeper than {max_depth} levels", event.start_mark)
                frame = self.open(event, kind is MappingStartEvent)
                stack.append(frame)
                self.count += 1
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                frame = stack.pop()
                frame.node.end = event.end_mark
                if frame.merges:
                    self.merge(frame)
                node, data = frame.node, frame.data
                if frame.anchor is not None:
                    self.anchors[frame.anchor] = _Anchor(node, data, self.count - frame.count_before)
                self.count -= 1  # counted when it was opened
            elif kind is AliasEvent:
                node, data = self.alias(event)
            elif kind is DocumentEndEvent or kind is StreamEndEvent:
                return root
            else:  # stream start, document start
                continue
            self.count += 1
            if self.count > max_nodes:
                raise TooMuch(f"more than {max_nodes} values once aliases are expanded", event.start_mark)
            if not stack:
                root = (data, node)
                continue
            self.put(stack[-1], node, data)

    def open(self, event: Any, mapping: bool) -> _Frame:
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = _Anchor()  # open: an alias to it would contain itself
        flow = bool(event.flow_style)
        if mapping:
            return _Frame(MappingNode(event.start_mark, flow), {}, anchor, self.count)
        return _Frame(SequenceNode(event.start_mark, flow), [], anchor, self.count)

    def scalar(self, event: Any) -> tuple[ScalarNode, Scalar]:
        text = event.value
        style = event.style or None
        value: Scalar = text
        try:
            if event.tag is not None and event.tag != "!":
                value = resolve_tagged(event.tag, text)
            elif event.implicit[0]:
                value = resolve_plain(text)
        except Unrepresentable as error:
            fix = "write a finite number, or put it in quotes"
            self.problem("TIP206", str(error), fix, event.start_mark)
            value = None
        return ScalarNode(value, text, style, event.start_mark, event.end_mark), value

    def alias(self, event: Any) -> tuple[Node, Any]:
        anchor = self.anchors.get(event.anchor)
        if anchor is None:
            raise yaml.composer.ComposerError(
                None, None, f"unknown anchor {event.anchor!r} referenced", event.start_mark
            )
        if anchor.node is None:
            raise yaml.composer.ComposerError(
                None, None, f"anchor {event.anchor!r} value contains itself", event.start_mark
            )
        self.count += anchor.size - 1
        if self.count > self.limits.nodes:
            raise TooMuch(f"more than {self.limits.nodes} values once aliases are expanded", event.start_mark)
        return anchor.node, plain_copy(anchor.data)

    def put(self, frame: _Frame, node: Node, data: Any) -> None:
        holder = frame.node
        if isinstance(holder, SequenceNode):
            holder.items.append(node)
            frame.data.append(data)
            return
        if frame.key_node is None:
            self.key(frame, node, data)
            return
        name, frame.key_node = frame.key_node, None
        key = frame.key
        if key is None:
            return  # an illegal key, already reported
        if key == "<<" and name.style is None and name.text == "<<":
            if frame.merges is None:
                frame.merges = []
            frame.merges.append((node, data))
            return
        if key in frame.data:
            self.duplicate(frame, key, name)
        frame.data[key] = data
        holder.entries[key] = (name, node)

    def key(self, frame: _Frame, node: Node, data: Any) -> None:
        if isinstance(node, ScalarNode):
            frame.key = key_text(data)
            frame.key_node = node
            if frame.key is None:
                fix = "quote the key, or remove the line"
                self.problem("TIP207", "a key is null, which JSON does not allow", fix, node.start)
            return
        frame.key = None
        frame.key_node = ScalarNode("", "", None, node.start, node.end)
        self.problem(
            "TIP207",
            "a key is a list or a mapping, which JSON does not allow",
            "use text for keys; a value that starts with `{{` must be quoted",
            node.start,
        )

    def duplicate(self, frame: _Frame, key: str, name: ScalarNode) -> None:
        first = frame.node.entries.get(key) if isinstance(frame.node, MappingNode) else None
        where = f" (first in line {first[0].start.line + 1})" if first else ""
        self.problem(
            "TIP205",
            f"key {key!r} is set twice in one mapping{where}",
            "keep one of them; only the last would count",
            name.start,
            (*self.path(), key),
        )

    def merge(self, frame: _Frame) -> None:
        """Apply ``<<``: keys that the mapping has itself win."""
        holder = frame.node
        assert isinstance(holder, MappingNode)
        for node, data in frame.merges or ():
            sources = [(node, data)]
            if isinstance(node, SequenceNode):
                sources = list(zip(node.items, data, strict=True))
            for source, values in sources:
                if not isinstance(source, MappingNode):
                    self.problem(
                        "TIP207",
                        "a merge key (<<) needs a mapping or a list of mappings",
                        "refer to an anchor of a mapping",
                        source.start,
                    )
                    continue
                for key, value in values.items():
                    if key not in frame.data:
                        frame.data[key] = value
                        holder.entries[key] = source.entries[key]
                    else:  # strict reading refuses this, as Argo's does
                        self.problem(
                            "TIP205",
                            f"key {key!r} is set twice: by the merge and in the mapping itself",
                            "remove it from one of them",
                            holder.entries[key][0].start,
                        )

    def path(self) -> Path:
        """The path of the mapping that is being filled."""
        steps: list[str | int] = []
        for frame in self.stack[:-1]:
            if isinstance(frame.node, SequenceNode):
                steps.append(len(frame.node.items))
            else:
                steps.append(frame.key or "")
        return tuple(steps)

    def problem(self, code: str, message: str, fix: str, mark: Any, path: Path | None = None) -> None:
        where = self.path() if path is None else path
        self.problems.append(Problem(code, message, fix, mark.line + 1, mark.column + 1, where))
