"""Argo's objects between protobuf and JSON: each case of Argo's there and back."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.message import Message
from hera.workflows import models

from tests.lint.places import argo_binary, shared
from tiphys.server.rpc.convert import from_message, to_message
from tiphys.server.rpc.schema import methods_of

ROOT = Path(__file__).parents[3]
_GETS = {
    "Workflow": "/workflow.WorkflowService/GetWorkflow",
    "WorkflowTemplate": "/workflowtemplate.WorkflowTemplateService/GetWorkflowTemplate",
    "ClusterWorkflowTemplate": "/clusterworkflowtemplate.ClusterWorkflowTemplateService/GetClusterWorkflowTemplate",
    "CronWorkflow": "/cronworkflow.CronWorkflowService/GetCronWorkflow",
}


@functools.cache
def classes() -> dict[str, type[Message]]:
    methods = methods_of(Path(argo_binary()))
    return {kind: methods[name].reply for kind, name in _GETS.items()}


def there_and_back(value: Any) -> Any:
    made = classes()[value["kind"]]
    message = made()
    to_message(value, message)
    return from_message(made.FromString(message.SerializeToString()))


def documents(text: str) -> list[Any]:
    try:
        found = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError):
        return []
    return [each for each in found if isinstance(each, dict) and each.get("kind") in _GETS]


def differences(one: Any, other: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from differences(one.get(key), other.get(key), f"{at}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for n, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{at}[{n}]")
    elif one != other:
        yield at, one, other


# what Argo 4.0 has no field for: of a later version, or in a place that the case has wrong
_NO_FIELDS = {
    "executorPlugins",
    "label",
    "pendingTimeout",
    "podResources",
    "resourceClaims",
    "subpath",
    "workflowMetadata",
}


def test_each_case_of_argo_comes_back() -> None:
    folder = shared()
    if folder is None:
        pytest.skip("Argo's cases are not here (set TIPHYS_SHARED)")
    texts = [path.read_text() for path in sorted((ROOT / "tests" / "golden").glob("*.yaml"))]
    for name in ("lint_cases", "exec_cases"):
        cases = json.loads((folder / "argo" / f"{name}.json").read_text())["cases"]
        texts += [each["yaml"] for each in cases if (each.get("oracle") or {"rc": 0})["rc"] == 0]
    seen = 0
    for text in texts:
        for given in documents(text):
            value = json.loads(json.dumps(given, default=lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}"))
            for at, one, other in differences(value, there_and_back(value)):
                written = isinstance(other, str) and json.dumps(one) == other  # a parameter's value is a text
                nothing = other is None and one in ("", [], {})
                unknown = other is None and at.rpartition(".")[2] in _NO_FIELDS
                assert written or nothing or unknown, (at, one, other)
            seen += 1
    assert seen > 700


def test_fields_have_the_names_that_argos_schema_has() -> None:
    """Hera's models are made from Argo's OpenAPI: what a message's JSON can hold is what the model has."""
    from tiphys.server.rpc import convert

    checked: set[str] = set()

    def names(descriptor: Any) -> Iterator[str]:
        for field in descriptor.fields:
            place = f"{descriptor.name}.{field.name}"
            if place in convert._EMBEDDED:
                yield from names(field.message_type)
            else:
                yield convert._NAMES.get(place, field.name)

    def walk(descriptor: Any) -> None:
        if descriptor.full_name in checked or descriptor.name in convert._FORMS:
            return
        checked.add(descriptor.full_name)
        model = getattr(models, descriptor.name, None)
        fields = getattr(model, "model_fields", None)
        if fields is not None and descriptor.name != "Plugin":
            known = {(field.alias or name) for name, field in fields.items()} - {"apiVersion", "kind"}
            assert set(names(descriptor)) - {"apiVersion", "kind"} == known, descriptor.full_name
        for field in descriptor.fields:
            if field.message_type is not None:
                walk(field.message_type)

    for made in classes().values():
        walk(made.DESCRIPTOR)
    assert len(checked) > 150


@pytest.mark.parametrize(
    "template",
    [
        {"name": "t", "container": {"image": "x", "env": [{"name": "A", "value": "1"}], "resources": {}}},
        {"name": "t", "script": {"image": "x", "source": "print(1)", "command": ["python"]}},
        {"name": "t", "plugin": {"hello": {"a": [1, None, "x"]}}},
        {"name": "t", "suspend": {"duration": "0"}, "parallelism": 0, "daemon": False},
        {
            "name": "t",
            "steps": [[{"name": "a", "template": "b", "withItems": [1, "x", {"k": [True]}, None]}]],
        },
        {"name": "t", "retryStrategy": {"limit": "{{x}}", "backoff": {"factor": 2, "duration": "1m"}}},
        {
            "name": "t",
            "metrics": {"prometheus": [{"name": "m", "help": "h", "histogram": {"buckets": [0.5, 2]}}]},
        },
        {"name": "t", "inputs": {"parameters": [{"name": "p", "value": ""}, {"name": "q", "default": ""}]}},
        {"name": "t", "container": {"image": "x", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}},
        {
            "name": "t",
            "container": {"image": "x", "livenessProbe": {"httpGet": {"path": "/", "port": "web"}}},
        },
        {
            "name": "t",
            "inputs": {"artifacts": [{"name": "a", "s3": {"bucket": "b", "key": "k", "insecure": True}}]},
        },
    ],
    ids=lambda template: (
        next(key for key in template if key != "name") if isinstance(template, dict) else None
    ),
)
def test_forms_of_their_own_come_back_whole(template: Any) -> None:
    value = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "w", "creationTimestamp": "2026-11-29T10:00:00Z", "labels": {"a": ""}},
        "spec": {"entrypoint": "t", "templates": [template]},
    }
    assert there_and_back(value) == value


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([1], TypeError),
        ({"metadata": 3}, TypeError),
        ({"spec": {"templates": "x"}}, TypeError),
        ({"spec": {"parallelism": "many"}}, TypeError),
        ({"metadata": {"creationTimestamp": "yesterday"}}, ValueError),
    ],
    ids=["list", "object", "text", "number", "time"],
)
def test_what_is_no_value_of_the_type_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        to_message(value, classes()["Workflow"]())
