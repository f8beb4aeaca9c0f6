"""Cross rates against each other: which minutes break a triangle, and which pair is to blame.

The mid closes of a minute must satisfy cross = first x second within the sum of the three relative spreads; where one
of them has no quotes, within a stated tolerance. A pair that is off breaks every triangle it is in, so the pair common
to a minute's broken triangles is named; where several would do, none is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.market.calendar import datetime_of
from bqx.market.pairs import TRIANGLES, Triangle

I8 = NDArray[np.int64]
F8 = NDArray[np.float64]
B1 = NDArray[np.bool_]
TOLERANCE_BP = 5.0
MAX_SHARE = 1e-3
MAX_PLACES = 5
_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True)
class Break:
    """Consecutive tested minutes in which one pair is to blame. worst_bp: largest deviation of its broken triangles;
    allowed_bp: what that one was allowed; triangles: most broken in a minute, of `of` tested there.
    """

    pair: str | None
    first: str
    last: str
    minutes: int
    worst_bp: float
    allowed_bp: float
    triangles: int
    of: int
    among: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriangleReport:
    """minutes: tested in at least one triangle; broken: of them. tests, broken_tests: minute x triangle.

    pairs: pair -> minutes it is to blame for; unnamed: minutes without one clear pair; by_triangle: name -> tested,
    broken, widest deviation in bp. breaks: the longest MAX_PLACES a pair, in the order of time.
    """

    minutes: int
    broken: int
    tests: int
    broken_tests: int
    with_quotes: int
    tolerance_bp: float
    max_share: float
    pairs: dict[str, int]
    unnamed: int
    by_triangle: dict[str, dict[str, Any]]
    breaks: tuple[Break, ...]

    @property
    def share(self) -> float:
        return self.broken / self.minutes if self.minutes else 0.0

    @property
    def passed(self) -> bool:
        return self.minutes > 0 and self.share <= self.max_share

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "share": self.share, "passed": self.passed}


def triangles_of(pairs: Sequence[str]) -> tuple[Triangle, ...]:
    """The triangles that these pairs make up."""
    have = set(pairs)
    return tuple(t for t in TRIANGLES if {t.cross, t.first, t.second} <= have)


def check_triangles(
    frames: Mapping[str, pl.DataFrame], *, tolerance_bp: float = TOLERANCE_BP, max_share: float = MAX_SHARE
) -> TriangleReport:
    """frames: pair -> BARS_SCHEMA. Works through blocks of 32,768 minutes, so memory does not grow with the span."""
    triangles = triangles_of(list(frames))
    pairs = sorted({p for t in triangles for p in (t.cross, t.first, t.second)})
    index = np.array([[pairs.index(p) for p in (t.cross, t.first, t.second)] for t in triangles], np.int64).reshape(
        -1, 3
    )
    member = np.zeros((len(triangles), len(pairs)), np.int64)
    np.put_along_axis(member, index, 1, axis=1)
    minutes = [frames[p]["ts_utc"].to_physical().to_numpy() // 60_000_000 for p in pairs]
    values = [_values(frames[p]) for p in pairs]
    every = np.unique(np.concatenate(minutes)) if pairs else np.empty(0, np.int64)
    tally = _Tally(tuple(triangles), pairs)
    for at in range(0, len(every), _BLOCK):
        block = every[at : at + _BLOCK]
        log, spread = _fill(block, minutes, values)
        _test(tally, block, log, spread, index, member, tolerance_bp * 1e-4)
    return tally.report(tolerance_bp, max_share)


def _values(frame: pl.DataFrame) -> F8:
    """Rows: log of the close, relative spread of the close (NaN without quotes, 0 when crossed)."""
    spread = ((pl.col("ask_close") - pl.col("bid_close")) / pl.col("close")).clip(lower_bound=0.0)
    close = frame["close"].to_numpy()
    return np.stack([np.log(close), frame.select(spread.alias("s"))["s"].fill_null(float("nan")).to_numpy()])


def _fill(block: I8, minutes: Sequence[I8], values: Sequence[F8]) -> tuple[F8, F8]:
    """[minutes x pairs] of log prices and spreads, NaN where a pair has no bar."""
    log = np.full((len(block), len(minutes)), np.nan)
    spread = np.full_like(log, np.nan)
    for k, (own, value) in enumerate(zip(minutes, values, strict=True)):
        a, b = np.searchsorted(own, (block[0], block[-1] + 1))
        rows = np.searchsorted(block, own[a:b])
        log[rows, k], spread[rows, k] = value[0, a:b], value[1, a:b]
    return log, spread


class _Tally:
    """Sums over blocks."""

    def __init__(self, triangles: tuple[Triangle, ...], pairs: list[str]) -> None:
        self.triangles, self.pairs = triangles, pairs
        self.tested = np.zeros(len(triangles), np.int64)
        self.broken = np.zeros(len(triangles), np.int64)
        self.widest = np.zeros(len(triangles))
        self.minutes = self.broken_minutes = self.quoted = 0
        self.found: list[tuple[int, str | None, float, float, int, int, tuple[str, ...]]] = []

    def report(self, tolerance_bp: float, max_share: float) -> TriangleReport:
        named = dict.fromkeys(self.pairs, 0)
        for _, pair, *_ in self.found:
            if pair is not None:
                named[pair] += 1
        return TriangleReport(
            minutes=self.minutes,
            broken=self.broken_minutes,
            tests=int(self.tested.sum()),
            broken_tests=int(self.broken.sum()),
            with_quotes=self.quoted,
            tolerance_bp=tolerance_bp,
            max_share=max_share,
            pairs={p: n for p, n in sorted(named.items(), key=lambda item: -item[1]) if n},
            unnamed=len({f[0] for f in self.found if f[1] is None}),
            by_triangle={
                f"{t.cross}={t.first}*{t.second}": {"tested": int(a), "broken": int(b), "widest_bp": round(1e4 * w, 4)}
                for t, a, b, w in zip(self.triangles, self.tested, self.broken, self.widest.tolist(), strict=True)
            },
            breaks=_runs(self.found),
        )


def _test(tally: _Tally, block: I8, log: F8, spread: F8, index: I8, member: I8, tolerance: float) -> None:
    """One block: deviations of all triangles, then blame in the few minutes that break one."""
    off = np.abs(log[:, index[:, 0]] - log[:, index[:, 1]] - log[:, index[:, 2]])
    allowed = spread[:, index[:, 0]] + spread[:, index[:, 1]] + spread[:, index[:, 2]]
    tested = ~np.isnan(off)
    quoted = tested & ~np.isnan(allowed)
    allowed = np.where(quoted, allowed, tolerance)
    broken = tested & (off > allowed + 1e-12)  # the last figure of a product of decimals is no break
    tally.tested += tested.sum(axis=0)
    tally.broken += broken.sum(axis=0)
    tally.widest = np.maximum(tally.widest, np.where(tested, off, 0.0).max(axis=0, initial=0.0))
    tally.quoted += int(quoted.sum())
    tally.minutes += int(tested.any(axis=1).sum())
    rows = np.flatnonzero(broken.any(axis=1))
    tally.broken_minutes += len(rows)
    _blame(tally, block[rows], broken[rows], tested[rows], off[rows], allowed[rows], member)


def _blame(tally: _Tally, minutes: I8, broken: B1, tested: B1, off: F8, allowed: F8, member: I8) -> None:
    """Name the pairs in most broken triangles of a minute, take their triangles away, and again while some are left.

    Each of them must be in at least two that hold no other of them; else no pair is named.
    """
    left = broken.copy()
    live = np.arange(len(minutes))
    while len(live):
        now = left[live].astype(np.int64)
        count = now @ member
        top = (count == count.max(axis=1)[:, None]).astype(np.int64)
        own = (now * (top @ member.T == 1)) @ member
        clear = ((own >= 2) | (top == 0)).all(axis=1)
        for k, row in enumerate(live):
            minute, values = int(minutes[row]), (off[row], allowed[row])
            if not clear[k]:
                among = tuple(tally.pairs[p] for p in np.flatnonzero(count[k]))
                _note(tally, minute, None, left[row], tested[row], *values, among)
                continue
            for pair in np.flatnonzero(top[k]):
                held = member[:, pair] == 1
                _note(tally, minute, tally.pairs[pair], broken[row] & held, tested[row] & held, *values)
                left[row] &= ~held
        live = live[clear]
        live = live[left[live].any(axis=1)]


def _note(
    tally: _Tally,
    minute: int,
    pair: str | None,
    broken: B1,
    tested: B1,
    off: F8,
    allowed: F8,
    among: tuple[str, ...] = (),
) -> None:
    k = int(np.where(broken, off, -1.0).argmax())
    tally.found.append((minute, pair, float(off[k]), float(allowed[k]), int(broken.sum()), int(tested.sum()), among))


def _runs(found: Sequence[tuple[int, str | None, float, float, int, int, tuple[str, ...]]]) -> tuple[Break, ...]:
    """Consecutive minutes of one pair as one break; the longest few a pair."""
    runs: dict[str | None, list[list[tuple[int, str | None, float, float, int, int, tuple[str, ...]]]]] = {}
    for item in sorted(found, key=lambda f: (f[0], f[1] or "")):
        of_pair = runs.setdefault(item[1], [])
        if of_pair and of_pair[-1][-1][0] == item[0] - 1 and of_pair[-1][-1][6] == item[6]:
            of_pair[-1].append(item)
        else:
            of_pair.append([item])
    kept = [run for of_pair in runs.values() for run in sorted(of_pair, key=lambda r: (-len(r), r[0][0]))[:MAX_PLACES]]
    out = []
    for run in sorted(kept, key=lambda r: r[0][0]):
        worst = max(run, key=lambda f: f[2])
        first, last = (datetime_of(run[k][0]).isoformat() for k in (0, -1))
        bp = (round(1e4 * worst[2], 4), round(1e4 * worst[3], 4))
        most = max(f[4] for f in run)
        out.append(Break(worst[1], first, last, len(run), *bp, most, worst[5], worst[6]))
    return tuple(out)
