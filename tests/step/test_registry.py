"""The steps on the registry, as a workflow calls them: state in, document out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.registry.test_changes import moved, three
from tests.runs.test_registry import model
from tiphys.reference import VOLUMES_ENV, Reference
from tiphys.registry import ModelDocument
from tiphys.registry.audit import PAGE, read_page
from tiphys.step.registry import baseline, promote, refuse, register


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    made = model(tmp_path, "a")
    monkeypatch.setenv(VOLUMES_ENV, json.dumps({"tiphys": str(tmp_path / "volumes" / "tiphys")}))
    return made


def test_from_nothing_to_a_champion(uri: str) -> None:
    told = {"accuracy": 0.9, "name": "cnn", "ok": True, "table": [1], "long": "x" * 101}
    report = json.dumps({**told, "loss": float("inf"), "steps": 10**400})
    made = register("m", "7 ", Reference(uri), report, "champion", "why", "run-x", "run-x")
    assert (made.changed, made.resource_version, made.page_name, made.version) == (True, "7", "", 1)
    assert made.model.uri == uri and not made.problem
    document = ModelDocument.read(made.document, "m")
    assert document.alias("champion").report == {"accuracy": 0.9, "name": "cnn"}
    assert document.versions[0].digest.startswith("sha256:") and document.versions[0].run == "run-x"
    again = register("m", f"8 {made.document}", Reference(uri), report, "champion", "why", "run-y", "run-y")
    assert not again.changed and again.version == 1 and again.document == made.document
    served = baseline("m", f"8 {made.document}", "champion")
    assert (served.found, served.version, served.uri) == (True, 1, uri)
    assert json.loads(served.report) == {"accuracy": 0.9, "name": "cnn"}
    assert (
        not baseline("m", "8 ", "champion").found and not baseline("m", f"8 {made.document}", "other").found
    )


def test_what_is_not_what_its_digest_says_is_refused(uri: str) -> None:
    for reference in (
        Reference(uri, "sha256:other"),
        Reference("pvc://tiphys/models/none"),
    ):
        made = register("m", "5 ", reference, "", "", "", "", "")
        assert made.problem.startswith("TIP263: ") and not made.changed and made.document == ""
        with pytest.raises(SystemExit, match="TIP263"):
            refuse(made.problem)
    assert register("m", "5 ", Reference("pvc://no/x"), "", "", "", "", "").problem.startswith("TIP404: ")
    assert register("m", "5 {}", Reference(uri), "", "", "", "", "").problem.startswith("TIP461: ")


def test_promote_and_rollback_look_at_the_folder(uri: str) -> None:
    first = register("m", "1 ", Reference(uri), "", "champion", "", "", "")
    second = register("m", f"2 {first.document}", Reference(uri, ""), "[]", "next", "", "", "")
    assert second.version == 1
    assert promote("m", f"2 {first.document}", "champion", 0, "", "w").problem.startswith("TIP262: ")
    state = "3 " + moved(three("m"), 1, 2).text()
    assert promote("m", state, "champion", 0, "", "w").problem.startswith("TIP263: ")
    assert promote("m", f"2 {first.document}", "best", 1, "", "w").model.uri == uri


def test_a_full_page_is_written_before(uri: str) -> None:
    document = register("m", "1 ", Reference(uri), "", "", "", "", "").document
    change = ModelDocument.read(document, "m")
    for number in range(2 * PAGE):
        change = moved(change, None if number % 2 else 1)
    made = promote("m", "9 " + change.text(), "champion", 1, "", "w")
    assert made.page_name == "tiphys-models-m.audit.000001"
    assert len(read_page(made.page, 1, "m")) == PAGE
    assert ModelDocument.read(made.document, "m").archived == PAGE
