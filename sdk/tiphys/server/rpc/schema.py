"""What messages and methods Argo's gRPC API has: read from the user's own ``argo``, which is a program in Go that has
been linked with their descriptors (gzipped ``FileDescriptorProto``, as protobuf's generated code for Go registers
them). So nothing of Argo is kept here, and a newer ``argo`` brings its newer messages.

Each method has a rule (``google.api.http``) that says which operation of the HTTP API it is.
"""

from __future__ import annotations

import functools
import mmap
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from tiphys.errors import RefusedError

__all__ = ["Method", "methods_of"]

_GZIP = b"\x1f\x8b\x08"
_LARGEST = 4 << 20  # bytes of a descriptor; the largest known has 160 KB
_SERVICE = "pkg/apiclient/"
_HTTP = 72295728  # the number of the option google.api.http
_VERBS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Method:
    """A method of the API. ``verb`` and ``path`` (``/api/v1/workflows/{namespace}``) are of the operation that it is;
    ``body``: the field that is sent as its body, ``*`` for the request itself, or nothing."""

    name: str  # /workflow.WorkflowService/GetWorkflow
    request: type[Message]
    reply: type[Message]
    streams: bool
    verb: str
    path: str
    body: str


def methods_of(program: Path) -> Mapping[str, Method]:
    """The methods that an ``argo`` knows, by name.

    Raises
    ------
    RefusedError
        TIP276: the file cannot be read, or has no such descriptors.
    """
    try:
        files = {each.name: each for each in _descriptors(program)}
    except (OSError, ValueError) as error:
        raise _unknown(program, str(error)) from error
    services = [name for name, each in files.items() if name.startswith(_SERVICE) and each.service]
    if not services:
        raise _unknown(program, "it has no descriptors of Argo's API")
    pool = _pool(files)
    found = {}
    for name in sorted(services):
        for service in pool.FindFileByName(name).services_by_name.values():
            for method in service.methods:
                made = _method(method)
                if made is not None:
                    found[made.name] = made
    return found


def _unknown(program: Path, cause: str) -> RefusedError:
    return RefusedError(
        "TIP276",
        "the messages of Argo's gRPC API cannot be read",
        where=str(program),
        cause=cause,
        fix="install argo 4, whose program has them, or let clients use HTTP: ARGO_HTTP1=true",
    )


def _descriptors(program: Path) -> Iterator[descriptor_pb2.FileDescriptorProto]:
    with program.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        at = text.find(_GZIP)
        while at >= 0:
            if (found := _descriptor(text, at)) is not None:
                yield found
            at = text.find(_GZIP, at + 1)


def _descriptor(text: mmap.mmap, at: int) -> descriptor_pb2.FileDescriptorProto | None:
    """What begins at a position, when it is a descriptor."""
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacking.decompress(text[at : at + _LARGEST], _LARGEST)
    except zlib.error:
        return None
    if not unpacking.eof or not unpacked.startswith(b"\n"):  # its first field is its name
        return None
    found = descriptor_pb2.FileDescriptorProto()
    try:
        found.ParseFromString(unpacked)
    except DecodeError:
        return None
    return found if found.name.endswith(".proto") else None


def _pool(files: Mapping[str, descriptor_pb2.FileDescriptorProto]) -> descriptor_pool.DescriptorPool:
    """All that is there. Imports are named as the sources were laid out when they were compiled, which is not always
    how the files are registered; so each imports what has the types that it names."""
    homes = {}
    for each in files.values():
        for message in each.message_type:
            homes[f".{each.package}.{message.name}"] = each.name
        for enum in each.enum_type:
            homes[f".{each.package}.{enum.name}"] = each.name
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(name: str) -> None:
        if name in added:
            return
        added.add(name)
        file = files[name]
        needed = {homes[used] for used in _types(file, homes)} - {name}
        for other in sorted(needed):
            add(other)
        del file.dependency[:], file.public_dependency[:], file.weak_dependency[:]
        file.dependency.extend(sorted(needed))
        pool.Add(file)

    for name in sorted(files):
        if name.startswith(_SERVICE):
            add(name)
    return pool


def _types(file: descriptor_pb2.FileDescriptorProto, homes: Mapping[str, str]) -> Iterator[str]:
    """The types of other files that one names, without what is nested in them."""

    def of(message: descriptor_pb2.DescriptorProto) -> Iterator[str]:
        for field in message.field:
            if field.type_name:
                yield field.type_name
        for nested in message.nested_type:
            yield from of(nested)

    named = [name for message in file.message_type for name in of(message)]
    named += [
        name for service in file.service for m in service.method for name in (m.input_type, m.output_type)
    ]
    for name in named:
        while name and name not in homes:
            name = name.rpartition(".")[0]  # it is nested
        if name:
            yield name


@functools.cache
def _rules() -> type[Message]:
    """The options of a method, as far as the rule: see google/api/http.proto for the numbers of its fields."""
    file = descriptor_pb2.FileDescriptorProto(name="tiphys/rule.proto", package="tiphys", syntax="proto2")
    kind = descriptor_pb2.FieldDescriptorProto
    rule = file.message_type.add(name="Rule")
    for number, name in enumerate((*_VERBS, "body"), 2):
        rule.field.add(name=name, number=number, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL)
    options = file.message_type.add(name="Options")
    options.field.add(
        name="http", number=_HTTP, type=kind.TYPE_MESSAGE, type_name=".tiphys.Rule", label=kind.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made: type[Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName("tiphys.Options"))
    return made


def _method(method: MethodDescriptor) -> Method | None:
    """A method of which it is said what operation it is."""
    rule = _rules().FromString(method.GetOptions().SerializeToString()).http
    verb = next((each for each in _VERBS if getattr(rule, each)), "")
    if not verb or method.client_streaming:
        return None
    request, reply = (
        message_factory.GetMessageClass(each) for each in (method.input_type, method.output_type)
    )
    return Method(
        f"/{method.containing_service.full_name}/{method.name}",
        request,
        reply,
        method.server_streaming,
        verb.upper(),
        getattr(rule, verb),
        rule.body,
    )
