"""`python -m bqx.ops.container`: what images run, and what images are made of. See docs/containers.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from bqx.base.errors import BqxError
from bqx.ops.container.commands import audit, context, lint, stack
from bqx.ops.container.layout import Layout

root_option = click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), help="In place of /opt/ml; else BQX_ML_ROOT."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Entry points of the images (processing, train, serve, health), and what builds and checks them (context, lint,
    audit, stack)."""


@main.command()
@root_option
@click.option("--dataset", "name", default="container", show_default=True, help="Name of the dataset that is pinned.")
@click.option("--pairs", metavar="A,B", help="Of a project that is made anew; all 28 unless told.")
@click.option("--lags", type=click.Choice(["seed", "extended"]), default="seed", show_default=True)
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Bars between exported rows.")
@click.option("--threads", type=click.IntRange(0), default=0, help="0: one a core.")
@click.option("--as-built", is_flag=True, help="Do not build: the input project has its features already.")
@click.option("--no-leakage", is_flag=True, help="Leave L1 to L14 out; the dataset then counts as not tested.")
@click.option("--format", "kind", default="auto", show_default=True, help="Of the files of bars: docs/importing.md.")
@click.option("--utc-offset", help="The files' clock minus UTC, such as --utc-offset=-05:00.")
@click.option("--timezone", help="The files' time zone.")
def processing(
    root: Path | None,
    name: str,
    pairs: str | None,
    lags: str,
    every: int,
    threads: int,
    as_built: bool,
    no_leakage: bool,
    kind: str,
    utc_offset: str | None,
    timezone: str | None,
) -> None:
    """Bars and, if there is one, a project in; project, dataset, candidates as Parquet out, their counts asserted."""
    from bqx.ops.container.job import run_job
    from bqx.ops.container.processing import Asked, process

    layout = _begin("processing", root)

    def work() -> None:
        from bqx.market.pairs import parse_pair

        chosen = tuple(parse_pair(p).name for p in (pairs or "").replace(",", " ").split())
        asked = Asked(name, chosen, lags, every, threads, as_built, not no_leakage, kind, utc_offset, timezone)
        data = process(layout, asked, _say)
        _say(f"{data['rows']:,} rows of {data['candidates']:,} candidates in {len(data['files'])} files")

    sys.exit(run_job(work, layout.message))


@main.command()
@root_option
def train(root: Path | None) -> None:
    """One pair by input/config/hyperparameters.json: its signed model goes to model/, its forecasts to output/data/."""
    from bqx.ops.container.job import run_job

    layout = _begin("train", root)

    def work() -> None:
        from bqx.ops.container.train import train_job

        card = train_job(layout, _say)
        _say(f"{card['pair']}: model {card['digest'][:12]} of run {card['run']}")

    sys.exit(run_job(work, layout.failure))


@main.command()
@root_option
@click.option("--host", default="0.0.0.0", show_default=True)  # noqa: S104 - inside a container
@click.option("--port", type=click.IntRange(0, 65535), envvar="SAGEMAKER_BIND_TO_PORT", default=8080, show_default=True)
@click.option("--multi", is_flag=True, envvar="SAGEMAKER_MULTI_MODEL", help="Models are loaded by POST /models.")
@click.option("--trusted", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="File of public keys; else BQX_TRUSTED_KEYS.")  # fmt: skip
def serve(root: Path | None, host: str, port: int, multi: bool, trusted: Path | None) -> None:
    """Answer /ping and /invocations from all models of model/, until SIGTERM."""
    from bqx.ops.container.job import run_job

    layout = _begin("serve", root)

    def work() -> None:
        from bqx.ops.container.resident import trusted_keys
        from bqx.ops.container.serve import container_server

        with container_server(layout, trusted_keys(trusted), host=host, port=port, multi=multi) as server:
            _say(server.url)
            server.serve()

    sys.exit(run_job(work, layout.failure))


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), envvar="SAGEMAKER_BIND_TO_PORT", default=8080, show_default=True)
def health(port: int) -> None:
    """Ask this container's /ping; exit status 1 unless it answers 200."""
    from bqx.ops.container.serve import healthy

    sys.exit(0 if healthy(port) else 1)


for command in (audit, context, lint, stack):
    main.add_command(command)


def _begin(command: str, root: Path | None) -> Layout:
    from bqx.base.runlog import start_run

    start_run(f"container.{command}", log_json=True)
    return Layout.at(root)


def _say(text: str) -> None:
    from bqx.base.redaction import redact

    click.echo(redact(text))


def run(argv: list[str] | None = None) -> Any:
    """As a program: errors go to stderr redacted, with their exit status."""
    from bqx.base.redaction import redact

    try:
        main.main(args=argv, prog_name="python -m bqx.ops.container", standalone_mode=False)
    except BqxError as error:
        click.echo(redact(f"error {error}"), err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


if __name__ == "__main__":
    run()
