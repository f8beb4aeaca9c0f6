"""What the live loop needs of a feed; a socket or a broker enters here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bqx.serve.live.bar import Bar
from bqx.serve.live.clock import Clock


class Feed(Protocol):
    """clock : the time that decides when a minute is over.

    A feed delivers whole minutes. It may deliver a bar twice, late, again with other values or out of order: the book
    knows what each of these means. It must not invent bars for minutes without a quote.
    """

    @property
    def clock(self) -> Clock: ...

    def poll(self, timeout: float) -> Sequence[Bar] | None:
        """Bars that have come, after at most `timeout` seconds; empty when none have, None when none will.

        Raises FeedError for what cannot be understood; what came before it has been delivered.
        """
        ...

    def close(self) -> None: ...
