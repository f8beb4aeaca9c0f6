"""Cases A5.1 to A5.18 on real servers: found before any DDL, or rolled back whole."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate_world import FAMILIES, Small

from bqx.base.errors import (
    BqxError,
    MigrationConflict,
    MigrationDenied,
    MigrationLocked,
    PreflightError,
    VerificationError,
)
from bqx.market.pairs import PAIRS
from bqx.store.migrate.budget import Budget, batches, need
from bqx.store.migrate.checks import demand
from bqx.store.migrate.fixture import World, build
from bqx.store.migrate.names import size
from bqx.store.migrate.operating import operating
from bqx.store.migrate.verify import verify
from postgres_server import Server

NEW = "statistics_rate_eurusd_2025_01"
OLD = "statistics_features_eurusd_2025_01"


BOTH = pytest.mark.parametrize("world", (15, 18), indirect=True)
"""For what differs between servers; the rest runs on Debian's alone, to keep the suite short."""


@pytest.fixture(scope="module")
def database(postgres: Callable[[int], Server]) -> Iterator[Callable[[int], str]]:
    """database(15) -> DSN of a database of this file's own."""
    made: dict[str, str] = {}

    def dsn(major: int) -> str:
        server = os.environ.get("BQX_TEST_DSN") or postgres(major).dsn()
        if server not in made:
            with psycopg.connect(server, autocommit=True) as con:
                con.execute("DROP DATABASE IF EXISTS migrate_cases WITH (FORCE)")
                con.execute("CREATE DATABASE migrate_cases")
            made[server] = psycopg.conninfo.make_conninfo(server, dbname="migrate_cases")
        return made[server]

    yield dsn
    for server in made:
        with psycopg.connect(server, autocommit=True) as con:
            con.execute("DROP DATABASE migrate_cases WITH (FORCE)")


@pytest.fixture
def world(database: Callable[[int], str], request: pytest.FixtureRequest) -> Iterator[Small]:
    made = Small(database(getattr(request, "param", 15))).make()
    yield made
    made.drop()


def stops(plan: Any) -> dict[str, str]:
    return {f.case: f.what for f in plan.findings if f.level == "stop"}


def refused(world: Small, plan: Any, kind: type[BqxError], exit_code: int) -> BqxError:
    """`apply` refuses the plan and nothing at all changes."""
    before = world.picture()
    with pytest.raises(kind) as caught:
        world.apply(plan)
    assert caught.value.exit_code == exit_code
    assert world.picture() == before
    return caught.value


@pytest.mark.parametrize(
    ("kind", "make", "seen"),
    [
        ("table with rows", "CREATE TABLE {s}." + NEW + " AS SELECT 1 AS a", "a table with rows"),
        ("shell", "CREATE TABLE {s}." + NEW + " (ts_utc timestamptz, f0 real)", "an empty shell of the same columns"),
        ("other columns", "CREATE TABLE {s}." + NEW + " (a int)", "an empty table of other columns"),
        ("view", "CREATE VIEW {s}." + NEW + " AS SELECT 1 AS a", "not a table"),
        ("index", "CREATE TABLE {s}.t (a int); CREATE INDEX " + NEW + " ON {s}.t (a)", "not a table"),
        ("sequence", "CREATE SEQUENCE {s}." + NEW, "not a table"),
        ("composite type", "CREATE TYPE {s}." + NEW + " AS (a int)", "not a table"),
        ("enum", "CREATE TYPE {s}." + NEW + " AS ENUM ('a')", "not a table"),
    ],
)
def test_a5_1_the_target_exists(world: Small, kind: str, make: str, seen: str) -> None:
    world.run(make)
    plan = world.plan()
    assert "there is a" in stops(plan)["A5.1"]
    assert [f.what for f in plan.findings if f.level == "note" and f.case == "A5.1"] == [f"{NEW} is {seen}"]
    assert plan.count("conflict") == 1
    refused(world, plan, MigrationConflict, 4)


