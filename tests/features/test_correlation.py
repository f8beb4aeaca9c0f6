"""correlation: against pandas, with members missing and carried, mirrored, live, with mistakes planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import mpmath
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, World
from bqx.features.checks.result import same_bits
from bqx.features.declare import Dataset
from bqx.features.explain import explain
from bqx.features.families.correlation_series import Correlations
from bqx.features.groups import members
from bqx.features.kernels.group_correlation import Groups, group_correlations, group_step, groups_of
from bqx.features.kernels.pair_sums import pair_correlations, pair_sums, pair_sums_step
from bqx.features.kernels.scores import score_across_row, scores_across
from bqx.features.kernels.sums import STATE_ROWS
from bqx.features.reasons import Reasons
from bqx.features.streams import Streams
from bqx.features.support import needed
from bqx.market.calendar import minute_of
from bqx.market.pairs import PAIRS

F8 = NDArray[np.float64]
DOMAINS = ("rate", "bqx")
START, END = minute_of(datetime(2024, 3, 6, 22, tzinfo=UTC)), minute_of(datetime(2024, 3, 9, tzinfo=UTC))
"""Two days, of one segment and quiet: the holes in them are of USDJPY and AUDNZD."""


def home_of(domain: str) -> Dataset:
    return datasets()[f"correlation_{domain}"]


def lists() -> tuple[Groups, Groups, Groups]:
    base, quote, cross = (groups_of(m.signs, m.whole) for m in (members(PAIRS, g) for g in ("base", "quote", "cross")))  # type: ignore[arg-type]
    return base, quote, cross


def noise(n: int, holes: float = 0.0, seed: int = 0) -> F8:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 1)) + rng.standard_normal((n, 28))
    x[rng.random(x.shape) < holes] = np.nan
    return x


# --- against other code -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
def test_eurusd_against_pandas(domain: str, panel_world: World) -> None:
    """The groups of EURUSD written out by hand, pandas' rolling correlations."""
    home = home_of(domain)
    names = [f"corr_{g}_{w}" for g in ("base", "quote", "cross") for w in (30, 60, 120, 240)]
    names += ["corr_delta_quote_60", "lead_lag_quote_60", "vol_ratio_base_60", "rel_strength_quote_60"]
    found = panel_world.values(home, START, END, [*names, "divergence_quote_60"])
    streams, row = panel_world.streams(home, START, END)
    stream = streams.stream("rate" if domain == "rate" else "bqx")
    raw = pd.DataFrame(stream.change if domain == "rate" else stream.close, columns=list(PAIRS))
    x, raw = raw.mask(streams.panel.fill_run > 2)[row:], raw[row:]
    y = pd.DataFrame(stream.close, columns=list(PAIRS))[row:]
    base = dict.fromkeys(("euraud", "eurcad", "eurchf", "eurgbp", "eurjpy", "eurnzd"), 1)
    quote = {"audusd": 1, "gbpusd": 1, "nzdusd": 1, "usdcad": -1, "usdchf": -1, "usdjpy": -1}
    cross = {p: 1 for p in PAIRS if "eur" not in p and "usd" not in p}
    assert len(cross) == 15
    lane = PAIRS.index("eurusd")

    def compare(name: str, theirs: pd.Series, at_least: int = 500) -> None:
        ours = found[name][:, lane]
        both = ~np.isnan(ours) & ~np.isnan(theirs.to_numpy())
        both[:1000] = False  # pandas knows of no segment
        assert both.sum() >= at_least, name
        np.testing.assert_allclose(ours[both], theirs.to_numpy()[both], rtol=0, atol=2e-9, err_msg=name)

    own = x["eurusd"]
    for group, chosen in (("base", base), ("quote", quote), ("cross", cross)):
        for w in (30, 60, 120, 240):
            each = [s * own.rolling(w).corr(x[p]) for p, s in chosen.items()]
            size = [abs(c) for c in each] if group == "cross" else each
            compare(f"corr_{group}_{w}", sum(size) / len(size))
    each = [s * own.rolling(60).corr(x[p]) for p, s in quote.items()]
    mean = sum(each) / 6
    compare("corr_delta_quote_60", mean - mean.shift(15))
    g = sum(s * x[p] for p, s in quote.items()) / 6
    compare("lead_lag_quote_60", own.rolling(60).corr(g.shift(1)) - g.rolling(60).corr(own.shift(1)))
    deviation = sum(raw[p].rolling(60).std() for p in base) / 6
    compare("vol_ratio_base_60", raw["eurusd"].rolling(60).std() / deviation)
    move = y - y.shift(60)
    turned = pd.DataFrame({p: s * move[p] for p, s in quote.items()})
    compare("rel_strength_quote_60", (move["eurusd"] - turned.mean(axis=1)) / turned.std(axis=1, ddof=1))
    compare("divergence_quote_60", turned.std(axis=1, ddof=1))


