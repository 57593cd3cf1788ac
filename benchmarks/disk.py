"""A full disk at each write: the run is interrupted, room is made, and it goes on to the same end.

    python benchmarks/disk.py [--every 1] [--first 0] [--json FILE] [--kinds pages,files,calls]

A run that writes all an engine can write (tests/engine/kills/full_disk.py) on a file system of 1, 2, 3, ... pages, on
one of 1, 2, 3, ... files, until it fits; and on one where the 1st, 2nd, 3rd, ... call alone finds no room. Each time it
ends with TIP411, the same goes on after there is room, and ends Succeeded with what the run leaves on a disk with room.
``--every N``: each N-th only, from ``--first`` on. Exit
code 1 when anything is not as it should be. Needs user namespaces (`unshare`), no root.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, show, write
from tests.engine.kills.forked import subreaper, warm
from tests.engine.kills.full_disk import LIMITS, Disk, Full, fill, points, uninterrupted

_INSIDE = "TIPHYS_BENCHMARK_MOUNTS"
_FITS = 3  # so many in a row had room


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(LIMITS))
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    if not os.environ.get(_INSIDE):
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-Urm", sys.executable, *sys.argv])
    warm()
    subreaper()
    with tempfile.TemporaryDirectory(prefix="tiphys-disk-") as folder:
        disk = Disk(Path(folder))
        base = uninterrupted(disk)
        found: list[Full] = []
        for kind in options.kinds.split(","):
            fits = 0
            for count in points(kind, options.every, options.first):
                full = fill(disk, kind, count, base)
                found.append(full)
                if full.faults:
                    print(f"{kind} {count}: {full.faults}"[:1500], flush=True)
                fits = 0 if full.full else fits + 1
                if fits == _FITS:
                    break
    full_at = collections.Counter(each.kind for each in found if each.full)
    codes = collections.Counter(each.code for each in found if each.code)
    summary = {
        "points": sum(full_at.values()),
        "points_by_kind": dict(full_at),
        "every": options.every,
        "codes": dict(codes),
        "went_on_to_the_same_end": sum(bool(each.code) and not each.faults for each in found),
        "did_without": sum(each.full and not each.code and not each.faults for each in found),
        "faults": [
            {"kind": each.kind, "count": each.count, "what": text} for each in found for text in each.faults
        ],
    }
    show(summary)
    if options.json:
        write(Path(options.json), {**summary, **about()})
    return 1 if summary["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
