"""What follows when a step fails: what is compiled, what is refused, and what the engine makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiphys import (
    Again,
    Cache,
    MoreMemory,
    OnFailure,
    Pipeline,
    Reference,
    Resources,
    Retry,
    TFJob,
    component,
)
from tiphys import run as run_workflow
from tiphys.argo.reader import read
from tiphys.compiler.compile import to_yaml
from tiphys.engine import RunOptions
from tiphys.errors import DefinitionError

SMALL = Resources(cpu="10m", memory="50Mi", memory_limit="100Mi")
GROWS = OnFailure(preempted=Again(5, within="30m"), oom=MoreMemory(2, up_to="1Gi"))


def eat(mib: int) -> int:
    assert mib > 0
    return len(b"1" * (mib << 20))


def compiled(mib: int = 250, **options: Any) -> dict[str, dict[str, Any]]:
    """The templates of a pipeline of one step, by name."""
    pipeline = made(mib, **options)
    return {each["name"]: each for each in read(to_yaml(pipeline))[0].data["spec"]["templates"]}


def made(mib: int = 250, **options: Any) -> Pipeline:
    step = component(eat, **{"embed": True, "image": "tiphys/step:test", "resources": SMALL, **options})
    with Pipeline("oom", volumes=[]) as pipeline:
        step(mib=mib)
    return pipeline


def test_memory_grows_by_attempt_and_budgets_are_apart() -> None:
    template = compiled(on_failure=GROWS)["eat"]
    strategy = template["retryStrategy"]
    assert (strategy["limit"], strategy["retryPolicy"]) == ("5", "Always")
    assert strategy["backoff"]["maxDuration"] == "30m"
    main = {each["name"]: each for each in json.loads(template["podSpecPatch"])["containers"]}["main"]
    assert main["resources"]["limits"]["memory"] == (
        "{{=lastRetry.message matches 'OOMKilled' ? min(1024, 100 * 2 ** int(retries)) : 100}}Mi"
    )


def test_without_more_memory_no_memory_is_patched() -> None:
    plain = compiled()["eat"]["podSpecPatch"]
    assert compiled(on_failure=OnFailure())["eat"]["podSpecPatch"] == plain


def test_nothing_at_all_is_tried_again() -> None:
    assert "retryStrategy" not in compiled(on_failure=OnFailure(preempted=None, node_lost=None))["eat"]


def test_what_follows_is_no_part_of_the_key() -> None:
    plain, grows = (compiled(cache=Cache.by_content(), on_failure=each) for each in (None, GROWS))
    assert plain["eat"]["memoize"] == grows["eat"]["memoize"]
    inner = grows["eat-run"]
    assert "lastRetry" in inner["podSpecPatch"]
    assert inner["retryStrategy"]["limit"] == "5"
    assert not {"podSpecPatch", "retryStrategy"} & grows["eat"].keys()


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (lambda: Again(0), "TIP109"),
        (lambda: Again(True), "TIP109"),
        (lambda: Again(2, within="soon"), "TIP115"),
        (lambda: MoreMemory(2, up_to="much"), "TIP109"),
        (lambda: OnFailure(oom=Again(2)), "TIP105"),
        (lambda: OnFailure(code=Again(2)), "TIP105"),
        (lambda: OnFailure(preempted=MoreMemory(2)), "TIP105"),
        (lambda: made(on_failure=OnFailure(oom=MoreMemory(2, up_to="64Mi"))), "TIP109"),
        (lambda: made(on_failure=OnFailure(), retry=Retry()), "TIP105"),
        (lambda: made(on_failure=Retry()), "TIP105"),
    ],
)
def test_what_makes_no_sense_is_refused(write: Any, code: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        write()
    assert caught.value.code == code


def test_on_infrastructure_does_not_repeat_what_needs_more_memory() -> None:
    assert (
        Retry.on_infrastructure()
        .strategy()["expression"]
        .startswith("!(lastRetry.message matches 'OOMKilled')")
    )


def train(steps: int, output: Reference, work: Reference) -> None:
    """A training function for the template."""


def test_a_job_is_made_anew_as_often_as_it_is_said() -> None:
    for follows, times in ((None, 1), (OnFailure(preempted=Again(5)), 5)):
        strategy = TFJob(train, on_failure=follows).retry.strategy()  # type: ignore[union-attr]
        assert strategy["limit"] == str(max(times, 2))
        assert strategy["expression"].endswith(f"asInt(retries) < {times})")
    assert TFJob(train, on_failure=OnFailure(preempted=None)).retry is None


@pytest.mark.parametrize(
    "follows",
    [OnFailure(oom=MoreMemory()), OnFailure(timeout=Again()), OnFailure(Again(2, within="1h")), Retry()],
)
def test_what_the_operator_does_not_tell_is_refused(follows: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        TFJob(train, on_failure=follows)
    assert caught.value.code == "TIP105"


def attempts(pipeline: Pipeline, folder: Path) -> list[tuple[str, str]]:
    result = run_workflow(pipeline, options=RunOptions(store=folder))
    nodes = result.workflow["status"]["nodes"].values()
    found = [node for node in nodes if (node.get("nodeFlag") or {}).get("retried")]
    return [(node["phase"], node.get("message", "")) for node in sorted(found, key=lambda node: node["name"])]


def test_three_attempts_with_one_two_and_four_hundred(tmp_path: Path) -> None:
    assert attempts(made(250, on_failure=GROWS), tmp_path) == [
        ("Failed", "main: OOMKilled (exit code 137)"),
        ("Failed", "main: OOMKilled (exit code 137)"),
        ("Succeeded", ""),
    ]


def test_an_error_of_the_code_is_not_repeated(tmp_path: Path) -> None:
    assert attempts(made(-1, on_failure=GROWS), tmp_path) == [("Failed", "main: Error (exit code 1)")]
