"""Steppers that remember tuples of arrays too, as kernels that pass several at once want them."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.live.tape import Arrays, Stepper

F8 = NDArray[np.float64]


class Held(Stepper):
    """A stepper whose attributes may be tuples of arrays."""

    def arrays(self) -> Arrays:
        found: Arrays = {}
        for name, value in vars(self).items():
            for k, part in enumerate(value if isinstance(value, tuple) else (value,)):
                if isinstance(part, np.ndarray):
                    found[f"{name}{k}"] = part
        return found


@overload
def empties(x: NDArray[Any], count: Literal[2]) -> tuple[F8, F8]: ...
@overload
def empties(x: NDArray[Any], count: Literal[3]) -> tuple[F8, F8, F8]: ...
@overload
def empties(x: NDArray[Any], count: Literal[4]) -> tuple[F8, F8, F8, F8]: ...
@overload
def empties(x: NDArray[Any], count: Literal[8]) -> tuple[F8, F8, F8, F8, F8, F8, F8, F8]: ...
@overload
def empties(x: NDArray[Any], count: Literal[9]) -> tuple[F8, F8, F8, F8, F8, F8, F8, F8, F8]: ...
@overload
def empties(x: NDArray[Any], count: int) -> tuple[F8, ...]: ...
def empties(x: NDArray[Any], count: int) -> tuple[F8, ...]:
    """Room for `count` answers of the shape of x."""
    return tuple(np.empty(x.shape) for _ in range(count))


@kernel
def put_row(ring: NDArray[Any], r: int, x: NDArray[Any], i: int) -> None:
    """Row i of x, of any kind of number, as row r of the ring."""
    row = r % len(ring)
    for j in range(x.shape[1]):
        ring[row, j] = x[i, j]


@kernel
def put_rows(ring: F8, r: int, x: F8, i: int) -> None:
    """The same of arrays (rows, series, pairs)."""
    row = r % len(ring)
    for k in range(x.shape[1]):
        for j in range(x.shape[2]):
            ring[row, k, j] = x[i, k, j]
