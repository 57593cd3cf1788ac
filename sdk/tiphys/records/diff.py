"""What differs between two runs: what they were made from, what they were given, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tiphys import notebook
from tiphys.records.record import RunRecord, StepRecord

__all__ = ["RunDifference", "RunDifferences", "differences", "unequal"]

Value = str | float | None


@dataclass(frozen=True, slots=True)
class RunDifference:
    """``part`` is ``made from``, ``parameters``, ``data``, ``images``, ``outcome``, ``metrics`` or
    ``times``; ``name`` is what it is of, empty for the run itself.

    ``left`` and ``right`` are None where a run has none. Times are seconds.
    """

    part: str
    name: str
    left: Value
    right: Value


class RunDifferences(list[RunDifference]):
    """What differs, in the order in which one asks why; a table in a notebook."""

    def _repr_html_(self) -> str:
        def cell(value: Value) -> str:
            return "" if value is None else notebook.text(f"{value:g}" if isinstance(value, float) else value)

        lines = [
            (notebook.text(each.part), notebook.text(each.name), cell(each.left), cell(each.right))
            for each in self
        ]
        shown = notebook.rows(("what", "of", "left", "right"), lines)
        return notebook.fragment(shown or notebook.text("nothing differs"))


def differences(left: RunRecord, right: RunRecord) -> RunDifferences:
    """What is not the same in two runs, in the order in which one asks why."""
    found = [
        *unequal("made from", left.made_from, right.made_from),
        *unequal("parameters", left.parameters, right.parameters),
        *unequal("data", _data(left), _data(right)),
        *unequal("images", _images(left), _images(right)),
        *unequal("outcome", _outcome(left), _outcome(right)),
        *unequal("metrics", dict(_metrics(left)), dict(_metrics(right))),
        *unequal("times", _times(left), _times(right)),
    ]
    return RunDifferences(found)


def unequal(part: str, left: Mapping[str, Value], right: Mapping[str, Value]) -> Iterator[RunDifference]:
    """What is not the same under the same name."""
    for name in dict.fromkeys([*left, *right]):
        if left.get(name) != right.get(name):
            yield RunDifference(part, name, left.get(name), right.get(name))


def _named(steps: Iterable[StepRecord], own: str) -> Iterator[tuple[str, StepRecord]]:
    """The steps by their paths; a run of one step has its own name, which is another in each."""
    for step in steps:
        yield "" if step.name == own else step.name, step


def _data(record: RunRecord) -> dict[str, Value]:
    """What came from outside: things that a step used and none made. By digest where one is known."""
    made = {item.uri for step in record.steps for item in step.makes}
    return {
        _joined(path, item.name): item.digest or item.uri
        for path, step in _named(record.steps, record.name)
        for item in step.uses
        if item.uri not in made
    }


def _images(record: RunRecord) -> dict[str, Value]:
    """By the name without its tag or digest."""
    found: dict[str, Value] = {}
    for image in record.images:
        name = image.partition("@")[0]
        name, colon, tag = name.rpartition(":")
        name = name if colon and "/" not in tag else image.partition("@")[0]
        found[name if name not in found else image] = image
    return found


def _outcome(record: RunRecord) -> dict[str, Value]:
    phases: dict[str, Value] = {"": record.phase}
    phases.update((path or "", step.phase) for path, step in _named(record.steps, record.name))
    return phases


def _metrics(record: RunRecord) -> Iterator[tuple[str, Value]]:
    for path, step in _named(record.steps, record.name):
        for name, value in step.metrics.items():
            yield _joined(path, name), value


def _times(record: RunRecord) -> dict[str, Value]:
    found: dict[str, Value] = {"": record.seconds}
    found.update((path, step.seconds) for path, step in _named(record.steps, record.name) if path)
    return found


def _joined(path: str, name: str) -> str:
    return f"{path}: {name}" if path else name
