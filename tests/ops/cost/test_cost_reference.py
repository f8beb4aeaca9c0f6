"""The seed's printed costs: its own lines added again, and K1 to K13 found by computing, each by its own fault."""

from __future__ import annotations

import copy
import doctest
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bqx.base.errors import CostInputError
from bqx.ops.cost import differences_sums, discount, draws, money, reference, traffic
from bqx.ops.cost.components import COMPONENTS
from bqx.ops.cost.differences import RULES, differences
from bqx.ops.cost.money import cents
from bqx.ops.cost.pricebook import read_book
from bqx.ops.cost.reference import make_reference, read_reference
from bqx.ops.cost.report import difference_report
from bqx.ops.cost.toml import shipped_toml

D = Decimal
BOOK = read_book()


@pytest.mark.parametrize("module", [differences_sums, discount, draws, money, reference, traffic])
def test_examples(module: object) -> None:
    done = doctest.testmod(module)  # type: ignore[arg-type]
    assert done.attempted
    assert not done.failed


def test_the_table_comes_to_its_golden_numbers() -> None:
    r = read_reference()
    assert r.printed("baseline") == D("512.38")
    assert cents(r.sum()) == D("511.87"), "to the cent of its own inputs"
    assert cents(r.printed("baseline") + D("0.5") * r.line("endpoint").exact) == D("706.06")
    for line in r.lines:
        assert abs(line.printed - line.exact) <= D("0.005"), line.id
    assert sum(line.printed for line in r.lines) == D("511.88"), "half a dollar less than the printed groups"
    assert sum((D(g["printed"]) for n, g in r.groups.items() if "v2.0" not in n), D(0)) == D("512.38")
    assert cents(28 * D("0.15") * D("0.806")) == D("3.39")
    assert [cents(r.sum(D(n))) - cents(r.sum()) for n in ("1.5", "2")] == [D("193.68"), D("387.36")]


FOUND = {
    "K1": ("headline 475", ["512.38", "511.87", "36.87", "misses the target of 500 by 11.87"]),
    "K2": ("inference 391.86, inference, v2.0 194.42", ["inference 391.36", "197.58", "511.87"]),
    "K3": ("auto-scaled 703.34", ["512.38 + 193.68 = 706.06"]),
    "K4": ("1.3 instances on average: 475", ["628.08 on demand", "515.76"]),
    "K5": ("peak of 2 instances 650", ["899.23 on demand", "732.68"]),
    "K6": ("optimised 410", ["409.90", "422.79", "420"]),
    "K7": ("object-requests 7.50; notices 0.50", ["6 as object-reads", "75 as object-writes", "0.0005"]),
    "K8": ("ml.m5.2xlarge: 0.806 for training, 0.538 for hosting", ["1.498", "1.5 within the printed digits"]),
    "K9": ("function-features 0.30", ["440,625 GB-s", "7.34"]),
    "K10": ("hours of the data and model monitor: 180", ["720 required", "28 required", "selection"]),
    "K11": ("12 components", ["database", "read replica", "cache", "NAT", "secrets", "support", "tax", "keys",
                              "workflow",
                              "notebooks", "dashboards", "transfer", "image registry", "development"]),
    "K12": ("v2.0: 286, 350, 390 to 430, 430, 533 to 535", ["5 totals", "437", "counted twice"]),
    "K13": ("66 % more than v2.0", ["286 is v2.0 optimised", "512.38 against 437, +17 %"]),
}  # fmt: skip


def test_all_thirteen_are_found_with_their_figures() -> None:
    found = {d.id: d for d in differences(read_reference(), BOOK)}
    assert list(found) == list(RULES) == [f"K{n}" for n in range(1, 14)]
    for name, (printed, words) in FOUND.items():
        assert printed in found[name].printed, name
        assert [w for w in words if w not in found[name].found] == [], found[name].found


