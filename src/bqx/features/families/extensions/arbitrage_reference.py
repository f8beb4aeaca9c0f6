"""arbitrage the slow way: money sent round each loop in exact fractions."""

from __future__ import annotations

from fractions import Fraction

from bqx.features.families.error_correction_support import others
from bqx.features.streams import Streams
from bqx.market.pairs import parse_pair

Loop = tuple[Fraction, Fraction, int, int]


def _convert_reference(streams: Streams, row: int, have: str, want: str, middle: bool) -> tuple[Fraction, int]:
    """Units of `want` for one of `have` at the quotes, or at mid prices, and the quote's age."""
    panel = streams.panel
    selling = have + want in panel.pairs
    lane = panel.pairs.index(have + want if selling else want + have)
    age = int(panel.fill_run[row, lane])
    side = "bid_close" if selling else "ask_close"
    price = Fraction(float(panel.close[row, lane] if middle else panel.quotes[side][row - age, lane]))
    return (price if selling else 1 / price), age


def _round_reference(streams: Streams, row: int, stops: tuple[str, str, str], middle: bool) -> tuple[Fraction, int]:
    """Profit of one unit sent round, and the oldest quote's age."""
    money, oldest = Fraction(1), 0
    for have, want in zip(stops, (*stops[1:], stops[0]), strict=True):
        rate, age = _convert_reference(streams, row, have, want, middle)
        money, oldest = money * rate, max(oldest, age)
    return money - 1, oldest


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way."""
    own = parse_pair(streams.panel.pairs[pair])
    found: list[Loop] = []
    for number, third in enumerate(others(own.name), 1):
        for code, stops in ((number, (own.base, own.quote, third)), (-number, (own.base, third, own.quote))):
            profit, oldest = _round_reference(streams, row, stops, False)
            found.append((profit, _round_reference(streams, row, stops, True)[0], code, oldest))
    best = max(found, key=lambda loop: loop[0])
    values = {"arb_best_bps": 10_000 * best[0], "arb_mid_bps": 10_000 * best[1], "arb_dir": best[2]}
    return float(values.get(column, best[3]))
