"""Configuration files, read as protobuf reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.serving.config_messages import ConfigTextError, read_text

MODEL = "model_config_list { config { name: 'a' base_path: '/a' %s } }"


@pytest.mark.parametrize(
    "text",
    [
        MODEL % "",
        MODEL % "version_label { key: 'stable' value: 1 }",
        MODEL % "version_labels { key: 'stable' value: 1 } version_labels: [{ key: 'b' value: 2 }]",
        MODEL % "version_labels { key: 'stable' value: '1' }",
        MODEL % "model_version_policy { specifc { versions: 1 } }",
        MODEL % "model_version_policy { specific { versions: [1, 0x2, 03] } }",
        MODEL % "model_version_policy { specific { } latest { } }",
        MODEL % "name: 'b'",
        MODEL % "model_platform: 'tensor' \"flow\" # a comment",
        MODEL % r"model_platform: '\303\251\x41\n'",
        MODEL % "logging_config { sampling_config { sampling_rate: 0.5 } }",
        MODEL % "logging_config { sampling_config { sampling_rate: 'x' } }",
        MODEL % "model_type: TENSORFLOW",
        MODEL % "model_type: PYTORCH",
        MODEL % "base_path: 7",
        MODEL.replace("{ config", "< config").replace("} }", "} >") % "",
        "model_config_list { config: [] }",
        "model_config_list { config [{ name: 'a' base_path: '/a' }, { name: 'b' base_path: '/b' }] }",
        "",
        "garbage {",
        "model_config_list: 1",
        "model_config_list { } custom_model_config { }",
    ],
)
def test_protobufs_own_messages_take_and_refuse_the_same(text: str) -> None:
    """Those of the package tensorflow-serving-api, and its parser."""
    pytest.importorskip("tensorflow_serving")
    from google.protobuf import json_format, text_format
    from tensorflow_serving.config import model_server_config_pb2

    official = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, official)
    except text_format.ParseError as error:
        with pytest.raises(ConfigTextError) as told:
            read_text("ModelServerConfig", text)
        assert str(told.value).split(" ")[0] == str(error).split(" ")[0]  # line and column
        return
    found = read_text("ModelServerConfig", text)
    expected = json_format.MessageToDict(official, preserving_proto_field_name=True)
    labels = [
        each.get("version_labels", {}) for each in expected.get("model_config_list", {}).get("config", [])
    ]
    for each, known in zip(_configs(found), labels, strict=True):
        assert {pair["key"]: pair["value"] for pair in each.pop("version_labels", [])} == known
    for each in expected.get("model_config_list", {}).get("config", []):
        each.pop("version_labels", None)
    assert found == expected


def _configs(message: Any) -> list[Any]:
    return list(message.get("model_config_list", {}).get("config", []))


@given(st.text(max_size=200))
def test_any_text_is_a_message_or_one_error(text: str) -> None:
    try:
        assert isinstance(read_text("ModelServerConfig", text), dict)
    except ConfigTextError as error:
        assert str(error)