def test_a5_1_the_name_of_an_index_to_be_is_taken(world: Small) -> None:
    world.run(f"CREATE TABLE {{s}}.{NEW}_pkey (a int)")
    plan = world.plan()
    assert f"{OLD}_pkey cannot become" in stops(plan)["A5.1"]
    refused(world, plan, MigrationConflict, 4)


def test_a5_1_a_name_taken_between_plan_and_apply(world: Small) -> None:
    plan = world.plan()
    world.run(f"CREATE TABLE {{s}}.{NEW} (a int)")
    refused(world, plan, MigrationConflict, 4)


@BOTH
def test_a5_2_a_partial_earlier_run(world: Small) -> None:
    """Somebody renamed one pair by hand: it counts as done, with a warning, and only the rest is renamed."""
    for name in ("statistics_features_eurusd", OLD, "statistics_features_eurusd_2024_12"):
        world.run(f"ALTER TABLE {{s}}.{name} RENAME TO {name.replace('features', 'rate')}")
    plan = world.plan()
    assert {s.evidence for s in plan.steps if s.state == "done"} == {"name only"}
    assert sum(s.is_table for s in plan.pending) == 9
    assert plan.kinds()["index"] == 12, "the three tables renamed by hand left theirs behind"
    assert any(f.case == "A5.2" and f.level == "warn" for f in plan.findings)
    done = world.apply(plan)
    assert done.applied and sum(b.tables for b in done.batches) == 9 and world.old() == 0
    assert not any("_features_" in n for n in world.names())
    world.run(f"DROP TABLE {{s}}.{NEW.replace('eurusd', 'usdjpy')}")
    assert world.status(plan).missing == 1
    assert any("gone since" in f.what for f in world.plan().findings)


def test_a5_2_old_and_new_both_exist(world: Small) -> None:
    world.run(f"CREATE TABLE {{s}}.{NEW} (LIKE {{s}}.{OLD})")
    assert next(s.state for s in world.plan().steps if s.old == OLD) == "conflict"


def test_a5_3_nothing_to_do(world: Small) -> None:
    plan = world.plan()
    first, picture = world.apply(plan), world.picture()
    assert first.applied and not first.nothing
    again = world.apply(plan)
    assert again.nothing and not again.applied
    assert again.evidence == {"tables_done": 12, "in_ledger": 12}
    assert world.picture() == picture
    assert world.plan().pending == ()


def test_a5_4_a_parent_and_its_partitions_are_one_unit(world: Small) -> None:
    plan = world.plan()
    unit = need([s for s in plan.pending if s.unit == plan.pending[0].unit], views=False)
    groups = batches(plan, Budget(2 * unit, 0), "auto")
    assert len(groups) == 4
    for steps in groups:
        assert {s.kind for s in steps} >= {"parent", "partition"}
        assert len({s.unit for s in steps}) == 1
    done = world.apply(plan, budget=Budget(2 * unit, 0))
    assert (done.mode, len(done.batches)) == ("batched", 4)
    assert done.verified is not None and done.verified.passed and world.old() == 0


def test_a5_4_tables_without_a_parent(world: Small) -> None:
    world.run("CREATE TABLE {s}.statistics_features_gbpusd_2025_01 (ts_utc timestamptz PRIMARY KEY)")
    plan = world.plan("expect: {empty: [correlation]}")
    assert any(f.case == "A5.4" and f.what.startswith("1 tables stand alone") for f in plan.findings)
    world.apply(plan)
    assert "statistics_rate_gbpusd_2025_01" in world.names() and world.old() == 0


@pytest.mark.parametrize("name", ["statistics_features_eurxxx", "correlation_features_eurusd_2025_13"])
def test_a5_5_strays(world: Small, name: str) -> None:
    world.run(f"CREATE TABLE {{s}}.{name} (a int)")
    plan = world.plan()
    assert name in stops(plan)["A5.5"]
    refused(world, plan, PreflightError, 7)
    done = world.apply(world.plan(f"allow: {{strays: [{name}]}}"))
    assert done.verified is not None and done.verified.passed
    assert [n for n in world.names() if "_features_" in n] == [name]


