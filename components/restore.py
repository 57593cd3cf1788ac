"""A data set that was ingested and is gone, or was altered, is made again in its place: the same bytes.

Asked right before a training, when its gang has been admitted, and by the training itself, whose data may be lost while
it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from components.dataset import Dataset
from components.fingerprint import SYNTHETIC, fingerprint, is_synthetic
from components.ingest import write
from components.recipe import recipe_of
from tiphys.errors import ComponentError
from tiphys.reference import Reference, verify

__all__ = ["Restored", "opened", "read", "restore"]

T = TypeVar("T")


@dataclass(frozen=True)
class Restored:
    """``how``: "there", or what had happened to the data set and what was done."""

    how: str


def restore(dataset: Reference) -> Restored:
    """Read every byte of ``dataset``; when it is not what it was, ingest it again from its source. A source that is
    gone, too, is brought again.

    Raises ComponentError: TIP708 nothing says how it was made, or its source gives other data now, and what fingerprint
    and ingest raise.
    """
    problem = verify(dataset, content=True)
    if not problem:
        return Restored("there")
    recipe = recipe_of(dataset)
    sys.stdout.write(f"{problem}: it is ingested again\n")
    sys.stdout.flush()
    if verify(recipe.source, content=True):
        _bring(recipe.source)
    made = write(dataset.uri, recipe.source, recipe.parameters)
    if dataset.digest and made.digest != dataset.digest:
        raise ComponentError(
            "TIP708",
            f"the data set {dataset.uri} is lost, and its source gives another one now",
            where=dataset.uri,
            cause=f"{problem}; its digest was {dataset.digest}, and what comes of the source has {made.digest}",
            fix="run the pipeline again: it takes the data that there is",
        )
    return Restored(f"{problem}: it was ingested again")


def opened(dataset: Reference) -> Dataset:
    """The data set, with every byte as it was; it may have been made again. Raises what :func:`restore` does."""
    restore(dataset)
    return Dataset.open(dataset)


def read(dataset: Reference, use: Callable[[Dataset], T]) -> T:
    """What ``use`` makes of the data set, every byte of which is as it was. Data that is lost while it is read is made
    again, and read once more. Raises what :func:`restore` and ``use`` do."""
    try:
        return use(opened(dataset))
    except (ComponentError, OSError, ValueError):
        if not verify(dataset, content=True):
            raise
    return use(opened(dataset))


def _bring(source: Reference) -> None:
    """Its name says what it is."""
    if is_synthetic(source):
        fingerprint(SYNTHETIC, int(Path(urlsplit(source.uri).path).name.rpartition("-")[2]))
    else:
        fingerprint("auto")
