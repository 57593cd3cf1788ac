"""``workflowMetadata`` in the core."""

from __future__ import annotations

from tests.engine.machine.driving import drive
from tiphys.argo.schema import table

SPEC = """
entrypoint: main
workflowMetadata:
  labels: {fixed: f}
  annotations: {note: n}
  labelsFrom: {made: {expression: "'m' + workflow.name"}}
  annotationsFrom: {made: {expression: "'m'"}}
templates:
- {name: main, container: {image: i}}
"""


def test_what_argo_has_a_field_for_is_added_and_nothing_else() -> None:
    schema = table()
    fields = schema.fields(schema.fields(schema.fields(schema.roots["Workflow"])["spec"])["workflowMetadata"])
    assert "labelsFrom" in fields and "annotationsFrom" not in fields
    metadata = drive(SPEC).workflow()["metadata"]
    assert {name: text for name, text in metadata["labels"].items() if "/" not in name} == {
        "fixed": "f",
        "made": "mwf",
    }
    assert metadata["annotations"] == {"note": "n"}
