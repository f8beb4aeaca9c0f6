"""The cells of a run, pair x horizon x fold, and how finished ones are kept: the receipt is written last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bqx.base.atomic import sweep, write_text
from bqx.base.errors import RunError
from bqx.research.training.forecasts import read_forecasts, write_forecasts

GLOBAL = "global"
RECEIPT, TIMES = "receipt.json", "times.json"


@dataclass(frozen=True, slots=True)
class Cell:
    """One model's training window and test block. group : the pair, or `global` for all pairs together."""

    group: str
    pairs: tuple[str, ...]
    horizon: int
    fold: int

    @property
    def name(self) -> str:
        return f"{self.group}_{self.horizon}_{self.fold}"


def make_cells(
    pairs: Sequence[str], horizons: Sequence[int], folds: Sequence[int], *, together: bool
) -> dict[str, list[Cell]]:
    """Cells by group, in the order they are worked on."""
    groups = {GLOBAL: tuple(pairs)} if together else {p: (p,) for p in pairs}
    return {g: [Cell(g, members, h, f) for h in horizons for f in folds] for g, members in groups.items()}


@dataclass(frozen=True)
class Kept:
    """Cells under `folder`, one sub-folder each: forecast_{pair}.parquet, times.json, receipt.json."""

    folder: Path

    def write(
        self, cell: Cell, tables: Mapping[str, pl.DataFrame], facts: Mapping[str, Any], times: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Tables, then the receipt: a cell without one was not finished. `times` may differ from run to run."""
        home = self.folder / cell.name
        hashes = {}
        for pair, table in tables.items():
            path = home / f"forecast_{pair}.parquet"
            write_forecasts(path, table, horizon=cell.horizon)
            hashes[pair] = _hash(path)
        write_text(home / TIMES, json.dumps(dict(times), sort_keys=True) + "\n")
        receipt = {"group": cell.group, "horizon": cell.horizon, "fold": cell.fold, "forecasts": hashes, **facts}
        write_text(home / RECEIPT, json.dumps(receipt, indent=1, sort_keys=True, allow_nan=False) + "\n")
        return receipt

    def receipt(self, cell: Cell) -> dict[str, Any] | None:
        """Of a finished cell; None when it is not there or a table is not what was written."""
        home = self.folder / cell.name
        sweep(home)
        try:
            data: dict[str, Any] = json.loads((home / RECEIPT).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RunError(
                f"a receipt is damaged: {error}", where=str(home), fix="remove that folder; the cell is trained again"
            ) from error
        for pair in cell.pairs:
            path = home / f"forecast_{pair}.parquet"
            if not path.is_file() or _hash(path) != data["forecasts"].get(pair):
                return None
        return data

    def times(self, cell: Cell) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / cell.name / TIMES).read_text("utf-8"))
        return data

    def table(self, cell: Cell, pair: str) -> pl.DataFrame:
        return read_forecasts(self.folder / cell.name / f"forecast_{pair}.parquet", horizon=cell.horizon)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
