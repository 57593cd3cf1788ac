"""The queue's decision: a simulated week beside first come, first served; all states of four claims; its time.

    python benchmarks/admission.py [--seeds 20] [--rounds 1] [--schedules 1000000] [--processes 2] [--json FILE]

The week: nine users in groups of three, two and four share sixteen workers; gangs of one to eight workers run for ten
minutes to two hours and make a backup every ten minutes; all have work all the time, and one, greedy, has thirty jobs
in the queue. Four times a day an administrator's job of a higher class comes. What is told of a rule: Jain's index of
use over share (1 is as owed), idle workers while a job that waits would fit, and how long the administrator waited. The
peer is Argo's rule: higher class, then age, and only the first may start.

Four claims on two pools of up to three permits: each of the 3060 choices of what they want, ``--rounds`` times with
other users, classes, elastic sizes and backups, is gone through state by state; what may happen is that one comes, ends
(or its engine is killed), makes the backup it was asked for, is suspended, goes on, or that a pool gets another size.
``--schedules``: random schedules of 16 of these moves, and of every thousandth one of 400. A fault ends the program.
With ``--rounds 0`` and ``--schedules 0`` what the file has of both stays.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, show, write
from tests.queue.checker import explore, random_schedule
from tiphys.queue.core import (
    Admit,
    Claim,
    Move,
    PermitPool,
    Preempt,
    QueueState,
    apply,
    ask,
    decide,
    explain,
    give_back,
)
from tiphys.queue.shares import Shares

WORKERS = 16
WEEK = 7 * 86_400.0
BACKUP = 600.0
GROUPS = {"one": ("a", "b", "c"), "two": ("d", "e"), "three": ("f", "g", "h", "i")}
TARGET = {user: 1 / len(GROUPS) / len(users) for users in GROUPS.values() for user in users}
GREEDY = "a"
ADMIN = 10  # the administrator's class
Rule = Callable[[QueueState, float], list[Move]]


def first_come(state: QueueState, now: float) -> list[Move]:
    """Argo's rule: the first of the queue, and nobody past it."""
    moves: list[Move] = []
    while state.waiting:
        first = min(
            (each for there in state.waiting.values() for each in there),
            key=lambda each: (-each.priority, each.created, each.name),
        )
        if any(count * first.least > state.free()[pool] for pool, count in first.each):
            break
        moves.append(Admit(first.name, first.least))
        state = apply(state, moves[-1], now)
    return moves


class Week:
    """One simulated week."""

    def __init__(self, seed: int, rule: Rule) -> None:
        self.chance = Random(seed)
        self.rule = rule
        shares = Shares(users={user: (group, 1.0) for group, users in GROUPS.items() for user in users})
        self.state = QueueState({"workers": PermitPool(WORKERS)}, shares=shares)
        self.events: list[tuple[float, int, str, str]] = []
        self.number = 0
        self.left: dict[str, float] = {}  # seconds of work
        self.began: dict[str, float] = {}
        self.used = dict.fromkeys(TARGET, 0.0)
        self.idle = 0.0
        self.waits: list[float] = []

    def submit(
        self, now: float, user: str, *, workers: int = 0, seconds: float = 0.0, priority: int = 0
    ) -> None:
        self.number += 1
        name = f"{user}-{self.number}"
        self.left[name] = seconds or self.chance.uniform(600, 7200)
        each = (("workers", workers or self.chance.randint(1, 8)),)
        claim = Claim(name, each, user, priority, now, preemptible=not priority)
        self.state = ask(self.state, claim)

    def at(self, moment: float, kind: str, name: str) -> None:
        self.number += 1
        heapq.heappush(self.events, (moment, self.number, kind, name))

    def run(self) -> dict[str, float]:
        """The week's figures."""
        for user in TARGET:
            for _ in range(30 if user == GREEDY else 3):
                self.submit(0.0, user)
        for number in range(28):
            self.at(number * 21_600 + self.chance.uniform(3_600, 18_000), "admin", "")
        now = 0.0
        self.decide(now)
        while self.events:
            moment, _, kind, name = heapq.heappop(self.events)
            if moment > WEEK:
                break
            self.account(moment - now)
            now = moment
            if kind == "admin":
                self.submit(now, "admin", workers=2, seconds=300.0, priority=ADMIN)
            elif kind == "end" and name in self.began:
                self.finish(now, name)
            elif kind == "backup" and name in self.began:
                self.left[name] -= now - self.began.pop(name)
                self.state = give_back(self.state, name, now, again=True)
            self.decide(now)
        shares = [self.used[user] / TARGET[user] for user in TARGET]
        return {
            "jain": sum(shares) ** 2 / (len(shares) * sum(each * each for each in shares)),
            "greedy_share": self.used[GREEDY] / sum(self.used.values()),
            "idle_though_one_fits": self.idle / (WORKERS * WEEK),
            "admin_waits_at_most_s": max(self.waits),
        }

    def finish(self, now: float, name: str) -> None:
        user = name.partition("-")[0]
        del self.began[name], self.left[name]
        self.state = give_back(self.state, name, now)
        if user in TARGET:
            self.submit(now, user)

    def decide(self, now: float) -> None:
        for move in self.rule(self.state, now):
            self.state = apply(self.state, move, now)
            if isinstance(move, Admit):
                self.began[move.name] = now
                self.at(now + self.left[move.name], "end", move.name)
                held = self.state.holding[-1].claim
                if held.priority == ADMIN:
                    self.waits.append(now - held.created)
            elif isinstance(move, Preempt):
                since = now - self.began[move.name]
                self.at(now + BACKUP - since % BACKUP, "backup", move.name)

    def account(self, seconds: float) -> None:
        for held in self.state.holding:
            if held.claim.user in self.used:
                self.used[held.claim.user] += seconds * sum(count for _, count in held.claim.each)
        free = self.state.free()["workers"]
        smallest = min(
            (count for there in self.state.waiting.values() for each in there for _, count in each.each),
            default=99,
        )
        if smallest <= free:
            self.idle += free * seconds


