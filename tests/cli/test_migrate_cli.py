"""`bqx migrate` as a user meets it: every verb, exit codes, JSON, and no password anywhere."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest

from bqx.base.report import Report
from bqx.build.lease import Lease
from bqx.build.project import Project
from bqx.cli.main import main
from bqx.cli.migrate_report import repository_section
from bqx.market.calendar import month_span
from bqx.store.partition import PartitionKey
from postgres_server import Server

SPEC = """
migration: cli
places: {family: [statistics, bollinger, fibonacci, correlation]}
rules:
  - {from: "{family}_features_{pair}[_{month}]", to: "{family}_rate_{pair}[_{month}]"}
expect: {total: 104, empty: [statistics, bollinger, fibonacci, correlation]}
"""


@pytest.fixture(scope="module")
def dsn(postgres: Callable[[int], Server]) -> Iterator[str]:
    server = postgres(15)
    with psycopg.connect(server.dsn(), autocommit=True) as con:
        con.execute("CREATE DATABASE migrate_cli")
    yield server.dsn("migrate_cli")
    with psycopg.connect(server.dsn(), autocommit=True) as con:
        con.execute("DROP DATABASE migrate_cli WITH (FORCE)")


class Cli:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        try:
            main(["migrate", *args])
            code = 0
        except SystemExit as done:
            code = int(done.code or 0)
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], dsn: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("BQX_MIGRATE_DSN", dsn)
    return Cli(capsys)


def test_the_whole_way(cli: Cli, tmp_path: Path) -> None:
    """fixture, plan, dry-run, apply, verify, status, report, rollback; each says what it did and how it ended."""
    spec, plan = tmp_path / "cli.yaml", str(tmp_path / "plan.json")
    spec.write_text(SPEC)
    assert "30,867,054 rows" in cli("fixture", "--share", "1", "--dry-run")[1]
    assert cli("fixture", "--json", "--pairs", "audcad,eurusd")[0] == 0
    code, _, err = cli("fixture")
    assert code == 2 and "already" in err
    code, out, _ = cli("plan", str(spec), "-o", plan)
    assert code == 0 and "96 partition" in out and "statistics_features_audcad -> statistics_rate_audcad" in out
    code, out, _ = cli("dry-run", plan, "--json", "--report", str(tmp_path))
    done = json.loads(out)
    assert (code, done["applied"], done["dry_run"], done["tables"]) == (0, False, True, 104)
    text = (tmp_path / "migration-cli-dry-run.md").read_text()
    assert "| Total | 104 | 8 | 96 | 0 | n/a" in text and "must not be reported as done" in text
    assert cli("verify", plan)[0] == 2, "nothing was applied yet"
    code, out, _ = cli("apply", plan)
    assert code == 0 and "104 tables" in out and "V9 idempotence  holds" in out
    code, out, _ = cli("apply", plan, "--json")
    assert code == 3 and json.loads(out)["nothing_to_do"] and json.loads(out)["evidence"]["in_ledger"] == 104
    assert cli("plan", str(spec))[0] == 3
    code, out, _ = cli("status", "--json")
    assert code == 0 and [(s["migration"], s["state"]) for s in json.loads(out)] == [("cli", "applied")]
    code, out, _ = cli("report", "cli", "-o", str(tmp_path), "--json")
    assert code == 0 and len(json.loads(out)["files"]) == 3
    code, out, _ = cli("verify", "cli", "--rows", "fast", "--json")
    assert code == 0 and json.loads(out)["passed"]
    code, out, _ = cli("rollback", "cli", "--dry-run")
    assert code == 0 and "rolled back" in out
    assert cli("rollback", "cli", "--rows", "skip")[0] == 0
    assert cli("rollback", "cli")[0] == 3
    assert "rolled back" in cli("status", "cli")[1]


def test_exit_codes(cli: Cli, tmp_path: Path, dsn: str) -> None:
    spec, plan = tmp_path / "s.yaml", tmp_path / "plan.json"
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("CREATE SCHEMA codes")
        con.execute("CREATE TABLE codes.a_features_eurusd (a int)")
        con.execute("INSERT INTO codes.a_features_eurusd VALUES (1)")
        con.execute("SELECT pg_stat_force_next_flush()")
    spec.write_text(
        "migration: codes\nschema: codes\nledger_schema: codes_ledger\nplaces: {family: [a]}\nretries: 0\n"
        "lock_timeout_ms: 50\nrules: [{from: '{family}_features_{pair}', to: '{family}_rate_{pair}'}]\n"
    )
    assert cli("plan", str(spec), "-o", str(plan))[0] == 0
    with psycopg.connect(dsn) as reader:
        reader.execute("SELECT * FROM codes.a_features_eurusd")
        code, _, err = cli("apply", str(plan))
        assert code == 5 and "BQX422" in err and "pid" in err
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("CREATE TABLE codes.a_rate_eurusd (a int)")
        code, _, err = cli("apply", str(plan), "--json")
        assert code == 4 and json.loads(err)["error"]["code"] == "BQX421"
        assert cli("plan", str(spec))[0] == 4
        con.execute("DROP TABLE codes.a_rate_eurusd")
        con.execute("CREATE TABLE codes.a_features_nowhere (a int)")
        code, out, err = cli("plan", str(spec))
        assert code == 7 and "A5.5" in out and "BQX424" in err
        con.execute("DROP TABLE codes.a_features_nowhere")
    assert cli("apply", str(plan))[0] == 0
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("INSERT INTO codes.a_rate_eurusd VALUES (2)")
    code, out, err = cli("verify", str(plan))
    assert code == 6 and "V5 rows         FAILS" in out and "BQX423" in err
    assert cli("report", str(plan), "-o", str(tmp_path))[0] == 0
    text = (tmp_path / "migration-codes.md").read_text()
    assert "applied, VERIFICATION FAILED" in text and "must not be reported as done" in text
    spec.write_text("migration: codes\nrules: 7\n")
    code, _, err = cli("plan", str(spec))
    assert code == 2 and "s.yaml:2" in err
    plan.write_text(plan.read_text().replace("a_rate_eurusd", "b_rate_eurusd"))
    assert cli("apply", str(plan))[0] == 2


def test_no_password_on_the_command_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    value = "".join(["hunter", "22"])
    code, out, err = cli("status", "--dsn", f"host=127.0.0.1 dbname=x password={value}")
    assert code == 2 and value not in out + err and "PGPASSFILE" in err
    monkeypatch.delenv("BQX_MIGRATE_DSN")
    monkeypatch.chdir(tmp_path)
    code, _, err = cli("status")
    assert code == 3 and "which server?" in err
    code, out, err = cli("status", "--dsn", "host=127.0.0.1 port=1 dbname=x connect_timeout=2")
    assert code == 12 and "BQX410" in err


def test_the_lake(cli: Cli, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Datasets of a project, by the same verbs; the lease is held, a project elsewhere is refused."""
    project = Project.create(tmp_path / "p", pairs=("eurusd",))
    stamps = pl.Series([month_span("2024_07")[0] * 60_000_000]).cast(pl.Datetime("us", "UTC"))
    table = pl.DataFrame({"ts_utc": stamps, "ret_1": pl.Series([0.5], dtype=pl.Float32)})
    key = PartitionKey("returns_raw_rate", "eurusd", "2024_07")
    options = {"input_hash": "i", "code_version": "1", "complete_through": key.span[1] - 1, "simulated": False}
    project.store.commit([project.store.stage(key, table, **options)])
    spec, plan = tmp_path / "lake.yaml", str(tmp_path / "lake.json")
    spec.write_text(
        "migration: words\ntarget: lake\nplaces: {family: [returns_raw]}\n"
        "rules: [{from: '{family}_rate', to: '{family}_dual'}]\n"
    )

    def run(*args: str) -> tuple[int, str]:
        capsys.readouterr()
        try:
            main(["-C", str(tmp_path / "p"), "migrate", *args])
            code = 0
        except SystemExit as done:
            code = int(done.code or 0)
        return code, capsys.readouterr().out

    blockers = tmp_path / "blockers.yaml"
    blocker = "id: freeze, severity: L2, stages: [1.6.9], reason: a freeze, owner: data, opened: 2026-01-02"
    blockers.write_text(f"blockers:\n  - {{{blocker}, exit: bars eurusd}}\n")
    main(["-C", str(tmp_path / "p"), "stage", "add", str(blockers)])
    blocked = tmp_path / "blocked.yaml"
    blocked.write_text('stage: "1.6.9"\n' + spec.read_text().replace("words", "blocked"))
    assert run("plan", str(blocked), "-o", plan)[0] == 0
    assert run("dry-run", plan)[0] == 0 and run("apply", plan)[0] == 7, "the project's plan has an open blocker"

    assert run("plan", str(spec), "-o", plan)[0] == 0
    assert "would be renamed" in run("dry-run", plan)[1]
    with Lease(project.manifest, "another"):
        assert run("apply", plan)[0] == 7
    code, out = run("apply", plan)
    assert code == 0 and "V8 access       holds" in out
    assert [i.name for i in project.store.partitions()] == ["returns_raw_dual_eurusd_2024_07"]
    assert run("apply", plan)[0] == run("plan", str(spec))[0] == 3
    assert json.loads(run("status", "--lake", "--json")[1])[0]["state"] == "applied"
    assert run("verify", "words", "--lake")[0] == run("report", "words", "--lake", "-o", str(tmp_path))[0] == 0
    assert run("rollback", "words", "--lake")[0] == 0
    assert [i.name for i in project.store.partitions()] == ["returns_raw_rate_eurusd_2024_07"]
    project.close()


def test_the_report_of_a_repository(tmp_path: Path) -> None:
    """Commit and secret scan of a work tree, for the report's section on security."""
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"]):
        (tmp_path / "a.py").write_text("x = 1\n")
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *words], cwd=tmp_path, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    report = Report("r").add(*repository_section(tmp_path))
    assert head.stdout.strip() in report.markdown() and "clean" in report.markdown()
