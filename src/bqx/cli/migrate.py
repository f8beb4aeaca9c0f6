"""`bqx migrate`: plan, dry-run, apply, verify, status, rollback, report; and a world to try it on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bqx.cli.common import App, emit, json_option
from bqx.cli.migrate_common import (
    NOTHING,
    Progress,
    dsn_of,
    find_plan,
    gate,
    open_lake,
    plan_options,
    server_options,
    show_checks,
    show_status,
)
from bqx.cli.migrate_fixture import fixture
from bqx.cli.migrate_report import report

if TYPE_CHECKING:
    from bqx.store.migrate.apply import Result
    from bqx.store.migrate.plan import Plan

SHOWN = 10
rows_option = click.option(
    "--rows",
    type=click.Choice(["exact", "fast", "skip"]),
    default="exact",
    help="Count every row; or compare storage and count a sample; or neither.",
)
mode_option = click.option(
    "--mode",
    type=click.Choice(["auto", "atomic", "batched"]),
    default=None,
    help="One transaction, or whole units up to half the lock table; else the specification's.",
)
wait_option = click.option("--wait", type=click.FloatRange(0), default=0.0, help="Seconds to wait for vacuums and CIC.")
scan_option = click.option(
    "--scan-source", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Look for old names here too."
)


@click.group()
def migrate() -> None:
    """Rename tables of a PostgreSQL schema, or datasets of the lake, by a reviewed plan. See docs/migrate.md.

    Exit codes: 0 done, 2 specification, 3 nothing to do, 4 conflict, 5 a lock was not had, 6 verification failed,
    7 not fit to start, 9 connection lost, 12 no server.
    """


migrate.add_command(fixture)
migrate.add_command(report)


@migrate.command()
@click.argument("spec")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan here.")
@scan_option
@server_options
@json_option
@click.pass_obj
def plan(
    app: App,
    spec: str,
    out: Path | None,
    scan_source: Path | None,
    dsn: str | None,
    dsn_secret: str | None,
    as_json: bool,
) -> None:
    """What SPEC (a YAML file, or the shipped `1.6.9`) would rename, and what stands against it. Changes nothing.

    Exit code 3 when there is nothing to rename, 4 or 7 when something must be settled first (the plan is written).
    """
    from bqx.store.migrate.spec import read_spec

    found = read_spec(spec)
    if found.target == "lake":
        from bqx.store.migrate.lake import plan as make

        made = make(open_lake(app).manifest, found)
    else:
        from bqx.store.migrate.connect import connect, told
        from bqx.store.migrate.live import plan_live

        with told("plan"), connect(dsn_of(app, dsn, dsn_secret)) as con:
            made = plan_live(con, found, scan_source)
    if out is not None:
        made.write(out)
    emit(_plan_data(made, out), as_json, lambda: _show_plan(made, out))
    from bqx.store.migrate.live import demand

    demand(list(made.findings))
    if not made.pending:
        sys.exit(NOTHING)


def _plan_data(made: Plan, out: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "migration": made.migration,
        "plan_hash": made.digest,
        "file": None if out is None else str(out),
        "pending": made.kinds(),
        "tables": {group: sum(s.group == group for s in made.tables) for group in made.groups},
        "done": made.count("done"),
        "conflicts": made.count("conflict"),
        "locks": dict(made.locks),
        "findings": [asdict(f) for f in made.findings],
        "other_tables_with_the_old_word": len(made.others),
    }


def _show_plan(made: Plan, out: Path | None) -> None:
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in made.kinds().items()) or "nothing"
    click.echo(f"{made.migration}: to rename {kinds}; {made.count('done'):,} done, {made.count('conflict')} conflicts")
    for group in made.groups:
        mine = [s for s in made.tables if s.group == group]
        first = next((s for s in mine if s.state == "pending"), None)
        example = f", such as {first.old} -> {first.new}" if first else ""
        click.echo(f"  {group:16} {len(mine):6,} tables{example}")
    for finding in made.findings[:SHOWN]:
        click.echo(f"  {finding.level:4} {finding.case:8} {finding.what}")
    if len(made.findings) > SHOWN:
        click.echo(f"  and {len(made.findings) - SHOWN} more findings, see --json")
    if out is not None:
        click.echo(f"plan {made.digest[:16]} written to {out}")


@migrate.command(name="dry-run")
@click.argument("plan_file")
@click.option(
    "--report", "report_to", type=click.Path(path_type=Path, file_okay=False), help="Write the report of it here."
)
@mode_option
@rows_option
@wait_option
@scan_option
@plan_options
@json_option
@click.pass_obj
def dry_run(app: App, /, plan_file: str, as_json: bool, **options: Any) -> None:
    """Do everything PLAN_FILE says, with all assertions, and roll it back."""
    _carry_out(app, plan_file, as_json, dry=True, **options)


@migrate.command()
@click.argument("plan_file")
@mode_option
@rows_option
@wait_option
@scan_option
@plan_options
@json_option
@click.pass_obj
def apply(app: App, /, plan_file: str, as_json: bool, **options: Any) -> None:
    """Carry PLAN_FILE out, then verify. Stopped or killed, run it again and it goes on."""
    _carry_out(app, plan_file, as_json, dry=False, **options)


@migrate.command()
@click.argument("plan_file")
@click.option("--dry-run", "dry", is_flag=True, help="Do it and undo it; change nothing.")
@mode_option
@rows_option
@plan_options
@json_option
@click.pass_obj
def rollback(app: App, /, plan_file: str, dry: bool, as_json: bool, **options: Any) -> None:
    """Give everything its old name again, by the ledger of PLAN_FILE (a plan file or a migration's id)."""
    _carry_out(app, plan_file, as_json, dry=dry, back=True, **options)


def _carry_out(
    app: App,
    given: str,
    as_json: bool,
    *,
    dry: bool,
    dsn: str | None,
    dsn_secret: str | None,
    lake: bool,
    ledger_schema: str,
    mode: str | None,
    rows: str,
    back: bool = False,
    wait: float = 0.0,
    scan_source: Path | None = None,
    report_to: Path | None = None,
) -> None:
    reviewed = find_plan(app, given, dsn, dsn_secret, lake, ledger_schema)
    if not (dry or back):
        gate(app, reviewed)
    if reviewed.spec.target == "lake":
        from bqx.build.lease import Lease
        from bqx.store.migrate.lake import apply as rename_datasets

        store = open_lake(app)
        with Lease(store.manifest, app.run_id):
            result = rename_datasets(store, reviewed, dry_run=dry, back=back)
    else:
        from bqx.store.migrate.apply import Options
        from bqx.store.migrate.apply import apply as forth
        from bqx.store.migrate.rollback import rollback as take_back

        options = Options(
            mode=mode or "",
            rows=rows,  # type: ignore[arg-type]  # one of the choices
            dry_run=dry,
            wait=wait,
            scan=scan_source,
            told=Progress(quiet=app.log_json),
        )
        result = (take_back if back else forth)(dsn_of(app, dsn, dsn_secret), reviewed, options)
    if report_to is not None and result.batches:
        from bqx.store.migrate.facts import of_dry_run
        from bqx.store.migrate.report import make_report

        told = of_dry_run(reviewed, result.batches, f"schema {reviewed.spec.schema_name}")
        make_report(told).write(report_to, f"migration-{reviewed.migration}-dry-run")
    emit({**result.as_dict(), "dry_run": dry}, as_json, lambda: _show_result(result, dry))
    if result.nothing:
        sys.exit(NOTHING)
    if result.verified is not None:
        from bqx.store.migrate.checks import demand

        demand(result.verified.checks)


def _show_result(result: Result, dry: bool) -> None:
    if result.nothing:
        evidence = ", ".join(f"{what.replace('_', ' ')} {n:,}" for what, n in result.evidence.items())
        word = "nothing to take back" if result.direction == "rollback" else "already applied"
        click.echo(f"{result.migration}: {word} ({evidence}); nothing was changed")
        return
    tables, objects = sum(b.tables for b in result.batches), sum(b.objects for b in result.batches)
    verb = "would be renamed (rolled back)" if dry else "renamed"
    click.echo(
        f"{result.migration}: {tables:,} tables, {objects:,} objects {verb}, {result.mode}, "
        f"{len(result.batches)} transactions, {result.retries} retries"
    )
    phases = ", ".join(
        f"{phase} {result.total(phase):.3f} s"
        for phase in ("waiting", "counting", "ddl", "assertions", "ledger", "commit")
    )
    click.echo(f"  {phases}; {result.seconds:.2f} s in all")
    if result.verified is not None:
        show_checks(result.verified)


@migrate.command()
@click.argument("plan_file")
@rows_option
@plan_options
@json_option
@click.pass_obj
def verify(
    app: App,
    plan_file: str,
    rows: str,
    dsn: str | None,
    dsn_secret: str | None,
    lake: bool,
    ledger_schema: str,
    as_json: bool,
) -> None:
    """V1-V9 in a new session, against the ledger; exit code 6 when one does not hold. PLAN_FILE may be an id."""
    from bqx.store.migrate.checks import demand

    reviewed = find_plan(app, plan_file, dsn, dsn_secret, lake, ledger_schema)
    if reviewed.spec.target == "lake":
        from bqx.store.migrate.lake import plan as make
        from bqx.store.migrate.lake_verify import verify as look

        store = open_lake(app)
        found = look(store, reviewed, make(store.manifest, reviewed.spec))
    else:
        from bqx.store.migrate.verify import verify as ask

        told = Progress(quiet=app.log_json)
        found = ask(dsn_of(app, dsn, dsn_secret), reviewed, rows=rows, progress=told)  # type: ignore[arg-type]
    emit(found.as_dict(), as_json, lambda: show_checks(found))
    demand(found.checks)


@migrate.command()
@click.argument("plan_file", required=False)
@plan_options
@json_option
@click.pass_obj
def status(
    app: App,
    plan_file: str | None,
    dsn: str | None,
    dsn_secret: str | None,
    lake: bool,
    ledger_schema: str,
    as_json: bool,
) -> None:
    """Where PLAN_FILE (or a migration's id) stands, by catalogue and ledger; all migrations without one."""
    from bqx.store.migrate import lake as in_lake
    from bqx.store.migrate import lake_ledger
    from bqx.store.migrate import status as on_server

    if plan_file is not None:
        given = [plan_file]
    elif lake:
        given = lake_ledger.migrations(app.open().manifest)
    else:
        given = on_server.migrations(dsn_of(app, dsn, dsn_secret), ledger_schema)
    found = []
    for one in given:
        reviewed = find_plan(app, one, dsn, dsn_secret, lake, ledger_schema)
        if reviewed.spec.target == "lake":
            found.append(in_lake.status(open_lake(app).manifest, reviewed))
        else:
            found.append(on_server.status(dsn_of(app, dsn, dsn_secret), reviewed))

    def show() -> None:
        for each in found:
            show_status(each)
        if not found:
            click.echo("the ledger knows no migration")

    emit([s.as_dict() for s in found], as_json, show)
