"""TensorFlow Serving's configuration files, read by protobuf's own text parser: what it does not know is refused.

The messages are those of tensorflow_serving/config/*.proto and of BatchingParameters in session_bundle_config.proto
(2.19), with their field numbers, and two fields of our own; their generated classes would need all of TensorFlow. They
are in a pool of their own, beside the generated ones where those are installed.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from tiphys.jsontypes import JsonObject

__all__ = ["ConfigTextError", "read_text"]

_LONGEST = 300  # characters of an error, which has the line
_PACKAGE = "tiphys.serving.config"


class ConfigTextError(ValueError):
    """The text is none of that message; the message says where and why."""


class _Field(NamedTuple):
    name: str
    number: int
    type: str  # a scalar's, or that of a message
    many: bool = False
    oneof: str = ""


_WRAPPER = "google.protobuf.{}Value"
_INT64, _BOOL = _WRAPPER.format("Int64"), _WRAPPER.format("Bool")
_ANY = "google.protobuf.Any"
_MESSAGES: Mapping[str, tuple[_Field, ...]] = {
    "ModelServerConfig": (
        _Field("model_config_list", 1, "ModelConfigList", oneof="config"),
        _Field("custom_model_config", 2, _ANY, oneof="config"),
    ),
    "ModelConfigList": (_Field("config", 1, "ModelConfig", many=True),),
    "ModelConfig": (
        _Field("name", 1, "string"),
        _Field("base_path", 2, "string"),
        _Field("model_type", 3, "ModelType"),
        _Field("model_platform", 4, "string"),
        _Field("logging_config", 6, "LoggingConfig"),
        _Field("model_version_policy", 7, "ServableVersionPolicy"),
        _Field("version_labels", 8, "VersionLabel", many=True),
        _Field("tiphys_chains", 9001, "Chain", many=True),
        _Field("tiphys_weights", 9002, "Weight", many=True),
    ),
    "VersionLabel": (_Field("key", 1, "string"), _Field("value", 2, "int64")),  # a map's entry in text
    "Chain": (_Field("label", 1, "string"), _Field("versions", 2, "int64", many=True)),
    "Weight": (_Field("version", 1, "int64"), _Field("percent", 2, "double"), _Field("label", 3, "string")),
    "ServableVersionPolicy": (
        _Field("latest", 100, "Latest", oneof="policy_choice"),
        _Field("all", 101, "All", oneof="policy_choice"),
        _Field("specific", 102, "Specific", oneof="policy_choice"),
    ),
    "Latest": (_Field("num_versions", 1, "uint32"),),
    "All": (),
    "Specific": (_Field("versions", 1, "int64", many=True),),
    "LoggingConfig": (
        _Field("log_collector_config", 1, "LogCollectorConfig"),
        _Field("sampling_config", 2, "SamplingConfig"),
        _Field("custom_logging_config", 3, _ANY),
    ),
    "LogCollectorConfig": (_Field("type", 1, "string"), _Field("filename_prefix", 2, "string")),
    "SamplingConfig": (
        _Field("sampling_rate", 1, "double"),
        _Field("attributes", 2, "int32"),
        _Field("per_task_sampling_configs", 3, "PerTaskSamplingConfig", many=True),
    ),
    "PerTaskSamplingConfig": (
        _Field("dc", 1, "string"),
        _Field("task_index", 2, "int32"),
        _Field("sampling_rate", 3, "double"),
    ),
    "BatchingParameters": (
        _Field("max_batch_size", 1, _INT64),
        _Field("batch_timeout_micros", 2, _INT64),
        _Field("max_enqueued_batches", 3, _INT64),
        _Field("num_batch_threads", 4, _INT64),
        _Field("thread_pool_name", 5, _WRAPPER.format("String")),
        _Field("allowed_batch_sizes", 6, "int64", many=True),
        _Field("pad_variable_length_inputs", 7, "bool"),
        _Field("enable_large_batch_splitting", 8, _BOOL),
        _Field("max_execution_batch_size", 9, _INT64),
    ),
    "MonitoringConfig": (_Field("prometheus_config", 1, "PrometheusConfig"),),
    "PrometheusConfig": (_Field("enable", 1, "bool"), _Field("path", 2, "string")),
}
_MODEL_TYPES = ("MODEL_TYPE_UNSPECIFIED", "TENSORFLOW", "OTHER")


def read_text(name: str, text: str) -> JsonObject:
    """The message ``name`` (``ModelServerConfig``, ``BatchingParameters``, ``MonitoringConfig``) in protobuf's text
    format, as JSON with the names of its fields: 64-bit integers are text there. Raises ConfigTextError, ImportError
    without protobuf."""
    from google.protobuf import json_format, text_format

    message = _classes()[name]()
    try:
        text_format.Parse(text, message)
        found = json_format.MessageToDict(message, preserving_proto_field_name=True)
    except (text_format.ParseError, json_format.Error, RecursionError) as error:
        raise ConfigTextError(str(error)[:_LONGEST] or "nested too deeply") from None
    return cast("JsonObject", found)


@cache
def _classes() -> dict[str, type[Message]]:
    """The class of each message."""
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    file = descriptor_pb2.FileDescriptorProto(
        name="tiphys/serving/config.proto", package=_PACKAGE, syntax="proto3"
    )
    pool = descriptor_pool.DescriptorPool()
    for each in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(each.DESCRIPTOR.serialized_pb)
        file.dependency.append(each.DESCRIPTOR.name)
    model_type = file.enum_type.add(name="ModelType")
    for number, value in enumerate(_MODEL_TYPES):
        model_type.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        oneofs: list[str] = []
        for field in fields:
            added = message.field.add(name=field.name, number=field.number)
            added.label = added.LABEL_REPEATED if field.many else added.LABEL_OPTIONAL
            scalar = getattr(added, f"TYPE_{field.type.upper()}", None)
            if field.type == "ModelType":
                added.type, added.type_name = added.TYPE_ENUM, f".{_PACKAGE}.ModelType"
            elif scalar is not None:
                added.type = scalar
            else:
                added.type = added.TYPE_MESSAGE
                added.type_name = f".{field.type}" if "." in field.type else f".{_PACKAGE}.{field.type}"
            if field.oneof:
                if field.oneof not in oneofs:
                    oneofs.append(field.oneof)
                    message.oneof_decl.add(name=field.oneof)
                added.oneof_index = oneofs.index(field.oneof)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }
