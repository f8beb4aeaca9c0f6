"""A whole run: planted links and nothing else, the same on 1 and 4 workers and after a kill, every question counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.soak.causality_world import asked, world

from bqx.base.errors import CausalityStateError, UsageError
from bqx.research.causality.links import frame
from bqx.research.causality.page import causality_report, verdict
from bqx.research.causality.parts import Parts
from bqx.research.causality.run import Causality, run_series, trials_of
from bqx.research.causality.series import Series
from bqx.research.causality.settings import Settings

PLANTS = ((0, 3, 1, 0.6), (2, 1, 2, -0.6))
OPTIONS = {"budget": 4.0, "draws": 199, "max_order": 10}
KILLED = (
    "import sys; from pathlib import Path; from benchmarks.soak.causality_world import asked, world; "
    "asked(world(2400, 4, 3, ((0, 3, 1, 0.6), (2, 1, 2, -0.6))), Path(sys.argv[1]), workers=2, budget=4.0, draws=199, "
    "max_order=10)"
)


@pytest.fixture(scope="module")
def series() -> Series:
    return world(2400, 4, 3, PLANTS)


@pytest.fixture(scope="module")
def once(series: Series, tmp_path_factory: pytest.TempPathFactory) -> Causality:
    return asked(series, tmp_path_factory.mktemp("once"), **OPTIONS)


def test_planted_links_are_found(once: Causality, series: Series) -> None:
    """With lag and sign, by both methods; targets that nothing leads get no link."""
    names = series.names
    kept = {(k.method, k.source, k.target, k.lag, k.sign) for k in once.kept}
    for method in ("granger", "te"):
        assert (method, names[0], names[3], 1, 1) in kept
    assert ("granger", names[2], names[1], 2, -1) in kept
    assert {k.target for k in once.kept} <= {names[3], names[1]}
    assert all(k.q_by <= 0.05 and k.support is not None and k.support >= 0.6 for k in once.kept)
    assert len(once.links) == 2 * 4 * 3
    out = [k for k in once.links if k.reason.startswith("screened")]
    assert out
    assert all(k.p == k.q_by == 1.0 for k in out), "screened-out questions stay in the family"


def test_four_workers_give_the_same(once: Causality, series: Series, tmp_path: Path) -> None:
    assert asked(series, tmp_path, workers=4, **OPTIONS) == once


def test_resume_after_kill_gives_the_same(once: Causality, series: Series, tmp_path: Path) -> None:
    """Killed when the ninth part has just been renamed into place."""
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}", "BQX_FAULT": "after-rename:9"}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL
    left = sorted(tmp_path.glob("*.json"))
    assert 9 <= len(left) < 30
    before = {p: p.stat().st_mtime_ns for p in left}
    assert asked(series, tmp_path, workers=2, **OPTIONS) == once
    assert {p: p.stat().st_mtime_ns for p in left} == before, "finished parts are not made again"


def test_damaged_and_foreign_parts(series: Series, tmp_path: Path) -> None:
    few = series.only(series.names[:3])
    options = {"methods": ("granger",), "draws": 99, "max_order": 3}
    asked(few, tmp_path, **options)
    with pytest.raises(CausalityStateError, match="is of run"):
        asked(few, tmp_path, **{**options, "draws": 100})
    next(iter(tmp_path.glob("granger-*.json"))).write_text('{"digest"')
    with pytest.raises(CausalityStateError, match="cannot be read"):
        asked(few, tmp_path, **options)


def test_series_that_lack_too_much_stay_in_the_family(series: Series, tmp_path: Path) -> None:
    values = series.values.copy()
    values[::7, 2] = np.nan
    thin = Series(series.kind, 5, series.names, series.minute, series.position, series.segment, values)
    found = asked(thin, tmp_path, methods=("granger",), draws=99, max_order=3)
    assert len(found.links) == 12
    out = [k for k in found.links if series.names[2] in (k.source, k.target)]
    assert len(out) == 6
    assert all(k.p == 1.0 and "lacks more than a tenth" in k.reason for k in out)
    assert found.kinds["return_5"]["left_out"] == [series.names[2]]


def test_rounding_is_no_link_given_the_gap(tmp_path: Path) -> None:
    """True prices are independent walks and agree; quotes are rounded to about one step. Each then seems to lead the
    others, for together they tell the true price; given the gap, nobody does."""
    rng = np.random.default_rng(7)
    walk = np.cumsum(rng.normal(size=(2401, 2)) * [1.0, 0.4], axis=0)
    true = np.column_stack([walk[:, 0], walk[:, 1], walk[:, 0] - walk[:, 1]])  # eurjpy = eurusd * usdjpy
    levels = np.round(true / 1.2) * 1.2
    values, at = np.diff(levels, axis=0), np.arange(2400, dtype=np.int64) * 5 + 4
    one = np.ones_like(values)
    names = ("eurjpy", "eurusd", "usdjpy")
    given = Series("return_5", 5, names, at, at, at // 7200, values, (), levels[1:], one)
    blind = Series("return_5", 5, names, at, at, at // 7200, values)
    options = {"methods": ("granger",), "draws": 99, "max_order": 10}
    assert [k for k in asked(blind, tmp_path / "blind", **options).links if k.q_by <= 0.05]
    assert not [k for k in asked(given, tmp_path / "given", **options).links if k.q_by <= 0.05]


def test_features_are_asked_of_their_own_pair(tmp_path: Path) -> None:
    """A column that knows the next step's direction a little is found; noise, a constant and a hole are not."""
    few, rng = world(2400, 3, 9), np.random.default_rng(1)
    noise = {n: rng.normal(size=len(few.minute)) for n in few.names}

    def features(pair: str, rows: Series) -> dict[str, np.ndarray]:
        at = np.searchsorted(few.minute, rows.minute)
        ahead = np.roll(few.values[:, few.names.index(pair)], -1)
        told = (0.4 if pair == few.names[0] else 0.0) * ahead + noise[pair]
        hole = np.where(np.arange(len(told)) % 5 == 0, np.nan, told)
        return {n: v[at] for n, v in (("a.told", told), ("a.flat", np.ones(len(told))), ("a.hole", hole))}

    names = ("a.told", "a.flat", "a.hole")
    settings = Settings(few.names, 0, 1, (few.kind,), features=names, draws=99, max_order=5, budget=4.0)
    found = run_series([few], settings, Parts(tmp_path, settings.digest), features=features)
    assert {(k.method, k.source, k.target) for k in found.kept} == {
        ("granger", "a.told", few.names[0]),
        ("te", "a.told", few.names[0]),
    }
    assert len(found.links) == 2 * (6 + 9)
    reasons = {k.source: k.reason for k in found.links if k.method == "granger" and k.target == few.names[1]}
    assert reasons["a.flat"] == "does not vary"
    assert reasons["a.hole"] == "80 % of the training rows have a value"


