"""The part of the page about the width of forecasts: coverage, PIT, scores."""

from __future__ import annotations

from bqx.base.provenance import computed
from bqx.base.report import Badge, Cell, Figure, Heading, Note, Report, Table
from bqx.research.evaluation.coverage import Coverage
from bqx.research.evaluation.pictures import Span, intervals, pit
from bqx.research.evaluation.spread import Gain, SpreadFound


def spread_section(report: Report, s: SpreadFound) -> None:
    report.add(Heading("Intervals and quantiles (y4)"))
    if not s.coverage:
        report.add(Note("No intervals were trained.", "warn"))
    for name, parts in s.coverage.items():
        _coverage(report, name, parts)
    if "pooled" in s.pit:
        p = s.pit["pooled"]
        report.add(
            Figure(
                pit(p.nominal, p.shares),
                f"Outcomes between the forecast quantiles; flat is right. p of that {p.p:.2g} ({p.n:,} rows).",
                ", ".join(f"{share:.3f} of {n:.2f}" for share, n in zip(p.shares, p.nominal, strict=True)),
                paper=False,
            ),
            Table(
                ("part", "p", "rows"),
                [[part, f"{v.p:.2g}", v.n] for part, v in s.pit.items()],
                "PIT: outcomes fall between the quantiles as often as these say; robust to overlap",
            ),
            Table(("quantile", "mean pinball loss"), [[k, v] for k, v in s.pinball.items()], "Pinball loss"),
        )
    scores = [("CRPS of the quantiles", s.crps), ("Brier score of the probability of a rise", s.brier)]
    rows = [_gain(words, gain) for words, gain in scores if gain is not None]
    if rows:
        head = ("score", "verdict", "forecast", "random walk", "saved, %", "from", "to", "rows")
        report.add(Table(head, rows, "Against N(0, 1) quantiles and a probability of 1/2"))


def _coverage(report: Report, name: str, parts: dict[str, Coverage]) -> None:
    nominal = parts["pooled"].nominal
    rows: list[list[Cell]] = [
        [part, Badge("within" if c.within else "outside", "good" if c.within else "bad"),
         *(computed(100 * v, "", "inside / outcomes", digits=1) for v in (c.share, c.low, c.high)), c.width, c.n]
        for part, c in parts.items()
    ]  # fmt: skip
    report.add(
        Figure(
            intervals(
                [Span(part, 100 * c.share, 100 * c.low, 100 * c.high) for part, c in parts.items()],
                at=100 * nominal,
                axis="outcomes inside, %, with 95 % interval",
                band=(100 * nominal - 5, 100 * nominal + 5),
            ),
            f"Coverage of {name} % intervals by session and volatility; shaded is what a stratum may have.",
            f"pooled {100 * parts['pooled'].share:.1f} %",
            paper=False,
        ),
        Table(("part", "accepted", "inside, %", "from", "to", "width", "outcomes"), rows, f"{name} % intervals"),
    )


def _gain(words: str, g: Gain) -> list[Cell]:
    verdict = str(g.as_dict()["verdict"])
    shares = [computed(100 * v, "", "1 - score / score of the random walk", digits=2) for v in (g.skill, g.low, g.high)]
    return [words, Badge(verdict, "good" if g.low > 0 else "plain"), g.score, g.walk, *shares, g.n]
