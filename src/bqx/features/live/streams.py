"""The streams of a block's rows: the batch class with steppers where it calls kernels that look back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.anchors import Anchors
from bqx.features.live.block import Block, segments
from bqx.features.live.past import Past
from bqx.features.live.tape import Tape
from bqx.features.streams import HALF_LIFE, SIGMA_BURN, SIGMA_NEED, Streams, ewma_weight
from bqx.features.support import needed
from bqx.market.panel import bars_in_stream

F8 = NDArray[np.float64]


class Memory:
    """What the shared streams remember between blocks: a tape for each that looks back, used once a block."""

    def __init__(self) -> None:
        self.tapes: dict[str, Tape] = {}

    def step(self, key: str, block: Block, name: str, *args: Any) -> Any:
        tape = self.tapes.setdefault(key, Tape())
        tape.begin(block)
        return tape.call(name, args, {})

    def state(self) -> dict[str, NDArray[Any]]:
        return {f"{key}/{name}": value for key, tape in self.tapes.items() for name, value in tape.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        found: dict[str, dict[str, NDArray[Any]]] = {}
        for path, value in state.items():
            key, _, name = path.partition("/")
            found.setdefault(key, {})[name] = value
        self.tapes = {key: Tape() for key in found}
        for key, arrays in found.items():
            self.tapes[key].restore(arrays)


class LiveStreams(Streams):
    """Streams of one block; made anew for each, over the same memory.

    A stream is computed when first asked for, as in batch: what asks must ask in every block.
    """

    def __init__(self, block: Block, anchors: Anchors, memory: Memory, past: Past) -> None:
        # not the batch constructor: a block may begin inside a segment
        self.panel, self.calendar, self.anchors = block.panel, block.calendar, anchors
        self.fits = past.fits
        self._tails = {}
        self._momentum: dict[int, tuple[F8, ...]] = {}
        self._extremes: dict[int, tuple[F8, ...]] = {}
        self.block, self.memory, self.past = block, memory, past

    def _step(self, key: str, name: str, *args: Any) -> Any:
        return self.memory.step(key, self.block, name, *args)

    @cached_property
    def bars(self) -> NDArray[np.int64]:
        """Open minutes since each pair's first bar. Shape (n, pairs)."""
        return bars_in_stream(self.panel, self.calendar)

    @cached_property
    def youngest(self) -> int:
        return int(self.bars.min(initial=np.iinfo(np.int64).max))

    @cached_property
    def segment(self) -> NDArray[np.int32]:
        """Number of each row's segment since live began. Shape (n,)."""
        return segments(self.block)

    @cached_property
    def _reference(self) -> F8:
        out: F8 = self._step("reference", "levels.references", self.panel.open, self.block.age)
        return out

    @cached_property
    def rate_change(self) -> F8:
        out: F8 = self._step("change", "levels.changes", self.panel.close, self._reference, self.block.age)
        return out

    @cached_property
    def rate_ends(self) -> F8:
        """Last level of every segment since live began, that of the newest row's as it stands."""
        count = int(self.segment[-1]) + 1
        out: F8 = self._step("ends", "lags.segment_ends", self.rate_close, self.segment, count)
        return out

    @cached_property
    def sigma(self) -> F8:
        weight = ewma_weight(HALF_LIFE)
        rule = (weight, HALF_LIFE, SIGMA_NEED, SIGMA_BURN)
        out: F8 = self._step("sigma", "ewma.ewma_deviation", self.rate_change, self.block.age, *rule)
        return out

    def previous_closes(self, window: int) -> tuple[F8, ...]:
        if window not in self._momentum:
            rule = (self.panel.close, self.block.age, window, needed(window))
            self._momentum[window] = self._step(f"closes {window}", "momentum.previous_closes", *rule)
        return self._momentum[window]

    def previous_extremes(self, window: int) -> tuple[F8, ...]:
        if window not in self._extremes:
            rule = (self.panel.close, self.block.age, window, needed(window))
            self._extremes[window] = self._step(f"extremes {window}", "extremes.previous_extremes", *rule)
        return self._extremes[window]

    @cached_property
    def bqx_change(self) -> F8:
        out: F8 = self._step("bqx change", "lags.lag_inside", self.bqx_close, self.block.age, 1)
        return out