def test_a5_5_a_wildcard_does_not_match(world: Small) -> None:
    """`_` in LIKE takes any character; an anchored expression does not."""
    world.run("CREATE TABLE {s}.statisticsxfeatures_eurusd_2025_01 (a int)")
    plan = world.plan()
    assert stops(plan) == {} and len(plan.tables) == 12


THINGS = f"""
ALTER TABLE {{s}}.statistics_features_eurusd ADD CONSTRAINT statistics_features_eurusd_f0_check CHECK (f0 < 10);
ALTER TABLE {{s}}.{OLD} ADD CONSTRAINT {OLD}_own CHECK (f0 > -10);
ALTER TABLE {{s}}.statistics_features_eurusd ADD COLUMN id serial, ADD COLUMN d timestamptz;
CREATE INDEX idx_{OLD}_f0 ON {{s}}.{OLD} (f0);
CREATE UNIQUE INDEX statistics_features_ux ON {{s}}.{OLD} (id, ts_utc);
CREATE TABLE {{s}}.days (d timestamptz PRIMARY KEY);
ALTER TABLE {{s}}.{OLD} ADD CONSTRAINT {OLD}_d_fkey FOREIGN KEY (d) REFERENCES {{s}}.days;
CREATE FUNCTION {{s}}.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER statistics_features_eurusd_trg AFTER INSERT ON {{s}}.statistics_features_eurusd
  FOR EACH ROW EXECUTE FUNCTION {{s}}.nothing();
CREATE TRIGGER {OLD}_own AFTER INSERT ON {{s}}.{OLD} FOR EACH ROW EXECUTE FUNCTION {{s}}.nothing();
CREATE POLICY statistics_features_eurusd_read ON {{s}}.{OLD} USING (true);
CREATE STATISTICS {{s}}.{OLD}_stat ON f0, ts_utc FROM {{s}}.{OLD};
COMMENT ON TABLE {{s}}.{OLD} IS 'rows of {OLD}, by hand';
COMMENT ON COLUMN {{s}}.{OLD}.f0 IS 'see statistics_features in the manual';
"""
HANGING = """
SELECT 'index', relname FROM pg_class WHERE relnamespace = '{s}'::regnamespace AND relkind IN ('i', 'I', 'S')
UNION ALL SELECT 'constraint', conname FROM pg_constraint WHERE connamespace = '{s}'::regnamespace
UNION ALL SELECT 'trigger', tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE c.relnamespace = '{s}'::regnamespace AND NOT tgisinternal
UNION ALL SELECT 'policy', polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
  WHERE c.relnamespace = '{s}'::regnamespace
UNION ALL SELECT 'statistics', stxname FROM pg_statistic_ext WHERE stxnamespace = '{s}'::regnamespace
UNION ALL SELECT 'comment', description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
  WHERE c.relnamespace = '{s}'::regnamespace AND d.classoid = 'pg_class'::regclass
"""


@BOTH
def test_a5_6_all_that_hangs_on_a_table(world: Small) -> None:
    world.run(*[t for t in THINGS.split(";\n") if t.strip()])
    before = sorted(world.run(HANGING))
    assert {kind for kind, name in before if "statistics_features" in name} == {
        "index", "constraint", "trigger", "policy", "statistics", "comment",
    }  # fmt: skip
    plan = world.plan()
    assert stops(plan) == {}
    kinds = plan.kinds()
    assert (kinds["sequence"], kinds["trigger"], kinds["policy"], kinds["statistics"]) == (1, 2, 1, 1)
    done = world.apply(plan)
    after = sorted(world.run(HANGING))
    assert after == sorted((k, n.replace("_features", "_rate")) for k, n in before)
    assert done.verified is not None and done.verified.passed
    world.back(plan)
    assert sorted(world.run(HANGING)) == before


