"""Events begin runs, as Argo's own cases have it (server/event/dispatch/operation_test.go of 4.0.5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.running import Running
from tiphys.server.argo.bindings import BindingError, bound, event_variables

EVENTS = "/api/v1/events/argo"
KEPT = "/apis/argoproj.io/v1alpha1/namespaces/argo"
TEMPLATE = {
    "metadata": {"name": "consumer"},
    "spec": {
        "entrypoint": "main",
        "arguments": {"parameters": [{"name": "salutation", "value": "hello"}]},
        "templates": [
            {
                "name": "main",
                "container": {
                    "image": "busybox",
                    "command": ["echo"],
                    "args": ["{{workflow.parameters.salutation}} {{workflow.parameters.appellation}}"],
                },
            }
        ],
    },
}


def binding(name: str = "mine", selector: str = "true", **submit: Any) -> Any:
    given = {"workflowTemplateRef": {"name": "consumer"}, **submit}
    return {"metadata": {"name": name}, "spec": {"event": {"selector": selector}, "submit": given}}


def event(payload: Any = None, **headers: str) -> Any:
    shown = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return event_variables("argo", "some", shown, payload)


def test_a_binding_says_which_events_it_means() -> None:
    assert bound(binding(selector='discriminator == "other"'), event()) is None
    assert bound(binding(selector='namespace == "argo" && discriminator == "some"'), event()) is not None
    chosen = binding(selector='payload.appellation != "" && metadata["x-argo-e2e"] == ["true"]')
    assert bound(chosen, event({"appellation": "Mr Chips"}, x_argo_e2e="true")) is not None
    assert bound(chosen, event({"appellation": "Mr Chips"}, x_argo_e2e="no")) is None
    secret = binding(selector="metadata.authorization != nil")
    assert bound(secret, event(authorization="Bearer x")) is None
    assert bound({**binding(), "spec": {"event": {"selector": "true"}}}, event()) is None


def test_what_is_given_of_an_event() -> None:
    parameters = [
        {"name": "who", "valueFrom": {"event": "payload.foo.bar"}},
        {"name": "many", "valueFrom": {"event": "payload.list"}},
        {"name": "sum", "valueFrom": {"event": "payload.n + 1"}},
    ]
    metadata = {
        "generateName": '"pr-" + payload.foo.bar + "-"',
        "labels": {"who": "payload.foo.bar"},
        "annotations": {"why": 'sprig.upper("pr")'},
    }
    made = bound(
        binding(arguments={"parameters": parameters}, metadata=metadata),
        event({"foo": {"bar": "baz"}, "list": [1.0, "x"], "n": 41.0}),
    )
    assert made == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "generateName": "pr-baz-",
            "labels": {
                "workflows.argoproj.io/workflow-template": "consumer",
                "workflows.argoproj.io/workflow-event-binding": "mine",
                "who": "baz",
            },
            "annotations": {"why": "PR"},
        },
        "spec": {
            "workflowTemplateRef": {"name": "consumer"},
            "arguments": {
                "parameters": [
                    {"name": "who", "value": "baz"},
                    {"name": "many", "value": '[1,"x"]'},
                    {"name": "sum", "value": "42"},
                ]
            },
        },
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"metadata": {"name": "x"}},
            "failed to evaluate workflow template expression: unexpected token EOF",
        ),
        (binding(selector="garbage!!!!!!"), "failed to evaluate workflow template expression: "),
        (binding(selector='"text"'), "unable to cast expression result 'text' to bool"),
        (
            binding(arguments={"parameters": [{"name": "a", "value": "b"}]}),
            'malformed workflow template parameter "a": valueFrom is nil',
        ),
        (
            binding(arguments={"parameters": [{"name": "a", "valueFrom": {"event": "1 +"}}]}),
            'workflow template parameter "a" expression: ',
        ),
        (binding(metadata={"name": "1"}), "workflow name expression must evaluate to a string"),
        (
            binding(metadata={"labels": {"a": "nope.x"}}),
            'failed to evaluate workflow label "a" expression: unknown name nope',
        ),
    ],
)
def test_what_is_wrong_with_a_binding_is_told(given: Any, said: str) -> None:
    with pytest.raises(BindingError) as told:
        bound(given, event({}))
    assert said in str(told.value)


def test_an_event_begins_a_run(running: Running) -> None:
    given = {"parameters": [{"name": "appellation", "valueFrom": {"event": "payload.appellation"}}]}
    chosen = binding("by-an-event", 'discriminator == "chips"', arguments=given)
    broken = {
        "metadata": {"name": "broken"},
        "spec": {"event": {"selector": 'discriminator == "broken" && payload.a.b'}},
    }
    nobody = binding("nobody", 'discriminator == "lost"', workflowTemplateRef={"name": "nowhere"})
    assert running.ask("POST", f"{KEPT}/workflowtemplates", json=TEMPLATE).status_code == 201
    for each in (chosen, broken, nobody):
        assert running.ask("POST", f"{KEPT}/workfloweventbindings", json=each).status_code == 201
    try:
        listed = running.ask("GET", "/api/v1/workflow-event-bindings/argo").json()["items"]
        assert {each["metadata"]["name"] for each in listed} == {"by-an-event", "broken", "nobody"}
        before = set(_names(running))
        assert running.ask("POST", f"{EVENTS}/", json={}).json() == {}
        assert running.ask("POST", "/api/v1/events/elsewhere/chips", json={}).json() == {}
        assert set(_names(running)) == before
        sent = running.ask("POST", f"{EVENTS}/chips", json={"appellation": "Mr Chips"})
        assert (sent.status_code, sent.json()) == (200, {})
        (name,) = set(_names(running)) - before
        found = running.until(name, "Succeeded")
        assert found["metadata"]["labels"]["workflows.argoproj.io/workflow-event-binding"] == "by-an-event"
        log = running.ask("GET", f"/api/v1/workflows/argo/{name}/log?logOptions.container=main").text
        assert "hello Mr Chips" in log
        for discriminator, said in (
            ("broken", "failed to evaluate workflow template expression: unable to evaluate expression"),
            ("lost", 'failed to get workflow template: workflowtemplates.argoproj.io "nowhere" not found'),
        ):
            failed = running.ask("POST", f"{EVENTS}/{discriminator}", json={})
            assert failed.status_code == 500
            assert said in failed.json()["message"]
        told = running.ask(
            "GET", "/api/v1/namespaces/argo/events?fieldSelector=involvedObject.name=nobody"
        ).json()
        (warned,) = told["items"]
        assert warned["reason"] == "WorkflowEventBindingError"
        assert warned["involvedObject"]["kind"] == "WorkflowEventBinding"
        assert running.ask("POST", f"{EVENTS}/chips", data=b"{").status_code == 400
    finally:
        for each in ("by-an-event", "broken", "nobody"):
            running.ask("DELETE", f"{KEPT}/workfloweventbindings/{each}")
        running.ask("DELETE", f"{KEPT}/workflowtemplates/consumer")


def _names(running: Running) -> list[str]:
    found = running.ask("GET", f"{KEPT}/workflows").json()["items"]
    return [each["metadata"]["name"] for each in found]
