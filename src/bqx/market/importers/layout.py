"""Which column of a table is what: from `--map`, a map file, or names that leave no doubt."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bqx.base.errors import UsageError
from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS

TARGETS = ("ts", "date", "time", *PRICE_COLUMNS, "volume", *QUOTE_COLUMNS)
SIDES = ("vendor", "bid", "ask", "mid")
_TIME_NAMES = ("ts_utc", "ts", "timestamp", "datetime", "date_time", "time")
_KEYS = ("columns", "ts_format", "delimiter", "side")


@dataclass(frozen=True, slots=True)
class Layout:
    """columns: ours -> the file's, or `#3` for the third; empty to go by names. ts_format: strptime form or epoch_s,
    epoch_ms, epoch_us, epoch_ns; None to tell it from the first row. side: what the prices are.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    ts_format: str | None = None
    delimiter: str | None = None
    side: str = "vendor"

    def __post_init__(self) -> None:
        unknown = [name for name in self.columns if name not in TARGETS]
        if unknown:
            raise UsageError(f"cannot map to {unknown[0]!r}", fix=f"known: {', '.join(TARGETS)}")
        if self.side not in SIDES:
            raise UsageError(f"{self.side!r} is no side", fix=f"one of {', '.join(SIDES)}")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\n'):
            raise UsageError(f"{self.delimiter!r} is no delimiter", fix="give one character")
        if self.columns:
            self._complete()

    def _complete(self) -> None:
        have = set(self.columns)
        if "ts" not in have and not {"date", "time"} <= have:
            raise UsageError("the map names no time", fix="map ts, or date and time")
        quotes = have & set(QUOTE_COLUMNS)
        missing = [c for c in (QUOTE_COLUMNS if quotes else PRICE_COLUMNS) if c not in have]
        if missing:
            raise UsageError(f"the map lacks {', '.join(missing)}", fix="map four prices, or eight of bid and ask")
        if quotes and have & set(PRICE_COLUMNS):
            raise UsageError(
                "the map has quotes and prices", fix="with quotes, prices are their mids: leave open..close out"
            )

    @property
    def quoted(self) -> bool:
        return any(name in QUOTE_COLUMNS for name in self.columns)

    def on(self, names: Sequence[str]) -> Layout | None:
        """The map for a table of these columns: itself, or one by their names; None when they are not plain."""
        if self.columns:
            return self
        lower = {n.lower(): n for n in names}
        times = [n for n in _TIME_NAMES if n in lower]
        if not times or not set(PRICE_COLUMNS) <= lower.keys() or len(lower) < len(names):
            return None
        found = {"ts": lower[times[0]], **{c: lower[c] for c in (*PRICE_COLUMNS, "volume") if c in lower}}
        if times[0] == "time" and "date" in lower:
            found = {"date": lower["date"], "time": found.pop("ts"), **found}
        return Layout(found, self.ts_format, self.delimiter, self.side)


def parse_layout(
    pairs: Sequence[str] = (), file: Path | None = None, ts_format: str | None = None, side: str | None = None
) -> Layout | None:
    """From `ts=time,open=o` texts over a TOML file with [columns], ts_format, delimiter, side; None without any."""
    data = _from_file(file) if file else {}
    columns = dict(data.get("columns", {}))
    for item in (part for text in pairs for part in text.split(",")):
        ours, equals, theirs = item.partition("=")
        if not equals or not theirs.strip():
            raise UsageError(f"{item!r} maps nothing", fix="write --map ts=time,open=o,high=h,low=l,close=c")
        columns[ours.strip()] = theirs.strip()
    if not columns and not data and ts_format is None and side is None:
        return None
    return Layout(
        columns, ts_format or data.get("ts_format"), data.get("delimiter"), side or data.get("side", "vendor")
    )


def _from_file(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, ValueError) as exc:  # a TOML error is a ValueError
        raise UsageError(f"the map file cannot be read: {exc}", where=str(path), fix="see docs/importing.md") from exc
    columns = data.get("columns", {})
    wrong = [k for k in data if k not in _KEYS]
    texts = [*(columns.values() if isinstance(columns, dict) else [0]), *(data[k] for k in _KEYS[1:] if k in data)]
    if wrong or not all(isinstance(t, str) for t in texts):
        raise UsageError(
            f"the map file has {'the unknown key ' + wrong[0] if wrong else 'values that are no text'}",
            where=str(path),
            fix=f"known keys: {', '.join(_KEYS)}",
        )
    return data
