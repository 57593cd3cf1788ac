"""A generated stand-in for Fashion-MNIST: for tests, only on request, and marked wherever it goes.

Each class is a fixed pattern of bright cells, moved a little and drowned in noise, so that a small network can
learn it in seconds. The files are well-formed idx files; the folder's name begins with ``synthetic``.
"""

from __future__ import annotations

import struct
from pathlib import Path

from components.catalog import CLASSES, FILES, IMAGE_SIDE
from components.publish import writing

__all__ = ["DEFAULT_EXAMPLES", "generate"]

DEFAULT_EXAMPLES = 1200


def generate(into: Path, examples: int = DEFAULT_EXAMPLES, seed: int = 0) -> None:
    """Write the four idx files with ``examples`` training images and a sixth as many test images."""
    import numpy as np

    rng = np.random.default_rng(seed)
    patterns = (
        rng.integers(0, 2, size=(len(CLASSES), 7, 7), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    )
    for split, count in (("train", examples), ("t10k", max(len(CLASSES), examples // 6))):
        labels = np.resize(np.arange(len(CLASSES), dtype=np.uint8), count)
        rng.shuffle(labels)
        images = np.empty((count, IMAGE_SIDE, IMAGE_SIDE), dtype=np.uint8)
        for index, label in enumerate(labels):
            moved = np.roll(patterns[label], tuple(rng.integers(-1, 2, size=2)), axis=(0, 1))
            images[index] = moved * 150 + rng.integers(0, 100, size=moved.shape, dtype=np.uint8)
        for file in FILES:
            if file.name.startswith(split):
                rank = 3 if "images" in file.name else 1
                shape = (count, IMAGE_SIDE, IMAGE_SIDE)[:rank]
                data = images if rank == 3 else labels
                with writing(into):
                    (into / file.name).write_bytes(
                        struct.pack(f">HBB{rank}I", 0, 8, rank, *shape) + data.tobytes()
                    )
