"""The table of pools as several engines meet it. Who may start is tested with the core: test_core.py."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiphys.errors import RunError
from tiphys.queue.core import SETTLED, Claim, Holding, Move, QueueState, decide
from tiphys.queue.locks import Granted, Locks
from tiphys.queue.permits import Bid, Permits, Queued
from tiphys.queue.rules import Member, Rules
from tiphys.queue.table import process_start


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def permits(tmp_path: Path, clock: Clock) -> Iterator[Permits]:
    with contextlib.closing(Permits(tmp_path / "locks.db", clock=clock)) as table:
        yield table


def wanted(
    name: str, count: int = 1, pool: str = "p", *, size: int = 4, created: float = 0.0, **more: object
) -> Bid:
    claim = Claim(name, ((pool, count),), created=created, **more)  # type: ignore[arg-type]
    return Bid(claim, {pool: size}, f"step {name}")


def message(answer: object) -> str:
    assert isinstance(answer, Queued), answer
    return answer.message


def test_gangs_of_all_sizes_share_one_capacity(permits: Permits) -> None:
    """F10: three semaphores admitted eleven workers under a capacity of four."""
    assert isinstance(permits.ask(wanted("two", 2)), Holding)
    assert message(permits.ask(wanted("four", 4))) == "Waiting for 4 permits of pool p: 2 of 4 free"
    assert message(permits.ask(wanted("three", 3))) == "Waiting for 3 permits of pool p: 2 of 4 free"
    assert isinstance(permits.ask(wanted("other two", 2)), Holding)
    permits.give_back("two", "other two")
    assert isinstance(permits.ask(wanted("four", 4)), Holding)


def test_who_gives_back_decides_for_the_others(permits: Permits, tmp_path: Path, clock: Clock) -> None:
    with contextlib.closing(Permits(tmp_path / "locks.db", clock=clock)) as other:
        permits.ask(wanted("a", 4))
        other.ask(wanted("b", 4))
        other.news()
        assert not other.news()
        permits.give_back("a")
        assert other.news()
        assert [each.claim.name for each in permits.view().state.holding] == ["b"]
        assert isinstance(other.ask(wanted("b", 4)), Holding)


def test_asking_again_keeps_the_place(permits: Permits) -> None:
    permits.ask(wanted("a", 4))
    for _ in range(2):
        permits.ask(wanted("old", 4, created=1.0))
        permits.ask(wanted("young", 4, created=2.0))
    permits.give_back("a")
    assert isinstance(permits.ask(wanted("old", 4, created=1.0)), Holding)
    assert isinstance(permits.ask(wanted("young", 4, created=2.0)), Queued)


def test_one_that_can_do_with_less_gives_it_back_and_has_it_again(permits: Permits, clock: Clock) -> None:
    elastic = wanted("elastic", most=4, preemptible=True)
    assert permits.ask(elastic) == Holding(elastic.claim, 4, clock.now)
    assert message(permits.ask(wanted("other", 3))) == "Waiting for 3 permits of pool p: 0 of 4 free"
    assert permits.view().holding["elastic"].keeps == 1
    clock.now += 60
    permits.resize("elastic", 1)
    assert isinstance(permits.ask(wanted("other", 3)), Holding)
    permits.give_back("other")
    assert permits.view().holding["elastic"] == Holding(elastic.claim, 1, clock.now)
    clock.now += SETTLED
    permits.settle()
    assert permits.view().holding["elastic"] == Holding(elastic.claim, 4, clock.now)


def test_one_that_ended_at_its_backup_waits_in_its_place(permits: Permits) -> None:
    permits.ask(wanted("elastic", least=2, most=4, preemptible=True))
    permits.ask(wanted("young", 4, created=1.0))
    assert message(permits.ask(wanted("urgent", 4, created=2.0, priority=1)))
    assert permits.view().holding["elastic"].keeps == 0
    permits.resize("elastic", 0)
    assert isinstance(permits.ask(wanted("urgent", 4, created=2.0, priority=1)), Holding)
    assert list(permits.view().waiting) == ["elastic", "young"]
    permits.give_back("urgent")
    assert list(permits.view().holding) == ["elastic"]


def test_one_who_wants_more_than_there_is_in_all(permits: Permits) -> None:
    permits.set_size("p", 2)
    assert message(permits.ask(wanted("a", 4))) == "Waiting for 4 permits of pool p, which has 2 in all"


def test_a_limit_that_changes_holds_at_once_for_those_that_wait(permits: Permits) -> None:
    permits.ask(wanted("a", 4))
    permits.ask(wanted("b", 4))
    permits.set_size("p", 8)
    assert isinstance(permits.ask(wanted("b", 4)), Holding)
    permits.set_size("p", 1)
    assert message(permits.ask(wanted("c"))) == "Waiting for 1 permit of pool p: 0 of 1 free"
    assert permits.sizes() == {"p": 1}
    permits.set_size("p", None)
    permits.give_back("a", "b")
    assert permits.sizes() == {}
    assert isinstance(permits.ask(wanted("c")), Holding)


def test_the_youngest_run_says_how_large_a_pool_is(permits: Permits) -> None:
    """F11: two engines had a limit of their own each."""
    permits.ask(wanted("old", size=3, created=1.0))
    permits.ask(wanted("young", size=1, created=2.0))
    assert len(permits.view().holding) == 1
    permits.give_back("young")
    assert isinstance(permits.ask(wanted("old too", size=3, created=1.0)), Holding)


def test_rules_say_how_large_a_pool_is_and_a_command_says_otherwise(tmp_path: Path) -> None:
    with contextlib.closing(Permits(tmp_path / "locks.db", lambda: Rules(pools={"p": 1}))) as table:
        table.ask(wanted("a"))
        assert isinstance(table.ask(wanted("b")), Queued)
        table.set_size("p", 2)
        assert isinstance(table.ask(wanted("b")), Holding)


def test_use_is_counted_and_who_had_less_comes_first(tmp_path: Path, clock: Clock) -> None:
    rules = Rules(groups={"g": 1.0}, users={"x": Member("g"), "y": Member("g")})
    with contextlib.closing(Permits(tmp_path / "locks.db", lambda: rules, clock)) as table:
        table.ask(wanted("x1", 4, user="x"))
        clock.now += 3600.0
        table.ask(wanted("x2", 4, user="x", created=1.0))
        table.ask(wanted("y1", 4, user="y", created=2.0))
        assert table.view().state.shares.used["x"] == pytest.approx(4 * 3600, rel=0.05)
        table.give_back("x1")
        assert set(table.view().holding) == {"y1"}


def test_two_levels_that_wait_for_one_another_are_told(permits: Permits) -> None:
    """One run holds a and a step of it wants b, another holds b and a step of it wants a."""
    permits.ask(wanted("one", pool="a", size=1))
    permits.ask(wanted("two", pool="b", size=1))
    assert isinstance(permits.ask(wanted("one/x", pool="b", size=1, within="one")), Queued)
    told = permits.ask(wanted("two/x", pool="a", size=1, within="two"))
    assert isinstance(told, RunError)
    assert told.code == "TIP304"
    assert told.message == (
        "it would wait for ever: step two/x waits for a, which step one holds; "
        "step one/x waits for b, which step two holds"
    )
    permits.give_back("two")
    assert isinstance(permits.ask(wanted("one/x", pool="b", size=1, within="one")), Holding)


def test_a_limit_that_makes_a_circle_breaks_it_at_one_place(permits: Permits) -> None:
    for run in ("one", "two"):
        permits.ask(wanted(run, pool="p", size=3))
    permits.set_size("p", 2)
    steps = [wanted(f"{run}/x", pool="p", size=3, within=run) for run in ("one", "two")]
    assert isinstance(permits.ask(steps[0]), RunError) or isinstance(permits.ask(steps[1]), RunError)


def test_a_table_that_both_kinds_of_locks_are_in(tmp_path: Path) -> None:
    with (
        contextlib.closing(Permits(tmp_path / "locks.db")) as permits,
        contextlib.closing(Locks(tmp_path / "locks.db")) as locks,
    ):
        assert isinstance(permits.ask(wanted("a")), Holding)
        assert isinstance(locks.acquire("a", ["argo/Mutex/m"], workflow="a", limits={}), Granted)


# -- engines that are killed ----------------------------------------------------------------------------------

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from tiphys.queue.core import Claim
from tiphys.queue.permits import Permits, Bid
permits = Permits(Path(sys.argv[1]))
keeper = subprocess.Popen(["sleep", "1000"])
permits.inherit(keeper.pid)
permits.ask(Bid(Claim("held", (("p", 3),)), {"p": 4}, "held"))
permits.ask(Bid(Claim("waits", (("p", 2),)), {"p": 4}, "waits"))
print(keeper.pid, flush=True)
time.sleep(1000)
"""