def test_a5_6_names_kept_on_request(world: Small) -> None:
    plan = world.plan("cascade_names: false")
    assert set(plan.kinds()) == {"parent", "partition"}
    assert any("keep the old word" in f.what for f in plan.findings)
    done = world.apply(plan)
    assert done.verified is not None and done.verified.passed
    assert any("_features_" in n for n in world.names(("i", "I")))
    assert next(c.passed for c in done.verified.checks if c.id == "V6") is None


BODY = (
    "CREATE FUNCTION {s}.rows_of() RETURNS bigint LANGUAGE plpgsql AS"
    " 'BEGIN RETURN (SELECT count(*) FROM {s}.statistics_features_eurusd); END'"
)


@BOTH
def test_a5_7_function_bodies(world: Small) -> None:
    world.run(BODY)
    plan = world.plan()
    assert f"{world.schema}.rows_of" in stops(plan)["A5.7"]
    refused(world, plan, PreflightError, 7)
    allowed = world.plan(f"allow: {{functions: [{world.schema}.rows_of]}}")
    assert stops(allowed) == {}
    done = world.apply(world.plan("compatibility_views: true"))
    assert done.verified is not None and done.verified.passed
    assert world.run("SELECT {s}.rows_of()") == [(22,)], "through the view of the old name"
    insert = "INSERT INTO {s}." + OLD + " VALUES ('2025-01-20', 0.5) ON CONFLICT DO NOTHING"
    world.run(insert, insert)
    assert world.run("SELECT count(*) FROM {s}." + NEW) == [(12,)]


def test_a5_7_views_go_when_it_is_taken_back(world: Small) -> None:
    before = world.picture()
    plan = world.plan("compatibility_views: true")
    world.apply(plan)
    assert len(world.names(("v",))) == 12
    world.back(plan)
    assert world.picture() == before
    assert world.apply(world.plan("compatibility_views: true")).applied


