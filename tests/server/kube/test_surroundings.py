"""What is asked beside Argo's objects, judged by the official client."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import kubernetes
import pytest

from tests.server.running import Running, server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("server") / "store") as found:
        yield found


def test_what_argo_server_asks_at_its_start(running: Running) -> None:
    found = running.ask("GET", "/api/v1/namespaces/argo/configmaps/workflow-controller-configmap").json()
    assert found["data"] == {}
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    lines = running.ask(
        "GET", f"/apis/argoproj.io/v1alpha1/namespaces/argo/workflowtemplates?{query}"
    ).text.splitlines()
    last = json.loads(lines[-1])
    assert last["type"] == "BOOKMARK"
    assert last["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    review = running.ask(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        data=b"k8s\0",
        headers={"Content-Type": "application/vnd.kubernetes.protobuf"},
    )
    assert review.json()["status"] == {"allowed": True}


def test_a_secret_of_a_service_account_has_the_token_that_asked(running: Running) -> None:
    core = kubernetes.client.CoreV1Api(running.client())
    found = core.read_namespaced_secret("argo-server.service-account-token", "argo").data["token"]
    assert base64.b64decode(found).decode() == running.token
    with pytest.raises(kubernetes.client.ApiException) as told:
        core.read_namespaced_secret("another", "argo")
    assert told.value.status == 404
