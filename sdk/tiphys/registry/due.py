"""Whether a model is to be trained again, and why: nothing is served, its data is another one, it is old, it falls."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from tiphys.frozen import frozen
from tiphys.numbers import finite
from tiphys.registry.document import ModelDocument, ModelVersion
from tiphys.registry.trend import chance_of_fall

__all__ = ["DATA", "DueRules", "why_due"]

DATA = "dataset"
"""What a version's report calls the digest of the data that it was trained on."""


@frozen
class DueRules:
    """``max_age_seconds``: how old what is served may become (0: as old as it will). ``falling``: the number of a
    report whose fall asks for a training (empty: none). Its last ``over`` values count, and a fall is one that chance
    alone gives with a probability of at most ``chance``."""

    max_age_seconds: int = 0
    falling: str = "test_accuracy"
    over: int = 8
    chance: float = 0.05


def why_due(
    document: ModelDocument,
    alias: str,
    rules: DueRules,
    now: datetime.datetime,
    *,
    data: str = "",
    measured: Sequence[float] = (),
) -> list[str]:
    """One sentence for each reason to train again; none: not now.

    ``data``: the digest of today's data (empty: not asked). ``measured``: what was measured of the version that
    ``alias`` names since it was registered, the oldest first.
    """
    state = document.aliases.get(alias)
    if state is None or state.version is None:
        return [f"nothing is served as {document.name}@{alias}"]
    served = document.version(state.version)
    return [
        *_new_data(served, data),
        *_too_old(served, rules.max_age_seconds, now),
        *_falling(document, served, rules, measured),
    ]


def _new_data(served: ModelVersion, data: str) -> Iterator[str]:
    if not data:
        return
    before = served.report.get(DATA)
    if not before:
        yield f"new data? nobody knows: the report of version {served.number} names no {DATA} that it was trained on"
    elif before != data:
        yield f"new data: {data}, version {served.number} was trained on {before}"


def _too_old(served: ModelVersion, most_seconds: int, now: datetime.datetime) -> Iterator[str]:
    if not most_seconds:
        return
    try:
        made = datetime.datetime.fromisoformat(served.at)
    except ValueError:
        yield f"too old? nobody knows: version {served.number} was registered at {served.at!r}"
        return
    age = (now - made.replace(tzinfo=made.tzinfo or datetime.UTC)).total_seconds()
    if age > most_seconds:
        yield f"too old: version {served.number} is of {served.at}, {_days(age)} ago (at most {_days(most_seconds)})"


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.1f} days" if seconds >= 86400 else f"{seconds / 3600:.1f} hours"


def _falling(
    document: ModelDocument, served: ModelVersion, rules: DueRules, measured: Sequence[float]
) -> Iterator[str]:
    if not rules.falling:
        return
    versions = [(each.number, finite(each.report.get(rules.falling))) for each in document.versions]
    of_versions = [value for _, value in versions if not math.isnan(value)]
    begun = [value for number, value in versions if number == served.number and not math.isnan(value)]
    for what, values in (
        ("from version to version", of_versions),
        (f"of version {served.number} from measurement to measurement", [*begun, *measured]),
    ):
        last = values[-rules.over :]
        chance = chance_of_fall(last)
        if chance <= Fraction(str(rules.chance)):
            shown = ", ".join(f"{value:g}" for value in last)
            yield f"{rules.falling} falls {what}: {shown} (by chance: {float(chance):.2g}, at most {rules.chance:g})"
