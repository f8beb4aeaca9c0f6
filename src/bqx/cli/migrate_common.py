"""What the commands of `bqx migrate` share: the connection, plans by file or by id, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bqx.base.errors import ConfigError, UsageError
from bqx.cli.common import App

if TYPE_CHECKING:
    from bqx.base.secret import Secret
    from bqx.store.lake import Lake
    from bqx.store.migrate.plan import Plan
    from bqx.store.migrate.status import Status
    from bqx.store.migrate.verify import Verified

LINE_SECONDS = 5.0
NOTHING = 3
"""Exit code of a command that found nothing to do."""
F = TypeVar("F", bound=Callable[..., Any])


def server_options(command: F) -> F:
    """How to reach the server."""
    for option in (
        click.option("--dsn-secret", default=None, metavar="NAME", help="The secret that holds the DSN."),
        click.option(
            "--dsn",
            default=None,
            envvar="BQX_MIGRATE_DSN",
            help="DSN without a password (PGPASSFILE has it); else $BQX_MIGRATE_DSN, else the project's store.server.",
        ),
    ):
        command = option(command)
    return command


def plan_options(command: F) -> F:
    """For commands that take a plan file or a migration's id."""
    for option in (
        click.option(
            "--ledger-schema", default="bqx_migrate", help="Where the ledger is, for a migration named by id."
        ),
        click.option("--lake", is_flag=True, help="The id is of a migration of the project's lake."),
    ):
        command = option(command)
    return server_options(command)


def dsn_of(app: App, dsn: str | None, secret: str | None) -> Secret | str:
    """The DSN as given, or from the secrets provider; UsageError for a password on the command line."""
    from click.core import ParameterSource

    from bqx.store.pg.connect import psycopg_module

    if dsn is not None and secret is not None:
        raise UsageError("--dsn and --dsn-secret exclude each other")
    if dsn is not None:
        parts: dict[str, Any] = {}
        driver = psycopg_module()
        try:
            parts = driver.conninfo.conninfo_to_dict(dsn)
        except driver.Error:
            raise UsageError("the DSN is not one that libpq understands", where="--dsn") from None
        typed = click.get_current_context().get_parameter_source("dsn") == ParameterSource.COMMANDLINE
        if parts.get("password") and typed:
            raise UsageError(
                "a password on the command line is seen by every user of this machine",
                where="--dsn",
                fix="use --dsn-secret NAME, or a password file (PGPASSFILE)",
            )
        return _secret(dsn)
    from bqx.base.config import load_config
    from bqx.base.secrets import provider_from

    config = load_config(app.project_path)
    name = secret or config.store.server
    if not name:
        raise ConfigError(
            "which server? no DSN was given",
            where="--dsn, --dsn-secret, $BQX_MIGRATE_DSN or store.server",
            fix="for example --dsn 'host=127.0.0.1 dbname=fx', or --dsn-secret store/dsn",
        )
    return provider_from(config).get(name)


def _secret(dsn: str) -> Secret:
    from bqx.base.secret import Secret

    return Secret(dsn)


def find_plan(app: App, given: str, dsn: str | None, secret: str | None, lake: bool, ledger_schema: str) -> Plan:
    """A plan file, or a migration's plan from the ledger by its id."""
    from bqx.store.migrate.plan import Plan

    path = Path(given)
    if path.is_file():
        return Plan.parse(path.read_text(encoding="utf-8"), str(path))
    if "/" in given or given.endswith(".json"):
        raise UsageError(f"there is no plan file {given}", fix="`bqx migrate plan SPEC -o FILE` makes one")
    if lake:
        from bqx.store.migrate.lake_ledger import plan_of

        return plan_of(app.open().manifest, given)
    from bqx.store.migrate.status import known

    return known(dsn_of(app, dsn, secret), ledger_schema, given)


def open_lake(app: App) -> Lake:
    """The project's lake; Unsupported when its features are elsewhere."""
    from bqx.base.errors import Unsupported
    from bqx.store.lake import Lake

    store = app.open().store
    if not isinstance(store, Lake):
        raise Unsupported(
            "this project keeps its features in PostgreSQL",
            where="target: lake",
            fix="`target: postgres` renames tables that bqx did not make; its own are renamed by the store",
        )
    return store


def gate(app: App, reviewed: Plan) -> None:
    """PreflightError while the project's plan has something against the stage: a dependency, an open blocker.

    Without a project, or with one whose tables are not made yet, there is no plan to ask.
    """
    from bqx.base.config import CONFIG_NAME
    from bqx.base.errors import PreflightError, TablesError
    from bqx.ops.plan.read import load_plan
    from bqx.ops.stages.board import make_board, obstacles
    from bqx.ops.stages.state import PlanState

    stage = reviewed.spec.stage
    if not stage or not (app.project_path / CONFIG_NAME).is_file():
        return
    try:
        project = app.open()
    except TablesError:
        return
    with PlanState.existing(project.root) as state:
        board = make_board(project, load_plan(), state)
        against = obstacles(board, stage) if stage in board.plan.stages else []
    project.close()
    if against:
        raise PreflightError(
            "; ".join(against), where=f"stage {stage}", fix="`bqx stage list` shows what can run; nothing was renamed"
        )


class Progress:
    """Lines on stderr, at most one in `LINE_SECONDS`, rewritten in place on a terminal; silent for machines."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._shown, self._tty = quiet, 0.0, sys.stderr.isatty()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._quiet or (not self._tty and now - self._shown < LINE_SECONDS and done < total):
            return
        self._shown = now
        text = f"{what}: {done:,} of {total:,}"
        print(f"\r{text:70}" if self._tty else text, end="" if self._tty and done < total else "\n", file=sys.stderr)


def show_checks(found: Verified) -> None:
    """One line a check."""
    for check in found.checks:
        verdict = "not run" if check.passed is None else "holds" if check.passed else "FAILS"
        click.echo(f"{check.id} {check.title:12} {verdict:8} {check.observed} (expected {check.expected})")
        if check.passed is False:
            for detail in check.details:
                click.echo(f"     {detail}")
    rows = ", ".join(f"{group} {count:,}" for group, count in found.rows.items())
    if rows:
        click.echo(f"rows ({found.counted}): {rows}; {sum(found.rows.values()):,} in all")
    click.echo(f"{found.state}, {'verified' if found.passed else 'VERIFICATION FAILED'} in {found.seconds:.2f} s")


def show_status(found: Status) -> None:
    click.echo(
        f"{found.migration}: {found.state}; {found.done:,} tables have new names ({found.in_ledger:,} by the ledger), "
        f"{found.pending:,} old ones, {found.conflicts} conflicts, {found.missing} gone since"
    )
    if found.operator:
        click.echo(f"at work: {found.operator}")
    for event in found.events[-8:]:
        click.echo(f"  {event['at']}  {event['kind']:18} by {event['actor']}, run {event['run_id']}")
