"""What `depends_on` gives to a key. Executed mutations: tests/dsl/test_keys.py."""

from __future__ import annotations

from pathlib import Path

from tiphys.compiler.line import Site
from tiphys.dsl.source.digest import depended


def test_a_folder_counts_by_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "a.csv").write_text("1")
    (tmp_path / "data" / "__pycache__").mkdir()
    site = Site(str(tmp_path / "p.py"), 1)
    first = depended(["data"], str(tmp_path), site)
    (tmp_path / "data" / "__pycache__" / "x.pyc").write_text("1")
    assert depended(["data"], str(tmp_path), site) == first
    (tmp_path / "data" / "deep" / "b.csv").write_text("1")
    assert depended(["data"], str(tmp_path), site) != first
    (tmp_path / "data" / "deep" / "b.csv").unlink()
    (tmp_path / "data" / "deep" / "a.csv").write_text("2")
    assert depended(["data"], str(tmp_path), site) != first
