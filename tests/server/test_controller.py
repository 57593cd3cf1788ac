"""The ConfigMap of Argo's controller, as far as a server reads it."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.server.answers import RequestError
from tiphys.server.controller import CONTROLLER, ControllerSettings, controller_settings

# of Argo's documentation (workflow-controller-configmap.yaml, default-workflow-specs.md)
DATA = {
    "workflowDefaults": """
metadata:
  annotations: {argo: workflows}
  labels: {foo: bar}
spec:
  ttlStrategy: {secondsAfterSuccess: 5}
  parallelism: 3
  volumes: [{name: work, emptyDir: {}}]
""",
    "persistence": "connectionPool: {maxIdleConns: 100}\narchive: true\narchiveTTL: 180d\nmysql: {}",
    "artifactRepository": "archiveLogs: true\ns3: {endpoint: s3.amazonaws.com}",
    "retentionPolicy": "completed: 10\nfailed: 3",
    "links": "- name: not read, and no object either",
}


def settings(data: dict[str, str]) -> ControllerSettings:
    return controller_settings({"metadata": {"name": CONTROLLER}, "data": data})


def test_what_is_read_of_it() -> None:
    found = settings(DATA)
    assert (found.archive, found.archive_ttl) == (True, 180 * 86400.0)
    assert found.retention == {"Succeeded": 10, "Failed": 3}
    assert settings({}) == controller_settings({}) == ControllerSettings()
    assert settings({"config": "persistence: {archive: true, archiveTTL: 12h}"}).archive_ttl == 43200.0


def test_a_workflow_has_the_defaults_where_it_says_nothing() -> None:
    given: Any = {
        "metadata": {"generateName": "a-", "labels": {"foo": "own", "b": "c"}},
        "spec": {"entrypoint": "main", "parallelism": 5, "volumes": [{"name": "own", "emptyDir": {}}]},
    }
    made: Any = settings(DATA).applied(given)
    assert made["metadata"] == {
        "generateName": "a-",
        "labels": {"foo": "own", "b": "c"},
        "annotations": {"argo": "workflows"},
    }
    assert {each["name"] for each in made["spec"].pop("volumes")} == {"own", "work"}
    assert made["spec"] == {
        "entrypoint": "main",
        "parallelism": 5,
        "ttlStrategy": {"secondsAfterSuccess": 5},
        "archiveLogs": True,
    }
    assert ControllerSettings().applied(given) is given


def test_what_a_template_says_comes_before_them() -> None:
    given: Any = {"metadata": {"name": "a"}, "spec": {"workflowTemplateRef": {"name": "t"}}}
    template: Any = {
        "spec": {"entrypoint": "main", "parallelism": 7, "ttlStrategy": {"secondsAfterFailure": 9}}
    }
    made: Any = settings(DATA).applied(given, template)
    assert made["spec"] == {
        "workflowTemplateRef": {"name": "t"},
        "parallelism": 7,
        "archiveLogs": True,
        "ttlStrategy": {"secondsAfterSuccess": 5, "secondsAfterFailure": 9},
        "volumes": [{"name": "work", "emptyDir": {}}],
    }


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"workflowDefaults": "a: [b"},
            "workflowDefaults: not YAML: did not find expected ',' or ']', while parsing a flow sequence",
        ),
        ({"workflowDefaults": "- a"}, "workflowDefaults: it is no object"),
        ({"persistence": "archiveTTL: soon"}, "'soon' is none of 30d"),
        ({"retentionPolicy": "failed: -1"}, "retentionPolicy.failed: -1"),
        ({"config": "{}", "persistence": "{}"}, "only have one item"),
        ({"artifactRepository": "a: b", "workflowDefaults": "spec: [a]"}, "spec: it is no object"),
    ],
)
def test_what_cannot_be_read_is_told(data: dict[str, str], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        settings(data)
    assert caught.value.number == 422 and said in caught.value.message
