"""What HAProxy alone has of what is driven (test_driven.py): a number of slots."""

from __future__ import annotations

import pytest

from tiphys.errors import ServingError
from tiphys.serving.balancer import HaproxyBalancer
from tiphys.serving.balancer.haproxy import haproxy
from tiphys.serving.balancer.haproxy_text import SLOTS

pytestmark = pytest.mark.skipif(haproxy() is None, reason="HAProxy is not installed")


def test_a_slot_is_used_again_and_there_are_no_more() -> None:
    front = HaproxyBalancer("127.0.0.1", 0, model="m").start()
    try:
        for port in range(1, 2 * SLOTS):
            front.set_endpoints([f"127.0.0.1:{port}"])
        front.set_endpoints(many := [f"127.0.0.1:{port}" for port in range(1, SLOTS + 1)])
        assert [each["address"] for each in front.stats()["endpoints"]] == many
        with pytest.raises(ServingError) as error:
            front.set_endpoints([*many, "127.0.0.1:9999"])
        assert error.value.code == "TIP512"
    finally:
        front.stop()
