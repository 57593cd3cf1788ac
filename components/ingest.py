"""The second step: from four idx files to a sharded, versioned data set with a validation split."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.catalog import CLASSES, FILES, NAME
from components.dataset import DESCRIPTION, FORMAT, RECORD_BYTES, SCHEMA, SPLITS, Split, content_digest
from components.fingerprint import is_synthetic
from components.idx import read_pair
from components.publish import publish, published, writing
from components.recipe import keep_recipe
from tiphys.errors import ComponentError
from tiphys.reference import MANIFEST, Reference, resolve, verify
from tiphys.step.report import report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Ingested", "ingest", "write"]

_CACHE_KEY_ENV = "TIPHYS_CACHE_KEY"


@dataclass(frozen=True)
class Ingested:
    """``dataset``: the sealed folder of the data set; ``summary``: one line for a person."""

    dataset: Reference
    summary: str


def ingest(
    source: Reference,
    validation_size: int = 6000,
    shard_size: int = 10000,
    seed: int = 7,
    limit: int = 0,
) -> Ingested:
    """Read the idx files of ``source`` strictly and write train, validation and test shards.

    The validation split is taken out of the training images: stratified, the same for the same ``seed``. ``limit``
    (0: all) takes that many training images in all, and scales ``validation_size`` and the test images alike, each
    split stratified. A shard holds up to ``shard_size`` examples. The same inputs give the same bytes and one
    folder; when it is there already, nothing is done. Memory in use does not grow with the number of images.

    Raises ComponentError: TIP702 the source is not what its digest says, TIP703 a file is missing, TIP704 and TIP705
    a file is not valid idx or does not fit its partner, TIP706 a bad parameter, TIP707 the volume is full.
    """
    parameters = {"validation_size": validation_size, "shard_size": shard_size, "seed": seed, "limit": limit}
    _check(parameters)
    uri = f"pvc://tiphys/datasets/{_key(source, parameters)}"
    reference = write(uri, source, parameters)
    keep_recipe(reference, source, parameters)
    with contextlib.suppress(OSError):  # where it was there, the same came again: it is as new as this
        os.utime(resolve(uri) / MANIFEST)
    description = json.loads((resolve(uri) / DESCRIPTION).read_bytes())
    return Ingested(reference, _summary(description))


def _check(parameters: dict[str, int]) -> None:
    for name, value in parameters.items():
        least = 1 if name.endswith("_size") else 0
        if value < least:
            raise ComponentError(
                "TIP706", f"{name.replace('_', '-')} is {value}", fix=f"give {least} or more"
            )


def _key(source: Reference, parameters: dict[str, int]) -> str:
    given = os.environ.get(_CACHE_KEY_ENV, "")
    if given:
        return given
    text = json.dumps([FORMAT, source.digest or source.uri, parameters], sort_keys=True)
    return "ingest-" + hashlib.sha256(text.encode()).hexdigest()[:32]


def write(uri: str, source: Reference, parameters: dict[str, int]) -> Reference:
    """The data set at ``uri``, made of ``source`` unless it is there. Raises what :func:`ingest` does."""
    if (found := published(uri)) is not None:
        return found
    problem = verify(source)
    if problem:
        raise ComponentError(
            "TIP702",
            "the source is not what it was",
            cause=problem,
            fix="run the pipeline again: it is fetched anew",
        )
    folder = resolve(source.uri)
    names = [file.name for file in FILES]
    train_images, train_labels = read_pair(folder / names[0], folder / names[1])
    test_images, test_labels = read_pair(folder / names[2], folder / names[3])
    chosen = _split(train_labels, test_labels, parameters)

    expected = sum(map(len, chosen.values()))

    def build(target: Path) -> None:
        splits: dict[str, Any] = {}
        report(expected=expected)
        for split in SPLITS:
            images, labels = (test_images, test_labels) if split == "test" else (train_images, train_labels)
            splits[split] = _write_split(
                target, split, images, labels, chosen[split], parameters["shard_size"]
            )
            report(arrived=sum(each["examples"] for each in splits.values()))
        description = {
            "format": FORMAT,
            "name": NAME,
            "synthetic": is_synthetic(source),
            "source": source.digest,
            "parameters": parameters,
            "schema": SCHEMA,
            "splits": splits,
            "content": content_digest(splits),
        }
        with writing(uri):
            (target / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")

    return publish(uri, build)


def _split(
    train_labels: NDArray[np.uint8], test_labels: NDArray[np.uint8], parameters: dict[str, int]
) -> dict[Split, NDArray[np.int64]]:
    """The example indices of each split, in the shuffled order in which they are written."""
    import numpy as np

    total = len(train_labels)
    limit = min(parameters["limit"] or total, total)
    validation_size, test_size = parameters["validation_size"], len(test_labels)
    if limit < total:
        validation_size = max(1, validation_size * limit // total)
        test_size = max(1, test_size * limit // total)
    if validation_size >= limit:
        raise ComponentError(
            "TIP706",
            f"validation-size {parameters['validation_size']} leaves nothing to train on",
            cause=f"there are {total} training images",
            fix=f"give a validation-size below {total}",
        )
    rng = np.random.default_rng(parameters["seed"])
    used = _stratified(train_labels, np.arange(total), limit, rng)
    validation = _stratified(train_labels, used, validation_size, rng)
    test = np.arange(test_size) if test_size == len(test_labels) else None
    return {
        "train": rng.permutation(np.setdiff1d(used, validation)),
        "validation": rng.permutation(validation),
        "test": _stratified(test_labels, np.arange(len(test_labels)), test_size, rng)
        if test is None
        else test,
    }


def _stratified(
    labels: NDArray[np.uint8], among: NDArray[np.int64], size: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """``size`` of the indices ``among``, each class in its share (largest remainders), sorted."""
    import numpy as np

    counts = np.bincount(labels[among], minlength=len(CLASSES))
    exact = counts * (size / max(1, len(among)))
    quota = np.floor(exact + 1e-9).astype(np.int64)
    order = np.lexsort((np.arange(len(CLASSES)), -(exact - quota)))
    for index in order[: size - int(quota.sum())]:
        quota[index] += 1
    parts = [rng.permutation(among[labels[among] == label])[: quota[label]] for label in range(len(CLASSES))]
    return np.sort(np.concatenate(parts))


def _write_split(
    target: Path,
    split: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    indices: NDArray[np.int64],
    shard_size: int,
) -> dict[str, Any]:
    import numpy as np

    shards: list[dict[str, Any]] = []
    total = -(-len(indices) // shard_size)
    for number in range(total):
        part = indices[number * shard_size : (number + 1) * shard_size]
        digest = hashlib.sha256()
        name = f"{split}-{number:05d}-of-{total:05d}.bin"
        with writing(target / name), (target / name).open("wb") as stream:
            for start in range(0, len(part), _ROWS):
                rows = part[start : start + _ROWS]
                records = np.empty((len(rows), RECORD_BYTES), dtype=np.uint8)
                records[:, 0] = labels[rows]
                records[:, 1:] = images[rows].reshape(len(rows), -1)
                data = records.tobytes()
                digest.update(data)
                stream.write(data)
        shards.append({"file": name, "examples": len(part), "sha256": digest.hexdigest()})
    counts = np.bincount(labels[indices], minlength=len(CLASSES)).tolist()
    return {
        "examples": len(indices),
        "class_counts": dict(zip(CLASSES, counts, strict=True)),
        "shards": shards,
    }


_ROWS = 4096


def _summary(description: dict[str, Any]) -> str:
    splits = description["splits"]
    parts = [f"{splits[split]['examples']:,} {split}".replace(",", " ") for split in SPLITS]
    shards = sum(len(splits[split]["shards"]) for split in SPLITS)
    marked = " (GENERATED images, not real data)" if description["synthetic"] else ""
    return ", ".join(parts) + f", {shards} shards{marked}"
