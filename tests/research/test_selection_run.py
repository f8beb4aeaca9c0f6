"""Selection end to end on a dataset: command line, ledger, report, going on, comparing, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bqx.base.errors import LeakError, SealedError, SelectionError, UsageError, WorkerMismatch
from bqx.build.engines import map_units
from bqx.build.project import Project
from bqx.build.threads import Threads
from bqx.cli.main import root
from bqx.research.candidates import candidates
from bqx.research.dataset import Dataset
from bqx.research.leakage.result import LeakResult
from bqx.research.selection.comparators import NAMES, components, random_columns
from bqx.research.selection.judge import judge
from bqx.research.selection.options import Options
from bqx.research.selection.report import selection_report
from bqx.research.selection.run import done_folds, forecast, load_mask, open_selection, run_selection
from bqx.research.selection.unit import item_of
from bqx.research.trials import Trials

FEW = tuple(c for c in candidates() if c.lag == 0 and c.warmup < 3000)[:660:2]


@pytest.fixture(scope="module")
def few() -> Iterator[None]:
    """330 of the candidates, so that a selection of 250 takes seconds."""
    patch = pytest.MonkeyPatch()
    patch.setattr(Dataset, "candidates", property(lambda self: FEW))
    yield
    patch.undo()


def cli(project: Project, *words: str) -> Any:
    """Run `bqx` in this process; what it prints as JSON."""
    import io
    from contextlib import redirect_stdout

    out = io.StringIO()
    with redirect_stdout(out):
        root.main(["-C", str(project.root), *words, "--json"], prog_name="bqx", standalone_mode=False)
    return json.loads(out.getvalue())


@pytest.fixture(scope="module")
def made(noise_world: Project, noise_dataset: Dataset, few: None) -> dict[str, Any]:
    words = ("--dataset", "first", "--pairs", "eurusd", "--folds", "1,2", "--workers", "2")
    return dict(cli(noise_world, "select", "run", "one", *words))


def test_a_run_selects_250_in_every_fold(made: dict[str, Any], noise_world: Project) -> None:
    assert [(f["pair"], f["fold"]) for f in made["folds"]] == [("eurusd", 1), ("eurusd", 2)]
    for f in made["folds"]:
        mask = load_mask(noise_world, "one", f["pair"], f["fold"])
        taken = mask.filter(mask["selected"])
        domains = taken["signal_domain"].to_list()
        assert taken.height == f["selected"] == 250
        assert domains.count("rate") >= 100 and domains.count("bqx") >= 100
        assert taken.group_by("cluster").len()["len"].max() <= 3
        assert mask.height == len(FEW) and mask["why"].null_count() == 0
        assert f["train"][1] < f["test"][0] and sum(f["domains"].values()) == 250
    assert "28 pairs x 6 folds" in made["forecast"]


def test_folds_side_by_side_on_an_engine_give_the_same_masks(
    made: dict[str, Any], noise_world: Project, noise_dataset: Dataset
) -> None:
    """As JSON there and back, as on a cluster; the engine is in this process, which has few candidates."""
    options = Options(every=15, cap=3, per_half=100, seed=0)
    found = run_selection(
        noise_dataset, "apart", pairs=["eurusd"], folds=[1], options=options, workers=0, compare=False,
        engine=Threads(2),
    )  # fmt: skip
    assert found["folds"][0]["digest"] == made["folds"][0]["digest"]
    folder, name = noise_world.root / "selections", "eurusd_1.parquet"
    assert (folder / "apart" / name).read_bytes() == (folder / "one" / name).read_bytes()
    shutil.rmtree(folder / "apart")
    item = {**item_of(noise_dataset, "eurusd", 1, options, 1, False), "hash": "another"}
    with pytest.raises(WorkerMismatch, match=r"dataset first has hash \w+, not another"):
        list(map_units("threads", "bqx.research.selection.unit:run", [item]))


def test_every_trial_is_in_the_ledger(made: dict[str, Any], noise_world: Project, noise_dataset: Dataset) -> None:
    ledger = Trials(noise_world.root)
    assert ledger.count(kind="selection", dataset=noise_dataset.hash, fold="1") >= 1
    # seven ridges of four penalties and one boosting, ten targets, two folds
    assert ledger.count(kind="forecast", dataset=noise_dataset.hash) >= (7 * 4 + 1) * 10 * 2
    row = ledger.list(kind="selection", limit=1)[0]
    assert row["parameters"]["budget"] == 250 and row["lag_profile"] == "seed"


def test_running_again_computes_nothing_and_a_lost_fold_comes_back_the_same(
    made: dict[str, Any], noise_world: Project, noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bqx.research.selection import run as room

    before = Trials(noise_world.root).count()
    folder = noise_world.root / "selections" / "one"
    (folder / "eurusd_2.json").unlink()
    assert list(done_folds(folder)) == [("eurusd", 1)]
    calls = []
    real = room.select
    monkeypatch.setattr(room, "select", lambda *a: calls.append(a[2]) or real(*a))
    again = run_selection(noise_dataset, "one", pairs=["eurusd"], folds=[1, 2])
    assert calls == [2], "only the lost fold was computed"
    assert [f["digest"] for f in again["folds"]] == [f["digest"] for f in made["folds"]], "and on one worker, too"
    assert Trials(noise_world.root).count() == before, "the same trials"


def test_a_name_belongs_to_one_dataset_and_one_set_of_options(
    made: dict[str, Any], noise_world: Project, noise_dataset: Dataset
) -> None:
    with pytest.raises(SelectionError, match="other options"):
        run_selection(noise_dataset, "one", options=Options(cap=4))
    left = cli(noise_world, "select", "run", "one", "--dataset", "first", "--dry-run")
    assert left == [{"pair": "eurusd", "fold": 0}, *({"pair": "usdjpy", "fold": k} for k in range(3))]
    with pytest.raises(UsageError, match="no fold 9"):
        run_selection(noise_dataset, "two", folds=[9])
    with pytest.raises(UsageError, match="no pair"):
        run_selection(noise_dataset, "three", pairs=["gbpusd"])


def test_report_says_what_noise_is_worth(made: dict[str, Any], noise_world: Project) -> None:
    """Invented columns on a random walk: nobody has skill, and the page says so."""
    paths = [Path(p) for p in made["report"]]
    assert all(p.is_file() for p in paths) and {p.suffix for p in paths} == {".html", ".md", ".json"}
    text = selection_report(noise_world, open_selection(noise_world, "one")).markdown()
    assert "SIMULATED" in text and "no demonstrated skill" in text and "placebo" in text
    judged = judge(noise_world, made)[0]
    assert set(judged.scores) == set(NAMES) and judged.folds == 2
    assert sum(s[-1].verdict == "no demonstrated skill" for s in judged.scores.values()) >= len(NAMES) - 1
    assert judged.retention is not None and judged.stability is not None
    bent = open_selection(noise_world, "one")
    bent["folds"][0]["domains"]["rate"] += 1
    with pytest.raises(Exception, match="add up to 251"):
        selection_report(noise_world, bent)


def test_show_list_and_compare(made: dict[str, Any], noise_world: Project, noise_dataset: Dataset) -> None:
    options = Options(seed=1, folds=2, rounds=5, halves=10)
    run_selection(noise_dataset, "other", pairs=["eurusd"], folds=[2], options=options, compare=False)
    rows = cli(noise_world, "select", "compare", "one", "other")
    assert len(rows) == 1 and 0 < rows[0]["both"] < 250 and 0 < rows[0]["jaccard"] < 1
    listed = cli(noise_world, "select", "list")
    assert {r["name"]: r["masks"] for r in listed} == {"one": 2, "other": 1}
    assert len(cli(noise_world, "select", "show", "one", "--pair", "EURUSD", "--fold", "1")) == 250
    shown = cli(noise_world, "select", "show", "one")
    assert shown["judged"][0]["retention"]["not_worse_at_5_percent"] in (True, False)
    assert "No comparators" in selection_report(noise_world, open_selection(noise_world, "other")).markdown()
    with pytest.raises(UsageError, match="one, other"):
        open_selection(noise_world, "none")


def test_dataset_commands(noise_world: Project, noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "first" in [r["name"] for r in cli(noise_world, "dataset", "list")]
    shown = cli(noise_world, "dataset", "show", "first")
    assert shown["candidates"] == 2640 and shown["combinatorial"]["splits"] == 45
    assert cli(noise_world, "dataset", "make", "dry", "--pairs", "usdjpy", "--dry-run")["pairs"] == ["usdjpy"]
    cli(noise_world, "dataset", "open", "first", "--release", "cli", "--reason", "a test of the command")
    with pytest.raises(SealedError):
        cli(noise_world, "dataset", "open", "first", "--release", "cli", "--reason", "again")
    good, bad = LeakResult("L5", "purge", 900, 0, "fine"), LeakResult("L9", "leaks", 900, 1, "missed")
    monkeypatch.setattr("bqx.research.leakage.suite.run_suite", lambda *a, **k: [good])
    assert cli(noise_world, "dataset", "check", "first")[0]["ok"]
    monkeypatch.setattr("bqx.research.leakage.suite.run_suite", lambda *a, **k: [good, bad])
    with pytest.raises(LeakError, match="L9 failed: missed"):
        cli(noise_world, "dataset", "check", "first")


def test_components_are_of_training_rows_alone_and_placebos_keep_the_quotas() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(600, 30)).astype(np.float32), rng.normal(size=(600, 4))
    homes, train = ["a"] * 20 + ["b"] * 10, np.arange(400)
    for kind in ("pca", "pls"):
        one = components(X, Y, homes, train, 6, kind)
        assert one.shape == (600, 6)
        bent, other = X.copy(), Y.copy()
        bent[400:], other[400:] = 9.0, -9.0
        np.testing.assert_array_equal(components(bent, other, homes, train, 6, kind)[:400], one[:400])
    o = Options(budget=60, rate=20, bqx=25)
    for draw in (1, 2):
        taken = random_columns(FEW, np.arange(len(FEW)), o, draw)
        domains = [FEW[k].signal_domain for k in taken]
        assert len(set(taken)) == 60 and domains.count("rate") >= 20 and domains.count("bqx") >= 25
    assert forecast([60.0, 120.0]) == "90 s a pair and fold; 28 pairs x 6 folds: about 4.2 h"
