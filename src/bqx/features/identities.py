"""Equations that the values of several columns or pairs must satisfy, whatever the bars; checked on every build."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bqx.market.pairs import CURRENCIES, PAIRS, parse_pair

F8 = NDArray[np.float64]
Lanes = Mapping[str, NDArray[np.generic]]
Sides = Iterator[tuple[str, F8, F8]]

RELATIVE, ABSOLUTE = 1.0 / (1 << 20), 1e-6
"""What float32 rounding may leave: of the sizes of the terms added, and where all of them are next to 0."""


@dataclass(frozen=True)
class Identity:
    """columns : all of them must be at hand, else there is nothing to check. formula : for people. sides(values,
    pairs) : for values (pairs, rows) gives what an equation is called, left less right side, and the sum of the sizes
    of their terms; NaN where a term is NULL."""

    name: str
    formula: str
    columns: tuple[str, ...]
    sides: Callable[[Lanes, Sequence[str]], Sides]

    def broken(self, values: Lanes, pairs: Sequence[str]) -> tuple[int, str]:
        """Equations looked at; a sentence on the first that fails, empty when none does."""
        count, first = 0, ""
        for of, left, size in self.sides(values, pairs):
            known = ~np.isnan(left)
            count += int(known.sum())
            wrong = known & ~(np.abs(left) <= RELATIVE * size + ABSOLUTE)
            if wrong.any() and not first:
                at = np.unravel_index(int(wrong.argmax()), wrong.shape)
                first = f"{self.formula}: off by {left[at]:.3g} for {of}, {int(wrong.sum())} such values"
        return count, first


def total(name: str, columns: Sequence[str], value: float) -> Identity:
    """The columns of a pair add up to `value`."""

    def sides(values: Lanes, pairs: Sequence[str]) -> Sides:
        terms = [np.asarray(values[c], dtype=np.float64) for c in columns]
        for lane, pair in enumerate(pairs):
            left, size = np.full_like(terms[0][lane], -value), np.full_like(terms[0][lane], abs(value))
            for term in terms:
                left, size = left + term[lane], size + np.abs(term[lane])
            yield pair, left, size

    return Identity(name, f"{' + '.join(columns)} = {value:g}", tuple(columns), sides)


def of_currencies(name: str, column: str) -> Identity:
    """A column that is a pair's deviation from the difference of its currencies' indices: those indices add up to 0, so
    the seven values with a currency, turned to it, do. Only where all 28 pairs are at hand."""

    def sides(values: Lanes, pairs: Sequence[str]) -> Sides:
        x = np.asarray(values[column], dtype=np.float64)
        if set(pairs) != set(PAIRS):
            return
        for currency in CURRENCIES:
            signs = {k: _turn(pair, currency) for k, pair in enumerate(pairs)}
            terms = np.array([sign * x[k] for k, sign in signs.items() if sign])
            yield currency, terms.sum(axis=0), np.abs(terms).sum(axis=0)

    return Identity(name, f"{column} of a currency's 7 pairs, turned to it, add up to 0", (column,), sides)


def of_triangles(name: str, column: str) -> Identity:
    """A column that holds the residual of one triangle a pair, USD the third currency of EUR pairs and EUR that of USD
    pairs: EUR/X and X/USD (or USD/X, negated) hold the same."""

    def sides(values: Lanes, pairs: Sequence[str]) -> Sides:
        x = np.asarray(values[column], dtype=np.float64)
        lane = {pair: k for k, pair in enumerate(pairs)}
        for other in CURRENCIES:
            one = f"eur{other}"
            two, sign = (f"{other}usd", 1.0) if f"{other}usd" in PAIRS else (f"usd{other}", -1.0)
            if other not in ("eur", "usd") and one in lane and two in lane:
                a, b = x[lane[one]], sign * x[lane[two]]
                yield f"{one} and {two}", a - b, np.abs(a) + np.abs(b)

    return Identity(name, f"{column} is the same for the two legs of a triangle of EUR and USD", (column,), sides)


def mean_rank(name: str, column: str) -> Identity:
    """Mid-ranks (rank - 1/2) / N of a whole panel have mean 1/2. Only where all 28 have one: a pair in its warm-up
    is ranked but has no value yet."""

    def sides(values: Lanes, pairs: Sequence[str]) -> Sides:
        x = np.asarray(values[column], dtype=np.float64)
        if set(pairs) == set(PAIRS):
            yield "the panel", x.sum(axis=0) - 0.5 * len(PAIRS), np.full(x.shape[1], 0.5 * len(PAIRS))

    return Identity(name, f"mean of {column} across the panel = 1/2", (column,), sides)


def _turn(pair: str, currency: str) -> int:
    its = parse_pair(pair)
    return (its.base == currency) - (its.quote == currency)
