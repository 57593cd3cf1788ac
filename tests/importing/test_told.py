"""What an import tells."""

from __future__ import annotations

from tiphys.importing import Imported, Told
from tiphys.importing.told import Notes


def test_a_thing_is_told_once_and_on_one_line() -> None:
    notes = Notes()
    notes.add("kept", 12, "the template 'x'", "it takes artifacts")
    notes.add("kept", 12, "the template 'x'", "it takes artifacts")
    (told,) = notes.found
    assert told.text("flow.yaml") == "flow.yaml:12: kept as it is: the template 'x': it takes artifacts"


def test_whole_is_what_is_all_in_words() -> None:
    said = [Told("changed", 1, "a", "b"), Told("spent", 1, "a", "b")]
    assert Imported("", tuple(said)).whole
    assert not Imported("", (*said, Told("dropped", 1, "a", "b"))).whole
