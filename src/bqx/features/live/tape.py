"""Steppers, the registry of them, and the tape that keeps those of one dataset in the order they are called."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveStateError
from bqx.features.live.block import Block

Arrays = dict[str, NDArray[Any]]


class Stepper:
    """A kernel that goes on where it stopped: `__call__(block, *args)` has the arguments of the batch kernel, rows of
    the block only, and returns its rows of the batch kernel's answer.

    The constructor gets the same arguments for sizes. All that is remembered lies in attributes that are arrays of
    fixed shape and are changed in place; nothing else differs between two steppers made by equal arguments.
    """

    def arrays(self) -> Arrays:
        """What it remembers, not copied."""
        return {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Remember this instead; raises LiveStateError when it is another stepper's memory."""
        mine = self.arrays()
        shapes = {name: (value.shape, value.dtype) for name, value in mine.items()}
        theirs = {name: (value.shape, value.dtype) for name, value in arrays.items()}
        if shapes != theirs:
            raise LiveStateError(f"{type(self).__name__} remembers {shapes}, the state holds {theirs}")
        for name, value in mine.items():
            value[...] = arrays[name]


class MakeStepper(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Stepper: ...


STEPPERS: dict[str, MakeStepper] = {}
"""`module.kernel` -> its stepper."""

BY_ROW: set[str] = set()
"""`module.kernel` of those that look at one row only: they are their own steppers."""

T = TypeVar("T", bound=MakeStepper)


def stepper(*names: str) -> Callable[[T], T]:
    """Register the stepper of a kernel, `moments.centre`."""

    def register(make: T) -> T:
        for name in names:
            STEPPERS[name] = make
        return make

    return register


class Tape:
    """The steppers of one dataset. Its compute function calls the same kernels in the same order for every block: the
    n-th call belongs to the n-th stepper."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Stepper]] = []
        self._waiting: list[tuple[str, Arrays]] = []
        self._at = 0
        self.block: Block | None = None

    def begin(self, block: Block) -> None:
        self._at, self.block = 0, block

    def end(self) -> None:
        """Raises LiveStateError when fewer steppers were called than before."""
        if self._at != len(self._steps) or self._waiting:
            left = len(self._steps) + len(self._waiting) - self._at
            raise LiveStateError(f"{left} steppers were not called: the compute function took another way")

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], make: MakeStepper | None = None) -> Any:
        """The block's rows of the next kernel."""
        if self._at == len(self._steps):
            made = (make or STEPPERS[name])(*args, **kwargs)
            if self._waiting:
                known, arrays = self._waiting.pop(0)
                if known != name:
                    raise LiveStateError(f"the state remembers {known} where {name} is called")
                made.load(arrays)
            self._steps.append((name, made))
        known, step = self._steps[self._at]
        if known != name:
            raise LiveStateError(f"{name} is called in place of {known}: the compute function took another way")
        self._at += 1
        go_on: Callable[..., Any] = step  # type: ignore[assignment]
        return go_on(self.block, *args, **kwargs)

    def state(self) -> dict[str, NDArray[Any]]:
        """`number kernel:attribute` -> copy."""
        found = {}
        known = [(name, step.arrays()) for name, step in self._steps] + self._waiting
        for k, (name, arrays) in enumerate(known):
            found.update({f"{k} {name}:{key}": value.copy() for key, value in arrays.items()})
            if not arrays:
                found[f"{k} {name}:"] = np.empty(0)
        return found

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Steppers are made again when they are next called, and remember this."""
        found: dict[tuple[int, str], Arrays] = {}
        for key, value in state.items():
            head, _, attribute = key.partition(":")
            number, _, name = head.partition(" ")
            arrays = found.setdefault((int(number), name), {})
            if attribute:
                arrays[attribute] = value
        self._steps, self._at = [], 0
        self._waiting = [(name, arrays) for (_, name), arrays in sorted(found.items(), key=lambda item: item[0][0])]


class _Active(threading.local):
    tape: Tape | None = None


_ACTIVE = _Active()


def active() -> Tape:
    """The tape of the dataset that is being computed in this thread."""
    if _ACTIVE.tape is None:
        raise LiveStateError("a live kernel is called outside of a live dataset")
    return _ACTIVE.tape


@contextmanager
def playing(tape: Tape) -> Iterator[None]:
    """Kernels of live copies called in here are steppers of `tape`."""
    before, _ACTIVE.tape = _ACTIVE.tape, tape
    try:
        yield
    finally:
        _ACTIVE.tape = before


def shim(name: str) -> Callable[..., Any]:
    """What a live copy calls in place of the kernel `module.kernel`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        tape = _ACTIVE.tape  # as `active` does, for a third of the time
        return (tape or active()).call(name, args, kwargs)

    call.__name__ = name
    return call


def ring(rows: int, lanes: int, like: type = np.float64) -> NDArray[Any]:
    """Room for the last `rows` rows, and NaN where nothing was yet (-1 in integers)."""
    return np.full((rows, lanes), np.nan if np.issubdtype(like, np.floating) else -1, dtype=like)
