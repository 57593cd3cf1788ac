"""Requests beside limits: what Kubernetes' validation refuses (ValidateContainerResourceRequirements)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiphys.lint import lint

CASES: list[tuple[dict[str, Any], dict[str, Any] | None, list[str]]] = [
    ({"cpu": "4"}, {"cpu": "2"}, ["cpu"]),
    ({"cpu": 4}, {"cpu": 2}, ["cpu"]),
    ({"cpu": "2000m"}, {"cpu": "2"}, []),
    ({"memory": "3Gi"}, {"memory": "3G"}, ["memory"]),
    ({"memory": "1e9"}, {"memory": "1G"}, []),
    ({"cpu": "4"}, {"memory": "1Gi"}, []),
    ({"cpu": "4"}, None, []),
    ({"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "2"}, ["nvidia.com/gpu"]),
    ({"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"}, []),
    ({"nvidia.com/gpu": "1"}, None, ["nvidia.com/gpu"]),
    ({"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "8Mi"}, ["hugepages-2Mi"]),
    ({"ephemeral-storage": "2Gi"}, {"ephemeral-storage": "1Gi"}, ["ephemeral-storage"]),
    ({"cpu": "{{workflow.parameters.n}}"}, {"cpu": "2"}, []),
]
IMAGE = "alpine:3.23"


def templates(resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    box = {"image": IMAGE, "command": ["date"], "resources": resources}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "j-"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", **box}]}}},
    }
    return {
        "container": {"container": box},
        "script": {"script": {**box, "source": "date"}},
        "sidecar": {"container": {"image": IMAGE}, "sidecars": [{"name": "s", **box}]},
        "init": {"container": {"image": IMAGE}, "initContainers": [{"name": "i", **box}]},
        "set": {"containerSet": {"containers": [{"name": "main", **box}]}},
        "job": {"resource": {"action": "create", "manifest": json.dumps(job)}},
    }


@pytest.mark.parametrize("place", list(templates({})))
@pytest.mark.parametrize("case", range(len(CASES)))
def test_a_request_above_its_limit(place: str, case: int) -> None:
    requests, limits, wrong = CASES[case]
    resources: dict[str, Any] = {"requests": requests, **({"limits": limits} if limits else {})}
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "x-"},
        "spec": {
            "entrypoint": "main",
            "arguments": {"parameters": [{"name": "n", "value": "1"}]},
            "templates": [{"name": "main", **templates(resources)[place]}],
        },
    }
    found = [item for item in lint(workflow) if item.code == "L370"]
    assert len(found) == len(wrong)
    assert all(name in item.message for name, item in zip(wrong, found, strict=True))


def test_heras_inline_scripts_are_told_what_they_can_do() -> None:
    source = "import json\ntry: a = json.loads(r'''{{inputs.parameters.a}}''')\nexcept: a = 1\n"
    for text, words in ((source, 'constructor="runner"'), ("echo {{inputs.parameters.a}}", "by env")):
        script = {"image": IMAGE, "command": ["python"], "source": text}
        template = {"name": "main", "inputs": {"parameters": [{"name": "a", "value": "1"}]}, "script": script}
        found = lint({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "x"},
                      "spec": {"entrypoint": "main", "templates": [template]}})  # fmt: skip
        (item,) = [item for item in found if item.code == "L355"]
        assert words in item.fix


def test_the_arguments_of_a_script_are_program_text_too() -> None:
    script = {
        "image": IMAGE,
        "command": ["sh"],
        "args": ["-c", "echo {{inputs.parameters.a}}"],
        "source": "x",
    }
    template = {"name": "main", "inputs": {"parameters": [{"name": "a", "value": "1"}]}, "script": script}
    found = lint({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "x"},
                  "spec": {"entrypoint": "main", "templates": [template]}})  # fmt: skip
    assert [item.path for item in found if item.code == "L355"] == ["spec.templates[0].script.args[1]"]
