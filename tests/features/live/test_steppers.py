"""Every stepper gives the bits of its kernel, however the rows are cut into blocks, saved and restored on the way."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from stepper_cases import CASES, FILLED, VARIANTS, Bars, make_bars, make_block

from bqx.features.checks.result import same_bits
from bqx.features.live.copies import copy_of
from bqx.features.live.tape import STEPPERS

copy_of("bqx.features.families.time")  # registers all steppers


@pytest.fixture(scope="module")
def bars() -> Bars:
    return make_bars()


def cut(bars: Bars, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Blocks of 1 to 300 rows, of one around each segment's start, and one large one at the end."""
    n, row = len(bars.age), 0
    alone = {k + d for k in bars.starts.tolist() for d in range(-2, 3)}
    while row < n:
        size = 1 if row in alone else int(rng.integers(1, 300))
        size = n - row if row > n - 700 else size
        stop = min([row + size, n, *(k for k in alone if k > row)]) if row <= n - 700 else n
        yield row, stop
        row = stop


def rows_of(value: Any, start: int, stop: int, n: int) -> Any:
    """What a block's call gets of an argument of the whole."""
    if isinstance(value, np.ndarray) and value.ndim and len(value) == n:
        return value[start:stop]
    if isinstance(value, tuple):
        return tuple(rows_of(part, start, stop, n) for part in value)
    return value


def flat(answer: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(answer, np.ndarray):
        return [answer]
    if isinstance(answer, dict):
        return [part for value in answer.values() for part in flat(value)]
    return [part for value in answer for part in flat(value)]


def run_live(name: str, args: tuple[Any, ...], bars: Bars) -> list[np.ndarray[Any, Any]]:
    """Answers of the stepper over all rows; at every fifth block another goes on from its memory."""
    n = len(bars.age)
    step: Any = None
    found: list[list[np.ndarray[Any, Any]]] = []
    for k, (start, stop) in enumerate(cut(bars, np.random.default_rng(3))):
        part = list(rows_of(args, start, stop, n))
        if name == "change_points.change_points":
            part[3] = part[3][int(bars.segment[start]) :]  # of the segments that the block knows
        if step is None or k % 5 == 4:
            memory = None if step is None else {key: value.copy() for key, value in step.arrays().items()}
            step = STEPPERS[name](*part)
            if memory is not None:
                step.load(memory)
        answer = step(make_block(bars, start, stop), *part)
        found.append(flat([part[i] for i in FILLED[name]] if name in FILLED else answer))
    return [np.concatenate([piece[k] for piece in found], axis=_axis(found, k)) for k in range(len(found[0]))]


def _axis(found: list[list[np.ndarray[Any, Any]]], k: int) -> int:
    """The axis whose length differs between blocks."""
    one, other = found[0][k], next(piece[k] for piece in found if piece[k].shape != found[0][k].shape)
    return next(axis for axis in range(one.ndim) if one.shape[axis] != other.shape[axis])


def run_batch(name: str, args: tuple[Any, ...]) -> list[np.ndarray[Any, Any]]:
    module, _, kernel = name.rpartition(".")
    copied = tuple(a.copy() if i in FILLED.get(name, ()) else a for i, a in enumerate(args))
    answer = getattr(import_module(f"bqx.features.kernels.{module}"), kernel)(*copied)
    return flat([copied[i] for i in FILLED[name]] if name in FILLED else answer)


CALLS = [*CASES.items(), *VARIANTS.items()]


@pytest.mark.parametrize("call", CALLS, ids=[f"{name}-{k}" for k, (name, _) in enumerate(CALLS)])
def test_live_is_batch(call: tuple[str, Any], bars: Bars) -> None:
    name, make = call
    args = make(bars)
    live, batch = run_live(name, args, bars), run_batch(name, args)
    assert len(live) == len(batch) > 0
    compared = 0
    for one, other in zip(live, batch, strict=True):
        assert one.shape == other.shape
        a, b = one.astype(np.float64), other.astype(np.float64)
        compared += int((~np.isnan(b)).sum())
        wrong = np.argwhere(~same_bits(a, b))
        assert len(wrong) == 0, f"{len(wrong)} values differ, the first at {wrong[0]}: {a[tuple(wrong[0])]!r}"
    assert compared >= 500


def test_every_stepper_has_a_case() -> None:
    """segment_ends answers with all segments since live began: its rows are compared wherever `ends` are used."""
    assert set(CASES) | {"lags.segment_ends"} == set(STEPPERS)


def test_a_forgotten_row_is_found(bars: Bars) -> None:
    """The comparison would see a stepper whose memory lacks one value."""
    step = STEPPERS["moments.centre"](*rows_of(CASES["moments.centre"](bars), 0, 1, len(bars.age)))
    args = CASES["moments.centre"](bars)
    n = len(bars.age)
    step(make_block(bars, 0, 100), *rows_of(args, 0, 100, n))
    step.arrays()["memory"][50] += 1.0
    live = step(make_block(bars, 100, 200), *rows_of(args, 100, 200, n))
    batch = run_batch("moments.centre", args)
    assert not all(same_bits(a, b[100:200]).all() for a, b in zip(live, batch, strict=True))
