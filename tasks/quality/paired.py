"""
Two classifiers of the same images: the exact test of their difference, and what it could have seen at all.

Source: Q. McNemar (1947): Note on the sampling error of the difference between correlated proportions or percentages.
Psychometrika 12 (2), 153-157.
"""

from __future__ import annotations


def mcnemar(b: int, c: int) -> float:
    """
    Return the two-sided p-value of the exact McNemar test for two classifiers of the same samples.

    Under the null hypothesis, each sample that exactly one of them gets right is a fair coin: the smaller count is
    binomial, with n = b + c and probability 1/2. Where n is 0, p is 1.

    Args: b: samples that only the first gets right.  c: samples that only the second gets right.
    """
    if b + c == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(min(b, c), b + c, 0.5).pvalue)


def least_lead(apart: int, level: float) -> int | None:
    """
    Return the least lead that is significant where `apart` samples are named right by exactly one of two.

    Args:    apart: b + c of `mcnemar`.  level: p-values below it are significant, in (0, 1).
    Returns: the least c - b with mcnemar(b, c) < level; None where all of them would not be enough.
    """
    low, high = 0, apart // 2 + 1  # the least b that is not significant lies in between: p grows with b up to the half
    while low < high:
        middle = (low + high) // 2
        if mcnemar(middle, apart - middle) < level:
            low = middle + 1
        else:
            high = middle
    return apart - 2 * (low - 1) if low else None
