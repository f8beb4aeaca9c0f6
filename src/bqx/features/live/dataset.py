"""A dataset live: its columns over the newest rows, and what must be remembered for the rows to come."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveError
from bqx.features.catalogue import EXTENSIONS, FAMILIES, earliest
from bqx.features.compute import evaluate
from bqx.features.declare import OURS, Dataset
from bqx.features.live.copies import copy_of
from bqx.features.live.streams import LiveStreams
from bqx.features.live.tape import Tape, playing

F8 = NDArray[np.float64]


class Live(Protocol):
    """home : the dataset. stepped : whether it looks at the new rows only."""

    home: Dataset
    stepped: bool

    def advance(self, streams: LiveStreams) -> F8:
        """All columns over the block's rows, in the declared order: float64 (columns, rows, pairs), NaN for NULL."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of all that is remembered."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Remember this instead; it is checked when the next block comes (LiveStateError)."""
        ...


class Stepped:
    """The dataset's own compute function, its kernels replaced by steppers."""

    stepped = True

    def __init__(self, home: Dataset, copied: Dataset) -> None:
        self.home, self._copied, self._tape = home, copied, Tape()
        self._names = [c.name for c in home.columns]
        self._warmups = [c.warmup for c in home.columns]
        self._longest = max(self._warmups)

    def advance(self, streams: LiveStreams) -> F8:
        block = streams.block
        self._tape.begin(block)
        with playing(self._tape):
            found = self._copied.compute(streams, self._names)
        self._tape.end()
        # one under the other: a copy a column costs more than all the rest of it
        out: F8 = np.concatenate([found[name] for name in self._names], dtype=np.float64)
        out = out.reshape(len(self._names), *block.panel.shape)
        if streams.youngest < self._longest:
            for k, warmup in enumerate(self._warmups):
                if streams.youngest < warmup:
                    out[k][streams.bars < warmup] = np.nan
        return out

    def state(self) -> dict[str, NDArray[Any]]:
        return self._tape.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._tape.restore(state)


class Recompute:
    """The batch function over all that its values can see, for each block: always right by promise P2, and slow."""

    stepped = False

    def __init__(self, home: Dataset) -> None:
        self.home = home

    def advance(self, streams: LiveStreams) -> F8:
        block = streams.block
        start = int(block.panel.grid.minute[0])
        batch = streams.past.streams(earliest(self.home, start, block.calendar))
        found = evaluate(self.home, batch, start_row=batch.panel.grid.index(start))
        return np.stack([found[c.name] for c in self.home.columns])

    def state(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        if state:
            raise LiveError(f"{self.home.name} remembers nothing, the state does")


@lru_cache(maxsize=1)
def _modules() -> Mapping[str, str]:
    """Dataset name -> the family module that declares it."""
    found = {}
    for family in (*FAMILIES, *(f"extensions.{name}" for name in EXTENSIONS)):
        module = import_module(f"bqx.features.families.{family}")
        for home in getattr(module, "DATASETS", None) or (module.DATASET,):
            found[home.name] = module.__name__
    return found


@lru_cache(maxsize=256)
def copied_dataset(name: str) -> Dataset:
    """One of our datasets with steppers for kernels; raises LiveError, which names a kernel that has none."""
    module = copy_of(_modules()[name])
    homes: tuple[Dataset, ...] = getattr(module, "DATASETS", None) or (module.DATASET,)
    return next(home for home in homes if home.name == name)


def twin(home: Dataset) -> Live:
    """The dataset stepped, where each kernel it uses has a stepper; else recomputed, as users' families are."""
    if home.origin != OURS:
        return Recompute(home)
    try:
        return Stepped(home, copied_dataset(home.name))
    except LiveError:
        return Recompute(home)
