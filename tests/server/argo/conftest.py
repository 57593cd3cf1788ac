"""A server, and who asks it: Hera's own client and the real ``argo``, as their users set them up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest
from hera.workflows import WorkflowsService

from tests.lint.places import argo_binary
from tests.server.running import Running, server
from tests.tools import find_program

Ask = Callable[..., str]


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        if program := find_program("argo"):  # whose messages the server reads
            patch.setenv("PATH", os.path.dirname(program), prepend=os.pathsep)
        with server(tmp_path_factory.mktemp("server") / "store") as found:
            yield found


@pytest.fixture(scope="package")
def hera(running: Running) -> WorkflowsService:
    return service(running)


def service(running: Running) -> WorkflowsService:
    """Hera's client of a server."""
    return WorkflowsService(
        host=running.url,
        token=running.token,
        verify_ssl=running.certificate,  # type: ignore[arg-type]  # it hands it to requests
        namespace="argo",
    )


@pytest.fixture(scope="package")
def argo(running: Running) -> Ask:
    """The real ``argo``, which asks the Argo Server at that address in HTTP/1.1."""
    return asking({**of_server(running), "ARGO_HTTP1": "true"})


@pytest.fixture(scope="package")
def argo_by_grpc(running: Running) -> Ask:
    """The same by gRPC, which is what it speaks when it is not told otherwise."""
    return asking(of_server(running))


def of_server(running: Running) -> dict[str, str]:
    """What the real ``argo`` is told of an Argo Server."""
    return {
        "KUBECONFIG": "/dev/null",
        "ARGO_SERVER": running.url.removeprefix("https://"),
        "ARGO_TOKEN": f"Bearer {running.token}",
        "ARGO_SECURE": "true",
        "ARGO_INSECURE_SKIP_VERIFY": "true",
        "ARGO_NAMESPACE": "argo",
    }


@pytest.fixture(scope="package")
def argo_of_kubernetes(running: Running) -> Ask:
    """The real ``argo``, which asks the API server of a kubeconfig, and does itself what Argo Server does."""
    return asking({"KUBECONFIG": str(running.kubeconfig), "ARGO_NAMESPACE": "argo"})


def asking(settings: dict[str, str]) -> Ask:
    """The real ``argo`` with these settings."""
    binary = argo_binary()
    env = {key: value for key, value in os.environ.items() if not key.startswith("ARGO_")}

    def ask(*words: str, check: bool = True) -> str:
        done = subprocess.run(
            [binary, *words], env={**env, **settings}, capture_output=True, text=True, timeout=120
        )
        assert not check or not done.returncode, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    return ask
