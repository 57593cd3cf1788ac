"""Whether rows were lost at random or left a hole: exact tails of two distributions, nothing but counting.

The question of each hole is Fisher's exact one: of ``rows`` rows ``lost`` are gone; would so many of them be of this
value if rows were lost without regard to it? Then the number follows the hypergeometric distribution

    P(X = k) = C(K, k) C(N - K, L - k) / C(N, L)      N rows, K of them of this value, L lost

(R. A. Fisher, The Design of Experiments, 1935; Johnson, Kotz and Kemp, Univariate Discrete Distributions, ch. 6).
Whether ``lost`` in all are more than a part ``p`` explains is asked of the binomial distribution.

How small a hole can be seen: where only one value with the share ``s`` of all rows loses ``k``, P is about ``s ** k``,
so with ten classes of equal size and one check in a million that is wrong, eight rows are enough, whatever the size
of the data. Where only shares are known and not counts, the sizes themselves vary by sqrt(N s (1 - s)): then one class
of ten among 54 000 rows must lose some 350 (6 %), and 1 % cannot be told from chance by anybody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ALPHA", "Hole", "binomial_tail", "holes", "hypergeometric_tail"]

ALPHA = 1e-6
"""How often a check of data that lost rows at random may speak of a hole."""


@dataclass(frozen=True)
class Hole:
    """A value that lost more rows than chance explains."""

    value: str
    expected: int
    missing: int


def holes(expected: Mapping[str, int], found: Mapping[str, int], alpha: float, slack: int = 0) -> list[Hole]:
    """The values whose losses are not those of chance, the most improbable first.

    A value that is gone altogether is one, whatever the cause. Of the others one is taken out at a time, with its rows,
    and the rest is asked again: a class that lost half would make the hundredth part of another look like chance.
    ``alpha`` is shared out to the values (Bonferroni). ``slack``: so many rows of each may be fewer without a loss.
    """
    left = {value: rows for value, rows in expected.items() if rows > slack}
    lost = {value: max(0, rows - slack - found.get(value, 0)) for value, rows in left.items()}
    taken = [Hole(value, rows, rows) for value, rows in left.items() if not found.get(value)]
    for hole in taken:
        del left[hole.value]
    bound = alpha / max(1, len(left))
    while left:
        rows, gone = sum(left.values()), sum(lost[value] for value in left)
        tails = {value: hypergeometric_tail(rows, left[value], gone, lost[value]) for value in left}
        # of two that are both beyond all chance, the one that lost more
        worst = min(left, key=lambda value: (tails[value], -lost[value] / left[value]))
        if tails[worst] >= bound:
            break
        taken.append(Hole(worst, left.pop(worst), lost[worst] + slack))
    return taken


def hypergeometric_tail(rows: int, of_value: int, lost: int, lost_of_value: int) -> float:
    """P(X >= lost_of_value) when ``lost`` of ``rows`` are drawn, ``of_value`` of which are of the value; 1.0 for
    what is no more than the mean."""
    if lost_of_value * rows <= lost * of_value:
        return 1.0
    whole = _choose(rows, lost)
    total = 0.0
    for k in range(lost_of_value, min(of_value, lost) + 1):
        term = math.exp(_choose(of_value, k) + _choose(rows - of_value, lost - k) - whole)
        total += term
        if term <= total * 1e-16:
            break
    return min(1.0, total)


def binomial_tail(rows: int, part: float, lost: int) -> float:
    """P(X >= lost) when each of ``rows`` is lost with the probability ``part``; 1.0 for no more than the mean."""
    if lost <= rows * part:
        return 1.0
    if part <= 0.0:
        return 0.0
    total = 0.0
    for k in range(lost, rows + 1):
        term = math.exp(_choose(rows, k) + k * math.log(part) + (rows - k) * math.log1p(-part))
        total += term
        if term <= total * 1e-16:
            break
    return min(1.0, total)


def _choose(n: int, k: int) -> float:
    """The logarithm of the number of ways to take ``k`` of ``n``."""
    if not 0 <= k <= n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