@pytest.mark.parametrize("w", [30, 240])
def test_pairs_over_common_rows(w: int) -> None:
    """Each correlation over the rows where both have a value, whatever the others lack."""
    x = noise(1500, 0.02, seed=1)
    x[700:760, 3] = np.nan
    x[900:1200, 5] = 1.5  # flat
    sums, out = pair_sums(28), np.empty(378)
    age = np.arange(1500)
    compared = 0
    for r in range(1500):
        pair_sums_step(x, r, age[r], w, sums)
        if r % 97 or r < w:
            continue
        pair_correlations(sums, age[r], w, float(needed(w)), out)
        k = -1
        for i in range(28):
            for j in range(i + 1, 28):
                k += 1
                rows = x[r - w + 1 : r + 1][:, [i, j]]
                rows = rows[~np.isnan(rows).any(axis=1)]
                if len(rows) < needed(w) or np.ptp(rows, axis=0).min() == 0:
                    assert np.isnan(out[k]), (r, i, j)
                    continue
                assert out[k] == pytest.approx(np.corrcoef(rows.T)[0, 1], abs=1e-13)
                compared += 1
    assert compared > 2000


def test_error_after_a_shock() -> None:
    """A minute 100,000 times as loud enters and leaves: nothing of it stays (50 digits)."""
    x = noise(400, seed=2)[:, :3].copy()
    x[100, 0], x[130, 1] = 1e5, -1e5
    w, sums, out = 60, pair_sums(3), np.empty(3)
    worst = 0.0
    with mpmath.workdps(50):
        for r in range(400):
            pair_sums_step(x, r, r, w, sums)
            if r < 195 or r % 20:
                continue
            pair_correlations(sums, r, w, 54.0, out)
            a, b = ([mpmath.mpf(v) for v in x[r - w + 1 : r + 1, k]] for k in (0, 1))
            ma, mb = sum(a) / w, sum(b) / w
            ab = sum((u - ma) * (v - mb) for u, v in zip(a, b, strict=True))
            size = mpmath.sqrt(sum((u - ma) ** 2 for u in a) * sum((v - mb) ** 2 for v in b))
            worst = max(worst, float(abs(mpmath.mpf(float(out[0])) - ab / size)))
    assert worst < 1e-15


# --- properties -------------------------------------------------------------------------------------------------------


def test_known_values() -> None:
    """Triangles: dy(eurusd) = dy(eurgbp) + dy(gbpusd). With independent currencies of one size, a member of the base
    or quote group has correlation 1/2 and one of the cross group 0."""
    rng = np.random.default_rng(3)
    value = dict(
        zip(("eur", "gbp", "aud", "nzd", "usd", "cad", "chf", "jpy"), rng.standard_normal((8, 20_000)), strict=True)
    )
    x = np.column_stack([value[p[:3]] - value[p[3:]] for p in PAIRS])
    age = np.arange(len(x), dtype=np.int32)
    base, quote, cross = group_correlations(x, age, 240, 216, lists())
    for mean, want in ((base, 0.5), (quote, 0.5), (cross, np.sqrt(2 / np.pi / 240))):
        assert np.nanmean(mean) == pytest.approx(want, abs=0.01)


def test_mirrored() -> None:
    """x -> -x moves no bit."""
    x, age = noise(3000, 0.001), np.arange(3000, dtype=np.int32)
    for a, b in zip(
        group_correlations(x, age, 60, 54, lists()), group_correlations(-x, age, 60, 54, lists()), strict=True
    ):
        assert same_bits(a, b).all()


