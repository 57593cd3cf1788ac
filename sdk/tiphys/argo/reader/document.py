"""One document of a YAML file: plain data, and where each part of it stands in the text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiphys.argo.reader.scalars import Scalar

__all__ = ["Document", "MappingNode", "Node", "Path", "Problem", "ScalarNode", "SequenceNode"]

Path = tuple[str | int, ...]


class ScalarNode:
    """A scalar of the text: its value and its marks (``style`` is ``None`` for plain, else the quote)."""

    __slots__ = ("end", "start", "style", "text", "value")

    def __init__(self, value: Scalar, text: str, style: str | None, start: Any, end: Any) -> None:
        self.value = value
        self.text = text
        self.style = style
        self.start = start
        self.end = end


class MappingNode:
    """A mapping: key -> (the key's node, the value's node), in the order of the text."""

    __slots__ = ("end", "entries", "flow", "start")

    def __init__(self, start: Any, flow: bool) -> None:
        self.start = start
        self.end = start
        self.flow = flow
        self.entries: dict[str, tuple[ScalarNode, Node]] = {}


class SequenceNode:
    """A sequence of nodes."""

    __slots__ = ("end", "flow", "items", "start")

    def __init__(self, start: Any, flow: bool) -> None:
        self.start = start
        self.end = start
        self.flow = flow
        self.items: list[Node] = []


Node = ScalarNode | MappingNode | SequenceNode


class Problem:
    """Something in the text that a reader refuses, found without stopping: ``code`` is a TIP2xx code."""

    __slots__ = ("code", "column", "fix", "line", "message", "path")

    def __init__(self, code: str, message: str, fix: str, line: int, column: int, path: Path = ()) -> None:
        self.code = code
        self.message = message
        self.fix = fix
        self.line = line
        self.column = column
        self.path = path


class Document:
    """One document: ``data`` holds JSON types only, ``position`` tells where a path of it stands.

    ``node`` is the tree of the text that ``data`` was made from; ``problems`` are what a strict reader
    refuses (duplicate keys and the like); ``index`` counts the documents of the file from 0; ``text`` is the
    document's own part of the file, which begins ``offset`` characters and ``line_offset`` lines into it.
    """

    __slots__ = ("data", "file", "index", "line_offset", "node", "offset", "problems", "sites", "text")

    def __init__(
        self,
        data: Any,
        node: Node | None,
        *,
        file: str = "",
        index: int = 0,
        line_offset: int = 0,
        offset: int = 0,
        text: str = "",
        problems: Iterable[Problem] = (),
    ) -> None:
        self.data = data
        self.node = node
        self.file = file
        self.index = index
        self.line_offset = line_offset
        self.offset = offset
        self.text = text
        self.problems = list(problems)
        self.sites: dict[
            str, tuple[str, int]
        ] = {}  # template name -> file and line of the Python that made it

    def position(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return (line, column), counted from 1, of the value at ``path``, or of its key.

        A path that is not in the text gives the position of the deepest part that is.
        """
        node = self.node
        if node is None:
            return self.line_offset + 1, 1
        mark = node.start
        for step in path:
            if isinstance(node, MappingNode) and step in node.entries:
                name, node = node.entries[step]
                mark = name.start if key else node.start
                if isinstance(node, ScalarNode) and node.start.index == node.end.index:
                    mark = name.start  # an empty value: point at its key
            elif isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.items):
                node = node.items[step]
                mark = node.start
            else:
                break
        return self.place(mark)

    def place(self, mark: Any) -> tuple[int, int]:
        """Return (line, column), counted from 1 in the file, of a mark of this document's text."""
        line: int = mark.line
        column: int = mark.column
        if line == 0 and self.line_offset:
            column += 3  # the text of a later document starts behind its `---`
        return line + 1 + self.line_offset, column + 1

    def find(self, path: Path) -> Node | None:
        """Return the node of the text at ``path``, or None."""
        node = self.node
        for step in path:
            if isinstance(node, MappingNode) and step in node.entries:
                node = node.entries[step][1]
            elif isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.items):
                node = node.items[step]
            else:
                return None
        return node

    @property
    def kind(self) -> str:
        """The ``kind`` of the object, or an empty string."""
        value = self.data.get("kind") if isinstance(self.data, dict) else None
        return value if isinstance(value, str) else ""

    def __repr__(self) -> str:
        return f"Document(kind={self.kind!r}, file={self.file!r}, index={self.index})"
