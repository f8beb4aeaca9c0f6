"""The family on panels: names, identities, mirrors, closures, planted relations and planted mistakes."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.anchors import Anchors
from bqx.features.checks import CHECKS, World
from bqx.features.compute import evaluate
from bqx.features.families import error_correction_series as series
from bqx.features.families import error_correction_sister as sister
from bqx.features.families.error_correction import DATASET, DOMAINS, METRICS, RELATIONS, support_of
from bqx.features.families.error_correction_support import bridge, legs, others, related
from bqx.features.streams import Streams
from bqx.market.calendar import WEEK, Calendar, minute_of
from bqx.market.pairs import CURRENCIES, PAIRS, TRIANGLES, parse_pair
from bqx.market.panel import Panel

F8 = NDArray[np.float64]
COLUMNS = Path(__file__).parents[3] / "shared" / "specs" / "columns.csv"
START = minute_of(datetime(2024, 1, 28, 22, tzinfo=UTC))


def panel_of(calendar: Calendar, weeks: int, levels: F8 | None = None, seed: int = 0) -> Panel:
    """All pairs over whole weeks; close = exp(1e-4 level), opens at the close before, levels of 8 random walks unless
    given."""
    grid = calendar.grid(START, START + weeks * 7 * 1440)
    levels = walks(len(grid), seed) if levels is None else levels
    close = np.exp(1e-4 * levels)
    before = np.vstack([close[:1], close[:-1]])
    zeros, p = np.zeros(close.shape), len(PAIRS)
    first, last = np.full(p, grid.minute[0]), np.full(p, grid.minute[-1])
    return Panel(grid, PAIRS, before, np.maximum(close, before), np.minimum(close, before), close, zeros + 1.0,
                 zeros.astype(np.int32), first, last)  # fmt: skip


def walks(rows: int, seed: int) -> F8:
    """Levels of the 28 pairs, bps, from random walks of the currencies."""
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.standard_normal((rows, 8)), axis=0)
    own = [parse_pair(name) for name in PAIRS]
    return np.asarray(
        values[:, [CURRENCIES.index(o.base) for o in own]] - values[:, [CURRENCIES.index(o.quote) for o in own]]
    )


def reverting(rows: int, seed: int, half_life: float) -> F8:
    """A stationary component, sd 4 bps."""
    rng = np.random.default_rng(seed)
    phi = 0.5 ** (1.0 / half_life)
    out = np.zeros(rows)
    shocks = rng.standard_normal(rows) * 4.0 * np.sqrt(1.0 - phi * phi)
    for r in range(1, rows):
        out[r] = phi * out[r - 1] + shocks[r]
    return out


def streams_of(panel: Panel, calendar: Calendar) -> Streams:
    return Streams(panel, calendar, Anchors())


def test_names_and_order() -> None:
    with COLUMNS.open() as file:
        wanted = [row[1] for row in csv.reader(file) if row[0] == DATASET.name]
    assert [c.name for c in DATASET.columns] == wanted
    assert len(wanted) == len(METRICS) * len(RELATIONS) * len(DOMAINS) == 112


def test_triangles_and_groups() -> None:
    assert bridge("eurjpy") == "usd" and bridge("usdjpy") == "eur" and bridge("eurusd") == "gbp"
    assert legs("eurjpy", "usd") == (("eurusd", 1.0), ("usdjpy", 1.0))
    assert legs("eurgbp", "usd") == (("eurusd", 1.0), ("gbpusd", -1.0))
    assert legs("usdjpy", "eur") == (("eurusd", -1.0), ("eurjpy", 1.0))
    assert len(related("eurusd")) == 12 and "eurusd" not in related("eurusd")
    for triangle in TRIANGLES:
        third = (set(CURRENCIES) - {parse_pair(triangle.cross).base, parse_pair(triangle.cross).quote}) & {
            triangle.first[:3], triangle.first[3:]
        }  # fmt: skip
        assert legs(triangle.cross, third.pop()) == ((triangle.first, 1.0), (triangle.second, 1.0))
    assert all(len(others(pair)) == 6 for pair in PAIRS)


def test_prices_that_agree_leave_nothing(holiday_calendar: Calendar) -> None:
    """T12: exact crosses; the strengths of the currencies add up to 0."""
    panel = panel_of(holiday_calendar, 1)
    found = evaluate(DATASET, streams_of(panel, holiday_calendar), ["ec_ect_tri1_rate", "ec_ect_trim_rate"])
    for name, value in found.items():
        assert np.abs(value).max() < 1e-9, name
    groups = [series._groups(PAIRS, quote, own=True) for quote in (False, True)]
    level = walks(100, 3)
    ours, theirs = (series.member_mean(level, *group) for group in groups)
    strength = {parse_pair(p).base: ours[:, j] for j, p in enumerate(PAIRS)}
    strength |= {parse_pair(p).quote: -theirs[:, j] for j, p in enumerate(PAIRS)}
    assert np.abs(sum(strength.values())).max() < 1e-12
    for j, pair in enumerate(PAIRS):
        own = parse_pair(pair)
        np.testing.assert_allclose(strength[own.base] - strength[own.quote], 8.0 / 7.0 * level[:, j], atol=1e-11)


def test_quotes_of_the_simulated_market_agree_within_their_spreads(panel_world: World) -> None:
    _, last = panel_world.span
    streams, row = panel_world.streams(DATASET, last - 3 * 1440, last)
    error = evaluate(DATASET, streams, ["ec_ect_tri1_rate"], start_row=row)["ec_ect_tri1_rate"]
    panel = streams.panel.slice(row, streams.panel.shape[0])
    half = 0.5e4 * np.log(panel.quotes["ask_close"] / panel.quotes["bid_close"])
    room = half.copy()
    for j, pair in enumerate(PAIRS):
        for name, _ in legs(pair, bridge(pair)):
            room[:, j] += half[:, PAIRS.index(name)]
    seen = ~np.isnan(error) & ~np.isnan(room)
    assert seen.mean() > 0.8
    assert (np.abs(error)[seen] <= room[seen]).all()


def test_mirror(holiday_calendar: Calendar) -> None:
    """T6: every price inverted turns residuals around and leaves speeds and half-lives."""
    panel = panel_of(holiday_calendar, 2, seed=4)
    noisy = panel.close * np.exp(1e-4 * np.random.default_rng(5).standard_normal(panel.shape))
    panel = replace(panel, close=noisy)
    mirrored = replace(panel, open=1 / panel.open, high=1 / panel.low, low=1 / panel.high, close=1 / panel.close)
    names = [f"ec_{m}_{k}_rate" for m in METRICS for k in ("tri1", "trim", "egb", "egq", "cur", "usd", "self")]
    a = evaluate(DATASET, streams_of(panel, holiday_calendar), names)
    b = evaluate(DATASET, streams_of(mirrored, holiday_calendar), names)
    for name in names:
        metric = name.split("_")[1]
        sign = 1.0 if metric in ("hl", "alpha", "inbound") else -1.0
        scale = np.nanstd(a[name]) if (~np.isnan(a[name])).any() else 1.0
        if metric == "inbound":
            assert (a[name] != b[name])[~np.isnan(a[name])].mean() < 1e-4
        else:
            np.testing.assert_allclose(sign * b[name], a[name], atol=1e-6 * scale, err_msg=name)
    assert (~np.isnan(a["ec_alpha_usd_rate"])).any()


def test_closure_gaps_do_not_enter(holiday_calendar: Calendar) -> None:
    """Prices that open 3 % higher after a weekend: residuals of paths do not notice, parities do."""
    panel = panel_of(holiday_calendar, 3, seed=6)
    later = (np.cumsum(panel.grid.seg_age == 0) > 1)[:, None] & np.array([name == "eurusd" for name in PAIRS])
    factor = np.where(later, 1.03, 1.0)
    age = panel.grid.seg_age == 0
    opened = np.where(age[:, None], panel.close, panel.open)
    panel = replace(panel, open=opened)
    moved = replace(panel, open=opened * factor, high=panel.high * factor, low=panel.low * factor,
                    close=panel.close * factor)  # fmt: skip
    names = [f"ec_ect_{k}_rate" for k in ("egb", "egq", "cur", "usd", "self")]
    a, b = (evaluate(DATASET, streams_of(p, holiday_calendar), [*names, "ec_ect_tri1_rate"]) for p in (panel, moved))
    for name in names:
        np.testing.assert_allclose(a[name], b[name], atol=1e-8, err_msg=name)
        assert (~np.isnan(a[name][-1000:])).any()
    gap = b["ec_ect_tri1_rate"][-1, PAIRS.index("eurusd")] - a["ec_ect_tri1_rate"][-1, PAIRS.index("eurusd")]
    assert gap == pytest.approx(1e4 * np.log(1.03), abs=1e-8)


def test_planted_reversion_is_found_and_nothing_else(holiday_calendar: Calendar) -> None:
    """EURUSD with a component that halves in 30 bars against a panel without: alpha of its regression on the base group
    below the 5 % quantile of 12 random-walk panels (336 lanes) in at least 19 of 20 panels; other random walks at most
    twice the size. Seeds 100-143."""
    rows, lane = 4320, PAIRS.index("eurusd")
    age = np.arange(rows, dtype=np.int32)
    group = series._groups(PAIRS, quote=False, own=False)

    def alpha(level: F8) -> F8:
        error = np.empty(level.shape)
        series.residuals(level, series.member_mean(level, *group), 0, 0, series.LINE, 2592, 60, error)
        return np.asarray(series.measure("alpha", error, level, age)[-1])

    null = np.concatenate([alpha(walks(rows, seed)) for seed in range(100, 112)])
    critical = np.quantile(null, 0.05)
    other = np.concatenate([alpha(walks(rows, seed)) for seed in range(112, 124)])
    assert (other < critical).mean() < 0.10
    found = 0
    for seed in range(124, 144):
        level = walks(rows, seed)
        basket = series.member_mean(level, *group)[:, lane]
        level[:, lane] = 0.8 * basket + reverting(rows, seed + 1000, 30.0)
        found += int(alpha(level)[lane] < critical)
    assert found >= 19


def test_a_project_of_one_pair(panel_world: World) -> None:
    """Everything is built and NULL, for a reason that names who is missing."""
    alone = panel_world.only(["eurusd"])
    _, last = alone.span
    values = alone.values(DATASET, last - 1440, last)
    view = alone.view(*alone.span)
    for item in DATASET.columns:
        reason = str(item.support.why(view, len(view.panel.grid) - 1, 0))
        if "self" not in item.name:
            assert np.isnan(values[item.name]).all()
            assert reason.startswith("panel:") or "sis" in item.name, (item.name, reason)
    reason = DATASET.by_name["ec_ect_tri1_rate"].support.why(view, len(view.panel.grid) - 1, 0)
    assert reason == "panel: the project lacks eurgbp, gbpusd of the triangle"


def test_the_sister_is_last_months(panel_world: World, holiday_calendar: Calendar) -> None:
    """EURUSD follows EURCHF in February and GBPUSD in March: the sister of March is EURCHF, of April GBPUSD."""
    grid = holiday_calendar.grid(START, START + 66 * 1440)
    level = walks(len(grid), 8)
    march = grid.minute >= minute_of(datetime(2024, 3, 1, tzinfo=UTC))
    eurusd, eurchf, gbpusd = (PAIRS.index(p) for p in ("eurusd", "eurchf", "gbpusd"))
    step = np.diff(level, axis=0, prepend=0.0)
    step[:, eurusd] = np.where(march, step[:, gbpusd], -step[:, eurchf]) + 0.05 * step[:, eurusd]
    panel = replace(panel_of(holiday_calendar, 1), grid=grid)
    close = np.exp(1e-4 * np.cumsum(step, axis=0))
    ones = np.ones(close.shape)
    panel = Panel(grid, PAIRS, close, close, close, close, ones, np.zeros(close.shape, dtype=np.int32),
                  np.full(28, grid.minute[0]), np.full(28, grid.minute[-1]))  # fmt: skip
    latest, chosen = sister.sisters(streams_of(panel, holiday_calendar))
    months = [
        f"{np.datetime64(int(m), 'm').astype('datetime64[M]')}" for m in grid.minute[np.unique(latest[latest >= 0])]
    ]
    assert months == ["2024-03", "2024-04"], "January is not wholly there, so February has none"
    assert PAIRS[chosen[0, eurusd]] == "eurchf" and PAIRS[chosen[1, eurusd]] == "gbpusd"
    assert (latest[grid.minute < grid.minute[latest.max()]] < latest.max()).all()


def one(name: str) -> object:
    return replace(DATASET, columns=(DATASET.by_name[name],))


def test_planted_mistakes_are_caught(panel_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by the check that is named; without a mistake all pass."""
    honest_lines, honest_group, honest_splice = series.residuals, series._groups, series.splice

    def lines_of_the_coming_hour(a, b, skip, age, window, need, every, out):  # type: ignore[no-untyped-def]
        late = np.full(out.shape, np.nan)
        honest_lines(a, b, skip, age, window, need, every, out)
        late[:-30] = out[30:]
        out[:] = late

    def lines_from_the_segment(a, b, skip, age, window, need, every, out):  # type: ignore[no-untyped-def]
        honest_lines(a[skip:], b[skip:], 0, age, window, need, every, out)

    def drawn_each_minute(a, b, skip, age, window, need, every, out):  # type: ignore[no-untyped-def]
        honest_lines(a, b, skip, age, window, need, 1, out)

    def unturned(pairs, quote, own):  # type: ignore[no-untyped-def]
        lanes, signs = honest_group(pairs, quote, own)
        return lanes, np.abs(signs)

    def gaps_left_in(y, segment, ends, first, start, stop):  # type: ignore[no-untyped-def]
        return honest_splice(y, segment, ends[:0], first, start, stop)

    name = "ec_ect_egb_rate"
    home = one(name)
    checks = ("causal", "nulls", "reference")

    def failed() -> set[str]:
        fresh = replace(panel_world)  # without values kept from before
        return {c for c in checks if not all(r.passed for r in CHECKS[c](home, fresh))}  # type: ignore[arg-type]

    assert failed() == set()
    for attribute, mistake, by in (
        ("residuals", lines_of_the_coming_hour, "causal"),
        ("residuals", lines_from_the_segment, "reference"),
        ("residuals", drawn_each_minute, "reference"),
        ("_groups", unturned, "reference"),
        ("splice", gaps_left_in, "reference"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(series, attribute, mistake)
            assert by in failed(), mistake.__name__


def test_a_lag_over_the_turn_of_a_month_sees_the_month_before_that() -> None:
    """Twenty bars before 00:10 of 1 October the sister is September's, which August has chosen."""
    calendar = Calendar.load()
    turn = minute_of(datetime(2024, 10, 1, tzinfo=UTC))
    august, september = (calendar.segment_start(minute_of(datetime(2024, m, 1, tzinfo=UTC))) for m in (8, 9))
    assert calendar.segment_start(turn) < turn, "within a segment"
    for metric, lag in (("vel", 20), ("inbound", 20), ("acc", 40)):
        seen = support_of(metric, "sis", "rate")
        assert seen.earliest(turn + lag - 1, calendar) <= august
        assert seen.earliest(turn + lag, calendar) > august
    assert support_of("ect", "sis", "rate").earliest(turn, calendar) >= september - WEEK
