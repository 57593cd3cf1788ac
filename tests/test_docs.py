"""Every Python block of the README and of docs/ runs; every shell line that starts with `tiphys` parses.

A block is skipped only when its fence says why: ```python no-run: needs a cluster.
"""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import nbformat
import pytest

from scripts.notebook import notebook
from tests.notebooks import executed
from tiphys import dsl

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.M | re.S)


def blocks(language: str, pages: Iterable[Path] = PAGES) -> list[pytest.param]:
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match["info"].split()[:1] == [language]:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match["info"], match["body"], id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize(("info", "body"), blocks("python", [page for page in PAGES if page != TUTORIAL]))
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


def test_the_tutorial_runs_as_a_notebook(tmp_path: Path) -> None:
    """Its blocks one after the other, in a real kernel; what it says that they print, they print."""
    written = (DOCS / "tutorial.ipynb").read_text()
    assert written == notebook(TUTORIAL.read_text()), "python scripts/notebook.py"
    cells = executed(nbformat.reads(written, as_version=4), tmp_path)
    printed = "".join(cells)
    said = [match["body"] for match in FENCE.finditer(TUTORIAL.read_text()) if match["info"] == "text"]
    assert len(said) == 3 and all(each in printed for each in said), printed


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--quiet"]
    done = subprocess.run(
        [*command, "-d", tmp_path / "trees", DOCS, tmp_path / "site"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site/reference/pipelines.html").read_text()
    public = [
        name
        for name in dsl.__all__
        if inspect.isroutine(found := getattr(dsl, name)) or inspect.isclass(found)
    ]
    assert [name for name in public if f'id="tiphys.dsl.{name}"' not in page] == []
    # it is read from a folder, without a network
    loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]+)"', page)
    assert loaded == []


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted((DOCS / "reference").glob("*.md"))], ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (page.parent / link).exists()]
    assert missing == []
