"""Users, their roles, and what each request needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tiphys.errors import RefusedError
from tiphys.server.users import OWNER, ServerUser, ServerUsers, needed
from tiphys.training.pools import new_token


def write(path: Path, **users: str) -> dict[str, str]:
    """Write users with these roles; their tokens."""
    tokens, text = {}, ""
    for name, role in users.items():
        tokens[name], digest = new_token()
        text += f'[users.{name}]\nrole = "{role}"\ntoken = "{digest}"\n'
    path.write_text(text)
    return tokens


def test_a_token_is_a_users(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    tokens = write(path, ada="reads", bob="submits")
    users = ServerUsers("own", path)
    assert users.who("own") == OWNER
    assert users.who(tokens["ada"]) == ServerUser("ada", "reads")
    assert users.who(tokens["bob"] + "x") is None
    assert users.who("") is None
    assert tokens["ada"] not in path.read_text()


def test_the_file_is_read_again_and_one_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    users = ServerUsers("own", path)
    tokens = write(path, ada="reads")
    assert users.who(tokens["ada"]) is not None
    path.write_text("[users.ada]\nrole = 3\n")
    assert users.who(tokens["ada"]) is not None
    path.write_text("")
    os.utime(path, (1, 1))
    assert users.who(tokens["ada"]) is None
    assert users.named("ada") is None
    assert users.named("owner") == OWNER


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[users", ""),
        ("[user.ada]", "user"),
        ('[users.ada]\nrole = "submit"\n', "users.ada.role"),
        ('[users.ada]\nrole = "reads"\ntoken = "secret"\n', "users.ada.token"),
        ('[users.ada]\nrole = "reads"\nrule = 1\n', "users.ada.rule"),
        ("users = 3", "users"),
        ("[users.owner]", "users.owner"),
        ('[users."a.b"]', "users.a.b"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "users.toml"
    path.write_text(text)
    with pytest.raises(RefusedError) as told:
        ServerUsers("own", path)
    assert told.value.code == "TIP252"
    assert told.value.message.startswith(key)
    assert "secret" not in str(told.value)


def test_two_have_no_token_together(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    write(path, ada="reads")
    path.write_text(path.read_text() + path.read_text().replace("ada", "bob"))
    with pytest.raises(RefusedError, match="another user has the same"):
        ServerUsers("own", path)


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/api/v1/workflows/argo", "reads"),
        ("HEAD", "/ui/runs", "reads"),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "reads"),
        ("POST", "/api/v1/workflows/argo/lint", "reads"),
        ("POST", "/api/v1/workflow-templates/argo/lint", "reads"),
        ("POST", "/ui/runs/a/models/think", "reads"),
        ("POST", "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows", "submits"),
        ("PATCH", "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows/a", "submits"),
        ("DELETE", "/api/v1/namespaces/argo/pods/a", "submits"),
        ("POST", "/api/v1/workflows/argo/submit", "submits"),
        ("PUT", "/api/v1/archived-workflows/u/retry", "submits"),
        ("POST", "/ui/submit", "submits"),
        ("POST", "/ui/runs/a/do/retry", "submits"),
        ("POST", "/apis/argoproj.io/v1alpha1/namespaces/argo/workflowtemplates", "administers"),
        ("POST", "/apis/argoproj.io/v1alpha1/namespaces/argo/cronworkflows", "administers"),
        ("PUT", "/api/v1/cron-workflows/argo/a/suspend", "administers"),
        ("DELETE", "/api/v1/cluster-workflow-templates/a", "administers"),
        ("POST", "/api/v1/workflowsx/argo", "administers"),
        ("POST", "/nonsense", "administers"),
        ("POST", "/", "administers"),
    ],
)
def test_what_a_request_needs(method: str, path: str, role: str) -> None:
    assert needed(method, path) == role


def test_a_role_holds_those_before_it() -> None:
    assert [ServerUser("a", "submits").may(each) for each in ("reads", "submits", "administers")] == [
        True,
        True,
        False,
    ]
