"""When an engine looks at the tables that it shares with others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tiphys.engine.base.loop import Loop
from tiphys.engine.pods import lookout
from tiphys.engine.pods.lookout import Lookout
from tiphys.queue.table import SharedTable

SCHEMA = "CREATE TABLE IF NOT EXISTS notes(text TEXT)"


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[list[SharedTable]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(SharedTable(tmp_path / "t", SCHEMA))) for _ in range(2)]


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks without having been told."""
    monkeypatch.setattr(lookout, "_SELDOM", 1000.0)
    monkeypatch.setattr(lookout, "LOOK_AGAIN", 1000.0)


def write(table: SharedTable) -> None:
    with table.transaction() as db:
        db.execute("INSERT INTO notes VALUES('x')")


def until(loop: Loop, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        loop.step()


def test_it_looks_when_another_has_written(loop: Loop, tables: list[SharedTable], never: None) -> None:
    looks: list[bool] = []

    def look() -> bool:
        looks.append(tables[0].news())
        return len(looks) < 3

    looking = Lookout(loop, look)
    looking.on(*tables)
    for count in (1, 2, 3):
        write(tables[1])
        until(loop, lambda count=count: len(looks) == count)  # type: ignore[misc]
    assert looks == [True] * 3
    write(tables[1])  # and nobody waits any more
    loop.call_later(0.1, lambda: looks.append(False))
    until(loop, lambda: len(looks) == 4)
    assert looks[3] is False
    looking.off()


def test_many_writes_are_one_look(
    loop: Loop, tables: list[SharedTable], never: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "_BREATH", 0.5)
    looks: list[float] = []
    looking = Lookout(loop, lambda: not looks.append(loop.now()))  # type: ignore[func-returns-value]
    looking.on(*tables)
    for _ in range(20):
        write(tables[1])
        loop.call_soon(lambda: None)
        loop.step()
    until(loop, lambda: len(looks) == 2)
    assert looks[1] - looks[0] >= 0.5
    looking.off()


def test_it_looks_now_and_then_where_the_kernel_tells_nothing(
    loop: Loop, tables: list[SharedTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(lookout, "_SELDOM", 1000.0)
    monkeypatch.setattr(SharedTable, "listen", lambda self: None)
    looks: list[int] = []

    def look() -> bool:
        looks.append(1)
        return len(looks) < 3

    Lookout(loop, look).on(tables[0])
    until(loop, lambda: len(looks) == 3)


def test_whoever_has_more_to_look_at_says_so(
    loop: Loop, tables: list[SharedTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(lookout, "_SELDOM", 1000.0)
    looks: list[int] = []

    def look() -> bool:
        looks.append(1)
        return True

    looking = Lookout(loop, look)
    looking.on(tables[0])
    looking.on(tables[0], quick=True)
    until(loop, lambda: len(looks) == 3)
    looking.off()
