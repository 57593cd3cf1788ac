"""Whether a name is mentioned: plain searching, beside the pattern of the name."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.lint.examples import HEAD
from tiphys.lint import lint
from tiphys.lint.rules.pipelines import _mentions

NAMES = ("a", "a-b", "a.b", "é", "A_1")
PIECES = (
    *NAMES, "inputs.parameters", "outputs.parameters", "inputs-parameters",
    ".", "[", "]", "'", '"', "\\", "-", "_", "1",
    "²", " ", "}}",
)  # fmt: skip


def pattern(family: str, name: str, end: str) -> re.Pattern[str]:
    word = re.escape(name)
    return re.compile(rf"{re.escape(family)}(?:\.{word}(?![-\w])|\[\\?['\"]{word}{end})")


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.sampled_from(NAMES))
def test_any_text(text: str, name: str) -> None:
    for family in ("inputs.parameters", "outputs.parameters"):
        for piece in (text, f"{family}{text}", f"{family}.{text}", f"{family}['{text}"):
            whole = pattern(family, name, r"\\?['\"]\]").search(piece) is not None
            assert _mentions(piece, family, name) == whole
            begun = pattern(family, name, "").search(piece) is not None
            assert _mentions(piece, family, name, whole=False) == begun


def unused(words: str) -> set[str]:
    text = HEAD + (
        "spec:\n  entrypoint: main\n  templates:\n  - name: main\n    inputs: {parameters: [{name: size, value: x}]}\n"
        f"    container: {{image: 'a:1', command: [b], args: [{json.dumps(words)}]}}\n"
    )
    return {each.code for each in lint(text)} & {"L402"}


def test_an_input_is_used_in_each_way_of_writing() -> None:
    for words in (
        "{{inputs.parameters.size}}",
        "{{=inputs.parameters['size']}}",
        '{{=inputs.parameters["size"]}}',
    ):
        assert not unused(words)
    for words in ("{{inputs.parameters.size-x}}", "{{=inputs.parameters['sizes']}}", "size"):
        assert unused(words)
