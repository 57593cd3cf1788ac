"""The Argo UI on the runs of this machine: the user's own ``argo server``, which asks this server as it would ask a
cluster. Nothing of Argo is shipped.

It listens on all addresses of the machine and has no option for that, so it is started with ``--auth-mode=client``:
whoever has no token sees nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tiphys.errors import RefusedError
from tiphys.store.files import replacing

__all__ = ["ARGO_PORT", "argo_ui"]

ARGO_PORT = 2746
_SECONDS = 30.0  # in which it has to answer; it takes one
_PERIOD = 0.05
_END = 2.0  # seconds that it has to end; it takes longer than that while a page is open
_SERVICES = (
    "info",
    "workflows/argo",
    "workflow-templates/argo",
    "cluster-workflow-templates",
    "cron-workflows/argo",
)
# without these a dialogue covers the first page
_QUIET = {"FIRST_TIME_USER_MODAL": "false", "FEEDBACK_MODAL": "false", "NEW_VERSION_MODAL": "false"}


@contextlib.contextmanager
def argo_ui(kubeconfig: Path, token: str, *, port: int = ARGO_PORT, program: str = "") -> Iterator[str]:
    """Start ``argo server`` for the server that ``kubeconfig`` leads to, and end it; the URL, once it answers.

    Raises
    ------
    RefusedError
        TIP276: there is no ``argo`` on the PATH, or it ended (what it said is told) or did not answer.
    """
    found = program or shutil.which("argo")
    if found is None:
        raise RefusedError(
            "TIP276",
            "the Argo UI is part of the program argo, which is not on the PATH",
            fix="install argo 4",
        )
    log = kubeconfig.parent / "argo-server.log"
    command = [found, "server", "--auth-mode=client", "--namespaced", "--secure=false"]
    command += [f"--port={port}", "--browser=false"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env={**os.environ, **_trusting(kubeconfig.parent), **_QUIET, "KUBECONFIG": str(kubeconfig)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    url = f"http://localhost:{port}"
    try:
        _wait(process, url, token, log)
        yield url
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END)
        process.kill()
        process.wait()


def _trusting(folder: Path) -> dict[str, str]:
    """The environment of a program that takes the server's own certificate beside those it takes anyhow: it fetches
    artifacts from there."""
    own, roots = folder / "server.crt", folder / "roots.pem"
    if not own.is_file():
        return {}
    usual = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    known = Path(usual).read_bytes() if usual and os.path.isfile(usual) else b""
    with replacing(roots) as stream:
        stream.write(known + b"\n" + own.read_bytes())
    return {"SSL_CERT_FILE": str(roots)}


def _wait(process: subprocess.Popen[bytes], url: str, token: str, log: Path) -> None:
    """Until each of its services answers, from our server: it dials them one by one."""
    until = time.monotonic() + _SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    left = list(_SERVICES)
    while left and time.monotonic() < until and process.poll() is None:
        asked = urllib.request.Request(
            f"{url}/api/v1/{left[0]}", headers={"Authorization": f"Bearer {token}"}
        )
        try:
            with opener.open(asked, timeout=5):
                left.pop(0)
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in (429, 503):  # another answer is one
                    left.pop(0)
        except OSError:
            pass
        time.sleep(_PERIOD)
    if not left:
        return
    said = log.read_text(errors="replace").strip().splitlines()
    raise RefusedError(
        "TIP276",
        "the argo server ended" if process.poll() is not None else "the argo server does not answer",
        where=" ".join(str(each) for each in process.args) if isinstance(process.args, list) else "",
        cause=said[-1] if said else "",
        fix=f"{log} has what it said; another port: --argo-port",
    )
