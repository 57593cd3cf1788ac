"""The data sets of a run: what their folders say of themselves, as far as they lie in a volume of this machine.

A data set is a thing below ``datasets/`` of a volume with a ``dataset.json``: ``splits`` with ``examples`` and
``class_counts`` (and counts of other ``columns``), ``schema`` with the ``classes``, ``synthetic``, ``license``. What it
does not say is not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiphys.errors import StoreError
from tiphys.records.rows import kind_of
from tiphys.reference import Reference, open_file, resolve, verify

if TYPE_CHECKING:
    from tiphys.records.record import RunRecord

__all__ = ["DataSet", "DataSplit", "datasets"]

_DESCRIPTION = "dataset.json"
_LARGEST = 1 << 20  # bytes of a description
_MOST = 1000  # values of a column


@dataclass(frozen=True, slots=True)
class DataSplit:
    """``columns``: of each column (``label``: the class) how many rows each value has. ``missing``: classes of the data
    set of which it has none."""

    name: str
    examples: int
    columns: Mapping[str, Mapping[str, int]]
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """``made_by`` are the names of the steps that made it, in this run. ``problem``: why it is not what it was, or
    cannot be read; without one its files have the sizes that its manifest says."""

    uri: str
    digest: str = ""
    made_by: Sequence[str] = ()
    name: str = ""
    license: str = ""
    source: str = ""
    synthetic: bool = False
    classes: Sequence[str] = ()
    splits: Sequence[DataSplit] = ()
    problem: str = ""


def datasets(run: RunRecord, volumes: Mapping[str, str]) -> list[DataSet]:
    """The data sets that steps of a run made or used, in the order in which they did. ``volumes``: of this machine."""
    digests: dict[str, str] = {}
    makers: dict[str, list[str]] = {}
    for step in sorted(run.steps, key=lambda step: (step.started, step.name)):
        for item in (*step.makes, *step.uses):
            if kind_of(item.uri) == "datasets":
                digests[item.uri] = item.digest or digests.get(item.uri, "")
        for item in step.makes:
            makers.setdefault(item.uri, []).append(step.name)
    return [_read(uri, digest, makers.get(uri, ()), volumes) for uri, digest in digests.items()]


def _read(uri: str, digest: str, made_by: Sequence[str], volumes: Mapping[str, str]) -> DataSet:
    problem = verify(Reference(uri, digest), volumes, content=False)
    told: Mapping[str, object] = {}
    try:
        with open_file(resolve(uri, volumes) / _DESCRIPTION) as stream:
            found = json.loads(stream.read(_LARGEST))
        told = found if isinstance(found, dict) else {}
    except (OSError, StoreError, ValueError, RecursionError) as error:
        problem = problem or f"its {_DESCRIPTION} cannot be read: {error}"
    classes = _classes(told)
    splits = _map(told.get("splits"))
    return DataSet(
        uri,
        digest,
        made_by,
        _text(told.get("name")),
        _text(told.get("license")),
        _text(told.get("source")),
        told.get("synthetic") is True,
        classes,
        tuple(_split(name, _map(split), classes) for name, split in splits.items()),
        problem,
    )


def _classes(told: Mapping[str, object]) -> list[str]:
    fields = _map(told.get("schema")).get("fields")
    for field in fields if isinstance(fields, list) else ():
        names = _map(field).get("classes")
        if isinstance(names, list):
            return [str(name) for name in names[:_MOST]]
    return []


def _split(name: str, told: Mapping[str, object], classes: Sequence[str]) -> DataSplit:
    columns = {column: _counts(_map(values)) for column, values in _map(told.get("columns")).items()}
    labels = _counts(_map(told.get("class_counts")))
    if labels:
        ordered = sorted(
            labels, key=lambda label: (classes.index(label) if label in classes else len(classes), label)
        )
        columns["label"] = {label: labels[label] for label in ordered}
    examples = told.get("examples")
    missing = [each for each in classes if labels and not labels.get(each)]
    return DataSplit(name, examples if isinstance(examples, int) else 0, columns, missing)


def _counts(values: Mapping[str, object]) -> dict[str, int]:
    whole = {value: rows for value, rows in list(values.items())[:_MOST] if isinstance(rows, int)}
    return {value: rows for value, rows in whole.items() if not isinstance(rows, bool) and rows >= 0}


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
