"""What Argo 4.0 makes of cases on which it differs from 4.1, or might.

    python -m tests.conformance.argo40 [NAME ...]    # ask the controller of 4.0.5; needs the cluster

The cases of ``own40/`` are about the rows of VERSIONS (``versions.py``); those of ``own/``, which 4.1.2 was asked,
were put to 4.0.5, too, and are kept where the two gave different answers. A workflow that 4.0 never ends is kept as it
stood after a minute.
"""

from __future__ import annotations

import gzip
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from tests.conformance.own import Case, cases, record_batch, say

Json = Any
FOLDER = Path(__file__).with_name("own40")
RECORDINGS = Path(__file__).with_name("own40.json.gz")

__all__ = ["asked", "records"]


def asked() -> dict[str, Case]:
    """All cases, by name."""
    return {**cases(), **cases(FOLDER)}


@cache
def records() -> dict[str, dict[str, Json]]:
    """What 4.0.5 made of them, by name."""
    return dict(json.loads(gzip.decompress(RECORDINGS.read_bytes()))) if RECORDINGS.exists() else {}


def main(names: list[str]) -> None:
    kept = dict(records())
    wanted = [asked()[name] for name in names] if names else [
        case for case in cases(FOLDER).values() if kept.get(case.name, {}).get("digest") != case.digest
    ]  # fmt: skip
    for start in range(0, len(wanted), 20):
        kept.update(record_batch(wanted[start : start + 20], 60.0, waiting_too=True))
        say(f"{min(start + 20, len(wanted))} of {len(wanted)}")
    kept = {name: record for name, record in kept.items() if name in asked()}
    RECORDINGS.write_bytes(gzip.compress(json.dumps(kept, sort_keys=True).encode(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1:])
