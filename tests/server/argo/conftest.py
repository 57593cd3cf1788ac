"""A server, and who asks it: Hera's own client and the real ``argo``, as their users set them up."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hera.workflows import WorkflowsService

from tests.server.running import Running, server

BINARY = Path("/var/lib/testcluster/bin/argo")
Ask = Callable[..., str]


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("server") / "store") as found:
        yield found


@pytest.fixture(scope="package")
def hera(running: Running) -> WorkflowsService:
    return WorkflowsService(
        host=running.url,
        token=running.token,
        verify_ssl=running.certificate,  # type: ignore[arg-type]  # it hands it to requests
        namespace="argo",
    )


@pytest.fixture(scope="package")
def argo(running: Running) -> Ask:
    """The real ``argo``, which asks the Argo Server at that address in HTTP/1.1."""
    binary = str(BINARY) if BINARY.exists() else shutil.which("argo")
    if binary is None:
        pytest.skip("the argo binary is not here")
    env = {
        **os.environ,
        "KUBECONFIG": "/dev/null",
        "ARGO_SERVER": running.url.removeprefix("https://"),
        "ARGO_HTTP1": "true",
        "ARGO_TOKEN": f"Bearer {running.token}",
        "ARGO_SECURE": "true",
        "ARGO_INSECURE_SKIP_VERIFY": "true",
        "ARGO_NAMESPACE": "argo",
    }

    def ask(*words: str, check: bool = True, **options: object) -> str:
        done = subprocess.run(
            [binary, *words],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            **options,  # type: ignore[call-overload]
        )
        assert not check or not done.returncode, (words, done.stdout, done.stderr)
        return str(done.stdout + done.stderr)

    return ask
