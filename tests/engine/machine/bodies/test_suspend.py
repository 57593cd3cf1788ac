"""Suspend nodes: durations, values, resume, node set. Argo 4.1.2, workflow/util and controller/operator.go."""

from __future__ import annotations

import pytest

from tests.engine.machine.driving import NOW, begun, named, parameter
from tiphys.engine.machine import protocol as p

WAIT = "{entrypoint: main, templates: [{name: main, suspend: {%s}%s}]}"
ASK = WAIT % ("", ", outputs: {parameters: [{name: a, valueFrom: {supplied: {}%s}}]}%s")


@pytest.mark.parametrize(("duration", "seconds"), [("20", 20), ('"20"', 20), ("2m", 120), ("1h30s", 3630)])
def test_a_duration_ends_by_itself(duration: str, seconds: int) -> None:
    made, commands = begun(WAIT % (f"duration: {duration}", ""))
    (timer,) = (command for command in commands if isinstance(command, p.SetTimer))
    assert timer.at == NOW + seconds
    assert named(made, "wf")["phase"] == "Running"
    made.handle(p.TimerFired(timer.at, timer.token))
    assert made.phase == named(made, "wf")["phase"] == "Succeeded"


def test_no_time_at_all() -> None:
    made, _ = begun(WAIT % ('duration: "0"', ""))
    assert made.phase == "Succeeded"


def test_what_is_no_duration_is_an_error() -> None:
    made, _ = begun(WAIT % ("duration: 2 days", ""))
    assert made.phase == "Error"
    assert "unable to parse 2 days as a duration" in made.message


def test_without_a_duration_it_waits_for_a_person() -> None:
    made, commands = begun(WAIT % ("", ""))
    assert not [command for command in commands if isinstance(command, p.SetTimer)]
    assert not made.done
    made.handle(p.Resume(NOW + 5))
    assert made.phase == "Succeeded"


@pytest.mark.parametrize(
    ("more", "inputs", "value"),
    [
        (", default: d", "", "d"),
        (", default: 5", "", "5"),
        ("", ", inputs: {parameters: [{name: a, value: i}]}", "i"),
        (", default: d", ", inputs: {parameters: [{name: a, value: i}]}", "d"),
    ],
)
def test_outputs_take_their_defaults(more: str, inputs: str, value: str) -> None:
    made, _ = begun(ASK % (more, inputs))
    made.handle(p.Resume(NOW + 5))
    assert made.phase == "Succeeded"
    assert parameter(named(made, "wf"), "outputs", "a") == value


def test_an_output_without_a_value_is_an_error() -> None:
    made, _ = begun(ASK % ("", ""))
    made.handle(p.Resume(NOW + 5))
    assert made.phase == "Error"
    assert "raw output parameter 'a' has not been set and does not have a default value" in made.message


def test_values_and_messages_that_are_set() -> None:
    made, _ = begun(ASK % (", default: d", ""))
    made.handle(
        p.NodeSet(NOW + 1, "displayName=wf", message="first", output_parameters={"a": "mine", "b": "?"})
    )
    made.handle(p.NodeSet(NOW + 2, "displayName=wf", message="second"))
    assert named(made, "wf")["phase"] == "Running"
    assert named(made, "wf")["message"] == "second"  # updateSuspendedNode: node.Message = values.Message
    made.handle(p.Resume(NOW + 3))
    assert named(made, "wf")["message"] == "second"
    assert parameter(named(made, "wf"), "outputs", "a") == "mine"
    assert [item["name"] for item in named(made, "wf")["outputs"]["parameters"]] == ["a"]


def test_only_what_waits_for_a_value_can_be_set() -> None:
    made, _ = begun(WAIT % ("", ", outputs: {parameters: [{name: a, value: fixed}]}"))
    made.handle(p.NodeSet(NOW + 1, "displayName=wf", output_parameters={"a": "mine"}))
    made.handle(p.Resume(NOW + 3))
    assert parameter(named(made, "wf"), "outputs", "a") == "fixed"


def test_a_phase_that_is_set_ends_it() -> None:
    made, _ = begun(WAIT % ("", ""))
    made.handle(p.NodeSet(NOW + 1, "displayName=wf", phase="Failed", message="no"))
    assert (made.phase, made.message) == ("Failed", "no")


def test_a_stop_ends_it_without_outputs() -> None:
    made, _ = begun(ASK % ("", ""))
    made.handle(p.Shutdown(NOW + 1, "Stop"))
    assert (made.phase, named(made, "wf")["message"]) == ("Failed", "Stopped with strategy 'Stop'")


def test_a_suspended_workflow_lets_no_duration_end() -> None:
    made, commands = begun(WAIT % ("duration: 20", ""))
    (timer,) = (command for command in commands if isinstance(command, p.SetTimer))
    made.handle(p.Suspend(NOW + 1))
    made.handle(p.TimerFired(timer.at, timer.token))
    assert not made.done
    made.handle(p.Resume(NOW + 60))
    assert made.phase == "Succeeded"
