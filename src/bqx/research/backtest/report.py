"""The page of a backtest: what it made, what it cost, how far luck reaches, and what was assumed."""

from __future__ import annotations

import math
from typing import Any

from bqx.base.provenance import Number, computed
from bqx.base.report import Badge, Cell, Figure, Heading, KeyValues, Note, Report, Table, Text
from bqx.research.backtest.judge import SHOWN
from bqx.research.backtest.picture import curve
from bqx.research.backtest.spread_table import TERCILES


def backtest_report(found: dict[str, Any]) -> Report:
    """A report of `backtest.json`; refuses to publish when costs and profits do not add up."""
    report = Report(
        f"Backtest of {found['run']}",
        subtitle=f"{found['estimator']}, dataset {found['dataset']} ({found['dataset_hash'][:8]}), "
        f"{len(found['pairs'])} pairs, horizons {', '.join(map(str, found['horizons']))} bars",
        banner="SIMULATED DATA" if found["simulated"] else None,
    )
    _sums(report, found)
    tone: Any = "good" if found["verdict"] == SHOWN else "warn"
    report.add(KeyValues(_headline(found)), Note(f"{found['verdict']}.", tone), Text(_assumed(found)))
    if found["spread"]["estimated"]:
        report.add(Note(_ESTIMATED.format(share=100 * found["spread"]["estimated_share"]), "warn"))
    stamp = "SIMULATED" if found["simulated"] else ""
    drawing = curve(found["daily"]["day"], found["daily"]["pnl_bps"], stamp)
    caption = "Net profit, marked to market at the end of each trade day, not reinvested; and its drawdown"
    report.add(Heading("Equity and drawdown"), Figure(drawing, caption, caption, paper=False))
    report.add(_record(found), _months(found))
    report.add(Heading("What it made and what it cost"), _costs(found), _expectancy(found))
    report.add(_groups(found, "by_pair", "pair"), _groups(found, "by_horizon", "horizon"))
    report.add(_groups(found, "by_fold", "fold"))
    report.add(Heading("Against luck and selection"), _benchmarks(found), _selection(found), _gates(found))
    report.add(Heading("Orders that were not carried out"), _refused(found))
    report.add(Heading("Spreads"), *_spreads(found))
    report.add(Heading("Settings"), _settings(found))
    return report


_ESTIMATED = (
    "Spreads are ESTIMATED for {share:.0f} % of the bars, which have no quotes: the larger of an assumed spread by "
    "pair and session and of the EDGE estimator over the 22 trade days before. Read the results at twice the cost."
)


def _sums(report: Report, found: dict[str, Any]) -> None:
    costs = found["costs"]
    parts = [costs["gross"], *(-costs[k] for k in ("spread", "slippage", "commission", "financing"))]
    size = max(abs(p) for p in parts)
    report.require_sum("gross less costs", parts, costs["net"], tolerance=1e-9 * size + 1e-9)
    pnl = found["daily"]["pnl_bps"]
    report.require_sum("profit of days", pnl, found["summary"]["profit_bps"], tolerance=1e-9 * size + 1e-9)
    if not found["open_at_end"]:
        report.require_sum("closed trades are the profit", pnl, costs["net"], tolerance=1e-6 * size + 1e-6)


def _headline(found: dict[str, Any]) -> list[tuple[str, Cell]]:
    s, e = found["sharpe"], found["expectancy"][0]
    return [
        ("net Sharpe ratio a year", _part(found, "sharpe", "ratio", "mean / deviation of daily profit, x sqrt 252", 2)),
        ("95 % interval", "n/a" if s is None else f"{s['low']:.2f} to {s['high']:.2f}"),
        ("deflated Sharpe ratio", _part(found, "deflated", "dsr", "Bailey and Lopez de Prado 2014", 3)),
        ("trials in the ledger", _part(found, "deflated", "trials", "rows of research.sqlite", 0)),
        ("PBO", _part(found, "pbo", "pbo", "CSCV over the settings and as many of luck", 3)),
        ("net expectancy", _num(e["mean"], "bps", "profit a unit of notional", 3, "no trades")),
        ("90 % interval of it", "n/a" if e["low90"] is None else f"{e['low90']:.3f} to {e['high90']:.3f} bps"),
        ("turnover", _num(found["summary"]["turnover"], "x equity a year", "notional of both sides", 0, None)),
    ]


