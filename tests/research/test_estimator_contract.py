"""Every forecaster passes every check; every check fails a forecaster that breaks what it checks; packages can add."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bqx.base.errors import ArtefactError, EstimatorError, UsageError
from bqx.research.artefact import Recipe, fit_model
from bqx.research.estimators import estimator_class, estimators, forecaster
from bqx.research.estimators.admission import admit
from bqx.research.estimators.boosting import Boosting
from bqx.research.estimators.checks import CHECKS, check_estimator
from bqx.research.estimators.contract import Forecaster
from bqx.research.estimators.packed import pack, unpack
from bqx.research.estimators.registry import problems
from bqx.research.estimators.ridge_forecast import RidgeForecast

from model_rows import FACTS, invented_rows  # isort: skip

NAMES = ("random_walk", "persistence", "climatology", "ridge", "boosting", "xgboost")


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, check: Callable[[Any], None]) -> None:
    check(estimator_class(name))


def test_all_are_listed_and_none_is_forgotten() -> None:
    assert tuple(estimators()) == NAMES
    assert all(isinstance(forecaster(n, seed=3), Forecaster) for n in NAMES)
    with pytest.raises(UsageError, match="rounds"):
        forecaster("boosting", trees=7)


class Broken(RidgeForecast):
    """Ridge, spoiled in one place a subclass."""


def _spoil(**members: Any) -> type[Broken]:
    return type("Spoiled", (Broken,), members)


def _batch_mean(self: Any, X: Any) -> Any:
    return RidgeForecast.predict(self, X) + np.nansum(X)


def _writes(self: Any, X: Any) -> Any:
    X[0, 0] = 0.0
    return RidgeForecast.predict(self, X)


def _draws(self: Any, X: Any, Y: Any, position: Any, horizon: int, embargo: int) -> Any:
    made = RidgeForecast.fit(self, X, Y, position, horizon, embargo)
    made.coef = made.coef + np.random.random()
    return made


def _peeks(self: Any, X: Any, Y: Any, position: Any, horizon: int, embargo: int) -> Any:
    whole = X.base if X.base is not None else X
    made = RidgeForecast.fit(self, X, Y, position, horizon, embargo)
    made.coef = made.coef + np.nanmean(whole)
    return made


SPOILED = {
    "check_shape": _spoil(predict=lambda self, X: RidgeForecast.predict(self, X)[:, :1]),
    "check_null": _spoil(predict=lambda self, X: np.where(np.isnan(X[:, :1]), np.nan, RidgeForecast.predict(self, X))),
    "check_inputs_stay": _spoil(predict=_writes),
    "check_repeat": _spoil(fit=_draws),
    "check_row_alone": _spoil(predict=_batch_mean),
    "check_restore": _spoil(files=lambda self: {"ridge.pkl": b"\x80\x04."}),
    "check_damage": _spoil(
        files=lambda self: {"coef.bin": self.coef.tobytes()},
        restore=classmethod(lambda cls, params, files: cls(**params)),
    ),
    "check_params": _spoil(params=lambda self: {"penalties": [1.0], "seed": 0}),
    "check_refusals": _spoil(
        fit=lambda self, X, Y, p, h, e: RidgeForecast.fit(
            self, X[: len(p)], np.nan_to_num(Y[: len(X)]), p[: len(X)], h, e
        )
    ),
    "check_training_rows_only": _spoil(fit=_peeks),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_each_check_finds_what_it_is_there_for(check: Callable[[Any], None]) -> None:
    with pytest.raises(EstimatorError):
        check(SPOILED[check.__name__])


def test_the_kit_names_the_check_that_fails() -> None:
    with pytest.raises(EstimatorError, match="Spoiled, check_row_alone: a row alone"):
        check_estimator(SPOILED["check_row_alone"])


PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")


def block(kind: str, holding: str) -> str:
    """The block of docs/models.md of that kind with that text in it."""
    return next(b for b in re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S) if holding in b)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of docs/models.md; beside it one that is absent, one that is no class, one with a name of ours."""
    (tmp_path / "fx_first.py").write_text(block("python", "class FirstColumn"))
    info = tmp_path / "fx_first-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fx-first\nVersion: 0.1\n")
    ours = tomllib.loads(block("toml", "bqx.estimators"))["project"]["entry-points"]["bqx.estimators"]
    points = (
        *(f"{name} = {value}" for name, value in ours.items()),
        "gone = fx_absent:X",
        "half = fx_first:np",
        "ridge = fx_first:FirstColumn",
    )
    (info / "entry_points.txt").write_text("[bqx.estimators]\n" + "\n".join(points) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "fx_first", raising=False)


