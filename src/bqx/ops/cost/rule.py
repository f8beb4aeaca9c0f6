"""A line of an estimate before it has a number: which price, and how many units for given inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
Values = Mapping[str, F8]
"""Inputs by name, shape (draws,): all likeliest, or drawn."""
MONTH_SHARE = 7 * 24
"""Hours of a week: what is counted for a week is multiplied by the month's hours over this."""


@dataclass(frozen=True, slots=True)
class Rule:
    """component : of COMPONENTS. price : key of the book. quantity : units a month. how : the formula in words.
    inputs : names that it takes, for its sources."""

    id: str
    group: str
    component: str
    what: str
    price: str
    how: str
    inputs: tuple[str, ...]
    quantity: Callable[[Values], F8]
