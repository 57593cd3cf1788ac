"""Recorded cases through the core, with pods that end as the real controller recorded it."""

from __future__ import annotations

import pytest

from tests.conformance.cases import folder, records
from tests.conformance.compare import differences
from tests.conformance.reasons import KNOWN
from tests.conformance.replaying import replay

pytestmark = pytest.mark.skipif(
    folder() is None, reason="Argo's recorded cases are not beside the project ($TIPHYS_SHARED)"
)


@pytest.mark.parametrize("identity", sorted(set(records()) - set(KNOWN)))
def test_agrees_with_the_controller(identity: str) -> None:
    record = records()[identity]
    machine, _ = replay(record)
    assert machine.done
    assert differences(machine.workflow(), record) == []


@pytest.mark.parametrize("identity", sorted(set(records()) & set(KNOWN)))
def test_what_is_known_to_differ_still_differs(identity: str) -> None:
    record = records()[identity]
    try:
        machine, _ = replay(record)
    except LookupError:
        return
    assert machine.done
    assert differences(machine.workflow(), record) != []
