"""Argo's objects between protobuf and JSON.

It is not protobuf's own JSON: Kubernetes and Argo write their structures with Go's ``encoding/json``. A field has the
name that it has in the descriptor; what is embedded in Go is a field there, and its content part of the object itself
in JSON; and some types have a form of their own (a time is a text, a quantity, a number or a text).

Go's encoding writes empty texts for those that are not there, so they are left out, but where an empty one says
something. Numbers and truth values are left as they came: zero is what a reader assumes, too.
"""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["from_message", "to_message"]

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"

_ARGO = "argoproj.io/v1alpha1"
_KINDS = frozenset(
    {"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow", "WorkflowEventBinding"}
)
_EMBEDDED = frozenset(
    {
        "Artifact.artifactLocation",
        "ArtifactPaths.artifact",
        "ArtifactRepositoryRefStatus.artifactRepositoryRef",
        "ArtifactoryArtifact.artifactoryAuth",
        "ArtifactoryArtifactRepository.artifactoryAuth",
        "AzureArtifact.azureBlobContainer",
        "AzureArtifactRepository.blobContainer",
        "ConfigMapEnvSource.localObjectReference",
        "ConfigMapKeySelector.localObjectReference",
        "ConfigMapProjection.localObjectReference",
        "ConfigMapVolumeSource.localObjectReference",
        "ContainerNode.container",
        "EphemeralContainer.ephemeralContainerCommon",
        "GCSArtifact.gCSBucket",
        "GCSArtifactRepository.gCSBucket",
        "HDFSArtifact.hDFSConfig",
        "HDFSArtifactRepository.hDFSConfig",
        "HDFSConfig.hDFSKrbConfig",
        "OSSArtifact.oSSBucket",
        "OSSArtifactRepository.oSSBucket",
        "Plugin.object",
        "Probe.handler",
        "S3Artifact.s3Bucket",
        "S3ArtifactRepository.s3Bucket",
        "ScriptTemplate.container",
        "SecretEnvSource.localObjectReference",
        "SecretKeySelector.localObjectReference",
        "SecretProjection.localObjectReference",
        "UserContainer.container",
        "Volume.volumeSource",
        "WorkflowLevelArtifactGC.artifactGC",
    }
)
_NAMES = {"CronWorkflowSpec.workflowMeta": "workflowMetadata", "SubmitOpts.entrypoint": "entryPoint"}
# texts of which an empty one is another thing than none
_EMPTY = frozenset(
    {
        "Outputs.exitCode",
        "Outputs.result",
        "Parameter.default",
        "Parameter.value",
        "PersistentVolumeClaimSpec.storageClassName",
        "ValueFrom.default",
    }
)


def _field(message: Message, field: FieldDescriptor) -> str:
    return f"{message.DESCRIPTOR.name}.{field.name}"


def _repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


# -- forms of their own ------------------------------------------------------------------------------------------------


