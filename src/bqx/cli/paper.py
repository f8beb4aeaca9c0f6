"""`bqx paper`: the served signals on the simulated broker."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from bqx.cli.common import App, dry_run_option, emit, json_option


@click.group()
def paper() -> None:
    """Trade served forecasts with no money, and reconcile with the backtest."""


@paper.command()
@click.option("--models", "run_name", metavar="RUN", default="registry", show_default=True,
              help="Whose files of `bqx predict` are traded.")  # fmt: skip
@click.option("--book", default=None, metavar="NAME", help="PROJECT/paper/NAME; RUN by default.")
@click.option("--research", is_flag=True, help="Also trade models without all gates, which are served as HOLD.")
@click.option("--cost-bps", type=click.FloatRange(0), default=None, help="A fixed all-in round trip; else quotes.")
@click.option("--margin-bps", type=click.FloatRange(0), default=0.0, show_default=True, help="Beyond the round trip.")
@click.option("--slippage-bps", type=click.FloatRange(0), default=0.1, show_default=True, help="A side.")
@click.option("--commission-bps", type=click.FloatRange(0), default=0.3, show_default=True, help="A side.")
@dry_run_option
@json_option
@click.pass_obj
def run(
    app: App, run_name: str, book: str | None, research: bool, cost_bps: float | None, margin_bps: float,
    slippage_bps: float, commission_bps: float, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Take in new forecasts and bars, trade them, say what differs from the backtest. Run it after `bqx update`.

    What was decided stays as it was decided, and bars as they were seen; later corrections show as differences.
    """
    from bqx.base.errors import PaperError
    from bqx.research.backtest.costs import Costs
    from bqx.research.backtest.settings import Settings
    from bqx.serve.api.model_sources import tested_rule
    from bqx.serve.monitor.paper import offered
    from bqx.serve.monitor.paper import run as trade
    from bqx.serve.monitor.paper_book import PaperBook

    costs = Costs(slippage_bps=slippage_bps, commission_bps=commission_bps)
    settings = Settings(cost_bps=cost_bps, margin_bps=margin_bps, costs=costs)
    kept = {"run": run_name, "research": research, **settings.as_dict()}
    with closing(app.open()) as project:
        folder = project.root / "predictions" / run_name
        if not folder.is_dir():
            raise PaperError(f"run {run_name} has made no forecasts", where=str(folder),
                             fix=f"`bqx predict --models {run_name}`")  # fmt: skip
        held = PaperBook.open(project.root, book or run_name, kept)
        rows = offered(folder, project.pairs, research=research)
        done = trade(project, held, rows, settings.setup(), cost=cost_bps)
        served = tested_rule(project.root / "models" / run_name) == settings.setup().rule
        data = {"book": held.folder.name, "dry_run": dry_run, "rule_as_served": served, **done}
        if not dry_run:
            held.head["result"] = {k: v for k, v in data.items() if k != "dry_run"}
            held.write()
    emit(data, as_json, lambda: _show(data))


def _show(data: dict[str, Any]) -> None:
    mark = " SIMULATED" if data["simulated"] else ""
    d, r, e = data["decisions"], data["reconciled"], data["edge"]
    click.echo(f"paper book {data['book']} through {data['through']}{mark}: {d['new']:,} new forecasts of {d['all']:,}")
    if d["held_back"]:
        click.echo(f"{d['held_back']:,} of models without all gates are held back (HOLD); --research trades them")
    if not data["rule_as_served"]:
        click.echo("the hurdle of a signal is another than the served one: these trades are not those of the API")
    click.echo(f"{data['trades']:,} trades, {data['open']} open, {data['profit_bps']:+.2f} bps of the equity")
    if r["equal"] and not d["changed_since"]:
        click.echo("the backtest on today's bars has the same trades and fills")
    else:
        click.echo(
            f"against the backtest on today's bars: {r['both']:,} trades in both, {r['only_paper']} only here, "
            f"{r['only_backtest']} only there; {d['changed_since']:,} forecasts differ from those decided on"
        )
    click.echo(f"net edge a trade: {e['verdict']}")
