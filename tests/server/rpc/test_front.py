"""Calls of the real argo by gRPC, and what the HTTP API is asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lint.places import argo_binary
from tests.server.rpc.echo import Echo, echo
from tiphys.server.rpc.front import operation
from tiphys.server.rpc.schema import methods_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def there() -> Iterator[Echo]:
    with echo(argo_binary()) as found:
        yield found


def argo(there: Echo, *words: str) -> subprocess.CompletedProcess[str]:
    """With gRPC, which is what argo speaks to a server when it is not told otherwise."""
    env = {
        "HOME": os.environ.get("HOME", "/"),
        "KUBECONFIG": "/dev/null",
        "ARGO_SERVER": f"127.0.0.1:{there.port}",
        "ARGO_TOKEN": "Bearer secret",
        "ARGO_SECURE": "false",
        "ARGO_NAMESPACE": "argo",
    }
    return subprocess.run(
        [argo_binary(), *words], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_call_is_a_request_with_the_callers_token(there: Echo) -> None:
    said = argo(there, "list")
    assert "hello" in said.stdout, said.stderr
    assert "Running" in said.stdout
    method, path, query, _ = there.asked[-1]
    assert (method, path) == ("GET", "/api/v1/workflows/argo")
    assert "listOptions.limit" not in query  # zero: nobody said it
    assert query["fields"].startswith("metadata,items.metadata")
    assert "Bearer secret" in there.tokens


def test_an_object_arrives_as_it_was_written(there: Echo) -> None:
    said = argo(there, "submit", str(ROOT / "tests" / "golden" / "hello.yaml"), "-p", "name=you")
    assert "made" in said.stdout, said.stderr
    given = there.asked[-1][3]
    assert isinstance(given, dict)
    assert given["workflow"]["kind"] == "Workflow"
    assert given["workflow"]["spec"]["arguments"]["parameters"][0]["value"] == "you"
    assert given["workflow"]["metadata"]["generateName"] == "hello-"


def test_an_error_keeps_its_code_and_its_words(there: Echo) -> None:
    said = argo(there, "get", "missing")
    assert said.returncode == 1
    assert 'code = NotFound desc = workflows.argoproj.io "missing" not found' in said.stderr


def test_streams_come_as_they_are_written_and_end_with_their_reader(there: Echo) -> None:
    there.gone.clear()
    said = argo(there, "wait", "hello")  # its second event ends it, the stream goes on
    assert "hello Succeeded" in said.stdout, said.stderr
    assert there.gone.wait(10)
    lines = argo(there, "logs", "hello", "--no-color").stdout.splitlines()
    assert lines == [f"hello: line {n}" for n in range(3000)]


def test_a_method_that_there_is_not_is_unimplemented(there: Echo) -> None:
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{there.port}") as channel:
        call = channel.unary_unary("/workflow.WorkflowService/Nonsense")
        with pytest.raises(grpc.RpcError) as told:
            call(b"", timeout=10)
    assert told.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_path_holds_one_part_for_each_field() -> None:
    """No name of an object can lead to another operation."""
    method = methods_of(Path(argo_binary()))["/workflow.WorkflowService/GetWorkflow"]
    asked = operation(method, method.request(namespace="argo", name="a/../b?x=1", fields="status"))
    assert (asked.path, asked.query) == ("/api/v1/workflows/argo/a%2F..%2Fb%3Fx%3D1", "fields=status")