def test_only_members_count() -> None:
    """EURUSD beside its 12 relatives only: the same bits as among all 28; no cross group."""
    x, age = noise(3000, 0.002), np.arange(3000, dtype=np.int32)
    some = tuple(p for p in PAIRS if "eur" in p or "usd" in p)
    narrow = np.ascontiguousarray(x[:, [PAIRS.index(p) for p in some]])
    found = [members(some, g) for g in ("base", "quote", "cross")]  # type: ignore[arg-type]
    base, quote, cross = (groups_of(m.signs, m.whole) for m in found)
    whole = group_correlations(x, age, 60, 54, lists())
    part = group_correlations(narrow, age, 60, 54, (base, quote, cross))
    a, b = PAIRS.index("eurusd"), some.index("eurusd")
    assert same_bits(whole[0][:, a], part[0][:, b]).all()
    assert same_bits(whole[1][:, a], part[1][:, b]).all()
    assert np.isnan(part[2]).all()
    assert np.isnan(part[0][:, some.index("gbpusd")]).all()


def test_live() -> None:
    """Row by row over a ring no longer than the window and one: the same bits, over a restart and a segment's end."""
    x = noise(2600, 0.003, seed=4)
    age = np.r_[np.arange(1300), np.arange(1300)].astype(np.int32)
    w = 60
    groups = lists()
    batch = group_correlations(x, age, w, needed(w), groups)
    ring, sums, held = np.full((w + 1, 28), np.nan), pair_sums(28), np.empty(378)
    now = tuple(np.empty((1, 28)) for _ in range(3))
    live = tuple(np.empty_like(x) for _ in range(3))
    for r in range(len(x)):
        ring[r % (w + 1)] = x[r]
        group_step(ring, r, age[r], w, needed(w), groups, sums, held, now, 0)
        for k in range(3):
            live[k][r] = now[k][0]
    for a, b in zip(live, batch, strict=True):
        assert (~np.isnan(a)).sum() > 20_000
        assert same_bits(a, b).all()


def test_scores_live() -> None:
    x = noise(2600, 0.01, seed=5)
    age = np.r_[np.arange(1300), np.arange(1300)].astype(np.int32)
    batch = scores_across(x, age, 480, needed(480))
    ring, state, now = np.full((481, 28), np.nan), np.zeros((STATE_ROWS, 28)), np.empty((1, 28))
    run, last = np.zeros(28), np.full(28, np.nan)
    for r in range(len(x)):
        ring[r % 481] = x[r]
        score_across_row(ring, r, age[r], 480, needed(480), state, run, last, now, 0)
        assert same_bits(now[0], batch[r]).all()
    rows = x[1500 - 479 : 1501, 7]
    want = (x[1500, 7] - np.nanmean(rows)) / np.nanstd(rows, ddof=1)
    assert batch[1500, 7] == pytest.approx(want, rel=1e-12)


# --- NULL and why -----------------------------------------------------------------------------------------------------


def test_one_pair_alone(panel_world: World) -> None:
    """All NULL, and each column says what is missing."""
    alone = panel_world.only(["eurusd"])
    for domain in DOMAINS:
        home = home_of(domain)
        streams, row = alone.streams(home, START, END)
        values = alone.values(home, START, END)
        assert all(np.isnan(v).all() for v in values.values())
        view = alone.view(START, END)
        for item in home.columns:
            told = explain(home, item, streams, END - 1 - 3 * 60, "eurusd")
            assert (told.reason or "").startswith("panel: "), (item.name, told.reason)
            assert "euraud" in str(told.reason) or "audusd" in str(told.reason) or "audcad" in str(told.reason)
        masks = Reasons(view).masks(home.by_name["corr_base_60"].support, home.uses)
        assert masks["panel"].any() and not masks["gap"].any() and not masks["expected"].any()
        assert row >= 0


