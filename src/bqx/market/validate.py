"""Raw rows to bars, a report and a quarantine: nothing repaired in silence, nothing lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import InputError
from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS, as_bars
from bqx.market.calendar import DAY, NEW_YORK, Calendar, datetime_of
from bqx.market.clock import ClockFinding
from bqx.market.findings import MAX_PLACES, Finding, ImportReport, Place
from bqx.market.gaps import measure_gaps
from bqx.market.importers.raw import RawBars
from bqx.market.quarantine import quarantine_table

I8 = NDArray[np.int64]
DEEP_CROSS = 2e-4
"""A quote crossed by more than this share of its mid is no quote: venues cross by at most 1.3e-4 in the real files."""
JUMP = 0.02
JUMP_SIGMAS = 10.0


@dataclass(frozen=True, slots=True)
class Validated:
    """bars: BARS_SCHEMA, sorted, unique; quarantine: file, line, ts_utc, reason, text."""

    bars: pl.DataFrame
    report: ImportReport
    quarantine: pl.DataFrame


def validate(raw: RawBars, clock: ClockFinding, calendar: Calendar, *, crossed: str = "shallow") -> Validated:
    """Judge every row. crossed: `shallow` keeps rows crossed by at most DEEP_CROSS, `keep` all, `quarantine` none.

    Raises InputError when no row is left.
    """
    frame = raw.frame.with_columns(ts_utc=clock.clock.series_to_utc(raw.frame["stamp"]))
    padding = frame.filter(pl.col("padding"))
    frame = frame.filter(~pl.col("padding").fill_null(False)).with_row_index("nth")
    quotes = frame["bid_open"].null_count() < frame.height
    frame = frame.with_columns(reason=_reasons(frame, quotes, crossed, calendar))
    frame = frame.with_columns(reason=pl.coalesce("reason", _duplicates(frame)))
    kept = frame.filter(pl.col("reason").is_null())
    kept = kept if kept["ts_utc"].is_sorted() else kept.sort("ts_utc")
    if kept.is_empty():
        raise InputError(
            f"none of {frame.height:,} rows is usable; most often: {frame['reason'].mode()[0]}",
            where=raw.where(int(frame["file"].fill_null(frame["file2"])[0]), 1),
        )
    minutes = kept["ts_utc"].to_physical().to_numpy() // 60_000_000
    bad = frame.filter(pl.col("reason").is_not_null())
    findings = [*_rejected(raw, bad), *_crossed_kept(raw, kept, quotes), *_disorder(raw, frame)]
    findings += [*_jumps(raw, kept, minutes), *_padding(raw, padding, calendar), *raw.findings]
    report = ImportReport(
        pair=raw.pair,
        format=raw.format,
        price_side=raw.price_side,
        files=tuple(t.name for t in raw.texts),
        rows=frame.height + padding.height,
        bars=kept.height,
        quarantined=bad.height,
        first=_iso(kept["ts_utc"][0]),
        last=_iso(kept["ts_utc"][-1]),
        clock=clock.as_dict(),
        has_volume=kept["volume"].null_count() < kept.height,
        has_quotes=quotes,
        findings=tuple(findings),
        gaps=measure_gaps(minutes, calendar),
        weekends=_weekends(calendar, minutes),
        crossed_fields=_crossed_fields(frame) if quotes else {},
    )
    return Validated(as_bars(kept), report, quarantine_table(raw, bad))


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat()


def _is_crossed(field: str) -> pl.Expr:
    return pl.col(f"bid_{field}") > pl.col(f"ask_{field}")


def _depth() -> pl.Expr:
    """By how much of its price a row's worst field is crossed; 0 or less when it is not."""
    return pl.max_horizontal([(pl.col(f"bid_{c}") - pl.col(f"ask_{c}")) / pl.col(f"bid_{c}") for c in PRICE_COLUMNS])


