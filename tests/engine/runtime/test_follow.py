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
