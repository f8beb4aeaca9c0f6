"""A stepper for any batch kernel: the rows it can see are kept, and it runs over all of them for each block. Always
right, and slow: for kernels that have no step function yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.live.block import Block
from bqx.features.live.tape import STEPPERS, Arrays, Stepper

Batch = Callable[..., Any]


class Replay(Stepper):
    """rows : numbers of the arguments that hold rows; one of them must be `seg_age`. out : number of an argument that
    the kernel fills in place of returning. back : open minutes before a segment that its values can see."""

    def __init__(self, batch: Batch, rows: tuple[int, ...], age: int, out: int | None, back: int) -> None:
        self._batch, self._rows, self._age, self._out, self._back = batch, rows, age, out, back
        self._kept: dict[int, NDArray[Any]] = {}

    def __call__(self, block: Block, *args: Any) -> Any:
        for k in self._rows:
            self._kept[k] = np.concatenate([self._kept[k], args[k]]) if k in self._kept else args[k].copy()
        new = len(block)
        ages = self._kept[self._age]
        first = len(ages) - new
        opens = np.flatnonzero(ages == 0)
        now = int(ages[first])  # rows before the first new one that are of its segment
        allowed = opens[opens <= max(first - now - self._back, 0)]
        if len(allowed) and allowed[-1] > 0:
            self._kept = {k: value[allowed[-1] :].copy() for k, value in self._kept.items()}
        whole = [self._kept.get(k, value) for k, value in enumerate(args)]
        if self._out is not None:
            target = np.empty((len(self._kept[self._age]), *args[self._out].shape[1:]))
            whole[self._out] = target
            self._batch(*whole)
            args[self._out][...] = target[-new:]
            return None
        found = self._batch(*whole)
        return tuple(part[-new:] for part in found) if isinstance(found, tuple) else found[-new:]

    def arrays(self) -> Arrays:
        return {f"row {k}": value for k, value in self._kept.items()}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._kept = {int(name.removeprefix("row ")): value for name, value in arrays.items()}


def replayed(
    name: str, batch: Batch, rows: tuple[int, ...], age: int, back: Callable[..., int], out: int | None = None
) -> None:
    """Register `module.kernel` as replayed. back : open minutes before a segment, from the kernel's arguments."""
    STEPPERS[name] = lambda *args: Replay(batch, rows, age, out, back(*args))
