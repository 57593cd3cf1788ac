"""``workflowMetadata`` in the core."""

from __future__ import annotations

from tests.engine.machine.driving import NOW, begun, drive, named
from tiphys.argo.schema import table
from tiphys.engine.machine import protocol as p

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


GATED = """
entrypoint: main
templates:
- name: main
  steps:
  - - {name: gate, template: gate}
  - - {name: say, template: say}
- {name: gate, suspend: {}}
- name: say
  container: {image: i, args: ["{{workflow.labels.json}} {{workflow.annotations.note}}"]}
"""


def test_labels_that_change_are_what_later_steps_see() -> None:
    made, _ = begun(GATED)
    made.handle(p.Relabel(NOW + 1, {"team": "blue", "old": "x"}, {"note": "first"}))
    made.handle(p.Relabel(NOW + 2, {"team": "red", "old": None}, {"note": "second"}))
    (started,) = [each for each in made.handle(p.Resume(NOW + 3)) if isinstance(each, p.StartPod)]
    assert started.template["container"]["args"] == ['{"team":"red"} second']
    metadata = made.workflow()["metadata"]
    assert (metadata["labels"]["team"], metadata["annotations"]) == ("red", {"note": "second"})
    assert "old" not in metadata["labels"]


def test_labels_of_one_that_has_ended_change_and_nothing_else_does() -> None:
    made = drive(SPEC)
    before = made.workflow()
    assert made.handle(p.Relabel(NOW + 100, {"fixed": None, "team": "red"})) == []
    after = made.workflow()
    assert after["metadata"].pop("labels") == {
        **{key: value for key, value in before["metadata"].pop("labels").items() if key != "fixed"},
        "team": "red",
    }
    assert after == before


def test_who_resumes_says_so_behind_what_was_said() -> None:
    made, _ = begun(GATED)
    made.handle(p.NodeSet(NOW, "displayName=gate", message="wait for ada"))
    made.handle(p.Resume(NOW, message="Resumed by: map[User:ada]"))
    assert named(made, "wf[0].gate")["message"] == "wait for ada; Resumed by: map[User:ada]"
    other, _ = begun(GATED)
    other.handle(p.NodeSet(NOW, "displayName=gate", message="wait for ada"))
    other.handle(p.Resume(NOW, "displayName=gate", "Resumed by: map[User:ada]"))
    assert named(other, "wf[0].gate")["message"] == "Resumed by: map[User:ada]"  # as Argo
