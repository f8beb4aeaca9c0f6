"""A check that had too little to compare has failed; this says whether the bars or the formula are to blame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bqx.features.checks.reach import bars_needed, days_of
from bqx.features.checks.result import MINIMUM, CheckResult
from bqx.features.checks.world import World
from bqx.features.declare import Dataset
from bqx.features.reasons import Reasons


def explain_shortage(home: Dataset, results: list[CheckResult], world: World) -> list[CheckResult]:
    """Results of one check; those that found nothing wrong but had fewer than 500 values to look at get a verdict:
    `no data` when the source gives nothing to compute them from, `too short` when more bars would."""
    if all(r.differing or r.compared >= MINIMUM for r in results):
        return results
    first, last = world.span
    bars = world.calendar.ordinal(last) - world.calendar.ordinal(first)
    lacking = _lacking(home, [r.column for r in results if not r.differing and r.compared < MINIMUM], world)
    return [_judge(home, r, world, bars, lacking) for r in results]


def _judge(home: Dataset, result: CheckResult, world: World, bars: int, lacking: set[str]) -> CheckResult:
    if result.differing or result.compared >= MINIMUM:
        return result
    if result.column in lacking:
        what = " and ".join(sorted(home.uses & {"volume", "quotes", "schedule"})) or "what it needs"
        source = "the project" if "schedule" in home.uses else "the source of these bars"
        note = f"{source} has no {what}, so there is nothing to compare"
        return replace(result, verdict="no data", note=note.replace("quotes", "bid and ask"))
    one = replace(home, columns=(home.by_name[result.column],))
    end = world.span[1]
    need = bars_needed(one, world.calendar, end)
    if bars >= need:
        return result
    days = days_of(need, world.calendar, end)
    have = -(-(end - world.span[0]) // 1440)
    note = (
        f"too short for this column: it needs {days} days of bars (warm-up {one.columns[0].warmup:,} bars), not {have}"
    )
    return replace(result, verdict="too short", note=note)


def _lacking(home: Dataset, columns: list[str], world: World) -> set[str]:
    """Columns that are NULL by capability and never have a value."""
    if "schedule" in home.uses and world.schedule is None:
        values = world.values(home, *world.span)
        return {name for name in columns if bool(np.isnan(values[name]).all())}
    reasons = Reasons(world.view(*world.span))
    masks = {name: reasons.masks(home.by_name[name].support, home.uses) for name in columns}
    return {name for name, mask in masks.items() if mask["capability"].any() and not mask["expected"].any()}
