"""Catalogue snapshots: kept at each build, exported, compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from small_project import PAIRS, fill

from bqx.base.errors import InputError, StoreError
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build, plan
from bqx.build.snapshot import Difference, built_snapshot, compare, keep, read_snapshot, take_snapshot
from bqx.cli.main import root
from bqx.features import catalogue
from bqx.features.declare import F8, Dataset
from bqx.features.streams import Streams

HOME = catalogue.own_datasets()["returns_raw_rate"]
TIME = catalogue.own_datasets()["time_dual"]
CHOICE = Choice(datasets=("returns_raw_rate", "time_dual"), pairs=PAIRS[:1])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, bars: dict[str, pl.DataFrame]) -> Iterator[Project]:
    made = fill(Project.create(tmp_path_factory.mktemp("snapshot") / "p", pairs=PAIRS[:1]), {PAIRS[0]: bars[PAIRS[0]]})
    with pytest.raises(StoreError, match="nothing is built"):
        built_snapshot(made)
    assert build(made, CHOICE, threads=1).failures == []
    yield made
    made.close()


def changed() -> Dataset:
    """Another formula for ret_1, ret_2 gone, a new name for ret_3, the version raised."""
    one, _, three, *rest = HOME.columns
    other = (replace(one, formula="(y(t) - y(t-1)) / 2", unit="half bps"), replace(three, name="ret_three"), *rest)
    return replace(HOME, columns=other, version=HOME.version + 1)


def test_what_was_built_is_what_was_declared(project: Project) -> None:
    now = take_snapshot([HOME, TIME])
    assert built_snapshot(project)["datasets"] == now["datasets"]
    assert compare(built_snapshot(project), now) == []
    record = now["datasets"]["returns_raw_rate"]["columns"]["ret_60"]
    assert record["formula"] == HOME.by_name["ret_60"].formula
    with project.manifest.connection() as con:
        assert con.execute("SELECT count(*) FROM declaration").fetchone() == (2,)


def test_differences_name_fields_and_guess_nothing() -> None:
    old, new = take_snapshot([HOME, TIME]), take_snapshot([changed()])
    found = compare(old, new)
    at = {(d.dataset, d.column): d for d in found}
    assert len(at) == len(found)
    assert at["returns_raw_rate", None].fields["version"] == (HOME.version, HOME.version + 1)
    assert at["returns_raw_rate", None].fields["code_hash"][0] == HOME.code_hash
    assert at["returns_raw_rate", "ret_1"].what == "changed"
    assert at["returns_raw_rate", "ret_1"].fields == {
        "formula": (HOME.by_name["ret_1"].formula, "(y(t) - y(t-1)) / 2"),
        "unit": (HOME.by_name["ret_1"].unit, "half bps"),
    }
    assert [at["returns_raw_rate", c].what for c in ("ret_2", "ret_3", "ret_three")] == ["removed", "removed", "added"]
    assert at["time_dual", None] == Difference("time_dual", None, "removed", {})
    assert len(found) == 6
    assert {d.what for d in compare(new, old) if d.column is None} == {"changed", "added"}


def test_commands(project: Project, tmp_path: Path) -> None:
    def bqx(*arguments: str) -> Any:
        return CliRunner().invoke(root, ["-C", str(project.root), "features", *arguments])

    old = tmp_path / "old.json"
    ran = bqx("snapshot", "-o", str(old), "--built")
    assert (ran.exit_code, "2 datasets, 24 columns" in ran.output) == (0, True)
    data = json.loads(old.read_text())
    data["datasets"]["time_dual"]["columns"]["hour_sin"]["formula"] = "cos"
    del data["datasets"]["time_dual"]["columns"]["hour_cos"]
    old.write_text(json.dumps(data))
    ran = bqx("diff", str(old), "built")
    assert ran.exit_code == 0
    assert f"formula: cos -> {TIME.by_name['hour_sin'].formula}" in ran.output
    assert "added    time_dual.hour_cos" in ran.output
    assert "1 columns added, 1 columns changed" in ran.output
    assert "no difference" in bqx("diff").output, "built against now; what was never built is no news"
    found = json.loads(bqx("diff", str(old), "now", "--json").output)["differences"]
    assert {"dataset": "time_dual", "column": "hour_cos", "what": "added", "fields": {}} in found
    assert bqx("snapshot", "-o", str(tmp_path / "now.json")).exit_code == 0
    assert set(read_snapshot(tmp_path / "now.json")["datasets"]) == set(catalogue.datasets())


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, text in (("a.json", "{}"), ("b.json", "not json"), ("c.json", '{"format": 9, "datasets": {}}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError):
            read_snapshot(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_snapshot(tmp_path / "absent.json")


def test_a_raised_version_makes_partitions_stale(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next build remembers the new declaration beside the old one. Last here: it changes the project."""
    new = replace(changed(), compute=renamed)
    monkeypatch.setattr("bqx.build.project.datasets", lambda: {**catalogue.datasets(), HOME.name: new})
    todo, _ = plan(project, CHOICE)
    reasons = {(u.dataset, p.reason) for u in todo.units for p in u.pieces}
    assert reasons == {(HOME.name, "the code of the dataset changed")}
    old = take_snapshot([HOME, TIME])
    keep(project, [new])
    assert built_snapshot(project)["datasets"] == old["datasets"], "declared, but nothing is built from it"
    june = replace(CHOICE, last_month="2024_06")
    assert build(project, june, threads=1).failures == []
    assert built_snapshot(project)["datasets"] == take_snapshot([new, TIME])["datasets"], "the latest of two"
    assert {d.what for d in compare(old, built_snapshot(project))} == {"changed", "added", "removed"}


def renamed(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    old = {name: "ret_3" if name == "ret_three" else name for name in names}
    honest = HOME.compute(streams, list(old.values()))
    return {name: honest[old[name]] for name in names}
