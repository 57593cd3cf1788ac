"""Trainings whose number of workers changes while they go on.

The stand-in for a training writes down each epoch that it began and ended, with the number of its workers, and has a
backup after each; it goes on when the test lets it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import node, wait_until, workflow
from tests.engine.outliving.world import World
from tests.engine.runtime.test_locks import Started, limits
from tiphys.argo.pools import POOLS, Weight, pools_text
from tiphys.engine import NodeChanged
from tiphys.engine.runtime import trainings
from tiphys.queue.core import Claim, Holding
from tiphys.queue.permits import Bid, Permits
from tiphys.queue.rules import RulesFile

Json = Any

TRAINING = """
size=1 index=0
case "$TF_CONFIG" in *:*)
  size=$(echo "$TF_CONFIG" | grep -o localhost | wc -l); index=${TF_CONFIG##*\\"index\\":}; index=${index%%[!0-9]*} ;;
esac
mkdir -p /notes/work; cd /notes/work
if test $index != 0; then until test -e model; do sleep 0.02; done; exit 0; fi
epoch=$(cat backup 2>/dev/null || echo 0)
while test $epoch -lt 6; do
  epoch=$((epoch + 1)); echo "$epoch/$size" >> /notes/began
  until test -e /notes/go-$epoch; do sleep 0.02; done
  echo "$epoch/$size" >> /notes/ended; echo $epoch > backup
  if test -e end-at-backup; then rm end-at-backup; exit 143; fi
done
touch model
"""
DEAF = TRAINING.replace("if test -e end-at-backup", "if false")


def elastic(world: World, script: str = TRAINING, *, most: int = 2, counts: tuple[int, ...] = ()) -> Json:
    """A workflow of one training of one to ``most`` workers, in a pool of as many."""
    container = {
        "name": "tensorflow",
        "image": "tiphys/step:test",
        "command": ["sh", "-c", script],
        "env": [{"name": "MARK", "value": world.mark}],
        "volumeMounts": [{"name": "notes", "mountPath": "/notes"}],
    }
    volumes = [{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}]
    template = {"spec": {"containers": [container], "volumes": volumes}}
    manifest = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "job", "annotations": {"tiphys.dev/backup": "pvc://notes/work"}},
        "spec": {
            "successPolicy": "AllWorkers",
            "runPolicy": {"activeDeadlineSeconds": 600},
            "tfReplicaSpecs": {
                "Worker": {"replicas": most, "restartPolicy": "ExitCode", "template": template}
            },
        },
    }
    step = {
        "name": "main",
        "synchronization": {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "elastic"}}]},
        "resource": {
            "action": "apply",
            "manifest": json.dumps(manifest),
            "successCondition": "status.completionTime",
            "failureCondition": "status.conditions.1.type == Failed,status.conditions.2.type == Failed",
        },
    }
    flow = workflow(step)
    weight = Weight("limits/elastic", "training", most, most, 1, counts)
    flow["metadata"]["annotations"] = {POOLS: pools_text([weight])}
    return flow


class Training:
    """One that runs in this process, or in another engine."""

    def __init__(self, world: World) -> None:
        self.world = world
        (world.store / "queue.toml").write_text("[elastic]\nsettled = 0\n")
        self.permits = Permits(world.store / "locks.db", RulesFile(world.store / "queue.toml"))
        self.number = 0
        self.size = 2
        self.run: Started | None = None

    def start(self, script: str = TRAINING, *, most: int = 2, counts: tuple[int, ...] = ()) -> Started:
        flow = elastic(self.world, script, most=most, counts=counts)
        self.run = Started(self.world.path, "wf", flow, limits(elastic=1))
        return self.run

    def began(self, epoch: str) -> None:
        wait_until(lambda: epoch in self.world.seen("began"), 20)

    def go(self, *epochs: int) -> None:
        for epoch in epochs:
            self.world.let_go(f"go-{epoch}")

    def other(self, count: int = 1, *, priority: int = 0) -> Bid:
        """Somebody else wants of the pool."""
        self.number += 1
        claim = Claim(f"other-{self.number}", (("training", count),), priority=priority, created=time.time())
        bid = Bid(claim, {"training": self.size}, "other")
        self.permits.ask(bid)
        return bid

    def has(self, bid: Bid) -> None:
        wait_until(lambda: isinstance(self.permits.ask(bid), Holding), 20)

    def units(self) -> int:
        held = [each for each in self.permits.view().state.holding if "other" not in each.claim.name]
        return sum(each.units for each in held)

    def asked_to_end(self) -> None:
        wait_until((self.world.notes / "work/end-at-backup").exists, 20)


@pytest.fixture
def training(plain: World) -> Iterator[Training]:
    made = Training(plain)
    with contextlib.closing(made.permits):
        yield made
        if made.run is not None and made.run.thread.is_alive():  # the test has failed
            made.run.run.shutdown("Terminate")


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return World(tmp_path, "process")


def messages(run: Started) -> list[str]:
    said = [each.node.get("message", "") for each in run.seen.of(NodeChanged)]
    return [text for at, text in enumerate(said) if text and text not in said[:at]]


def test_two_workers_become_one_and_two_again(training: Training) -> None:
    """Nothing is trained twice, and none runs without its permit."""
    run = training.start()
    training.began("1/2")
    training.go(1)
    training.began("2/2")
    wait_until(lambda: bool(messages(run)))
    other = training.other()
    training.asked_to_end()
    training.go(2)
    training.began("3/1")
    training.has(other)
    assert training.units() == 1
    training.go(3)
    training.began("4/1")
    training.permits.give_back(other.claim.name)
    training.asked_to_end()
    training.go(4)
    training.began("5/2")
    training.go(5, 6)
    result = run.ended()
    assert result.succeeded, result.workflow["status"]
    assert training.world.seen("began") == training.world.seen("ended")
    assert training.world.seen("ended") == ["1/2", "2/2", "3/1", "4/1", "5/2", "6/2"]
    assert messages(run) == [
        "2 of 1-2 workers",
        "2 of 1-2 workers, going on with 1 from the next backup on",
        "1 of 1-2 workers",
        "1 of 1-2 workers, growing to 2 at the next backup",
    ]
    assert not node(result, "wf").get("message")


def test_one_that_waits_for_nothing_else_starts_with_what_there_is(training: Training) -> None:
    training.has(training.other())
    run = training.start()
    training.began("1/1")
    training.go(*range(1, 7))
    assert run.ended().succeeded
    assert {each[-1] for each in training.world.seen("ended")} == {"1"}


def test_one_that_can_do_with_some_numbers_only_keeps_no_more(training: Training) -> None:
    """A batch of 1024 is not to be shared by three."""
    training.size = 4
    (training.world.store / "queue.toml").write_text("[elastic]\nsettled = 1\n")
    run = training.start(most=4, counts=(1, 2, 4))
    training.began("1/4")
    other = training.other()
    training.asked_to_end()
    training.go(1)
    training.began("2/2")
    training.has(other)
    wait_until(lambda: training.units() == 2)
    training.permits.give_back(other.claim.name)
    training.asked_to_end()
    training.go(2)
    training.began("3/4")
    training.go(*range(3, 7))
    assert run.ended().succeeded
    assert training.world.seen("ended") == ["1/4", "2/2", *(f"{epoch}/4" for epoch in range(3, 7))]
    assert "2 of 1, 2 or 4 workers" in messages(run)


def test_what_was_not_begun_with_yet_is_given_back_at_once(training: Training) -> None:
    """It had grown, and somebody came before its backup."""
    first = training.other()
    run = training.start()
    training.began("1/1")
    training.permits.give_back(first.claim.name)
    wait_until(lambda: any("growing" in each for each in messages(run)))
    second = training.other()
    training.has(second)  # though no epoch has ended
    training.go(*range(1, 7))
    assert run.ended().succeeded
    assert training.world.seen("ended") == [f"{epoch}/1" for epoch in range(1, 7)]


def preempted(training: Training) -> tuple[Started, Bid]:
    """One that has ended after its first epoch, and the one of a higher class who has all."""
    run = training.start()
    training.began("1/2")
    urgent = training.other(2, priority=5)
    training.asked_to_end()
    training.go(1)
    training.has(urgent)
    return run, urgent


def test_a_higher_class_has_all_and_the_training_goes_on_after_it(training: Training) -> None:
    run, urgent = preempted(training)
    waiting = "none of 1-2 workers: Waiting for 1 permit of pool training: 0 of 2 free"
    wait_until(lambda: waiting in messages(run))
    training.go(*range(2, 7))
    assert training.world.seen("began") == ["1/2"]
    training.permits.give_back(urgent.claim.name)
    result = run.ended()
    assert result.succeeded, result.workflow["status"]
    assert training.world.seen("ended") == [f"{epoch}/2" for epoch in range(1, 7)]


def test_one_that_does_not_listen_is_ended_after_a_while(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loses what it did since its last backup."""
    monkeypatch.setattr(trainings, "PATIENCE", 0.2)
    run = training.start(DEAF)
    training.began("1/2")
    training.go(1)
    training.began("2/2")
    training.has(training.other())
    training.began("2/1")
    training.go(*range(2, 7))
    assert run.ended().succeeded
    assert training.world.seen("ended") == ["1/2", *(f"{epoch}/1" for epoch in range(2, 7))]


def test_one_that_fails_while_it_is_to_end_has_failed(training: Training) -> None:
    run = training.start(TRAINING.replace("echo $epoch > backup", "exit 3"))
    training.began("1/2")
    training.other()
    training.asked_to_end()
    training.go(1)
    result = run.ended()
    assert result.phase == "Failed"
    assert training.units() == 0


def test_a_suspended_run_does_not_wait_for_workers(training: Training) -> None:
    run, urgent = preempted(training)
    run.run.suspend()
    wait_until(lambda: not training.permits.view().waiting)
    training.permits.give_back(urgent.claim.name)
    training.has(training.other(2))
    run.run.resume_nodes()
    wait_until(lambda: bool(training.permits.view().waiting))
    training.permits.give_back("other-2")
    training.go(*range(2, 7))
    assert run.ended().succeeded


def epochs(training: Training) -> list[str]:
    return [each.partition("/")[0] for each in training.world.seen("ended")]


DIES = """
import os, signal
from tiphys.engine.objects.tfjob import TFJobController
from tiphys.engine.runtime.locks import Synchronizer
def dies(self, *args, _was={owner}.{method}):
    _was(self, *args)
    if getattr(self, "paused", True) or "{method}" == "begin":
        os.kill(os.getpid(), signal.SIGKILL)
{owner}.{method} = dies
"""


@pytest.mark.parametrize("urgent", [False, True])
@pytest.mark.parametrize(
    ("owner", "method"),
    [
        ("TFJobController", "_look_whether_paused"),  # all have ended, and nobody knows it
        ("TFJobController", "scale"),  # nothing of it is written down
        ("Synchronizer", "resize"),  # the permits are given back
        ("TFJobController", "begin"),
    ],
)
def test_an_engine_that_dies_between_two_numbers_of_workers(
    training: Training, owner: str, method: str, urgent: bool
) -> None:
    """Whether it goes on with fewer workers, or with none for a while."""
    world = training.world
    other = start(training, DIES.format(owner=owner, method=method), urgent=urgent)
    training.go(1)
    if urgent and method == "begin":
        training.has(other)
        training.permits.give_back(other.claim.name)
    assert world.engine is not None
    world.engine.communicate(timeout=30)
    assert world.engine.returncode == -9
    training.permits.give_back(other.claim.name)
    training.go(*range(2, 7))
    result = world.resume()
    assert result.succeeded, result.workflow["status"]
    assert epochs(training) == list("123456")
    assert training.units() == 0


def start(training: Training, first: str = "", *, urgent: bool = False) -> Bid:
    """An engine of its own begins with two workers, and has asked them to end for another, who is told."""
    world = training.world
    file = world.path / "context.json"
    file.write_text(json.dumps(limits(elastic=1)))
    world.start(elastic(world), context=file, first=first)
    training.began("1/2")
    other = training.other(2, priority=5) if urgent else training.other()
    training.asked_to_end()
    return other


@pytest.mark.parametrize("kill", ["before the backup", "after the backup", "while it has nothing", "growing"])
def test_a_kill_at_any_moment_loses_no_epoch(training: Training, kill: str) -> None:
    """Each epoch is trained once, with as many workers as there were permits, whenever the engine was killed."""
    world = training.world
    nothing = kill == "while it has nothing"
    other = start(training, urgent=nothing)
    if kill == "before the backup":
        world.kill()
    training.go(1)
    if kill == "after the backup":
        wait_until(lambda: world.seen("ended") == ["1/2"])
        world.kill()
    elif nothing:
        training.has(other)
        wait_until(lambda: bool(training.permits.view().waiting))
        world.kill()
        assert world.seen("began") == ["1/2"]
    elif kill == "growing":
        training.has(other)
        training.began("2/1")
        training.permits.give_back(other.claim.name)
        wait_until(lambda: training.units() == 2)
        world.kill()
    training.permits.give_back(other.claim.name)
    training.go(*range(2, 7))
    result = world.resume()
    assert result.succeeded, result.workflow["status"]
    assert epochs(training) == list("123456")
    assert training.units() == 0


def test_the_textbook_deadlock(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share is used up by a training that hangs, and the administrator's job, which would free it, finds no room.
    Of a higher class it has room when the patience is at an end. (On a cluster: tests/cluster/test_kueue.py.)"""
    monkeypatch.setattr(trainings, "PATIENCE", 0.2)
    run = training.start(DEAF)
    training.began("1/2")  # and nobody lets it go on
    assert not isinstance(training.permits.ask(training.other(1, priority=0)), Holding)
    maintenance = training.other(2, priority=100)
    training.has(maintenance)
    assert training.units() == 0
    training.go(*range(1, 7))
    training.permits.give_back(maintenance.claim.name)
    training.permits.give_back("other-1")
    assert run.ended().succeeded
    assert epochs(training) == ["1", "2", "3", "4", "5", "6"]
