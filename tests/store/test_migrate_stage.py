"""Stage 1.6.9 itself: 4 x 364 tables on PostgreSQL 15 and 18, 1 % of the rows; planned, applied, verified, told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bqx.base.errors import CheckError
from bqx.store.migrate.apply import Options, Result, apply
from bqx.store.migrate.budget import Budget
from bqx.store.migrate.connect import connect
from bqx.store.migrate.facts import Facts, gather
from bqx.store.migrate.fixture import ROWS, World, build
from bqx.store.migrate.ledger import Ledger
from bqx.store.migrate.live import plan_live
from bqx.store.migrate.plan import Plan
from bqx.store.migrate.report import make_report
from bqx.store.migrate.rollback import rollback
from bqx.store.migrate.spec import read_spec
from bqx.store.migrate.status import status
from bqx.store.migrate.verify import verify

SHARE = 0.01
SEED_REPORT = Path(__file__).parents[3] / "shared" / "specs" / "seed_report.md"
SEED_QUERY = """
SELECT
    CASE
        WHEN tablename LIKE 'statistics_rate_%' THEN 'Statistics Rate'
        WHEN tablename LIKE 'bollinger_rate_%' THEN 'Bollinger Rate'
        WHEN tablename LIKE 'fibonacci_rate_%' THEN 'Fibonacci Rate'
        WHEN tablename LIKE 'correlation_rate_%' THEN 'Correlation Rate'
    END AS table_type,
    COUNT(*) AS table_count,
    SUM(n_live_tup) AS total_rows
FROM pg_tables pt
JOIN pg_stat_user_tables pst ON pt.tablename = pst.relname
WHERE schemaname = 'bqx'
  AND (tablename LIKE 'statistics_rate_%'
    OR tablename LIKE 'bollinger_rate_%'
    OR tablename LIKE 'fibonacci_rate_%'
    OR tablename LIKE 'correlation_rate_%')
GROUP BY table_type
ORDER BY table_type;
"""


class Stage:
    """One server's run: every test looks at another side of it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.built = build(dsn, World(share=SHARE))
        with connect(dsn) as con:
            self.plan: Plan = plan_live(con, read_spec("1.6.9"))
            self.before = self.names()
        self.result: Result = apply(dsn, self.plan)

    def names(self) -> dict[int, tuple[str, str]]:
        with psycopg.connect(self.dsn) as con:
            rows = con.execute(
                "SELECT oid, relname, relkind::text FROM pg_class WHERE relnamespace = 'bqx'::regnamespace"
                " UNION ALL SELECT oid, conname, 'constraint' FROM pg_constraint"
                " WHERE connamespace = 'bqx'::regnamespace"
            ).fetchall()
        return {oid: (name, kind) for oid, name, kind in rows}

    def facts(self) -> Facts:
        with connect(self.dsn) as con:
            return gather(Ledger(con, "bqx_migrate"), self.plan, "a test")


@pytest.fixture(scope="module")
def stage(postgres_dsn: str) -> Iterator[Stage]:
    with psycopg.connect(postgres_dsn, autocommit=True) as con:
        con.execute("DROP DATABASE IF EXISTS migrate_stage WITH (FORCE)")
        con.execute("CREATE DATABASE migrate_stage")
    yield Stage(psycopg.conninfo.make_conninfo(postgres_dsn, dbname="migrate_stage"))
    with psycopg.connect(postgres_dsn, autocommit=True) as con:
        con.execute("DROP DATABASE migrate_stage WITH (FORCE)")


def test_the_world_is_the_seeds(stage: Stage) -> None:
    assert sum(ROWS.values()) == 30_867_054
    assert ROWS["statistics"] - ROWS["fibonacci"] == 336 * 240
    assert (stage.built.tables, stage.built.rows["statistics"]) == (1456, 103_159)
    assert stage.plan.stops() == []
    assert {k: n for k, n in stage.plan.kinds().items() if k != "constraint"} == {
        "index": 1456, "parent": 112, "partition": 1344,
    }  # fmt: skip


def test_renamed_in_one_transaction_within_a_second(stage: Stage) -> None:
    assert stage.result.applied and stage.result.mode == "atomic" and len(stage.result.batches) == 1
    assert stage.result.batches[0].tables == 1456
    tries = [stage.result.total("ddl")]  # 0.2 s on two idle cores; the way back is as long, should others be at work
    while min(tries) > 1.0 and len(tries) < 4:
        tries.append(rollback(stage.dsn, stage.plan, Options(rows="skip", dry_run=True)).total("ddl"))
    assert min(tries) <= 1.0
    assert set(stage.result.batches[0].groups) == {"statistics", "bollinger", "fibonacci", "correlation"}


def test_every_name_is_the_old_one_with_one_word_changed(stage: Stage) -> None:
    """Tables, indexes and constraints, looked up by OID, with no help from the code under test."""
    now = stage.names()
    assert len(now) >= 1456 + 1456 + 1456
    assert now == {oid: (name.replace("_features_", "_rate_"), kind) for oid, (name, kind) in stage.before.items()}
    assert not any("features" in name for name, _ in now.values())


