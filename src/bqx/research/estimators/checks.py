"""What every forecaster must pass, ours and yours: `check_estimator(Mine)` runs all, `CHECKS` lists them.

Each check takes a class that keeps :class:`~bqx.research.estimators.contract.Forecaster` and raises EstimatorError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import BqxError, EstimatorError

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
ROWS, FITTED, TARGETS = 700, 500, 2
SPAN = (60, 120)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")


@dataclass(frozen=True)
class _Data:
    X: F4
    Y: F8
    position: I8


def _data(kind: Any, seed: int = 0) -> _Data:
    """Rows 15 bars apart with a weak effect; X is what the class says it takes, 3 % of it NULL."""
    rng = np.random.default_rng(seed)
    position = 15 * np.arange(ROWS, dtype=np.int64)
    width = {"columns": 6, "past": TARGETS, "clock": 1}[kind.inputs]
    X = rng.normal(size=(ROWS, width)).astype(np.float32)
    if kind.inputs == "clock":
        X = (position % (7 * 1440)).astype(np.float32)[:, None]
    Y = rng.normal(size=(ROWS, TARGETS)) + 0.5 * rng.normal(size=(1, TARGETS)) * np.tanh(X[:, :1])
    X[rng.random(X.shape) < 0.03] = np.nan
    return _Data(X, Y, position)


def _fitted(kind: Any, d: _Data, seed: int = 0) -> Any:
    return kind(seed=seed).fit(d.X[:FITTED], d.Y[:FITTED], d.position[:FITTED], *SPAN)


def _need(ok: bool, what: str) -> None:
    if not ok:
        raise EstimatorError(what, fix="docs/models.md says what a forecaster must do")


def check_shape(kind: Any) -> None:
    """Forecasts are (n, targets) float64 and finite; none is asked, none is given."""
    d = _data(kind)
    model = _fitted(kind, d)
    out = model.predict(d.X[FITTED:])
    _need(out.shape == (ROWS - FITTED, TARGETS) and out.dtype == np.float64, f"forecasts are {out.dtype} {out.shape}")
    _need(bool(np.isfinite(out).all()), "forecasts are not finite")
    _need(model.predict(d.X[:0]).shape == (0, TARGETS), "no rows do not give no forecasts")


def check_null(kind: Any) -> None:
    """A row of NULLs, and a column that is NULL or constant throughout training, still give finite forecasts."""
    d = _data(kind)
    nothing = np.full_like(d.X[:3], np.nan)
    _need(bool(np.isfinite(_fitted(kind, d).predict(nothing)).all()), "a row of NULLs is not forecast")
    if kind.inputs == "columns":
        for value in (np.nan, 7.0):
            X = d.X.copy()
            X[:, 0] = value
            out = _fitted(kind, _Data(X, d.Y, d.position)).predict(X[FITTED:])
            _need(bool(np.isfinite(out).all()), f"a column of {value} spoils the forecast")


def check_inputs_stay(kind: Any) -> None:
    """Nothing that is handed in is changed."""
    d = _data(kind)
    before = d.X.copy(), d.Y.copy(), d.position.copy()
    _fitted(kind, d).predict(d.X)
    stays = np.array_equal(before[0], d.X, equal_nan=True) and np.array_equal(before[1], d.Y)
    _need(stays and np.array_equal(before[2], d.position), "X, Y or position was changed")


def check_repeat(kind: Any) -> None:
    """Equal rows and seed give equal bits, whatever the state of numpy's own generator, and in other threads."""
    d, state = _data(kind), np.random.get_state()
    try:
        np.random.seed(1)
        first = _fitted(kind, d, seed=5)
        np.random.seed(2)
        with ThreadPoolExecutor(2) as pool:
            others = list(pool.map(lambda _: _fitted(kind, d, seed=5), range(2)))
    finally:
        np.random.set_state(state)
    for other in others:
        _need(np.array_equal(first.predict(d.X), other.predict(d.X)), "the same fit twice gives other forecasts")
        _need(first.files() == other.files(), "the same fit twice gives other files")


