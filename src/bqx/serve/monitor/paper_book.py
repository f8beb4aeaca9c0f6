"""A paper book on disk: what was decided and when, append-only, and how far it was traded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.atomic import replacing, write_text
from bqx.base.errors import PaperError
from bqx.research.backtest.forecasts import Forecasts
from bqx.research.dataset import check_name

FOLDER, HEAD, DECISIONS, BARS = "paper", "paper.json", "decisions.parquet", "bars.parquet"
FORMAT = 1
SCHEMA = {"pair": pl.String, "horizon": pl.Int64, "minute": pl.Int64, "sigma": pl.Float64, "left": pl.Int64,
          "move": pl.Float64, "demonstrated": pl.Boolean}  # fmt: skip
KEYS = ["pair", "horizon", "minute"]


@dataclass
class PaperBook:
    """decisions : every forecast that reached the desk, as it was then (SCHEMA). bars : as the desk saw them, with
    their `pair`; None before the first run. head : settings, the last minute that was traded, the latest result."""

    folder: Path
    head: dict[str, Any]
    decisions: pl.DataFrame
    bars: pl.DataFrame | None = None

    @classmethod
    def open(cls, root: Path, name: str, settings: dict[str, Any]) -> PaperBook:
        """A book, begun when there is none. PaperError when it was begun with other settings or is damaged."""
        folder = root / FOLDER / check_name(name)
        path = folder / HEAD
        if not path.is_file():
            return cls(folder, {"format": FORMAT, "settings": settings, "through": None}, pl.DataFrame(schema=SCHEMA))
        try:
            head = json.loads(path.read_text("utf-8"))
            table, bars = (pl.read_parquet(folder / f, glob=False, memory_map=False) for f in (DECISIONS, BARS))
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise PaperError(f"the book cannot be read: {error}", where=str(folder)) from error
        if head.get("format") != FORMAT or dict(table.schema) != SCHEMA:
            raise PaperError(f"the book is not of format {FORMAT}", where=str(folder), fix="begin another with --book")
        if head["settings"] != settings:
            odd = sorted(k for k in {*settings, *head["settings"]} if settings.get(k) != head["settings"].get(k))
            raise PaperError(f"the book was begun with another {odd[0]}", where=str(path),
                             fix="give the same settings, or begin another book with --book")  # fmt: skip
        return cls(folder, head, table, bars)

    def add(self, offered: pl.DataFrame) -> tuple[int, int]:
        """Take in decisions later than the last of their pair and horizon; counts of new ones, and of old ones that are
        offered with other values now (what was decided stays as it was)."""
        last = self.decisions.group_by("pair", "horizon").agg(pl.col("minute").max().alias("last"))
        marked = offered.join(last, on=["pair", "horizon"], how="left")
        fresh = marked.filter(pl.col("last").is_null() | (pl.col("minute") > pl.col("last"))).drop("last")
        again = offered.join(self.decisions, on=KEYS, suffix="/then")
        other = again.filter(pl.any_horizontal(
            pl.col(c).ne_missing(pl.col(f"{c}/then")) for c in ("sigma", "left", "move")))  # fmt: skip
        self.decisions = pl.concat([self.decisions, fresh.select(list(SCHEMA))]).sort("minute", "pair", "horizon")
        return fresh.height, other.height

    def tables(self) -> list[Forecasts]:
        """Decisions that may be traded, one table a pair and horizon."""
        out = []
        open_ = self.decisions.filter(pl.col("demonstrated") & pl.col("move").is_not_null())
        for (pair, horizon), rows in sorted(open_.partition_by("pair", "horizon", as_dict=True).items()):
            sigma = rows["sigma"].to_numpy()
            f4 = rows["move"].to_numpy() / (sigma * np.sqrt(float(horizon)))
            n = len(rows)
            nothing: NDArray[np.float64] = np.full(n, np.nan)
            out.append(Forecasts(str(pair), int(horizon), rows["minute"].to_numpy(), np.zeros(n, np.int64), sigma,
                                 rows["left"].to_numpy(), f4, nothing))  # fmt: skip
        return out

    def write(self) -> None:
        """The head last, for it makes a book; killed between, the next run finds what was decided and seen."""
        for name, table in ((DECISIONS, self.decisions), (BARS, self.bars)):
            if table is not None:
                with replacing(self.folder / name) as temp:
                    table.write_parquet(temp, compression="zstd")
        write_text(self.folder / HEAD, json.dumps(self.head, indent=1, allow_nan=False) + "\n")
