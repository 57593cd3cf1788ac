"""The same YAML with the real controller and operator: a straggler's TFJob goes, and the workflow succeeds."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import tiphys
from tests.cluster.conftest import ROOT, Cluster, connect, owned
from tests.dsl.straggling import flow

pytestmark = [pytest.mark.cluster]

MOUNT = "/mnt/tiphys"
FAST = {"curve": [0.6, 0.7, 0.75], "pause": 0.1}


@pytest.fixture
def code(applied: Cluster) -> Iterator[str]:
    """This tree's code as a folder of the volume: what the images have may be older, and has no tests."""
    name = f"code-{uuid.uuid4().hex[:8]}"
    place = applied.volume / name
    for folder in ("sdk/tiphys", "components", "tests/dsl"):
        to = place / folder.removeprefix("sdk/")
        shutil.copytree(ROOT / folder, to, ignore=shutil.ignore_patterns("__pycache__", "test_*.py"))
    (place / "tests/__init__.py").touch()
    owned(place)
    yield f"{MOUNT}/{name}"
    applied.kubectl("delete", "workflows", "-l", "tiphys-test=enough", "--wait=false")
    shutil.rmtree(place, ignore_errors=True)


def compiled(code: str) -> dict[str, Any]:
    """The workflow, its steps and workers with ``code`` for their Python path."""
    documents = list(yaml.safe_load_all(tiphys.to_yaml(flow())))
    workflow: dict[str, Any] = next(each for each in documents if each["kind"] == "Workflow")
    path = {"name": "PYTHONPATH", "value": code}
    for template in workflow["spec"]["templates"]:
        if container := template.get("container") or template.get("script"):
            container["env"].append(path)
        elif "manifest" in template.get("resource", {}):
            manifest = template["resource"]["manifest"]
            template["resource"]["manifest"] = manifest.replace('"env": [', f'"env": [{json.dumps(path)},', 1)
    return workflow


def test_a_straggler_is_stopped_and_the_workflow_succeeds(applied: Cluster, code: str) -> None:
    """Preempted for ever after its second epoch; the others are good enough."""
    slow = {"curve": [0.2, 0.22, 0.24, 0.26], "at": 2, "killed": -1, "tag": code}
    script = {"a": {**FAST, "judged": 0.8}, "b": {**FAST, "judged": 0.9}, "c": slow}
    with connect(applied, "kubeconfig") as client:
        made = client.submit(
            compiled(code), parameters={"script": json.dumps(script)}, labels={"tiphys-test": "enough"}
        )
        result = client.wait(made.name, timeout=180)
    nodes = {
        node["name"].removeprefix(f"{made.name}."): node
        for node in result.workflow["status"]["nodes"].values()
    }
    assert result.succeeded, {name: (node["phase"], node.get("message")) for name, node in nodes.items()}
    outputs = {item["name"]: item["value"] for item in nodes["select"]["outputs"]["parameters"]}
    selection = json.loads(outputs["selection"])
    assert selection["chosen"] == ["b", "a"]
    assert [(each["name"], each["why"]) for each in selection["dropped"]] == [("c", "behind")]
    assert nodes["c.train"]["phase"] in ("Failed", "Error")
    # its worker may have seen that it is dropped before its job was deleted
    message = nodes["c.train.run(0)"]["message"]
    assert "has been deleted" in message or "failure condition" in message
    assert nodes["hand-in-c"]["phase"] == "Succeeded"
    names = applied.kubectl("get", "tfjobs", "-l", f"tiphys.dev/workflow={made.name}", "-o", "name").split()
    left = {name.rpartition("-")[2]: name for name in names}
    follower = left.pop("r1", "")
    assert sorted(left) == ["a", "b"]

    def failed() -> bool:
        conditions = applied.get(follower)["status"].get("conditions") or []
        return any(each["type"] == "Failed" for each in conditions)

    # its worker saw that it is dropped before its job was deleted: the job that followed ends so, too
    if follower:
        applied.until("the follower ends", failed)
