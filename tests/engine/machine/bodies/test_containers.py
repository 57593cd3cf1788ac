"""The Container nodes of a containerSet's pod."""

from __future__ import annotations

from tests.engine.machine.driving import NOW, machine, named, phases
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.machine import Machine

SET = """
entrypoint: main
templates:
- name: main
  containerSet:
    containers:
    - {name: one, image: i}
    - {name: two, image: i, dependencies: [one]}
    - {name: main, image: i, dependencies: [one, two]}
"""


def begun(text: str = SET) -> Machine:
    made = machine(text)
    made.handle(p.Begin(NOW))
    return made


def test_each_container_is_a_node_below_those_it_waits_for() -> None:
    # container_set_template.go: without dependencies a container hangs from the pod's node
    made = begun()
    ids = {name: named(made, name)["id"] for name in phases(made)}
    assert phases(made) == {"wf": "Pending", "wf.one": "Pending", "wf.two": "Pending", "wf.main": "Pending"}
    children = {name: sorted(named(made, name).get("children", ())) for name in ids}
    assert children == {
        "wf": [ids["wf.one"]],
        "wf.one": sorted([ids["wf.two"], ids["wf.main"]]),
        "wf.two": [ids["wf.main"]],
        "wf.main": [],
    }
    assert {named(made, name)["type"] for name in ids if name != "wf"} == {"Container"}
    assert {named(made, name)["boundaryID"] for name in ids if name != "wf"} == {"wf"}


def test_they_run_and_end_as_they_are_told_to_have() -> None:
    made = begun()
    made.handle(p.PodRunning(NOW + 1, "wf"))
    assert set(phases(made).values()) == {"Running"}
    told = {"one": {"phase": "Succeeded"}, "two": {"phase": "Failed", "message": "Error (exit code 3)"}}
    made.handle(p.PodFinished(NOW + 2, "wf", "Failed", "two: Error (exit code 3)", None, told))
    assert phases(made) == {"wf": "Failed", "wf.one": "Succeeded", "wf.two": "Failed", "wf.main": "Failed"}
    assert named(made, "wf.two")["message"] == "Error (exit code 3)"
    assert (made.phase, made.message) == ("Failed", "two: Error (exit code 3)")


def test_what_is_not_told_of_ends_as_the_pod() -> None:
    made = begun()
    made.handle(p.PodFinished(NOW + 2, "wf", "Succeeded"))
    assert set(phases(made).values()) == {"Succeeded"}


def test_attempts_have_containers_of_their_own() -> None:
    made = begun(SET.replace("  containerSet:", "  retryStrategy: {limit: 1}\n  containerSet:"))
    first = named(made, "wf(0)")["id"]
    made.handle(p.PodFinished(NOW + 1, first, "Failed", "one: Error (exit code 1)"))
    second = named(made, "wf(1)")["id"]
    made.handle(p.PodFinished(NOW + 2, second, "Succeeded"))
    assert made.phase == "Succeeded"
    assert phases(made)["wf(0).one"] == "Failed" and phases(made)["wf(1).one"] == "Succeeded"
    assert named(made, "wf(1).one")["nodeFlag"] == {"retried": True}
