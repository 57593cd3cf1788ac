"""Who writes asks first what the server looks at: the real kubectl, which refuses to write where nobody says."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.running import HELLO, Running, server
from tests.tools import find_program
from tiphys.server.kube import openapi

MANIFEST = """
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: greet}
spec:
  entrypoint: main
  templates:
  - {name: main, container: {image: x, command: [echo, SAID]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: site}
data: {said: SAID}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("server") / "store") as found:
        yield found


def test_every_kind_takes_field_validation() -> None:
    told = openapi.paths()["paths"]
    assert isinstance(told, dict) and set(told) == set(openapi.PATHS)
    for path in openapi.PATHS:
        paths = openapi.document(path)["paths"]
        assert isinstance(paths, dict)
        assert all("fieldValidation" in json.dumps(each) for each in paths.values())


def test_kubectl_writes(running: Running, tmp_path: Path) -> None:
    binary = find_program("kubectl")
    if not binary:
        pytest.skip("the kubectl program is not here")
    env = {**os.environ, "KUBECONFIG": str(running.kubeconfig), "HOME": str(tmp_path)}

    def kubectl(*words: str, text: str | None = None) -> str:
        done = subprocess.run(
            [binary, *words], env=env, input=text, capture_output=True, text=True, timeout=60
        )
        assert not done.returncode, (words, done.stderr)
        return done.stdout

    assert "limits created" in kubectl("create", "configmap", "limits", "--from-literal=gang=2")
    assert kubectl("get", "configmap", "limits", "-o", "jsonpath={.data}") == '{"gang":"2"}'
    for word, said in (("hi", "created"), ("ho", "configured"), ("ho", "unchanged")):
        told = kubectl("apply", "-f", "-", text=MANIFEST.replace("SAID", word))
        assert told.splitlines() == [f"workflowtemplate.argoproj.io/greet {said}", f"configmap/site {said}"]
        command = kubectl("get", "wftmpl", "greet", "-o", "jsonpath={.spec.templates[0].container.command}")
        assert json.loads(command) == ["echo", word]
    told = kubectl(
        "apply", "--server-side", "-f", "-", text=MANIFEST.replace("SAID", "hu").replace("greet", "greets")
    )
    assert told.splitlines() == [
        "workflowtemplate.argoproj.io/greets serverside-applied",
        "configmap/site serverside-applied",
    ]
    assert kubectl("get", "configmap", "site", "-o", "jsonpath={.data.said}") == "hu"
    once = {**HELLO, "metadata": {"name": "once"}}
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", text=json.dumps(once))
    running.until("once", "Succeeded")
    kubectl("patch", "configmap", "site", "--type=merge", "-p", '{"data": {"more": "1"}}')
    kubectl("label", "configmap", "site", "team=blue")
    assert kubectl("get", "configmap", "-l", "team=blue", "-o", "jsonpath={.items[*].data.more}") == "1"
    name = kubectl("create", "-f", "-", "-o", "name", text=json.dumps(HELLO)).strip().partition("/")[2]
    running.until(name, "Succeeded")
    assert "WorkflowSucceeded" in kubectl("describe", "workflow", name)
    kubectl("delete", "-f", "-", text=MANIFEST)
    assert kubectl("get", "configmap", "-o", "name").split() == ["configmap/limits"]