def test_exact_counts_before_and_after(stage: Stage) -> None:
    assert stage.result.verified is not None
    wanted = {family: round(n * SHARE) for family, n in ROWS.items()}
    assert dict(stage.result.batches[0].rows) == wanted == stage.result.verified.rows
    with psycopg.connect(stage.dsn) as con:
        for family, n in wanted.items():
            counted = sum(
                con.execute(f"SELECT count(*) FROM bqx.{name}".encode()).fetchone()[0]  # type: ignore[index]
                for name, kind in stage.names().values()
                if kind == "p" and name.startswith(family)
            )
            assert counted == n


def test_all_nine_checks_hold(stage: Stage) -> None:
    assert stage.result.verified is not None
    assert [(c.id, c.passed) for c in stage.result.verified.checks] == [(f"V{n}", True) for n in range(1, 10)]


def test_the_seeds_query_does_not_run_as_printed(stage: Stage) -> None:
    """Both joined relations have schemaname; mended, it joins by name only and adds up estimates. Ours does neither."""
    if SEED_REPORT.exists():
        printed = re.search(r"```sql\n(SELECT\n.*?)```", SEED_REPORT.read_text(), re.DOTALL)
        assert printed is not None and printed[1].strip() == SEED_QUERY.strip()
    with psycopg.connect(stage.dsn, autocommit=True) as con:
        with pytest.raises(psycopg.errors.AmbiguousColumn, match="schemaname"):
            con.execute(SEED_QUERY)
        con.execute("CREATE SCHEMA elsewhere")
        con.execute("CREATE TABLE elsewhere.statistics_rate_eurusd_2024_07 (a int)")
        mended = con.execute(SEED_QUERY.replace("WHERE schemaname", "WHERE pt.schemaname")).fetchall()
        counts = {row[0].split()[0].lower(): row[1] for row in mended}
        con.execute("DROP SCHEMA elsewhere CASCADE")
    ours = {g.name: g.tables for g in stage.facts().groups}
    assert set(ours.values()) == {364}
    assert counts["statistics"] == 1 + counts["bollinger"], "the table of another schema is counted"


def test_a_second_run_does_nothing(stage: Stage) -> None:
    again = apply(stage.dsn, stage.plan)
    assert again.nothing and again.evidence == {"tables_done": 1456, "in_ledger": 1456}
    assert status(stage.dsn, stage.plan).state == "applied"


def test_the_report_computes_every_number(stage: Stage, tmp_path: Path) -> None:
    paths = make_report(stage.facts()).write(tmp_path, "r")
    assert sorted(p.suffix for p in paths) == [".html", ".json", ".md"]
    text, data = (tmp_path / "r.md").read_text(), json.loads((tmp_path / "r.json").read_text())
    for section in (
        "Summary", "Details", "Naming convention", "Verification", "Findings of the plan", "Unblocked work",
        "Count validation", "Risks", "Lessons", "Close",
    ):  # fmt: skip
        assert f"## {section}" in text
    assert "| Total | 1,456 | 112 | 1,344 | 308,671 | 308,671 |" in text
    assert "host=" not in text and "127.0.0.1" not in text
    numbers = [c for b in data["blocks"] for r in b.get("rows", []) for c in r if isinstance(c, dict)]
    assert len(numbers) > 60 and all(n["run_id"] and n["how"] for n in numbers)
    assert stage.plan.digest in text and stage.facts().ledger_hash in text


def test_a_report_whose_parts_disagree_is_not_written(stage: Stage) -> None:
    facts = stage.facts()
    object.__setattr__(facts, "named", {**facts.named, "partition": facts.named["partition"] + 1})
    with pytest.raises(CheckError, match="add up to"):
        make_report(facts)


def test_batches_by_lock_budget_and_back_again(stage: Stage) -> None:
    """Last of this file's tests: rollback restores pg_class, batches of whole units bring the new names again."""
    back = rollback(stage.dsn, stage.plan, Options(rows="fast"))
    assert back.applied and back.verified is not None and back.verified.passed
    assert stage.names() == stage.before
    assert status(stage.dsn, stage.plan).state == "rolled back"
    facts = stage.facts()
    assert facts.state == "rolled back" and "taken back" in make_report(facts).markdown()
    assert facts.finished is not None
    forth = apply(stage.dsn, stage.plan, Options(rows="skip", budget=Budget(2 * 400, 0)))
    assert forth.mode == "batched" and len(forth.batches) > 5
    assert sum(b.tables for b in forth.batches) == 1456
    later = stage.facts()
    assert later.state == "applied" and later.started is not None and later.started > facts.finished
    found = verify(stage.dsn, stage.plan, rows="skip")
    assert [c.id for c in found.checks if c.passed is None] == ["V5"] and found.passed
