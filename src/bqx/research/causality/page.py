"""A run as a page: what was asked, which links are left, and what the rest looked like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bqx.base.provenance import Number, computed
from bqx.base.report import Badge, Cell, Figure, Heading, KeyValues, Note, Report, Table, Text
from bqx.market.calendar import datetime_of
from bqx.research.causality.links import Link
from bqx.research.causality.picture import graph
from bqx.research.causality.run import Causality

NOT_PROOF = (
    "A link says that the past of one series helped to forecast another beyond the other's own past and the factors "
    "that are common to all. It is never a proof of causality: a third series, a stale quote or a shared driver that "
    "the factors miss gives the same picture."
)
_METHOD = {"granger": "Granger, HAC Wald", "te": "transfer entropy, nearest neighbours"}
_MOST = 40


def causality_report(found: Causality, title: str) -> Report:
    """Every question is counted once; kept + not kept adds up, demanded before anything is published."""
    s, kept = found.settings, found.kept
    report = Report(title, banner="SIMULATED DATA" if found.simulated else None)
    span = f"{datetime_of(s.start):%Y-%m-%d %H:%M} to {datetime_of(s.end):%Y-%m-%d %H:%M} UTC"
    report.add(
        KeyValues(
            [
                (
                    "questions in the family",
                    computed(len(found.links), "", "directed pairs and features x series x methods"),
                ),
                (
                    "links kept",
                    computed(len(kept), "", f"q (BY) <= {s.q:g}, confirmed in {100 * s.support:.0f} % of folds"),
                ),
                ("pairs", len(s.pairs)),
                ("span", span),
                ("run", s.digest),
            ]
        ),
        Note(verdict(found), "plain" if kept else "warn"),
        Text(NOT_PROOF),
        Heading("Links that were kept"),
        Figure(
            graph(s.pairs, kept),
            "From source to target; green: same direction, brown: opposite; dashed: transfer entropy; wider: stronger.",
            f"Graph of {len(kept)} links among {len(s.pairs)} pairs",
            paper=False,
        ),
    )
    if kept:
        report.add(_table(kept[:], "Kept links, q over the whole family"))
    _ways(report, found)
    nearest = sorted((link for link in found.links if not link.kept and not link.reason), key=lambda link: link.p)
    report.add(Heading("The nearest that were not kept"), _table(nearest[:_MOST], "By p; none of these is a finding"))
    _series(report, found)
    return report


def verdict(found: Causality) -> str:
    s, several = found.settings, len(found.links)
    expected = computed(0.05 * several, "", "0.05 x questions", digits=0).text()
    bare = sum(link.p < 0.05 for link in found.links)
    head = f"{len(found.kept)} links kept" if found.kept else "no demonstrated link"
    return (
        f"{head}: of {several} questions {bare} have p < 0.05, where {expected} are due to chance alone; "
        f"{sum(link.q_bh <= s.q for link in found.links)} pass Benjamini-Hochberg and "
        f"{sum(link.q_by <= s.q for link in found.links)} Benjamini-Yekutieli at {s.q:g}"
    )


def _table(links: Sequence[Link], caption: str) -> Table:
    names = ["method", "series", "source", "target", "lag", "sign", "statistic", "nats", "p", "p boot", "q BH", "q BY",
             "folds", "kept"]  # fmt: skip
    return Table(names, [_row(link) for link in links], caption)


def _row(link: Link) -> list[Cell]:
    support = "not asked" if link.support is None else f"{link.confirmed} of {link.folds}"
    return [
        link.method, link.series, link.source, link.target,
        _number(link.lag, "", "source lag with the largest |t|, or delay"),
        "+" if (link.sign or 0) > 0 else "-",
        _number(link.statistic, "", _METHOD[link.method]), _number(link.effect, "", "half log ratio, or effective TE"),
        _small(link.p), _small(link.p_boot), _small(link.q_bh), _small(link.q_by),
        support, Badge("kept", "good") if link.kept else Badge("no"),
    ]  # fmt: skip


def _small(p: float | None) -> str:
    """Two digits of a probability, however small; columns of a table would round 1e-12 to 0."""
    return "not made" if p is None else f"{p:.2g}"


def _number(value: float | int | None, unit: str, how: str, reason: str = "not asked") -> Number:
    return computed(value, unit, how, reason=None if value is not None else reason)


def _ways(report: Report, found: Causality) -> None:
    """Where each question ended."""
    s = found.settings
    rows: list[list[Cell]] = []
    for method in s.methods:
        for kind in s.kinds:
            mine = [link for link in found.links if (link.method, link.series) == (method, kind)]
            ends = Counter(_end(link, s.q) for link in mine)
            report.require_sum(f"questions of {method} on {kind}", list(ends.values()), len(mine))
            rows += [[method, kind, end, computed(count, "", "questions")] for end, count in sorted(ends.items())]
    report.add(Heading("Where the questions ended"), Table(["method", "series", "end", "questions"], rows))


def _end(link: Link, q: float) -> str:
    if link.reason:
        return "screened out" if link.reason.startswith("screened") else "not asked: " + link.reason.split(":")[0]
    if link.kept:
        return "kept"
    if link.q_by > q:
        return "not significant over the family"
    return "bootstrap disagrees" if link.p_boot is not None and link.p_boot > q else "not confirmed by later data"


def _series(report: Report, found: Causality) -> None:
    s = found.settings
    report.add(Heading("Series and folds"))
    for kind, told in found.kinds.items():
        report.add(Heading(kind, 3), Text(f"Steps of {told['every']} bars, none overlapping. {told['splits']}."))
        if told["left_out"]:
            report.add(
                Note(f"Left out, more than a tenth of the steps missing: {', '.join(told['left_out'])}.", "warn")
            )
        if told["te"]:
            te = told["te"]
            report.add(
                Text(
                    f"Transfer entropy: budget {s.budget:g} core seconds at a set speed, {te['questions']} questions "
                    f"passed the screen, up to {te['rows']} rows each."
                )
            )
        if told["stationarity"]:
            rows = [
                [
                    r["series"], _number(r["adf"], "", "Dickey-Fuller"), _number(r["adf_p"], "", "MacKinnon 1994"),
                    _number(r["kpss"], "", "KPSS"), _number(r["kpss_p"], "", "table, 0.01 to 0.10"), r["verdict"],
                    _number(100 * told["carried"].get(r["series"], 0.0), "%", "steps whose last bar was not quoted"),
                ]
                for r in told["stationarity"]
            ]  # fmt: skip
            names = ["series", "ADF", "p", "KPSS", "p ", "verdict", "carried, %"]
            report.add(Table(names, rows, "Last training window; where the tests disagree lags are augmented"))
    report.add(
        KeyValues(
            [
                ("core seconds", computed(found.seconds, "s", "thread time of all parts", digits=1)),
                ("elapsed", computed(found.elapsed, "s", "wall clock of the call that finished it", digits=1)),
            ]
        )
    )
