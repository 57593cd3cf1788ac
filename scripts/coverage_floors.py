"""How much of the pure rooms is run by their own tests, with branches; red when a room is below its floor.

    make coverage                        # runs the tests, then this
    python scripts/coverage_floors.py --write   # raises the floors to what was measured

Floors are in tests/house/coverage_floors.txt: 95 for a room that has reached it, what it has for one that has not yet.
"""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ROOT / "tests" / "house" / "coverage_floors.txt"
HOUSE = ROOT / "sdk" / "tiphys"
ENOUGH = 95.0


def floors() -> dict[str, float]:
    """The floors by room."""
    lines = FLOORS.read_text(encoding="utf-8").splitlines()
    return {room: float(floor) for room, floor in (line.split() for line in lines if line and line[0] != "#")}


def measured(room: str) -> float:
    """The room's lines and branches that were run, of a hundred; one decimal, never rounded up."""
    data = Coverage(data_file=str(ROOT / ".coverage"), config_file=str(ROOT / "pyproject.toml"))
    data.load()
    found = data.report(include=[f"{HOUSE / room}/*"], file=io.StringIO())
    return math.floor(found * 10) / 10


def main() -> int:
    """Compare, or write."""
    known = floors()
    found = {room: measured(room) for room in known}
    if "--write" in sys.argv:
        text = FLOORS.read_text(encoding="utf-8")
        for room, floor in known.items():
            text = text.replace(f"{room} {floor:g}\n", f"{room} {max(floor, min(found[room], ENOUGH)):g}\n")
        FLOORS.write_text(text, encoding="utf-8")
        return 0
    low = [room for room in known if found[room] < known[room]]
    for room, floor in known.items():
        sys.stdout.write(
            f"{room:16} {found[room]:5} of 100, floor {floor:g}{'  TOO LOW' if room in low else ''}\n"
        )
    for room in low:
        data = Coverage(data_file=str(ROOT / ".coverage"), config_file=str(ROOT / "pyproject.toml"))
        data.load()
        data.report(include=[f"{HOUSE / room}/*"], show_missing=True, skip_covered=True)
    return 1 if low else 0


if __name__ == "__main__":
    raise SystemExit(main())
