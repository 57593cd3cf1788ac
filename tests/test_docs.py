"""Every Python block of the README and of docs/ runs; every shell line that starts with `tiphys` parses.

A block is skipped only when its fence says why: ```python no-run: needs a cluster.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.M | re.S)


def blocks(language: str) -> list[pytest.param]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match["info"].split()[:1] == [language]:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match["info"], match["body"], id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize(("info", "body"), blocks("python"))
def test_python_blocks_run(info: str, body: str, tmp_path: Path) -> None:
    if "no-run:" in info:
        compile(body, "block", "exec")
        return
    script = tmp_path / "block.py"
    script.write_text(body, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("info", "body"), blocks("sh"))
def test_tiphys_commands_exist(info: str, body: str) -> None:
    from tiphys.cli import parser

    for line in body.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["tiphys"]:
            cut = next((i for i, word in enumerate(words) if word in ("|", ">", "&&")), len(words))
            parser().parse_args(words[1:cut])
