"""The file of ended runs: what goes in comes out, the last line of a run counts, and a damaged one is none."""

from __future__ import annotations

from pathlib import Path

from tiphys.store import Store
from tiphys.store.ended import Ended, brief

WHOLE = {
    "metadata": {"name": "r", "labels": {"team": "mäl"}},
    "spec": {"shutdown": "Stop", "templates": [{"name": "main"}]},
    "status": {"phase": "Failed", "message": "a\nb", "nodes": {"r": {}}},
}


def noted(tmp_path: Path, *names: str) -> tuple[Ended, Path]:
    store = Store(tmp_path)
    ended = Ended(store)
    for number, name in enumerate(names):
        path = store.new_run(name) / "workflow.json"
        path.write_text("x" * number)
        ended.note(name, path.stat(), float(number), WHOLE)  # type: ignore[arg-type]
    return ended, tmp_path / "ended.jsonl"


def test_what_is_noted_is_there_without_nodes_and_templates(tmp_path: Path) -> None:
    ended, _ = noted(tmp_path, "one", "two", "one")
    lines = ended.lines()
    assert list(lines) == ["one", "two"]
    state = (tmp_path / "runs/one/workflow.json").stat()
    assert (lines["one"].stamp, lines["one"].began) == ((state.st_mtime_ns, 2), 2.0)
    assert (
        lines["one"].workflow
        == brief(WHOLE)
        == {  # type: ignore[arg-type]
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": WHOLE["metadata"],
            "spec": {"shutdown": "Stop"},
            "status": {"phase": "Failed", "message": "a\nb"},
        }
    )


def test_a_line_that_has_changed_is_none_and_spoils_no_other(tmp_path: Path) -> None:
    ended, path = noted(tmp_path, "one", "two", "three")
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        assert len(ended.lines()) >= 1
        assert all(line.workflow == brief(WHOLE) for line in ended.lines().values())  # type: ignore[arg-type]
    path.write_bytes(data[:-30])  # its writer was killed
    assert list(ended.lines()) == ["one", "two"]


def test_without_the_file_there_is_no_line(tmp_path: Path) -> None:
    assert Ended(Store(tmp_path / "none")).lines() == {}
