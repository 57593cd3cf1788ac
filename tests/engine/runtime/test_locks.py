"""Semaphores that are the project's pools, as runs meet them. Argo's own: tests/engine/test_memo_and_locks.py."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import Recorder, dag, execute, node, shell, wait_until, workflow
from tests.engine.test_steps_with_gpus import engine, finished, lines
from tiphys.argo.pools import POOLS, Weight, pools_text
from tiphys.engine import NodeChanged, RunOptions, RunResult
from tiphys.engine.pods import lookout
from tiphys.engine.runtime.run import Run
from tiphys.errors import RefusedError
from tiphys.queue import Granted, Locks
from tiphys.queue.core import Claim, Holding
from tiphys.queue.permits import Bid, Permits

Json = Any


def semaphores(*keys: str) -> Json:
    return {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": key}} for key in keys]}


def pooled(flow: Json, *weights: tuple[str, str, int, int]) -> Json:
    """The workflow with its annotation: keys of ``limits``, each with its pool, permits and size."""
    said = [Weight(f"limits/{key}", *weight) for key, *weight in weights]
    flow["metadata"]["annotations"] = {POOLS: pools_text(said)}
    return flow


def limits(**keys: int) -> list[Json]:
    data = {key.replace("_", "-"): str(limit) for key, limit in keys.items()}
    return [{"kind": "ConfigMap", "metadata": {"name": "limits"}, "data": data}]


def here(template: Json, tmp_path: Path) -> Json:
    template["container"]["env"] = [{"name": "HERE", "value": str(tmp_path)}]
    return template


class Started:
    """A run in a thread of its own."""

    def __init__(self, tmp_path: Path, name: str, flow: Json, context: list[Json]) -> None:
        self.seen = Recorder()
        options = RunOptions(store=tmp_path / "store", name=name, observer=self.seen, grace=1.0)
        self.run = Run(flow, options=options, context=context, invalid="")
        self.result: RunResult | None = None
        self.thread = threading.Thread(target=self._go)
        self.thread.start()

    def _go(self) -> None:
        self.result = self.run.execute()

    def waits(self, step: str) -> None:
        wait_until(lambda: "waiting" in self.seen.changes(step))

    def ended(self) -> RunResult:
        self.thread.join(60)
        assert self.result is not None
        return self.result


def messages(seen: Recorder) -> list[str]:
    return [each.node.get("message", "") for each in seen.of(NodeChanged) if each.change == "waiting"]


def test_gangs_of_two_four_and_three_are_never_more_than_four_workers(tmp_path: Path) -> None:
    """As three semaphores of Argo they were eleven under a capacity of four."""
    sizes = (2, 4, 3, 2, 4, 3)
    templates = [
        here(
            shell(
                f"gang-{size}",
                f'for i in $(seq {size}); do mine="$mine $(mktemp "$HERE/in-XXXXXX")"; done; '
                'ls "$HERE" | grep -c "^in-" >> "$HERE/seen"; sleep 0.1; rm $mine',
                synchronization=semaphores(f"training-{size}"),
            ),
            tmp_path,
        )
        for size in sorted(set(sizes))
    ]
    tasks = [{"name": f"t{number}", "template": f"gang-{size}"} for number, size in enumerate(sizes)]
    flow = pooled(
        workflow(dag(*tasks), *templates), *((f"training-{size}", "training", size, 4) for size in (2, 3, 4))
    )
    seen = Recorder()
    context = limits(training_2=2, training_3=1, training_4=1)
    assert (result := execute(tmp_path, flow, context=context, observer=seen)).succeeded, result.workflow[
        "status"
    ]
    counted = [int(line) for line in (tmp_path / "seen").read_text().split()]
    assert len(counted) == len(sizes) and max(counted) == 4
    assert "Waiting for 4 permits of pool training: 2 of 4 free" in messages(seen)


def test_a_limit_that_was_changed_in_the_configmap_counts(tmp_path: Path) -> None:
    """As on a cluster, where it is the only place."""
    line = (
        'mine=$(mktemp "$HERE/in-XXXXXX"); ls "$HERE" | grep -c "^in-" >> "$HERE/seen"; sleep 0.1; rm $mine'
    )
    job = here(shell("job", line, synchronization=semaphores("slots")), tmp_path)
    flow = workflow(dag(*({"name": f"t{i}", "template": "job"} for i in range(3))), job)
    assert execute(tmp_path, pooled(flow, ("slots", "slots", 1, 3)), context=limits(slots=1)).succeeded
    assert (tmp_path / "seen").read_text().split() == ["1"] * 3


def test_a_pool_without_its_configmap_is_refused_as_on_a_cluster(tmp_path: Path) -> None:
    flow = workflow(
        dag({"name": "t", "template": "job"}), shell("job", "true", synchronization=semaphores("slots"))
    )
    result = execute(tmp_path, pooled(flow, ("slots", "slots", 1, 3)))
    assert "failed to initialize semaphore argo/ConfigMap/limits/slots" in node(result, "t")["message"]


def two_levels(tmp_path: Path, mine: str, other: str) -> Json:
    """It holds ``mine`` as a whole; when the other has begun, too, a step of it wants ``other``."""
    meet = f'touch "$HERE/{mine}"; while [ ! -e "$HERE/{other}" ]; do sleep 0.01; done'
    flow = workflow(
        dag(
            {"name": "begin", "template": "meet"},
            {"name": "then", "template": "inner", "dependencies": ["begin"]},
        ),
        here(shell("meet", meet), tmp_path),
        shell("inner", "true", synchronization=semaphores(other)),
        synchronization=semaphores(mine),
    )
    return pooled(flow, ("a", "a", 1, 1), ("b", "b", 1, 1))


def test_two_runs_that_wait_for_one_another_are_told_who_waits_for_whom(tmp_path: Path) -> None:
    """The textbook deadlock: workflow lock a and node lock b, against b and a. In Argo both wait for ever."""
    runs = {
        name: Started(tmp_path, name, two_levels(tmp_path, *pools), limits(a=1, b=1))
        for name, pools in {"one": ("a", "b"), "two": ("b", "a")}.items()
    }
    ended = {name: run.ended() for name, run in runs.items()}
    assert sorted(each.phase for each in ended.values()) == ["Error", "Succeeded"]
    failed = next(name for name, each in ended.items() if not each.succeeded)
    told = node(ended[failed], "then")["message"]
    assert "TIP304" in told
    assert "one.then waits for b, which two holds" in told
    assert "two.then waits for a, which one holds" in told


def waiting_step(tmp_path: Path, name: str) -> Json:
    """A step that says that it runs, and ends when it may."""
    line = f'touch "$HERE/{name}-runs"; while [ ! -e "$HERE/{name}-may-end" ]; do sleep 0.01; done'
    job = here(shell("job", line, synchronization=semaphores("slots")), tmp_path)
    flow = workflow(dag({"name": "t", "template": "job"}), job)
    return pooled(flow, ("slots", "slots", 1, 1))


def test_a_suspended_run_at_the_head_gives_way(tmp_path: Path) -> None:
    """F7: it took the permit and started its step while it was suspended."""
    first = Started(tmp_path, "first", waiting_step(tmp_path, "first"), limits(slots=1))
    wait_until((tmp_path / "first-runs").exists)
    head = Started(tmp_path, "head", waiting_step(tmp_path, "head"), limits(slots=1))
    head.waits("t")
    behind = Started(tmp_path, "behind", waiting_step(tmp_path, "behind"), limits(slots=1))
    behind.waits("t")
    head.run.suspend()
    last = Started(tmp_path, "last", waiting_step(tmp_path, "last"), limits(slots=1))
    last.waits("t")
    (tmp_path / "first-may-end").touch()
    wait_until((tmp_path / "behind-runs").exists)
    assert first.ended().succeeded
    head.run.resume_nodes()
    assert not (tmp_path / "head-runs").exists()
    wait_until(lambda: _queue(tmp_path) == ["head", "last"])  # its place is that of its creation
    (tmp_path / "behind-may-end").touch()
    wait_until((tmp_path / "head-runs").exists)
    assert not (tmp_path / "last-runs").exists()
    for name, run in {"behind": behind, "head": head, "last": last}.items():
        (tmp_path / f"{name}-may-end").touch()
        assert run.ended().succeeded


def _queue(tmp_path: Path) -> list[str]:
    from contextlib import closing

    from tiphys.queue.permits import Permits

    with closing(Permits(tmp_path / "store/locks.db")) as permits:
        view = permits.view()
        return [view.shown[name].partition(".")[0] for name in view.waiting]


@pytest.mark.parametrize("first", ["pool", "mutex"])
def test_a_step_of_a_pool_and_a_mutex_has_both_or_nothing(tmp_path: Path, first: str) -> None:
    """While it waits for the one, the other is for whoever comes."""
    both: Mapping[str, Json] = {**semaphores("slots"), "mutexes": [{"name": "m"}]}
    flow = workflow(dag({"name": "t", "template": "job"}), shell("job", "true", synchronization=both))
    flow = pooled(flow, ("slots", "slots", 1, 1))
    if first == "pool":
        holder = Started(tmp_path, "holder", waiting_step(tmp_path, "holder"), limits(slots=1))
        wait_until((tmp_path / "holder-runs").exists)
        run = Started(tmp_path, "both", flow, limits(slots=1))
        run.waits("t")
        locks = Locks(tmp_path / "store/locks.db")
        answer = locks.acquire("other", ["argo/Mutex/m"], workflow="other", limits={})
        assert isinstance(answer, Granted)
        (tmp_path / "holder-may-end").touch()
        assert holder.ended().succeeded
    else:
        (tmp_path / "store").mkdir()
        locks = Locks(tmp_path / "store/locks.db")
        locks.acquire("other", ["argo/Mutex/m"], workflow="other", limits={})
        run = Started(tmp_path, "both", flow, limits(slots=1))
        run.waits("t")
        (tmp_path / "third-may-end").touch()
        third = Started(tmp_path, "third", waiting_step(tmp_path, "third"), limits(slots=1))
        assert third.ended().succeeded
    assert run.result is None
    locks.close()
    assert run.ended().succeeded


def test_a_class_above_the_users_highest_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/queue.toml").write_text("[others]\nhighest = 5\n")
    flow = workflow(shell("main", "true"), priority=6)
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, flow)
    assert caught.value.code == "TIP287"
    assert not (tmp_path / "store/runs").exists()
    assert execute(tmp_path, workflow(shell("main", "true"), priority=5)).succeeded


def test_what_has_begun_goes_on_whatever_is_wrong_with_the_rules_by_now(tmp_path: Path) -> None:
    body = f"cd /; cd {str(tmp_path)[1:]}; echo begin >> lines; until test -e go; do sleep 0.02; done"
    first = engine(tmp_path, "store", workflow(shell("main", body)))
    wait_until(lambda: lines(tmp_path) == ["begin"])
    first.kill()
    finished(first)
    (tmp_path / "store" / "queue.toml").write_text("[pools")
    (tmp_path / "go").touch()
    assert finished(engine(tmp_path, "store", None)) == "Succeeded"
    assert "TIP286" in finished(engine(tmp_path, "store", workflow(shell("main", "true"))))


def test_a_size_in_the_rules_holds_for_all_runs(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/queue.toml").write_text("[pools]\nslots = 1\n")
    line = (
        'mine=$(mktemp "$HERE/in-XXXXXX"); ls "$HERE" | grep -c "^in-" >> "$HERE/seen"; sleep 0.1; rm $mine'
    )
    job = here(shell("job", line, synchronization=semaphores("slots")), tmp_path)
    flow = workflow(dag(*({"name": f"t{i}", "template": "job"} for i in range(3))), job)
    assert execute(tmp_path, pooled(flow, ("slots", "slots", 1, 3)), context=limits(slots=3)).succeeded
    assert (tmp_path / "seen").read_text().split() == ["1"] * 3


@pytest.mark.parametrize("pools", [True, False], ids=["a pool", "Argo's"])
def test_of_many_steps_that_wait_for_one_lock_not_all_ask_each_time_that_it_comes_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pools: bool
) -> None:
    asked = []
    table, verb = (Permits, "ask") if pools else (Locks, "acquire")
    ask = getattr(table, verb)
    monkeypatch.setattr(table, verb, lambda *given, **more: asked.append(given[1]) or ask(*given, **more))
    steps = {"name": "main", "steps": [[{"name": "x", "template": "leaf", "withSequence": {"count": "60"}}]]}
    flow = workflow(steps, shell("leaf", "true", synchronization=semaphores("s")))
    if pools:
        pooled(flow, ("s", "p", 1, 2))
    result = execute(tmp_path, flow, context=limits(s=2), max_pods=60)
    assert result.succeeded, result.message
    assert len(asked) < 5 * 60  # it was 60 * 60 / 2


@pytest.mark.parametrize("pools", [True, False], ids=["a pool", "Argo's"])
def test_a_run_that_waits_need_not_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pools: bool) -> None:
    """The kernel tells it that another has given something back."""
    monkeypatch.setattr(lookout, "_SELDOM", 1000.0)
    flow = workflow(shell("main", "true", synchronization=semaphores("s")))
    (tmp_path / "store").mkdir()
    path = tmp_path / "store" / "locks.db"
    other: Permits | Locks
    if pools:
        pooled(flow, ("s", "p", 1, 1))
        other = Permits(path)
        assert isinstance(other.ask(Bid(Claim("other", (("p", 1),)), {"p": 1}, "other")), Holding)
    else:
        other = Locks(path)
        lock = "argo/ConfigMap/limits/s"
        assert other.acquire("other", [lock], workflow="argo/other", limits={lock: 1}) == Granted()
    run = Started(tmp_path, "waits", flow, limits(s=1))
    run.waits("waits")
    other.close()
    assert run.ended().succeeded
