"""The tables a project needs on its server: what the registry declares, for its pairs, for the months of its bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bqx.base.errors import UsageError
from bqx.features.catalogue import built_in, dataset, datasets, switched_on
from bqx.market.calendar import month_of, month_span
from bqx.store.pg.upgrade import Wanted

if TYPE_CHECKING:
    from bqx.store.contract import Schema

_POLARS = {"f4": "Float32", "f8": "Float64", "i2": "Int16", "i4": "Int32"}
_MOST_MONTHS = 1200


def declared_schema(name: str) -> Schema:
    """Columns of a dataset in registry order, as (name, Polars type)."""
    return tuple((column.name, _POLARS[column.dtype]) for column in dataset(name).columns)


def wanted_tables(
    pairs: Sequence[str],
    spans: Iterable[tuple[int, int]],
    *,
    only: Sequence[str] = (),
    extensions: Sequence[str] = (),
    first: str | None = None,
    last: str | None = None,
    ahead: int = 1,
    reader: str | None = None,
    writer: str | None = None,
) -> Wanted:
    """Tables for the months from `first` to `last` (yyyy_mm), else for those that `spans` of bars touch and `ahead`
    more; without either, the datasets' own tables and no partition. only : some datasets, else all, and the switched on
    `extensions`."""
    unknown = sorted(set(only) - {*datasets(), *built_in()})
    if unknown:
        raise UsageError(f"no dataset {unknown[0]}", fix="see `bqx features list`")
    found = list(spans)
    low = first or (month_of(min(a for a, _ in found)) if found else None)
    high = last or (_later(month_of(max(b for _, b in found)), ahead) if found else None)
    if (low is None) != (high is None):
        raise UsageError("only one end of the months is given", fix="give both --from and --to, or import bars first")
    names = list(only) or [*datasets(), *switched_on(tuple(extensions))]
    columns = {name: declared_schema(name) for name in names}
    return Wanted(columns, tuple(pairs), _months(low, high) if low and high else (), reader, writer)


def _later(ym: str, count: int) -> str:
    for _ in range(count):
        ym = month_of(month_span(ym)[1])
    return ym


def _months(first: str, last: str) -> tuple[str, ...]:
    out = [first]
    while out[-1] < last and len(out) < _MOST_MONTHS:
        out.append(_later(out[-1], 1))
    if out[-1] != last:
        raise UsageError(f"there are no months from {first} to {last}", fix="write them yyyy_mm, the earlier one first")
    return tuple(out)
