"""One pair and horizon: its skill, and the tests that need its rows one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.research.evaluation.calibration import Calibration, calibrate
from bqx.research.evaluation.conditional import giacomini_white
from bqx.research.evaluation.direction import Signs, break_even, pesaran_timmermann
from bqx.research.evaluation.judge import Found
from bqx.research.evaluation.rows import Rows
from bqx.research.evaluation.strata import SESSIONS
from bqx.research.evaluation.worth import memory, spacing

F8 = NDArray[np.float64]
FEWEST = 50


@dataclass(frozen=True, slots=True)
class Cell:
    """found : skill of the pair at the horizon. signs : Pesaran-Timmermann. calibration : None for a constant forecast.

    conditional : Giacomini-White p given volatility and the loss difference last known, None where it cannot be asked.
    break_even : hit rate that pays the round trip, `cost` and `size` (mean E|r|) in bps; by_session : by session.
    q_bh, q_by : Diebold-Mariano over the whole family of pairs and horizons.
    """

    pair: str
    found: Found
    signs: Signs | None
    calibration: Calibration | None
    conditional: float | None
    cost: float
    size: float
    break_even: float
    by_session: tuple[dict[str, Any], ...]
    q_bh: float = math.nan
    q_by: float = math.nan

    def as_dict(self) -> dict[str, Any]:
        return {
            "pair": self.pair, **self.found.as_dict(), "q_bh": self.q_bh, "q_by": self.q_by,
            "signs": None if self.signs is None else self.signs.as_dict(),
            "calibration": None if self.calibration is None else self.calibration.as_dict(),
            "giacomini_white_p": self.conditional, "cost": self.cost, "mean_move": self.size,
            "break_even": self.break_even, "by_session": list(self.by_session),
        }  # fmt: skip


def cell_of(rows: Rows, target: str, found: Found) -> Cell:
    """The tests of one cell, errors over a window of rows 4 labels long."""
    y, f = rows.truth[target], rows.forecasts[target]["model"]
    every = spacing(rows.position)
    lags = memory(rows.horizon, every, len(rows))
    signed = (y != 0.0) & (f != 0.0)
    cost, size = float(rows.cost.mean()), float(np.abs(rows.move).mean())
    return Cell(
        pair=rows.pair,
        found=found,
        signs=pesaran_timmermann(y, f, lags) if int(signed.sum()) >= FEWEST else None,
        calibration=calibrate(y, f, lags),
        conditional=_conditional(rows, y, f, math.ceil(rows.horizon / every), lags),
        cost=cost,
        size=size,
        break_even=break_even(cost, size),
        by_session=tuple(_sessions(rows, y, f)),
    )


def _conditional(rows: Rows, y: F8, f: F8, late: int, lags: int) -> float | None:
    """A loss difference is known `late` rows on, when its label has ended."""
    d = y**2 - (y - f) ** 2
    if len(d) - late < FEWEST:
        return None
    known = np.column_stack([np.log(rows.sigma[late:]), d[:-late]])
    if not (known.std(axis=0) > 0.0).all():
        return None
    return giacomini_white(d[late:], known, lags)[1]


def _sessions(rows: Rows, y: F8, f: F8) -> list[dict[str, Any]]:
    out = []
    signed = (y != 0.0) & (f != 0.0)
    for code, name in enumerate(SESSIONS):
        mine = rows.session == code
        n = int((mine & signed).sum())
        size = float(np.abs(rows.move[mine]).mean()) if mine.any() else 0.0
        if n >= FEWEST and size > 0.0:
            hits = float(((y > 0) == (f > 0))[mine & signed].mean())
            pays = break_even(float(rows.cost[mine].mean()), size)
            out.append({"session": name, "rows": n, "hit_rate": hits, "break_even": pays})
    return out
