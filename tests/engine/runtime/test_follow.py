"""Following what steps write while a run goes on."""

from __future__ import annotations

from pathlib import Path

from tests.engine.harness import Recorder, dag, execute, shell, workflow
from tiphys.engine import NodeChanged
from tiphys.engine.base.observations import LogLine


def test_all_lines_of_a_step_come_once_and_before_its_end(tmp_path: Path) -> None:
    recorder = Recorder()
    slow = shell("slow", "for i in 1 2 3; do echo line $i; sleep 0.15; done; printf unfinished")
    quick = shell("quick", "echo hello")
    flow = workflow(
        dag({"name": "a", "template": "slow"}, {"name": "b", "template": "quick"}),
        slow,
        quick,
    )
    result = execute(tmp_path, flow, observer=recorder, follow_logs=True)
    assert result.succeeded
    nodes = {node["displayName"]: node["id"] for node in result.workflow["status"]["nodes"].values()}
    for name, lines in (("a", ["line 1", "line 2", "line 3", "unfinished"]), ("b", ["hello"])):
        seen = [
            each.text if isinstance(each, LogLine) else "ended"
            for each in recorder.seen
            if (isinstance(each, LogLine) and each.source == nodes[name])
            or (
                isinstance(each, NodeChanged) and each.change == "finished" and each.node["id"] == nodes[name]
            )
        ]
        assert seen == [*lines, "ended"]


def lines_of(tmp_path: Path, source: str, follow: bool | str) -> list[str]:
    recorder = Recorder()
    result = execute(tmp_path, workflow(shell("main", source)), observer=recorder, follow_logs=follow)
    assert result.succeeded
    return [each.text for each in recorder.seen if isinstance(each, LogLine)]


def test_a_line_without_an_end_comes_in_pieces(tmp_path: Path) -> None:
    """Kept until its end it would be copied with each piece that is read: 50 MB took the engine half a minute."""
    told = lines_of(tmp_path, "echo first; head -c 3000000 /dev/zero | tr '\\0' a; echo; echo last", True)
    assert told[0] == "first" and told[-1] == "last"
    assert "".join(told[1:-1]) == "a" * 3_000_000
    assert max(map(len, told)) <= 1 << 18


def test_of_much_only_the_latest(tmp_path: Path) -> None:
    told = lines_of(tmp_path, "seq 200000; sleep 1; seq 5", "latest")
    assert told[-5:] == ["1", "2", "3", "4", "5"]
    assert "200000" in told
    assert len(told) < 100_000


def test_all_of_much(tmp_path: Path) -> None:
    assert lines_of(tmp_path, "seq 300000", True) == [str(number) for number in range(1, 300_001)]
