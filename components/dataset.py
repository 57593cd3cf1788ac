"""The format of an ingested data set, and a reader that streams it.

A data set is a sealed folder: ``dataset.json`` and shards of fixed-length records, one byte of label and 784 bytes
of image (the layout of CIFAR's binary files), so that numpy maps them and ``tf.data.FixedLengthRecordDataset``
streams them with nothing to parse. ``dataset.json`` holds the schema, the count of each class in each split, the
digest of each shard and one content digest for the whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from components.catalog import CLASSES, IMAGE_SIDE
from tiphys.errors import ComponentError
from tiphys.reference import Reference, resolve, verify

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DESCRIPTION", "FORMAT", "RECORD_BYTES", "SCHEMA", "Dataset", "Split", "content_digest"]

DESCRIPTION = "dataset.json"
FORMAT = "tiphys.dataset/1"
IMAGE_BYTES = IMAGE_SIDE * IMAGE_SIDE
RECORD_BYTES = 1 + IMAGE_BYTES
SCHEMA: dict[str, Any] = {
    "record_bytes": RECORD_BYTES,
    "fields": [
        {"name": "label", "dtype": "uint8", "offset": 0, "shape": [], "classes": list(CLASSES)},
        {"name": "image", "dtype": "uint8", "offset": 1, "shape": [IMAGE_SIDE, IMAGE_SIDE]},
    ],
}

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def content_digest(splits: dict[str, Any]) -> str:
    """One digest for the whole: over the schema and the digests of all shards in order."""
    shards = {name: [shard["sha256"] for shard in splits[name]["shards"]] for name in sorted(splits)}
    text = json.dumps({"schema": SCHEMA, "shards": shards}, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """An ingested data set that was opened and checked; ``description`` is ``dataset.json``."""

    reference: Reference
    folder: Path
    description: dict[str, Any]

    @classmethod
    def open(cls, reference: Reference, *, content: bool = False) -> Dataset:
        """Open the data set at ``reference``; with ``content``, read and check every byte.

        Raises ComponentError TIP708 when it is missing, incomplete, altered or of another format.
        """
        problem = verify(reference, content=content)
        if problem:
            raise _damaged(reference, problem)
        folder = resolve(reference.uri)
        try:
            description = json.loads((folder / DESCRIPTION).read_bytes())
            found, schema = description["format"], description["schema"]
            splits = description["splits"]
            for split in SPLITS:
                for shard in splits[split]["shards"]:
                    if (folder / shard["file"]).stat().st_size != shard["examples"] * RECORD_BYTES:
                        raise _damaged(
                            reference, f"{shard['file']} does not hold {shard['examples']} records"
                        )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(reference, f"{DESCRIPTION} cannot be used: {error}") from error
        if found != FORMAT or schema != SCHEMA:
            raise _damaged(reference, f"its format is {found!r} with another schema than {FORMAT!r} has")
        return cls(reference, folder, description)

    @property
    def synthetic(self) -> bool:
        """True when the images are generated, not real."""
        return bool(self.description["synthetic"])

    def examples(self, split: Split) -> int:
        """How many examples the split has."""
        return int(self.description["splits"][split]["examples"])

    def files(self, split: Split) -> list[Path]:
        """The shards of the split, in order."""
        return [self.folder / shard["file"] for shard in self.description["splits"][split]["shards"]]

    def counts(self, split: Split) -> dict[str, dict[str, int]]:
        """How many rows each value of each column has. Labels are counted in the records, other columns (days,
        sources) are as ``columns`` of the split in ``dataset.json`` says, where a data set has such."""
        import numpy as np

        counts = np.zeros(256, dtype=np.int64)
        for path in self.files(split):
            labels = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, RECORD_BYTES)[:, 0]
            counts += np.bincount(labels, minlength=256)
        found = {name: int(rows) for name, rows in zip(CLASSES, counts, strict=False) if rows}
        found |= {f"label {label}": int(counts[label]) for label in range(len(CLASSES), 256) if counts[label]}
        columns: dict[str, dict[str, int]] = self.description["splits"][split].get("columns", {})
        return {**columns, "label": found}

    def columns(self, split: Split) -> dict[str, list[str]]:
        """The value of each example of the split, in order, in each column that it may be judged by."""
        import numpy as np

        labels = [
            np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, RECORD_BYTES)[:, 0]
            for path in self.files(split)
        ]
        return {"label": [CLASSES[label] for shard in labels for label in shard.tolist()]}

    def batches(self, split: Split, size: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yield ``(images [n, 28, 28], labels [n])`` in order, at most ``size`` examples at a time.

        Only one batch is in memory, however large the split is; the last batch may be smaller.
        """
        import numpy as np

        pending = np.empty((0, RECORD_BYTES), dtype=np.uint8)
        for path in self.files(split):
            records = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, RECORD_BYTES)
            start = 0
            while start < len(records):
                take = records[start : start + size - len(pending)]
                start += len(take)
                pending = np.concatenate([pending, take])
                if len(pending) == size:
                    yield _split_records(pending)
                    pending = pending[:0]
        if len(pending):
            yield _split_records(pending)

    def take(self, split: Split, indices: list[int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The examples at ``indices``, in that order."""
        import numpy as np

        starts, shards = [], []
        total = 0
        for path in self.files(split):
            shards.append(np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, RECORD_BYTES))
            starts.append(total)
            total += len(shards[-1])
        rows = np.empty((len(indices), RECORD_BYTES), dtype=np.uint8)
        for row, index in enumerate(indices):
            shard = int(np.searchsorted(starts, index, side="right")) - 1
            rows[row] = shards[shard][index - starts[shard]]
        return _split_records(rows)


def _split_records(records: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return records[:, 1:].reshape(-1, IMAGE_SIDE, IMAGE_SIDE), records[:, 0]


def _damaged(reference: Reference, cause: str) -> ComponentError:
    return ComponentError(
        "TIP708",
        f"the data set {reference.uri} cannot be used",
        where=reference.uri,
        cause=cause,
        fix="remove its folder and run the ingestion again",
    )
