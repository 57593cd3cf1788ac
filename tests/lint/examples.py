"""The wrong and right examples of the rules, read from the text files beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tiphys.lint import ARGO_VERSIONS, NEWEST, Argo

HEAD = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: demo-}\n"


@dataclass(frozen=True)
class Example:
    """One pair; a text without ``kind:`` at its beginning gets the head of a Workflow.

    ``argo``: the version that finds it, where not every one does: ``@ L116 4.0``.
    """

    code: str
    wrong: str
    right: str
    argo: Argo = NEWEST


def whole(text: str) -> str:
    """The example as a file."""
    return text if text.startswith("apiVersion:") else HEAD + text


def examples() -> list[Example]:
    """All examples, in the order of their codes."""
    found = []
    for path in sorted(Path(__file__).parent.glob("examples_*.txt")):
        parts = path.read_text(encoding="utf-8").split("\n@ ")[1:]
        for wrong, right in zip(parts[::2], parts[1::2], strict=True):
            head, _, text = wrong.partition("\n")
            code, _, version = head.partition(" ")
            argo = next((each for each in ARGO_VERSIONS if each == version), NEWEST)
            mark, _, better = right.partition("\n")
            assert mark == "right", f"{path.name}: {code} is followed by {mark!r}"
            found.append(Example(code, text + "\n", better + "\n", argo))
    return sorted(found, key=lambda item: item.code)


def large_examples() -> list[Example]:
    """Examples that are too large for a text file."""
    body = "spec: {entrypoint: main, templates: [{name: main, suspend: {}}]}\n"
    lines = "\n".join(f"  line-{n}: {'x' * 1000}" for n in range(1100))
    few = "\n".join(f"  line-{n}: {'x' * 1000}" for n in range(3))
    config = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: table}\ndata:\n"
    words = "\n".join(f"      - {'x' * 1000}" for _ in range(1100))
    command = (
        "spec:\n  entrypoint: main\n  templates:\n  - name: main\n"
        "    container:\n      image: alpine:3.23\n      command: [echo]\n      args:\n"
    )
    return [
        Example("L306", f"{body}{config}{lines}\n", f"{body}{config}{few}\n"),
        Example("L356", f"{command}{words}\n", f"{command}      - x\n"),
    ]
