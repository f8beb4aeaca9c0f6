"""`bqx features fits`: what a project has kept of its fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bqx.build.fits import NewFit, keep_fits
from bqx.build.project import Project
from bqx.cli.main import main
from bqx.features import catalogue
from bqx.features.fits import Artefact, Fit
from bqx.features.streams import PRICE
from bqx.features.support import Fitted

Run = Callable[..., tuple[int, str, str]]
MONDAY = 28_400_000


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """run(args) in the project -> exit code, stdout, stderr."""

    def call(*args: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["-C", str(tmp_path / "p"), "features", "fits", *args])
        except SystemExit as done:
            code = int(done.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def _never(*_: object) -> np.ndarray:
    raise AssertionError("listing makes no fit")


FIT = Fit("slope_week", "returns_raw_rate", ("slope", "error"), "week", Fitted(PRICE, 100, "week"), _never,
          summary="A line through 100 bars")  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four estimates of two pairs, one of them without a value, one with half of them."""
    own = catalogue.datasets()
    homes = {**own, FIT.dataset: replace(own[FIT.dataset], fits=(FIT,))}
    monkeypatch.setattr(catalogue, "datasets", lambda: homes)
    made = Project.create(tmp_path / "p", pairs=["eurusd", "usdjpy"])
    rows = [("eurusd", 0, [0.25, 2.0]), ("eurusd", 10_080, [-1.5, 0.125]), ("usdjpy", 0, [np.nan, np.nan]),
            ("usdjpy", 10_080, [0.5, np.nan])]  # fmt: skip
    artefacts = [Artefact(FIT.name, p, MONDAY + k, MONDAY + k - 100, np.array(v), 0.5) for p, k, v in rows]
    keep_fits(made.manifest, [NewFit(FIT.dataset, "h" * 8, one) for one in artefacts])
    made.close()


def test_list(run: Run, project: None) -> None:
    code, out, err = run("list", "--dataset", FIT.dataset)
    assert code == 0, err
    assert "4 estimates of 1 fits kept, 2.0 s to make" in out
    code, out, _ = run("list", "--json")
    mine = [r for r in json.loads(out) if r["fit"] == FIT.name]
    assert [(r["pair"], r["kept"], r["empty"], r["seconds"]) for r in mine] == [
        ("eurusd", 2, 0, 1.0),
        ("usdjpy", 2, 1, 1.0),
    ]
    assert (mine[0]["first"], mine[0]["last"]) == ("2023-12-31T05:20Z", "2024-01-07T05:20Z")
    assert mine[0]["dataset"] == FIT.dataset
    code, out, _ = run("list", "--pair", "usdjpy", "--json")
    assert [r["pair"] for r in json.loads(out) if r["fit"] == FIT.name] == ["usdjpy"]


def test_nothing_kept(run: Run, project: None) -> None:
    code, out, _ = run("list", "--pair", "gbpusd")
    assert code == 0
    assert "0 estimates" in out and "bqx build" in out
    code, out, _ = run("show", FIT.name, "--pair", "gbpusd")
    assert code == 0
    assert "none kept" in out


def test_show(run: Run, project: None) -> None:
    code, out, err = run("show", FIT.name)
    assert code == 0, err
    assert "slope_week, dataset returns_raw_rate, made every week. A line through 100 bars" in out
    assert "slope  0.25" in out and "error  0.125" in out and "slope  -" in out
    code, out, _ = run("show", FIT.name, "--pair", "eurusd", "--json")
    first, second = json.loads(out)
    assert first["parameters"] == {"slope": 0.25, "error": 2.0}
    assert second["parameters"] == {"slope": -1.5, "error": 0.125}
    assert first["sees_from"] == "2023-12-31T03:40Z"
    code, out, _ = run("show", FIT.name, "--pair", "usdjpy", "--json")
    assert json.loads(out)[0]["parameters"] == {"slope": None, "error": None}, "NaN is null"


def test_unknown_fit(run: Run, project: None) -> None:
    code, _, err = run("show", "slope_weak")
    assert code == 2
    assert "unknown fit 'slope_weak'" in err and FIT.name in err
