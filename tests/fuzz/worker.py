"""One target, by itself: ``python -m tests.fuzz.worker TARGET --seed 1 --first 0 --inputs 1000 --state FILE``.

Begins with the corpus, then makes its inputs from the seed and their numbers. The file of the state tells who watches
which input is being looked at, also after a kill; the result is one JSON object on stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import resource
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.targets import TARGETS
from tests.fuzz.watch import Watch, kept, resident

STATE = 1 << 20
_HEAD = struct.Struct("<qq")
_MEMORY = 3 << 30
_WARM = 0.3  # of the inputs: tables are made and caches filled by then


def state_of(data: bytes) -> tuple[int, Any]:
    """The number of the input that is being looked at, and the input. None for one that has no room."""
    number, size = _HEAD.unpack_from(data)
    with contextlib.suppress(ValueError):
        return number, json.loads(data[_HEAD.size : _HEAD.size + size])
    return number, None


def shorter(value: Any) -> Iterator[Any]:
    """Smaller inputs: texts without a part; other values as they are."""
    if not isinstance(value, str):
        return
    size = len(value) // 2
    while size:
        for at in range(0, len(value), size):
            yield value[:at] + value[at + size :]
        size //= 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    given = parser.parse_args()
    target = TARGETS[given.target]
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.dup(1)
    os.dup2(2, 1)  # nothing that is attacked prints between the results
    old = kept(target.name)
    seeds = [*target.seeds(), *(each for each in old if isinstance(each, str))]
    watch = Watch(target.call, target.allowed, shorter)
    warm = resident()
    with given.state.open("r+b") as file, mmap.mmap(file.fileno(), STATE) as state:

        def judge(number: int, value: Any) -> None:
            data = json.dumps(value).encode()
            if len(data) > STATE - _HEAD.size:
                data = b""
            state[: _HEAD.size + len(data)] = _HEAD.pack(number, len(data)) + data
            watch.judge(value)

        for value in old if not given.first else ():
            judge(-1, value)
        for number in range(given.first, given.inputs):
            judge(number, target.make(seeds, Random(given.seed << 40 | number)))
            if number == given.first + int((given.inputs - given.first) * _WARM):
                warm = resident()
        end = resident()
        state[: _HEAD.size] = _HEAD.pack(given.inputs, 0)
        watch.minimise()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result = {
        "inputs": sum(watch.ends.values()),
        "ends": dict(watch.ends.most_common()),
        "findings": watch.findings,
        "slowest": watch.slowest,
        "warm_mb": warm,
        "end_mb": end,
        "peak_mb": usage.ru_maxrss / 1e3,
        "cpu_s": usage.ru_utime + usage.ru_stime,
    }
    os.write(out, json.dumps(result).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
