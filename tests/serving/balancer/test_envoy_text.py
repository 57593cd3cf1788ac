"""What Envoy is told, judged by Envoy."""

from __future__ import annotations

import json

import pytest
import requests

from tiphys.errors import ServingError
from tiphys.serving.balancer import EnvoyBalancer, Settings
from tiphys.serving.balancer.envoy import envoy
from tiphys.serving.balancer.envoy_text import endpoints, routes, whole_policy
from tiphys.serving.balancer.pin import VersionPin
from tiphys.serving.guard import Guard


@pytest.mark.skipif(envoy() is None, reason="Envoy is not installed")
@pytest.mark.parametrize(
    ("policy", "word"),
    [
        ("round-robin", "it's"),
        ("least-request", '"\\#x'),
        ("hash", "-m%[src]$HOME{x}"),
        ("hash:x-user", "%REQ(x)%"),
        ("round-robin", "[(+.é?]|" * 20),
    ],
)
def test_envoy_takes_it_whatever_is_in_a_name_or_a_token(policy: str, word: str) -> None:
    token = word.encode("ascii", "ignore").decode()
    front = EnvoyBalancer(
        "127.0.0.1",
        0,
        model=word,
        policy=policy,
        health_path=f"/v1/models/{word}",
        settings=Settings(hold=0.0, guard=Guard(token=token)),
    ).start()
    try:
        front.pin(VersionPin(word, 3))
        front.pin(VersionPin(word, "@17"))
        front.set_endpoints({"127.0.0.1:9": 0.5, "127.0.0.1:10": 3})
        path = f"{front.url}/v1/models/m:predict"
        refused = requests.post(path, b"{}", headers={"Authorization": f"Bearer {token}x"}, timeout=30)
        assert refused.status_code == 401
        told = requests.post(path, b"{}", headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert told.status_code == 503 and told.json()["error"].startswith("No endpoint")
        said = (front._folder / "said").read_text()
        assert "rejected" not in said and "error" not in said, said
    finally:
        front.stop()


def test_who_gets_nothing_is_left_out_and_the_others_have_whole_weights() -> None:
    weights = {"a:1": 3.0, "b:2": 0.0, "c:3": 0.00001}
    made = json.loads(json.dumps(endpoints(weights, {"a": "10.0.0.1", "c": "10.0.0.3"}, 7)))
    assert made["version_info"] == "7"
    (group,) = made["resources"][0]["endpoints"]
    found = {
        each["endpoint"]["address"]["socket_address"]["address"]: each["load_balancing_weight"]
        for each in group["lb_endpoints"]
    }
    assert found == {"10.0.0.1": 65536, "10.0.0.3": 1}


def test_the_most_frequent_is_looked_at_first() -> None:
    made = json.loads(
        json.dumps(
            routes(
                backend="b",
                pin=VersionPin("m", 1),
                policy="round-robin",
                settings=Settings(),
                probe="p",
                version=1,
            )
        )
    )
    first = made["resources"][0]["virtual_hosts"][1]["routes"][0]
    assert (first["match"]["path"], first["route"]["cluster"]) == ("/v1/models/m:predict", "b")


def test_a_policy_that_it_has_not() -> None:
    for policy in ("hash:body", "hash:body.x", "nonsense"):
        with pytest.raises(ServingError, match=policy) as error:
            whole_policy(policy)
        assert error.value.code == "TIP511"
