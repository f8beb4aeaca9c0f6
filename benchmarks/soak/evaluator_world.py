"""Invented worlds for the evaluator: returns with known volatility and known drift, and a ridge that forecasts them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from bqx.research.evaluation.mechanical import momentum, squares
from bqx.research.evaluation.rows import Rows
from bqx.research.evaluation.strata import terciles

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
PAIRS = ("eurusd", "gbpusd", "usdjpy", "audcad", "nzdchf", "eurgbp")
HORIZONS, EVERY, FOLDS, COLUMNS, DECAY = (15, 60), 15, 4, 20, 0.99
WEEK = 7200


@dataclass(frozen=True)
class World:
    """Bars of one market: returns and their deviation (bars, pairs), a drift of `strength` times `signal`.

    sigma : what can be known of the deviation at each bar. noise : the iid normal draws of the first pair.
    """

    returns: F8
    deviation: F8
    sigma: F8
    signal: F8
    strength: float
    noise: F8
    test: int


def world(seed: int, *, pairs: int, train_weeks: int, test_weeks: int, strength: float = 0.0) -> World:
    """Half of each pair's noise is common. Without a drift, volatility moves slowly and by the hour; with one, it is 1,
    so that the truth has a closed form."""
    rng = np.random.default_rng(seed)
    n = (train_weeks + test_weeks) * WEEK
    own, common = rng.normal(size=(n, pairs)), rng.normal(size=(n, 1))
    noise = math.sqrt(0.5) * own + math.sqrt(0.5) * common
    signal = _persistent(rng, n, pairs, DECAY)
    if strength:
        deviation = sigma = np.ones((n, pairs))
        drift = strength * np.vstack([np.zeros((1, pairs)), signal[:-1]])
    else:
        hour = 1.0 + 0.5 * np.sin(2 * np.pi * np.arange(n) / 1440)[:, None]
        deviation = hour * np.exp(0.4 * _persistent(rng, n, pairs, 0.999))
        drift = np.zeros((n, pairs))
    returns = deviation * noise + drift
    if not strength:
        past = lfilter([1 / 120], [1, -(1 - 1 / 120)], returns**2, axis=0, zi=np.ones((1, pairs)))[0]
        sigma = np.sqrt(np.vstack([np.ones((1, pairs)), past[:-1]]))
    return World(returns, deviation, sigma, signal, strength, noise[:, 0], train_weeks * WEEK)


def labels(w: World, pair: int, target: str, horizon: int, at: I8) -> tuple[F8, F8]:
    """Target at bars `at`, and its variance given the path of volatility (without a drift)."""
    h, sigma = horizon, w.sigma[at, pair]
    weight = np.ones(h) if target == "y4" else np.arange(1.0, h + 1)
    size = math.sqrt(float((weight**2).sum()))
    if target == "y4":
        total = np.r_[0.0, np.cumsum(w.returns[:, pair])]
        y = total[at + h + 1] - total[at + 1]
    else:
        y = momentum(w.returns[:, pair], h)[at + h]
    spread = np.convolve(w.deviation[:, pair] ** 2, (weight**2)[::-1], "valid")
    return y / (size * sigma), spread[at + 1] / (size * sigma) ** 2


def oracle(w: World, pair: int, target: str, horizon: int, at: I8) -> tuple[F8, float]:
    """Best forecast of the target from the drift at `at`, and the variance of what it leaves."""
    weight = np.ones(horizon) if target == "y4" else np.arange(1.0, horizon + 1)
    weight = weight / math.sqrt(float((weight**2).sum()))
    known = float((weight * DECAY ** np.arange(horizon)).sum())
    later = [float((weight[k + 1 :] * DECAY ** np.arange(horizon - k - 1)).sum()) for k in range(horizon)]
    left = 1.0 + w.strength**2 * (1.0 - DECAY**2) * float((np.array(later[:-1]) ** 2).sum())
    return w.strength * known * w.signal[at, pair], left


def features(w: World, pair: int, at: I8, seed: int, *, with_signal: bool) -> F8:
    """COLUMNS columns at bars `at`, EVERY apart: momenta, past returns, volatility, hour and persistent noise, or the
    signal among persistent noise."""
    rng = np.random.default_rng([seed, pair, 7])
    if with_signal:
        slow = _persistent(rng, len(at), COLUMNS - 1, DECAY**EVERY)
        return np.column_stack([w.signal[at, pair], slow])
    r, sigma = w.returns[:, pair], w.sigma[at, pair]
    total = np.r_[0.0, np.cumsum(r)]
    columns = [momentum(r, k)[at] / (math.sqrt(squares(k)) * sigma) for k in (15, 30, 60, 120, 240)]
    columns += [(total[at + 1] - total[at + 1 - k]) / (math.sqrt(k) * sigma) for k in (1, 5, 15, 60, 240)]
    columns += [np.log(sigma), *(f(2 * np.pi * at / 1440) for f in (np.sin, np.cos))]
    columns += [_persistent(rng, len(at), 1, d**EVERY)[:, 0] for d in (0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)]
    return np.column_stack(columns)


def ridge_rows(
    w: World,
    pairs: Sequence[str],
    target: str,
    horizon: int,
    seed: int,
    *,
    pooled: bool,
    with_signal: bool,
    leak: bool = False,
) -> list[Rows]:
    """Test rows of each pair with the walk-forward forecasts of a ridge, fitted for each pair or for all together.

    Training rows are `horizon` bars apart and end before the fold, purged. leak : the first column knows the truth.
    """
    n = len(w.returns)
    at = np.arange(240, n - horizon - 1, EVERY)
    X, Y = [], []
    for k in range(len(pairs)):
        X.append(features(w, k, at, seed, with_signal=with_signal))
        Y.append(labels(w, k, target, horizon, at)[0])
        if leak:
            X[-1][:, 0] += 0.1 * Y[-1]
    test = at >= w.test
    fold = np.minimum((at - w.test) * FOLDS // (n - w.test), FOLDS - 1)
    forecast = np.zeros((len(pairs), len(at)))
    for number in range(FOLDS):
        mine = test & (fold == number)
        learn = (at % horizon == 0) & (at + horizon < at[mine][0] - horizon)
        groups = [list(range(len(pairs)))] if pooled else [[k] for k in range(len(pairs))]
        for group in groups:
            beta = _ridge(np.vstack([X[k][learn] for k in group]), np.concatenate([Y[k][learn] for k in group]))
            for k in group:
                forecast[k, mine] = beta[0] + X[k][mine] @ beta[1:]
    out = []
    for k, pair in enumerate(pairs):
        rows = at[test]
        models = {"model": forecast[k, test]}
        if with_signal:
            models["oracle"] = oracle(w, k, target, horizon, rows)[0]
        out.append(_rows(w, k, pair, target, horizon, rows, fold[test], Y[k][test], models))
    return out


def _rows(
    w: World, k: int, pair: str, target: str, horizon: int, at: I8, fold: I8, y: F8, models: dict[str, F8]
) -> Rows:  # fmt: skip
    sigma = w.sigma[at, k]
    third, clean = terciles(sigma, fold) if not w.strength else (np.zeros(len(at), np.int64), True)
    return Rows(
        pair=pair,
        horizon=horizon,
        minute=at,
        position=at,
        fold=fold.astype(np.int64),
        session=(at % 1440 // 288).astype(np.int64),
        tercile=third,
        clean=clean,
        sigma=sigma,
        cost=np.full(len(at), 0.5),
        move=y * sigma * math.sqrt(horizon),
        truth={target: y},
        forecasts={target: models},
    )


def _ridge(X: F8, y: F8, penalty: float = 0.02) -> F8:
    """Intercept and coefficients; the penalty is in rows a row, on standardised columns."""
    mean, scale = X.mean(axis=0), X.std(axis=0)
    Z = (X - mean) / scale
    beta = np.linalg.solve(Z.T @ Z + penalty * len(y) * np.eye(X.shape[1]), Z.T @ (y - y.mean())) / scale
    out: F8 = np.concatenate([[y.mean() - mean @ beta], beta])
    return out


def _persistent(rng: np.random.Generator, n: int, columns: int, decay: float) -> F8:
    """AR(1) of variance 1."""
    shock = rng.normal(size=(n, columns)) * math.sqrt(1 - decay**2)
    start = decay * rng.normal(size=(1, columns))
    out: F8 = np.asarray(lfilter([1.0], [1.0, -decay], shock, axis=0, zi=start)[0])
    return out