@pytest.mark.usefixtures("package")
def test_a_package_adds_an_estimator_with_all_heads() -> None:
    assert tuple(estimators()) == (*NAMES, "first_column")
    check_estimator(estimator_class("first_column"))
    made = fit_model(invented_rows(), Recipe("first_column"), FACTS)
    assert made.manifest["plug_in"] == "fx-first 0.1"
    p = made.predict(invented_rows(seed=4).X)
    assert np.isfinite(p.quantiles).all() and np.isfinite(p.lo90).all() and np.ptp(p.p_up) > 0
    assert estimator_class("ridge") is RidgeForecast, "ours cannot be replaced"
    why = [str(e) for e in problems()]
    assert len(why) == 3 and all("fx-first" in w for w in why)
    for name, says in (("gone", "cannot be loaded: ModuleNotFoundError"), ("half", "left out: it has no inputs")):
        with pytest.raises(EstimatorError, match=says):
            forecaster(name)
    with pytest.raises(UsageError, match="first_column"):
        forecaster("none")


def world(n: int = 2600, curved: float = 0.0, seed: int = 0) -> tuple[Any, ...]:
    """Two targets that follow column 0 in a line and, by `curved`, a product of two columns that trees find hard."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    truth = 0.2 * X[:, 0] + curved * X[:, 1] * X[:, 2]
    Y = truth[:, None] * [1.0, -1.0] + rng.normal(size=(n, 2))
    position = 15 * np.arange(n, dtype=np.int64)
    folds = [(np.arange(0, a - 10), np.arange(a, a + 500)) for a in (1100, 1600, 2100)]
    return X, Y, position, folds


class Product(RidgeForecast):
    """Ridge that also sees products of two columns: the right model of the curved world."""

    name = "product"

    def fit(self, X: Any, Y: Any, position: Any, horizon: int, embargo: int) -> Any:
        return super().fit(self._wide(X), Y, position, horizon, embargo)

    def predict(self, X: Any) -> Any:
        return super().predict(self._wide(X))

    @staticmethod
    def _wide(X: Any) -> Any:
        return np.column_stack([X, X[:, 1] * X[:, 2]])


def test_only_what_beats_both_baselines_is_admitted() -> None:
    span = {"horizon": 60, "embargo": 150}
    found = admit(Product, *world(curved=0.6), **span)
    assert found.admitted and found.rows == 1500 and found.folds == 3
    found.require()
    line = admit(Product, *world(), **span)
    assert not line.admitted and "not shown to be better than ridge" in line.verdict
    with pytest.raises(EstimatorError, match="not admitted"):
        line.require()
    fewer = type("Fewer", (Boosting,), {"name": "fewer"})
    trees = admit(lambda: fewer(rounds=20), *world(curved=0.6), **span)
    assert not trees.admitted and trees.as_dict()["against"]["boosting"]["better"] > 0.05
    with pytest.raises(UsageError, match="baseline itself"):
        admit(Boosting, *world(), **span)
    with pytest.raises(UsageError, match="no fold"):
        admit(Product, *world()[:3], [], **span)


def test_no_object_is_packed_or_unpacked(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="Python objects"):
        pack({"x": np.array([{}], dtype=object)})
    np.savez(tmp_path / "o.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ArtefactError, match="plain arrays"):
        unpack((tmp_path / "o.npz").read_bytes(), "o.npz")
    assert pack({"x": np.arange(3)}) == pack({"x": np.arange(3)})
    assert unpack(pack({"x": np.array(2.5)}), "x", "x")["x"].shape == ()
