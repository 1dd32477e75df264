"""How far chance alone moves a share: 95 % intervals of shares and of their differences."""

from __future__ import annotations

import math


def wilson_interval(share: float, samples: int) -> tuple[float, float]:
    """
    Return the 95 % confidence interval of a share of `samples` (E. B. Wilson, 1927), in [0, 1].

    It holds for small samples and near 1, where the plain standard error is too narrow.
    """
    z = 1.959964
    centre = (share + z * z / (2 * samples)) / (1 + z * z / samples)
    reach = z / (1 + z * z / samples) * math.sqrt(share * (1 - share) / samples + (z / (2 * samples)) ** 2)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def least_difference(high: tuple[float, int], low: tuple[float, int]) -> float:
    """
    Return the lower end of the 95 % interval of the difference of two independent shares, `high` less `low`.

    It is made of the Wilson intervals of both (R. G. Newcombe, 1998, method 10); above 0 chance does not explain it.

    Args: high, low: a share in [0, 1], and of how many samples it is.
    """
    (one, _), (other, _) = high, low
    return one - other - math.hypot(one - wilson_interval(*high)[0], wilson_interval(*low)[1] - other)
