"""Fields that Argo 4.0 does not have (which they are: tests/lint/test_versions.py asks its `argo lint`)."""

from __future__ import annotations

import copy
from typing import Any

from tiphys.argo.newer import newer_fields, older_reading

Json = Any
CONTAINER: dict[str, Json] = {
    "image": "a",
    "env": [
        {"name": "plain", "value": "1"},
        {"name": "a", "valueFrom": {"fileKeyRef": {"key": "k", "path": "p", "volumeName": "v"}}},
    ],
}
WORKFLOW: dict[str, Json] = {
    "kind": "Workflow",
    "metadata": {"name": "w", "labels": {"podResources": "a label"}},
    "spec": {
        "executorPlugins": [],
        "templates": [
            {"name": "a", "pendingTimeout": "5m", "container": CONTAINER},
            {"name": "b", "suspend": {}},
        ],
    },
}


def test_newer_fields_are_found_where_they_stand() -> None:
    template = ("spec", "templates", 0)
    assert set(newer_fields(WORKFLOW, "Workflow")) == {
        ("spec", "executorPlugins"),
        (*template, "pendingTimeout"),
        (*template, "container", "env", 1, "valueFrom", "fileKeyRef"),
    }


def test_the_older_reads_an_object_without_them_and_leaves_it_as_it_was() -> None:
    before = copy.deepcopy(WORKFLOW)
    read = older_reading(WORKFLOW)
    assert before == WORKFLOW
    assert list(newer_fields(read, "Workflow")) == []
    assert read["metadata"] == WORKFLOW["metadata"]
    assert read["spec"]["templates"][1] is WORKFLOW["spec"]["templates"][1]
    assert read["spec"]["templates"][0]["container"]["env"] == [
        {"name": "plain", "value": "1"},
        {"name": "a", "valueFrom": {}},
    ]


def test_what_is_no_object_of_argos_stays() -> None:
    item = {"kind": "ConfigMap", "data": {"pendingTimeout": "x"}}
    assert older_reading(item) is item
