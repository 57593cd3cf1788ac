"""A worker that is far slower than the others. With real ones: test_train.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.cluster import SINGLE, Gang
from components.pace import Pace, timed


def gang(folder: Path, *seconds: float) -> list[Pace]:
    """The workers of a gang; each takes so long."""
    addresses = tuple(f"localhost:{number}" for number in range(len(seconds)))
    return [
        Pace(folder, Gang(addresses, index), lambda taken=taken: taken)  # type: ignore[misc]
        for index, taken in enumerate(seconds)
    ]


def lags(workers: list[Pace], epoch: int) -> list[float]:
    """All write theirs; then all look, as the slow ones do, who are the last."""
    for worker in workers:
        worker.lag(epoch)
    return [worker.lag(epoch) for worker in workers]


def test_who_is_slower_than_the_median_of_the_others(tmp_path: Path) -> None:
    assert lags(gang(tmp_path, 0.1, 0.1, 1.5, 0.2), 1) == pytest.approx([0.5, 0.5, 15.0, 2.0])
    assert lags(gang(tmp_path, 0.1, 1.5), 2) == pytest.approx([1 / 15, 15.0])


def test_only_one_of_many_is_replaced_and_only_after_two_epochs(tmp_path: Path) -> None:
    workers = gang(tmp_path, 0.1, 0.1, 1.5)
    slow = [[worker.too_slow(lag) for worker, lag in zip(workers, lags(workers, 1), strict=True)]]
    slow += [[worker.too_slow(lag) for worker, lag in zip(workers, lags(workers, 2), strict=True)]]
    assert slow == [[False, False, False], [False, False, True]]


def test_one_slow_epoch_is_none(tmp_path: Path) -> None:
    worker = gang(tmp_path, 0.1, 1.5)[1]
    assert [worker.too_slow(lag) for lag in (15.0, 9.9, 15.0, 1.0, 15.0, 10.0)] == [False] * 5 + [True]
    other = gang(tmp_path, 0.1, 0.1, 1.5)[2]
    assert [other.too_slow(lag) for lag in (15.0, 0.0, 15.0)] == [False, False, True]


def test_what_is_slow_again_and_again_stays(tmp_path: Path) -> None:
    """Each time it is another process; a third time would not help."""
    asked = []
    for _ in range(4):
        gang(tmp_path, 0.1, 1.5)[0].lag(1)
        worker = gang(tmp_path, 0.1, 1.5)[1]
        asked.append([worker.too_slow(worker.lag(1)) for _ in range(2)])
    assert asked == [[False, True], [False, True], [False, False], [False, False]]


def test_alone_nobody_is_slow(tmp_path: Path) -> None:
    assert Pace(tmp_path / "none", SINGLE, lambda: 5.0).lag(1) == 0.0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"epoch": "1", "seconds": 0.1}', '{"epoch": 7, "seconds": 0.1}']
)
def test_what_the_others_have_not_told_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "0").write_text(text)
    worker = gang(tmp_path, 0.1, 1.5)[1]
    assert worker.lag(1) == 0.0
    assert json.loads((tmp_path / "1").read_text()) == {"epoch": 1, "seconds": 1.5}


def test_the_first_time_is_not_measured() -> None:
    done = []
    now = iter([10.0, 10.5])
    measure = timed(lambda: done.append(1), lambda: next(now))
    assert (measure(), len(done)) == (0.5, 2)
