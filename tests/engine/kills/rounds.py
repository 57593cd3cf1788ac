"""Rounds of kills: a run is begun, its engine or keeper is killed at random moments, it is resumed until it ends, and
what is left is compared with what the same run leaves uninterrupted."""

from __future__ import annotations

import collections
import os
import random
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engine.kills.flows import CHILDREN, FLOWS, IMAGE, MOUNTED, REPLICAS
from tests.engine.kills.forked import Engine, descendants, name_of, reap, send
from tests.engine.kills.state import Bodies, State, differences

__all__ = ["GRACE_VARIABLE", "KINDS", "STOP", "Base", "Outcome", "play", "summed", "uninterrupted"]

Json = Any
NAME = "wf"
_KEEPER = "_keeper.py"
GRACE_VARIABLE = "TIPHYS_KEEPER_GRACE"  # how long steps wait for another engine when theirs was killed
ABANDONED_GRACE = 1.0
PATIENCE = 90.0  # seconds after which what has not ended hangs
STOP = "stop and continue"
KINDS = {"engine": 6, "group": 2, "keeper": 1, "guard": 1, "engine and keeper": 1, STOP: 1}


@dataclass(frozen=True)
class Base:
    """What an uninterrupted run left, which bodies ended, and how long it took."""

    state: State
    bodies: Bodies
    seconds: float


@dataclass
class Outcome:
    """One round. ``faults``: what went wrong, as (kind of fault, detail); ``twice``: bodies that came to their end
    twice, under the kinds of kills of the round."""

    seed: str
    flow: str
    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: list[tuple[str, str]] = field(default_factory=list)
    twice: dict[str, int] = field(default_factory=dict)
    begun_twice: int = 0
    ended: int = 0
    resumes: int = 0
    notes: collections.Counter[str] = field(default_factory=collections.Counter)

    def fault(self, kind: str, detail: str = "") -> None:
        self.faults.append((kind, detail))


