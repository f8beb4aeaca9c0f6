"""Pairs and horizons one by one, as a table."""

from __future__ import annotations

from bqx.base.provenance import computed
from bqx.base.report import Badge, Cell, Table, Tone
from bqx.research.evaluation.cell import Cell as Judged
from bqx.research.evaluation.target import TargetFound
from bqx.research.skill import NO_SKILL

HEAD = ("pair", "h", "verdict", "skill, %", "from", "to", "noise 95, %", "DM p", "q BH", "q BY", "CW p", "hits, %",
        "break-even, %", "PT p", "GW p", "slope", "rows", "effective")  # fmt: skip


def cell_table(t: TargetFound) -> Table:
    """Every cell; break-even is the hit rate that pays the mean round trip."""
    return Table(HEAD, [_row(c) for c in t.cells], "Every pair and horizon; q over all of them")


def _row(c: Judged) -> list[Cell]:
    f = c.found
    tone: Tone = "bad" if f.quarantined else "plain" if f.verdict == NO_SKILL else "good"
    how = f"judge, {f.target} {f.part}"
    shares = [
        computed(100 * v, "", how, digits=2, reason="no forecast has a sign")
        for v in (f.walk.skill, f.walk.low, f.walk.high, f.noise.high)
    ]
    p = [f"{v:.2g}" for v in (f.walk.p, c.q_bh, c.q_by, f.clark_west)]
    return [
        c.pair, f.horizon or 0, Badge(f.verdict, tone), *shares, *p,
        computed(100 * f.hit_rate, "", how, digits=2, reason="no forecast has a sign"),
        computed(100 * c.break_even, "", "1/2 + cost / (2 E|r|)", digits=2),
        "n/a" if c.signs is None else f"{c.signs.hac_p:.2g}",
        "n/a" if c.conditional is None else f"{c.conditional:.2g}",
        computed(None if c.calibration is None else c.calibration.b, "", "y = a + b f", reason="constant forecast"),
        f.n_rows, computed(f.n_effective, "", "overlap paid for", digits=0),
    ]  # fmt: skip
