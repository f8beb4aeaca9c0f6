"""Quotes to minute bars of bid and ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from bqx.serve.live.bar import Bar, of_quotes


@dataclass
class _Minute:
    minute: int
    bid: list[float]
    ask: list[float]
    count: int = 1


@dataclass
class Minutes:
    """One open minute a pair. A bar is given when a later quote, of any pair, or a heartbeat shows that its minute is
    over; the volume is the number of quotes. A quote of a minute that was given is counted in `late` and left out."""

    late: int = 0
    _open: dict[str, _Minute] = field(default_factory=dict)
    _given: dict[str, int] = field(default_factory=dict)

    def quote(self, pair: str, seconds: float, bid: float, ask: float) -> list[Bar]:
        """Take a quote in; bars whose minutes are over by its time."""
        minute = int(seconds // 60)
        done = self.heartbeat(seconds)
        if minute <= self._given.get(pair, -1):
            self.late += 1
            return done
        now = self._open.get(pair)
        if now is None:
            self._open[pair] = _Minute(minute, [bid] * 4, [ask] * 4)
        elif minute < now.minute:
            self.late += 1
        else:
            for side, price in ((now.bid, bid), (now.ask, ask)):
                side[1], side[2], side[3] = max(side[1], price), min(side[2], price), price
            now.count += 1
        return done

    def heartbeat(self, seconds: float) -> list[Bar]:
        """Bars whose minutes are over at a time of the feed."""
        over = [pair for pair, now in self._open.items() if seconds >= 60 * (now.minute + 1)]
        out = []
        for pair in sorted(over, key=lambda p: (self._open[p].minute, p)):
            now = self._open.pop(pair)
            self._given[pair] = now.minute
            out.append(of_quotes(pair, now.minute, tuple(now.bid), tuple(now.ask), float(now.count)))
        return out
