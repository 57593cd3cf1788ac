"""What cannot be done says why, and what can be done instead."""

from __future__ import annotations

import pytest

from tiphys.argo.verbs import ImpossibleError, declined, memoized, resumed, retried

NOW = "2030-01-01T00:00:00Z"


def test_each_verb_that_cannot_be_done_names_the_workflow_or_node_and_a_way_out() -> None:
    running = {"metadata": {"name": "run"}, "spec": {}, "status": {"phase": "Running", "nodes": {}}}
    fine = {"metadata": {"name": "run"}, "spec": {}, "status": {"phase": "Succeeded", "nodes": {}}}
    for name, verb in {
        "run": lambda: retried(running, NOW),
        "run ": lambda: memoized(running, "x", NOW),
        "a": lambda: resumed(running, NOW, "displayName=a"),
        "b": lambda: declined(running, NOW, "displayName=b"),
    }.items():
        with pytest.raises(ImpossibleError) as caught:
            verb()
        assert name.strip() in caught.value.message == str(caught.value)
        assert caught.value.fix
    with pytest.raises(ImpossibleError) as caught:
        retried(fine, NOW)
    assert "--restart-successful" in caught.value.fix