def week(seeds: int) -> dict[str, float]:
    """The worst of all seeds, for both rules."""
    found: dict[str, float] = {"seeds": seeds}
    for name, rule in (("fair", decide), ("first_come", first_come)):
        figures = [Week(seed, rule).run() for seed in range(seeds)]
        found[f"{name}_jain_at_least"] = round(min(each["jain"] for each in figures), 4)
        for key in ("greedy_share", "idle_though_one_fits", "admin_waits_at_most_s"):
            found[f"{name}_{key}"] = round(max(each[key] for each in figures), 4)
    return found


def any_request(chance: Random, number: int, most: int, counts: Sequence[int] = (0, 0)) -> Claim:
    while not any(counts):
        counts = [chance.randint(0, most), chance.randint(0, most)]
    return Claim(
        f"r{number}",
        tuple((pool, count) for pool, count in zip("ab", counts, strict=True) if count),
        chance.choice("uvw"),
        chance.choice((0, 0, 1, 2)),
        float(number),
        most=chance.choice((1, 1, 2)),
        preemptible=chance.random() < 0.5,
    )


def states_of(choice: tuple[int, tuple[tuple[int, int], ...]]) -> int:
    """How many states four claims that want this can be in."""
    seed, wants = choice
    chance = Random(seed)
    claims = tuple(any_request(chance, number, 3, counts) for number, counts in enumerate(wants))
    return explore(claims, {"a": (3, 1), "b": (3, 2)}, chance.randint(0, 2))


def states(rounds: int, processes: int) -> dict[str, float]:
    """States gone through."""
    wants = [counts for counts in itertools.product(range(4), repeat=2) if any(counts)]
    choices = list(itertools.combinations_with_replacement(wants, 4)) * rounds
    total = _shared_out(states_of, list(enumerate(choices)), processes)
    return {"choices_of_four_requests": len(choices), "states": total}


def schedule(seed: int) -> int:
    """How many were admitted in one."""
    moves = 400 if seed % 1000 == 0 else 16
    return random_schedule(
        seed, moves, lambda chance, number: any_request(chance, number, 4), {"a": 6, "b": 8}
    )


def schedules(count: int, processes: int) -> dict[str, float]:
    """Random schedules, and how many were admitted in them."""
    return {"schedules": count, "admitted": _shared_out(schedule, range(count), processes)}


def _shared_out(of: Callable[[Any], int], all_of_them: Iterable[Any], processes: int) -> int:
    with ProcessPoolExecutor(processes) as pool:
        return sum(pool.map(of, all_of_them, chunksize=50))


def decisions(waiting: int) -> dict[str, float]:
    """Milliseconds of processor time of a decision, and of an answer to why one waits, with so many in the queue."""
    chance = Random(1)
    state = QueueState({"workers": PermitPool(WORKERS)})
    users = list(TARGET)
    claims = [
        Claim(f"r{number}", (("workers", chance.randint(1, 8)),), users[number % 9], 0, float(number))
        for number in range(waiting)
    ]
    state = ask(state, *claims)
    times, answers = [], []
    now = float(waiting)
    for _ in range(300):
        if state.holding:
            state = give_back(state, chance.choice(state.holding).claim.name, now)
        now += 60.0
        begin = time.process_time()
        moves = decide(state, now)
        times.append(time.process_time() - begin)
        for move in moves:
            state = apply(state, move, now)
        last = next(iter(state.waiting.values()))[-1].name
        begin = time.process_time()
        explain(state, last, now)
        answers.append(time.process_time() - begin)
    return {
        "waiting": waiting,
        "decision_p50_ms": round(sorted(times)[150] * 1000, 2),
        "decision_p99_ms": round(sorted(times)[297] * 1000, 2),
        "explain_p99_ms": round(sorted(answers)[297] * 1000, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--schedules", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    if options.rounds or options.schedules:
        checked = {
            **states(options.rounds, options.processes),
            **schedules(options.schedules, options.processes),
            **about(),
        }
    else:
        checked = json.loads(Path(options.json).read_text(encoding="utf-8"))["checked"]
    found = {**week(options.seeds), **decisions(10_000), "checked": checked}
    show(found)
    if options.json:
        write(Path(options.json), {**found, **about()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