def _time_to(message: Message, value: Json) -> None:
    if value:
        moment = datetime.datetime.fromisoformat(str(value))
        message.seconds = int(moment.timestamp() // 1)
        message.nanos = moment.microsecond * 1000


def _time_from(message: Message) -> Json:
    seconds: int = message.seconds
    nanos: int = message.nanos
    if not seconds and not nanos:
        return None
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    if nanos and message.DESCRIPTOR.name == "MicroTime":
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos // 1000:06d}Z"
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _either_to(message: Message, value: Json) -> None:
    if isinstance(value, str):
        message.type, message.strVal = 1, value
    else:
        message.type, message.intVal = 0, value


def _either_from(message: Message) -> Json:
    found: Json = message.strVal if message.type else message.intVal
    return found


def _text_to(name: str) -> Callable[[Message, Json], None]:
    def to(message: Message, value: Json) -> None:
        setattr(message, name, value if isinstance(value, str) else json.dumps(value))

    return to


def _json_to(name: str) -> Callable[[Message, Json], None]:
    def to(message: Message, value: Json) -> None:
        setattr(message, name, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())

    return to


def _json_from(name: str) -> Callable[[Message], Json]:
    def read(message: Message) -> Json:
        found: Json = json.loads(getattr(message, name) or "null")
        return found

    return read


def _steps_to(message: Message, value: Json) -> None:
    assert isinstance(value, list)
    for each in value:
        to_message(each, message.steps.add())


def _steps_from(message: Message) -> Json:
    return [from_message(each) for each in message.steps]


_FORMS: Mapping[str, tuple[Callable[[Message, Json], None], Callable[[Message], Json]]] = {
    "Time": (_time_to, _time_from),
    "MicroTime": (_time_to, _time_from),
    "IntOrString": (_either_to, _either_from),
    "Quantity": (_text_to("string"), lambda message: str(message.string)),
    "Amount": (_text_to("value"), _json_from("value")),
    "Item": (_json_to("value"), _json_from("value")),
    "Object": (_json_to("value"), _json_from("value")),
    "FieldsV1": (_json_to("Raw"), _json_from("Raw")),
    "RawExtension": (_json_to("raw"), _json_from("raw")),
    "ParallelSteps": (_steps_to, _steps_from),
}


# -- JSON to protobuf --------------------------------------------------------------------------------------------------


def to_message(value: Json, message: Message) -> None:
    """Fill a message with what an object says. What the message has no field for is left out, as Go does.

    Raises
    ------
    ValueError, TypeError
        What it says is no value of a field's type.
    """
    form = _FORMS.get(message.DESCRIPTOR.name)
    if form is not None:
        form[0](message, value)
        return
    if not isinstance(value, Mapping):
        raise TypeError(f"{message.DESCRIPTOR.name}: {value!r:.100} is no object")
    for field in message.DESCRIPTOR.fields:
        named = _field(message, field)
        if named in _EMBEDDED:
            inside = getattr(message, field.name)
            to_message(value, inside)
            if inside.ByteSize():
                inside.SetInParent()
            else:
                message.ClearField(field.name)
            continue
        given = value.get(_NAMES.get(named, field.name))
        if given is None:
            continue
        if _is_map(field):
            _fill_map(getattr(message, field.name), field, given)
        elif _repeated(field):
            _fill_list(getattr(message, field.name), field, given)
        elif field.message_type is not None:
            inside = getattr(message, field.name)
            inside.SetInParent()
            to_message(given, inside)
        else:
            setattr(message, field.name, _scalar(field, given))


def _scalar(field: FieldDescriptor, value: Json) -> Json | bytes:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64decode(str(value))
    if field.type == FieldDescriptor.TYPE_STRING and not isinstance(value, str):
        return json.dumps(value)  # a parameter's value may be a number
    return value


def _fill_map(into: MutableMapping[str, object], field: FieldDescriptor, value: Json) -> None:
    assert field.message_type is not None
    held = field.message_type.fields_by_name["value"]
    if not isinstance(value, Mapping):
        raise TypeError(f"{field.name}: {value!r:.100} is no object")
    for key, each in value.items():
        if held.message_type is not None:
            inside = into[key]  # which makes it
            assert isinstance(inside, Message)
            to_message(each if each is not None else {}, inside)
        else:
            into[key] = _scalar(held, each)


def _fill_list(into: Any, field: FieldDescriptor, value: Json) -> None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{field.name}: {value!r:.100} is no list")
    for each in value:
        if field.message_type is not None:
            to_message(each, into.add())
        else:
            into.append(_scalar(field, each))


# -- protobuf to JSON --------------------------------------------------------------------------------------------------


def from_message(message: Message) -> Json:
    """What a message says, as Go writes it. Objects of Argo have their ``apiVersion`` and ``kind``, which are no fields
    of the messages."""
    kind = message.DESCRIPTOR.name
    form = _FORMS.get(kind)
    if form is not None:
        return form[1](message)
    found: dict[str, Json] = {}
    if kind in _KINDS:
        found.update(apiVersion=_ARGO, kind=kind)
    for field, value in message.ListFields():
        named = _field(message, field)
        if named in _EMBEDDED:
            inside = from_message(value)
            assert isinstance(inside, Mapping)
            found.update(inside)
        elif (told := _told(field, value, named)) is not None:
            found[_NAMES.get(named, field.name)] = told
    return found


def _told(field: FieldDescriptor, value: object, named: str) -> Json:
    if _is_map(field):
        assert isinstance(value, Mapping)
        return {key: from_message(each) if isinstance(each, Message) else each for key, each in value.items()}
    if _repeated(field):
        assert isinstance(value, Sequence)
        return [from_message(each) if isinstance(each, Message) else each for each in value]
    if isinstance(value, Message):
        return from_message(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value == "" and named not in _EMPTY:
        return None
    assert isinstance(value, str | int | float)
    return value
