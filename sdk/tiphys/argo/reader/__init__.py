"""Reading YAML as Argo reads it: go-yaml's typing, plain data, and the position of every part.

>>> from tiphys.argo.reader import read
>>> document = read("kind: Workflow\\nspec:\\n  entrypoint: main\\n")[0]
>>> document.data["spec"]["entrypoint"], document.position(("spec", "entrypoint"))
('main', (3, 15))
"""

from __future__ import annotations

from tiphys.argo.reader.compose import ReaderLimits
from tiphys.argo.reader.document import Document, MappingNode, Node, Path, Problem, ScalarNode, SequenceNode
from tiphys.argo.reader.source import read, read_file, read_text, read_value, scan_text, text_of

__all__ = [
    "Document",
    "MappingNode",
    "Node",
    "Path",
    "Problem",
    "ReaderLimits",
    "ScalarNode",
    "SequenceNode",
    "read",
    "read_file",
    "read_text",
    "read_value",
    "scan_text",
    "text_of",
]
