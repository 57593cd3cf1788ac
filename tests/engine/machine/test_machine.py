"""Events that come too late, twice, or for nobody: the machine takes them and does nothing."""

from __future__ import annotations

import pytest

from tests.engine.machine.driving import NOW, begun, machine, phases
from tiphys.engine.machine import protocol as p

TEXT = "{entrypoint: main, templates: [{name: main, container: {image: i}}]}"
STRAY = [
    p.Begin(NOW + 1),
    p.PodRunning(NOW + 1, "nobody"),
    p.PodProgress(NOW + 1, "nobody", "1/2"),
    p.PodSays(NOW + 1, "nobody", "2 of 1-4 workers"),
    p.PodFinished(NOW + 1, "nobody", "Failed"),
    p.CacheAnswer(NOW + 1, "nobody"),
    p.CacheStored(NOW + 1, "nobody"),
    p.LocksGranted(NOW + 1, "nobody"),
    p.LocksWaiting(NOW + 1, "nobody", "waiting"),
    p.LocksRefused(NOW + 1, "nobody", "no"),
    p.TimerFired(NOW + 1, "nothing"),
    p.Resume(NOW + 1),
    p.Resume(NOW + 1, "displayName=nobody"),
    p.NodeSet(NOW + 1, "displayName=nobody", phase="Failed"),
]


@pytest.mark.parametrize("event", STRAY, ids=lambda event: type(event).__name__)
def test_what_is_for_nobody_changes_nothing(event: p.Event) -> None:
    made = machine(TEXT)
    made.handle(p.Begin(NOW))
    before = made.workflow()["status"]["nodes"]
    assert made.handle(event) == []
    assert made.workflow()["status"]["nodes"] == before
    made.handle(p.PodFinished(NOW + 2, "wf", "Succeeded"))
    assert made.phase == "Succeeded"


@pytest.mark.parametrize(
    "event",
    [*STRAY, p.PodFinished(NOW + 3, "wf", "Failed"), p.Shutdown(NOW + 3, "Stop"), p.Suspend(NOW + 3)],
    ids=lambda event: type(event).__name__,
)
def test_after_the_end_nothing_happens(event: p.Event) -> None:
    made = machine(TEXT)
    made.handle(p.Begin(NOW))
    made.handle(p.PodFinished(NOW + 2, "wf", "Succeeded"))
    assert made.handle(event) == []
    assert (made.phase, phases(made)) == ("Succeeded", {"wf": "Succeeded"})


def test_progress_is_taken_over_when_it_is_one() -> None:
    # docs/progress.md: N/M, both whole, M at least 1
    made = machine(TEXT)
    made.handle(p.Begin(NOW))
    made.handle(p.PodProgress(NOW + 1, "wf", "25/100"))
    assert made.nodes["wf"]["progress"] == "25/100"
    for bad in ("x", "5", "a/b", "5/0", "9/5", "", "-1/5"):
        made.handle(p.PodProgress(NOW + 2, "wf", bad))
        assert made.nodes["wf"]["progress"] == "25/100"
    assert made.workflow()["status"]["progress"] == "25/100"


@pytest.mark.parametrize("retry", ["", ", retryStrategy: {limit: '1'}"], ids=["plain", "retried"])
@pytest.mark.parametrize("kind", ["steps", "dag"])
def test_a_daemon_that_comes_up_again_ends_nothing(kind: str, retry: str) -> None:
    """After a resume its process is started anew, while what needed it runs: that is not over by it."""
    main = {
        "steps": "steps: [[{name: d, template: d}], [{name: z, template: z}]]",
        "dag": "dag: {tasks: [{name: d, template: d}, {name: z, template: z, depends: d}]}",
    }[kind]
    made, commands = begun(
        f"""
        entrypoint: main
        templates:
        - {{name: main, {main}}}
        - {{name: d, daemon: true, container: {{image: i}}{retry}}}
        - {{name: z, container: {{image: i}}}}
        """
    )
    daemon = next(each.node_id for each in commands if isinstance(each, p.StartPod))
    started = made.handle(p.PodRunning(NOW + 1, daemon, "127.0.0.2"))
    last = next(each.node_id for each in started if isinstance(each, p.StartPod))
    assert made.handle(p.PodRunning(NOW + 2, daemon, "127.0.0.2")) == []
    assert (made.phase, made.nodes[last]["phase"]) == ("Running", "Pending")
    commands = made.handle(p.PodFinished(NOW + 3, last, "Succeeded"))
    assert {each.node_id for each in commands if isinstance(each, p.StopPod)} == {daemon}
    assert made.phase == "Succeeded"
