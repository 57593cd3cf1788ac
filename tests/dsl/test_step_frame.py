"""What a step has whatever runs in it: a container has of the same options what a component has."""

from __future__ import annotations

from typing import Any

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
