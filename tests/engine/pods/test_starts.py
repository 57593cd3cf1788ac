"""What is written down of a pod's starts is what the next engine finds, and a pod that is made anew is another one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tiphys.engine.base.loop import Loop
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.podspace import PodSpace
from tiphys.engine.pods.starts import Starts
from tiphys.engine.runners.left import Left, LeftPod
from tiphys.engine.runners.spawner import Launch, Process, Spawner


class Engine:
    """As much of one as starts a process in a run's folder."""

    def __init__(self, folder: Path) -> None:
        (folder / "nodes" / "1").mkdir(parents=True, exist_ok=True)
        self.loop = Loop()
        self.spawner = Spawner(self.loop, folder)
        self.left = self.spawner.take_over(lambda _: True)
        runner = SimpleNamespace(name="process")
        self.host = cast("Host", SimpleNamespace(left=self.left, spawner=self.spawner, runner=runner))
        self.space = cast(
            "PodSpace", SimpleNamespace(node="", worker="", folder=folder / "nodes" / "1", ip="127.0.0.1")
        )
        self.log = folder / "log"

    def starts(self, pod: str, left: LeftPod | None = None) -> Starts:
        return Starts(self.host, pod, self.space, left)

    def run(self, starts: Starts, line: str) -> tuple[int | None, bool]:
        """The exit code of the next start of a container, and whether it was one of an earlier engine."""
        over: list[Process] = []
        launch = Launch("/bin/sh", ["sh", "-c", line], {}, "/", str(self.log))
        _, earlier = starts.start("main", launch, over.append)
        while not over:
            self.loop.step()
        return over[0].code, earlier is not None

    def close(self) -> None:
        self.spawner.close()
        self.loop.close()


def test_each_start_is_taken_over_in_its_turn(tmp_path: Path) -> None:
    first = Engine(tmp_path)
    starts = first.starts("uid/job-worker-0")
    assert [first.run(starts, f"echo {code}; exit {code}") for code in (3, 4)] == [(3, False), (4, False)]
    first.close()
    second = Engine(tmp_path)
    pod = second.left.pod("uid/job-worker-0", "process")
    assert pod is not None and second.left.of("uid") == {"job-worker-0": pod}
    starts = second.starts("uid/job-worker-0", pod)
    never = "echo never; exit 9"
    assert [second.run(starts, never) for _ in range(2)] == [(3, True), (4, True)]
    assert starts.earlier("main") is None
    assert second.run(starts, "exit 5") == (5, False)
    second.close()
    assert first.log.read_text().split() == ["3", "4"]
    assert list(Left(tmp_path).of("uid")["job-worker-0"].containers) == [("main", nth) for nth in (1, 2, 3)]


def test_a_pod_that_is_made_anew_is_another_one(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    for code in (1, 2):
        assert engine.run(engine.starts("uid/job-worker-0"), f"exit {code}") == (code, False)
    engine.close()
    pod = Left(tmp_path).of("uid")["job-worker-0"]
    last = pod.last("main")
    assert pod.generation == 2 and list(pod.containers) == [("main", 1)]
    assert last is not None and last.code == 2


def test_what_objects_made_and_nobody_claims_does_not_go_on(tmp_path: Path) -> None:
    first = Engine(tmp_path)
    for pod in ("node", "uid/claimed", "uid/other"):
        first.run(first.starts(pod), "exit 0")
    first.close()
    left = Engine(tmp_path)
    left.starts("uid/claimed", left.left.pod("uid/claimed", "process"))
    left.left.drop_unclaimed()
    assert [left.left.pod(pod, "process") is not None for pod in ("node", "uid/claimed", "uid/other")] == [
        True,
        True,
        False,
    ]
    left.close()


def test_without_a_name_nothing_is_written_down(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    assert engine.run(engine.starts(""), "exit 0") == (0, False)
    engine.close()
    assert Left(tmp_path).highest == 0
