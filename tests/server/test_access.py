"""Who may ask."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from tiphys.server.access import Access, kubeconfig, token_of
from tiphys.server.answers import RequestError
from tiphys.server.users import ServerUsers

ACCESS = Access(ServerUsers("s3cret"), frozenset({"localhost", "127.0.0.1", "[::1]"}))
GOOD = {"host": "127.0.0.1:6825", "authorization": "Bearer s3cret"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", GOOD),
        ("GET", {**GOOD, "host": "localhost"}),
        ("GET", {**GOOD, "host": "[::1]"}),
        ("GET", {**GOOD, "host": "[::1]:6825", "authorization": "bearer s3cret"}),
        ("POST", {**GOOD, "content-length": "9", "content-type": "application/json; charset=utf-8"}),
        ("PATCH", {**GOOD, "content-length": "9", "content-type": "application/merge-patch+json"}),
        ("POST", {**GOOD, "content-length": "9"}),
        ("DELETE", {**GOOD, "content-length": "0", "content-type": "text/plain"}),
        ("GET", {"host": "localhost", "cookie": "a=b; authorization=Bearer s3cret"}),
        ("GET", {"host": "localhost", "cookie": "authorization=x; authorization=Bearer%20s3cret"}),
    ],
)
def test_who_has_the_token_may(method: str, headers: dict[str, str]) -> None:
    ACCESS.check(method, headers)


@pytest.mark.parametrize(
    ("number", "method", "headers"),
    [
        (401, "GET", {"host": "localhost"}),
        (401, "GET", {**GOOD, "authorization": "Bearer s3cre"}),
        (401, "GET", {**GOOD, "authorization": "Basic s3cret"}),
        (401, "GET", {**GOOD, "authorization": "Bearer "}),
        (401, "GET", {**GOOD, "authorization": "Bearer s\u00e9cret"}),
        (401, "GET", {"host": "localhost", "cookie": "authorization=s3cret; other=Bearer s3cret"}),
        (401, "DELETE", {"host": "localhost", "cookie": "authorization=Bearer s3cret"}),
        (401, "GET", {**GOOD, "authorization": "Bearer x", "cookie": "authorization=Bearer s3cret"}),
        (403, "GET", {**GOOD, "host": "evil.example"}),
        (403, "GET", {**GOOD, "host": "127.0.0.1.evil.example:6825"}),
        (403, "GET", {**GOOD, "host": ""}),
        (403, "POST", {**GOOD, "origin": "https://evil.example"}),
        (403, "GET", {**GOOD, "origin": "null"}),
        (415, "POST", {**GOOD, "content-length": "9", "content-type": "text/plain"}),
        (
            415,
            "PUT",
            {**GOOD, "transfer-encoding": "chunked", "content-type": "multipart/form-data; boundary=x"},
        ),
        (415, "DELETE", {**GOOD, "content-length": "9", "content-type": "application/x-www-form-urlencoded"}),
    ],
)
def test_who_may_not(number: int, method: str, headers: dict[str, str]) -> None:
    with pytest.raises(RequestError) as told:
        ACCESS.check(method, headers)
    assert told.value.number == number
    assert "s3cret" not in told.value.message


def test_the_token_stays_and_is_the_owners(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    token = token_of(folder)
    assert len(token) >= 40
    assert token_of(folder) == token
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert token_of(tmp_path / "other") != token


def test_the_kubeconfig_is_the_owners_and_yaml(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://127.0.0.1:1", "t", "team", ca=b"-----BEGIN")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = yaml.safe_load(path.read_text())
    assert found == json.loads(path.read_text())
    assert found["clusters"][0]["cluster"]["certificate-authority-data"] == "LS0tLS1CRUdJTg=="
    assert found["contexts"][0]["context"]["namespace"] == "team"
