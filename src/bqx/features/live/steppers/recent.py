"""Steppers of kernels that look at the last rows only, at no sum of older ones: the kernel itself over those rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels import loops, singular, spectrum, wavelets
from bqx.features.kernels.buckets import imbalance_from
from bqx.features.live.block import Block
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


class Recent(Stepper):
    """memory : the last rows before the block, the oldest first."""

    def __init__(self, x: NDArray[Any], rows: int) -> None:
        self.memory = ring(rows, x.shape[1], x.dtype.type)

    def with_memory(self, x: NDArray[Any]) -> NDArray[Any]:
        """The remembered rows and those of the block, which are remembered in turn."""
        both = np.concatenate([self.memory, x])
        self.memory[...] = both[len(x) :]
        return both


def ages(seg_age: I4, rows: int) -> I4:
    """Ages of the block's rows behind those of `rows` remembered ones, which nobody asks for."""
    return np.concatenate([np.zeros(rows, dtype=np.int32), seg_age])


@stepper("spectrum.spectra")
class Spectra(Recent):
    def __init__(self, x: F8, seg_age: I4, need: int) -> None:
        super().__init__(x, spectrum.LENGTH - 1)

    def __call__(self, block: Block, x: F8, seg_age: I4, need: int) -> tuple[F8, ...]:
        out, rows = np.empty((spectrum.MEASURES, *x.shape)), len(self.memory)
        spectrum.spectra_from(self.with_memory(x), ages(seg_age, rows), rows, need, out)
        return tuple(out)


@stepper("wavelets.overlap")
class Overlap(Recent):
    """seg_age : of the remembered rows, for a level needs those before of the one below."""

    def __init__(self, x: F8, seg_age: I4) -> None:
        super().__init__(x, wavelets.reach(wavelets.LEVELS) - 1)
        self.seg_age = np.zeros(len(self.memory), dtype=np.int32)

    def __call__(self, block: Block, x: F8, seg_age: I4) -> tuple[F8, ...]:
        both, rows = np.concatenate([self.seg_age, seg_age]), len(self.memory)
        self.seg_age[...] = both[len(seg_age) :]
        return tuple(part[rows:] for part in wavelets.overlap_from(self.with_memory(x), both, rows))


@stepper("singular.components")
class Components(Recent):
    """held : what the last analysis found."""

    def __init__(self, x: F8, seg_age: I4) -> None:
        super().__init__(x, singular.LENGTH - 1)
        self.held = np.full((singular.MEASURES, x.shape[1]), np.nan)

    def __call__(self, block: Block, x: F8, seg_age: I4) -> tuple[F8, ...]:
        out, rows = np.empty((singular.MEASURES, *x.shape)), len(self.memory)
        singular.components_from(self.with_memory(x), ages(seg_age, rows), rows, singular.rooms(), self.held, out)
        return tuple(out)


@stepper("loops.carried")
class Carried(Recent):
    def __init__(self, x: F8, fill_run: I4, seg_age: I4, most: int) -> None:
        super().__init__(x, most)

    def __call__(self, block: Block, x: F8, fill_run: I4, seg_age: I4, most: int) -> F8:
        out, rows = np.empty(x.shape), len(self.memory)
        runs = np.concatenate([np.zeros((rows, x.shape[1]), dtype=np.int32), fill_run])
        loops.carried_from(self.with_memory(x), runs, ages(seg_age, rows), rows, most, out)
        return out


@stepper("buckets.imbalance")
class Imbalance(Recent):
    """side : of the remembered rows, like their volumes."""

    def __init__(self, v: F8, side: F8, size: F8, reach: int, buckets: int) -> None:
        super().__init__(v, reach - 1)
        self.side = ring(reach - 1, v.shape[1])

    def __call__(self, block: Block, v: F8, side: F8, size: F8, reach: int, buckets: int) -> F8:
        both, rows = np.concatenate([self.side, side]), len(self.memory)
        self.side[...] = both[len(side) :]
        return imbalance_from(self.with_memory(v), both, size, rows, reach, buckets)
