"""This project's own cases through the core, against what the real controller made of them.

``python -m tests.conformance.own record`` asks the controller again.
"""

from __future__ import annotations

import pytest

from tests.conformance.compare import differences
from tests.conformance.own import cases, load_records, record_of
from tests.conformance.reasons import OWN
from tests.conformance.replaying import replay

CASES = cases()
RECORDED = {name for name, record in load_records().items() if name in CASES}


def test_there_are_enough_of_them() -> None:
    assert len(RECORDED - set(OWN)) >= 200


def test_every_record_is_of_the_case_as_it_is_now() -> None:
    assert [name for name in RECORDED if load_records()[name]["digest"] != CASES[name].digest] == []


@pytest.mark.parametrize("name", sorted(RECORDED - set(OWN)))
def test_agrees_with_the_controller(name: str) -> None:
    record = record_of(CASES[name])
    machine, _ = replay(record)
    assert machine.done
    assert differences(machine.workflow(), record) == []


@pytest.mark.parametrize("name", sorted(RECORDED & set(OWN)))
def test_what_is_known_to_differ_still_differs(name: str) -> None:
    record = record_of(CASES[name])
    machine, _ = replay(record)
    assert differences(machine.workflow(), record) != []
