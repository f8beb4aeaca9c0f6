"""Steppers of kernels that look at the last rows only and at no sum of older ones: the kernel itself, over those rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels import spectrum
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
