"""The floor: a Python of its own for each task, as many at once as there are cores, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor


def add(value: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", f"print({value} + 1)"], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout)


if __name__ == "__main__":
    if sys.argv[1] == "chain":
        last = 0
        for _ in range(10):
            last = add(last)
        assert last == 10
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            assert sum(pool.map(add, range(100))) == 5050
