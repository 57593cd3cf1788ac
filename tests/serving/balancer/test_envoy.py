"""What Envoy alone has of what is driven (test_driven.py): who connects while it does not run is answered, it hashes,
and it is looked at while nobody asks it for anything."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.serving.balancer.conftest import Echo
from tests.serving.balancer.test_driven import Asking
from tiphys.errors import ServingError
from tiphys.server.certificate import own_certificate
from tiphys.serving.balancer import EnvoyBalancer, Settings
from tiphys.serving.balancer.envoy import envoy
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.guard import Guard

pytestmark = pytest.mark.skipif(envoy() is None, reason="Envoy is not installed")
Start = Callable[..., EnvoyBalancer]
PATH = "/v1/models/m:predict"


@pytest.fixture
def start(echoes: list[Echo]) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(**options: Any) -> EnvoyBalancer:
            made = EnvoyBalancer("127.0.0.1", 0, model="m", **options).start()
            stack.callback(made.stop)
            made.set_endpoints([each.address for each in echoes])
            return made

        yield begin


def ask(front: EnvoyBalancer, **headers: str) -> tuple[int, Any]:
    """On a connection of its own."""
    made = Asking(front)
    try:
        return made(**headers)
    finally:
        made.connection.close()


def test_who_connects_while_it_does_not_run_is_answered(
    start: Start, tmp_path: Path, until: Callable[..., Any]
) -> None:
    certificate, key = own_certificate(tmp_path, ["127.0.0.1"])
    (tmp_path / "token").write_text("s3cret")
    front = start(
        settings=Settings(guard=Guard.of_files(str(certificate), str(key), str(tmp_path / "token")))
    )
    front.pin(VersionPin("m", 2))

    def asked(token: str) -> requests.Response:
        return requests.post(
            front.url + PATH,
            b"{}",
            headers={"Authorization": f"bearer {token}", "Connection": "close"},
            verify=str(certificate),
            timeout=30,
        )

    def is_guarded() -> None:
        assert asked("s3cret").json()["path"] == "/v1/models/m/versions/2:predict"
        refused = asked("s3cretx")
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert "token is needed" in refused.json()["error"]

    is_guarded()
    files = [each for each in front._folder.iterdir() if each.name != "said"]
    assert files and not any(stat.S_IMODE(each.stat().st_mode) & 0o077 for each in files)
    with front._lock:  # nobody starts it again
        os.kill(front.pid, signal.SIGKILL)
        assert front._process is not None
        front._process.wait()
        is_guarded()
        before = front.pid
    until(lambda: front.pid not in (0, before))
    is_guarded()


def test_one_that_hangs_is_started_again_though_nothing_changes(
    start: Start, monkeypatch: pytest.MonkeyPatch, until: Callable[..., Any]
) -> None:
    monkeypatch.setattr("tiphys.serving.balancer.envoy._ANSWER", 0.5)
    monkeypatch.setattr("tiphys.serving.balancer.envoy._ALIVE", 0.1)
    front = start()
    before = front.pid
    os.kill(before, signal.SIGSTOP)
    until(lambda: front.pid not in (0, before))
    assert ask(front)[0] == 200


@pytest.mark.parametrize("size", [10, 50_000])
def test_a_key_stays_where_it_is(start: Start, echoes: list[Echo], size: int) -> None:
    front = start(policy="hash:x-user")
    connection = Asking(front)
    users = [str(number) for number in range(40)]

    def places() -> dict[str, str]:
        return {user: connection(body=b"x" * size, **{"X-User": user})[1]["at"] for user in users}

    first = places()
    assert set(first.values()) == {each.address for each in echoes}
    assert places() == first
    gone = echoes[2].address
    front.set_endpoints([each.address for each in echoes[:2]])
    second = places()
    moved = [user for user in users if first[user] != second[user] and first[user] != gone]
    assert len(moved) <= 8  # Maglev moves few that it need not
    assert len({connection(body=b"x" * size)[1]["at"] for _ in range(10)}) == 1  # by the client's address
    connection.connection.close()


@pytest.mark.parametrize("size", [10, 50_000])
def test_by_address_a_client_has_one_replica(start: Start, size: int) -> None:
    front = start(policy="hash")
    connection = Asking(front)
    assert len({connection(body=b"x" * size)[1]["at"] for _ in range(20)}) == 1
    connection.connection.close()


def test_what_it_has_not_is_refused() -> None:
    for policy in ("hash:body", "hash:body.user"):
        with pytest.raises(ServingError, match=policy) as error:
            EnvoyBalancer("127.0.0.1", 0, model="m", policy=policy)
        assert error.value.code == "TIP511"


def test_after_two_replicas_the_balancer_behind_it_tries(start: Start, echoes: list[Echo]) -> None:
    front = start()
    front.set_endpoints([echoes[0].address])
    for breaks in (2, 3, 4):
        echoes[0].breaks = breaks
        assert ask(front)[0] == 200
    assert front.stats()["retries"] >= 6


def test_nobody_tells_it_how_to_ask(start: Start, echoes: list[Echo]) -> None:
    """Envoy takes orders in headers of those whom it trusts; that is nobody."""
    front = start()
    for each in echoes:
        each.gate.clear()
        threading.Timer(0.3, each.gate.set).start()
    assert ask(front, **{"X-Envoy-Upstream-Rq-Timeout-Ms": "1"})[0] == 200
    for each in echoes:
        each.gate.wait()
        each.status = 500
        each.asked.clear()
    assert ask(front, **{"X-Envoy-Retry-On": "5xx", "X-Envoy-Max-Retries": "9"})[0] == 500
    assert sum(len(each.asked) for each in echoes) == 1