def corrected() -> dict[str, Any]:
    """The seed with each printed figure set to what its own figures come to, and what was left out put in at 0."""
    data = copy.deepcopy(shipped_toml("seed.toml"))
    groups = {g["name"]: g for g in data["group"]}
    lines = {line["id"]: line for line in data["line"]}
    lines["object-requests"] |= {"quantity": D(15000), "per": D(1), "price": D("0.0004"), "printed": D("6.00")}
    lines["notices"] |= {"quantity": D("0.001"), "printed": D("0.00")}
    lines["monitor"] |= {"quantity": D(720), "printed": D("194.40")}
    lines["tuning"] |= {"quantity": D(140), "printed": D("37.61")}
    lines["training"] |= {"quantity": D(448), "printed": D("6.02")}
    for name in [c for c in COMPONENTS if c not in {c for line in data["line"] for c in line["covers"]}]:
        data["line"].append({"id": name, "group": "storage", "quantity": D(0), "unit": "x", "price": D(0),
                             "printed": D(0), "covers": [name]})  # fmt: skip
    r = make_reference(data, "corrected")
    for name, group in groups.items():
        group["printed"] = cents(r.group_sum(name))
    total = cents(r.sum())
    data["totals"] = {
        "baseline": total, "headline": {"printed": total, "instances": 1},
        "auto-scaled": {"printed": cents(r.sum(D("1.5"))), "instances": D("1.5")},
        "peak": {"printed": cents(r.sum(D(2))), "instances": 2},
        "optimised": {"printed": cents(r.sum(rate=r.rate)), "claims": [cents(r.sum(rate=r.rate))]},
    }  # fmt: skip
    data["target"] = 1000
    for rate in data["rate"]:
        rate["sources"] = dict.fromkeys(rate["uses"], "price list of a date")
    for each in data["schedule"]:
        each["costed"] = each["required"]
    data["version"][0]["totals"] = {"plan": [437, 437]}
    growth = (
        {"version": "v2.0", "kind": "baseline", "amount": 437},
        {"version": "v3.0", "kind": "baseline", "amount": total},
    )
    data["growth"] |= {"from": growth[0], "to": growth[1], "printed": (100 * (total / 437 - 1)).quantize(D(1))}
    return data


def test_a_corrected_plan_has_no_difference() -> None:
    r = make_reference(corrected(), "corrected")
    assert differences(r, BOOK) == []
    assert "No differences" in difference_report(r, []).markdown()


def _printed(total: str, amount: str) -> Callable[[dict[str, Any]], Any]:
    return lambda d: d["totals"][total].update(printed=D(amount))


def _line(name: str, **changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda d: next(x for x in d["line"] if x["id"] == name).update(changes)


def _uncover(component: str) -> Callable[[dict[str, Any]], Any]:
    return lambda d: d.update(line=[x for x in d["line"] if x["id"] != component])


FAULTS: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("K1", _printed("headline", "800")),
    ("K1", lambda d: d.update(target=D(400))),
    ("K2", lambda d: d["group"][1].update(printed=D("391.86"))),
    ("K3", _printed("auto-scaled", "703.34")),
    ("K4", lambda d: d["totals"]["headline"].update(instances=D("1.3"))),
    ("K5", _printed("peak", "650")),
    ("K6", lambda d: d["totals"]["optimised"]["claims"].append((D("0.8") * d["totals"]["baseline"]).quantize(D(1)))),
    ("K7", _line("notices", printed=D("0.50"))),
    ("K8", lambda d: d["rate"][0].pop("sources")),
    ("K9", _uncover("function-time")),
    ("K10", lambda d: d["schedule"][0].update(required=D(1440))),
    ("K10", _uncover("selection")),
    ("K11", _uncover("vault")),
    ("K12", lambda d: d["version"][0]["totals"].update(other=[350, 350])),
    ("K13", lambda d: d["growth"]["from"].update(kind="optimised")),
    ("K13", lambda d: d["growth"].update(printed=D(66))),
]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_each_rule_finds_its_own_fault_and_no_other(name: str, fault: Callable[[dict[str, Any]], Any]) -> None:
    data = corrected()
    fault(data)
    assert [d.id for d in differences(make_reference(data, "planted"), BOOK)] == [name]


def test_savings_taken_twice_are_found() -> None:
    data = corrected()
    data["totals"]["headline"] = {"printed": D(600), "instances": D(1)}
    data["totals"]["optimised"]["printed"] = D(550)
    found = {d.id: d.found for d in differences(make_reference(data, "planted"), BOOK)}
    assert list(found) == ["K1", "K12"]
    assert "counted twice" in found["K12"]


def test_a_reference_that_cannot_be_read(tmp_path: Any) -> None:
    path = tmp_path / "r.toml"
    path.write_text("format = 1\n")
    with pytest.raises(CostInputError, match="is absent"):
        read_reference(str(path))
    data = corrected()
    data["line"][0]["price"] = "much"
    with pytest.raises(CostInputError, match="not a number") as caught:
        make_reference(data, "r.toml")
    assert "processing" in str(caught.value.where)
    with pytest.raises(CostInputError, match="no line 'x'"):
        read_reference().line("x")
    data = corrected() | {"more": 1}
    with pytest.raises(CostInputError, match="no key 'more'"):
        make_reference(data, "r.toml")
