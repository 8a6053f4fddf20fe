"""How a counter is allowed to move, and how far: the words that platforms, YAML and checks share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LARGEST = 2**63 - 1
"""What a counter can hold."""


class Trend(StrEnum):
    """How a counter is allowed to move between two accepted snapshots."""

    NEVER_DECREASES = "never_decreases"
    TOLERANCE = "tolerance"
    MAY_DECREASE = "may_decrease"
    GAUGE = "gauge"
    """No counter at all, but a value: it may rise and fall, of all items at once too."""


@dataclass(frozen=True)
class Policy:
    """A trend and, for ``tolerance``, the share of the highest accepted value it may fall below."""

    trend: Trend
    tolerance: float = 0.0
