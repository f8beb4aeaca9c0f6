"""Any table of bars, CSV or Parquet, by a map of its columns."""

from __future__ import annotations

import polars as pl

from bqx.base.errors import InputError
from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.importers.layout import Layout
from bqx.market.importers.metatrader import first_line
from bqx.market.importers.parquet import Rows
from bqx.market.importers.raw import RawBars, as_raw, mids
from bqx.market.importers.sides import MID
from bqx.market.importers.stamps import EPOCHS, guess_form, read_stamps
from bqx.market.importers.table import check_prices, check_years, parse_table
from bqx.market.importers.text import Text

_SEPARATORS = ",;\t|"


def header(text: Text, layout: Layout) -> tuple[str, list[str], bool]:
    """Separator, names of the columns and whether the first line names them (else they are #1, #2, ...)."""
    if isinstance(text, Rows):
        return "", text.frame.columns, True
    line = first_line(_unquoted(text.data[:65536]))
    separator = layout.delimiter or max(_SEPARATORS, key=line.count)
    fields = [f.strip() for f in line.split(separator)]
    numbered = bool(layout.columns) and all(c.startswith("#") for c in layout.columns.values())
    return separator, [f"#{k + 1}" for k in range(len(fields))] if numbered else fields, not numbered


def matches(text: Text) -> bool:
    """Whether the column names leave no doubt."""
    return Layout().on(header(text, Layout())[1]) is not None


def read(texts: tuple[Text, ...], pair: str, layout: Layout) -> RawBars:
    """Files of one pair in the order of their first bars; raises InputError naming file and line or row."""
    parts = []
    for text in texts:
        frame, offsets = _read(text, layout)
        parts.append((frame["stamp"][0], text.name, frame, offsets, text))
    parts.sort(key=lambda part: part[:2])
    if len({bool(part[3]) for part in parts}) > 1:
        raise InputError(
            f"some files of {pair} state an offset for their times, others do not",
            where=parts[0][4].where(1),
            fix="import them one after the other",
        )
    stated = sorted(set().union(*(part[3] for part in parts)))
    side = MID if layout.quoted else {"mid": MID}.get(layout.side, layout.side)
    frames = [as_raw(part[2].with_columns(file=pl.lit(k))) for k, part in enumerate(parts)]
    return RawBars(
        pair, "table", side, tuple(part[4] for part in parts), pl.concat(frames), stated=", ".join(stated) or None
    )


def _read(text: Text, layout: Layout) -> tuple[pl.DataFrame, set[str]]:
    """Columns line, stamp, prices, perhaps volume and quotes; and the offsets stated."""
    separator, names, named = header(text, layout)
    known = layout.on(names)
    if known is None:
        raise InputError(
            f"columns {', '.join(names)[:200]} do not say which is what",
            where=text.where(1),
            fix="say it with --map ts=...,open=...,high=...,low=...,close=...",
        )
    absent = [c for c in known.columns.values() if c not in names]
    if absent or len(set(names)) < len(names):
        what = f"no column {absent[0]!r}" if absent else "two columns of one name"
        raise InputError(f"there is {what} among {', '.join(names)[:200]}", where=text.where(1), fix="correct the map")
    if isinstance(text, Rows):
        frame = text.frame.select(**known.columns).with_row_index("line", offset=1)
        frame = _typed(text, frame)
    else:
        frame = _parsed(text, separator, names, named, known)
    quotes = [c for c in QUOTE_COLUMNS if c in known.columns]
    check_prices(text, frame, quotes or PRICE_COLUMNS, ["volume"] if "volume" in known.columns else [])
    stamp, offsets = _stamps(text, frame, known)
    frame = frame.with_columns(stamp.alias("stamp"), *(mids() if quotes else []))
    return frame, offsets


def _parsed(text: Text, separator: str, names: list[str], named: bool, known: Layout) -> pl.DataFrame:
    ours = {theirs: c for c, theirs in known.columns.items()}
    plain = Text(text.name, text.path, text.entry, _unquoted(text.data), text.sha256, text.size)
    unused = [f"\0{k}" for k in range(len(names))]
    targets = [ours.get(n, unused[k]) for k, n in enumerate(names)]
    left = [t for t in targets if t.startswith("\0")]
    words = ("ts", "date", "time")
    return parse_table(plain, separator, targets, words=words, header=named, unused=left).drop(left)


def _unquoted(data: bytes) -> bytes:
    """Without quotation marks; a separator inside them then shows as a wrong number of fields."""
    return data.replace(b'"', b"") if b'"' in data else data


def _typed(text: Rows, frame: pl.DataFrame) -> pl.DataFrame:
    """Prices as Float64; raises InputError for a column of another kind and for the first null."""
    values = [c for c in frame.columns if c in (*PRICE_COLUMNS, "volume", *QUOTE_COLUMNS)]
    for name in values:
        if not frame[name].dtype.is_numeric():
            raise InputError(f"{name} is of type {frame[name].dtype}, not a number", where=text.where(1))
    for name in frame.columns:
        if frame[name].null_count():
            at = int(frame[name].is_null().arg_max() or 0)
            raise InputError(f"{name} is empty", where=text.where(at + 1), fix="correct or remove the row")
    return frame.with_columns(pl.col("line").cast(pl.Int64), pl.col(values).cast(pl.Float64))


def _stamps(text: Text, frame: pl.DataFrame, known: Layout) -> tuple[pl.Series, set[str]]:
    if "ts" not in known.columns:
        words: pl.Expr = pl.concat_str(pl.col("date", "time").cast(pl.String), separator=" ")
    else:
        words = pl.col("ts")
        kind = frame["ts"].dtype
        if isinstance(kind, pl.Datetime):
            return _from_datetime(text, frame, kind)
        if kind.is_integer():
            words = words.cast(pl.String)
        elif kind != pl.String:
            raise InputError(f"ts is of type {kind}, not a time", where=text.where(1), fix="map another column to ts")
    first = frame.select(words)[0, 0]
    form = known.ts_format or guess_form(first)
    if form is None or (form.startswith("epoch") and form not in EPOCHS):
        raise InputError(
            f"time {first!r} is in no form that leaves no doubt",
            where=text.where(frame["line"][0]),
            fix="say it with --ts-format, such as '%d/%m/%Y %H:%M', or epoch_s, epoch_ms, epoch_us, epoch_ns",
        )
    return read_stamps(text, frame, words, form)


def _from_datetime(text: Text, frame: pl.DataFrame, kind: pl.Datetime) -> tuple[pl.Series, set[str]]:
    stamp = frame["ts"]
    if kind.time_zone is not None:
        stamp = stamp.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    stamp = stamp.dt.cast_time_unit("us")
    check_years(text, frame, stamp, pl.col("ts"))
    return stamp, {kind.time_zone} if kind.time_zone else set()
