"""The types of Argo's objects hold what the real controller took and wrote."""

from __future__ import annotations

import pytest

from tests.argo.fitting import misfits
from tests.conformance.own import cases, load_records
from tiphys.argo import types

RECORDS = load_records()


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_what_the_controller_took_and_wrote_fits(name: str) -> None:
    record, met = RECORDS[name], set[str]()
    found = list(misfits(cases()[name].workflow, types.Workflow, met, exact=False))
    for node in record["nodes"]:
        found += misfits(node.get("inputs", {}), types.Arguments, met, f"{node['name']}.inputs")
        found += misfits(node.get("outputs", {}), types.Outputs, met, f"{node['name']}.outputs")
        found += misfits(node.get("nodeFlag", {}), types.NodeFlag, met, f"{node['name']}.nodeFlag")
    assert found == []


def test_the_records_meet_what_the_machine_looks_into() -> None:
    met: set[str] = set()
    for name in RECORDS:
        for _ in misfits(cases()[name].workflow, types.Workflow, met, exact=False):
            pass
    assert met >= {
        "Backoff",
        "DAGTask",
        "Hook",
        "LoopSequence",
        "Memoize",
        "Parameter",
        "RetryStrategy",
        "WorkflowStep",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"spec": {"templates": {}}},
        {"spec": {"templates": [{"steps": [{"name": "a"}]}]}},
        {"spec": {"arguments": {"parameters": [{"nme": "x"}]}}},
        {"metadata": {"labels": {"a": 1}}},
    ],
)
def test_what_is_no_workflow_does_not_fit(wrong: object) -> None:
    assert len(list(misfits(wrong, types.Workflow, set()))) == 1
