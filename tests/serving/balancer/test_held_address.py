"""An address that is held while others listen there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from tiphys.errors import ServingError
from tiphys.serving.balancer import Balancer, Settings
from tiphys.serving.balancer.held_address import hold_address, prefer_others


@pytest.fixture
def held() -> Iterator[socket.socket]:
    with hold_address("127.0.0.1", 0) as made:
        if not prefer_others(made):
            pytest.skip("this kernel cannot choose among sockets")
        made.listen(64)
        yield made


def other(held: socket.socket) -> socket.socket:
    """As a program binds that was not told of it."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(held.getsockname())
    made.listen(64)
    return made


def came(held: socket.socket, *listeners: socket.socket) -> list[int]:
    """How many of ten connections come to each."""
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(socket.create_connection(held.getsockname()))
        found = []
        for each in listeners:
            each.setblocking(False)
            count = 0
            while True:
                try:
                    each.accept()[0].close()
                except BlockingIOError:
                    break
                count += 1
            found.append(count)
        return found


def test_all_come_to_the_other_as_long_as_it_listens(held: socket.socket) -> None:
    assert came(held, held) == [10]
    for _ in range(3):
        with other(held) as made:
            assert came(held, held, made) == [0, 10]
        assert came(held, held) == [10]


def test_it_is_held_once(held: socket.socket) -> None:
    host, port = held.getsockname()
    with pytest.raises(OSError):
        hold_address(host, port)
    with other(held), pytest.raises(OSError):
        hold_address(host, port)
    with pytest.raises(OSError):
        socket.create_server((host, port)).close()


def test_a_balancer_answers_there_until_it_stops() -> None:
    with hold_address("127.0.0.1", 0) as made:
        url = f"http://127.0.0.1:{made.getsockname()[1]}"
        with Balancer("127.0.0.1", 0, settings=Settings(hold=0.0)) as balancer:
            balancer.also(made.dup())
            made.close()
            for each in (url, balancer.url):
                assert requests.get(each, timeout=30).status_code == 503
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=30)
    with pytest.raises(ServingError) as error:
        Balancer("127.0.0.1", 0).also(made)
    assert error.value.code == "TIP517"
