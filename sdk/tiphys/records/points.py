"""What the steps of a run told and were seen to use, read from the files that they and the engine wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.records.record import Point
from tiphys.store.layout import Store

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["points"]


def points(store: Store, workflow: Workflow, name: str = "") -> Iterator[Point]:
    """Every point of a run of the store, in no order. ``name``: the run's, where a later one has taken its own."""
    yield from ()
