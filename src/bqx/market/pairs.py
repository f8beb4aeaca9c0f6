"""The 8 currencies, their 28 pairs in market quoting order, and the 56 triangles."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from bqx.base.errors import UsageError

# Market quoting priority: the earlier currency of two is the base.
CURRENCIES: tuple[str, ...] = ("eur", "gbp", "aud", "nzd", "usd", "cad", "chf", "jpy")


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """A currency pair; its price is units of `quote` for one `base`."""

    base: str
    quote: str

    @property
    def name(self) -> str:
        return self.base + self.quote


@dataclass(frozen=True, slots=True)
class Triangle:
    """Three pairs over three currencies: price(cross) = price(first) * price(second)."""

    cross: str
    first: str
    second: str


PAIRS: tuple[str, ...] = tuple(sorted(Pair(a, b).name for a, b in combinations(CURRENCIES, 2)))
_KNOWN = frozenset(PAIRS)


def parse_pair(text: str) -> Pair:
    """`EUR/USD`, `eur_usd`, `EURUSD` -> Pair; raises UsageError for anything but the 28."""
    name = "".join(c for c in text.lower() if c.isalpha())
    if name not in _KNOWN:
        swapped = name[3:] + name[:3]
        hint = f"the market quotes it as {swapped}" if swapped in _KNOWN else f"known: {', '.join(PAIRS)}"
        raise UsageError(f"unknown pair {text!r}", fix=hint)
    return Pair(name[:3], name[3:])


def _triangles() -> tuple[Triangle, ...]:
    out = []
    for a, b, c in combinations(CURRENCIES, 3):  # quoting order, so a/b, a/c and b/c all exist
        out.append(Triangle(cross=a + c, first=a + b, second=b + c))
    return tuple(out)


TRIANGLES: tuple[Triangle, ...] = _triangles()
