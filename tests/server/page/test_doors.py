"""Who may see the page: as a browser and somebody else ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.page.visits import visitor
from tiphys.server.page.doors import Doors


def test_a_link_lets_one_browser_in_once(tmp_path: Path) -> None:
    with visitor(tmp_path, entered=False) as client:
        assert client.get("/ui/runs").status_code == 401
        to = client.link()
        assert client.head(to).status_code == 200  # a look uses nothing up
        entered = client.get(to)
        assert entered.status_code == 200
        words = entered.headers["set-cookie"].lower()
        assert all(each in words for each in ("httponly", "samesite=strict", "path=/ui"))
        assert client.get("/ui/runs").status_code == 200
        client.cookies.clear()
        assert client.get(to).status_code == 401
        assert client.get("/ui/runs").status_code == 401


def test_a_link_is_given_to_who_has_the_token(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        assert client.post("/ui/link").status_code == 401
        assert client.post("/ui/link", headers={"Authorization": "Bearer no"}).status_code == 401


def test_a_cookie_is_no_token_and_a_forged_one_is_none(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        assert client.get("/apis/argoproj.io/v1alpha1/workflows").status_code == 401
        ((name, value),) = client.cookies.items()
        user, nonce, until, signed = str(value).split(".")
        for forged in (
            f"{user}.{nonce}.{int(until) + 1}.{signed}",
            f"ada.{nonce}.{until}.{signed}",
            f"{user}.{nonce}.{until}.",
            f"{nonce}.{until}.{signed}",
            "",
            "é",
            "a.b.c",
        ):
            client.cookies.clear()
            header = f"{name}={forged}".encode()
            assert client.get("/ui/runs", headers={"Cookie": header}).status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://localhost:1", None])
def test_a_change_comes_from_a_page_of_ours(tmp_path: Path, origin: str | None) -> None:
    with visitor(tmp_path) as client:
        headers = {} if origin is None else {"Origin": origin}
        assert client.post("/ui/runs", headers=headers).status_code == 403


def test_another_host_is_refused(tmp_path: Path) -> None:
    with visitor(tmp_path) as client:
        assert client.get("/ui/static/page.css", headers={"Host": "evil.example"}).status_code == 403
        assert client.get("/ui/runs", headers={"Host": "evil.example"}).status_code == 403


def test_with_tls_the_cookie_is_never_sent_without() -> None:
    doors = Doors("secret")
    assert "; Secure" in doors.enter(doors.key("owner"), secure=True)
    assert "Secure" not in doors.enter(doors.key("owner"), secure=False)
    assert doors.enter("", secure=True) == ""
