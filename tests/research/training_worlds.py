"""What tests of training share: a few columns of the invented world, and columns planted where features are read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.build.project import Project
from bqx.cli.main import root
from bqx.research.candidates import candidates
from bqx.research.dataset import Dataset
from bqx.research.labels import Labels
from bqx.research.training.order import Order, make_order
from bqx.research.training.settings import Settings

COLUMNS = [c.name for c in candidates() if c.lag == 0 and c.warmup < 3000][:400:20]
FAST = {"estimator": "ridge", "heads": ("point",), "horizons": (15,)}
Plant = Callable[[Labels], NDArray[np.float64]]


def order(dataset: Dataset, columns: list[str] = COLUMNS, **settings: Any) -> Order:
    """Ridge of 20 invented columns, point head and h = 15 unless told."""
    return make_order(dataset, Settings(**{**FAST, **settings}), columns=columns)


def plant(patch: pytest.MonkeyPatch, column: Plant) -> None:
    """From now on the first of COLUMNS holds what `column` makes of a pair's labels, wherever features are read."""
    real = Dataset.blocks

    def blocks(self: Dataset, pair: str, chosen: Any = None, **words: Any) -> Iterator[Any]:
        labels = self.labels(pair)
        values = column(labels)
        at = [k for k, c in enumerate(chosen) if c.name == COLUMNS[0]]
        for block in real(self, pair, chosen, **words):
            X = block.X.copy()
            X[:, at] = values[np.searchsorted(labels.position, block.position)][:, None]
            yield replace(block, X=X)

    patch.setattr(Dataset, "blocks", blocks)


def next_bar(project: Project, pair: str) -> Plant:
    """The return of the bar after t: a feature computed one bar too late."""

    def column(labels: Labels) -> NDArray[np.float64]:
        frame = project.bars.read([pair], int(labels.minute[0]), int(labels.minute[-1]) + 60)[pair]
        minute = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
        close = np.log(frame["close"].to_numpy())
        at = np.searchsorted(minute, labels.minute, side="right") - 1
        return 1e4 * (close[np.minimum(at + 1, len(close) - 1)] - close[at])

    return column


def cli(project: Project, *words: str) -> Any:
    """Run `bqx` in this process; what it prints as JSON."""
    out = io.StringIO()
    with redirect_stdout(out):
        root.main(["-C", str(project.root), *words, "--json"], prog_name="bqx", standalone_mode=False)
    return json.loads(out.getvalue())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a run that must not differ, by name: all but times and the lock."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in ("times.json", ".lock")
    }
