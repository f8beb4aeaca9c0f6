"""Judge a run: read its forecast tables, measure, write evaluation.json into its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bqx.base.atomic import write_text
from bqx.base.errors import EvaluationError, UsageError
from bqx.base.runlog import current_run
from bqx.market.calendar import Calendar
from bqx.research.evaluation.judge import QUARANTINED
from bqx.research.evaluation.reach import Reach, reach
from bqx.research.evaluation.rows import BASELINES, TARGETS, Rows, rows_of
from bqx.research.evaluation.spread import SpreadFound, SpreadSums
from bqx.research.evaluation.standard import standard
from bqx.research.evaluation.sums import times
from bqx.research.evaluation.target import TargetFound, TargetSums
from bqx.research.skill import DRAWS
from bqx.research.training.folder import Run
from bqx.research.training.quarantine import check_quarantine

NAME = "evaluation.json"
FORMAT = 1
NOISE_NOTE = (
    "Beside every skill stands what noise gets: the mean and the 95 % quantile of the skill of the same forecasts on "
    "truths whose signs were flipped at random in blocks of 240 bars, all pairs alike."
)


@dataclass(frozen=True)
class Evaluation:
    """What a run's forecasts are worth. primary : the target of the endpoint fixed beforehand, y3 where it was trained.

    facts : of the reporting standard. complete : every table of the run was judged, so gates may read it. absent :
    pairs and horizons that the run has no table of.
    """

    run: str
    run_hash: str
    simulated: bool
    complete: bool
    absent: tuple[str, ...]
    primary: str
    facts: dict[str, Any]
    targets: dict[str, TargetFound]
    spread: SpreadFound
    own_thirds: int
    too_good: tuple[str, ...]
    signed: dict[str, Any] | None
    reach: Reach
    made_at: str

    @property
    def pooled(self) -> TargetFound:
        return self.targets[self.primary]

    @property
    def quarantined(self) -> bool:
        """Too good to be true, and nobody has signed."""
        return bool(self.too_good) and self.signed is None

    @property
    def word(self) -> str:
        """The verdict in a few words."""
        if self.quarantined:
            return QUARANTINED
        word = self.pooled.pooled.verdict
        if self.too_good and self.signed is not None:
            return f"{word}, above the limits of L14, signed by {self.signed.get('by', 'somebody')}"
        return word

    @property
    def verdict(self) -> str:
        """One sentence with the pooled skill, its interval and what noise gets."""
        p = self.pooled.pooled
        share = f"{100 * p.walk.skill:.2f} % ({100 * p.walk.low:.2f} to {100 * p.walk.high:.2f})"
        label = "SIMULATED DATA: " if self.simulated else ""
        where = f"{label}{self.word}: {share} over all pairs and horizons, target {self.primary}"
        return f"{where}; pure noise gets up to {100 * p.noise.high:.2f} %"

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT, "run": self.run, "run_hash": self.run_hash, "run_id": current_run().run_id,
            "made_at": self.made_at, "simulated": self.simulated, "complete": self.complete,
            "absent": list(self.absent), "primary": self.primary,
            "verdict": self.verdict, "quarantined": self.quarantined, "too_good": list(self.too_good),
            "signed": self.signed, "standard": self.facts,
            "targets": {k: t.as_dict() for k, t in self.targets.items()}, "spread": self.spread.as_dict(),
            "reach": {**self.reach.as_dict(), "words": self.reach.words},
            "cells_with_own_thirds": self.own_thirds, "note": NOISE_NOTE,
        }  # fmt: skip


def evaluate(
    root: Path,
    run: Run,
    *,
    calendar: Calendar | None = None,
    pairs: Sequence[str] | None = None,
    horizons: Sequence[int] | None = None,
    against: Sequence[Run] = (),
    seed: int = 0,
    draws: int = DRAWS,
    note: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Judge a run of the project at `root`, or some of its pairs and horizons, against benchmarks and other runs.

    Raises QuarantinedError for a run (or another to compare with) that is quarantined and not signed, TrainingError for
    one that is not done, EvaluationError when rows are too few. An evaluation of the whole run is written into it, and
    a run that turns out too good is quarantined: no backtest, no promotion before somebody has signed.
    """
    for one in (run, *against):
        check_quarantine(one)
    wanted = _wanted(run, pairs, horizons)
    calendar = calendar or Calendar.load()
    numbers = times([run.forecasts(p, h)["position"].to_numpy() for p, h in wanted])
    takers: dict[str, TargetSums] = {}
    spread = SpreadSums(numbers, seed, draws)
    first, last, own = 1 << 62, 0, 0
    for k, (pair, horizon) in enumerate(wanted):
        rows = _rows(run, pair, horizon, against, calendar)
        for target in TARGETS:
            if target in rows.forecasts:
                if target not in takers:
                    names = tuple(n for n in (*BASELINES[target], *(o.name for o in against)))
                    have = tuple(n for n in names if n in rows.forecasts[target])
                    takers[target] = TargetSums(target, numbers, have, seed, draws)
                takers[target].add(rows)
        spread.add(rows)
        first, last, own = min(first, int(rows.minute[0])), max(last, int(rows.minute[-1])), own + (not rows.clean)
        note(f"{k + 1} of {len(wanted)}: {pair}, h = {horizon}, {len(rows):,} rows")
    if not takers:
        raise EvaluationError("the run has no point forecasts", where=str(run.folder))
    found = {target: taker.found() for target, taker in takers.items()}
    too_good = tuple(text for t in found.values() for text in t.too_good)
    if run.signed is not None:
        found = {target: t.signed() for target, t in found.items()}
    primary = TARGETS[0] if TARGETS[0] in found else TARGETS[1]
    span, walk = (_text(first), _text(last)), found[primary].pooled.walk
    tables = run.tables()
    complete = wanted == tables
    absent = tuple(f"{p}, h = {h}" for p in run.pairs for h in run.horizons if (p, h) not in tables)
    out = Evaluation(
        run=run.name,
        run_hash=run.hash,
        simulated=run.simulated,
        complete=complete,
        absent=absent,
        primary=primary,
        facts=standard(root, run, found[primary], span),
        targets=found,
        spread=spread.found(),
        own_thirds=own,
        too_good=too_good,
        signed=run.signed,
        reach=reach(walk.low, walk.high, calendar.ordinal(last) - calendar.ordinal(first) + 1),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    out = replace(out, facts={**out.facts, "horizons": sorted({h for _, h in wanted}), "verdict": out.word})
    if complete:
        write_text(run.folder / NAME, json.dumps(out.as_dict(), indent=1, allow_nan=False) + "\n")
        if out.quarantined:
            reasons = [*run.head["result"].get("too_good", []), *out.too_good]
            run.with_state("quarantined", {**run.head["result"], "too_good": reasons})
    return out


def _wanted(run: Run, pairs: Sequence[str] | None, horizons: Sequence[int] | None) -> list[tuple[str, int]]:
    """Cells to judge; UsageError for what the run does not have."""
    for what, asked, have in (("pair", pairs, run.pairs), ("horizon", horizons, run.horizons)):
        if unknown := [a for a in asked or () if a not in have]:
            fix = f"it has {', '.join(map(str, have))}"
            raise UsageError(f"run {run.name} has no {what} {unknown[0]}", fix=fix)
    cells = [(p, h) for p, h in run.tables() if (not pairs or p in pairs) and (not horizons or h in horizons)]
    if not cells:
        raise EvaluationError("the run has no forecast tables", where=str(run.folder))
    return cells


def _rows(run: Run, pair: str, horizon: int, against: Sequence[Run], calendar: Calendar) -> Rows:
    if clash := {"model", "random walk", *BASELINES["y3"], run.name} & {o.name for o in against}:
        raise UsageError(f"a run named {clash.pop()!r} cannot be compared with", fix="compare with runs of other names")
    others = {o.name: o.forecasts(pair, horizon) for o in against}
    return rows_of(run.forecasts(pair, horizon), pair, horizon, calendar, others)


def _text(minute: int) -> str:
    from bqx.market.calendar import datetime_of

    return f"{datetime_of(minute):%Y-%m-%d %H:%M} UTC"
