"""The `bqx` command: one group a room, each imported only when it is called."""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
from importlib import import_module
from pathlib import Path

import click

from bqx.base.errors import BqxError, Unsupported
from bqx.base.version import __version__
from bqx.cli.common import App

COMMANDS = {
    "backtest": "Trade the forecasts of a training run with costs, and judge what is left.",
    "bars": "Import, fetch, simulate, check and list 1-minute bars.",
    "build": "Plan, run, verify and explain builds of the feature store.",
    "console": "The read-only web console of a project, on this machine.",
    "causality": "Which past helps to forecast which pair: Granger, transfer entropy, false discovery rates.",
    "cloud": "A deployment in AWS: plan, apply, verify, destroy; jobs, releases, traffic.",
    "config": "Show the configuration and where each value comes from.",
    "dataset": "Training datasets: make, list, show, check for leaks, open the sealed test.",
    "demo": "The main job from bars to an honest answer, as one HTML page.",
    "evaluate": "What a training run is worth: skill with its interval, tests, calibration, coverage.",
    "features": "The catalogue: list, show, check and explain columns.",
    "init": "Make a project folder.",
    "models": "The registry: gates, promotion, lineage, comparison of trained models.",
    "monitor": "Data health, drift, parity, loss, coverage, service levels: look, alert, report.",
    "paper": "The served signals on the simulated broker, reconciled with the backtest.",
    "migrate": "Rename tables and datasets by plan: apply, verify, report, roll back.",
    "predict": "Forecasts of a time, or of whole months as files.",
    "query": "SQL over bars and features.",
    "runs": "Training runs: list, show, compare; sign one that is too good to be true.",
    "live": "Features minute by minute: run, replay, state.",
    "secrets": "Check the secrets provider; scan tree and history for leaks.",
    "serve": "The prediction API: serve models over HTTP; make, list and revoke its keys.",
    "stage": "The plan: status by evidence, run, reports, graph, gaps.",
    "select": "Choose 250 of 2,640 candidates in every fold: run, list, show, compare.",
    "status": "What the project holds, and what is missing or stale.",
    "store": "Collect garbage, drop, compact, copy; tables in PostgreSQL.",
    "train": "Walk-forward forecasts of pairs and horizons, judged for leaks, and signed models.",
    "update": "Import new bars, build and forecast; for cron.",
    "tracker": "Check the tracker against plan and evidence; deliver, diff, trail.",
    "tune": "Choose an estimator's parameters inside one training window, for `bqx train --params`.",
}


class LazyGroup(click.Group):
    """Lists commands without importing them, so that `bqx --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"bqx.cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"bqx.cli.{cmd_name}.{cmd_name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bqx")
@click.option(
    "-C", "--project", "project_path", type=click.Path(path_type=Path), default=Path(), help="Project folder."
)
@click.option("--log-json", is_flag=True, help="Log one JSON object a line to stderr.")
@click.option("--run-id", default=None, help="Use this run id in logs and reports instead of a new one.")
@click.pass_context
def root(ctx: click.Context, project_path: Path, log_json: bool, run_id: str | None) -> None:
    """Point-in-time FX features from 1-minute bars, and models whose skill is measured.

    Exit codes: 0 done, 2 usage, 3 configuration, 4 bad input, 5 a check failed, 6 store, 7 locked,
    8 disk, 9 some units failed, 10 secrets, 11 unsupported, 12 server, 70 internal, 130 interrupted.
    """
    from bqx.base.runlog import start_run

    run = start_run(ctx.invoked_subcommand or "bqx", run_id=run_id, log_json=log_json)
    ctx.obj = App(project_path, log_json, run.run_id)


def _refuse_windows() -> None:
    if platform.system() == "Windows":
        raise Unsupported(
            "bqx does not run on Windows: it relies on atomic replacement of open files and on fsync of folders",
            fix="use WSL 2, where it is ordinary Linux",
        )


def main(argv: list[str] | None = None) -> None:
    """Entry point: runs a command, prints errors redacted, exits with the catalogued code."""
    args = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in args or "--log-json" in args
    try:
        _refuse_windows()
        root.main(args=args, prog_name="bqx", standalone_mode=False)
    except BqxError as error:
        _report(error, as_json)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was committed stays, run the same command to go on", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the last resort: redact, name a ticket, exit 70
        _report_internal(error, as_json)
        sys.exit(70)


def _report(error: BqxError, as_json: bool) -> None:
    from bqx.base.redaction import redact

    if as_json:
        click.echo(redact(json.dumps({"error": error.as_dict()})), err=True)
        return
    click.secho(redact(f"error {error.code}: {error.what}"), fg="red", err=True)
    if error.where:
        click.echo(redact(f"  where: {error.where}"), err=True)
    if error.fix:
        click.echo(redact(f"  to do: {error.fix}"), err=True)


def _report_internal(error: Exception, as_json: bool) -> None:
    import traceback

    from bqx.base.redaction import redact

    ticket = secrets.token_hex(4)
    trace = "".join(traceback.format_exception(error))
    if as_json:
        data = {
            "error": {
                "code": "BQX000",
                "exit_code": 70,
                "ticket": ticket,
                "what": repr(error),
                "trace": trace,
            }
        }
        click.echo(redact(json.dumps(data)), err=True)
    else:
        click.echo(redact(trace), err=True)
        click.secho(f"internal error {ticket}: please report it with the lines above", fg="red", err=True)
