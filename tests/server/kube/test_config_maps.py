"""ConfigMaps in Kubernetes' protobuf: as kubectl 1.35 sent one, and what is none."""

from __future__ import annotations

import random

import pytest

from tiphys.server.answers import RequestError
from tiphys.server.kube.config_maps import MAGIC, config_map_of

# kubectl create configmap limits --from-literal=gang=2 --from-literal=who=wörld
SENT = bytes.fromhex(
    "6b3873000a0f0a0276311209436f6e6669674d617012320a160a066c696d69747312001a0022002a0032003800420012090a046761"
    "6e67120132120d0a0377686f120677c3b6726c641a002200"
)


def test_what_kubectl_sends() -> None:
    assert config_map_of(SENT) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "limits"},
        "data": {"gang": "2", "who": "wörld"},
    }


def test_labels_and_annotations() -> None:
    def field(number: int, value: bytes) -> bytes:
        return bytes([number << 3 | 2, len(value)]) + value

    def entry(key: bytes, value: bytes) -> bytes:
        return field(1, key) + field(2, value)

    metadata = (
        field(1, b"x")
        + field(11, entry(b"a", b"b"))
        + field(11, entry(b"c", b"d"))
        + field(12, entry(b"n", b""))
    )
    made = MAGIC + field(1, field(1, b"v1") + field(2, b"ConfigMap")) + field(2, field(1, metadata))
    assert config_map_of(made)["metadata"] == {
        "name": "x",
        "labels": {"a": "b", "c": "d"},
        "annotations": {"n": ""},
    }


def test_another_kind_is_refused() -> None:
    with pytest.raises(RequestError) as told:
        config_map_of(SENT.replace(b"ConfigMap", b"LimitRang"))
    assert told.value.number == 415


def test_what_is_cut_off_or_altered_is_told() -> None:
    chance = random.Random(7)
    for length in range(len(MAGIC), len(SENT)):
        _or_refused(SENT[:length])
    for _ in range(5000):
        data = bytearray(SENT)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        _or_refused(bytes(data))


def _or_refused(data: bytes) -> None:
    try:
        config_map_of(data)
    except RequestError as error:
        assert error.number in (400, 415, 422)
