"""A full disk interrupts a run, and fails no step: with room, the same goes on to the same end.

``benchmarks/disk.py`` in small: a real file system that is full at every fifth of the writes. What a step itself cannot
write is its own failure: tests/engine/test_hostile_steps.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent.parent
UNSHARE = ["unshare", "-Urm"]


def _mounts() -> bool:
    """Whether this user may mount a file system of his own."""
    try:
        script = "mount -t tmpfs -o size=4k none /mnt && mount --options-mode ignore -o remount,size=8k /mnt"
        words = [*UNSHARE, "sh", "-c", script]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not _mounts(), reason="no user namespaces here, or no mounts in them")
@pytest.mark.parametrize(("kind", "least"), [("pages", 15), ("files", 8), ("calls", 10)])
def test_a_run_goes_on_from_a_full_disk_to_the_same_end(tmp_path: Path, kind: str, least: int) -> None:
    path = tmp_path / "found.json"
    every = "8" if kind == "calls" else "5"
    words = ["--every", every, "--first", "2", "--kinds", kind, "--json", str(path)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "disk.py"), *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert path.exists(), done.stdout + done.stderr
    found = json.loads(path.read_text())
    assert found["faults"] == []
    assert set(found["codes"]) == {"TIP411"}
    assert found["points"] == found["went_on_to_the_same_end"] + found["did_without"] >= least
    assert found["did_without"] < least / 2
