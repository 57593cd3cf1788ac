"""The methods that the user's argo knows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from tests.lint.places import argo_binary
from tiphys.errors import RefusedError
from tiphys.server.rpc.schema import methods_of


def test_a_method_says_what_operation_it_is() -> None:
    """As Argo's documentation of its HTTP API has them."""
    known = methods_of(Path(argo_binary()))
    submit = known["/workflow.WorkflowService/SubmitWorkflow"]
    assert (submit.verb, submit.path, submit.body) == ("POST", "/api/v1/workflows/{namespace}/submit", "*")
    log = known["/workflow.WorkflowService/WorkflowLogs"]
    assert (log.verb, log.path, log.body) == ("GET", "/api/v1/workflows/{namespace}/{name}/log", "")
    assert log.streams
    assert not submit.streams
    services = {name.split("/")[1].rpartition(".")[2] for name in known}
    assert services >= {
        "WorkflowService",
        "WorkflowTemplateService",
        "ClusterWorkflowTemplateService",
        "CronWorkflowService",
        "ArchivedWorkflowService",
        "InfoService",
        "SyncService",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no program",
        gzip.compress(b"\n\x05hello", mtime=0),
        gzip.compress(b"\nx" * 100, mtime=0),
        b"\x1f\x8b\x08" * 50,
    ],
    ids=["empty", "text", "another gzip", "no descriptor", "no gzip"],
)
def test_what_has_no_messages_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "argo"
    file.write_bytes(content)
    with pytest.raises(RefusedError) as told:
        methods_of(file)
    assert told.value.code == "TIP276"


def test_a_service_that_is_not_argos_is_none(tmp_path: Path) -> None:
    file = descriptor_pb2.FileDescriptorProto(name="other/a.proto", package="a")
    file.message_type.add(name="M")
    file.service.add(name="S").method.add(name="F", input_type=".a.M", output_type=".a.M")
    program = tmp_path / "program"
    program.write_bytes(b"before" + gzip.compress(file.SerializeToString()) + b"after")
    with pytest.raises(RefusedError, match="gRPC"):
        methods_of(program)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as told:
        methods_of(tmp_path / "argo")
    assert told.value.code == "TIP276"
    assert "No such file" in (told.value.cause or "")