@contextlib.contextmanager
def killed(path: Path) -> Iterator[int]:
    """A table that a killed engine held three permits in and waited in; the process that keeps its steps."""
    engine = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    heir = int(engine.stdout.readline())
    engine.kill()
    engine.wait()
    engine.stdout.close()
    try:
        yield heir
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(heir, signal.SIGKILL)


def test_the_dead_wait_for_nothing_and_hold_while_their_steps_live(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    with killed(path) as heir, contextlib.closing(Permits(path)) as permits:
        assert isinstance(permits.ask(wanted("small", 1)), Holding)
        assert isinstance(permits.ask(wanted("large", 2)), Queued)
        assert set(permits.view().holding) == {"held", "small"}
        assert set(permits.view().waiting) == {"large"}
        os.kill(heir, signal.SIGKILL)
        while process_start(heir):
            time.sleep(0.01)
        for _ in range(4):  # of a death nobody tells: it is looked for now and then
            permits.news()
        assert isinstance(permits.ask(wanted("large", 2)), Holding)


def test_the_next_engine_of_the_run_has_at_once_what_it_held(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    with killed(path), contextlib.closing(Permits(path)) as permits:
        assert isinstance(permits.ask(wanted("held", 3)), Holding)


def test_what_a_killed_engine_had_for_what_does_not_go_on_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    with killed(path), contextlib.closing(Permits(path)) as permits:
        permits.ask(wanted("living", 1))
        permits.forsake("hel")
        permits.forsake("living")
        assert isinstance(permits.ask(wanted("large", 3)), Queued)
        permits.forsake("held")
        assert isinstance(permits.ask(wanted("large", 3)), Holding)
        assert set(permits.view().holding) == {"living", "large"}


def test_what_was_given_to_one_who_died_unknowing_is_nobodys(tmp_path: Path) -> None:
    """It has not started what it was admitted for: its heir keeps other steps."""
    path = tmp_path / "locks.db"
    with killed(path), contextlib.closing(Permits(path)) as permits:
        permits.ask(wanted("other", 1))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("INSERT INTO claims SELECT 'unknowing', '', wants, '', 0, 0, 1, 1, 0, '', 0, pid, start,"
                       " 0, 1, 0, 0, 0 FROM claims WHERE name='held'")  # fmt: skip
        permits.give_back("other")
        assert set(permits.view().holding) == {"held"}


# Four engines that are killed all the time: what each holds it writes down; who looks never sees more than there is
ENGINE = """
import os, random, sys, time
from pathlib import Path
from tiphys.queue.core import Claim, Holding
from tiphys.queue.permits import Permits, Bid
path, number = Path(sys.argv[1]), sys.argv[2]
chance = random.Random(f"{number}/{time.time()}")
permits = Permits(path)
turn = 0
while True:
    turn += 1
    name, count = f"{number}/{turn}/{os.getpid()}", chance.randint(1, 4)
    request = Bid(Claim(name, (("p", count),), user=number, created=time.time()), {"p": 4}, name)
    while not isinstance(permits.ask(request), Holding):
        time.sleep(0.005)
        permits.news()
    open(path.parent / "done" / name.replace("/", "-"), "w").close()
    if chance.random() < 0.9:
        permits.give_back(name)
    else:
        time.sleep(0.02)
        permits.give_back(name)
"""


def test_engines_that_are_killed_all_the_time(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    (tmp_path / "done").mkdir()

    def engine(number: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", ENGINE, str(path), str(number)])

    def done(process: subprocess.Popen[bytes]) -> int:
        return len(list((tmp_path / "done").glob(f"*-{process.pid}")))

    with contextlib.closing(Permits(path)) as permits:
        permits.set_size("p", 4)
        engines = [engine(number) for number in range(4)]
        try:
            for turn in range(12):
                victim = turn % len(engines)
                looks = 0
                while looks < 20 or not done(engines[victim]):
                    looks += 1
                    held = permits.view().state.holding
                    assert sum(each.units * count for each in held for _, count in each.claim.each) <= 4
                    time.sleep(0.005)
                engines[victim].kill()
                engines[victim].wait()
                engines[victim] = engine(victim)
        finally:
            for each in engines:
                each.kill()
                each.wait()
        assert isinstance(permits.ask(wanted("after them", 4)), Holding)
        assert list(permits.view().holding) == ["after them"]


def test_of_many_that_want_the_same_a_decision_reads_the_first(
    permits: Permits, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def looked(state: QueueState, now: float) -> list[Move]:
        read.append(sum(map(len, state.waiting.values())))
        return decide(state, now)

    monkeypatch.setattr("tiphys.queue.permits.decide", looked)
    bids = {
        f"r{number:03}": wanted(f"r{number:03}", created=number % 2, within="run") for number in range(300)
    }
    for each in bids.values():
        permits.ask(each)
    first, *others = (
        list(bids)[:4],
        *sorted(list(bids)[4:], key=lambda name: (bids[name].claim.created, name)),
    )
    turns = [*first, *others]
    for at, name in enumerate(turns):
        assert set(permits.view().holding) == {*turns[at : at + 4]}
        for new in permits.granted():
            assert isinstance(permits.ask(bids[new]), Holding)
        permits.give_back(name)
    assert max(read) <= 64 and len(read) < 700


def test_as_many_as_come_free_at_once_are_admitted_at_once(permits: Permits) -> None:
    permits.set_size("p", 0)
    for number in range(150):
        permits.ask(wanted(f"r{number:03}", size=0))
    permits.set_size("p", 100)
    assert permits.granted() == {f"r{number:03}" for number in range(100)}
    assert len(permits.view().waiting) == 50


def test_thirty_claims_of_one_user_do_not_hold_up_the_first_of_another(permits: Permits) -> None:
    for number in range(30):
        permits.ask(wanted(f"greedy {number}", 2, user="greedy", created=float(number)))
    assert isinstance(permits.ask(wanted("modest", 2, user="modest", created=100.0)), Queued)
    permits.give_back("greedy 0")
    assert "modest" in permits.view().holding


def test_a_run_that_comes_back_for_what_it_had_is_not_the_one_that_is_told(permits: Permits) -> None:
    """Its engine was killed; meanwhile another run took b, and a step of that one wants a."""
    permits.ask(wanted("one", pool="a", size=1))
    permits.ask(wanted("two", pool="b", size=1))
    assert isinstance(permits.ask(wanted("two/x", pool="a", size=1, within="two")), Queued)
    for _ in range(2):
        assert isinstance(permits.ask(wanted("one/x", pool="b", size=1, within="one"), had=True), Queued)
    assert isinstance(permits.ask(wanted("two/x", pool="a", size=1, within="two")), RunError)


def test_another_size_is_heard_while_a_claim_holds_or_waits(permits: Permits) -> None:
    permits.ask(wanted("a", 2, size=2))
    permits.ask(wanted("b", 2, size=2))
    assert isinstance(permits.ask(wanted("b", 2, size=4)), Holding)
    assert isinstance(permits.ask(wanted("b", 2, size=1)), Holding)


def test_who_gives_back_nothing_disturbs_nobody(permits: Permits, tmp_path: Path, clock: Clock) -> None:
    with contextlib.closing(Permits(tmp_path / "locks.db", clock=clock)) as other:
        permits.ask(wanted("a"))
        other.news()
        assert not permits.give_back("nobody")
        assert not other.news()
        assert permits.give_back("a")
        assert other.news()
