"""A stage is refused, built, proved and reported; whatever goes wrong, nothing is marked and running again goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from bqx.base.errors import LeaseError, ReportError, StageBlocked, StageFailed, TrackerDrift, UsageError
from bqx.base.faults import FAULT_POINTS
from bqx.base.provenance import Number, Source
from bqx.base.report import Badge, KeyValues, Report, Table
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.cli.main import main
from bqx.ops.plan.read import load_plan
from bqx.ops.stages.board import make_board
from bqx.ops.stages.facts import How
from bqx.ops.stages.gaps import find_gaps
from bqx.ops.stages.models import read_model, record_model
from bqx.ops.stages.publish import publish, verify_report
from bqx.ops.stages.register import add_file
from bqx.ops.stages.report import stage_report
from bqx.ops.stages.run import Outcome, run_stage
from bqx.ops.stages.state import Evidence, PlanState

Opened = Callable[[Path], tuple[Project, PlanState]]
PLAN = load_plan()
WORKER = Path(__file__).with_name("stage_worker.py")
SOURCE = Path(__file__).parents[2] / "src"


def latest(state: PlanState, stage: str) -> Evidence:
    return state.evidence(stage)[-1]


def test_what_the_runs_came_to(staged: Path, outcomes: dict[str, Outcome], opened: Opened) -> None:
    project, state = opened(staged)
    assert {n: o.status for n, o in outcomes.items()} == {
        "1.6.9": "passed", "1.8.1": "passed", "1.7.3": "passed", "1.6.16": "not computable",
    }  # fmt: skip
    assert len(outcomes["1.6.9"].unblocked) == 19
    board = make_board(project, PLAN, state)
    assert (board["1.7.3"].status, board["1.7.3"].mark) == ("validated", "done")
    assert (board["1.6.16"].status, board["1.6.16"].mark) == ("schema", "not computable")
    assert board["1.6.16"].reasons == ("28 of 28 columns have no value: panel",)
    assert (board["1.6.10"].status, board["1.6.10"].mark) == ("defined", "ready")
    assert board["2"].mark == "blocked"
    assert board["3.1.1"].mark == "blocked"
    assert not any(is_open for _, is_open in board.blockers)
    held = {info.key.dataset for info in project.store.partitions()}
    assert held == {"time_dual", "returns_raw_rate", "returns_raw_bqx", "returns_std_rate", "returns_std_bqx",
                    "correlation_rate"}, "exactly the stages' datasets"  # fmt: skip


def test_evidence_equals_an_independent_count(staged: Path, opened: Opened) -> None:
    """Of the files on disk, by DuckDB alone: no view, no manifest count, no coverage."""
    project, state = opened(staged)
    content = latest(state, "1.7.3").content
    compared = 0
    for row in content["tables"]["columns"]:
        paths = [str(project.root / p.path) for i in project.store.partitions(dataset=row["dataset"]) for p in i.pieces]
        assert len(paths) == 6
        found = duckdb.sql(f'SELECT count(*), count("{row["column"]}") FROM read_parquet({paths})').fetchall()[0]
        assert found == (row["rows"], row["present"]) == (row["rows"], row["sql"])
        compared += row["present"]
    assert len(content["tables"]["columns"]) == 56
    assert compared == content["total"]["present"] > 1_000_000


def test_a_stage_is_refused_before_its_gate(unstaged: Path, opened: Opened) -> None:
    project, state = opened(unstaged)
    with pytest.raises(StageBlocked, match=r"stage 1\.6\.9 is defined, not validated; blocker legacy-names \(L1"):
        run_stage(project, PLAN, state, "1.8.1")
    with pytest.raises(StageBlocked, match=r"stage 1\.6\.9a is defined"):
        run_stage(project, PLAN, state, "2")
    with pytest.raises(UsageError, match=r"no stage '1\.6\.99'"):
        run_stage(project, PLAN, state, "1.6.99")
    assert state.runs() == []
    assert state.evidence() == []
    assert project.store.partitions() == []


def test_a_stale_plan_runs_nothing(staged: Path, opened: Opened) -> None:
    project, state = opened(staged)
    before = state.evidence()
    with pytest.raises(StageBlocked, match="the plan is stale: made from catalogue other"):
        run_stage(project, replace(PLAN, catalogue="other"), state, "1.8.3")
    assert state.evidence() == before


def test_a_projects_own_blocker(staged: Path, opened: Opened, tmp_path: Path) -> None:
    project, state = opened(staged)
    path = tmp_path / "ours.yaml"
    row = "severity: L2, stages: ['1.8.[23]'], reason: no quotes yet, owner: me, opened: 2026-01-02"
    path.write_text(
        f"blockers:\n- {{id: quotes, {row}, exit: bars nzdchf}}\n- {{id: bars, {row}, exit: bars eurusd}}\n"
    )
    assert add_file(PLAN, state, path) == {"blocker": ["quotes", "bars"]}
    with pytest.raises(
        StageBlocked, match=r"blocker quotes \(L2, me\): no quotes yet; open until bars nzdchf"
    ) as caught:
        run_stage(project, PLAN, state, "1.8.3")
    assert "blocker bars" not in caught.value.what, "its criterion held, so it was closed on the way"
    assert set(state.closings()) == {"legacy-names", "bars"}
    assert make_board(project, PLAN, state)["1.8.3"].mark == "blocked"
    with pytest.raises(UsageError, match="exists already"):
        add_file(PLAN, state, path)


def test_a_tracker_that_says_otherwise_stops_a_run(staged: Path, opened: Opened) -> None:
    project, state = opened(staged)
    path = project.root / "tracker" / "records.json"
    data = json.loads(path.read_text())
    record = next(r for r in data["records"] if r["code"] == "1.8.3")
    assert {r["code"]: r["status"] for r in data["records"]}["1.7.3"] == "validated"
    record["status"] = "validated"
    path.write_text(json.dumps(data))
    with pytest.raises(TrackerDrift, match=r"1\.8\.3 status: plan 'defined', tracker 'validated'"):
        run_stage(project, PLAN, state, "1.8.3")
    assert state.evidence("1.8.3") == []
    assert state.runs("1.8.3") == []


def test_a_report_waits_while_the_tracker_differs(staged: Path, opened: Opened) -> None:
    project, state = opened(staged)
    path = project.root / "tracker" / "records.json"
    text = path.read_text()
    assert '"in model"' not in text
    path.write_text(
        re.sub(r'("code": "1\.7\.3",.*?"status": )"validated"', r'\1"in model"', text, count=1, flags=re.DOTALL)
    )
    said, reason, _ = publish(project, PLAN, state, latest(state, "1.7.3"))
    assert said == "verified"
    assert reason.startswith("the tracker differs: 1.7.3 status: plan 'validated', tracker 'in model'")
    path.write_text(text)
    assert publish(project, PLAN, state, latest(state, "1.7.3"))[0] == "published"


def _damage_counts(project: Project) -> Callable[[], object]:
    """The manifest claims one NULL fewer of a column."""
    with project.manifest.transaction() as con:
        key, seq, text = con.execute(
            "SELECT p.generation_id, p.seq, p.null_counts FROM piece p JOIN generation g ON g.id = p.generation_id "
            "JOIN partition q ON q.id = g.partition_id JOIN dataset d ON d.id = q.dataset_id "
            "WHERE d.name = 'ohlc_rate' AND q.pair = 'gbpusd' AND q.ym = '2024_06'"
        ).fetchone()
        counts = json.loads(text)
        name = max(counts, key=lambda c: counts[c])
        counts[name] -= 1
        _write_counts(con, json.dumps(counts), key, seq)

    def mend() -> None:
        with project.manifest.transaction() as con:
            _write_counts(con, text, key, seq)

    return mend


def _write_counts(con: sqlite3.Connection, text: str, key: int, seq: int) -> None:
    con.execute("UPDATE piece SET null_counts = ? WHERE generation_id = ? AND seq = ?", (text, key, seq))


def _rebuild(project: Project) -> Callable[[], object]:
    return lambda: build(project, Choice(datasets=("ohlc_rate",)), force=True)


def _damage_file(project: Project) -> Callable[[], object]:
    """A value of a file becomes NULL; the manifest knows nothing of it."""
    piece = next(i for i in project.store.partitions(dataset="ohlc_rate") if i.key.ym == "2024_07").pieces[0]
    table = pl.read_parquet(project.root / piece.path)
    name = table.columns[3]
    holed = pl.when(pl.int_range(pl.len()) == 77).then(None).otherwise(pl.col(name)).alias(name)
    table.with_columns(holed).write_parquet(project.root / piece.path)
    return _rebuild(project)


def _damage_bytes(project: Project) -> Callable[[], object]:
    """The same values in other bytes."""
    piece = next(i for i in project.store.partitions(dataset="ohlc_rate") if i.key.ym == "2024_07").pieces[0]
    pl.read_parquet(project.root / piece.path).write_parquet(project.root / piece.path, compression="zstd")
    return _rebuild(project)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_damage_counts, "1 values more than calendar and bars allow"),
        (_damage_file, "non-NULL values by the manifest and by SQL"),
        (_damage_bytes, "files whose bytes are those that were committed: 5 instead of 6"),
    ],
)
def test_a_failing_verification_marks_nothing(
    staged: Path, opened: Opened, damage: Callable[[Project], Callable[[], object]], says: str
) -> None:
    project, state = opened(staged)
    build(project, Choice(datasets=("ohlc_rate",)))
    mend = damage(project)
    with pytest.raises(StageFailed, match=says):
        run_stage(project, PLAN, state, "1.8.3")
    board = make_board(project, PLAN, state)
    assert (board["1.8.3"].status, board["1.8.3"].mark) == ("populated", "failed")
    assert state.runs("1.8.3")[-1].status == "failed"
    assert says.split(":")[0] in state.runs("1.8.3")[-1].reason
    assert "validated" not in {e.level for e in state.evidence("1.8.3")}
    mend()
    assert run_stage(project, PLAN, state, "1.8.3").status == "passed"
    assert make_board(project, PLAN, state)["1.8.3"].mark == "done"


@pytest.mark.parametrize("point", ["after-fsync:2", "before-commit:4", "after-commit:4"])
def test_killed_in_mid_stage_and_run_again(staged: Path, opened: Opened, point: str) -> None:
    """The build commits twice or so (a month each) and once more for what it keeps; the last commit is the evidence."""
    assert point.partition(":")[0] in FAULT_POINTS
    project, state = opened(staged)
    killed = subprocess.run(
        [sys.executable, str(WORKER), str(project.root), "1.8.3"],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "BQX_FAULT": point}, timeout=120,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    concluded = "validated" in {e.level for e in state.evidence("1.8.3")}
    assert concluded == (point == "after-commit:4"), "the evidence is there when its transaction was, else not"
    if not concluded:
        assert state.runs("1.8.3")[-1].status == "killed"
        assert make_board(project, PLAN, state)["1.8.3"].mark == "failed"
    outcome = run_stage(project, PLAN, state, "1.8.3")
    assert outcome.status == ("fresh" if concluded else "passed")
    assert outcome.report[0] == "published"
    assert {r.status for r in state.runs("1.8.3")} == ({"passed"} if concluded else {"killed", "passed"})
    assert make_board(project, PLAN, state)["1.8.3"].mark == "done"


def test_two_runs_at_once(staged: Path, opened: Opened) -> None:
    project, state = opened(staged)
    run = state.begin("1.8.2", "v3.0")
    with pytest.raises(LeaseError, match=f"another stage runs in this project: .*process {os.getpid()}"):
        run_stage(project, PLAN, state, "1.8.3")
    assert make_board(project, PLAN, state)["1.8.2"].mark == "running"
    state.end(run, "interrupted")


def test_evidence_does_not_outlive_what_it_speaks_of(staged: Path, opened: Opened) -> None:
    project, state = opened(staged)
    keys = [i.key for i in project.store.partitions(dataset="time_dual")]
    project.store.drop(keys[:1])
    board = make_board(project, PLAN, state)
    assert (board["1.8.1"].status, board["1.8.1"].mark) == ("schema", "stale")
    assert "other partitions than the store holds now" in board["1.8.1"].reasons[0]
    assert board["1.7.3"].mark == "done"
    gaps = {(g.stage, g.kind) for g in find_gaps(project, board).gaps}
    assert {("1.8.1", "missing partitions"), ("1.8.1", "stale")} <= gaps
    assert run_stage(project, PLAN, state, "1.8.1").status == "passed"


def test_evidence_is_fresh_until_there_are_more_bars(staged: Path, opened: Opened) -> None:
    from bqx.market.simulated import simulate, simulated_source

    project, state = opened(staged)
    first = run_stage(project, PLAN, state, "1.8.1")
    assert (first.status, first.evidence) == ("fresh", latest(state, "1.8.1").id)
    later = project.bars.spans()["eurusd"][1] + 3 * 1440
    for pair, frame in simulate(
        project.calendar, later, later + 1440, seed=8, pairs=project.pairs, origin_minute=later
    ).items():
        project.bars.ingest(pair, frame, simulated_source(8, origin_minute=later))
    again = run_stage(project, PLAN, state, "1.8.1")
    assert again.status == "passed"
    assert again.evidence > first.evidence


def test_months_can_be_chosen(staged: Path, opened: Opened) -> None:
    project, state = opened(staged)
    run_stage(project, PLAN, state, "1.8.3", How(first="2024_07", last="2024_07"))
    assert latest(state, "1.8.3").content["scope"] == {
        "pairs": list(project.pairs),
        "first": "2024_07",
        "last": "2024_07",
    }
    found = find_gaps(project, make_board(project, PLAN, state))
    assert [g.what for g in found.gaps if (g.stage, g.kind) == ("1.8.3", "months without evidence")] == [
        "1 months with bars are outside 2024_07 to 2024_07"
    ]
    assert run_stage(project, PLAN, state, "1.8.3").status == "passed", (
        "what is asked for is more than the evidence has"
    )


def test_old_names_hold_the_first_stage_back(unstaged: Path, opened: Opened) -> None:
    project, state = opened(unstaged)
    (project.root / "lake" / "statistics_features").mkdir(parents=True)
    with pytest.raises(StageFailed, match=r"names of the old convention: statistics_features: 1 instead of 0"):
        run_stage(project, PLAN, state, "1.6.9")
    assert make_board(project, PLAN, state)["1.6.9"].mark == "failed"
    (project.root / "lake" / "statistics_features").rmdir()
    assert run_stage(project, PLAN, state, "1.6.9").status == "passed"


def _forms(evidence: Evidence, when: datetime) -> list[str]:
    report = stage_report(evidence)
    report.made_at = when
    return [report.markdown(), report.html(), json.dumps(report.as_dict(), sort_keys=True)]


def test_a_report_made_later_differs_by_its_date_only(staged: Path, opened: Opened, tmp_path: Path) -> None:
    project, state = opened(staged)
    now = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    before = {n: _forms(latest(state, n), now) for n in ("1.6.9", "1.7.3", "1.6.16")}
    path = tmp_path / "more.yaml"
    path.write_text("lessons:\n- {id: new, text: Learned later, practice: p, kind: well}\n")
    add_file(PLAN, state, path)
    run_stage(project, PLAN, state, "1.8.3")
    kept = {n: next(e for e in state.evidence(n) if "context" in e.content) for n in before}
    assert {n: _forms(e, now) for n, e in kept.items()} == before
    later = _forms(kept["1.7.3"], now + timedelta(days=400))
    for old, new in zip(before["1.7.3"], later, strict=True):
        differ = [a for a, b in zip(old.splitlines(), new.splitlines(), strict=True) if a != b]
        assert len(differ) == 1
        assert "2026-01-02" in differ[0]
    assert "Learned later" in stage_report(latest(state, "1.8.3")).markdown()


def test_the_report_has_the_seeds_sections(staged: Path, opened: Opened) -> None:
    project, state = opened(staged)
    text = (project.root / "reports" / "stages" / "stage-1-7-3.md").read_text()
    for section in ("Summary", "Details", "Convention", "Verification", "Context", "Documents and tracker", "Security",
                    "Unblocked work", "Count validation", "Next steps", "Risks", "Lessons", "Conclusion",
                    "Machine copy"):  # fmt: skip
        assert f"\n## {section}\n" in text, section
    assert "SIMULATED DATA" in text
    assert "phase3-v3" in text
    first = (project.root / "reports" / "stages" / "stage-1-6-9.md").read_text()
    assert "136" in first.partition("## Next steps")[2]
    rows = [
        line
        for line in first.partition("Stages that this one unblocked")[2].splitlines()
        if line.startswith("| stage ")
    ]
    assert "| total |" in first
    assert len(rows) >= 19
    data = json.loads((project.root / "reports" / "stages" / "stage-1-7-3.json").read_text())
    assert data["run_id"] == latest(state, "1.7.3").run_id


def _altered(evidence: Evidence, change: Callable[[dict], None]) -> Evidence:
    content = json.loads(evidence.text)
    change(content)
    return replace(evidence, text=json.dumps(content))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c["total"].update(present=c["total"]["present"] + 1), "add up to"),
        (lambda c: c["tables"]["datasets"][0].update(partitions=99), "partitions: the 4 parts add up to"),
        (lambda c: c["tables"]["columns"][5].update(gap=c["tables"]["columns"][5]["gap"] + 3), "add up to"),
        (lambda c: c["checks"][2].update(observed=1), "rows of these partitions.*add up to 1"),
        (lambda c: c["context"]["domains"][0].update(features=57), "features of all domains"),
        (lambda c: c.update(checks=[]), "declares no assertion"),
    ],
)
def test_sums_that_fail_keep_a_report_back(
    staged: Path, opened: Opened, change: Callable[[dict], None], says: str
) -> None:
    project, state = opened(staged)
    bad = _altered(latest(state, "1.7.3"), change)
    with pytest.raises(ReportError, match=says):
        stage_report(bad)
    path = project.root / "reports" / "stages" / "stage-1-7-3.html"
    old = path.read_bytes()
    said, reason, _ = publish(project, PLAN, state, bad)
    assert said == "draft"
    assert re.search(says, reason)
    assert path.read_bytes() == old


@pytest.mark.parametrize("cell", [7, 3.5, "1,456", "100 %", "-2e3", Badge("12"), Number(7, "", Source("run", ""))])
def test_a_number_without_provenance_keeps_a_report_back(cell: object) -> None:
    for block in (Table(["a", "b"], [["x", cell]], "t"), KeyValues([("k", cell)])):  # type: ignore[list-item]
        with pytest.raises(ReportError, match=r"without provenance|no source"):
            verify_report(Report("r").add(block))
    verify_report(Report("r").add(Table(["a"], [["1.6.10"], ["2024_07"], [Number(7, "", Source("run", "counted"))]])))


def test_commands(staged: Path, opened: Opened, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    project, _ = opened(staged)

    def bqx(*args: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["-C", str(project.root), "stage", *args])
        except SystemExit as done:
            code = int(str(done.code or 0))
        return code, *capsys.readouterr()

    data = json.loads(bqx("list", "--json")[1])
    assert {s["id"]: s["status"] for s in data["stages"]}["1.7.3"] == "validated"
    assert len(data["stages"]) == 21
    assert "not computable: 28 of 28 columns have no value: panel" in bqx("list")[1]
    assert json.loads(bqx("show", "1.7.3", "--json")[1])["evidence_history"][-1]["report"][0] == "published"
    assert json.loads(bqx("graph", "--json")[1])["critical_path"][-1] == "1.7.1"
    assert len(json.loads(bqx("totals", "--json")[1])) == 30
    assert "228      1,080  +374 % (x4.7)" in bqx("diff", "v2.0", "v3.0")[1]
    gaps = json.loads(bqx("gaps", "--json")[1])
    assert sum(gaps["columns_by_stage"].values()) == sum(gaps["columns_by_status"].values()) == 1264
    lacking = {"weight": "gap", "stage": "1.6.16", "kind": "not computable"}
    assert {**lacking, "what": "28 of 28 columns have no value: panel"} in gaps["gaps"]
    code, _, err = bqx("run", "2", "--json")
    assert code == 7
    assert json.loads(err.splitlines()[-1])["error"]["code"] == "BQX702"
    assert bqx("run")[0] == 2
    dry = json.loads(bqx("run", "1.8.3", "2", "--dry-run", "--json")[1])
    assert dry[0]["partitions"] == 6
    assert dry[1]["obstacles"]
    assert json.loads(bqx("run", "1.8.1", "--json")[1])["outcomes"][0]["status"] == "fresh"
    assert bqx("report", "1.7.3", "--out", str(tmp_path / "out"))[0] == 0
    assert {p.suffix for p in (tmp_path / "out").iterdir()} == {".html", ".md", ".json"}
    assert bqx("report", "1.6.10")[0] == 2
    assert bqx("graph", "--svg", str(tmp_path / "g.svg"))[0] == 0
    assert (tmp_path / "g.svg").read_text().startswith("<svg")


def test_in_model_is_evidence_too(staged: Path, opened: Opened, tmp_path: Path) -> None:
    project, state = opened(staged)
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"model": "m1", "columns": ["returns_raw_rate.ret_1", "time_dual.hour_sin", "rsi_7"]}))
    with pytest.raises(UsageError, match="column 'rsi_7' is in 2 datasets"):
        record_model(project, PLAN, state, *read_model(path))
    with pytest.raises(StageBlocked, match=r"stage 1\.6\.10 is defined"):
        record_model(project, PLAN, state, "m1", ["returns_raw_rate.ret_1", "technical_rate.rsi_7"])
    assert "in model" not in {e.level for e in state.evidence()}
    names = [
        "returns_raw_rate.ret_1",
        "returns_raw_rate.ret_1.lag5",
        f"time_dual.{project.catalogue['time_dual'].columns[0].name}",
    ]
    assert set(record_model(project, PLAN, state, "m1", names)) == {"1.7.3", "1.8.1"}
    board = make_board(project, PLAN, state)
    assert {board[n].status for n in ("1.7.3", "1.8.1")} == {"in model"}
    assert board["1.7.3"].validated
    project.store.drop([i.key for i in project.store.partitions(dataset="time_dual")][:1])
    assert make_board(project, PLAN, state)["1.8.1"].status == "schema", "it rests on partitions as all evidence does"
    with pytest.raises(UsageError, match="not a model's description"):
        read_model(tmp_path / "none.json")


def test_a_pair_without_bars_is_not_done(unstaged: Path, opened: Opened) -> None:
    first, state = opened(unstaged)
    path = first.root / "bqx.toml"
    text = path.read_text()
    assert '"eurusd"' in text
    path.write_text(text.replace('"eurusd"', '"audusd", "eurusd"', 1))
    project = Project.open(first.root)
    run_stage(project, PLAN, state, "1.6.9")
    outcome = run_stage(project, PLAN, state, "1.8.1")
    assert (outcome.status, outcome.reasons, outcome.report[0]) == (
        "not computable",
        ("no bars of audusd",),
        "published",
    )
    assert make_board(project, PLAN, state)["1.8.1"].reasons == ("no bars of audusd",)
    assert "There are no bars of audusd." in stage_report(latest(state, "1.8.1")).markdown()
    project.close()
