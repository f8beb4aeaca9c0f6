"""The page of an evaluation: the facts every page must show, then skill by part, calibration and width."""

from __future__ import annotations

import math

from bqx.base.provenance import Number, computed
from bqx.base.report import Badge, Cell, Figure, Heading, KeyValues, Note, Report, Table, Text, Tone
from bqx.research.evaluation.evaluate import NOISE_NOTE, Evaluation
from bqx.research.evaluation.judge import RANDOM_WALK, Found
from bqx.research.evaluation.mechanical import change_r2, hit_rate, level_r2
from bqx.research.evaluation.pictures import Span, intervals
from bqx.research.evaluation.report_cells import cell_table
from bqx.research.evaluation.report_spread import spread_section
from bqx.research.evaluation.standard import NAMES, shown
from bqx.research.evaluation.target import TargetFound
from bqx.research.skill import NO_SKILL
from bqx.research.targets import HORIZONS

HEAD = ("part", "verdict", "skill, %", "from", "to", "noise mean, %", "noise 95, %", "DM p", "CW p", "hits, %", "from ",
        "to ", "rows", "effective")  # fmt: skip


def evaluation_report(found: Evaluation) -> Report:
    """A report of an evaluation; nothing in it is computed here but percentages and table H.1."""
    report = Report(
        f"Evaluation of run {found.run}",
        subtitle=found.verdict,
        banner="SIMULATED DATA" if found.simulated else None,
    )
    demonstrated = found.pooled.pooled.demonstrated and not found.quarantined
    tone: Tone = "bad" if found.quarantined else "good" if demonstrated else "warn"
    report.add(Note(found.verdict, tone), KeyValues(shown(found.facts)))
    for text in found.too_good:
        report.add(Note(f"Above the limits of L14: {text}", "bad"))
    if not found.complete:
        report.add(Note("Only some pairs and horizons of the run: no gate reads this.", "warn"))
    if found.absent:
        report.add(Note(f"The run has no forecasts of {'; '.join(found.absent)}.", "warn"))
    report.add(Text(NOISE_NOTE), Heading("What this history can and cannot show"), Text(found.reach.words))
    for name, target in found.targets.items():
        main = " (the endpoint fixed beforehand)" if name == found.primary else ""
        report.add(Heading(f"Skill: {NAMES[name]}{main}"))
        _target(report, target)
    _calibration(report, found)
    spread_section(report, found.spread)
    _mechanical(report)
    _method(report, found)
    return report


def _target(report: Report, t: TargetFound) -> None:
    parts = [t.pooled, *t.parts["horizon"], *t.parts["pair"]]
    report.add(
        Figure(
            intervals(
                [
                    Span(f.part, *(100 * v for v in (f.walk.skill, f.walk.low, f.walk.high, f.noise.high)))
                    for f in parts
                ],
                at=0.0,
                axis="skill against the random walk, %, with 95 % interval; grey: 95 % quantile of noise",
            ),
            "Skill of all together, by horizon and by pair. An interval that covers 0 demonstrates nothing.",
            f"{t.pooled.part}: {100 * t.pooled.walk.skill:.2f} %",
            paper=False,
        ),
        Table(HEAD, [_row(f) for f in parts], "All together, by horizon, by pair"),
    )
    for kind, words in (("session", "By session"), ("tercile", "By volatility"), ("fold", "By fold")):
        if t.parts[kind]:
            report.add(Table(HEAD, [_row(f) for f in t.parts[kind]], words))
    _benchmarks(report, t)
    report.add(cell_table(t))
    if t.left_out:
        report.add(Note(f"Too few rows for a figure: {'; '.join(t.left_out)}.", "warn"))


def _row(f: Found) -> list[Cell]:
    tone: Tone = "bad" if f.quarantined else "plain" if f.verdict == NO_SKILL else "good"
    values = (f.walk.skill, f.walk.low, f.walk.high, f.noise.mean, f.noise.high)
    hits = [_per_cent(v, "right signs / rows with signs") for v in (f.hit_rate, f.hit_low, f.hit_high)]
    return [
        f.part, Badge(f.verdict, tone), *(_per_cent(v, f"judge, {f.target} {f.part}") for v in values),
        small(f.walk.p), small(f.clark_west), *hits, f.n_rows,
        computed(f.n_effective, "", "overlap and shared currencies paid for", digits=0),
    ]  # fmt: skip


