"""The demo page: what the run found, as one HTML page, and the same numbers as Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bqx
from bqx.base.provenance import computed
from bqx.base.report import Badge, Cell, Figure, Heading, KeyValues, Note, Report, Table, Text, Tone
from bqx.market.calendar import datetime_of
from bqx.ops.demo_build import build_section
from bqx.ops.demo_charts import coverage_chart, skill_chart
from bqx.ops.demo_facts import Facts
from bqx.ops.demo_validation import validation_section
from bqx.ops.demo_versions import catalogue_hash, commit, config_hash, libraries, peak_bytes, store_hash
from bqx.ops.demo_week import week_section
from bqx.research.skill import NO_SKILL, Skill

MEGA = 1e6


def write_page(facts: Facts, folder: Path) -> list[Path]:
    """demo.html, demo.md and demo.json in `folder`; nothing is written when figures disagree (CheckError)."""
    report = make_report(facts)
    paths = report.write(folder, "demo")
    return sorted(paths, key=lambda path: path.suffix != ".html")


def make_report(facts: Facts) -> Report:
    """The document, checked: parts must add up to the totals shown."""
    report = Report(_title(facts), _subtitle(facts), banner(facts))
    report.require_sum("bars", [r.bars for r in facts.reports], _stored_bars(facts))
    _summary(report, facts)
    _answer(report, facts)
    _coverage(report, facts)
    week_section(report, facts, stamp(facts))
    validation_section(report, facts)
    build_section(report, facts)
    _provenance(report, facts)
    return report


def banner(facts: Facts) -> str | None:
    """The words on top of whatever is simulated."""
    if not facts.simulated:
        return None
    planted = facts.simulation is not None and facts.simulation["flavour"] == "planted"
    return "SIMULATED DATA with a planted effect" if planted else "SIMULATED DATA"


def stamp(facts: Facts) -> str:
    return "simulated data" if facts.simulated else ""


def _title(facts: Facts) -> str:
    return "From bars to an honest answer"


def _subtitle(facts: Facts) -> str:
    if facts.simulation is None:
        return f"{_pairs(facts)}: features from your 1-minute bars, and what a first model can say with them."
    world = {
        "random-walk": "a simulated market in which nothing can be forecast: an honest pipeline must find no skill",
        "planted": "a simulated market with a small planted momentum: an honest pipeline must find it",
    }[facts.simulation["flavour"]]
    return f"{_pairs(facts)} of {world}."


def _pairs(facts: Facts) -> str:
    return f"{len(facts.pairs)} pairs" if len(facts.pairs) > 1 else facts.pairs[0].upper()


def _stored_bars(facts: Facts) -> int:
    """Bars of the project, told by its manifest; an import may have brought only a part of them."""
    if facts.simulation is None:
        return sum(r.bars for r in facts.reports)
    return sum(int(month["rows"]) for month in facts.project.bars.months())


def _summary(report: Report, facts: Facts) -> None:
    first, last = (datetime_of(m) for m in facts.span)
    made, seconds = facts.build, sum(p.seconds for p in facts.phases)
    rate = made.values / made.seconds if made.values and made.seconds else None
    report.add(
        Note(facts.verdict[:1].upper() + facts.verdict[1:] + ".", _tone(facts)),
        KeyValues(
            [
                ("pairs", computed(len(facts.pairs), "", "pairs with a built partition")),
                ("built span, UTC", f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"),
                (
                    "bars read",
                    computed(sum(r.bars for r in facts.reports), "", "sum of the validation reports"),
                ),
                ("columns", computed(facts.columns, "", "distinct columns of the built partitions")),
                (
                    "values held",
                    computed(facts.values, "", "rows x columns, summed over the manifest's partitions"),
                ),
                (
                    "of them not NULL",
                    computed(100 * facts.non_null / facts.values, "%", "1 - null counts / values", digits=2),
                ),
                (
                    "time, all phases",
                    computed(seconds, "s", "wall clock of the phases before this page", digits=1),
                ),
                (
                    "values built a second",
                    computed(
                        rate, "", "values built / wall clock of the build", digits=0, reason="all was fresh"
                    ),
                ),
                ("size on disk", computed(facts.bytes / MEGA, "MB", "file sizes in the manifest", digits=1)),
                ("peak memory", computed(peak_bytes() / MEGA, "MB", "getrusage, this process", digits=0)),
            ]
        ),
    )


def _tone(facts: Facts) -> Tone:
    if facts.answer is None or facts.answer.pooled.verdict == NO_SKILL:
        return "warn"
    return "bad" if facts.answer.pooled.quarantined else "good"


def _answer(report: Report, facts: Facts) -> None:
    report.add(Heading("The answer"))
    found = facts.answer
    if found is None:
        report.add(
            Text(f"No skill was measured: {facts.no_answer}. The features below are there all the same.")
        )
        return
    rows = [*found.horizons, found.pooled]
    report.add(
        Text(
            f"A ridge regression on {found.columns} columns forecasts how far each pair moves over the next h minutes, in "
            "units of its volatility. Skill is 1 - MSE / MSE of the random walk, which forecasts no move: 0 is as good as "
            "knowing nothing, below 0 is worse. An interval that covers 0 demonstrates nothing; nor does a skill that the "
            "same model reaches on pure noise."
        ),
        Table(
            [
                "horizon",
                "skill, %",
                "95 % from",
                "to",
                "noise, mean",
                "noise, 95 %",
                "hit rate, %",
                "rows",
                "worth",
                "verdict",
            ],
            [_skill_row(row) for row in rows],
            caption="Skill by horizon, on data the model had not seen",
        ),
        Figure(
            skill_chart(rows, stamp(facts)),
            "Skill with its 95 % interval; grey is what the same fits score when the target's signs are flipped at random.",
            "; ".join(
                f"{_name(r)}: {100 * r.skill:.2f} % ({100 * r.low:.2f} to {100 * r.high:.2f})" for r in rows
            ),
            paper=False,
        ),
        Text(
            f"{found.splits[:1].upper()}{found.splits[1:]}. {found.folds} folds; {found.trials} model choices were tried, all "
            f'inside training data. Intervals: stationary bootstrap of time blocks common to all pairs. "Worth" is the '
            "number of independent labels that the overlapping rows amount to."
        ),
    )
    for note in found.notes:
        report.add(Text(f"{note[:1].upper()}{note[1:]}."))


def _name(row: Skill) -> str:
    return "all horizons" if row.horizon is None else f"h = {row.horizon} min"


def _skill_row(row: Skill) -> list[Cell]:
    tone: Tone = "bad" if row.quarantined else ("plain" if row.verdict == NO_SKILL else "good")
    how = "research.firstlight, " + _name(row)
    shares = [row.skill, row.low, row.high, row.noise_mean, row.noise_95]
    hits = computed(100 * row.hit_rate, "", how, digits=2, reason="no forecast had a sign")
    return [
        _name(row),
        *(computed(100 * share, "", how, digits=3) for share in shares),
        hits,
        computed(row.n_rows, "", how),
        computed(row.n_effective, "", how, digits=0),
        Badge(row.verdict, tone),
    ]


def _coverage(report: Report, facts: Facts) -> None:
    share = facts.coverage()
    report.add(
        Heading("Coverage"),
        Text(
            "A value is NULL, never a stand-in, where the warm-up is not over, bars are missing for more than 5 minutes, or "
            "a ratio is undefined. The verification compares every column's count with what calendar and bars predict."
        ),
        Figure(
            coverage_chart(facts.pairs, facts.datasets, share, stamp(facts)),
            "Share of values that are not NULL, per cent, by pair and dataset.",
            f"Heat map of {len(facts.pairs)} pairs by {len(facts.datasets)} datasets; least {_least(share)}",
            paper=False,
        ),
    )
    rows: list[Sequence[Cell]] = []
    for name in facts.datasets:
        parts = facts.of(name)
        values = sum(p.rows * len(p.columns) for p in parts)
        nulls = sum(sum(p.null_counts[c] for c in p.columns) for p in parts)
        how = f"manifest, partitions of {name}"
        column = share[:, facts.datasets.index(name)]
        worst = min((v, p) for v, p in zip(column, facts.pairs, strict=True) if v == v)
        rows.append(
            [
                name,
                computed(len({c for p in parts for c in p.columns}), "", how),
                computed(len(parts), "", how),
                computed(sum(p.rows for p in parts), "", how),
                computed(values, "", how),
                computed(values - nulls, "", how),
                computed(100 * (values - nulls) / values, "", how, digits=2),
                computed(100 * worst[0], "", how, digits=2),
                worst[1].upper(),
            ]
        )
    report.require_sum(
        "values", [sum(p.rows * len(p.columns) for p in facts.of(n)) for n in facts.datasets], facts.values
    )
    head = [
        "dataset",
        "columns",
        "partitions",
        "rows",
        "values",
        "not NULL",
        "share, %",
        "least, %",
        "of pair",
    ]
    report.add(Table(head, rows, caption="What the store holds"))


def _least(share: object) -> str:
    import numpy as np

    return f"{100 * float(np.nanmin(np.asarray(share))):.1f} %"


def _provenance(report: Report, facts: Facts) -> None:
    project, sim = facts.project, facts.simulation
    report.add(
        Heading("How these numbers came about"),
        Text(
            "Point at a number to see what it was computed from; the JSON beside this page has it for each. A page whose parts "
            "do not add up to its totals is not written."
        ),
        KeyValues(
            [
                ("run", report.run_id),
                ("bqx", f"{bqx.__version__}, commit {commit()}"),
                ("settings, hash", config_hash(project.config)),
                ("catalogue and code, hash", catalogue_hash()),
                ("store contents, hash", store_hash(facts.partitions)),
                ("calendar", project.calendar.version),
                (
                    "bars",
                    f"seed {sim['seed']}, {sim['flavour']}, version {sim['version']}"
                    if sim
                    else _files(facts),
                ),
                ("libraries", libraries()),
            ]
        ),
        Text(
            "Equal bars, settings and code give an equal store hash on every machine and for any number of threads. The hash of "
            "a dataset's code covers every source that its values can depend on."
        ),
    )


def _files(facts: Facts) -> str:
    names = sorted({Path(name).name for r in facts.reports for name in r.files})
    return names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} to {names[-1]}"
