"""Bills beside estimates: a synthetic one within a tenth or explained, projections, odd days, unreadable files."""

from __future__ import annotations

import csv
from calendar import monthrange
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from cost_figures import BOOK, D, discounted, scenario

from bqx.base.errors import BillError
from bqx.ops.cost import bill as bill_module
from bqx.ops.cost.bill import Bill, read_bill
from bqx.ops.cost.check import check_bill
from bqx.ops.cost.estimate import Estimate, estimate
from bqx.ops.cost.projection import odd_days, project
from bqx.ops.cost.report import cost_report
from bqx.ops.cost.variance import WITHIN, compare, for_month

MONTH, DAYS = "2026-09", 30
HEADER = ["lineItem/UsageStartDate", "lineItem/ProductCode", "lineItem/UsageType", "lineItem/UsageAmount",
          "lineItem/UnblendedCost", "lineItem/CurrencyCode", "resourceTags/user:pair"]  # fmt: skip
Row = tuple[str, str, str, Decimal, Decimal, str, str]
BATCH = scenario(serving="batch")


@pytest.fixture(scope="module")
def month() -> Estimate:
    return estimate(for_month(BATCH, MONTH), BOOK, draws=100)


def usage_type(key: str) -> str:
    """As a bill of another region writes it."""
    return "USE2-" + BOOK[key].usage[0].replace("*", "ing")


def charges(
    e: Estimate, days: Iterable[int], change: Callable[[str, int, Decimal, Decimal], tuple[Decimal, Decimal]]
) -> list[Row]:
    """What the provider would charge for the estimate's own lines and their environments, day by day."""
    repeat = 1 + sum((g.mode for g in e.scenario.environments.values()), D(0))
    length = monthrange(2026, 9)[1]
    out: list[Row] = []
    for day in days:
        for line in e.lines:
            if line.quantity is None or line.unit_price is None or not line.quantity:
                continue
            price = BOOK[line.price]
            units, each = change(line.price, day, line.quantity * repeat / length, line.unit_price)
            out.append((f"2026-09-{day:02}T00:00:00Z", price.service, usage_type(line.price), units * price.scale,
                        units * each, "USD", "EURUSD" if day % 2 else ""))  # fmt: skip
    return out