class _Place:
    """A folder for one round: the store, the file of bodies, and what engines said."""

    def __init__(self, folder: Path, flow: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        self.store = folder / "store"
        self.flow = FLOWS[flow]
        confined = self.flow.runner == "sandbox"
        self.bodies = (self.store / "volumes" if confined else folder) / "bodies" / "bodies"
        self.bodies.parent.mkdir(parents=True)
        self.bodies.touch()
        self.options = {
            "store": self.store,
            "runner": self.flow.runner,
            "images": {IMAGE: "host"},
            "env": {"BODIES": f"{MOUNTED}/bodies" if confined else str(self.bodies)},
        }

    def begin(self) -> Engine:
        return Engine(
            NAME,
            self.folder,
            self.options,
            workflow=self.flow.workflow(NAME),
            context=list(self.flow.context),
        )

    def resume(self) -> Engine:
        return Engine(NAME, self.folder, self.options)

    def ends(self) -> int:
        return self.bodies.read_bytes().count(b"end ")


def uninterrupted(flow: str, folder: Path) -> Base:
    """The run as it is when nobody kills anything. Raises RuntimeError when it does not end as it should."""
    place = _Place(folder, flow)
    begin = time.monotonic()
    engine = place.begin()
    if not engine.wait(PATIENCE) or engine.answer().get("phase") != place.flow.phase:
        raise RuntimeError(f"{flow} ends with {engine.answer()}: {place.folder}\n{engine.said()[-2000:]}")
    seconds = time.monotonic() - begin
    _nobody_left(3.0)
    return Base(State.read(place.store), Bodies.read(place.bodies), seconds)


def play(seed: str, flow: str, folder: Path, base: Base) -> Outcome:
    """One round: the same seed makes the same choices, though not the same moments of this machine."""
    return _Round(seed, flow, _Place(folder, flow), base).play()


class _Round:
    def __init__(self, seed: str, flow: str, place: _Place, base: Base) -> None:
        self.random = random.Random(f"{seed} {flow}")
        self.place = place
        self.base = base
        self.outcome = Outcome(seed, flow)
        self.engine: Engine | None = None

    def play(self) -> Outcome:
        chance, outcome = self.random, self.outcome
        abandon = chance.random() < 0.1
        if abandon:
            os.environ[GRACE_VARIABLE] = str(ABANDONED_GRACE)
        try:
            self._kill_and_resume(chance.choice((1, 1, 2, 3)), abandon)
            self._compare()
        finally:
            os.environ.pop(GRACE_VARIABLE, None)
            self._clear()
        return outcome

    def _kill_and_resume(self, kills: int, abandon: bool) -> None:
        engine = self.engine = self.place.begin()
        while kills:
            kills -= 1
            kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
            self._moment(engine)
            if engine.ended:
                break
            if not self._kill(kind, engine):
                self.outcome.notes["nothing to kill yet"] += 1
                continue
            if kind == STOP:  # nobody was killed
                self.outcome.notes[kind] += 1
                continue
            self.outcome.kills[kind] += 1
            if not engine.wait(PATIENCE):
                self.outcome.fault("hang", f"after {kind}")
                return
            if engine.answer().get("phase"):  # it had ended, or ended in spite of it
                break
            if abandon and not kills:
                self._abandoned(engine)
            time.sleep(self.random.choice((0.0, 0.02, 0.1, 0.4)))
            if not kills and self.random.random() < 0.15:
                self._two_resumes()
                return
            engine = self.engine = self._again(engine)
        self._to_the_end(engine)

    def _moment(self, engine: Engine) -> None:
        """Wait for a moment to kill at: any, or soon after a body has come to its end."""
        if self.random.random() < 0.5:
            deadline = time.monotonic() + self.random.uniform(0, self.base.seconds)
            while time.monotonic() < deadline and not engine.ended:
                time.sleep(0.002)
            return
        have = self.place.ends()
        wanted = have + self.random.randint(1, max(1, sum(self.base.bodies.ends.values()) - have))
        deadline = time.monotonic() + 2 * self.base.seconds + 1
        while self.place.ends() < wanted and not engine.ended and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(self.random.uniform(0, 0.01))

    def _kill(self, kind: str, engine: Engine) -> bool:
        if kind == "engine":
            return send(engine.pid, signal.SIGKILL)
        if kind == "group":
            return send(engine.pid, signal.SIGKILL, group=True)
        if kind == STOP:
            below = [engine.pid, *descendants(os.getpid())]
            for pid in below:
                send(pid, signal.SIGSTOP)
            time.sleep(self.random.uniform(0.02, 0.4))
            for pid in below:
                send(pid, signal.SIGCONT)
            return True
        guard, keeper = _keepers()
        if kind == "guard":
            return bool(guard) and send(guard, signal.SIGKILL)
        done = bool(keeper) and send(keeper, signal.SIGKILL)
        return done if kind == "keeper" else done and send(engine.pid, signal.SIGKILL)

    def _again(self, engine: Engine) -> Engine:
        """Go on; a run that was killed before it was one is begun anew."""
        self.outcome.resumes += 1
        if engine.code == 0 or not (self.place.store / "runs" / NAME / "journal.db").exists():
            return self.place.begin()
        return self.place.resume()

    def _to_the_end(self, engine: Engine) -> None:
        for _ in range(4):
            if not engine.wait(PATIENCE):
                self.outcome.fault("hang", engine.said()[-500:])
                return
            answer = engine.answer()
            if answer.get("phase"):
                return
            error = answer.get("error", "")
            if error == "TIP212":
                self.outcome.notes["had ended"] += 1
                return
            if error == "TIP226":
                if self.place.bodies.stat().st_size:
                    self.outcome.fault("lost", "TIP226 after a body began")
                    return
                self.outcome.notes["killed before it began"] += 1
                engine = self.engine = self.place.begin()
                continue
            if error == "TIP301":  # the keeper was killed, and the engine told of it: resumable
                engine = self.engine = self.place.resume()
                continue
            self.outcome.fault("no end", f"{answer or engine.code}: {engine.said()[-800:]}")
            return
        self.outcome.fault("no end", "four times")

    def _two_resumes(self) -> None:
        if not (self.place.store / "runs" / NAME / "journal.db").exists():
            self._to_the_end(self.place.begin())
            return
        both = [self.place.resume(), self.place.resume()]
        self.outcome.resumes += 2
        self.outcome.notes["two resumes at once"] += 1
        if not all([engine.wait(PATIENCE) for engine in both]):
            self.outcome.fault("hang", "two resumes at once")
            return
        answers = [engine.answer() for engine in both]
        told = sorted(answer.get("error") or answer.get("phase", "nothing") for answer in answers)
        if "TIP226" in told:
            self._to_the_end(self.place.resume())
        elif sum("phase" in answer for answer in answers) + told.count("TIP212") < 1 or not set(told) <= {
            "TIP210",
            "TIP212",
            self.place.flow.phase,
        }:
            self.outcome.fault("two resumes at once", f"{told}: {both[0].said()[-500:]}")

    def _abandoned(self, engine: Engine) -> None:
        """Nobody goes on: when the grace time is over, nothing is left."""
        self.outcome.notes["left alone"] += 1
        left = _nobody_left(ABANDONED_GRACE + 10.0)
        if left:
            self.outcome.fault("orphans", f"left alone: {[name_of(pid) for pid in left]}")

    def _compare(self) -> None:
        outcome, place = self.outcome, self.place
        if left := _nobody_left(5.0):
            outcome.fault("orphans", f"at the end: {[name_of(pid)[:200] for pid in left]}")
        bodies = Bodies.read(place.bodies)
        outcome.ended = sum(bodies.ends.values())
        outcome.twice = bodies.ended_twice
        outcome.begun_twice = len(bodies.begun_twice)
        if lost := self.base.bodies.ends.keys() - bodies.ends.keys():
            outcome.fault("lost", f"bodies never ended: {sorted(lost)}")
        if any(kind in ("hang", "no end") for kind, _ in outcome.faults):
            return
        for what, detail in differences(self.base.state, State.read(place.store)).items():
            outcome.fault(what, detail)

    def _clear(self) -> None:
        """Nothing of this round goes on beside the next one."""
        for pid in descendants(os.getpid()):
            send(pid, signal.SIGKILL)
        _nobody_left(10.0)


def _keepers() -> tuple[int, int]:
    """The guard and the keeper, its child; 0 for what is not there. A step that is being started has the keeper's
    command line for a moment, too: it is a child of the keeper."""
    for pid in descendants(os.getpid()):
        if _KEEPER in name_of(pid):
            inner = [each for each in descendants(pid)[:1] if _KEEPER in name_of(each)]
            return pid, inner[0] if inner else 0
    return 0, 0


def _nobody_left(seconds: float) -> list[int]:
    """Wait until nothing is left below this process; what is."""
    deadline = time.monotonic() + seconds
    while True:
        reap()
        left = descendants(os.getpid())
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def _of_keepers(kinds: str) -> bool:
    """Whether a keeper was among what was killed: who could write down that a body has ended, too."""
    return "keeper" in kinds or "guard" in kinds


def summed(outcomes: list[Outcome]) -> Mapping[str, Json]:
    """All rounds together, as the numbers of the page."""
    kills: collections.Counter[str] = collections.Counter()
    flows: collections.Counter[str] = collections.Counter()
    notes: collections.Counter[str] = collections.Counter()
    faults: collections.Counter[str] = collections.Counter()
    twice: collections.Counter[str] = collections.Counter()
    where: collections.Counter[str] = collections.Counter()
    replicas = children = 0
    for outcome in outcomes:
        kills.update(outcome.kills)
        flows[outcome.flow] += outcome.kills.total()
        notes.update(outcome.notes)
        faults.update(kind for kind, _ in outcome.faults)
        kinds = " + ".join(sorted(outcome.kills))
        steps = [who for who in outcome.twice if not who.startswith(REPLICAS)]
        workers = len(outcome.twice) - len(steps)
        # a gang of which one was lost begins anew: with the keeper, or when nobody came in its grace time
        anew = _of_keepers(kinds) or outcome.notes["left alone"] > 0
        replicas += workers if anew else 0
        again = len(steps) + (0 if anew else workers)
        if again:
            children += again if outcome.flow == CHILDREN and not _of_keepers(kinds) else 0
            twice[kinds] += again
            where[f"{outcome.flow}: {kinds}"] += again
    different = ("trees", "artifacts", "memos", "metrics", "lost files", "hang", "no end")
    return {
        "rounds": len(outcomes),
        "kills": kills.total(),
        "kills_by_kind": dict(kills),
        "kills_by_flow": dict(sorted(flows.items())),
        "resumes": sum(outcome.resumes for outcome in outcomes),
        "stopped_and_continued": notes[STOP],
        "two_resumes_at_once": notes["two resumes at once"],
        "left_alone": notes["left alone"],
        "bodies_ended": sum(outcome.ended for outcome in outcomes),
        "bodies_begun_twice": sum(outcome.begun_twice for outcome in outcomes),
        "bodies_ended_twice": sum(count for kinds, count in twice.items() if not _of_keepers(kinds)),
        "bodies_ended_twice_with_their_keeper_killed": sum(
            count for kinds, count in twice.items() if _of_keepers(kinds)
        ),
        "replicas_ended_twice": replicas,
        "bodies_of_children_ended_twice": children,
        "bodies_ended_twice_by_kind": dict(twice),
        "bodies_ended_twice_by_flow": dict(sorted(where.items())),
        "rounds_with_a_body_ended_twice": sum(bool(outcome.twice) for outcome in outcomes),
        "ends_different": sum(any(kind in different for kind, _ in outcome.faults) for outcome in outcomes),
        "lost": faults["lost"],
        "orphans": faults["orphans"],
        "locks": faults["locks"],
        "temporary_files": faults["files"],
        "refused_wrongly": faults["two resumes at once"],
        "faults": [
            {
                "seed": outcome.seed,
                "flow": outcome.flow,
                "kills": dict(outcome.kills),
                "what": kind,
                "detail": detail,
            }
            for outcome in outcomes
            for kind, detail in outcome.faults
        ],
    }
