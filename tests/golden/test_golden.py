"""The YAML of every pipeline in ``pipelines/`` is what it was, and what the real ``argo lint`` accepts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.regenerate import GOLDEN, PICTURE, ROOT, compiled, masked, picture
from tests.tools import argo_lint

FOLDER = Path(__file__).parent


def test_every_pipeline_has_a_golden_file() -> None:
    pipelines = {p.name for p in (ROOT / "pipelines").glob("*.py") if not p.name.startswith("_")}
    assert pipelines == set(GOLDEN.values())


@pytest.mark.parametrize("name", GOLDEN)
def test_the_yaml_is_the_golden_one(name: str) -> None:
    golden = (FOLDER / name).read_text(encoding="utf-8")
    assert masked(compiled(GOLDEN[name])) == masked(golden), "run: python tests/golden/regenerate.py"


@pytest.mark.parametrize("name", GOLDEN)
def test_argo_lint_accepts_it(name: str, tmp_path: Path) -> None:
    assert argo_lint(compiled(GOLDEN[name]), tmp_path) == ""


def test_the_picture_is_the_golden_one() -> None:
    assert picture() == PICTURE.read_text(encoding="utf-8"), "run: python tests/golden/regenerate.py"


def test_another_process_writes_the_same_bytes() -> None:
    """Hash seeds, the folder and the order of imports change nothing."""
    program = (
        "import sys; from tiphys.compiler.compile import to_yaml; from tiphys.compiler.load import load; "
        "sys.stdout.write(to_yaml(load(sys.argv[1], {})))"
    )
    path = ROOT / "pipelines" / "fashion_mnist.py"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            cwd=folder,
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed, folder in (("1", "/"), ("2", str(ROOT)))
    }
    assert texts == {compiled("fashion_mnist.py")}
