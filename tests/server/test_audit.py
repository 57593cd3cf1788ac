"""Who asked for what, of a server that several share: the real client, a browser's cookie, and what is written."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import kubernetes
import pytest

from tests.server.running import GATE, GROUP, Running, server
from tests.server.test_users import write
from tiphys.server.audit import Audit

TEMPLATE = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "greet"},
    "spec": {"templates": []},
}


def api(running: Running, token: str) -> kubernetes.client.CustomObjectsApi:
    settings = kubernetes.client.Configuration()
    settings.host, settings.ssl_ca_cert = running.url, running.certificate
    settings.api_key = {"authorization": f"Bearer {token}"}
    return kubernetes.client.CustomObjectsApi(kubernetes.client.ApiClient(settings))


def test_each_does_what_his_role_lets_him_and_it_is_written_down(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "server"
    folder.mkdir(parents=True)
    tokens = write(folder / "users.toml", ada="reads", bob="submits", eve="administers")
    with server(tmp_path / "store") as running:
        ada, bob, eve = (api(running, tokens[name]) for name in ("ada", "bob", "eve"))
        assert ada.list_namespaced_custom_object(*GROUP, "workflows")["items"] == []
        with pytest.raises(kubernetes.client.ApiException) as told:
            ada.create_namespaced_custom_object(*GROUP, "workflows", GATE)
        assert told.value.status == 403
        assert "ada reads: this is for who submits" in told.value.body
        name = bob.create_namespaced_custom_object(*GROUP, "workflows", GATE)["metadata"]["name"]
        with pytest.raises(kubernetes.client.ApiException) as told:
            bob.create_namespaced_custom_object(*GROUP, "workflowtemplates", TEMPLATE)
        assert told.value.status == 403
        eve.create_namespaced_custom_object(*GROUP, "workflowtemplates", TEMPLATE)
        bob.delete_namespaced_custom_object(*GROUP, "workflows", name)

        def page(user: str, method: str, path: str) -> int:
            link = running.ask("POST", "/ui/link", headers={"Authorization": f"Bearer {tokens[user]}"}).json()
            cookie = running.ask("GET", link["path"]).headers["Set-Cookie"].partition(";")[0]
            headers = {"Cookie": cookie, "Origin": running.url, "Authorization": ""}
            return running.ask(method, path, headers=headers).status_code

        assert page("ada", "GET", "/ui/runs") == 200
        assert page("ada", "POST", "/ui/submit") == 403
        assert page("bob", "POST", "/ui/submit") not in (401, 403)
        running.ask("DELETE", "/apis/argoproj.io/v1alpha1/namespaces/argo/workflowtemplates/greet")
    audit = folder / "audit.jsonl"
    assert stat.S_IMODE(audit.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [(each["user"], each["method"], each["answer"]) for each in lines] == [
        ("ada", "POST", 403),
        ("bob", "POST", 201),
        ("bob", "POST", 403),
        ("eve", "POST", 201),
        ("bob", "DELETE", 200),
        ("ada", "POST", 403),
        ("bob", "POST", lines[6]["answer"]),
        ("owner", "DELETE", 200),
    ]
    assert lines[4]["path"].endswith(f"/workflows/{name}")
    assert not any(token in audit.read_text() for token in tokens.values())


def test_a_disk_that_takes_no_line_is_told_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Audit(tmp_path).write("ada", "POST", "/", 200)
    assert "cannot be written" in caplog.text
    Audit().write("ada", "POST", "/", 200)
