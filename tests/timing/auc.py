"""How well one time tells two classes apart: the area under the ROC curve, by Mann and Whitney's U; ties count half."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import sqrt

_Z_999 = 3.2905  # two-sided, 99.9 %


def auc(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the probability that a value of the second is the greater one; 0.5 tells nothing.

    >>> auc([1, 2], [3, 4]), auc([1, 2], [1, 2])
    (1.0, 0.5)
    """
    ranked = sorted([(value, False) for value in first] + [(value, True) for value in second])
    rank, sum_of_second = 0, 0.0
    for _, tied in groupby(ranked, key=lambda pair: pair[0]):
        group = list(tied)
        middle = rank + (len(group) + 1) / 2
        sum_of_second += middle * sum(is_second for _, is_second in group)
        rank += len(group)
    n, m = len(first), len(second)
    return (sum_of_second - m * (m + 1) / 2) / (n * m)


def null_bound(n: int, m: int) -> float:
    """Return how far from 0.5 chance alone takes it in one of a thousand comparisons."""
    return _Z_999 * sqrt((n + m + 1) / (12 * n * m))