def check_row_alone(kind: Any) -> None:
    """A row gets the same bits alone, among others, in another order, and from memory that lies column by column."""
    d = _data(kind)
    model = _fitted(kind, d)
    whole = model.predict(d.X)
    alone = np.concatenate([model.predict(d.X[k : k + 1]) for k in range(0, ROWS, 7)])
    _need(np.array_equal(whole[::7], alone), "a row alone is forecast otherwise than among others")
    order = np.random.default_rng(3).permutation(ROWS)
    _need(np.array_equal(whole[order], model.predict(d.X[order])), "forecasts depend on the order of rows")
    _need(np.array_equal(whole, model.predict(np.asfortranarray(d.X))), "forecasts depend on how X lies in memory")


def check_restore(kind: Any) -> None:
    """Written and read, it forecasts the same bits; files have plain names and are no pickles."""
    d = _data(kind)
    model = _fitted(kind, d)
    files = model.files()
    odd = [name for name, data in files.items() if not _FILE.fullmatch(name) or data[:1] == b"\x80"]
    _need(bool(files) and not odd, f"no files, or a file with an odd name or a pickle in it: {odd}")
    back = kind.restore(json.loads(json.dumps(dict(model.params()))), files)
    _need(np.array_equal(model.predict(d.X), back.predict(d.X)), "read again it forecasts otherwise")
    _need(back.files() == files, "written a second time it has other files")


def check_damage(kind: Any) -> None:
    """An absent or garbled file is an error of bqx, not a crash and not a forecast."""
    model = _fitted(kind, _data(kind))
    for name in model.files():
        for broken in ({}, {name: b"garbage"}):
            files = {k: v for k, v in model.files().items() if k != name} | broken
            try:
                kind.restore(model.params(), files)
            except BqxError:
                continue
            raise EstimatorError(f"{name} is {'garbled' if broken else 'absent'} and nobody notices")


def check_params(kind: Any) -> None:
    """`params` are JSON, without the seed, and make the same forecaster; `trials` are JSON and one or more."""
    model = _fitted(kind, _data(kind))
    text = json.dumps(dict(model.params()), sort_keys=True, allow_nan=False)
    _need("seed" not in model.params(), "the seed is among the parameters")
    again = json.dumps(dict(kind(seed=1, **json.loads(text)).params()), sort_keys=True)
    _need(again == text, f"parameters {text} make a forecaster with {again}")
    _need(len(model.trials) > 0, "nothing was tried?")
    json.dumps([dict(t) for t in model.trials], allow_nan=False)


def check_refusals(kind: Any) -> None:
    """NULL labels, rows out of order, shapes that do not fit and too few rows are errors of bqx."""
    d = _data(kind)
    null = d.Y.copy()
    null[5, 0] = np.nan
    cases = {
        "NULL labels": (d.X, null, d.position),
        "rows out of order": (d.X, d.Y, d.position[::-1].copy()),
        "more labels than rows": (d.X[:-1], d.Y, d.position),
        "three rows": (d.X[:3], d.Y[:3], d.position[:3]),
    }
    for what, (X, Y, position) in cases.items():
        try:
            kind().fit(X, Y, position, *SPAN)
        except BqxError:
            continue
        raise EstimatorError(f"{what} are taken without a word")


def check_training_rows_only(kind: Any) -> None:
    """Rows that come after training cannot be seen: other values there change nothing that was learnt."""
    d = _data(kind)
    other = _data(kind, seed=1)
    X, Y = d.X.copy(), d.Y.copy()
    X[FITTED:], Y[FITTED:] = other.X[FITTED:], other.Y[FITTED:]
    moved = _fitted(kind, _Data(X, Y, d.position)).files()
    _need(moved == _fitted(kind, d).files(), "rows after training moved what was learnt")


CHECKS: tuple[Callable[[Any], None], ...] = (
    check_shape,
    check_null,
    check_inputs_stay,
    check_repeat,
    check_row_alone,
    check_restore,
    check_damage,
    check_params,
    check_refusals,
    check_training_rows_only,
)


def check_estimator(kind: Any) -> None:
    """All of CHECKS on a class; EstimatorError names the first that fails."""
    for check in CHECKS:
        try:
            check(kind)
        except EstimatorError as error:
            raise EstimatorError(f"{kind.__name__}, {check.__name__}: {error.what}", fix=error.fix) from error
