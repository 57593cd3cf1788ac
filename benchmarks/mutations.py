"""Equal keys imply equal results: many generated changes of generated programs, executed before and after.

    python benchmarks/mutations.py [--changes 100000] [--first 0] [--seconds 0]

Prints how many changes came to which end; exit code 1 and both programs of the first ten false hits, if there are any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.dsl.mutations import PER_PROGRAM, Judged, judge


def main() -> int:
    """Judge, and say what was seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seconds", type=float, default=0, help="stop after this time")
    options = parser.parse_args()
    judged, begin = Judged(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.first, options.first + -(-options.changes // PER_PROGRAM)):
            judge(range(seed, seed + 1), Path(folder), judged)
            if options.seconds and time.monotonic() - begin > options.seconds:
                break
    print(f"{sum(judged.counts.values())} changes in {time.monotonic() - begin:.0f} s")
    for end, count in judged.counts.most_common():
        print(f"{count:8} {end}")
    for seed, before, after in judged.false_hits[:10]:
        print(f"--- seed {seed}, before\n{before}\n--- after\n{after}")
    return 1 if judged.false_hits else 0


if __name__ == "__main__":
    sys.exit(main())
