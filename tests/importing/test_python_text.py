"""Pieces of Python read back as what they are, and a formatter leaves them as they stand."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.importing.flows import flow
from tiphys.importing import import_argo
from tiphys.importing.python_text import PythonNames, call, keywords, record, text_block, value

VALUES: list[Any] = [
    "", "a\"b", "it's", "\"both\" it's", "back\\slash", "ta\tb", "ünï", "\x7f", "\x00", "\u2028", "emo\U0001f600", 3,
    1.5, True, None, [], {}, ["x" * 90, {"k" * 40: [1, None, "y" * 60]}], {"a": {"b": ["c" * 120]}},
]  # fmt: skip


@pytest.mark.parametrize("item", VALUES, ids=repr)
def test_a_value_is_read_back(item: Any) -> None:
    assert ast.literal_eval(value(item)) == item
    if isinstance(item, str):
        assert ast.literal_eval(text_block(f"one\n{item}\ntwo")) == f"one\n{item}\ntwo"


def test_names_are_legal_and_given_once() -> None:
    names = PythonNames(["pipeline"])
    assert [names.take(each) for each in ("a-b", "A b", "class", "list", "7x", "", "pipeline", "é")] == [
        "a_b", "a_b_2", "class_2", "list_2", "step_7x", "step", "pipeline_2", "step_2",
    ]  # fmt: skip


def test_arguments_that_python_has_words_for() -> None:
    assert call("f", keywords({"a": "1", "from": "2"})) == 'f(a=1, **{"from": 2})'


def test_a_formatter_leaves_it_as_it_stands(tmp_path: Path) -> None:
    long = "x" * 50
    main = f"""    dag:
      tasks:
      - {{name: a, template: say, arguments: {{parameters: [{{name: text, value: "{long} {{{{workflow.name}}}}"}}]}}}}
      - name: b
        depends: a.Failed || a.Errored || a.Succeeded
        when: "{{{{workflow.parameters.mood}}}} == {long}"
        template: say
        arguments: {{parameters: [{{name: text, value: "{{{{workflow.parameters.mood}}}}"}}]}}
"""
    file = tmp_path / "made.py"
    spec = "  arguments: {parameters: [{name: mood, value: good}]}\n  podGC: {strategy: OnPodCompletion}\n"
    file.write_text(import_argo(flow(main, spec=spec)).source, encoding="utf-8")
    ruff = Path(sys.executable).with_name("ruff")
    subprocess.run(
        [str(ruff), "format", "--isolated", "--line-length", "110", "--check", str(file)], check=True
    )
    subprocess.run(
        [str(ruff), "check", "--isolated", "--line-length", "110", "--select", "F,I", str(file)], check=True
    )


def test_a_class_of_outputs() -> None:
    assert record("Two", {"b": "Path", "c": "int"}) == "class Two(NamedTuple):\n    b: Path\n    c: int"