def test_a5_7_source_tree(world: Small, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("x = 1\nsql = 'SELECT * FROM statistics_features_eurusd'\n")
    (tmp_path / "ours.py").write_text("mystatistics_featuresx = 1\n")
    plan = world.plan(scan=tmp_path)
    assert stops(plan)["A5.7"].startswith("job.py:2 says an old name (1 lines do)")
    assert stops(world.plan("allow: {source: true}", scan=tmp_path)) == {}


def test_a5_7_views_and_event_triggers(world: Small) -> None:
    world.run(
        "CREATE VIEW {s}.latest AS SELECT * FROM {s}.statistics_features_eurusd",
        "CREATE FUNCTION {s}.told() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE EVENT TRIGGER {s}_told ON ddl_command_end EXECUTE FUNCTION {s}.told()",
    )
    try:
        plan = world.plan()
        assert any("will fire on every rename" in f.what and f.level == "note" for f in plan.findings)
        done = world.apply(plan)
    finally:
        world.run("DROP EVENT TRIGGER {s}_told")
    assert done.verified is not None and done.verified.passed
    assert next(c.expected for c in done.verified.checks if c.id == "V7") == "all of 1 views compile"
    assert world.run("SELECT count(*) FROM {s}.latest") == [(22,)]


def test_a5_8_names_too_long(world: Small) -> None:
    rule = "rules:\n  - {from: '{family}_features_{pair}[_{month}]', to: '%s_{family}_rate_{pair}[_{month}]'}\n"
    plan = world.plan(rule % ("é" * 15))
    assert "PostgreSQL keeps 63" in stops(plan)["A5.8"]
    longest = max((s for s in plan.pending), key=lambda s: size(s.new))
    assert len(longest.new) <= 63 < size(longest.new), "bytes, not characters"
    refused(world, plan, PreflightError, 7)


@BOTH
def test_a5_9_the_lock_budget(world: Small) -> None:
    plan = world.plan()
    with pytest.raises(PreflightError, match="locks") as caught:
        world.apply(plan, mode="atomic", budget=Budget(40, 3))
    assert caught.value.exit_code == 7 and "batched" in str(caught.value.fix)
    with pytest.raises(PreflightError, match="the unit of"):
        world.apply(plan, budget=Budget(20, 0))
    assert world.old() == 24
    assert plan.locks["needed"] == need(plan.pending, views=False)


def test_a5_10_a_reader_holds_on(world: Small) -> None:
    """Tried again with growing waits, the reader named and left alone; then it goes through."""
    plan = world.plan("lock_timeout_ms: 60\nretries: 3")
    waits: list[float] = []
    with psycopg.connect(world.dsn, application_name="night report") as reader:
        reader.execute(f"SELECT * FROM {world.schema}.{OLD}".encode())
        with pytest.raises(MigrationLocked, match="night report") as caught:
            world.apply(plan, sleep=waits.append)
        assert caught.value.exit_code == 5 and OLD in caught.value.what
        assert len(waits) == 3 and waits == sorted(waits)
        assert world.old() == 24 and world.status(plan).state == "failed"

        def let_go(seconds: float) -> None:
            if len(waits) == 4:
                reader.rollback()
            waits.append(seconds)

        done = world.apply(plan, sleep=let_go)
        assert reader.execute("SELECT 1").fetchone() == (1,), "its session was not ended"
    assert done.applied and done.retries == 2 and world.old() == 0


def test_a5_12_writers(world: Small) -> None:
    plan = world.plan()
    world.run(f"INSERT INTO {{s}}.{OLD} VALUES ('2025-01-30', 1)", "SELECT pg_sleep(0.01)")
    deadline = time.monotonic() + 10
    while world.plan().writes == plan.writes:  # the server publishes its counters a little later
        assert time.monotonic() < deadline
        time.sleep(0.05)
    error = refused(world, plan, PreflightError, 7)
    assert "written since the plan" in error.what
    with psycopg.connect(world.dsn) as writer:
        writer.execute(f"UPDATE {world.schema}.{OLD} SET f0 = 2".encode())
        assert "open for writing" in refused(world, world.plan(), PreflightError, 7).what
    assert "quiet for" in refused(world, world.plan("quiet_minutes: 5"), PreflightError, 7).what
    while (fresh := world.plan()).writes == plan.writes:
        time.sleep(0.05)
    world.apply(world.plan("allow: {writers: true}"))
    assert world.old() == 0 and fresh.writes != plan.writes


@BOTH
def test_a5_13_publications(world: Small) -> None:
    world.run(f"CREATE PUBLICATION {{s}}_pub FOR TABLE {{s}}.{OLD}")
    plan = world.plan()
    assert f"{world.schema}_pub" in stops(plan)["A5.13"]
    refused(world, plan, PreflightError, 7)
    done = world.apply(world.plan(f"allow: {{publications: [{world.schema}_pub]}}"))
    assert done.applied
    assert world.run(f"SELECT tablename FROM pg_publication_tables WHERE pubname = '{world.schema}_pub'") == [(NEW,)]


def test_a5_14_two_operators(world: Small) -> None:
    plan = world.plan()
    with psycopg.connect(world.dsn, autocommit=True, application_name="bqx migrate") as other:
        with operating(other, world.schema, "small"):
            error = refused(world, plan, MigrationLocked, 5)
            assert f"pid {other.info.backend_pid}" in error.what
            assert world.status(plan).state == "running"
        assert world.apply(plan).applied


def test_a5_14_two_at_the_same_moment(world: Small) -> None:
    plan = world.plan()
    ended: list[object] = []

    def work() -> None:
        try:
            ended.append(world.apply(plan).applied)
        except MigrationLocked as error:
            ended.append(error.exit_code)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert ended.count(True) == 1 and world.old() == 0
    assert set(ended) <= {True, False, 5}


def test_a5_16_empty_families(world: Small) -> None:
    assert any(f.what == "correlation: 0 rows, expected" for f in world.plan().findings)
    undeclared = world.plan("expect: {total: 12}")
    assert "which nobody declared" in stops(undeclared)["A5.16"]
    refused(world, undeclared, PreflightError, 7)
    wrong = world.plan("expect: {empty: [correlation, statistics]}")
    assert "declared empty" in stops(wrong)["A5.16"]


def test_a5_16_declared_rows(world: Small) -> None:
    """A wrong declaration is found inside the transaction, which is rolled back whole."""
    plan = world.plan("expect: {empty: [correlation], rows: {statistics: 44}}")
    error = refused(world, plan, VerificationError, 6)
    assert "V5" in error.what
    assert world.apply(world.plan("expect: {empty: [correlation], rows: {statistics: 43}}")).applied


def test_a5_17_quoted_names(world: Small) -> None:
    world.run(
        'CREATE TABLE {s}."Vol ""A""_Features_EURUSD" (a int PRIMARY KEY)',
        'INSERT INTO {s}."Vol ""A""_Features_EURUSD" VALUES (1)',
        'CREATE TABLE {s}."Vol %s_Features_EURUSD" (a int PRIMARY KEY)',
        'INSERT INTO {s}."Vol %s_Features_EURUSD" VALUES (1)',
    )
    rule = "rules:\n  - {regex: '(?P<family>Vol .+)_Features_(?P<pair>[A-Z]{6})', to: '{family}_Rate_{pair}'}\n"
    rule += "places: {}\nexpect: {}\n"
    plan = world.plan(rule)
    assert stops(plan) == {} and {**plan.kinds(), "constraint": 0} == {"constraint": 0, "index": 2, "table": 2}
    done = world.apply(plan)
    assert done.verified is not None and done.verified.passed
    assert world.run('SELECT a FROM {s}."Vol ""A""_Rate_EURUSD"') == [(1,)]
    assert "Vol %s_Rate_EURUSD_pkey" in world.names(("i",))


@BOTH
def test_a5_18_foreign_unlogged_and_temporary(world: Small) -> None:
    world.run(
        "CREATE FOREIGN DATA WRAPPER {s}_w",
        "CREATE SERVER {s}_srv FOREIGN DATA WRAPPER {s}_w",
        "CREATE FOREIGN TABLE {s}.statistics_features_gbpusd (a int) SERVER {s}_srv",
        "CREATE UNLOGGED TABLE {s}.statistics_features_gbpusd_2025_01 (a int)",
    )
    expect = "expect: {empty: [correlation]}\n"
    with psycopg.connect(world.dsn, autocommit=True) as session:
        session.execute("CREATE TEMP TABLE statistics_features_audusd (a int)")
        plan = world.plan(expect)
        assert "foreign" in stops(plan)["A5.18"]
        assert any("unlogged" in f.what for f in plan.findings)
        assert not any("audusd" in s.old for s in plan.steps)
        refused(world, plan, PreflightError, 7)
        done = world.apply(world.plan(expect + "allow: {foreign: true}"))
        assert done.verified is not None and done.verified.passed
        assert session.execute("SELECT count(*) FROM statistics_features_audusd").fetchone() == (0,)
    assert world.names(("f",)) == ["statistics_rate_gbpusd"]


@BOTH
def test_rights(world: Small) -> None:
    """Neither ownership nor CREATE on the schema: said before any DDL; with both no superuser is needed."""
    role = f"{world.schema}_op"
    world.run(f"CREATE ROLE {role} LOGIN", f"GRANT USAGE ON SCHEMA {{s}} TO {role}")
    mine = Small(psycopg.conninfo.make_conninfo(world.dsn, user=role), world.schema)
    plan = mine.plan()
    said = [f.what for f in plan.findings if f.case == "privileges"]
    assert (
        len(said) == 3 and "may not create in schema" in said[0] and "ledger" in said[1] and "does not own" in said[2]
    )
    with pytest.raises(PreflightError):
        mine.apply(plan)
    world.run(f"CREATE SCHEMA {{s}}_ledger AUTHORIZATION {role}", f"GRANT CREATE ON SCHEMA {{s}} TO {role}")
    world.run(
        "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class"
        f" WHERE relnamespace = '{world.schema}'::regnamespace AND relkind IN ('r', 'p') LOOP"
        f" EXECUTE format('ALTER TABLE %s OWNER TO {role}', t); END LOOP; END $$"
    )
    done = mine.apply(mine.plan())
    assert done.verified is not None and done.verified.passed and world.old() == 0


def test_rows_hidden_by_a_policy_are_not_counted_as_all(world: Small) -> None:
    """An owner under FORCE ROW LEVEL SECURITY would count what the policy shows: refused, not reported as exact."""
    role = f"{world.schema}_owner"
    world.run(f"CREATE ROLE {role} LOGIN", f"GRANT CREATE, USAGE ON SCHEMA {{s}} TO {role}")
    world.run(f"CREATE SCHEMA {{s}}_ledger AUTHORIZATION {role}")
    for name in world.names():
        world.run(f"ALTER TABLE {{s}}.{name} OWNER TO {role}")
    world.run(
        f"ALTER TABLE {{s}}.{OLD} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY few ON {{s}}.{OLD} USING (f0 < 0.001)",
    )
    mine = Small(psycopg.conninfo.make_conninfo(world.dsn, user=role), world.schema)
    plan = mine.plan()
    before = world.picture()
    with pytest.raises(MigrationDenied, match="row-level security"):
        mine.apply(plan)
    assert world.picture() == before
    done = mine.apply(plan, rows="skip")
    assert done.verified is not None and done.verified.passed and world.old() == 0


def test_roles_that_lose_access_are_seen(world: Small) -> None:
    role = f"{world.schema}_app"
    world.run(f"CREATE ROLE {role}", f"GRANT USAGE ON SCHEMA {{s}} TO {role}")
    world.run(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {{s}} TO {role}")
    more = f"access: {{readers: [{role}], writers: [{role}]}}"
    plan = world.plan(more)
    done = world.apply(plan)
    assert done.verified is not None and done.verified.passed
    world.run(f"REVOKE INSERT ON {{s}}.statistics_rate_eurusd FROM {role}")
    found = {c.id: c for c in verify(world.dsn, plan).checks}
    assert found["V8"].passed is False and "permission denied" in found["V8"].details[0]
    assert found["V1"].passed is False and "acl" in found["V1"].details[0]


def test_the_ledger_only_grows(world: Small) -> None:
    world.apply(world.plan())
    for statement in (
        "UPDATE {s}_ledger.object SET new = 'x'",
        "DELETE FROM {s}_ledger.event",
        "TRUNCATE {s}_ledger.plan",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            world.run(statement)


def test_a_server_that_refuses_takes_all_back(world: Small) -> None:
    """An event trigger vetoes the ninth rename: an error in the middle of the DDL."""
    world.run(
        "CREATE SEQUENCE {s}.n",
        "CREATE FUNCTION {s}.veto() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('{s}.n') = 9 THEN RAISE EXCEPTION 'not this one'; END IF; END $$",
        "CREATE EVENT TRIGGER {s}_veto ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'ALTER INDEX')"
        " EXECUTE FUNCTION {s}.veto()",
    )
    try:
        error = refused(world, world.plan(), MigrationDenied, 6)
        assert "not this one" in error.what
    finally:
        world.run("DROP EVENT TRIGGER {s}_veto")


@BOTH
def test_a_chain_of_names(world: Small) -> None:
    """eurusd -> usdjpy and usdjpy -> eurusd at once: names in between, and back again."""
    before = world.picture()
    rule = (
        "places: {family: [statistics, correlation]}\nrules:\n"
        "  - {from: '{family}_features_eurusd[_{month}]', to: '{family}_features_usdjpy[_{month}]'}\n"
        "  - {from: '{family}_features_usdjpy[_{month}]', to: '{family}_features_eurusd[_{month}]'}\n"
        "expect: {empty: [correlation]}\n"
    )
    plan = world.plan(rule)
    assert stops(plan) == {} and all(s.via for s in plan.tables)
    oids = {s.oid: s.new for s in plan.tables}
    world.apply(plan, verify=False)
    assert {r[0]: r[1] for r in world.picture() if r[0] in oids} == oids
    world.back(plan, verify=False)
    assert world.picture() == before


def test_dry_run_changes_nothing(world: Small) -> None:
    before = world.picture()
    done = world.apply(world.plan(), dry_run=True)
    assert (
        not done.applied
        and done.batches[0].tables == 12
        and done.batches[0].rows == {"statistics": 43, "correlation": 0}
    )
    assert [c.id for c in done.batches[0].checks] == ["V1", "V2", "V3", "V4", "V6", "V7"]
    assert world.picture() == before
    assert world.run("SELECT count(*) FROM pg_namespace WHERE nspname = '{s}_ledger'") == [(0,)]


def test_rollback_refuses_a_name_that_was_taken(world: Small) -> None:
    plan = world.plan()
    world.apply(plan)
    world.run(f"CREATE TABLE {{s}}.{OLD} (a int)")
    before = world.picture()
    with pytest.raises(MigrationConflict, match="taken") as caught:
        world.back(plan)
    assert caught.value.exit_code == 4 and world.picture() == before


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        ("V1", "VACUUM FULL {s}.statistics_rate_eurusd_2025_01"),
        ("V2", "DROP TABLE {s}.correlation_rate_usdjpy"),
        ("V3", "CREATE TABLE {s}.correlation_features_eurusd (a int)"),
        ("V4", "ALTER TABLE {s}.statistics_rate_eurusd DETACH PARTITION {s}.statistics_rate_eurusd_2025_01"),
        ("V5", "DELETE FROM {s}.statistics_rate_eurusd_2025_01 WHERE ctid = '(0,1)'"),
        ("V6", "ALTER INDEX {s}.statistics_rate_eurusd_pkey RENAME TO statistics_features_eurusd_pkey"),
        ("V7", "CREATE FUNCTION {s}.f() RETURNS int LANGUAGE sql AS 'SELECT 1/0'; "
               "CREATE VIEW {s}.v AS SELECT {s}.f(), f0 FROM {s}.statistics_rate_eurusd"),
        ("V9", "CREATE TABLE {s}.statistics_features_gbpusd (a int)"),
    ],
)  # fmt: skip
def test_every_check_can_fail(world: Small, check: str, spoil: str) -> None:
    """One spoilt world a check: the verdict says what differs."""
    plan = world.plan()
    assert world.apply(plan).applied
    world.run(*spoil.split("; "))
    found = {c.id: c for c in verify(world.dsn, plan, record=False).checks}
    assert found[check].passed is False and found[check].details
    with pytest.raises(VerificationError):
        demand(found.values())


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    pairs=st.lists(st.sampled_from(PAIRS[:6]), unique=True, min_size=1, max_size=3),
    months=st.lists(st.sampled_from([(2024, m) for m in range(1, 13)]), unique=True, min_size=1, max_size=3),
    word=st.sampled_from(["rate", "x", "features_old"]),
    cascade=st.booleans(),
    share=st.integers(1, 4),
)
def test_apply_then_rollback_restores_pg_class(
    database: Callable[[int], str],
    pairs: list[str],
    months: list[tuple[int, int]],
    word: str,
    cascade: bool,
    share: int,
) -> None:
    """OIDs, names, files, owners, rights, row types, bounds and constraints: all as before, batched or not."""
    world = Small(database(15))
    build(world.dsn, World(world.schema, FAMILIES, pairs, months, 1.0, rows={"statistics": 20}), jobs=1)
    try:
        before = world.picture()
        rule = "{from: '{family}_features_{pair}[_{month}]', to: '{family}_WORD_{pair}[_{month}]'}".replace(
            "WORD", word
        )
        flags = f"expect: {{empty: [correlation]}}\ncascade_names: {str(cascade).lower()}\n"
        plan = world.plan(f"rules:\n  - {rule}\n{flags}")
        whole = 2 * need(plan.pending, views=False)
        room = Budget(max(whole // share, 4 * (16 + 2 * (1 + len(months)))), 0)
        done = world.apply(plan, budget=room, verify=False)
        assert done.applied and world.picture() != before
        back = world.back(plan, budget=room)
        assert back.verified is not None and back.verified.passed
        assert world.picture() == before
    finally:
        world.drop()
