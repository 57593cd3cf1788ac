"""Who created a run and who did what to it: by users of a shared server, as Argo Server labels it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.server.running import GATE, HELLO, Running, server
from tiphys.server.creators import acted, created_by, resumed_by

RUNS = "/api/v1/workflows/argo"
SAYS = "workflows.argoproj.io/"
USERS = {"ada": "administers", "bob": "submits"}


@pytest.mark.parametrize(
    ("who", "value"),  # of Argo's creator_test.go
    [
        ("my-sub", "my-sub"),
        ("foo/bar", "foo-bar"),
        ("x" * 63 + "y", "x" * 62 + "y"),
        ("--x!", "x"),
        ("my.email.at.host", "my.email.at.host"),
    ],
)
def test_a_name_is_made_a_value(who: str, value: str) -> None:
    assert created_by(HELLO, who)["metadata"]["labels"] == {f"{SAYS}creator": value}  # type: ignore[type-var]
    assert acted(who, "Stop") == {f"{SAYS}actor": value, f"{SAYS}action": "Stop"}


def test_nobody_has_created_what_nobody_is_known_to_have() -> None:
    other = created_by(GATE, "ada")  # type: ignore[type-var]
    assert created_by(other, "")["metadata"] == GATE["metadata"]
    assert (acted("", "Stop"), resumed_by("")) == ({}, "")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "store" / "server"
    folder.mkdir(parents=True)
    told = "".join(
        f'[users.{name}]\nrole = "{role}"\ntoken = "sha256:{hashlib.sha256(name.encode()).hexdigest()}"\n'
        for name, role in USERS.items()
    )
    (folder / "users.toml").write_text(told)
    return tmp_path / "store"


def by(running: Running, who: str, method: str, path: str, body: object = None) -> dict[str, dict[str, str]]:
    answer = running.ask(method, path, headers={"Authorization": f"Bearer {who}"}, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, dict[str, str]] = answer.json()
    return found


def told(workflow: dict[str, dict[str, str]]) -> dict[str, str]:
    labels: dict[str, str] = workflow["metadata"]["labels"]  # type: ignore[assignment]
    names = ("creator", "actor", "action")
    return {name: labels[SAYS + name] for name in names if SAYS + name in labels}


def test_users_of_a_server_are_told_apart(shared: Path) -> None:
    with server(shared) as running:
        assert by(running, "bob", "GET", "/api/v1/userinfo")["subject"] == "bob"
        made = by(running, "bob", "POST", RUNS, {"workflow": GATE})
        assert told(made) == {"creator": "bob"}
        name = made["metadata"]["name"]
        running.until(name, "Suspended")
        resumed = by(running, "ada", "PUT", f"{RUNS}/{name}/resume", {})
        assert told(resumed) == {"creator": "bob", "actor": "ada", "action": "Resume"}
        nodes = running.until(name, "Succeeded")["status"]["nodes"]  # type: ignore[index]
        (gate,) = [each for each in nodes.values() if each["type"] == "Suspend"]
        assert gate["message"] == "Resumed by: map[User:ada]"

        copy = by(running, "ada", "PUT", f"{RUNS}/{name}/resubmit", {})
        assert told(copy) == {"creator": "ada"}
        other = copy["metadata"]["name"]
        running.until(other, "Suspended")
        by(running, "bob", "PUT", f"{RUNS}/{other}/terminate", {})
        found = running.until(other, "Failed")
        assert told(found) == {"creator": "ada", "actor": "bob", "action": "Terminate"}  # type: ignore[arg-type]
        again = by(running, "ada", "PUT", f"{RUNS}/{other}/retry", {})
        assert told(again) == {"creator": "ada", "actor": "ada", "action": "Retry"}
        listed = running.ask("GET", RUNS, params={"listOptions.labelSelector": f"{SAYS}creator=ada"})
        assert [each["metadata"]["name"] for each in listed.json()["items"]] == [other]
        assert told(running.get(running.submit(HELLO))) == {}  # type: ignore[arg-type]  # as on a cluster
        running.until(other, "Failed")  # what waits is no work that a retry does again, as in Argo
