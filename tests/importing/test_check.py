"""A fault of the writer is found: what differs from the source is told, and the graph is kept."""

from __future__ import annotations

import pytest

from tests.importing.flows import flow
from tiphys.importing import argo_python, import_argo
from tiphys.importing.argo_python import GraphWriter
from tiphys.importing.check import made_by

MAIN = """    dag:
      tasks:
      - {name: a, template: say, arguments: {parameters: [{name: text, value: x}]}}
      - name: b
        depends: a
        when: "{{workflow.name}} == x"
        template: say
        arguments: {parameters: [{name: text, value: y}]}
"""


@pytest.mark.parametrize(
    ("method", "lost", "why"),
    [("_after", [], "what it waits for"), ("_when", ("", []), "when")],
)
def test_what_a_writer_loses_is_found(
    monkeypatch: pytest.MonkeyPatch, method: str, lost: object, why: str
) -> None:
    assert "argo_template" not in import_argo(flow(MAIN)).source
    monkeypatch.setattr(GraphWriter, method, lambda *_: lost)
    made = import_argo(flow(MAIN))
    assert any(why in each.why for each in made.told if each.kind == "kept")
    spec = made_by(made.source, "pipeline")["spec"]
    assert "depends: a\n" in made.source and isinstance(spec, dict)


def test_python_that_does_not_run_keeps_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argo_python, "task_lines", lambda *_, **__: ["    no_such_name"])
    made = import_argo(flow(MAIN))
    assert any("NameError" in each.why for each in made.told)
    assert made_by(made.source, "pipeline")["kind"] == "Workflow"