def _per_cent(value: float, how: str) -> Number:
    return computed(100 * value, "", how, digits=2, reason="no forecast has a sign")


def small(p: float) -> str:
    """Two digits of a probability; a column of a table would round 1e-12 to 0."""
    return "n/a" if math.isnan(p) else f"{p:.2g}"


def _benchmarks(report: Report, t: TargetFound) -> None:
    rows: list[list[Cell]] = []
    chosen = {} if t.confidence is None else dict(zip(t.confidence.models, t.confidence.p, strict=True))
    for name, b in t.pooled.against.items():
        values = [_per_cent(v, f"1 - MSE / MSE of {name}") for v in (b.skill, b.low, b.high)]
        rows.append([name, *values, small(b.p), small(chosen.get(name, math.nan))])
    nothing = [computed(None, "", "judge", reason="itself") for _ in range(3)]
    rows.append(["the model itself", *nothing, "", small(chosen.get("model", math.nan))])
    report.add(
        Table(
            ("benchmark", "skill against it, %", "from", "to", "DM p", "confidence set p"),
            rows,
            "Against every benchmark, all pairs and horizons; the confidence set (95 %) holds those with p above 0.05",
        )
    )
    if len(t.pooled.against) == 1:
        report.add(Note(f"No benchmark but the {RANDOM_WALK} was in the forecast tables.", "warn"))
    if set(t.pooled.against) <= {RANDOM_WALK, "persistence", "climatology"}:
        report.add(Text("No ridge or other run was compared with: `bqx evaluate RUN --against OTHER`."))


def _calibration(report: Report, found: Evaluation) -> None:
    from bqx.research.evaluation.pictures import calibration

    report.add(Heading("Calibration"))
    rows: list[list[Cell]] = []
    for name, t in found.targets.items():
        for horizon, c in t.calibration.items():
            if c is None:
                report.add(Note(f"{name}, h = {horizon}: the forecast is constant, it has no slope.", "warn"))
                continue
            rows.append([name, horizon, c.a, c.a_error, c.b, c.b_error, small(c.p), c.n])
    if rows:
        head = ("target", "horizon", "a", "error", "b", "error ", "p of a = 0, b = 1", "rows")
        report.add(Table(head, rows, "Outcome = a + b x forecast, all pairs, errors robust to overlap"))
    t = found.pooled
    report.add(
        Figure(
            calibration(t.curve),
            f"{t.target}: mean outcome of each tenth of forecasts (within pair and horizon), two errors on either "
            "side; the line is perfect calibration.",
            f"{len(t.curve)} tenths",
            paper=False,
        )
    )


def _mechanical(report: Report) -> None:
    """Table H.1: why a level of BQX is never a target here."""
    rows: list[list[Cell]] = [
        [f"level, w = {w}", *(level_r2(w, h) for h in HORIZONS)] for w in (30, 45, 60, 75)
    ]  # fmt: skip
    rows += [[f"change, w = {w}", *(change_r2(w, h) for h in HORIZONS)] for w in (60, 75)]
    rows.append(["hits, level, w = 75", *(hit_rate(level_r2(75, h)) for h in HORIZONS)])
    rows.append(["hits, change, w = 60", *(hit_rate(change_r2(60, h)) for h in HORIZONS)])
    report.add(
        Heading("What BQX levels give away"),
        Text("R2 and hit rates that a random walk gets on targets that hold returns known at t. None of it is skill."),
        Table(("target", *(f"h = {h}" for h in HORIZONS)), rows, "Closed form"),
    )


def _method(report: Report, found: Evaluation) -> None:
    report.add(
        Heading("How it was measured"),
        Text(
            "Skill is 1 - MSE / MSE of the benchmark, pairs and horizons weighted by rows, each in units of its random "
            "walk. Intervals: stationary bootstrap of times that hold all pairs, blocks by Politis and White, at least "
            "2 horizons. Tests: Diebold-Mariano (DM; Harvey, Leybourne and Newbold factor), Clark-West (CW), "
            "Pesaran-Timmermann (PT) and Giacomini-White (GW), all with Newey-West windows of 4 horizons. q over pairs "
            "x horizons of a target. Effective rows: overlap at the longest horizon, and pairs sharing currencies."
        ),
        Text(
            f"Thirds of volatility come from earlier test rows of the pair; in the first fold of {found.own_thirds} of "
            "the tables they are its own, which touches how rows are told apart and no forecast."
        ),
    )
