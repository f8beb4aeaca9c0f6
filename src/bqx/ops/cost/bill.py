"""A bill of actual costs, from a CSV file: a line a day and usage type, as providers export it.

Date, service, usage type and cost must be there; usage, currency, kind of line and pair may.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from bqx.base.errors import BillError

COLUMNS = {
    "date": ("date", "lineitem/usagestartdate", "line_item_usage_start_date", "usagestartdate"),
    "service": ("service", "lineitem/productcode", "line_item_product_code"),
    "usage_type": ("usage_type", "lineitem/usagetype", "line_item_usage_type"),
    "cost": ("cost", "lineitem/unblendedcost", "line_item_unblended_cost"),
    "usage": ("usage", "lineitem/usageamount", "line_item_usage_amount"),
    "currency": ("currency", "lineitem/currencycode", "line_item_currency_code"),
    "kind": ("kind", "lineitem/lineitemtype", "line_item_line_item_type"),
    "pair": ("pair", "resourcetags/user:pair", "resource_tags_user_pair"),
}
"""Ours, and those of the provider's cost and usage reports, old and new."""
NEEDED = ("date", "service", "usage_type", "cost")
ONCE = frozenset({"tax", "fee", "rifee", "refund", "credit"})
"""Kinds that come once a month and are not projected by days."""
MOST_BYTES, MOST_ROWS, MOST_FIELD = 1 << 30, 10_000_000, 20_000
Key = tuple[date, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Charge:
    """All of a day, service, usage type, kind and pair. usage : None when the bill does not say."""

    day: date
    service: str
    usage_type: str
    kind: str
    pair: str
    cost: Decimal
    usage: Decimal | None

    @property
    def once(self) -> bool:
        return self.kind.lower() in ONCE


@dataclass(frozen=True)
class Bill:
    """Of one month. currency : of all lines; empty when the file does not say."""

    month: str
    charges: tuple[Charge, ...]
    currency: str
    where: str

    @property
    def total(self) -> Decimal:
        """Not rounded: bills have fractions of cents."""
        return sum((c.cost for c in self.charges), Decimal(0))

    @property
    def last(self) -> date:
        return max(c.day for c in self.charges)

    def days(self) -> dict[date, Decimal]:
        """Cost by day, without what comes once a month."""
        out: dict[date, Decimal] = {}
        for c in self.charges:
            if not c.once:
                out[c.day] = out.get(c.day, Decimal(0)) + c.cost
        return dict(sorted(out.items()))

    def pairs(self) -> dict[str, Decimal]:
        """Cost by pair, "" for what has no tag."""
        out: dict[str, Decimal] = {}
        for c in self.charges:
            out[c.pair] = out.get(c.pair, Decimal(0)) + c.cost
        return out


def read_bill(path: Path, month: str | None = None) -> Bill:
    """Charges of a month (`2026-11`; without it the file may hold one month only). BillError names the line."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BillError(f"more than {MOST_BYTES:,} bytes", where=path.name)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _read(stream, path.name, month)
    except (OSError, UnicodeDecodeError) as error:
        raise BillError(f"it cannot be read: {error}", where=str(path)) from error


def _read(stream: Iterator[str], name: str, month: str | None) -> Bill:
    sums: dict[Key, list[Decimal | None]] = {}
    currencies: set[str] = set()
    months: set[str] = set()
    csv.field_size_limit(MOST_FIELD)
    reader = csv.reader(stream, strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise BillError("it is empty", where=name)
        place = _places(header, name)
        for number, row in enumerate(reader, start=1):
            where = f"{name}, line {reader.line_num}"
            if number > MOST_ROWS:
                raise BillError(f"more than {MOST_ROWS:,} lines", where=where)
            if not row:
                continue
            if len(row) != len(header):
                raise BillError(f"{len(row)} fields, the header has {len(header)}", where=where)
            day = _day(row[place["date"]], where)
            if month is not None and f"{day:%Y-%m}" != month:
                continue
            months.add(f"{day:%Y-%m}")
            text = {k: row[place[k]].strip() if k in place else "" for k in COLUMNS}
            currencies.add(text["currency"])
            cost = _number(text["cost"], "cost", where)
            usage = _number(text["usage"], "usage", where) if text["usage"] else None
            _add(sums, (day, text["service"], text["usage_type"], text["kind"], text["pair"].lower()), cost, usage)
    except csv.Error as error:
        raise BillError(f"not CSV: {error}", where=f"{name}, line {reader.line_num}") from error
    if len(months) != 1:
        what = f"it holds {len(months)} months" if months else f"nothing of {month or 'any month'}"
        raise BillError(what, where=name,
                        fix=f"--month with one of {', '.join(sorted(months)[:12]) or 'its months'}")  # fmt: skip
    if len(currencies) > 1:
        raise BillError(f"several currencies: {', '.join(sorted(currencies)[:5])}", where=name)
    charges = tuple(Charge(*key, cost or Decimal(0), usage) for key, (cost, usage) in sorted(sums.items()))
    return Bill(months.pop(), charges, currencies.pop(), name)


def _add(sums: dict[Key, list[Decimal | None]], key: Key, cost: Decimal, usage: Decimal | None) -> None:
    """Amounts of equal lines add up; usage is unknown as soon as one line does not say it."""
    if key not in sums:
        sums[key] = [cost, usage]
        return
    before_cost, before_usage = sums[key]
    sums[key][0] = (before_cost or Decimal(0)) + cost
    sums[key][1] = None if usage is None or before_usage is None else before_usage + usage


def _places(header: Sequence[str], name: str) -> dict[str, int]:
    known = [h.strip().lower() for h in header]
    out = {}
    for column, names in COLUMNS.items():
        found = [k for k, h in enumerate(known) if h in names]
        if len(found) > 1:
            raise BillError(f"several columns for {column}", where=f"{name}, line 1")
        if found:
            out[column] = found[0]
    if absent := [c for c in NEEDED if c not in out]:
        raise BillError(f"no column for {', '.join(absent)}", where=f"{name}, line 1",
                        fix=f"for example {', '.join(COLUMNS[absent[0]])}")  # fmt: skip
    return out


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError as error:
        raise BillError(f"{text[:40]!r} is no date", where=where) from error


def _number(text: str, what: str, where: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise BillError(f"{text[:40]!r} is no {what}", where=where) from error
    if not found.is_finite() or abs(found) > Decimal("1e12"):
        raise BillError(f"{text[:40]!r} is no usable {what}", where=where)
    return found
