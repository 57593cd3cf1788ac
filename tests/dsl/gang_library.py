"""Functions that workers of a PyTorchJob are called with: no PyTorch, only what it looks for."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tiphys.reference import resolve, seal

TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "PET_NODE_RANK", "PET_NNODES", "PET_NPROC_PER_NODE")


def train(data: str, output: str, work: str, lose: int = -1, back: int = 0, name: str = "") -> None:
    """Each worker writes what it is told into ``work``, and waits for the others as a rendezvous does; the first leaves
    the model. In a training without a backup the worker ``lose`` leaves one, and is killed; ``back``: so many workers
    that begin again are waited for."""
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    folder = resolve(work)
    folder.mkdir(parents=True, exist_ok=True)
    backup = folder / "backup"
    goes_on = backup.exists()
    words = " ".join(os.environ.get(each, "-") for each in TOLD)
    (folder / f"told-{goes_on:d}-{rank}").write_text(words)
    if rank == lose and not goes_on:
        backup.write_text("epoch 3")
        os.kill(os.getpid(), signal.SIGKILL)
    if lose >= 0 and not goes_on and not back:
        time.sleep(30)  # ended with the job, as who waits for a lost worker is
    mine = sorted(_all_there(folder, f"told-{goes_on:d}-*", world))
    if rank == 0:
        _all_there(folder, "told-1-*", back)
        target = resolve(output)
        target.mkdir(parents=True)
        (target / "model").write_text("\n".join(each.read_text() for each in mine))
        seal(target)


def keys(data: str, output: str, work: str) -> None:
    """The leader leaves what it was given: a key, and a file with a key, by a folder that is its own."""
    if int(os.environ["RANK"]) == 0:
        scratch = Path(os.environ["SCRATCH"]) / "x"
        scratch.write_text(Path(os.environ["TLS"]).read_text())
        target = resolve(output)
        target.mkdir(parents=True)
        (target / "model").write_text(f"{os.environ['HUB']} {scratch.read_text()} {data}")
        seal(target)


def _all_there(folder: Path, pattern: str, count: int) -> list[Path]:
    until = time.monotonic() + 10.0
    while len(found := list(folder.glob(pattern))) < count and time.monotonic() < until:
        time.sleep(0.02)
    return found
