"""What reads a YAML document: the reader, the lint, the judge, the fixer, the graph, and the machine that runs it."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.conformance.replay import Replay
from tests.engine.machine.driving import NOW, echo
from tests.fuzz.mutate import text_of, tree_of
from tests.fuzz.texts import Target
from tests.fuzz.watch import Broken
from tests.lint.examples import examples, whole
from tiphys.argo.decode import as_stored
from tiphys.argo.reader import read_text, scan_text
from tiphys.compiler.emit import emit
from tiphys.engine.machine.machine import Machine
from tiphys.graph import render
from tiphys.lint import fix, judge, lint

__all__ = ["DOCUMENTS"]

TESTS = Path(__file__).resolve().parents[1]
_YAML = (
    "a: &a {b: 1}\nc: {<<: *a}\n", "? a\n: !!str 1\n", "- |\n  x\n- >-\n  y\n", "a: 0x1F\nb: 1_000\nc: 1:30\nd: ~\n",
    '{"kind": "Workflow", "spec": {"entrypoint": "a", "templates": [{"name": "a", "suspend": {}}]}}',
    "---\nkind: List\nitems:\n- {kind: ConfigMap, data: {a: b}}\n...\n---\nkind: Secret\nstringData: {a: b}\n",
    "%YAML 1.1\n---\na: 2026-11-27\n", "a: 1\na: 2\n", '"a": "\\ud83d\\u0000"\n', "kind: Workflow\nmetadata: 1h\n",
)  # fmt: skip


class NotRun(Exception):
    """It is no workflow that would be run."""


@functools.cache
def _texts() -> list[str]:
    """The repository's own documents: golden files, recorded families, the examples of the rules."""
    found = [path.read_text(encoding="utf-8") for path in sorted((TESTS / "golden").glob("*.yaml"))]
    for folder in (TESTS / "conformance" / "own", TESTS.parent / "manifests" / "base"):
        for path in sorted(folder.glob("*.yaml")):
            found += path.read_text(encoding="utf-8").split("\n---")
    for each in examples():
        found += [whole(each.wrong), whole(each.right)]
    return [text for text in (*found, *_YAML) if len(text) < 12_000]


@functools.cache
def _trees() -> tuple[list[Any], list[str]]:
    """The same as objects, and every key in them."""
    trees = []
    names: set[str] = set()
    for text in _texts():
        for document in scan_text(text):
            if isinstance(document.data, dict) and "kind" in document.data:
                trees.append(document.data)
                stack: list[Any] = [document.data]
                while stack:
                    value = stack.pop()
                    if isinstance(value, dict):
                        names.update(value)
                    stack += (
                        value.values()
                        if isinstance(value, dict)
                        else value
                        if isinstance(value, list)
                        else []
                    )
    return trees, sorted(names)


@functools.cache
def _runnable() -> list[Any]:
    return [tree for tree in _trees()[0] if tree["kind"] == "Workflow"]


def _tree_text(seeds: Sequence[str], chance: Random) -> str:
    trees, names = _trees()
    return "---\n" + json.dumps(tree_of(trees, names, chance), indent=1)


def _run_text(seeds: Sequence[str], chance: Random) -> str:
    return json.dumps(tree_of(_runnable(), _trees()[1], chance))


def _read(text: str) -> None:
    """What is read is written, and read again: the same."""
    for document in scan_text(text):
        if document.data is not None and not document.problems:
            again = read_text(emit(document.data))
            if [each.data for each in again] != [document.data] and document.data not in ({}, [], ""):
                raise Broken("what was written reads otherwise")


def _lint(text: str) -> None:
    lint(text + "\n", file="f.yaml")
    documents = list(scan_text(text))
    for document in documents:
        if isinstance(document.data, dict) and document.data.get("kind") == "Workflow":
            judge(documents, document)


def _fix(text: str) -> None:
    """What was mended needs no mending."""
    mended, _ = fix(text + "\n", file="f.yaml")
    if mended != text + "\n":
        fix(mended, file="f.yaml")


def _graph(text: str) -> None:
    for document in read_text(text):
        for how in ("mermaid", "svg"):
            render(document.data, how)  # type: ignore[arg-type]


def _run(text: str) -> None:
    """A workflow that the judge finds nothing wrong with is run by the machine, with pods that print their words."""
    documents = [each for each in read_text(text) if isinstance(each.data, dict)]
    if not documents or documents[0].kind != "Workflow":
        raise NotRun
    verdict = judge(documents, documents[0])
    if verdict.undecodable or verdict.invalid:
        raise NotRun
    flow = as_stored(documents[0].data)
    made = Machine(flow, name="wf", uid="uid", now=NOW, context=[])
    Replay(made, echo, start=NOW).run()
    json.dumps(made.workflow())


DOCUMENTS = [
    Target("YAML", "documents", text_of, _read, _texts, inputs=2500),
    Target("lint", "documents", text_of, _lint, _texts, inputs=800),
    Target("lint, objects", "documents", _tree_text, _lint, lambda: (), inputs=1200),
    Target("fix", "documents", text_of, _fix, _texts, inputs=200),
    Target("graph", "documents", _tree_text, _graph, lambda: (), inputs=600),
    Target("machine", "documents", _run_text, _run, lambda: (), (NotRun,), inputs=500),
]
