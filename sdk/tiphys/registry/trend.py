"""Whether a series of numbers falls by more than chance: the exact test of Mann and Kendall, nothing but counting.

A pair falls when its later number is the lower one. If nothing but chance were at work, each order of the numbers would
be as likely as any other, and how many of the orders have so many falling pairs can be counted: they are the
inversions of the permutations of a multiset, whose generating function is the Gaussian multinomial coefficient

    [n]! / ([t1]! [t2]! …)      [k]! = (1)(1 + q)…(1 + q + … + q^(k-1)), ti of the n numbers are equal

(H. B. Mann, Nonparametric Tests Against Trend, Econometrica 13, 1945; M. G. Kendall, Rank Correlation Methods, 1948;
R. P. Stanley, Enumerative Combinatorics 1, proposition 1.7.1). How much a number varies is neither asked nor guessed.

Four numbers that fall one after the other have a chance of 1/24, three of 1/6: of three nobody can say it at 0.05.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations

__all__ = ["chance_of_fall"]


def chance_of_fall(values: Sequence[float]) -> Fraction:
    """How likely at least so many falling pairs are by chance alone, exactly; 1 for fewer than two numbers."""
    falling = sum(later < earlier for earlier, later in combinations(values, 2))
    orders = _inversions(len(values))
    for equal in Counter(values).values():
        orders = _divided(orders, _inversions(equal))
    return Fraction(sum(orders[falling:]), sum(orders))


def _inversions(count: int) -> list[int]:
    """``[count]!``: how many permutations of different numbers have 0, 1, 2, … inversions."""
    found = [1]
    for size in range(2, count + 1):
        longer = [0] * (len(found) + size - 1)
        for power, factor in enumerate(found):
            for more in range(size):
                longer[power + more] += factor
        found = longer
    return found


def _divided(dividend: list[int], divisor: list[int]) -> list[int]:
    """The quotient of two polynomials whose lowest factors are 1, where nothing remains."""
    left, quotient = list(dividend), []
    for power in range(len(dividend) - len(divisor) + 1):
        factor = left[power]
        quotient.append(factor)
        for at, by in enumerate(divisor):
            left[power + at] -= factor * by
    return quotient
