"""SQL reads what the manifest names, as it is or was, and can do nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import store_tables as tables
from store_tables import DATASET

from bqx.base.errors import UsageError
from bqx.market.calendar import month_span
from bqx.store.sql import Sql

AUGUST = month_span("2024_08")[0]


@pytest.fixture
def sql(store) -> Sql:
    for pair in ("eurusd", "gbpusd"):
        store.put((DATASET, pair, "2024_07"), seed=len(pair))
        store.bars.ingest(pair, tables.bars("2024_07", rows=100), tables.SOURCE)
    data = {pair: tables.month("2024_08", rows=5) for pair in ("eurusd", "gbpusd")}
    store.lake.commit(
        store.lake.stage_tail(
            DATASET, data, input_hash="i", code_version="1", complete_through=AUGUST + 4, simulated=False
        )
    )
    return Sql(store.root, store.manifest, memory_gb=1, threads=1)


def one(sql: Sql, text: str, **options: object) -> tuple:
    return sql.query(text, **options).row(0)


def test_datasets_partitions_and_bars_by_name(sql: Sql) -> None:
    assert one(sql, f"SELECT count(*), count(a), min(pair), max(pair) FROM {DATASET}") == (
        610,
        2
        * (
            300
            - tables.month("2024_07", seed=6)["a"].null_count()
            + 5
            - tables.month("2024_08", rows=5)["a"].null_count()
        ),
        "eurusd",
        "gbpusd",
    )
    got = sql.query(f"SELECT * FROM {DATASET.upper()}_EURUSD_2024_07 ORDER BY ts_utc")
    assert got.equals(tables.month("2024_07", seed=6))
    assert got["ts_utc"].dtype == pl.Datetime("us", "UTC")
    assert one(sql, f'SELECT count(*) FROM "{DATASET}_gbpusd_2024_08"') == (5,)
    assert one(sql, "SELECT count(*), sum(volume) FROM bars WHERE pair = 'eurusd'") == (100, 300.0)
    joined = f"SELECT count(*) FROM bars_eurusd JOIN {DATASET}_eurusd_2024_07 USING (ts_utc)"
    assert one(sql, joined) == (100,)
    with_cte = f"WITH x AS (SELECT pair, avg(a) m FROM {DATASET} GROUP BY pair) SELECT count(*) FROM x WHERE m < 9"
    assert one(sql, with_cte) == (2,)


def test_limit_and_listing(sql: Sql) -> None:
    assert sql.query(f"FROM {DATASET}", limit=7).height == 7
    rows = sql.query("SELECT name, rows, pieces FROM partitions WHERE ym = '2024_08' ORDER BY name").rows()
    assert rows == [(f"{DATASET}_{pair}_2024_08", 5, 1) for pair in ("eurusd", "gbpusd")]
    assert sql.query("SELECT DISTINCT simulated, typeof(known_from) FROM partitions").rows() == [
        (False, "TIMESTAMP WITH TIME ZONE")
    ]
    assert set(sql.tables()) >= {"bars", "bars_eurusd", "partitions", DATASET, f"{DATASET}_eurusd_2024_07"}


def test_as_of_reads_the_past(sql: Sql, store, known) -> None:
    then = known(store)
    store.put((DATASET, "eurusd", "2024_07"), rows=10)
    store.bars.ingest("eurusd", tables.bars("2024_07", rows=1, start=500), tables.SOURCE)
    count = f"SELECT (SELECT count(*) FROM {DATASET}), (SELECT count(*) FROM bars)"
    assert one(sql, count) == (320, 201)
    assert one(sql, count, as_of=then) == (610, 200)
    with pytest.raises(UsageError, match="does not exist"):
        sql.query(f"SELECT * FROM {DATASET}", as_of=1)


@pytest.mark.parametrize(
    "text",
    [
        "COPY (SELECT 1) TO '{out}'",
        "COPY (FROM {dataset}) TO '{live}' (USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY (FROM {dataset}) TO '{live}' (USE_TMP_FILE false)",
        "SELECT * FROM query('COPY bars TO ''{out}''')",
        "SELECT 1; COPY (FROM {dataset}) TO '{live}' (USE_TMP_FILE false)",
        "EXPORT DATABASE '{out}'",
        "ATTACH '{out}' AS x",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_blob('{root}/manifest.sqlite')",
        "SELECT * FROM read_parquet('{root}/lake/*/*/*.parquet')",
        "SELECT * FROM glob('{root}/*')",
        "SELECT * FROM read_parquet('{superseded}')",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA enable_profiling",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW {dataset}",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "",
        "SELECT 1; SELECT 2",
    ],
)
def test_untrusted_sql_reads_and_writes_nothing_else(sql: Sql, store, tmp_path: Path, text: str) -> None:
    superseded = store.lake.partitions()[0].pieces[0].path
    store.put((DATASET, "eurusd", "2024_07"), seed=77)
    secret = tmp_path / "secret.txt"
    secret.write_text("token")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".sqlite-shm"}
    live = store.root / store.lake.partitions()[0].pieces[0].path
    statement = text.format(
        out=tmp_path / "out",
        dataset=DATASET,
        live=live,
        secret=secret,
        root=store.root,
        superseded=store.root / superseded,
    )
    with pytest.raises(UsageError) as caught:
        sql.query(statement)
    assert "token" not in str(caught.value)
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".sqlite-shm"}
    assert after == before


def test_an_unknown_table_names_its_neighbours(sql: Sql) -> None:
    with pytest.raises(UsageError) as caught:
        sql.query("SELECT * FROM returns_raw_rat")
    assert caught.value.fix and DATASET in caught.value.fix
    with pytest.raises(UsageError, match="nope"):
        sql.query("SELECT nope FROM bars")
    with pytest.raises(UsageError, match="syntax"):
        sql.query("SELEC 1")


_SCRIPT = """
import sys
sys.modules["pyarrow"] = None
from pathlib import Path
from bqx.store.manifest import Manifest
from bqx.store.sql import Sql
root = Path(sys.argv[1])
print(Sql(root, Manifest(root / "manifest.sqlite")).query("SELECT count(*) AS n FROM bars")["n"][0])
"""


def test_without_pyarrow_and_without_noise_at_the_end(sql: Sql, store) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(store.root)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("200", "")
