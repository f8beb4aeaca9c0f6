"""Every row becomes a bar or a quarantined line with its reason; every count is checked by hand or brute force."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import bar_files as bf
from bqx.base.errors import CheckError, InputError
from bqx.market.calendar import Calendar, minute_of
from bqx.market.importers.read import ReadOptions, SourceBars, read_source
from bqx.market.importreport import render

CALENDAR = Calendar.load()
ROWS = bf.make_rows("2024-06-06T12:00", 5)
LINES = [bf.line(r) for r in ROWS]


def read_lines(tmp_path: Path, lines: list[str], **options: object) -> SourceBars:
    path = tmp_path / "EURUSD_M1.csv"
    path.write_text("\n".join(lines) + "\n")
    (found,) = read_source([path], CALENDAR, options=ReadOptions(**options))
    return found


def changed(at: int, edit: Callable[[list[str]], list[str]]) -> list[str]:
    out = list(LINES)
    out[at] = ",".join(edit(out[at].split(",")))
    return out


def check_books(found: SourceBars) -> None:
    """Nothing lost: rows = bars + quarantine, by the report and by the tables."""
    assert found.report.rows == found.report.bars + found.report.quarantined
    assert found.frame.height == found.report.bars
    assert found.quarantine.height == found.report.quarantined
    assert sum(f.count for f in found.report.findings if f.action == "quarantined") == found.report.quarantined
    assert found.frame["ts_utc"].is_sorted()
    assert found.frame["ts_utc"].is_unique().all()


def only_reject(found: SourceBars, reason: str, line: int, text: str) -> None:
    check_books(found)
    (row,) = found.quarantine.rows(named=True)
    assert (row["reason"], row["line"], row["text"]) == (reason, line, text)
    finding = next(f for f in found.report.findings if f.kind == reason)
    assert (finding.count, finding.action) == (1, "quarantined")
    assert finding.places[0].where.endswith(f"EURUSD_M1.csv:{line}")


def test_clean_bars_have_nothing_to_report(tmp_path: Path) -> None:
    found = read_lines(tmp_path, LINES)
    check_books(found)
    assert found.report.bars == len(ROWS)
    assert found.report.findings == ()
    assert sum(found.report.gaps.by_length.values()) == 0
    assert found.report.weekends == ("Fri 2024-06-07 17:00 to Sun 2024-06-09 17:00 New York",)
    assert "No crossed quotes" in render([found.report], "x").markdown()


@pytest.mark.parametrize(("field", "factor"), [(2, 0.99), (3, 1.01)])
def test_high_below_or_low_above_the_body(tmp_path: Path, field: int, factor: float) -> None:
    def edit(f: list[str]) -> list[str]:
        return [*f[:field], f"{float(f[field]) * factor:.5f}", *f[field + 1 :]]

    lines = changed(100, edit)
    only_reject(read_lines(tmp_path, lines), "order violation", 101, lines[100])


def test_a_bar_in_the_weekend(tmp_path: Path) -> None:
    at = next(i for i, r in enumerate(ROWS) if r.ts.weekday() == 6)
    lines = [*LINES[:at], LINES[at].replace(f"{ROWS[at].ts:%H:%M}", "11:00"), *LINES[at:]]
    lines[at] = lines[at].replace("21:00", "11:00")
    found = read_lines(tmp_path, lines, clock=None)
    only_reject(found, "outside market hours", at + 1, lines[at])


def test_off_minute_stamp(tmp_path: Path) -> None:
    path = bf.tab_export(tmp_path / "EURUSD_M1.csv", ROWS)
    text = path.read_text().split("\n")
    text[50] = text[50].replace(f"{ROWS[49].ts:%H:%M}:00", f"{ROWS[49].ts:%H:%M}:30")
    path.write_text("\n".join(text))
    (found,) = read_source([path], CALENDAR)
    only_reject(found, "off-minute stamp", 51, text[50])


def test_exact_duplicate_keeps_one(tmp_path: Path) -> None:
    found = read_lines(tmp_path, [*LINES[:60], LINES[59], *LINES[60:]])
    only_reject(found, "exact duplicate", 60, LINES[59])
    assert found.report.bars == len(ROWS)


def test_of_conflicting_duplicates_the_last_of_the_vendor_stays(tmp_path: Path) -> None:
    other = LINES[59].rsplit(",", 1)[0] + ",777"
    found = read_lines(tmp_path, [*LINES[:60], other, *LINES[60:]])
    only_reject(found, "conflicting duplicate", 60, LINES[59])
    assert found.frame["volume"][59] == 777.0


def test_a_duplicate_of_a_rejected_row_is_no_duplicate(tmp_path: Path) -> None:
    fields = LINES[59].split(",")
    broken = ",".join([*fields[:2], "1.00000", *fields[3:]])
    found = read_lines(tmp_path, [*LINES[:60], broken, *LINES[60:]])
    only_reject(found, "order violation", 61, broken)


def test_disorder_is_sorted_and_counted(tmp_path: Path) -> None:
    lines = [*LINES[:10], LINES[11], LINES[10], *LINES[12:40], LINES[41], LINES[40], *LINES[42:]]
    found = read_lines(tmp_path, lines)
    check_books(found)
    finding = next(f for f in found.report.findings if f.kind == "disorder")
    assert (finding.count, finding.action) == (2, "sorted")
    assert [p.where.rsplit(":", 1)[1] for p in finding.places] == ["12", "42"]
    assert found.frame["volume"].to_list() == [float(r.v) for r in ROWS]


def test_jumps_are_counted_and_kept(tmp_path: Path) -> None:
    rows = list(ROWS)
    rows[500] = rows[500]._replace(h=rows[500].c * 1.03, c=rows[500].c * 1.03)
    found = read_lines(tmp_path, [bf.line(r) for r in rows])
    finding = next(f for f in found.report.findings if f.kind == "jump")
    assert (finding.count, finding.action) == (2, "kept")  # up and back
    assert [p.where.rsplit(":", 1)[1] for p in finding.places] == ["501", "502"]
    assert "2 beyond 2 %" in finding.note
    assert found.report.bars == len(ROWS)


def test_gaps_fills_and_holes_equal_a_walk_over_the_minutes(tmp_path: Path) -> None:
    lost = {*range(100, 101), *range(200, 205), *range(300, 306), *range(400, 470), *range(1000, 1300)}
    friday = next(i for i, r in enumerate(ROWS) if ROWS[i + 1].ts - r.ts > timedelta(hours=40))
    lost |= {friday, friday - 1, friday + 1, friday + 2, friday + 3}
    kept = [r for i, r in enumerate(ROWS) if i not in lost]
    gaps = read_lines(tmp_path, [bf.line(r) for r in kept]).report.gaps
    have = {minute_of(r.ts) for r in kept}
    runs: list[int] = []
    fills = run = age = 0
    known = False
    for row in ROWS:
        minute = minute_of(row.ts)
        if row is ROWS[friday + 1]:
            known = False
            if run:
                runs.append(run)
            run = 0
        if minute in have:
            if run:
                runs.append(run)
            run, known, age = 0, True, 0
            continue
        run, age = run + 1, age + 1
        fills += known and age <= 5
    assert runs == [1, 5, 6, 70, 300, 2, 3]
    assert gaps.by_length == {
        "1": 1, "2": 1, "3": 1, "4": 0, "5": 1, "6-15": 1, "16-60": 0, "61-240": 1, "over 240": 1,
    }  # fmt: skip
    assert gaps.fills == fills == 1 + 5 + 5 + 5 + 5 + 2
    assert gaps.unfilled == sum(runs) - fills
    assert gaps.holes == 3
    assert [p.detail.split()[0] for p in gaps.longest] == ["300", "70", "6"]


def test_a_late_opening_is_not_filled_from_friday(tmp_path: Path) -> None:
    friday = next(i for i, r in enumerate(ROWS) if ROWS[i + 1].ts - r.ts > timedelta(hours=40))
    gaps = read_lines(tmp_path, [*LINES[: friday + 1], *LINES[friday + 3 :]]).report.gaps
    assert (gaps.by_length["2"], gaps.fills, gaps.unfilled) == (1, 0, 2)


def crossed_files(tmp_path: Path, depth: dict[int, float]) -> Path:
    """FXCM bars whose rows at the given places are crossed by `depth` of the price."""
    rows = [r._replace(half=-depth[i] * r.c / 2) if i in depth else r for i, r in enumerate(ROWS)]
    bf.fxcm(tmp_path, rows)
    return tmp_path


@pytest.mark.parametrize(("policy", "kept", "rejected"), [("shallow", 2, 1), ("keep", 3, 0), ("quarantine", 0, 3)])
def test_crossed_quotes_by_policy(tmp_path: Path, policy: str, kept: int, rejected: int) -> None:
    folder = crossed_files(tmp_path, {20: 0.0001, 30: 0.00015, 40: 0.0005})
    (found,) = read_source([folder], CALENDAR, options=ReadOptions(crossed=policy))
    check_books(found)
    counts = {f.action: f.count for f in found.report.findings if f.kind == "crossed quote"}
    assert (counts.get("kept", 0), counts.get("quarantined", 0)) == (kept, rejected)
    assert found.report.crossed_fields == {"open": 3, "high": 3, "low": 3, "close": 3}
    first = next(f for f in found.report.findings if f.kind == "crossed quote")
    assert first.places[0].where.endswith("bid.csv:" + {"shallow": "42"}.get(policy, "22"))
    if policy == "shallow":
        assert found.frame.filter(found.frame["bid_close"] > found.frame["ask_close"]).height == 2
        assert " | " in found.quarantine["text"][0]


def test_a_minute_of_one_side_only(tmp_path: Path) -> None:
    _, ask = bf.fxcm(tmp_path, ROWS)
    lines = ask.read_text().split("\n")
    ask.write_text("\n".join([*lines[:70], *lines[71:]]))
    (found,) = read_source([tmp_path], CALENDAR)
    check_books(found)
    (row,) = found.quarantine.rows(named=True)
    assert (row["reason"], row["line"]) == ("no ask side", 71)


def test_a_lean_row_of_one_side_only(tmp_path: Path) -> None:
    base = bf.lean(tmp_path, ROWS)
    day = next(base.glob("20240610*"))
    lines = [f"{k * 60000},1.1,1.1,1.1,1.1,0,1.2,1.2,1.2,1.2,0" for k in range(3)]
    lines[1] = "60000,,,,,0,1.2,1.2,1.2,1.2,0"
    bf.zip_text(day, "20240610_eurusd_minute_quote.csv", "\n".join(lines))
    (found,) = read_source([tmp_path], CALENDAR)
    check_books(found)
    (row,) = found.quarantine.rows(named=True)
    assert (row["reason"], row["line"], row["text"]) == ("no bid side", 2, lines[1])


def test_no_usable_row_is_an_error(tmp_path: Path) -> None:
    bf.fxcm(tmp_path, [r._replace(half=-0.01) for r in ROWS])
    with pytest.raises(InputError, match=r"none of .* crossed quote"):
        read_source([tmp_path], CALENDAR)


def test_a_report_whose_counts_disagree_is_not_published(tmp_path: Path) -> None:
    from dataclasses import replace

    report = read_lines(tmp_path, LINES).report
    with pytest.raises(CheckError):
        render([replace(report, rows=report.rows + 1)], "x")