def _crossed_fields(frame: pl.DataFrame) -> dict[str, int]:
    counts = frame.select([_is_crossed(c).sum().alias(c) for c in PRICE_COLUMNS]).row(0, named=True)
    return {name: int(count) for name, count in counts.items()}


def _disordered(side: str) -> pl.Expr:
    o, h, l, c = (pl.col(side + name) for name in PRICE_COLUMNS)
    return (l > pl.min_horizontal(o, c)) | (h < pl.max_horizontal(o, c))


def _reasons(frame: pl.DataFrame, quotes: bool, crossed: str, calendar: Calendar) -> pl.Series:
    """The first rule each row breaks, else null."""
    minutes = frame["ts_utc"].to_physical().to_numpy() // 60_000_000
    shut = pl.Series("shut", ~calendar.is_open(minutes))
    order = pl.any_horizontal([_disordered(side) for side in (("bid_", "ask_") if quotes else ("",))])
    rule = (
        pl.when(pl.col("issue").is_not_null())
        .then("issue")
        .when(pl.col("ts_utc").dt.truncate("1m") != pl.col("ts_utc"))
        .then(pl.lit("off-minute stamp"))
        .when(order)
        .then(pl.lit("order violation"))
    )
    if quotes and crossed != "keep":
        limit = DEEP_CROSS if crossed == "shallow" else 0.0
        rule = rule.when(_depth() > limit).then(pl.lit("crossed quote"))
    return frame.with_columns(shut).select(rule.when("shut").then(pl.lit("outside market hours")).alias("reason"))[
        "reason"
    ]


def _duplicates(frame: pl.DataFrame) -> pl.Series:
    """Of several usable rows of a minute the last one of the vendor's sequence stays (spec 8.2)."""
    values = [*PRICE_COLUMNS, "volume", *QUOTE_COLUMNS]
    if (np.diff(frame["ts_utc"].to_physical().to_numpy()) > 0).all():
        return pl.repeat(None, frame.height, dtype=pl.String, eager=True)
    usable = pl.col("reason").is_null()
    twice = frame.filter(usable).filter(pl.len().over("ts_utc") > 1)
    verdict = twice.select(
        "nth",
        pl.when(pl.col("nth") == pl.col("nth").max().over("ts_utc"))
        .then(None)
        .when(pl.all_horizontal(pl.col(v).eq_missing(pl.col(v).last().over("ts_utc")) for v in values))
        .then(pl.lit("exact duplicate"))
        .otherwise(pl.lit("conflicting duplicate"))
        .alias("duplicate"),
    )
    return frame.select("nth").join(verdict, on="nth", how="left", maintain_order="left")["duplicate"]


def _places(raw: RawBars, rows: pl.DataFrame, detail: pl.Expr | None = None) -> tuple[Place, ...]:
    head = rows.head(MAX_PLACES)
    text = head.select(detail.alias("d"))["d"].to_list() if detail is not None else [""] * head.height
    return tuple(
        Place(_where(raw, row), _iso(row["ts_utc"]), note)
        for row, note in zip(head.iter_rows(named=True), text, strict=True)
    )


def _where(raw: RawBars, row: dict[str, int]) -> str:
    if row["line"] is None:
        return raw.where(row["file2"], row["line2"])
    return raw.where(row["file"], row["line"])


def _quoted() -> pl.Expr:
    return pl.format("o {} h {} l {} c {}", *[pl.col(c).round(6) for c in PRICE_COLUMNS])


def _rejected(raw: RawBars, bad: pl.DataFrame) -> list[Finding]:
    out = []
    for reason in bad["reason"].unique(maintain_order=True).sort():
        rows = bad.filter(pl.col("reason") == reason)
        out.append(Finding(reason, rows.height, "quarantined", places=_places(raw, rows, _quoted())))
    return out