def _assumed(found: dict[str, Any]) -> str:
    w, s = found["window"], found["settings"]
    spread = {"fixed": f"a fixed {s['cost_bps']} bps a round trip", "quotes": "quoted spreads of the bar of the fill",
              "estimated": "estimated spreads", "mixed": "quoted spreads, estimated where there are none"}[
        found["spread"]["source"]]  # fmt: skip
    c = s["costs"]
    return (
        f"{w['days']} trade days, {w['first'][:10]} to {w['last'][:10]}, {len(w['folds'])} test folds, "
        f"{found['decisions']:,} forecasts. Cost: {spread}; {c['slippage_bps']} bps slippage and {c['commission_bps']} "
        f"bps commission a side; fills {c['latency']:g} s after the next bar's open; financing "
        f"{c['financing']['markup']:g} % a year at 17:00 New York. Benchmark: not trading; a random walk never trades."
    )


def _record(found: dict[str, Any]) -> Table:
    s = found["summary"]
    figures = (
        ("profit a year", "profit_a_year_bps", "bps", "sum of daily profit, 252 days", 0),
        ("volatility a year", "volatility_a_year_bps", "bps", "deviation of daily profit x sqrt 252", 0),
        ("largest drawdown", "drawdown_bps", "bps", "of the cumulated daily profit", 1),
        ("trades a day", "trades_a_day", "", "closed trades / trade days", 1),
        ("win rate", "win_rate", "", "share of trades with a net profit", 3),
        ("right sides", "hit_rate", "", "share of trades whose mid moved in their favour", 3),
        ("right sides to break even, moves alike", "break_even_hit_rate", "", "1/2 + cost / (2 E|move|)", 3),
        ("profit factor", "profit_factor", "", "sum of gains / sum of losses", 2),
        ("Sortino ratio", "sortino", "", "mean / root mean square of losses, x sqrt 252", 2),
        ("Calmar ratio", "calmar", "", "profit a year / largest drawdown", 2),
    )
    rows: list[list[Cell]] = [[text, _num(s[key], unit, how, n, "no trades")] for text, key, unit, how, n in figures]
    span = s["drawdown_90_bps"]
    chance = "n/a" if span is None else f"{span[0]:,.1f} to {span[1]:,.1f} bps"
    rows.insert(3, ["drawdown that a record like this has, 90 %", chance])
    return Table(("figure", "value"), rows, "The record; bps of the equity")


def _months(found: dict[str, Any]) -> Table:
    rows = [
        [m["month"], computed(m["profit_bps"], "bps", "sum of daily profit", digits=1)]
        for m in found["summary"]["months"]
    ]
    share = found["concentration"]
    caption = "Profit by month" + ("" if share is None else f"; the best made {100 * share:.0f} % of all (GATE6: 40 %)")
    return Table(("month", "profit"), rows, caption)


def _costs(found: dict[str, Any]) -> Table:
    rows = [[k, computed(v, "bps of equity", "sum over closed trades", digits=1)] for k, v in found["costs"].items()]
    return Table(("part", "sum"), rows, "Gross less spread, slippage, commission and financing is net")


def _expectancy(found: dict[str, Any]) -> Table:
    rows = [[f"{e['stress']:g}", *_span(e)] for e in found["expectancy"]]
    caption = "Net of costs, the trades as they were; 90 % interval"
    return Table(("costs times", "expectancy", "low", "high"), rows, caption)


def _groups(found: dict[str, Any], key: str, name: str) -> Table:
    rows = [
        [str(g[name]), g["trades"], computed(g["profit_bps"], "bps", "sum", digits=1),
         computed(g["expectancy_bps"], "bps", "a unit of notional", digits=3),
         computed(g["cost_bps"], "bps", "without financing", digits=3),
         computed(100 * g["win_rate"], "%", "share of trades with a profit", digits=1)] for g in found[key]
    ]  # fmt: skip
    head = (name, "trades", "profit", "expectancy", "cost", "won")
    return Table(head, rows, f"By {name}; groups share currencies and are not independent")


