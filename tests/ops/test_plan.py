"""The plan as data: it loads strictly, its totals are explained, its schedule is the longest path."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path

import pytest

from bqx.base.errors import PlanError, UsageError
from bqx.features.catalogue import own_datasets
from bqx.ops.plan.columns import columns_in, homes_of, own_fingerprint, partitions_in, stale
from bqx.ops.plan.diff import diff
from bqx.ops.plan.forecast import forecast
from bqx.ops.plan.graph import dependants, sort
from bqx.ops.plan.model import Plan, PrintedTotal, Stage
from bqx.ops.plan.read import CURRENT, FOLDER, load_plan, read_plan, versions
from bqx.ops.plan.register import register_from
from bqx.ops.plan.schedule import schedule
from bqx.ops.plan.totals import totals

PLAN = load_plan()


def made(*stages: tuple[str, float, tuple[str, ...]]) -> Plan:
    """A plan of stages (id, hours, after)."""
    found = {n: Stage(n, n, "1", "features", "rate", "me", h, after) for n, h, after in stages}
    return replace(PLAN, stages=found, version="test")


def copied(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """The current plan with one text replaced."""
    folder = tmp_path / "v9"
    shutil.copytree(FOLDER / CURRENT, folder)
    path = folder / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return folder


def test_every_version_loads() -> None:
    assert versions() == ("tracker", "v2.0", "v3.0")
    kinds = [s.kind for s in PLAN.stages.values()]
    assert (kinds.count("task"), kinds.count("features"), kinds.count("migration"), kinds.count("pipeline")) == (
        35,
        19,
        1,
        1,
    )
    assert all(s.owner and s.exit for s in PLAN.stages.values())
    with pytest.raises(UsageError, match=r"v2\.0, v3\.0"):
        load_plan("v4.0")


def test_the_plan_is_of_this_catalogue() -> None:
    assert PLAN.catalogue == own_fingerprint(), (
        "the catalogue changed: review the plan, then put its new fingerprint in"
    )
    assert stale(PLAN) is None
    assert "made from catalogue other" in str(stale(replace(PLAN, catalogue="other")))
    homes = own_datasets().values()
    assert {h.stage for h in homes if h.counted} <= set(PLAN.stages)
    assert sum(columns_in(homes_of(name)) for name in PLAN.stages) == 1264
    assert sum(partitions_in(PLAN, homes_of(name)) for name in PLAN.stages) == 11760
    for name, stage in PLAN.stages.items():
        if stage.features is not None:
            assert columns_in(homes_of(name)) == stage.features, name


def test_printed_totals_are_explained_exactly_where_they_differ() -> None:
    found = {t.what: t for t in totals(PLAN)}
    assert len(found) == 30
    assert (found["All domains, features"].printed, found["All domains, features"].ours) == (1080, 1264)
    assert (found["All domains, tables"].lines, found["All domains, tables"].ours) == (11844, 11760)
    assert found["Hours left after 1.6.9"].lines == 136
    assert sum(not t.agrees for t in found.values()) == 16
    item = PrintedTotal("x", 735, {"stages": "1.6.[12]?", "field": "features"})
    with pytest.raises(PlanError, match="differs without a reason"):
        totals(replace(PLAN, totals=(item,)))
    with pytest.raises(PlanError, match="agrees but has a reason"):
        totals(replace(PLAN, totals=(replace(item, printed=734, why="none"),)))


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("plan.yaml", "after: [1.6.9],\n     printed", "after: [1.6.99],\n     printed",
         r"unknown stage '1\.6\.99'.*1\.6\.10, after"),
        ("plan.yaml", "advised: [1.6.10]", "advised: [1.6.11]", r"unknown stage '1\.6\.11'.*advised"),
        ("plan.yaml", "after: [1.6.9],\n     advised", "after: [1.6.11],\n     advised",
         r"circle: 1\.6\.11 -> 1\.6\.11"),
        ("plan.yaml", "kind: migration\n", "kind: migration\n    colour: red\n", "unknown key 'colour'"),
        ("plan.yaml", "name: Table renaming", "name: 7", "'name' is 7, not a str"),
        ("plan.yaml", "id: 1.6.11", "id: 1.6.10", "'1.6.10' is declared twice"),
        ("plan.yaml", "exit: stage 1.6.9", "exit: when it feels right", "no machine check"),
        ("plan.yaml", "kind: migration", "kind: magic", "no kind of stage"),
        ("plan.yaml", "stages:\n", "stages: {\n", "not YAML"),
        ("tasks.yaml", "after: [3.1.1, 3.1.2]", "after: [3.6.8]", r"circle: 3\.1\.3 -> .*3\.6\.8 -> .*3\.1\.3"),
        ("register.yaml", "impact: 5", "impact: 9", "impact is 9, not 1 to 5"),
    ],
)  # fmt: skip
def test_a_plan_that_contradicts_itself_is_refused(tmp_path: Path, file: str, old: str, new: str, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        read_plan(copied(tmp_path, file, old, new))


def test_cycles_are_named_with_their_path() -> None:
    plan = made(("a", 1, ("c",)), ("b", 1, ("a",)), ("c", 1, ("b",)))
    with pytest.raises(PlanError, match="a -> c -> b -> a"):
        sort(plan.stages)
    with pytest.raises(PlanError, match="unknown stage: a -> z"):
        sort(made(("a", 1, ("z",))).stages)


def test_what_the_first_stage_gates() -> None:
    gated = set(dependants(PLAN.stages, ["1.6.9"])) - {"1.6.9"}
    assert len([n for n in gated if n.startswith("1.")]) == 19, "18 of the seed and our 1.6.9a"
    assert "3.6.5" in gated


def test_the_schedule_is_the_longest_path() -> None:
    plan = made(("a", 2, ()), ("b", 3, ("a",)), ("c", 5, ("a",)), ("d", 1, ("b", "c")), ("e", 4, ()))
    found = schedule(plan)
    assert (found.hours, found.sequential, found.path, found.width) == (8, 15, ("a", "c", "d"), 3)
    assert {n: s.slack for n, s in found.slots.items()} == {"a": 0, "b": 2, "c": 0, "d": 0, "e": 4}
    assert schedule(plan, ["b", "d"]).path == ("b", "d")


@pytest.mark.parametrize("name", ["1.6.10", "1.6.20", "3.3.3", "3.6.7"])
def test_a_stage_may_be_late_by_its_slack_and_no_more(name: str) -> None:
    whole = schedule(PLAN)
    slack = whole.slots[name].slack
    hours = {n: s.hours or 0.0 for n, s in PLAN.stages.items()}
    assert schedule(PLAN, hours={**hours, name: hours[name] + slack}).hours == whole.hours
    assert schedule(PLAN, hours={**hours, name: hours[name] + slack + 0.5}).hours == whole.hours + 0.5


def test_the_critical_path_of_the_plan() -> None:
    """Against all chains, enumerated."""
    names = [n for n in PLAN.order if n.startswith("1.")]
    longest: dict[str, float] = {}
    for name in names:
        before = [longest[o] for o in PLAN.stages[name].before if o in longest]
        longest[name] = (PLAN.stages[name].hours or 0) + max(before, default=0.0)
    found = schedule(PLAN, names)
    assert found.hours == max(longest.values()) == 43
    assert found.path == ("1.6.9", "1.6.16", "1.6.18", "1.6.21", "1.7.1")
    assert found.sequential == 137
    for earlier, later in zip(found.path, found.path[1:], strict=False):
        assert earlier in PLAN.stages[later].before


def test_forecasts_come_from_actuals() -> None:
    names = ["1.6.10", "1.6.11", "1.6.12"]
    none = forecast(PLAN, {"1.6.10": 1.0}, frozenset())
    assert (none.p50, none.reason) == (None, "1 finished stages have an estimate, 3 are needed")
    even = forecast(PLAN, dict.fromkeys(names, 3.0), frozenset(names))
    left = sum(s.hours or 0 for n, s in PLAN.stages.items() if n not in names)
    assert even.p50 == even.p90 == pytest.approx(left / 2)
    assert even.error == 0.5
    wide = forecast(PLAN, {"1.6.10": 3.0, "1.6.11": 6.0, "1.6.12": 18.0}, frozenset(names))
    assert 0.5 * left < (wide.p50 or 0) < (wide.p90 or 0) < 3 * left
    assert (wide.parallel_p50 or 0) < (wide.p50 or 0)


def test_the_reconciliation() -> None:
    found = diff(load_plan("v2.0"), PLAN)
    figures = {c.name: c for c in found.aspects}
    wanted = {"base_features": 374, "with_lags": 226, "selected": 257, "cost_a_month": 66}
    assert {n: round(100 * ((figures[n].ratio or 0) - 1)) for n in wanted} == wanted
    assert (figures["phase3_hours"].new or 0) - (figures["phase3_hours"].old or 0) == 15
    assert len(found.added) == 55
    other = diff(load_plan("tracker"), PLAN).changed
    assert other["1.7.1"]["name"] == ("Schema expansion", "Momentum")
    assert other["1.6.12"]["features"] == (48, 56)


def test_a_register_is_read_strictly() -> None:
    row = "{id: x, what: disks, amount: 5, currency: EUR, period: month, estimate: e1, when: 2026-01-02, who: board}"
    text = f"approvals:\n- {row}\n"
    assert register_from(text, "here", ["1.6.9"]).approvals[0].when == date(2026, 1, 2)
    for bad, says in (
        ("lessons:\n- {id: a, text: t, practice: p, kind: moan}", "kind is 'moan'"),
        ("lessons:\n- {id: a, text: t, practice: p, kind: well, stage: 9.9}", "'stage' is 9.9, not a str"),
        ("blockers:\n- {id: b, severity: L1, stages: [9.9.9], reason: r, owner: o, opened: 2026-01-02, exit: verified}",
         "unknown stage"),
        ("nothing: []", "unknown key 'nothing'"),
        ("[]", "no mapping"),
    ):  # fmt: skip
        with pytest.raises(PlanError, match=says):
            register_from(bad, "here", ["1.6.9"])


def test_every_pair_of_versions_has_a_diff() -> None:
    for old, new in product(versions(), repeat=2):
        found = diff(load_plan(old), load_plan(new))
        assert (found.changed == {} and not found.added) == (old == new)
