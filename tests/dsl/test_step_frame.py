"""What a step has whatever runs in it: a container has of the same options what a component has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tiphys import (
    MoreMemory,
    Mutex,
    OnFailure,
    Pipeline,
    PodSettings,
    Resources,
    Secret,
    component,
    container,
)


def nothing() -> None:
    pass


def frame(pipeline: Pipeline, place: str) -> dict[str, Any]:
    """The template without what runs in it."""
    (found,) = [each for each in pipeline.to_dict()["spec"]["templates"] if place in each]
    box = found.pop(place)
    for own in ("command", "source", "image"):
        box.pop(own, None)
    ours = ("TIPHYS_OUTPUTS", "TIPHYS_VOLUMES", "TIPHYS_WORKFLOW")
    box["env"] = [each for each in box["env"] if each["name"] not in ours]
    return {**found, "box": box}


def test_a_container_has_what_a_component_has() -> None:
    options: dict[str, Any] = {
        "name": "step",
        "title": "Step",
        "egress": ["web"],
        "timeout": "1h",
        "locks": [Mutex("one")],
        "on_failure": OnFailure(oom=MoreMemory(2)),
        "resources": Resources(gpu=1, disk="1Gi"),
        "secrets": [Secret("s3", "key", env="KEY")],
        "pod": PodSettings(
            labels={"team": "blue"}, service_account="trainer", patch={"dnsPolicy": "Default"}
        ),
        "env": {"A": "b"},
    }
    with Pipeline("of-a-component") as first:
        component(nothing, **options)()
    with Pipeline("of-a-container") as second:
        container("alpine:3.20", ["true"], **options)()
    made = frame(first, "script")
    assert made == frame(second, "container")
    assert {"synchronization", "timeout", "retryStrategy", "podSpecPatch", "tolerations"} <= set(made)


def test_the_pod_of_a_step_with_files_may_reach_the_object_store() -> None:
    def takes(data: Path) -> None: ...
    def makes() -> Path: ...

    for step in (component(takes, embed=False), component(makes, embed=False, egress=["web"])):
        labels = step.body(step.own_defaults())["metadata"]["labels"]
        assert labels["egress.tiphys.dev/artifacts"] == "true"
        assert ("egress.tiphys.dev/web" in labels) == (step.name == "makes")
    policies = yaml.safe_load_all(
        (Path(__file__).parents[2] / "manifests/base/network.yaml").read_text(encoding="utf-8")
    )
    chosen = [each["spec"]["podSelector"].get("matchLabels") for each in policies]
    assert {"egress.tiphys.dev/artifacts": "true"} in chosen
