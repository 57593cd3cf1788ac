"""``tiphys ui``: a link to the page, and the user's own Argo UI."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.lint.places import argo_binary
from tests.server.running import server
from tests.server.test_argo_ui import free_port


def ui(store: Path, *words: str, path: str = "") -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tiphys",
        "ui",
        "--store",
        str(store),
        "--port",
        "0",
        "--no-browser",
        *words,
    ]
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "PATH": path or os.environ["PATH"]}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def listed(url: str, token: str) -> object:
    request = urllib.request.Request(
        f"{url}/api/v1/workflows/argo", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["items"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from None


@pytest.mark.parametrize("running", [False, True], ids=["begins a server", "finds a server"])
def test_the_argo_ui_ends_with_the_command(tmp_path: Path, *, running: bool) -> None:
    store = tmp_path / "store"
    words = ("--argo", "--argo-port", str(free_port()))

    def look() -> None:
        with ui(store, *words, path=f"{os.path.dirname(argo_binary())}:{os.environ['PATH']}") as process:
            assert process.stdout is not None
            try:
                if not running:
                    assert process.stdout.readline().startswith("tiphys server on ")
                url = process.stdout.readline().strip()
                assert url == f"http://localhost:{words[-1]}", process.stderr
                assert f"cat {store / 'server' / 'token'}" in process.stdout.readline()
                assert listed(url, (store / "server" / "token").read_text().strip()) in (None, [])
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
        with pytest.raises(urllib.error.URLError):
            listed(url, "x")

    if running:
        with server(store):
            look()
    else:
        look()


def test_without_argo_the_command_ends_and_says_why(tmp_path: Path) -> None:
    with ui(tmp_path / "store", "--argo", path="/usr/bin:/bin") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "TIP276" in errors
    assert "Traceback" not in errors


def test_the_link_is_good_once(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with server(store) as running, ui(store) as process:
        link, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        path = link.strip().removeprefix(running.url)
        assert "HttpOnly" in running.ask("GET", path).headers["Set-Cookie"]
        again = running.ask("GET", path)
        assert (again.status_code, again.headers.get("Set-Cookie")) == (401, None)
