"""`bqx store` and `bqx query` as a user meets them: output, files, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bqx.build.lease import Lease
from bqx.build.project import Project
from bqx.cli.main import main
from bqx.market.calendar import month_span
from bqx.store.partition import PartitionKey

JULY, AUGUST = month_span("2024_07")[0], month_span("2024_08")[0]


def table(start: int, rows: int, seed: int = 0) -> pl.DataFrame:
    minutes = start + np.arange(rows, dtype=np.int64)
    values = np.random.default_rng(seed).normal(size=rows).astype(np.float32)
    stamps = pl.Series(minutes * 60_000_000).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"ts_utc": stamps, "ret_1": values})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "p", pairs=("eurusd", "gbpusd"))
    options = {"input_hash": "i", "code_version": "1", "simulated": False}
    for seed in (1, 2, 3):
        made.store.commit(
            [
                made.store.stage(
                    PartitionKey("returns_raw_rate", pair, "2024_07"),
                    table(JULY, 100, seed),
                    complete_through=AUGUST - 1,
                    **options,
                )
                for pair in made.pairs
            ]
        )
    tail = {pair: table(AUGUST, 3) for pair in made.pairs}
    made.store.commit(made.store.stage_tail("returns_raw_rate", tail, complete_through=AUGUST + 2, **options))
    return made


def run(project: Project, *args: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        main(["-C", str(project.root), *args])
        code = 0
    except SystemExit as done:
        code = int(done.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def files(project: Project) -> set[Path]:
    return set((project.root / "lake").rglob("*.parquet"))


def test_gc(project: Project, capsys) -> None:
    before = files(project)
    code, out, _ = run(project, "store", "gc", "--dry-run", "--json", capsys=capsys)
    plan = json.loads(out)
    assert (code, plan["generations"], len(plan["files"]), plan["dry_run"]) == (0, 2, 2, True)
    assert files(project) == before
    code, out, _ = run(project, "store", "gc", "--keep", "0", capsys=capsys)
    assert code == 0 and "freed" in out and "4 generations, 4 files" in out
    assert len(files(project)) == len(before) - 4
    assert project.store.verify(deep=True) == []


def test_drop_needs_yes(project: Project, capsys) -> None:
    month = ("store", "drop", "--month", "2024_07", "--pair", "eurusd")
    code, _, err = run(project, *month, capsys=capsys)
    assert code == 2 and "1 partitions would be dropped" in err and "--yes" in err
    assert len(project.store.partitions()) == 4
    code, out, _ = run(project, *month, "--dry-run", capsys=capsys)
    assert code == 0 and "would drop 1 partitions, 100 rows" in out
    assert len(project.store.partitions()) == 4
    code, out, _ = run(project, *month, "--yes", "--json", capsys=capsys)
    assert code == 0 and json.loads(out)["dropped"] == ["returns_raw_rate_eurusd_2024_07"]
    assert len(project.store.partitions()) == 3
    code, _, err = run(project, "store", "drop", "--yes", capsys=capsys)
    assert code == 2 and "nothing was named" in err
    name = "returns_raw_rate_gbpusd_2024_08"
    assert run(project, "store", "drop", "--partition", name, "--yes", capsys=capsys)[0] == 0
    code, _, err = run(project, "store", "drop", "--partition", name, "--yes", capsys=capsys)
    assert code == 6 and name in err


def test_compact(project: Project, capsys) -> None:
    before = project.store.read("returns_raw_rate").collect()
    code, out, _ = run(project, "store", "compact", "--dry-run", capsys=capsys)
    assert code == 0 and "would fold 2 pieces of 2 partitions" in out
    assert run(project, "store", "compact", capsys=capsys)[0] == 0
    assert {piece.kind for info in project.store.partitions() for piece in info.pieces} == {"month"}
    assert project.store.read("returns_raw_rate").collect().equals(before)


def test_another_run_holds_the_project(project: Project, capsys) -> None:
    with Lease(project.manifest, "run-other"):
        for verb in (("gc",), ("compact",), ("drop", "--month", "2024_07", "--yes")):
            code, _, err = run(project, "store", *verb, capsys=capsys)
            assert code == 7 and "run-other" in err
        assert run(project, "store", "gc", "--dry-run", capsys=capsys)[0] == 0


def test_query_formats(project: Project, capsys, tmp_path: Path) -> None:
    sql = "SELECT pair, count(*) AS n, max(ts_utc) AS last FROM returns_raw_rate GROUP BY pair ORDER BY pair"
    code, out, _ = run(project, "query", sql, capsys=capsys)
    assert code == 0 and "eurusd" in out and "2 rows" in out
    code, out, _ = run(project, "query", sql, "--format", "csv", capsys=capsys)
    assert out.splitlines()[0] == "pair,n,last" and out.splitlines()[1].startswith("eurusd,103,2024-08-01T00:02")
    code, out, _ = run(project, "query", sql, "--json", capsys=capsys)
    assert json.loads(out)[1] == {"pair": "gbpusd", "n": 103, "last": "2024-08-01T00:02:00Z"}
    target = tmp_path / "out.parquet"
    code, out, _ = run(project, "query", "FROM returns_raw_rate", "-o", str(target), "--limit", "50", capsys=capsys)
    assert code == 0 and pl.read_parquet(target).height == 50
    code, _, err = run(project, "query", sql, "--format", "parquet", capsys=capsys)
    assert code == 2 and "-o" in err
    code, out, _ = run(project, "query", "SELECT 'nan'::FLOAT AS a, NULL AS b, [1.5] AS c", "--json", capsys=capsys)
    assert json.loads(out) == [{"a": "nan", "b": None, "c": [1.5]}]


def test_query_as_of(project: Project, capsys) -> None:
    first = project.store.partitions(as_of=project.snapshot())[0]
    with project.manifest.connection() as con:
        times = [row[0] for row in con.execute("SELECT known_at FROM change ORDER BY known_at")]
    sql = "SELECT count(*) AS n, avg(ret_1) AS a FROM returns_raw_rate"
    seen = []
    for known in times:
        when = datetime.fromtimestamp(known // 1_000_000, UTC).replace(microsecond=known % 1_000_000).isoformat()
        seen.append(json.loads(run(project, "query", sql, "--as-of", when, "--json", capsys=capsys)[1])[0])
    assert [row["n"] for row in seen] == [200, 200, 200, 206]
    assert len({row["a"] for row in seen[:3]}) == 3
    assert first.known_from == times[2]
    code, _, err = run(project, "query", sql, "--as-of", "2001-01-01", capsys=capsys)
    assert code == 2 and "does not exist" in err
    assert run(project, "query", sql, "--as-of", "yesterday", capsys=capsys)[0] == 2


@pytest.mark.parametrize(
    "sql", ["COPY (SELECT 1) TO 'x.csv'", "SELECT * FROM read_text('/etc/hostname')", "DROP TABLE x"]
)
def test_query_changes_and_reads_nothing_else(project: Project, capsys, sql: str) -> None:
    code, out, err = run(project, "query", sql, capsys=capsys)
    assert (code, out) == (2, "") and "BQX002" in err


def test_errors_as_json_and_no_project(project: Project, capsys, tmp_path: Path) -> None:
    code, _, err = run(project, "query", "SELECT * FROM nothing", "--json", capsys=capsys)
    assert code == 2 and json.loads(err)["error"]["code"] == "BQX002"
    with pytest.raises(SystemExit) as done:
        main(["-C", str(tmp_path), "query", "SELECT 1"])
    assert done.value.code == 3


def test_as_a_process_stderr_is_quiet(project: Project) -> None:
    command = [
        sys.executable,
        "-m",
        "bqx",
        "-C",
        str(project.root),
        "query",
        "SELECT count(*) AS n FROM returns_raw_rate",
    ]
    if not (Path(__file__).parents[2] / "src/bqx/__main__.py").exists():
        command[1:3] = ["-c", "from bqx.cli.main import main; main()"]
    done = subprocess.run(
        [*command, "--format", "csv"], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("n\n206\n", "")
