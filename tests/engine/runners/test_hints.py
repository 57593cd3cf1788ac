"""What is said of a step that failed for a connection: in the words of the programs that people use."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import Recorder, execute, python, sandboxed, shell, workflow
from tiphys.engine import Notice
from tiphys.engine.runners import network

pytestmark = sandboxed


@pytest.fixture(autouse=True)
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "way_out", list)


def told(tmp_path: Path, template: dict[str, Any], **options: Any) -> str:
    recorder = Recorder()
    result = execute(tmp_path, workflow(template), observer=recorder, runner="sandbox", **options)
    assert not result.succeeded
    return " ".join(each.text for each in recorder.of(Notice) if each.code == "TIP275")


_PROGRAMS = {
    "python": python("main", "import urllib.request as u; u.urlopen('http://nobody.invalid/')"),
    "number": python("main", "import socket; socket.create_connection(('192.0.2.1', 80), 5)"),
    "curl": shell("main", "curl -sS http://nobody.invalid/"),
    "git": shell("main", "git clone https://nobody.invalid/x /tmp/x"),
    "pip": shell(
        "main", "python -m pip --isolated download --retries 1 -i https://nobody.invalid/ nothing -d /tmp"
    ),
}


@pytest.mark.parametrize("program", _PROGRAMS)
def test_nothing_outside(tmp_path: Path, program: str) -> None:
    if shutil.which(program) is None and program in ("curl", "git"):
        pytest.skip(f"no {program} here")
    text = told(tmp_path, _PROGRAMS[program])
    assert "passt is not installed" in text
    assert "--network host" in text


def test_a_service_of_this_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ask = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        assert "a service of this machine" in told(tmp_path, python("main", ask))


def test_a_proxy_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://localhost:3128")
    monkeypatch.setenv("no_proxy", "")
    text = told(tmp_path, python("main", "import urllib.request as u; u.urlopen('http://nobody.invalid/')"))
    assert "the proxy in http_proxy" in text


@pytest.mark.parametrize("options", [{}, {"network": "host"}], ids=["run", "host"])
def test_of_other_failures_nothing_is_said(tmp_path: Path, options: dict[str, str]) -> None:
    assert told(tmp_path, shell("main", "echo wrong; exit 3"), **options) == ""
    if options:
        refused = python("main", "import socket; socket.create_connection(('127.0.0.1', 1), 5)")
        assert told(tmp_path, refused, **options) == ""
