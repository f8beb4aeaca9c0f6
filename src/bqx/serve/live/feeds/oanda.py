"""OANDA's v20 pricing stream: newline-separated JSON, PRICE and HEARTBEAT messages.

Source: OANDA, REST-v20, "Pricing Endpoints" (GET /v3/accounts/{accountID}/pricing/stream) and "Pricing Definitions"
(ClientPrice, PricingHeartbeat), developer.oanda.com, as of 2016-2024. A heartbeat comes every 5 seconds, so minutes
end without a quote, too. Connecting (TLS, bearer token from the secrets provider) is the caller's: this reads lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from bqx.base.errors import BqxError, FeedError
from bqx.market.pairs import parse_pair
from bqx.serve.live.bar import Bar
from bqx.serve.live.clock import FeedClock
from bqx.serve.live.feeds.ticks import Minutes


class OandaStream:
    """A feed over the stream's lines.

    clock : stands at the newest message. skipped : messages of instruments that are not among `pairs`, prices that are
    not tradeable or lack a side. The best bid is the highest of `bids`, the best ask the lowest of `asks`; closeout
    prices are not quotes. A line that is no message raises FeedError; the next poll goes on after it.
    """

    def __init__(self, lines: Iterable[str | bytes], pairs: Sequence[str]) -> None:
        self.clock = FeedClock()
        self.minutes, self.skipped = Minutes(), 0
        self._lines: Iterator[str | bytes] = iter(lines)
        self._pairs, self._number = frozenset(pairs), 0

    def poll(self, timeout: float) -> Sequence[Bar] | None:
        line = next(self._lines, None)
        if line is None:
            return None
        self._number += 1
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        return self._message(text) if text.strip() else []

    def _message(self, text: str) -> list[Bar]:
        where = f"message {self._number}"
        try:
            message = json.loads(text)
            kind, seconds = message["type"], _seconds(message["time"])
        except (ValueError, KeyError, TypeError) as error:
            raise FeedError(f"this is no pricing message: {text[:80]!r}", where=where) from error
        self.clock.set(seconds)
        if kind == "HEARTBEAT":
            return self.minutes.heartbeat(seconds)
        if kind != "PRICE":
            raise FeedError(f"a message of type {str(kind)[:40]!r}", where=where, fix="PRICE and HEARTBEAT are known")
        pair = self._pair(message, where)
        bid, ask = _best(message, "bids", max, where), _best(message, "asks", min, where)
        tradeable = message.get("tradeable", message.get("status") == "tradeable")
        if pair is None or bid is None or ask is None or not tradeable:
            self.skipped += 1
            return self.minutes.heartbeat(seconds)
        return self.minutes.quote(pair, seconds, bid, ask)

    def _pair(self, message: dict[str, Any], where: str) -> str | None:
        try:
            name = parse_pair(str(message["instrument"]).replace("_", "")).name
        except KeyError as error:
            raise FeedError("a price without an instrument", where=where) from error
        except BqxError:
            return None  # a metal or an index
        return name if name in self._pairs else None

    def close(self) -> None:
        self._lines = iter(())


def _best(message: dict[str, Any], side: str, choose: Any, where: str) -> float | None:
    try:
        prices = [float(one["price"]) for one in message[side]]
    except (KeyError, TypeError, ValueError) as error:
        raise FeedError(f"{side} that are no list of prices", where=where) from error
    return float(choose(prices)) if prices else None


def _seconds(text: str) -> float:
    """RFC 3339 with nanoseconds, or seconds since 1970 with a fraction (`Accept-Datetime-Format: UNIX`)."""
    if text[:4].isdigit() and "-" in text:
        whole, _, fraction = text.rstrip("Z").partition(".")
        return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
    return float(text)
