"""A stage of a project whose features are in PostgreSQL: the server is asked for the counts, and for old names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import psycopg
import pytest
from ops_project import END, PAIRS, START

import postgres_database
from bqx.base.errors import StageFailed
from bqx.build.project import Project
from bqx.build.server_tables import wanted_tables
from bqx.market.calendar import Calendar
from bqx.market.simulated import simulate, simulated_source
from bqx.ops.plan.read import load_plan
from bqx.ops.stages.run import run_stage
from bqx.ops.stages.state import PlanState
from postgres_server import WANTED, Server

PLAN = load_plan()


@pytest.fixture
def dsn(postgres: Callable[[int], Server], postgres_prepared: postgres_database.Prepared) -> str:
    server = os.environ.get("BQX_TEST_DSN") or postgres(max(WANTED)).dsn()
    tables = wanted_tables(PAIRS, (), only=("time_dual",), first="2024_06", last="2024_07")
    return postgres_prepared.of(server, "stages", tables)


@pytest.fixture
def project(tmp_path: Path, dsn: str) -> Iterator[Project]:
    root = tmp_path / "p"
    Project.create(root, pairs=PAIRS).close()
    secret = tmp_path / "secrets" / "fx-db"
    secret.parent.mkdir(mode=0o700)
    secret.write_text(dsn)
    secret.chmod(0o600)
    text = (root / "bqx.toml").read_text()
    text = text.replace('kind = "lake"', 'kind = "postgres"\nserver = "fx-db"', 1)
    text = text.replace('provider = "none"', f'provider = "file"\npath = "{secret.parent}"', 1)
    (root / "bqx.toml").write_text(text)
    (root / "manifest.sqlite").unlink()
    opened = Project.open(root)
    for pair, frame in simulate(Calendar.load(), START, END, seed=7, pairs=PAIRS, origin_minute=START).items():
        opened.bars.ingest(pair, frame, simulated_source(7))
    yield opened
    opened.close()


def test_a_stage_on_a_server(project: Project, dsn: str) -> None:
    state = PlanState(project.root)
    with psycopg.connect(dsn, autocommit=True) as con:
        con.execute("CREATE TABLE bqx.statistics_features_eurusd_2024_07 (x int)")
        with pytest.raises(StageFailed, match="names of the old convention: statistics_features_eurusd_2024_07"):
            run_stage(project, PLAN, state, "1.6.9")
        con.execute("DROP TABLE bqx.statistics_features_eurusd_2024_07")
        assert run_stage(project, PLAN, state, "1.6.9").status == "passed"
        assert run_stage(project, PLAN, state, "1.8.1").status == "passed"
        content = state.evidence("1.8.1")[-1].content
        for row in content["tables"]["columns"]:
            found = con.execute(f'SELECT count(*), count("{row["column"]}") FROM bqx.time_dual').fetchone()
            assert found == (row["rows"], row["present"]) == (row["rows"], row["sql"])
    assert content["total"]["present"] > 500_000
    assert "bytes" not in {check["id"] for check in content["checks"]}
    assert pl.DataFrame(content["tables"]["datasets"])["partitions"].to_list() == [6]
    from bqx.ops.console.pages import PAGES, Pages

    pages = Pages(project)
    assert all(pages.render(name) for name in (*PAGES, "catalogue/time_dual", "stage/1.8.1"))
    state.close()
