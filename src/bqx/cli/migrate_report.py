"""`bqx migrate report`: the execution report, from the ledger alone."""

from __future__ import annotations

from pathlib import Path

import click

from bqx.base.report import Block
from bqx.cli.common import App, emit, json_option
from bqx.cli.migrate_common import dsn_of, find_plan, plan_options


@click.command()
@click.argument("plan_file")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("reports"), help="Folder to write to."
)
@click.option(
    "--repository", type=click.Path(path_type=Path, exists=True), help="Add its commit and a secret scan of its tree."
)
@plan_options
@json_option
@click.pass_obj
def report(
    app: App,
    plan_file: str,
    out: Path,
    repository: Path | None,
    dsn: str | None,
    dsn_secret: str | None,
    lake: bool,
    ledger_schema: str,
    as_json: bool,
) -> None:
    """Write the report of PLAN_FILE (a plan file or a migration's id) as Markdown, HTML and JSON.

    Refused (exit code 5) when parts and totals disagree.
    """
    from bqx.store.migrate.report import make_report

    reviewed = find_plan(app, plan_file, dsn, dsn_secret, lake, ledger_schema)
    if reviewed.spec.target == "lake":
        from bqx.store.migrate.lake import gather as from_manifest

        facts = from_manifest(app.open().manifest, reviewed)
    else:
        from bqx.store.migrate.connect import connect, told
        from bqx.store.migrate.facts import gather
        from bqx.store.migrate.ledger import Ledger

        with told("report"), connect(dsn_of(app, dsn, dsn_secret)) as con:
            version = con.info.parameter_status("server_version")
            target = f"database {con.info.dbname}, schema {reviewed.spec.schema_name}, PostgreSQL {version}"
            facts = gather(Ledger(con, reviewed.spec.ledger_schema), reviewed, target)
    extra: list[Block] = [] if repository is None else repository_section(repository)
    paths = make_report(facts, extra).write(out, f"migration-{reviewed.migration}")
    data = {"migration": reviewed.migration, "state": facts.state, "files": [str(p) for p in paths]}
    emit(data, as_json, "\n".join(str(p) for p in paths))


def repository_section(path: Path) -> list[Block]:
    """Commit of the checkout, and what the secret scan says of its work tree."""
    import subprocess

    from bqx.base.provenance import computed
    from bqx.base.report import Badge, Cell, Heading, KeyValues
    from bqx.ops.secretscan import scan_repository

    done = subprocess.run(["git", "-C", str(path), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    scan = scan_repository(path, history=False)
    clean = not scan.findings
    items: list[tuple[str, Cell]] = [
        ("Commit", done.stdout.strip() or "not a checkout"),
        ("Secret scan of the work tree", Badge("clean" if clean else "FINDINGS", "good" if clean else "bad")),
        ("Findings", computed(len(scan.findings), "", "bqx secrets scan --no-history")),
    ]
    return [Heading("Security"), KeyValues(items)]
