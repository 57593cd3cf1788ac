"""From anything that stands for a workflow to a source: the author's function is called once, names are one's own."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.engine.harness import shell, workflow
from tiphys import engine
from tiphys.cli import main
from tiphys.compiler.source import load_source
from tiphys.engine import RunOptions
from tiphys.errors import DefinitionError, RefusedError

FILE = """
    from pathlib import Path
    from tiphys import Pipeline, component

    @component
    def show(text: str) -> str:
        return text

    def build(batch_size: int = 1):
        with (Path(__file__).parent / "built").open("a") as stream:
            stream.write("x")
        with Pipeline("p") as pipeline:
            show(text=pipeline.param("the-text", "a"))
            show(text=str(batch_size))
        return pipeline
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flow.py"
    path.write_text(textwrap.dedent(FILE))
    return path


def built(file: Path) -> str:
    return (file.parent / "built").read_text()


@pytest.mark.parametrize(
    "given",
    [{}, {"the-text": "b"}, {"batch_size": "7766"}, {"batch_size": "7766", "the-text": "b"}],
    ids=["none", "run", "compile", "both"],
)
def test_a_pipeline_is_built_once(file: Path, given: dict[str, str]) -> None:
    source = load_source(str(file), given)
    assert built(file) == "x"
    assert source.parameters == {key: value for key, value in given.items() if key == "the-text"}
    assert ("7766" in source.text) == ("batch_size" in given)


def test_a_pipeline_is_built_once_for_a_run(file: Path, tmp_path: Path) -> None:
    result = tiphys.run(str(file), options=RunOptions(store=tmp_path / "store"), batch_size=4, the_text="b")
    assert result.succeeded and built(file) == "x"
    words = ["run", str(file), "-p", "batch_size=3", "-p", "the-text=c", "--store", str(tmp_path / "store")]
    assert main(words) == 0 and built(file) == "xx"
    assert main(["lint", str(file), "-p", "batch_size=3"]) == 0 and built(file) == "xxx"


def test_a_name_that_is_neither_setting_nor_parameter_names_both(file: Path) -> None:
    with pytest.raises(DefinitionError, match="Did you mean 'the-text'") as caught:
        load_source(str(file), {"the-tex": "b"})
    assert caught.value.code == "TIP121" and "batch_size" in caught.value.cause
    with pytest.raises(DefinitionError):
        load_source(str(file), {"the_text": "b"})  # only Python's keywords cannot have a dash


def test_python_names_of_parameters_in_yaml(tmp_path: Path) -> None:
    flow = {**workflow(shell("main", "true")), "metadata": {"name": "w"}}
    flow["spec"]["arguments"] = {"parameters": [{"name": "a-b", "value": "1"}, {"name": "c_d", "value": "1"}]}
    source = load_source(flow, {"a_b": "2", "c_d": "3"}, python_names=True)
    assert source.parameters == {"a-b": "2", "c_d": "3"}


TEMPLATE = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "t"},
    "spec": {
        **workflow(shell("main", "true"))["spec"],
        "arguments": {"parameters": [{"name": "epochs", "value": "1", "enum": ["1", "2"]}]},
    },
}
REFERENCE = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "w"},
    "spec": {"workflowTemplateRef": {"name": "t"}},
}
PLAIN = {**REFERENCE, "spec": TEMPLATE["spec"]}


@pytest.mark.parametrize(("name", "value", "code"), [("epoch", "2", "TIP280"), ("epochs", "3", "TIP281")])
@pytest.mark.parametrize("flow", [PLAIN, REFERENCE], ids=["plain", "template"])
def test_a_parameter_is_refused_in_one_wording_through_every_door(
    tmp_path: Path, flow: Any, name: str, value: str, code: str
) -> None:
    options, context = RunOptions(store=tmp_path / "store"), [TEMPLATE]
    told = set()
    with pytest.raises(RefusedError) as caught:
        engine.run(flow, parameters={name: value}, options=options, context=context)
    told.add((caught.value.code, caught.value.message, caught.value.cause, caught.value.fix))
    given = tmp_path / "template.yaml"
    given.write_text(tiphys.to_yaml(TEMPLATE))
    with pytest.raises(RefusedError) as caught:
        tiphys.runs.start.run_source(load_source(flow, {name: value}, [given]), options)
    told.add((caught.value.code, caught.value.message, caught.value.cause, caught.value.fix))
    assert len(told) == 1 and told.pop()[0] == code
    assert not (tmp_path / "store/runs").exists()
