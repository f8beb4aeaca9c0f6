"""The page's answer: skill by horizon, with what noise scores."""

from __future__ import annotations

from collections.abc import Sequence

from bqx.base.provenance import computed
from bqx.base.report import Badge, Cell, Figure, Heading, Report, Table, Text, Tone
from bqx.ops.demo_facts import Facts, sentence
from bqx.ops.plots import ACCENT, FAINT, INK, SOFT, add_stamp, drawing, quiet_axes, to_svg
from bqx.research.skill import NO_SKILL, Skill


def answer_section(report: Report, facts: Facts, stamp: str) -> None:
    """Skill by horizon as a table and a drawing, and how it was measured; or why there is none."""
    report.add(Heading("The answer"))
    found = facts.answer
    if found is None:
        report.add(Text(f"No skill was measured: {facts.no_answer}. The features below are there all the same."))
        return
    rows = [*found.horizons, found.pooled]
    report.add(
        Text(
            f"A ridge regression on {found.columns} columns forecasts how far each pair moves over the next h minutes, "
            "in units of its volatility. Skill is 1 - MSE / MSE of the random walk, which forecasts no move: 0 is as "
            "good as knowing nothing, below 0 is worse. An interval that covers 0 demonstrates nothing; nor does a "
            "skill that the same model reaches on pure noise."
        ),
        Table(
            ["horizon, min", "verdict", "skill, %", "95 % from", "to", "noise to", "hits, %", "rows", "worth"],
            [_skill_row(row) for row in rows],
            caption="Skill by horizon, on data the model had not seen",
        ),
        Figure(
            skill_chart(rows, stamp),
            "Skill with its 95 % interval; grey is what the same fits score on targets with signs flipped at random.",
            "; ".join(f"{_name(r)}: {100 * r.skill:.2f} % ({100 * r.low:.2f} to {100 * r.high:.2f})" for r in rows),
            paper=False,
        ),
        Text(
            f"{sentence(found.splits)} {found.folds} folds; {found.trials} model choices were tried, all inside "
            "training data. Intervals come from a stationary bootstrap of time blocks common to all pairs. Noise to is "
            "the 95 % quantile of what noise scores; worth is the number of independent labels that the overlapping "
            "rows amount to."
        ),
        Text(" ".join(sentence(note) for note in found.notes)),
    )


def _name(row: Skill) -> str:
    return "all" if row.horizon is None else str(row.horizon)


def _skill_row(row: Skill) -> list[Cell]:
    tone: Tone = "bad" if row.quarantined else ("plain" if row.verdict == NO_SKILL else "good")
    how = "research.firstlight, " + _name(row)
    shares = [row.skill, row.low, row.high, row.noise_95]
    hits = computed(100 * row.hit_rate, "", how, digits=2, reason="no forecast had a sign")
    return [
        _name(row),
        Badge(row.verdict.partition(":")[0], tone),
        *(computed(100 * share, "", how, digits=3) for share in shares),
        hits,
        computed(row.n_rows, "", how),
        computed(row.n_effective, "", how, digits=0),
    ]


def skill_chart(rows: Sequence[Skill], stamp: str = "") -> str:
    """Skill with its interval by horizon, the reach of noise shaded; per cent."""
    height = 0.36 * len(rows) + 1.0
    with drawing(9.4, height) as figure:
        ax = figure.add_axes((0.13, 0.52 / height, 0.85, 0.36 * len(rows) / height))
        for k, row in enumerate(rows):
            pooled = row.horizon is None
            low, high, skill = (100 * v for v in (row.low, row.high, row.skill))
            left, right = sorted((100 * row.noise_mean, 100 * row.noise_95))
            ax.barh(k, right - left, left=left, height=0.62, color=FAINT, alpha=0.32, linewidth=0)
            ax.plot([low, high], [k, k], color=ACCENT, linewidth=2.4 if pooled else 1.5)
            ax.plot([skill], [k], marker="D" if pooled else "o", markersize=6.5 if pooled else 5, color=ACCENT)
        ax.axvline(0, color=SOFT, linewidth=0.9)
        names = ["all horizons" if row.horizon is None else f"{row.horizon} min" for row in rows]
        ax.set_yticks(range(len(rows)), names)
        for label, row in zip(ax.get_yticklabels(), rows, strict=True):
            label.set(color=INK, weight="bold" if row.horizon is None else "normal")
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlabel("skill against the random-walk forecast, % of its squared error", fontsize=8.0)
        quiet_axes(ax, grid="x")
        ax.spines["bottom"].set_visible(False)
        for x, text, colour in (
            (0.13, "● skill and 95 % interval", ACCENT),
            (0.33, "■ mean to 95 % of what noise scores", FAINT),
        ):
            figure.text(x, 1 - 0.2 / height, text, color=colour, fontsize=8.0, va="center")
        add_stamp(figure, stamp)
        return to_svg(figure, narrowest=560)
