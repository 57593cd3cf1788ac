"""The facts of a run: written and read in one place, and of one version."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.harness import shell, workflow
from tiphys.engine import RunOptions
from tiphys.engine.runtime.facts import RunFacts, remembered
from tiphys.engine.runtime.journal import Journal
from tiphys.errors import RefusedError

FACTS = RunFacts(
    workflow=workflow(shell("main", "true")),
    name="r",
    namespace="argo",
    uid="u",
    now=12.5,
    parameters={"a": "1"},
    context=[{"kind": "ConfigMap", "metadata": {"name": "c"}}],
    invalid="words",
    options=remembered(RunOptions(images={"a*": "host"}, env={"X": "1"}, max_pods=3)),
    earlier={"nodes": {}},
    begun=13.5,
    retries=2,
)


def test_facts_come_back_as_they_were(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    assert RunFacts.from_json(journal.facts()) is None
    journal.write_facts(FACTS.to_json())
    assert RunFacts.from_json(journal.facts()) == FACTS
    journal.restart(RunFacts.from_json(journal.facts()).to_json())  # type: ignore[union-attr]
    assert RunFacts.from_json(journal.facts()) == FACTS
    journal.close()


def test_facts_of_another_version_are_refused() -> None:
    found = json.loads(json.dumps(FACTS.to_json()))
    with pytest.raises(RefusedError, match="'r'") as caught:
        RunFacts.from_json({**found, "version": 999})
    assert caught.value.code == "TIP213"


def test_how_a_run_runs_is_recalled_where_nothing_else_is_said() -> None:
    options = FACTS.recalled(RunOptions(images={"b*": "host"}, grace=1.0))
    assert (options.name, options.max_pods, options.grace, options.env) == ("r", 3, 1.0, {"X": "1"})
    assert options.images == {"a*": "host", "b*": "host"}


def test_a_run_keeps_the_version_of_argo_that_it_began_with() -> None:
    """Its events mean what that version makes of them, whoever goes on with it."""
    old = replace(FACTS, options=remembered(RunOptions(argo="4.0")))
    before = replace(FACTS, options={"runner": "process"})  # of a journal that does not say
    for facts, argo in ((old, "4.0"), (FACTS, "4.1"), (before, "4.1")):
        assert facts.argo == argo
        assert facts.recalled(RunOptions()).argo == argo
        assert facts.recalled(RunOptions(argo="4.0")).argo == argo
