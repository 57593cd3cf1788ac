"""Jobs on this machine: each has one run, however often the service asks and whoever is killed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path

import pytest

from tests.training.fakes import until
from tiphys.errors import RefusedError
from tiphys.runs import Client
from tiphys.store.layout import Store
from tiphys.training.job import Algorithm, TrainingJob, TrainingRequest
from tiphys.training.local import LocalPlace
from tiphys.training.place import SeenJob
from tiphys.training.workflow import workflow_of

pytestmark = pytest.mark.long

JOB = TrainingJob(1, TrainingRequest("sh"), "anna", "default", 1, "train-abcde-1")
COUNTED = "echo run >> $TIPHYS_WORK_DIR/../ran; echo told; sleep $0"


def place_of(tmp_path: Path) -> tuple[Store, LocalPlace]:
    store = Store(tmp_path / "store")
    return store, LocalPlace(store, images={"*": "host"})


def sleeping(seconds: float) -> Algorithm:
    return Algorithm("sh", 1, image="busybox", command=("sh", "-c", COUNTED, str(seconds)))


def seen(place: LocalPlace) -> SeenJob:
    return place.look([JOB]).get(JOB.id, SeenJob())


def ran(store: Store) -> int:
    return sum(len(path.read_text().split()) for path in (store.root / "volumes").rglob("ran"))


def engine(store: Store) -> int:
    """The process that goes on with the run."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"tiphys.training.engine" in words and str(store.root).encode() in b" ".join(words):
                return int(entry.name)
    return 0


def test_a_job_is_begun_once_and_seen_to_its_end(tmp_path: Path) -> None:
    store, place = place_of(tmp_path)
    workflow = workflow_of(JOB, sleeping(0.3))
    place.create(JOB, workflow)
    place.create(JOB, workflow)
    LocalPlace(store, images={"*": "host"}).create(JOB, workflow)  # of a service that was started anew
    until(lambda: seen(place).phase == "Succeeded")
    place.create(JOB, workflow)
    assert (ran(store), seen(place).phase) == (1, "Succeeded")
    assert [line.text for line in place.logs(JOB, follow=False)] == ["told"]
    assert [run.name for run in Client(store=store.root).list()] == [JOB.run]


def test_who_asks_while_an_engine_comes_up_does_not_start_a_second(tmp_path: Path) -> None:
    """The service was killed after it had started the engine and before the run was there: the lock tells."""
    store, place = place_of(tmp_path)
    folder = store.root / "training"
    folder.mkdir(parents=True)
    lock = os.open(folder / f"{JOB.run}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    place.create(JOB, workflow_of(JOB, sleeping(0)))
    assert seen(place).phase == ""
    os.close(lock)
    place.create(JOB, workflow_of(JOB, sleeping(0)))
    until(lambda: seen(place).phase == "Succeeded")


def test_a_run_whose_engine_was_killed_goes_on_and_its_step_runs_once(tmp_path: Path) -> None:
    store, place = place_of(tmp_path)
    place.create(JOB, workflow_of(JOB, sleeping(1.5)))
    until(lambda: ran(store))
    os.kill(engine(store), signal.SIGKILL)
    until(lambda: seen(place).phase == "Succeeded")
    assert ran(store) == 1


def test_what_cannot_begin_says_why(tmp_path: Path) -> None:
    _, place = place_of(tmp_path)
    workflow = workflow_of(JOB, sleeping(0))
    workflow["spec"]["templates"] = "none"  # type: ignore[typeddict-item]
    with pytest.raises(RefusedError) as caught:
        place.create(JOB, workflow)
    assert caught.value.code == "TIP218"
    assert "templates" in caught.value.cause
    assert json.loads((tmp_path / "store" / "training" / f"{JOB.run}.json").read_text()) == workflow


def test_stopping_what_runs_what_has_ended_and_what_never_was(tmp_path: Path) -> None:
    store, place = place_of(tmp_path)
    place.stop(JOB)
    place.create(JOB, workflow_of(JOB, sleeping(60)))
    until(lambda: ran(store))
    place.stop(JOB)
    until(lambda: seen(place).phase == "Failed")
    assert seen(place).cause == "stopped"
    place.stop(JOB)
    assert place.full(JOB, {"cpu": 10**9}) == ""


def test_one_that_cannot_go_on_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it needs is gone since, say: it is tried again, and meanwhile it is told."""
    store, place = place_of(tmp_path)
    place.create(JOB, workflow_of(JOB, sleeping(1)))
    until(lambda: ran(store))
    pid = engine(store)

    def refuse(*_: object, **__: object) -> None:
        raise RefusedError("TIP235", "there are fewer GPUs than it had", cause="2 of 4")

    monkeypatch.setattr("tiphys.training.local.detach", refuse)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not store.held(JOB.run))
    assert seen(place).message == (
        "its engine was killed, and it does not go on: TIP235: there are fewer GPUs than it had. 2 of 4"
    )
    monkeypatch.undo()
    until(lambda: seen(place).phase == "Succeeded")