def test_table_page_and_trials(once: Causality, tmp_path: Path) -> None:
    table = frame(once.links)
    assert table.shape[0] == len(once.links)
    assert {"source", "target", "lag", "statistic", "p", "q_by", "support", "sign"} <= set(table.columns)
    assert Causality.from_dict(json.loads(json.dumps(once.as_dict()))) == once
    report = causality_report(once, "Causality")
    page = report.html()
    first = once.kept[0]
    assert f"<title>{first.source} to {first.target}" in page
    assert page.count('marker-end="url(#') == len(once.kept)
    assert "never a proof of causality" in report.markdown()
    assert "screened out" in report.markdown()
    paths = report.write(tmp_path, "c")
    assert [p.suffix for p in paths] == [".html", ".md", ".json"]
    none = Causality(once.settings, tuple(k for k in once.links if not k.kept), once.kinds, True)
    assert verdict(none).startswith("no demonstrated link")
    assert "SIMULATED DATA" in causality_report(none, "x").markdown()
    tried = trials_of(once)
    assert [(t.model, t.columns) for t in tried] == [("granger", 12), ("te", 12)]
    assert sum(t.score or 0 for t in tried) == len(once.kept)


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(UsageError, match="unknown series 'return_7'"):
        Settings(("eurusd",), 0, 1, ("return_7",))
    with pytest.raises(UsageError, match="unknown method"):
        Settings(("eurusd",), 0, 1, methods=("hunch",))
    with pytest.raises(UsageError, match="q lies"):
        Settings(("eurusd",), 0, 1, q=1.0)
    one, two = Settings(("eurusd", "usdjpy"), 0, 9), Settings(("eurusd", "usdjpy"), 0, 9, seed=1)
    assert one.digest != two.digest
    assert Settings.from_dict(json.loads(json.dumps(one.as_dict()))) == one
