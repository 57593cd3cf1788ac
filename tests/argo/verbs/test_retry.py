"""Retries, beside what Argo's FormulateRetryWorkflow made of the same workflows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.argo.verbs.record import shape
from tests.argo.verbs.recorded import NOW, cases, given, parameters, shown
from tiphys.argo.verbs import ImpossibleError, retried

Json = Any


@pytest.mark.parametrize("case", cases("retry"), ids=shown)
def test_what_is_kept_opened_and_gone_is_argos(case: Json) -> None:
    workflow = given(case)
    ask = {
        "parameters": parameters(case),
        "restart_successful": bool(case.get("restart")),
        "selector": case.get("selector", ""),
    }
    if "error" in case["answer"]:
        with pytest.raises(ImpossibleError):
            retried(workflow, NOW, **ask)
        return
    after, pods = retried(workflow, NOW, **ask)
    assert {"pods": pods, **shape(after)} == case["answer"]
    assert workflow == case["workflow"]
