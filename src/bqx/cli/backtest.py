"""`bqx backtest RUN`: the forecasts of a training run, traded on its bars with costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option

_POSITIVE = click.FloatRange(0, min_open=True)
_NOT_NEGATIVE = click.FloatRange(0)


@click.command()
@click.argument("run_name", metavar="RUN")
@click.option("--horizons", metavar="15,60", help="Only these; all of the run by default.")
@click.option("--cost-bps", type=_NOT_NEGATIVE, default=None, help="A fixed all-in round trip; else quoted spreads.")
@click.option("--margin-bps", type=_NOT_NEGATIVE, default=0.0, show_default=True, help="Beyond the round trip.")
@click.option("--shrink", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
              help="Forecasts are multiplied by it.")  # fmt: skip
@click.option("--slippage-bps", type=_NOT_NEGATIVE, default=0.1, show_default=True, help="A side.")
@click.option("--slippage-sigma", type=_NOT_NEGATIVE, default=0.0, show_default=True,
              help="A side, in units of the 1-minute volatility.")  # fmt: skip
@click.option("--commission-bps", type=_NOT_NEGATIVE, default=0.3, show_default=True, help="A side.")
@click.option("--latency", type=click.FloatRange(0, 3600), default=5.0, show_default=True, help="Seconds to the fill.")
@click.option("--financing", "markup", type=_NOT_NEGATIVE, default=1.0, show_default=True,
              help="Per cent a year, for positions carried over 17:00 New York.")  # fmt: skip
@click.option("--risk-bps", type=_POSITIVE, default=1.0, show_default=True, help="One deviation of a trade, of equity.")
@click.option("--most", type=_POSITIVE, default=1.0, show_default=True, help="Of the equity in one trade.")
@click.option("--currency-cap", type=_NOT_NEGATIVE, default=2.0, show_default=True,
              help="Long, and short, exposure to a currency, times the equity; 0 for no cap.")  # fmt: skip
@click.option("--kelly", type=click.FloatRange(0, 0.25, min_open=True), default=None,
              help="Cap sizes by this share of Kelly at the lower bound of earlier folds.")  # fmt: skip
@click.option("--stop", type=_POSITIVE, default=None, help="Stop at so many sigma sqrt(h).")
@click.option("--take", type=_POSITIVE, default=None, help="Take the profit at so many sigma sqrt(h).")
@click.option("--news", type=click.Path(path_type=Path, dir_okay=False, exists=True), default=None,
              help="CSV with start,end of blackouts.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(20), default=200, show_default=True, help="Random benchmarks.")
@click.option("--seed", type=click.IntRange(0), default=0)
@dry_run_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the report.")
@json_option
@click.pass_obj
def backtest(
    app: App,
    run_name: str,
    horizons: str | None,
    cost_bps: float | None,
    margin_bps: float,
    shrink: float,
    slippage_bps: float,
    slippage_sigma: float,
    commission_bps: float,
    latency: float,
    markup: float,
    risk_bps: float,
    most: float,
    currency_cap: float,
    kelly: float | None,
    stop: float | None,
    take: float | None,
    news: Path | None,
    seeds: int,
    seed: int,
    dry_run: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Trade the forecasts of RUN on its bars: next-bar fills, spreads, slippage, financing; then judge the profit.

    The result is RUN's backtest.json. Every setting tried is a trial in the ledger and lowers the deflated ratio.
    """
    from bqx.research.backtest.costs import Costs
    from bqx.research.backtest.financing import Financing
    from bqx.research.backtest.inputs import inputs, trade_days
    from bqx.research.backtest.report import backtest_report
    from bqx.research.backtest.run import backtest as run_backtest
    from bqx.research.backtest.settings import Settings
    from bqx.research.backtest.sizing import Sizing
    from bqx.research.backtest.trader import Barriers
    from bqx.research.backtest.zones import NoTrade, read_news
    from bqx.research.training.folder import open_run

    project = app.open()
    run = open_run(project, run_name)
    settings = Settings(
        cost_bps=cost_bps,
        margin_bps=margin_bps,
        shrink=shrink,
        horizons=_horizons(horizons),
        costs=Costs(slippage_bps, slippage_sigma, commission_bps, latency, Financing(markup)),
        zones=NoTrade(news=read_news(news) if news else ()),
        sizing=Sizing(risk_bps, most, currency_cap or None, kelly=kelly),
        barriers=Barriers(stop, take),
        seeds=seeds,
        seed=seed,
    )
    if dry_run:
        given = inputs(project, run, settings)
        days = trade_days(given.tables, project.calendar)
        data = {"run": run.name, "pairs": list(given.feed.pairs), "decisions": sum(len(t) for t in given.tables),
                "days": len(days), "settings": settings.as_dict()}  # fmt: skip
        emit(data, as_json, f"{run.name}: {data['decisions']:,} forecasts of {len(given.feed.pairs)} pairs, "
             f"{len(days)} trade days; nothing was written")  # fmt: skip
        return
    found = run_backtest(project, run, settings, note=lambda text: click.echo(text, err=True))
    paths = backtest_report(found).write(out or project.root / "reports", f"backtest-{run.name}")
    emit({**found, "report": [str(p) for p in paths]}, as_json, lambda: _show(found, str(paths[0])))


def _horizons(text: str | None) -> tuple[int, ...]:
    from bqx.base.errors import UsageError

    if not text:
        return ()
    parts = text.replace(",", " ").split()
    if not all(p.isdigit() for p in parts):
        raise UsageError(f"--horizons {text!r} is not a list of numbers", fix="for example --horizons 15,60")
    return tuple(int(p) for p in parts)


def _show(found: dict[str, Any], page: str) -> None:
    mark = "  SIMULATED DATA" if found["simulated"] else ""
    s, d, e, total = found["sharpe"], found["deflated"], found["expectancy"][0], found["summary"]
    click.echo(f"backtest of {found['run']}: {found['verdict']}{mark}")
    spread = found["spread"]["source"] + (" (ESTIMATED)" if found["spread"]["estimated"] else "")
    click.echo(f"{total['trades']:,} trades on {total['days']} days, turnover {total['turnover']:,.0f} x equity a "
               f"year; spreads: {spread}")  # fmt: skip
    if s is None or d is None:
        click.echo(f"no Sharpe ratio: {found['missing']['sharpe']}")
    else:
        click.echo(f"net Sharpe ratio {s['ratio']:.2f} a year (95 % {s['low']:.2f} to {s['high']:.2f}), deflated for "
                   f"{d['trials']:,} trials {d['dsr']:.3f}")  # fmt: skip
    if e["mean"] is not None and e["low90"] is not None:
        click.echo(f"net expectancy {e['mean']:.3f} bps a trade (90 % {e['low90']:.3f} to {e['high90']:.3f}), "
                   f"{found['expectancy'][1]['mean']:.3f} at 1.5 times the costs")  # fmt: skip
    luck = found["benchmarks"]["random"]
    if luck is not None:
        low, middle, high = luck["expectancy_bps"]
        click.echo(f"random entries of equal turnover: {middle:.3f} ({low:.3f} to {high:.3f}), p {luck['p']:.3f}")
    for name, gate in found["gates"].items():
        click.echo(f"{name}: {'passed' if gate['passed'] else 'not passed'}")
    click.echo(f"report: {page}")
