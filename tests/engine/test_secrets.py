"""Passwords and Secrets are in no message and in no record that others can read.

A URL's password is written as Go's net/http writes it in its errors (``stripPassword``): ``http://user:***@host``.
"""

from __future__ import annotations

import http.server
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.harness import execute, node, shell, workflow
from tiphys.errors import RefusedError, redacted
from tiphys.lint import lint

PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def refusing() -> Iterator[int]:
    """The port of a server that refuses everybody."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def spec_of(kind: str, address: str) -> dict[str, object]:
    url = f"http://someone:{PASSWORD}@{address}/data"
    if kind == "template":
        return workflow({"name": "main", "http": {"url": url}})
    place = {"http": {"url": url}} if kind == "artifact" else {"git": {"repo": url}}
    return workflow(shell("main", "true", inputs={"artifacts": [{"name": "a", "path": "/tmp/a", **place}]}))


@pytest.mark.parametrize("kind", ["artifact", "git", "template"])
@pytest.mark.parametrize("there", [True, False])
def test_the_password_of_a_url_is_in_no_message(
    tmp_path: Path, refusing: int, kind: str, there: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{refusing if there else 1}"
    result = execute(tmp_path, spec_of(kind, address))
    assert not result.succeeded
    said = str(result.workflow["status"]["message"]) + str(node(result, result.name)["message"])
    assert address in said and PASSWORD not in said
    if kind != "git":  # git leaves all of it out
        assert "someone:***@" in said or kind == "template"
    assert PASSWORD not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("Get \"http://a:b@h/x\": no", "Get \"http://a:***@h/x\": no"),
        ("https://a:b:c@h and ftp://x:y@z", "https://a:***@h and ftp://x:***@z"),
        ("https://:b@h", "https://:***@h"),
        ("https://a:p@ss@h/x", "https://a:***@h/x"),
        ("https://a@h", "https://a@h"),
        ("https://h:8080/a@b", "https://h:8080/a@b"),
        ("a:b@h", "a:b@h"),
    ],
)  # fmt: skip
def test_what_is_left_of_a_url(text: str, right: str) -> None:
    assert redacted(text) == right


def test_no_error_has_a_password() -> None:
    error = RefusedError(
        "TIP201", *["http://a:b@h"], where="http://a:b@h", cause="http://a:b@h", fix="http://a:b@h"
    )
    assert str(error).count("http://a:***@h") == 4 and ":b@" not in str(error) + repr(error)


@pytest.mark.parametrize("kind", ["artifact", "git"])
def test_lint_finds_it_where_it_is_written(kind: str) -> None:
    import json

    found = [each for each in lint(json.dumps(spec_of(kind, "example.org"))) if each.code == "L354"]
    assert len(found) == 1 and PASSWORD not in str(found[0])


def test_the_records_of_a_run_are_its_owners(tmp_path: Path) -> None:
    """Whatever the umask: the folder cannot be entered, the workflow and the journal not be read."""
    before = os.umask(0)
    try:
        result = execute(tmp_path, workflow(shell("main", "echo secret")))
    finally:
        os.umask(before)
    assert result.succeeded
    assert stat.S_IMODE(result.folder.stat().st_mode) == 0o700
    for name in ("workflow.json", "journal.db"):
        assert stat.S_IMODE((result.folder / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((tmp_path / "store" / "ended.jsonl").stat().st_mode) == 0o600
