"""Estimates: to the cent, never out of scope, each figure with its source; draws, scaling, ways of serving."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cost_figures import BOOK, D, discounted, scenario
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from bqx.base.errors import CheckError, CostInputError
from bqx.features.catalogue import count, datasets
from bqx.ops.cost.alternatives import alternatives, crossings
from bqx.ops.cost.check import check_estimate, evidence
from bqx.ops.cost.commitment import commitment
from bqx.ops.cost.components import COMPONENTS
from bqx.ops.cost.draws import pert, uniforms
from bqx.ops.cost.estimate import Estimate, estimate
from bqx.ops.cost.given import Given
from bqx.ops.cost.model import figures_of, rules_of
from bqx.ops.cost.money import product, total
from bqx.ops.cost.pricebook import make_book, read_book
from bqx.ops.cost.report import cost_report
from bqx.ops.cost.resources import build_seconds, cell_seconds, measured, training_seconds, year_rows
from bqx.ops.cost.scaling import Policy, simulate
from bqx.ops.cost.scenario import SERVING, read_scenario
from bqx.ops.cost.toml import parse_toml, shipped_toml
from bqx.ops.cost.tornado import tornado
from bqx.research.training.law import Size

ROOT = Path(__file__).parents[3]
FEW = 200


@pytest.fixture(scope="module")
def shipped() -> Estimate:
    return estimate(scenario(), BOOK, draws=FEW)


def check_cents(e: Estimate) -> None:
    """All lines are whole cents; a priced one is what its own figures multiply to; the total is their sum."""
    for line in e.lines:
        assert line.amount == line.amount.quantize(D("0.01")), line.id
        if line.quantity is not None and line.unit_price is not None:
            assert line.amount == product(line.quantity, line.unit_price), line.id
    assert e.total == sum((line.amount for line in e.lines), D(0))
    assert sum(e.groups().values(), D(0)) == e.total
    assert e.annual == 12 * e.total


@pytest.mark.parametrize("how", SERVING)
def test_lines_add_up_to_the_cent(how: str, shipped: Estimate) -> None:
    e = shipped if how == "endpoint" else estimate(scenario(serving=how), BOOK, draws=FEW)
    check_cents(e)
    assert e.p10 < e.p50 < e.p90
    assert e.per_pair == (e.total / 28).quantize(D("0.01"))
    assert e.per_thousand == (1000 * e.total / e.requests).quantize(D("0.01"))


def test_every_figure_has_unit_source_date_and_range(shipped: Estimate) -> None:
    for line in shipped.lines:
        assert line.how
        if line.price:
            assert line.figures, line.id
        for g in line.figures:
            assert g.unit and len(g.source) > 5 and g.low <= g.mode <= g.high and g.dated.year >= 2021, g
    data = shipped.as_dict()
    assert data["prices"]["note"].endswith("NOT CURRENT.")
    assert json.loads(json.dumps(data))["total"] == str(shipped.total)


def test_what_a_line_names_is_all_it_takes(shipped: Estimate) -> None:
    """Moving a figure that a line does not name leaves its quantity as it is; moving one that it names may not."""
    for how in SERVING:
        s = scenario(serving=how)
        figures = figures_of(s, BOOK)
        names = [n for n in figures if n in s.inputs]
        from bqx.ops.cost.model import with_traffic

        x = {n: np.full(len(names) + 1, float(g.mode) or 0.5) for n, g in figures.items()}
        for k, n in enumerate(names):
            x[n][k + 1] *= 2
        values, _ = with_traffic(s, x)
        for rule in rules_of(s):
            q = rule.quantity(values)
            moved = {n for k, n in enumerate(names) if q[k + 1] != q[0]}
            assert moved <= set(rule.inputs), (how, rule.id, moved - set(rule.inputs))


def test_a_line_for_every_component(shipped: Estimate) -> None:
    for how in SERVING[1:]:
        lines = estimate(scenario(serving=how), BOOK, draws=100).lines
        absent = set(COMPONENTS) - {line.component for line in lines}
        assert absent <= {"function-requests", "function-time", "overlap"}, how
    assert not set(COMPONENTS) - {line.component for line in shipped.lines}


def test_without_ranges_all_draws_are_the_estimate() -> None:
    book = replace(BOOK, prices={
        k: replace(p, given=replace(p.given, low=p.given.mode, high=p.given.mode)) for k, p in BOOK.prices.items()
    })  # fmt: skip
    s = scenario(book, fixed=True, discount=[discounted("0.2", ["hosting-hour"], commitment=D(2))])
    e = estimate(s, book, draws=100)
    assert e.p10 == e.p50 == e.p90
    assert abs(e.p50 - e.total) < D("0.01") * len(e.lines)
    assert tornado(s, book) == []


def test_draws_do_not_depend_on_one_another() -> None:
    assert np.array_equal(uniforms(3, "x", 50), uniforms(3, "x", 500)[:50])
    assert abs(np.corrcoef(uniforms(3, "x", 4000), uniforms(3, "y", 4000))[0, 1]) < 0.06
    assert not np.array_equal(uniforms(3, "x", 50), uniforms(4, "x", 50))
    few, more = (estimate(scenario(serving="batch"), BOOK, draws=n).totals for n in (FEW, 2 * FEW))
    assert np.array_equal(few, more[:FEW])


def test_pert_has_its_mean_and_ends() -> None:
    from datetime import date

    figure = Given("x", D(1), D(2), D(9), "h", "test", date(2026, 1, 1))
    x = pert(figure, (np.arange(20_000) + 0.5) / 20_000)
    assert x.min() >= 1 and x.max() <= 9 and (np.diff(x) > 0).all()
    assert x.mean() == pytest.approx((1 + 4 * 2 + 9) / 6, rel=1e-3)
    u = np.linspace(0.001, 0.999, 500)
    for mode in (1, 2, 5, 9):
        exact = 1 + 8 * beta.ppf(u, 1 + 4 * (mode - 1) / 8, 5 - 4 * (mode - 1) / 8)
        assert np.abs(pert(replace(figure, mode=D(mode)), u) - exact).max() < 8e-4


KEYS = sorted(BOOK.prices)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.sampled_from(KEYS), min_size=1), st.decimals("0.01", "0.9", places=2), st.sampled_from(SERVING[1:]))
def test_a_discount_is_never_out_of_scope(scope: set[str], rate: Decimal, how: str) -> None:
    """What is reduced, and by how much, for any scope; shares and other environments are at list prices."""
    plain = estimate(scenario(serving=how, inputs={"contingency": "0"}), BOOK, draws=100)
    less = estimate(
        scenario(serving=how, inputs={"contingency": "0"}, discount=[discounted(str(rate), sorted(scope))]),
        BOOK,
        draws=100,
    )
    check_cents(less)
    list_price = {line.id: line for line in plain.lines}
    extra = [line for line in less.lines if line.id not in list_price]
    for line in less.lines:
        if line.id in list_price and line.group != "shares":
            assert line == list_price[line.id]
    assert all(line.price in scope and line.amount <= 0 for line in extra)
    for line in extra:
        of = list_price[line.id.split(":", 1)[1]]
        assert of.price == line.price and line.amount == -(rate * of.amount).quantize(D("0.01"), "ROUND_HALF_UP")
    assert {line.id.split(":", 1)[1] for line in extra} == {x.id for x in plain.lines if x.price in scope}
    outside = total(x.amount for x in plain.lines if x.price not in scope)
    assert total(x.amount for x in less.lines if x.price not in scope) == outside


def test_discounts_do_not_stack_and_know_their_prices() -> None:
    two = [discounted("0.2", ["hosting-hour", "training-hour"]), discounted("0.1", ["hosting-*"], name="b")]
    with pytest.raises(CostInputError, match="both cover hosting-hour"):
        scenario(discount=two)
    with pytest.raises(CostInputError, match="no price is named 'hosted'"):
        scenario(discount=[discounted("0.2", ["hosted"])])
    with pytest.raises(CostInputError, match="a rate of 20"):
        scenario(discount=[discounted("20", ["hosting-hour"])])


def test_a_promise_that_is_not_used_is_paid() -> None:
    s = scenario(discount=[discounted("0.2", ["hosting-hour"], commitment=D(1))])
    e = estimate(s, BOOK, draws=100)
    used = total(x.amount for x in e.lines if x.price == "hosting-hour")
    unused = [x for x in e.lines if x.id.endswith(":unused")]
    assert [x.amount for x in unused] == [D(730) - used] and used > 0
    check_cents(e)


def test_commitments_break_even() -> None:
    """One instance always, a second now and then: promising the first saves a fifth of it, both loses."""
    e = estimate(scenario(), BOOK, draws=100)
    found = commitment(e.scenario.discounts[0], e)
    assert found.best == D("0.4304"), "0.538 x 0.8: the instance that always runs"
    assert found.saving == (D("0.2") * D("0.538") * 730).quantize(D("0.01"), "ROUND_HALF_UP")
    assert found.peak_saving < 0 < found.saving
    assert (found.used, found.months) == (D("0.80"), D("9.60"))
    batch = estimate(scenario(serving="batch"), BOOK, draws=100)
    assert commitment(e.scenario.discounts[0], batch).best == 0, "nothing in scope is always on"


def slow_instances(load: list[float], p: Policy) -> list[int]:
    """The policy, for one week, written out."""
    now, changed, out = p.least, -(10**6), []
    for t, requests in enumerate(load):
        wanted = min(max(math.ceil(requests / p.target), p.least), p.most)
        if wanted > now and t - changed >= p.out:
            now, changed = wanted, t
        elif wanted < now and t - changed >= p.into:
            now, changed = now - 1, t
        out.append(now)
    return out


def test_scaling_is_the_policy_written_out() -> None:
    rng = np.random.default_rng(1)
    load = np.where(rng.random((10_080, 3)) < 0.02, rng.uniform(0, 3000, (10_080, 3)), rng.uniform(0, 300, (10_080, 3)))
    policy = Policy(1, 4, 400.0, out=2, into=5, start=3)
    found = simulate(lambda t: load[t], policy, 3)
    for k in range(3):
        slow = slow_instances(load[:, k].tolist(), policy)
        assert found.hours[k] == pytest.approx(sum(slow) / 60)
        assert found.peak[k] == max(slow)
        if k == 0:
            assert found.minutes.tolist() == slow


def test_scaling_goes_from_one_to_two_and_back() -> None:
    policy = Policy(1, 4, 400.0, out=1, into=5, start=5)
    found = simulate(lambda t: np.array([628.0 if 100 <= t < 115 else 28.0]), policy, 1)
    ups = np.flatnonzero(found.minutes == 2)
    assert (ups[0], ups[-1]) == (100, 114), "down as soon as the load is gone: the cooldown began at minute 100"
    assert found.hours[0] == pytest.approx((10_080 + 15) / 60)
    late = 5 * 628 / (15 * 628 + (10_080 - 15) * 28)
    assert found.late[0] == pytest.approx(late), "until the second instance answers"
    with pytest.raises(CostInputError):
        Policy(2, 1, 400.0, 1, 5, 5)


def test_alternatives_and_crossings() -> None:
    found = {a.serving: a for a in alternatives(scenario(), BOOK, draws=FEW)}
    assert set(found) == set(SERVING)
    assert sum(a.cheapest for a in found.values()) == pytest.approx(1.0)
    assert found["endpoint"].estimate.total > 2 * found["container"].estimate.total
    shared = {h: e.estimate.total - e.serving_cost for h, e in found.items()}
    assert shared["endpoint"] > shared["batch"], "contingency and environments follow"
    pair = next(c for c in crossings(scenario(), BOOK) if {c.cheaper, c.dearer} == {"serverless", "batch"})
    assert pair.cheaper == "serverless" and pair.requests is not None
    for factor, cheaper in ((0.9, "serverless"), (1.1, "batch")):
        now = float(found["batch"].estimate.requests)
        x = factor * pair.requests / now
        inputs = {"polls": f"{x:.6f}", "bursts": f"{x:.6f}"}
        totals = {h: estimate(scenario(serving=h, inputs=inputs), BOOK, draws=100).amounts.total[0] for h in
                  ("serverless", "batch")}  # fmt: skip
        assert min(totals, key=lambda h: totals[h]) == cheaper


def test_tornado_is_sorted_and_right() -> None:
    swings = tornado(scenario(serving="batch"), BOOK)
    widths = [s.width for s in swings]
    assert widths == sorted(widths, reverse=True) and len(swings) > 40
    nats = next(s for s in swings if s.figure.name == "nats")
    low, high = (
        estimate(scenario(serving="batch", inputs={"nats": n}), BOOK, draws=100).amounts.total[0] for n in ("0", "2")
    )
    assert (float(nats.low), float(nats.high)) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))


def test_resources_are_the_law_and_the_measured_build() -> None:
    m = measured()
    one = np.array([1.0])
    by_hand = sum(m.law.seconds(Size(rows, 250.0, m.rounds, m.fits)) for rows in year_rows())
    assert training_seconds(250 * one, one, 28 * one)[0] == pytest.approx(28 * by_hand)
    assert cell_seconds(250 * one, 5000 * one, 1.0, m.fits)[0] == pytest.approx(
        m.law.seconds(Size(5000, 250, m.rounds, m.fits))
    )
    build = json.loads((ROOT / "benchmarks/results/build.json").read_text())["together"]
    columns = sum(len(d.columns) for d in datasets().values())
    told = build_seconds(np.array([build["values"] / 28 / columns]), 28 * one)[0] * float(m.figures["build_error"].mode)
    assert told == pytest.approx(build["cpu_seconds"], rel=0.01)


def test_measured_figures_and_the_page_are_those_of_the_benchmarks() -> None:
    from benchmarks.cost_measured import PAGE, TARGET, made, page

    assert json.loads(TARGET.read_text()) == json.loads(json.dumps(made())), "run python -m benchmarks.cost_measured"
    assert PAGE.read_text() == page(), "run python -m benchmarks.cost_measured"


def test_the_scenario_is_of_our_catalogue() -> None:
    x = read_scenario(BOOK).inputs
    counted = count(list(datasets().values()))
    assert int(x["candidates"].mode) == counted["counted"] + 4 * counted["laggable"]
    assert (x["pairs"].mode, x["selected"].mode) == (28, 250)


def test_budget_and_evidence(shipped: Estimate) -> None:
    from datetime import timedelta

    from bqx.ops.cost.check import oldest_price

    rich = replace(shipped, scenario=replace(shipped.scenario, budget=shipped.p90))
    assert check_estimate(rich).ok
    poor = replace(shipped, scenario=replace(shipped.scenario, budget=shipped.p90 - D("0.01")))
    assert [a.name for a in check_estimate(poor).alarms] == ["budget"]
    day = oldest_price(shipped)
    assert evidence(rich, day + timedelta(days=365))["ok"]
    assert not evidence(rich, day + timedelta(days=366))["ok"], "old prices are no evidence"
    assert not evidence(poor, day)["ok"]


def test_the_page_adds_up_and_shows_its_sources(shipped: Estimate) -> None:
    report = cost_report(shipped)
    page = report.html()
    assert page.count("<svg") == 4
    for words in ("NOT CURRENT", "the seed&#39;s plan, v3.0", "judgement", str(shipped.total), "train-scale.json"):
        assert words in page, words
    assert "functions on request" in report.markdown()

    class Off(Estimate):
        def groups(self) -> dict[str, Decimal]:
            return {**super().groups(), "shares": D("0.01")}

    wrong = Off(**{k: getattr(shipped, k) for k in shipped.__dataclass_fields__})
    with pytest.raises(CheckError, match="groups, cents"):
        cost_report(wrong)


BAD = {
    "inputs.pairs.mode": ("[inputs]\npairs = { mode = 'x', unit = 'p', source = 'plan' }", "not a number"),
    "inputs.pairs.order": ("[inputs]\npairs = { low = 3, mode = 2, unit = 'p', source = 'plan' }", "does not hold"),
    "inputs.pairs.source": ("[inputs]\npairs = { mode = 2, unit = 'p' }", "'source' is absent"),
    "inputs.pairs.date": ("[inputs]\npairs = { mode = 2, unit = 'p', source = 'me' }", "date is absent"),
    "inputs.unknown": ("[inputs]\npears = { mode = 2, unit = 'p', source = 'plan' }", "no key 'pears'"),
    "inputs.infinite": ("[inputs]\npairs = { mode = inf, unit = 'p', source = 'plan' }", "no usable number"),
    "budget": ("budget = 0", "a budget of 0"),
    "top": ("budgets = 3", "no key 'budgets'"),
    "serving": ("serving = 'cloud'", "serving 'cloud'"),
    "scaling": ("[scaling]\nmost = 0", "makes no sense"),
    "burst": (
        "[[burst]]\nname='a'\nstart='16:50'\nminutes=20\nrequests_a_minute=3\nsource='plan'",
        "inside a trade day",
    ),
    "burst-time": (
        "[[burst]]\nname='a'\nstart='25:00'\nminutes=20\nrequests_a_minute=3\nsource='plan'",
        "no time of day",
    ),
    "kind": ("inputs = 3", "of another kind"),
    "toml": ("budget = ", "not TOML"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_scenario_says_what_is_wrong(case: str, tmp_path: Path) -> None:
    text, words = BAD[case]
    (tmp_path / "cost.toml").write_text(text)
    with pytest.raises(CostInputError, match=words) as caught:
        read_scenario(BOOK, tmp_path / "cost.toml")
    assert "cost.toml" in str(caught.value.where)


def test_a_scenario_needs_only_what_differs(tmp_path: Path) -> None:
    text = "budget = 900\n[inputs]\nnats = { mode = 0, unit = 'gateways', source = 'us', date = 2026-11-27 }\n"
    (tmp_path / "cost.toml").write_text(text)
    s = read_scenario(BOOK, tmp_path / "cost.toml")
    assert (s.budget, s.inputs["nats"].mode, s.inputs["pairs"].mode) == (900, 0, 28)


def test_a_wrong_price_book_says_what_is_wrong(tmp_path: Path) -> None:
    base = shipped_toml("prices-reference.toml")

    def without(**changes: Any) -> dict[str, Any]:
        return {**base, **changes}

    for data, words in (
        (without(format=2), "format 2"),
        (without(price={}), "no .price.KEY."),
        (without(price={"a": {**base["price"]["log-gb"], "modes": 1}}), "no key 'modes'"),
        (without(price={"a": {**base["price"]["log-gb"], "scale": 0}}), "a scale of 0"),
        (without(price={"a": {**base["price"]["log-gb"], "mode": D(-1)}}), "negative"),
        (without(sources={"plan": {"text": "x"}}), "text and date"),
    ):
        with pytest.raises(CostInputError, match=words):
            make_book(data, "book")
    with pytest.raises(CostInputError, match="no price 'hosting-hour'"):
        book = make_book(without(price={k: v for k, v in base["price"].items() if k != "hosting-hour"}), "book")
        estimate(scenario(discount=[]), book, draws=100)
    path = tmp_path / "prices.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CostInputError, match="cannot be read"):
        read_book(path)
    with pytest.raises(CostInputError, match="not TOML"):
        parse_toml("a = [", "x")
