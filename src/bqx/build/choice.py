"""What of a project to build, as the user asked for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bqx.base.errors import UsageError
from bqx.market.calendar import month_span
from bqx.market.pairs import parse_pair


@dataclass(frozen=True)
class Choice:
    """Pairs, datasets and months (yyyy_mm, inclusive), None for all; columns by dataset, all where none are named."""

    pairs: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None
    columns: Mapping[str, tuple[str, ...]] | None = None
    first_month: str | None = None
    last_month: str | None = None

    @classmethod
    def parse(
        cls,
        resolve: Callable[[str], tuple[str, str]],
        *,
        pairs: str | None = None,
        datasets: str | None = None,
        columns: str | None = None,
        first: str | None = None,
        last: str | None = None,
    ) -> Choice:
        """From comma-separated texts. `columns` names columns, whose datasets alone are then built.

        resolve : column name -> (dataset, column), which raises for an unknown one (`Project.resolve_column`).
        """
        chosen: dict[str, tuple[str, ...]] = {}
        for name in _split(columns) or ():
            home, item = resolve(name)
            chosen[home] = (*chosen.get(home, ()), item)
        names = _split(datasets)
        if chosen:
            names = tuple(n for n in chosen if names is None or n in names) + tuple(
                n for n in names or () if n not in chosen
            )
        listed = _split(pairs)
        lo, hi = month_key(first), month_key(last)
        if lo and hi and lo > hi:
            raise UsageError(f"--from {lo} is after --to {hi}")
        return cls(tuple(parse_pair(p).name for p in listed) if listed else None, names, chosen or None, lo, hi)


def month_key(text: str | None) -> str | None:
    """`yyyy_mm` of 2024-07, 2024_07 or 202407.

    >>> month_key("2024-07")
    '2024_07'
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{4})[-_/]?(\d{2})", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a month", fix="write it as yyyy_mm, for example 2024_07")
    key = f"{found[1]}_{found[2]}"
    month_span(key)
    return key


def _split(text: str | None) -> tuple[str, ...] | None:
    names: Sequence[str] = [part.strip() for part in (text or "").split(",")]
    return tuple(dict.fromkeys(name for name in names if name)) or None
