"""Before training: what the data has against what it should have. A hole is named, and what it would bias."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.catalog import CLASSES
from components.dataset import Dataset
from components.losses import ALPHA, binomial_tail, holes
from components.restore import read
from tiphys.errors import ComponentError
from tiphys.reference import MANIFEST, Reference, resolve

__all__ = ["FASHION_MNIST", "Expect", "Expected", "Finding", "check", "expect"]

NO_GAPS = "no gaps"
_TWICE = "if some are in it twice"
Counts = Mapping[str, Mapping[str, int]]
"""Column, value, how many rows."""


@dataclass(frozen=True)
class Expect:
    """What the data for training (and validation) should have; what is left out is not looked at.

    ``rows`` in all, of which the part ``tolerance`` may be lost at random. ``counts``: of a column the rows of each
    value, where they are known exactly; ``shares``: where only their parts are known, which shows larger holes alone.
    ``per_class``: the least and the most part of the rows that any class may have. ``by``: a column of days that must
    have ``"no gaps"``, or none in ``"2026-11-01..2026-11-30"``, or the list of a column's values, such as the sources.
    """

    rows: int = 0
    tolerance: float = 0.001
    per_class: tuple[float, float] = (0.0, 1.0)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    by: dict[str, Any] = field(default_factory=dict)


FASHION_MNIST = Expect(
    rows=60_000, per_class=(0.08, 0.12), counts={"label": {name: 6_000 for name in CLASSES}}
)
"""What its authors say of it."""


@dataclass(frozen=True)
class Expected:
    """``dataset``: the data set that was looked at, for what trains on it. ``data_time``: how old the data is (ISO
    8601): its newest day where it has days, else when it was ingested. ``summary``: one line for a person."""

    dataset: Reference
    summary: str
    data_time: str


@dataclass(frozen=True)
class Finding:
    """Something that is not as expected (``value`` is empty: of all rows); ``text`` says what it would bias."""

    column: str
    value: str
    text: str


def expect(dataset: Reference, expected: Expect, limit: int = 0) -> Expected:
    """Compare the data set's rows for training and validation with ``expected``.

    ``limit`` (0: all): so many rows were asked for; what is expected is scaled to them, as to the rows of a generated
    data set. Raises ComponentError: TIP706 an expectation that cannot be, TIP708 the data set is damaged, TIP709 the
    data is not what is expected (each hole is named, with what it would bias).
    """
    _possible(expected)
    counts, data_time, synthetic = read(dataset, _looked_at)
    rows = _rows(counts)
    findings = check(counts, expected, asked=rows if synthetic else limit)
    if findings:
        raise ComponentError(
            "TIP709",
            f"the data is not what is expected: {findings[0].text}",
            where=dataset.uri,
            cause="; ".join(each.text for each in findings[1:]),
            fix="bring what is missing and ingest again; if the data is meant to be so, say so in Expect(…)",
        )
    looked = sorted({"rows", *expected.counts, *expected.shares, *expected.by})
    return Expected(dataset, f"{rows} rows as expected ({', '.join(looked)})", data_time)


def check(counts: Counts, expected: Expect, asked: int = 0) -> list[Finding]:
    """What is not as expected, of counts of any columns. ``asked``: so many rows instead of ``expected.rows``."""
    scale = asked / expected.rows if asked and asked < expected.rows else 1.0
    found = list(_of_all(_rows(counts), round(expected.rows * scale), expected.tolerance))
    for column, of_values in expected.counts.items():
        scaled = {value: round(rows * scale) for value, rows in of_values.items()}
        found += _exactly(column, scaled, counts.get(column, {}), slack=0 if scale == 1.0 else 1)
    for column, shares in expected.shares.items():
        found += _by_shares(column, shares, counts.get(column, {}))
    found += _within(counts.get("label", {}), expected.per_class)
    for column, rule in expected.by.items():
        found += _by(column, rule, counts.get(column, {}))
    return list({(each.column, each.value): each for each in reversed(found)}.values())[::-1]


def _of_all(rows: int, expected: int, tolerance: float) -> Iterator[Finding]:
    if not expected:
        return
    if rows > expected and rows - expected > expected * tolerance:
        text = f"{rows - expected:,} rows more than the {expected:,} expected: {_TWICE}, they count twice"
        yield Finding("", "", _spaced(text))
    elif binomial_tail(expected, tolerance, expected - rows) < ALPHA:
        text = (
            f"{expected - rows:,} of {expected:,} rows are missing ({(expected - rows) / expected:.2%}), where "
            f"{tolerance:.2%} may be: nobody knows what was in them, and no figure of the model can be trusted for it"
        )
        yield Finding("", "", _spaced(text))


def _exactly(
    column: str, expected: Mapping[str, int], found: Mapping[str, int], slack: int
) -> Iterator[Finding]:
    for hole in holes(expected, found, ALPHA, slack):
        yield _hole(column, hole.value, hole.expected - hole.missing, hole.expected, "")
    for value, rows in found.items():
        if value not in expected:
            yield _unknown(column, value, rows)
        elif rows > expected[value] + slack and not slack:
            more = rows - expected[value]
            text = f"{value!r} has {more:,} rows more than the {expected[value]:,} expected in {column}: {_TWICE}"
            yield Finding(column, value, _spaced(f"{text}, the model leans towards it"))


def _by_shares(column: str, shares: Mapping[str, float], found: Mapping[str, int]) -> Iterator[Finding]:
    rows = sum(found.values())
    for value, share in shares.items():
        have = found.get(value, 0)
        # as few as this, or fewer: as many, or more, of the others
        if binomial_tail(rows, 1.0 - share, rows - have) < ALPHA / len(shares):
            yield _hole(column, value, have, round(rows * share), "about ")


def _within(found: Mapping[str, int], bounds: tuple[float, float]) -> Iterator[Finding]:
    least, most = bounds
    rows = sum(found.values())
    for value in dict.fromkeys((*found, *(CLASSES if least > 0 and set(found) <= set(CLASSES) else ()))):
        part = found.get(value, 0) / rows if rows else 0.0
        if part < least:
            yield _hole("label", value, found.get(value, 0), round(rows * least), "at least ")
        elif part > most:
            text = f"{value!r} is {part:.2%} of the rows, at most {most:.2%} are expected: the model leans towards it"
            yield Finding("label", value, text)


def _by(column: str, rule: Any, found: Mapping[str, int]) -> Iterator[Finding]:
    if isinstance(rule, list):
        for value in rule:
            if not found.get(value):
                yield _hole(column, value, 0, 0, "")
        for value, rows in found.items():
            if value not in rule:
                yield _unknown(column, value, rows)
        return
    days = sorted(day for day, rows in found.items() if rows)
    first, last = (
        (days[0], days[-1]) if days and rule == NO_GAPS else rule.split("..") if ".." in rule else ("", "")
    )
    if not first:
        yield _hole(column, "every day", 0, 0, "")
        return
    day, end = datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    while day <= end:
        if not found.get(day.isoformat()):
            yield _hole(column, day.isoformat(), 0, 0, "")
        day += datetime.timedelta(days=1)


_BIAS = {
    "label": (
        "the model never sees it and takes every one for another class",
        "the model sees it less often than it comes and takes it for other classes; its accuracy cannot be trusted",
    ),
    "day": (
        "what was so on that day alone is not in the model, and no figure of it is about that day",
        "that day counts less than the others, and so does what was so on it alone",
    ),
    "source": (
        "the model knows the other sources alone, and nobody knows how good it is on this one",
        "the model leans towards the other sources, and its accuracy on this one cannot be trusted",
    ),
}
_BIAS_OF_OTHERS = (
    "the model knows nothing of it, and no figure is about it",
    "the model leans towards the others, and its accuracy there cannot be trusted",
)


def _hole(column: str, value: str, found: int, expected: int, about: str) -> Finding:
    none, fewer = _BIAS.get(column, _BIAS_OF_OTHERS)
    if not found:
        of = f" of {about}{expected:,}" if expected else ""
        return Finding(column, value, _spaced(f"{value!r} is missing in {column}: no row{of}; {none}"))
    missing = expected - found
    text = f"{value!r} has {missing:,} rows ({missing / expected:.1%}) fewer than the {about}{expected:,} expected in "
    return Finding(column, value, _spaced(f"{text}{column}: {fewer}"))


def _unknown(column: str, value: str, rows: int) -> Finding:
    text = f"{value!r} has {rows:,} rows in {column}, where no such value is expected: nobody has said what they mean"
    return Finding(column, value, _spaced(text))


def _spaced(text: str) -> str:
    """Thousands as the rest of the pipeline writes them."""
    out = list(text)
    for index in range(1, len(out) - 1):
        if out[index] == "," and out[index - 1].isdigit() and out[index + 1].isdigit():
            out[index] = " "
    return "".join(out)


def _looked_at(data: Dataset) -> tuple[dict[str, dict[str, int]], str, bool]:
    """The counts, how old the data is, and whether it was generated."""
    counts = _counts(data)
    return counts, _data_time(data, counts), data.synthetic


def _counts(data: Dataset) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for split in ("train", "validation"):
        for column, of_values in data.counts(split).items():
            mine = total.setdefault(column, {})
            for value, rows in of_values.items():
                mine[value] = mine.get(value, 0) + rows
    return total


def _rows(counts: Counts) -> int:
    return max((sum(of_values.values()) for of_values in counts.values()), default=0)


def _data_time(data: Dataset, counts: Counts) -> str:
    days = [day for day, rows in counts.get("day", {}).items() if rows]
    if days:
        return max(days)
    made = (resolve(data.reference.uri) / MANIFEST).stat().st_mtime
    return datetime.datetime.fromtimestamp(made, datetime.UTC).isoformat(timespec="seconds")


def _possible(expected: Expect) -> None:
    least, most = expected.per_class
    if not (expected.rows >= 0 and 0.0 <= expected.tolerance < 1.0 and 0.0 <= least <= most <= 1.0):
        raise ComponentError(
            "TIP706",
            f"nothing can be as {expected} says",
            fix="rows from 0, tolerance a part of one, per_class the least and the most part of one",
        )
    for column, rule in expected.by.items():
        if isinstance(rule, list) or rule == NO_GAPS:
            continue
        if not _is_range(str(rule)):
            raise ComponentError(
                "TIP706",
                f"by: {column} is {rule!r}",
                fix=f'write "{NO_GAPS}", "2026-11-01..2026-11-30", or a list of values',
            )


def _is_range(rule: str) -> bool:
    first, _, last = rule.partition("..")
    try:
        return datetime.date.fromisoformat(first) <= datetime.date.fromisoformat(last)
    except ValueError:
        return False
