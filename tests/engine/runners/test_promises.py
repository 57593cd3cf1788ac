"""docs/runners.md: each line names a test that is there; and what plain processes do not promise is really so."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.engine.harness import RUNNERS, execute, log, shell, workflow

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/runners.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]


def test_the_page_has_lines() -> None:
    tables = [line for line in PAGE.split("## Line by line")[1].split("## What the sandbox")[0].splitlines()]
    rows = [line for line in tables if line.startswith("|") and not re.match(r"\|(-|.*\| test \|$)", line)]
    assert len(rows) >= 30
    assert rows == LINES  # none without a test


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.rstrip("` |").rpartition("::")[2])
def test_each_line_names_a_test(line: str) -> None:
    found = re.findall(r"`(test_\w+\.py)::(test_\w+)`", line)
    assert len(found) == 1
    (place,) = ROOT.glob(f"tests/**/{found[0][0]}")
    assert f"\ndef {found[0][1]}(" in place.read_text(encoding="utf-8")


@pytest.mark.parametrize("runner", RUNNERS)
def test_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: str) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("TIPHYS_TEST_TOKEN", "hidden")
    monkeypatch.setenv("TZ", "Europe/Athens")
    result = execute(tmp_path, workflow(shell("main", "env")), runner=runner)
    assert "hidden" not in log(result, result.name)
    assert "TZ=Europe/Athens\n" in log(result, result.name)


def test_plain_processes_see_what_you_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:word@proxy:3128/")
    secret = tmp_path / "secret"
    secret.write_text("mine\n")
    up = "../../../../.."  # from its own folder: runs/NAME/nodes/NUMBER in the store
    script = f"cat {up}/secret; ls {up}/store/runs; ls -d /proc/{os.getpid()}; env | grep ^HTTPS_; echo x > {up}/secret"
    result = execute(tmp_path, workflow(shell("main", script)))
    first, run, process, proxy = log(result, result.name).splitlines()
    assert (first, run) == ("mine", result.name)
    assert (process, proxy) == (f"/proc/{os.getpid()}", "HTTPS_PROXY=http://user:word@proxy:3128/")
    assert secret.read_text() == "x\n"
