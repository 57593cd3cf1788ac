"""A file that the user names: whole or as it was, and told by the name that the user wrote."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tiphys.cli import main
from tiphys.compiler.output import write_atomically
from tiphys.errors import RunError

PIPELINE = Path(__file__).parents[2] / "pipelines" / "hello.py"
WORKFLOW = """apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: a-}
spec:
  entrypoint: main
  templates:
  - name: main
    memoize: {key: "a.b-{{workflow.name}}", maxAge: 14d, cache: {configMap: {name: c}}}
    container: {image: alpine, command: [echo]}
"""


@pytest.mark.parametrize("command", ["compile", "graph"])
def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    path = tmp_path / "nosuch" / "a.yaml"
    assert main([command, str(PIPELINE), "-o", str(path)]) == 1
    told = capsys.readouterr().err
    assert f"TIP302: {path} cannot be written: No such file or directory" in told
    assert f"cause: there is no folder {path.parent}" in told and "fix:" in told and ".tmp" not in told


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        write_atomically(tmp_path, "text")
    assert caught.value.code == "TIP302" and os.listdir(tmp_path) == []


def test_lint_repairs_a_file_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written into the file itself was half a file when the disk was full."""
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "a.yaml", tmp_path / "a.yaml"
    real.write_text(WORKFLOW)
    real.chmod(0o640)
    link.symlink_to(real)
    before = real.stat().st_ino

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main(["lint", "--fix", str(link)]) == 2
    assert real.read_text() == WORKFLOW and os.listdir(real.parent) == ["a.yaml"]
    main(["lint", "--fix", str(link)])
    assert "336h" in real.read_text() and real.stat().st_ino != before
    assert link.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o640
    assert os.listdir(real.parent) == ["a.yaml"]
