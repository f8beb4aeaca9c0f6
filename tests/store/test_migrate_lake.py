"""The same verbs over the lake's datasets: one transaction of the manifest, files untouched, and the way back."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest
import store_tables as tables

from bqx.base.errors import MigrationConflict, PreflightError, VerificationError
from bqx.store.lake import Lake
from bqx.store.manifest import Manifest
from bqx.store.migrate.lake import apply, gather, plan, status
from bqx.store.migrate.lake_verify import verify
from bqx.store.migrate.plan import Plan
from bqx.store.migrate.report import make_report
from bqx.store.migrate.spec import Spec, parse_spec

SPEC = """
migration: words
target: lake
places: {family: [returns_raw, base]}
rules: [{from: "{family}_rate", to: "{family}_dual"}]
"""


def spec(more: str = "") -> Spec:
    return parse_spec(SPEC + more)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path, Manifest(tmp_path / "manifest.sqlite"))
    for dataset in ("returns_raw_rate", "base_rate", "time_dual"):
        made.commit(
            [tables.stage(made, dataset, pair, ym) for pair in ("eurusd", "usdjpy") for ym in ("2024_07", "2024_08")]
        )
    return made


def files(lake: Lake) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in (lake.root / "lake").rglob("*.parquet")}


def contents(lake: Lake) -> dict[str, str]:
    return {i.name: i.content_hash for i in lake.partitions()}


def test_there_and_back(lake: Lake, tmp_path: Path) -> None:
    before, bytes_before = contents(lake), files(lake)
    made = plan(lake.manifest, spec("expect: {total: 2}\n"))
    assert [(s.old, s.new) for s in made.pending] == [
        ("base_rate", "base_dual"),
        ("returns_raw_rate", "returns_raw_dual"),
    ]
    dry = apply(lake, made, dry_run=True)
    assert not dry.applied and contents(lake) == before
    done = apply(lake, made)
    assert done.applied and done.verified is not None
    assert {c.id: c.passed for c in done.verified.checks} == {f"V{n}": None if n == 6 else True for n in range(1, 10)}
    assert contents(lake) == {
        n.replace("raw_rate", "raw_dual").replace("base_rate", "base_dual"): h for n, h in before.items()
    }
    assert files(lake) == bytes_before
    assert lake.read("returns_raw_dual").collect().height == 4 * 300
    assert apply(lake, made).nothing and plan(lake.manifest, made.spec).pending == ()
    assert status(lake.manifest, made).state == "applied"
    text = make_report(gather(lake.manifest, made)).markdown()
    assert "| Total | 2 |" in text and "| 2,400 | 2,400 |" in text
    back = apply(lake, made, back=True)
    assert back.applied and contents(lake) == before and status(lake.manifest, made).state == "rolled back"
    assert "rolled back" in make_report(gather(lake.manifest, made)).markdown()
    assert apply(lake, Plan.parse(made.text())).applied, "and again"


def test_what_stands_in_the_way(lake: Lake) -> None:
    lake.commit([tables.stage(lake, "base_dual", "eurusd", "2024_07")])
    made = plan(lake.manifest, spec())
    assert made.count("conflict") == 1
    with pytest.raises(MigrationConflict, match="that dataset exists"):
        apply(lake, made)
    empty = plan(
        lake.manifest, parse_spec(SPEC.replace("words", "other").replace("base]", "time]") + "expect: {total: 3}\n")
    )
    with pytest.raises(PreflightError, match="expected 3"):
        apply(lake, empty)
    assert "base_rate_eurusd_2024_07" in contents(lake)


def test_a_dataset_that_came_since(lake: Lake) -> None:
    made = plan(lake.manifest, parse_spec(SPEC.replace("base]", "base, late]")))
    lake.commit([tables.stage(lake, "late_rate", "eurusd", "2024_07")])
    with pytest.raises(MigrationConflict, match="late_rate is new"):
        apply(lake, made)


def test_a_name_no_dataset_can_have(lake: Lake) -> None:
    made = plan(lake.manifest, parse_spec(SPEC.replace('to: "{family}_dual"', 'to: "{family}_features"')))
    with pytest.raises(MigrationConflict, match="not a dataset name"):
        apply(lake, made)


@pytest.mark.parametrize(("point", "applied"), [("before-commit:1", False), ("after-commit:1", True)])
def test_killed_around_the_commit(lake: Lake, point: str, applied: bool) -> None:
    before, made = contents(lake), plan(lake.manifest, spec())
    lake.manifest.close()
    child = os.fork()
    if child == 0:
        os.environ["BQX_FAULT"] = point
        apply(Lake(lake.root, Manifest(lake.root / "manifest.sqlite")), made)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert (contents(lake) != before) == applied
    assert status(lake.manifest, made).state == ("applied" if applied else "interrupted")
    assert apply(lake, made).nothing == applied
    assert status(lake.manifest, made).state == "applied"


def test_verification_can_fail(lake: Lake) -> None:
    made = plan(lake.manifest, spec())
    apply(lake, made)
    lake.commit([tables.stage(lake, "base_dual", "eurusd", "2024_07", seed=9)])
    found = {c.id: c.passed for c in verify(lake, made, plan(lake.manifest, made.spec)).checks}
    assert (found["V1"], found["V2"]) == (False, True)
    from bqx.store.migrate.checks import demand

    with pytest.raises(VerificationError, match="V1"):
        demand(verify(lake, made, plan(lake.manifest, made.spec)).checks)


def test_the_ledger_only_grows(lake: Lake) -> None:
    apply(lake, plan(lake.manifest, spec()))
    for statement in ("DELETE FROM migration", "UPDATE migration SET kind = 'x'"):
        with lake.manifest.connection() as con, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            con.execute(statement)