def write(path: Path, rows: Iterable[Iterable[object]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def made(tmp_path: Path, rows: list[Row]) -> Bill:
    return read_bill(write(tmp_path / "bill.csv", rows))


def same(key: str, day: int, units: Decimal, each: Decimal) -> tuple[Decimal, Decimal]:
    return units, each


def test_the_forecast_is_within_a_tenth_of_a_synthetic_bill(month: Estimate, tmp_path: Path) -> None:
    """Usage of each line is drawn about its likeliest, by 20 % a day; only the contingency is not spent."""
    rng = np.random.default_rng(7)

    def noisy(key: str, day: int, units: Decimal, each: Decimal) -> tuple[Decimal, Decimal]:
        return units * D(f"{rng.normal(1.03, 0.2):.6f}"), each

    found = compare(made(tmp_path, charges(month, range(1, DAYS + 1), noisy)), BATCH, BOOK)
    assert found.share == 1
    gap = abs(found.actual / found.expected - 1)
    assert gap <= WITHIN and found.ok
    assert found.expected == pytest.approx(month.total, abs=D("0.25")), "by price or by line, in cents, it is one total"


def test_differences_are_explained_line_by_line(month: Estimate, tmp_path: Path) -> None:
    def dearer(key: str, day: int, units: Decimal, each: Decimal) -> tuple[Decimal, Decimal]:
        return units * (3 if key == "database-acu-hour" else 1), each * (D("1.5") if key == "nat-hour" else 1)

    found = compare(made(tmp_path, charges(month, range(1, DAYS + 1), dearer)), BATCH, BOOK)
    rows = {r.key: r for r in found.rows}
    assert not found.within and found.ok
    for r in found.rows:
        if r.by_quantity is not None and r.by_price is not None:
            assert r.by_quantity + r.by_price == r.actual - r.expected, r.key
    database, nat = rows["database-acu-hour"], rows["nat-hour"]
    assert database.verdict == nat.verdict == "explained"
    assert abs(database.by_quantity - 2 * database.expected) < D("0.05") and abs(database.by_price) < D("0.05")
    assert abs(nat.by_price - nat.expected / 2) < D("0.05") and abs(nat.by_quantity) < D("0.05")
    assert "0.0675 a h paid, 0.045 planned" in nat.why
    assert rows["log-gb"].verdict == "within"


def test_what_nobody_planned_is_not_explained(month: Estimate, tmp_path: Path) -> None:
    rows = charges(month, range(1, DAYS + 1), same)
    fine = compare(made(tmp_path, rows), BATCH, BOOK)
    assert fine.ok and {r.key for r in fine.rows if r.verdict != "within"} == set()
    gpu: Row = ("2026-09-03", "AmazonEC2", "BoxUsage:p4d.24xlarge", D(10), D("327.70"), "USD", "")
    found = compare(made(tmp_path, [*rows, gpu]), BATCH, BOOK)
    assert not found.ok
    assert [r.key for r in found.unexplained] == ["not in the estimate"]
    assert "p4d.24xlarge" in found.unexplained[0].why
    small = compare(made(tmp_path, [*rows, (*gpu[:4], D("5.00"), "USD", "")]), BATCH, BOOK)
    assert small.ok and "contingency" in {r.key: r.why for r in small.rows}["not in the estimate"]


def test_a_month_that_has_begun(month: Estimate, tmp_path: Path) -> None:
    bill = made(tmp_path, charges(month, range(1, 13), same))
    found = compare(bill, BATCH, BOOK)
    assert found.share == D(12) / 30
    assert {r.verdict for r in found.rows} == {"within"}
    whole = made(tmp_path, charges(month, range(1, DAYS + 1), same))
    ahead = project(bill, month.total)
    assert abs(ahead.total - whole.total) < D("0.10") and (ahead.days, ahead.left) == (12, 18)
    assert ahead.odd == {}


def test_week_ends_and_single_charges_are_projected_as_such() -> None:
    def charge(day: int, cost: str, kind: str = "Usage") -> bill_module.Charge:
        return bill_module.Charge(date(2026, 9, day), "s", "u", kind, "", D(cost), D(1))

    days = [charge(d, "10" if date(2026, 9, d).weekday() < 5 else "4") for d in range(1, 15)]
    bill = Bill(MONTH, (*days, charge(1, "100", "Tax")), "USD", "test")
    left = sum(10 if date(2026, 9, d).weekday() < 5 else 4 for d in range(15, 31))
    assert project(bill, D(0)).total == bill.total + left
    few = Bill(MONTH, tuple(days[:2]), "USD", "test")
    assert project(few, D(300)).total == D(20) + 28 * D(10), "too few days: what the estimate says"


def test_an_odd_day_is_found(month: Estimate, tmp_path: Path) -> None:
    def spike(key: str, day: int, units: Decimal, each: Decimal) -> tuple[Decimal, Decimal]:
        return units * (40 if key == "log-gb" and day == 9 else 1), each

    ahead = project(made(tmp_path, charges(month, range(1, 13), spike)), month.total)
    assert list(ahead.odd) == [date(2026, 9, 9)]
    assert odd_days({date(2026, 9, d): D("0.01") * d for d in range(1, 13)}) == {}, "cents are not worth an alarm"


def test_alarms_of_a_bill(month: Estimate, tmp_path: Path) -> None:
    def twice(key: str, day: int, units: Decimal, each: Decimal) -> tuple[Decimal, Decimal]:
        return units * 4, each

    bill = made(tmp_path, charges(month, range(1, 13), twice))
    rich = scenario(serving="batch", budget=month.p90 + 100)
    found = check_bill(bill, rich, BOOK, estimate(rich, BOOK, draws=100))
    assert [a.name for a in found.alarms] == ["projection"]
    assert found.projection is not None and found.projection.total > found.estimate.scenario.budget
    calm = check_bill(made(tmp_path, charges(month, range(1, 13), same)), rich, BOOK, estimate(rich, BOOK, draws=100))
    assert calm.ok and calm.as_dict()["variance"]["ok"]
    page = cost_report(calm.estimate, calm).html()
    assert "Line by line" in page


def test_discounts_of_the_estimate_are_expected(month: Estimate, tmp_path: Path) -> None:
    s = scenario(serving="batch", discount=[discounted("0.2", ["monitor-hour"])])

    def less(key: str, day: int, units: Decimal, each: Decimal) -> tuple[Decimal, Decimal]:
        return units, each * (
            D("0.8333333") if key == "monitor-hour" else 1
        )  # a fifth off production, not of the twins

    rows = {r.key: r for r in compare(made(tmp_path, charges(month, range(1, DAYS + 1), less)), s, BOOK).rows}
    assert abs(rows["monitor-hour"].actual - rows["monitor-hour"].expected) < D("0.05")


def test_pairs_have_their_costs(month: Estimate, tmp_path: Path) -> None:
    bill = made(tmp_path, charges(month, range(1, DAYS + 1), same))
    pairs = bill.pairs()
    assert set(pairs) == {"", "eurusd"} and sum(pairs.values(), D(0)) == bill.total


GOOD = ["2026-09-01", "AmazonS3", "TimedStorage-ByteHrs", "1", "0.5", "USD", ""]


def _with(place: int, text: str) -> list[list[str]]:
    return [GOOD, [*GOOD[:place], text, *GOOD[place + 1 :]]]


@pytest.mark.parametrize(
    ("rows", "header", "words", "line"),
    [
        (_with(0, "yesterday"), HEADER, "no date", "line 3"),
        (_with(4, "much"), HEADER, "no cost", "line 3"),
        (_with(4, "NaN"), HEADER, "no usable cost", "line 3"),
        (_with(3, "1e300"), HEADER, "no usable usage", "line 3"),
        (_with(5, "EUR"), HEADER, "several currencies", "bill.csv"),
        (_with(0, "2026-10-01"), HEADER, "2 months", "bill.csv"),
        ([GOOD, GOOD[:3]], HEADER, "3 fields", "line 3"),
        (_with(2, "x" * 30_000), HEADER, "not CSV", "line"),
        ([GOOD], [*HEADER[:4], "price", *HEADER[5:]], "no column for cost", "line 1"),
        ([GOOD], [*HEADER[:5], "cost", HEADER[6]], "several columns for cost", "line 1"),
        ([], HEADER, "nothing of any month", "bill.csv"),
    ],
)
def test_a_wrong_bill_names_its_line(
    rows: list[list[str]], header: list[str], words: str, line: str, tmp_path: Path
) -> None:
    with pytest.raises(BillError, match=words) as caught:
        read_bill(write(tmp_path / "bill.csv", rows, header))
    assert line in str(caught.value.where)


def test_bills_that_do_not_fit(month: Estimate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bill = read_bill(write(tmp_path / "b.csv", _with(0, "2026-10-01")), "2026-10")
    assert [c.day for c in bill.charges] == [date(2026, 10, 1)]
    euros = read_bill(write(tmp_path / "e.csv", [[*GOOD[:5], "EUR", ""]]))
    with pytest.raises(BillError, match="in EUR"):
        compare(euros, BATCH, BOOK)
    with pytest.raises(BillError, match="does not end"):
        compare(bill, BATCH, BOOK, through=date(2026, 9, 30))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(BillError, match="empty"):
        read_bill(tmp_path / "empty.csv")
    (tmp_path / "bytes.csv").write_bytes(b"date,\xff\xfe\n")
    with pytest.raises(BillError, match="cannot be read"):
        read_bill(tmp_path / "bytes.csv")
    monkeypatch.setattr(bill_module, "MOST_BYTES", 10)
    with pytest.raises(BillError, match="more than 10 bytes"):
        read_bill(tmp_path / "b.csv")
