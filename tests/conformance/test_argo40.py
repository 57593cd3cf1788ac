"""``--argo 4.0`` through the core, against what the controller of 4.0.5 made of the cases (``own40.json.gz``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.argo40 import FOLDER, asked, records
from tests.conformance.compare import differences
from tests.conformance.own import cases, record_of
from tests.conformance.reasons import ARGO40
from tests.conformance.replaying import replay
from tiphys.argo.version import Argo

Json = Any
RECORDED = records()
ENDED = sorted(name for name, record in RECORDED.items() if record["phase"] != "Running")
WAITING = sorted(set(RECORDED) - set(ENDED))
_STAND_IN = re.compile(
    r"\{\{[^{}]*\}\}|__argo__internal__placeholder-\d+"
)  # in the name of a step that is refused


def found(name: str, argo: Argo) -> list[str]:
    record = record_of(asked()[name], RECORDED[name])
    if "is invalid: name must consist" in record["message"]:
        record["message"] = _STAND_IN.sub("TAG", record["message"])
        workflow = replay(record, argo)[0].workflow()
        workflow["status"]["message"] = _STAND_IN.sub("TAG", workflow["status"]["message"])
        return differences(workflow, record)
    machine, _ = replay(record, argo)
    assert machine.done
    return differences(machine.workflow(), record)


def test_every_record_is_of_the_case_as_it_is_now() -> None:
    assert {name for name in RECORDED if RECORDED[name]["digest"] != asked()[name].digest} == set()
    assert set(cases(FOLDER)) <= set(RECORDED)
    assert len(ENDED) > 40 and len(WAITING) > 10


@pytest.mark.parametrize("name", [name for name in ENDED if name not in ARGO40])
def test_agrees_with_the_controller(name: str) -> None:
    assert found(name, "4.0") == []


@pytest.mark.parametrize("name", sorted(ARGO40))
def test_what_is_known_to_differ_still_differs(name: str) -> None:
    assert found(name, "4.0") != []


@pytest.mark.parametrize("name", [name for name in ENDED if name in cases()])
def test_the_newest_does_otherwise(name: str) -> None:
    """These are kept because 4.1.2 gave another answer."""
    assert found(name, "4.1") != []


def phases(nodes: list[Mapping[str, Json]]) -> dict[str, str]:
    return {node["name"]: node["phase"] for node in nodes}


@pytest.mark.parametrize("name", WAITING)
def test_where_the_controller_waits_for_ever_the_run_ends_in_error(name: str) -> None:
    """What waits there (or was never made, as a task is) is in Error here; all else is as it stood."""
    record = record_of(asked()[name], RECORDED[name])
    machine, _ = replay(record, "4.0")
    assert machine.done and machine.phase in ("Error", "Failed")
    theirs, ours = phases(record["nodes"]), phases(list(machine.nodes.values()))
    settled = {node: phase for node, phase in theirs.items() if phase != "Running"}
    assert {node: ours[node] for node in settled} == settled
    ended = {phase for node, phase in ours.items() if node not in settled}
    assert ended <= {"Error", "Failed"}
    messages = [node.get("message", "") for node in machine.nodes.values() if node["name"] not in settled]
    assert any("failed to resolve {{" in text or text.endswith(" is missing") for text in messages)