def _crossed_kept(raw: RawBars, kept: pl.DataFrame, quotes: bool) -> list[Finding]:
    if not quotes:
        return []
    rows = kept.filter(_depth() > 0).sort("nth")
    if rows.is_empty():
        return []
    worst = rows.select(_depth().max()).item() * 1e4
    note = f"bid above ask by at most {worst:.2f} bp; the mid is used, the quotes are kept as they are"
    detail = pl.format("{} bp", (_depth() * 1e4).round(3))
    return [Finding("crossed quote", rows.height, "kept", note, _places(raw, rows, detail))]


def _disorder(raw: RawBars, frame: pl.DataFrame) -> list[Finding]:
    """Rows stamped earlier than the row before them in their file."""
    count, places = 0, list[Place]()
    for file, line in (("file", "line"), ("file2", "line2")):
        if frame[line].null_count() == frame.height:
            continue
        side = frame.select("nth", file, line, "stamp").drop_nulls().sort(file, line)
        at, number = side["stamp"].to_physical().to_numpy(), side[file].to_numpy()
        back = np.flatnonzero((np.diff(at) < 0) & (np.diff(number) == 0)) + 1
        count += len(back)
        for row in side[back[:MAX_PLACES]].iter_rows(named=True):
            ts = frame["ts_utc"][row["nth"]]
            places.append(Place(raw.where(row[file], row[line]), _iso(ts)))
    if not count:
        return []
    note = "stamped earlier than the line before"
    return [Finding("disorder", count, "sorted", note, tuple(places[:MAX_PLACES]))]


def _jumps(raw: RawBars, kept: pl.DataFrame, minutes: I8) -> list[Finding]:
    """|1-minute return| above 2 %, or above 10 robust standard deviations (1.4826 MAD, Hampel 1974)."""
    ret = np.diff(np.log(kept["close"].to_numpy()))
    step = np.diff(minutes) == 1
    if not step.any():
        return []
    sigma = 1.4826 * float(np.median(np.abs(ret[step])))
    limit = min(JUMP, JUMP_SIGMAS * sigma) if sigma > 0 else JUMP
    at = np.flatnonzero(step & (np.abs(ret) > limit)) + 1
    if not len(at):
        return []
    rows = kept[at].with_columns(bp=pl.Series(1e4 * ret[at - 1]))
    big = int((np.abs(ret[at - 1]) > JUMP).sum())
    note = f"1-minute return beyond {1e4 * limit:.1f} bp (10 robust sigmas of {1e4 * sigma:.2f}); {big} beyond 2 %"
    return [Finding("jump", len(at), "kept", note, _places(raw, rows, pl.format("{} bp", pl.col("bp").round(1))))]


def _padding(raw: RawBars, rows: pl.DataFrame, calendar: Calendar) -> list[Finding]:
    """Candles without a tick: no bars, whether the market was open or not."""
    is_open = pl.Series(calendar.is_open(rows["ts_utc"].to_physical().to_numpy() // 60_000_000), dtype=pl.Boolean)
    shut, quiet = rows.filter(~is_open), rows.filter(is_open)
    kinds = (
        ("padding on closed minutes", shut, "flat candles without volume that fill closed hours"),
        ("padding in open hours", quiet, "no tick in that minute: it is missing, the grid may carry the last close"),
    )
    return [Finding(kind, part.height, "left out", note, _places(raw, part)) for kind, part, note in kinds if len(part)]


def _weekends(calendar: Calendar, minutes: I8) -> tuple[str, ...]:
    """Closures with bars within a day before and a day after them; others lie in holes of the data."""
    out = []
    for shut, opens in calendar.closures(int(minutes[0]), int(minutes[-1])):
        near = np.searchsorted(minutes, (shut - DAY, shut, opens, opens + DAY))
        a, b = (datetime_of(m).astimezone(NEW_YORK) for m in (shut, opens))
        if near[0] < near[1] and near[2] < near[3]:
            kind = "" if (a.weekday(), b.weekday()) == (4, 6) else " (holiday)"
            out.append(f"{a:%a %Y-%m-%d %H:%M} to {b:%a %Y-%m-%d %H:%M} New York{kind}")
    return tuple(out)
