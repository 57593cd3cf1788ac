"""How the files of what steps told are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiphys.store.reports import parted, report_files, reports_of


@pytest.mark.parametrize(
    ("name", "known", "parts"),
    [
        ("run-1", {"run-1"}, ("run-1", "")),
        ("run-1.worker-1", {"run-1"}, ("run-1", "worker-1")),
        ("a.worker-1", {"a.worker-1"}, ("a.worker-1", "")),  # so may a workflow be called
        ("a.worker-1.chief-0", {"a.worker-1"}, ("a.worker-1", "chief-0")),
        ("run-1.worker-1.worker-1", {"run-1"}, ("run-1", "worker-1")),  # by the engine and by itself
        ("run-1.worker-x", set(), ("run-1.worker-x", "")),
    ],
)
def test_a_name_has_its_parts(name: str, known: set[str], parts: tuple[str, str]) -> None:
    assert parted(name, known) == parts


def test_only_files_of_reports_are_found(tmp_path: Path) -> None:
    for worker in ("", "worker-1"):
        folder = Path(reports_of(tmp_path, "run-1", worker))
        folder.mkdir(parents=True)
        (folder / "report.jsonl").touch()
        (folder / "other").touch()
    (tmp_path / "reports" / "link").symlink_to(tmp_path / "reports" / "run-1")
    (tmp_path / "reports" / "file").touch()
    (tmp_path / "reports" / "run-2.jsonl").touch()
    found = [(file.name, name) for file, name in report_files(tmp_path)]
    assert found == [("report.jsonl", "run-1"), ("report.jsonl", "run-1.worker-1"), ("run-2.jsonl", "run-2")]
    assert list(report_files(tmp_path / "none")) == []
