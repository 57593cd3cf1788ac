"""What the entries of memoized steps cost: a team's month of them, hits beside, and the removal of a million.

Run: python benchmarks/caches.py [--entries 3000000] [--days 30] [--limit 1000000] [--gc 1000000] [--store DIR]

Four measures, each of what an engine does (:mod:`tiphys.reuse`), with a clock that is told the time:

- a month: each day its part of the entries is written (most in bulk, some one by one as an engine writes them), and
  some of the last days' are hit: looked up, verified (a sealed folder with one file) and noted. p50 and p99 of a hit
  and of a write, and whether the store stayed within its limit.
- gc: ``--gc`` entries are removed from a store with as many again, while another process hits what stays without a
  pause.
- explain: what ``tiphys cache explain STEP`` does for a step with ``--explain`` entries, in CPU time.
- dangling: hits of that process that were given an entry without its outputs (must be 0).

Seen on two cores that others used as well (load 3 to 5), 2026-11-27, 3 000 000 entries in 30 days, limit 1 000 000: hit
p50 0.29 ms, p99 4.9 ms; write p50 0.07 ms, p99 0.7 ms; at most 1 000 000 entries in 702 MB. gc of 1 000 000 of
2 000 000 entries: 50 s, 31 s of CPU, beside a reader that hit without a pause (p50 0.30 ms, p99 90 ms, most 362 ms),
none dangling. Explain of 1 000 entries: 0.14 s of CPU; of 10 000: 1.6 s.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence

from tiphys.reference import Reference, seal
from tiphys.reuse.entries import FILE, Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.explain import explain
from tiphys.reuse.judge import Judge
from tiphys.reuse.limits import CacheLimits, automatic, set_limits, sweep
from tiphys.reuse.uses import Lookup, note
from tiphys.store import Store

DAY = 86400.0
START = 1_700_000_000.0
CACHES = 30  # cached templates
PARTS = {
    "code": "0" * 32,
    "image": "registry/step@sha256:" + "0" * 64,
    "inputs.lr": "0.1",
    "inputs.epochs": "12",
}


def sealed(store: Store) -> str:
    """A folder that all entries point to."""
    folder = store.volume("data") / "set"
    folder.mkdir(parents=True)
    (folder / "shard").write_bytes(b"x" * 100_000)
    reference = str(Reference("pvc://data/set", seal(folder)))
    time.sleep(2.1)  # what changed a moment ago is hashed at each hit
    return reference


def entry(number: int, reference: str, at: float) -> CachedResult:
    """Entry ``number``: outputs of about 300 bytes."""
    outputs = {
        "parameters": [{"name": "data", "value": reference}, {"name": "accuracy", "value": f"0.{number}"}]
    }
    return CachedResult(
        f"tiphys-cache-step-{number % CACHES}", f"step-{number:032x}", node=f"run-{number}-1", outputs=outputs,
        created=at, hit=at, run=f"run-{number}", template=f"step-{number % CACHES}", parts=PARTS,
    )  # fmt: skip


def hit(known: Entries, judge: Judge, number: int, now: float) -> bool:
    """What an engine does at a lookup; whether it was a hit."""
    cache, key = f"tiphys-cache-step-{number % CACHES}", f"step-{number:032x}"
    found = known.get(cache, key)
    problem = "" if found is None else judge.problem(found)
    good = found is not None and not problem
    if found is not None and not good:
        raise AssertionError(problem)
    note(known.file, Lookup(cache, key, f"run-{number}", "step", "step", now, good, problem, PARTS))
    return good


def timed(seconds: Iterable[float]) -> str:
    """``p50 0.10 ms, p99 0.31 ms, most 4.0 ms``."""
    found = sorted(seconds)
    if not found:
        return "none"
    p50, p99 = found[len(found) // 2], found[min(len(found) - 1, len(found) * 99 // 100)]
    return f"p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, most {found[-1] * 1e3:.1f} ms ({len(found)})"


def bulk(known: Entries, numbers: Sequence[int], reference: str, at: float) -> None:
    """Write entries, 5 000 in a transaction."""
    for begin in range(0, len(numbers), 5000):
        known.add(entry(number, reference, at + number % 1000) for number in numbers[begin : begin + 5000])


def month(store: Store, entries: int, days: int, limit: int) -> None:
    """Fill a store over some days, with hits; its own limit holds."""
    reference, chance = sealed(store), random.Random(7)
    hits, writes, most, made, removed = [], [], 0, 0, 0
    begun = time.perf_counter()
    with Entries(store) as known:
        set_limits(known, CacheLimits(max_entries=limit))
        for day in range(days):
            now = START + day * DAY
            judge = Judge(store, known)
            today = range(made, made + entries // days)
            single = today[: max(len(today) // 500, 1)]
            bulk(known, today[len(single) :], reference, now)
            for number in single:
                at = time.perf_counter()
                known.save(entry(number, reference, now))
                writes.append(time.perf_counter() - at)
                removed += automatic(store, known, now + 3600)
            made = today.stop
            most = max(most, known.totals()[0])
            for _ in range(1000):
                number = chance.randrange(max(0, made - limit // 2), made)
                at = time.perf_counter()
                assert hit(known, judge, number, now + 7200), "it is within the limit"
                hits.append(time.perf_counter() - at)
        count = known.totals()[0]
    size = (store.root / FILE).stat().st_size / 1e6
    print(f"month: {made} entries in {days} days, {time.perf_counter() - begun:.0f} s; limit {limit}")
    print(f"  hit    {timed(hits)}")
    print(f"  write  {timed(writes)}")
    print(f"  removed by itself {removed}; {count} at the end, {most} at most after a day; {size:.0f} MB")


READER = "--reader"


def reader(root: str, first: int, last: int) -> None:
    """Hit entries without a pause until the standard input ends; prints what it took."""
    chance, seconds = random.Random(3), []
    os.set_blocking(0, False)
    with Entries(Store(root)) as known:
        judge = Judge(Store(root), known)
        print("reads", flush=True)
        while True:
            at = time.perf_counter()
            assert hit(known, judge, chance.randrange(first, last), time.time())
            seconds.append(time.perf_counter() - at)
            try:
                if os.read(0, 1):
                    break
            except BlockingIOError:
                continue
            break
    print(json.dumps(seconds), flush=True)


def collection(store: Store, number: int) -> None:
    """Remove so many entries from a store with as many again, beside a reader."""
    reference, now = sealed(store), time.time()
    with Entries(store) as known:
        bulk(known, range(number), reference, now - 60 * DAY)
        bulk(known, range(number, 2 * number), reference, now - DAY)
    command = [sys.executable, __file__, READER, str(store.root), str(number), str(2 * number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "reads\n"
        time.sleep(1)
        at, cpu = time.perf_counter(), time.process_time()
        with Entries(store) as known:
            count = sweep(known, CacheLimits(not_hit_for=14 * DAY), now)
        took, cpu = time.perf_counter() - at, time.process_time() - cpu
        seconds = json.loads(other.communicate("x", timeout=60)[0])
        assert other.returncode == 0, "a hit was dangling"
    with Entries(store) as known:
        assert known.totals()[0] == number
        at = time.perf_counter()
        known.shrink()
        shrunk = time.perf_counter() - at
    print(f"gc: {count} of {2 * number} entries in {took:.1f} s ({cpu:.1f} s of CPU) beside a reader")
    print(f"  hit beside it  {timed(seconds)}, none dangling; {shrunk:.1f} s more give the room back")


def explaining(store: Store, number: int) -> None:
    """Explain a step with so many entries, which differ in two parts of their keys."""
    parts = [{**PARTS, "inputs.lr": str(each % 97), "inputs.epochs": str(each)} for each in range(number)]
    with Entries(store) as known:
        known.add(
            dataclasses.replace(
                entry(each, "none", START + each), cache=f"tiphys-cache-step-{each % 256:02x}",
                template="step", parts=parts[each],
            )
            for each in range(number)
        )  # fmt: skip
    cpu = time.process_time()
    found = explain(store, "step")
    cpu = time.process_time() - cpu
    assert len(found) == number and sum(each.nearest is None for each in found) == 1
    print(f"explain: {number} entries of one step in {cpu:.2f} s of CPU")


def folders(given: str) -> Iterator[Store]:
    """Empty stores below ``given``."""
    while True:
        yield Store(tempfile.mkdtemp(prefix="caches-", dir=given or None))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=3_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--limit", type=int, default=1_000_000)
    parser.add_argument("--gc", type=int, default=1_000_000)
    parser.add_argument("--explain", type=int, default=10_000)
    parser.add_argument("--store", default="", help="a folder for the stores (some GB)")
    options = parser.parse_args()
    for measure in (
        lambda store: month(store, options.entries, options.days, options.limit),
        lambda store: collection(store, options.gc),
        lambda store: explaining(store, options.explain),
    ):
        store = next(folders(options.store))
        try:
            measure(store)
        finally:
            shutil.rmtree(store.root)


if __name__ == "__main__":
    if sys.argv[1:2] == [READER]:
        reader(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