def test_a_stale_member(panel_world: World) -> None:
    """AUDNZD is silent for 90 minutes on 8 March: its relatives' correlations go, others stay."""
    home = home_of("rate")
    at = minute_of(datetime(2024, 3, 8, 4, 20, tzinfo=UTC))
    view = panel_world.view(START, at + 1)
    item, row = home.by_name["corr_base_60"], len(view.panel.grid) - 1
    said = {p: str(item.why_null(view, row, PAIRS.index(p))) for p in PAIRS}
    assert said["audnzd"].startswith("gap: ")
    values = panel_world.values(home, at, at + 1, ["corr_base_60"])
    for pair in ("audusd", "audcad", "audchf", "audjpy"):
        assert "panel: " in said[pair] and "have both" in said[pair]
        assert np.isnan(values["corr_base_60"][0, PAIRS.index(pair)])
    for pair in PAIRS:
        assert (said[pair] == "None") == (not np.isnan(values["corr_base_60"][0, PAIRS.index(pair)]))
        assert ("audnzd" in said[pair]) <= (bool({"aud", "nzd"} & {pair[:3], pair[3:]}))
    assert "None" in said.values()


# --- planted mistakes -------------------------------------------------------------------------------------------------


def _unsigned(self: Correlations, group: str, w: int) -> F8:
    found = self.groups[group]  # type: ignore[index]
    one = groups_of(np.abs(found.signs), found.whole)
    return group_correlations(self.x, self.age, w, needed(w), (one, one, one))[0]


def _misaligned(self: Correlations, group: str, w: int) -> F8:
    """One pair is a row late, as if positions were compared and not time stamps."""
    x = self.x.copy()
    x[1:, 9] = self.x[:-1, 9]
    found = self.groups[group]  # type: ignore[index]
    one = groups_of(found.signs, found.whole)
    return group_correlations(x, self.age, w, needed(w), (one, one, one))[0]


def _carried(self: Correlations, group: str, w: int) -> F8:
    found = self.groups[group]  # type: ignore[index]
    one = groups_of(found.signs, found.whole)
    return group_correlations(self.series, self.age, w, needed(w), (one, one, one))[0]


def _those_there_are(self: Correlations, group: str, w: int) -> F8:
    """The mean over the members that have a correlation."""
    found = self.groups[group]  # type: ignore[index]
    total, count = np.zeros(self.x.shape), np.zeros(self.x.shape)
    for k in range(28):
        signs = np.where(np.arange(28)[None, :] == k, found.signs, 0).astype(np.int8)
        one = groups_of(signs, (signs != 0).any(axis=1))
        each = group_correlations(self.x, self.age, w, needed(w), (one, one, one))[0]
        total, count = total + np.nan_to_num(each), count + ~np.isnan(each)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@pytest.mark.parametrize(
    ("mistake", "check"),
    [(_unsigned, "reference"), (_misaligned, "reference"), (_carried, "nulls"), (_those_there_are, "nulls")],
)
def test_planted(mistake: Callable[..., F8], check: str, panel_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_of("rate")
    few = replace(home, columns=tuple(home.by_name[c] for c in ("corr_base_60", "corr_quote_60")))
    world = panel_world.recent(8)
    monkeypatch.setattr(Correlations, "corr", mistake)
    assert not all(r.passed for r in CHECKS[check](few, world))


def test_honest_passes(panel_world: World) -> None:
    home = home_of("rate")
    few = replace(home, columns=tuple(home.by_name[c] for c in ("corr_base_60", "corr_quote_60")))
    for check in ("reference", "nulls"):
        assert all(r.passed for r in CHECKS[check](few, panel_world.recent(8)))


def _built_from_here(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    """Sums that never restart: they remember where the build began."""
    age = np.arange(1, len(streams.panel.grid) + 1, dtype=np.int32)
    series = Correlations(streams, "rate")
    inside = series.age[:, None] >= 59
    found = group_correlations(series.x, np.where(age % 1024, age, age + 1).astype(np.int32), 60, 54, series._lists)
    return {"corr_base_60": np.where(inside, series.lanes.back(found[0]), np.nan)}


def test_the_start_of_the_build_is_caught(panel_world: World) -> None:
    home = home_of("rate")
    few = replace(home, columns=(home.by_name["corr_base_60"],), compute=_built_from_here)
    assert not all(r.passed for r in CHECKS["partition"](few, panel_world.recent(12)))