def _benchmarks(found: dict[str, Any]) -> Table:
    b = found["benchmarks"]
    own, luck, walk = b["strategy_without_caps"], b["random"], b["random_walk_signal"]
    rows: list[list[Cell]] = [["this strategy, without caps", own["trades"], *_span(own)]]
    if luck is not None:
        low, middle, high = luck["expectancy_bps"]
        what = f"random entries of equal turnover, {luck['seeds']} seeds (p = {luck['p']:.3f} that luck does as well)"
        rows.append(
            [what, own["trades"], *(computed(x, "bps", "quantile over seeds", digits=3) for x in (middle, low, high))]
        )
    rows.append(["the random walk's signal: side of -M_h(t)", walk["trades"], *_span(walk)])
    rows.append(["a random walk's forecast of the return (0): not trading", 0, 0.0, 0.0, 0.0])
    return Table(("rule", "trades", "expectancy", "low", "high"), rows, "Net expectancy, no caps; 90 % intervals")


def _span(e: dict[str, Any]) -> list[Cell]:
    return [_num(e[k], "bps", "bootstrap of trade days", 3, "no trades") for k in ("mean", "low90", "high90")]


def _selection(found: dict[str, Any]) -> Table:
    questions = (
        ("probability that the true ratio is above 0", "deflated", "psr", "probabilistic Sharpe ratio", 3),
        ("best ratio a year of that many trials without skill", "deflated", "benchmark", "expected maximum", 2),
        ("days needed to tell it from that at 95 %", "deflated", "shortest_record_days", "shortest record", 0),
        ("probability of backtest overfitting, among luck", "pbo", "pbo", "CSCV", 3),
        ("of the settings alone, as published", "pbo", "of_settings", "CSCV", 3),
        ("p that no setting of the family beats not trading", "superior", "consistent", "Hansen 2005", 3),
    )
    rows: list[list[Cell]] = [[text, _part(found, part, key, how, n)] for text, part, key, how, n in questions]
    return Table(("question", "answer"), rows, "Selection: every trial on this dataset counts")


def _gates(found: dict[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for name, gate in found["gates"].items():
        facts = ", ".join(f"{k} {'n/a' if v is None else f'{v:.3f}'}" for k, v in gate.items() if k != "passed")
        rows.append(
            [name, Badge("passed" if gate["passed"] else "not passed", "good" if gate["passed"] else "warn"), facts]
        )
    return Table(("gate", "state", "evidence"), rows, "Gates of promotion that a backtest can answer")


def _refused(found: dict[str, Any]) -> Table:
    rows: list[list[Cell]] = [[k, n] for k, n in sorted(found["refused"].items())]
    return Table(("reason", "orders"), rows, f"Positions without an exit at the end: {found['open_at_end']}")


def _spreads(found: dict[str, Any]) -> list[Table]:
    table: dict[tuple[str, str], dict[str, float]] = {}
    for r in found["spread"]["table"]:
        table.setdefault((r["pair"], r["session"]), {})[r["volatility"]] = r["spread_bps"]
    rows: list[list[Cell]] = [
        [*key, *(_num(found_by.get(v), "bps", "median at decisions", 2, "no decisions") for v in TERCILES)]
        for key, found_by in table.items()
    ]
    head = ("pair", "session", *TERCILES)
    out = [Table(head, rows, "Round trip at the time of the decision, by terciles of volatility")]
    if found["spread"]["estimators"]:
        names = ("assumed", "edge", "roll", "corwin_schultz", "abdi_ranaldo")
        body: list[list[Cell]] = [
            [e["pair"], *(_num(e[k], "bps", "whole span", 2, "not estimable") for k in names)]
            for e in found["spread"]["estimators"]
        ]
        out.append(Table(("pair", *names), body, "Spreads that prices show, for bars without quotes"))
    return out


def _settings(found: dict[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for key, value in found["settings"].items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        rows += [[f"{key}.{k}" if k else key, str(v)] for k, v in inner]
    rows += [[k, str(found[k])] for k in ("run_hash", "lag_profile", "catalogue_version", "code_version", "run_id")]
    return Table(("setting", "value"), rows)


def _num(value: float | None, unit: str, how: str, digits: int, reason: str | None) -> Number:
    known = value is not None and math.isfinite(value)
    return computed(value if known else None, unit, how, digits=digits, reason=None if known else reason or "not known")


def _part(found: dict[str, Any], part: str, key: str, how: str, digits: int) -> Number:
    """A figure of a part that may be missing as a whole."""
    inside = found[part]
    if inside is None:
        return _num(None, "", how, digits, found["missing"].get(part))
    return _num(inside[key], "", how, digits, "it does not exceed it")
