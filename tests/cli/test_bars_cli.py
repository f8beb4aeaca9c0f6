"""`bqx bars` as a user meets it: whole imports, damaged files, corrections, resumption after kill -9."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import bar_files as bf
from bars_run import Run, state, stored
from bqx.build.project import Project
from bqx.market.importers.text import MAX_ENTRY

ROWS = bf.make_rows("2024-06-06T12:00", 5)
LINES = [bf.line(r) for r in ROWS]


# --- damage: each names file and line, exits by the catalogue, and leaves the store alone


def edited(line: int, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "EURUSD_M1.csv"
        path.write_text("\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n")
        return path

    return write


def raw(data: bytes, name: str = "EURUSD_M1.csv") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return write


def price(line: int, value: str) -> Callable[[Path], Path]:
    fields = LINES[line - 1].split(",")
    return edited(line, ",".join([*fields[:2], value, *fields[3:]]))


def truncated_zip(folder: Path) -> Path:
    path = bf.zip_text(folder / "20240606_quote.zip", "20240606_eurusd_minute_quote.csv", "x,1\n" * 9999)
    path.write_bytes(path.read_bytes()[:-30])
    return path


def corrupt_zip(folder: Path) -> Path:
    body = "\n".join(f"{k * 60000},1.1,1.1,1.1,1.1,0,1.2,1.2,1.2,1.2,0" for k in range(900))
    path = bf.zip_text(folder / "20240606_quote.zip", "20240606_eurusd_minute_quote.csv", body)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    return path


def zip_bomb(folder: Path) -> Path:
    path = folder / "20240606_quote.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("20240606_eurusd_minute_quote.csv", b"0,1\n" * (MAX_ENTRY // 4 + 1))
    return path


def lying_bomb(folder: Path) -> Path:
    """Declares ten bytes and unpacks to 65 MB."""
    path = zip_bomb(folder)
    data = path.read_bytes()
    size = (MAX_ENTRY // 4 + 1) * 4
    path.write_bytes(data.replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little")))
    return path


def climbing_zip(folder: Path) -> Path:
    return bf.zip_text(folder / "20240606_quote.zip", "../20240606_eurusd_minute_quote.csv", "0,1\n")


def two_in_a_zip(folder: Path) -> Path:
    path = climbing_zip(folder)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.csv", "0")
    return path


def lean_day(text: str) -> Callable[[Path], Path]:
    return lambda folder: bf.zip_text(folder / "20240606_quote.zip", "20240606_eurusd_minute_quote.csv", text)


def fxcm_with(line: int, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        bid, ask = bf.fxcm(folder, ROWS)
        lines = ask.read_text().split("\n")
        lines[line - 1] = text
        ask.write_text("\n".join(lines))
        bid.with_name("x").unlink(missing_ok=True)
        return folder

    return write


def bad_header(folder: Path) -> Path:
    path = bf.tab_export(folder / "EURUSD_M1.csv", ROWS)
    path.write_text(path.read_text().replace("<CLOSE>", "<SHUT>"))
    return path


JUNK = random.Random(1).randbytes(200_000)
DAMAGE: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "truncated zip": (truncated_zip, "20240606_quote.zip:1", "truncated"),
    "corrupt zip": (corrupt_zip, "20240606_quote.zip:1", "damaged"),
    "zip bomb": (zip_bomb, "_quote.csv", "unpacks to"),
    "zip bomb that lies": (lying_bomb, "20240606_quote.zip:1", "damaged"),
    "zip that climbs out": (climbing_zip, "20240606_quote.zip", "not a plain CSV name"),
    "two files in a zip": (two_in_a_zip, "20240606_quote.zip", "2 files"),
    "wrong name in a zip": (lambda d: bf.zip_text(d / "a.zip", "a.csv", "0,1"), "a.zip", "not called"),
    "binary junk": (raw(JUNK), "EURUSD_M1.csv:1", "not text"),
    "junk after good lines": (raw("\n".join(LINES[:50]).encode() + b"\n\x07\x80"), "EURUSD_M1.csv:51", "0x07"),
    "UTF-16": (raw("\n".join(LINES).encode("utf-16")), "EURUSD_M1.csv:1", "zero bytes"),
    "wrong columns": (edited(40, "2024-06-06 12:39,1.1,1.1,1.1"), "EURUSD_M1.csv:40", "4 fields where 6"),
    "too many columns": (edited(40, LINES[39] + ",1"), "EURUSD_M1.csv:40", "7 fields where 6"),
    "an unknown table": (raw(b"a,b,c\n1,2,3\n"), "EURUSD_M1.csv:1", "no known format"),
    "unknown header": (bad_header, "EURUSD_M1.csv:1", "<SHUT>"),
    "no number": (price(77, "1.1O"), "EURUSD_M1.csv:77", "'1.1O', not a number"),
    "empty price": (price(77, ""), "EURUSD_M1.csv:77", "is empty"),
    "price 0": (price(77, "0"), "EURUSD_M1.csv:77", "high is 0"),
    "price NaN": (price(77, "NaN"), "EURUSD_M1.csv:77", "high is nan"),
    "price negative": (price(77, "-1.1"), "EURUSD_M1.csv:77", "high is -1.1"),
    "price infinite": (price(77, "inf"), "EURUSD_M1.csv:77", "high is inf"),
    "price 1e308": (price(77, "1e308"), "EURUSD_M1.csv:77", "high is 1e+308"),
    "negative volume": (edited(9, LINES[8].rsplit(",", 1)[0] + ",-4"), "EURUSD_M1.csv:9", "tickvol is -4"),
    "year 1650": (edited(88, LINES[87].replace("2024-", "1650-")), "EURUSD_M1.csv:88", "1650-06-06"),
    "month 13": (edited(88, LINES[87].replace("2024-06", "2024-13")), "EURUSD_M1.csv:88", "2024-13-06"),
    "cut off in a line": (raw("\n".join(LINES)[:-20].encode()), f"EURUSD_M1.csv:{len(LINES)}", "fields where 6"),
    "blank lines count": (raw(("\n\n" + "\n".join(LINES[:9]) + "\nx\n").encode()), "EURUSD_M1.csv:12", "1 fields"),
    "empty file": (raw(b""), "EURUSD_M1.csv:1", "empty"),
    "blank file": (raw(b"\n\n\n"), "EURUSD_M1.csv:1", "empty"),
    "header only": (raw(b"timestamp,open,high,low,close\n", "EURUSD_bid_.csv"), "EURUSD_bid_.csv", "no ask side"),
    "64 MB in one line": (raw(b"1" * (64 << 20)), "EURUSD_M1.csv:1", "longer than 4096 bytes"),
    "a long line deep inside": (
        raw(("\n".join(LINES) * 9 + "\n" + "7" * 5000).encode()), "EURUSD_M1.csv", "longer than 4096"
    ),
    "lean: ms beyond the day": (
        lean_day("0,1,1,1,1,0,1,1,1,1,0\n86400000,1,1,1,1,0,1,1,1,1,0"), "_quote.csv:2", "within a day"
    ),
    "lean: price 0": (lean_day("0,1,1,1,1,0,1,1,1,1,0\n60000,1,1,0,1,0,1,1,1,1,0"), "_quote.csv:2", "bid_low is 0"),
    "lean: columns": (lean_day("0,1,1,1,1,0,1,1,1,1,0\n60000,1,1,1,1,0"), "_quote.csv:2", "6 fields where 11"),
    "fxcm: NaN": (fxcm_with(31, "2024-06-06 12:29:00+00:00,nan,1,1,1"), "ask.csv:31", "open is nan"),
    "fxcm: time": (fxcm_with(31, "2024-06-31 12:29:00+00:00,1,1,1,1"), "ask.csv:31", "not a time"),
    "fxcm: offset": (fxcm_with(31, "2024-06-06 12:29:00 CET,1,1,1,1"), "ask.csv:31", "CET"),
    "fxcm: header": (fxcm_with(1, "timestamp,open,high,low,shut"), "ask.csv:1", "no known format"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_files_name_file_and_line_and_leave_the_store_alone(
    case: str, run: Run, project: Path, tmp_path: Path
) -> None:
    make, where, what = DAMAGE[case]
    folder = tmp_path / "files"
    folder.mkdir()
    path = make(folder)
    before = state(project)
    run("import", path, "--pair", "EURUSD", "--utc-offset=+00:00", "--json")
    want = ("BQX002", 2) if case == "header only" else ("BQX201", 4)
    assert (run.error["code"], run.code) == want, run.err
    assert where in run.error["where"]
    assert what in run.error["what"]
    assert state(project) == before
    assert run.out == ""


def test_64_mb_in_one_line_fails_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_bytes(b"1" * (64 << 20))
    code = (
        "import resource, sys, pathlib\n"
        "from bqx.market.importers.text import load\n"
        "from bqx.base.errors import InputError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    load(pathlib.Path(sys.argv[1]))\n"
        "except InputError:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 8 << 10  # KiB


def test_one_bad_file_of_three_stores_nothing(run: Run, project: Path, tmp_path: Path) -> None:
    for pair in ("AUDUSD", "EURUSD"):
        bf.metatrader(tmp_path / f"{pair}.csv", ROWS)
    (tmp_path / "USDJPY.csv").write_text("\n".join([*LINES[:10], "x"]))
    before = state(project)
    run("import", *sorted(tmp_path.glob("*.csv")))
    assert run.code == 4
    assert state(project) == before


# --- imports


def test_import_list_and_import_again(run: Run, project: Path, tmp_path: Path) -> None:
    path = bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS)
    done = run("import", path, "--licence", "CC0", "--json").json
    assert run.code == 0
    assert done["stored"]["eurusd"]["new"] == len(ROWS)
    assert done["pairs"][0]["bars"] == len(ROWS)
    folder = Path(done["folder"])
    assert {p.name for p in folder.iterdir()} == {"report.json", "report.md", "report.html", "quarantine.csv"}
    assert json.loads((folder / "report.json").read_text())["pairs"] == done["pairs"]
    assert "1 of 1 weekly closes at 17:00 New York" in (folder / "report.md").read_text()
    assert stored(project)["close"].to_list() == [r.c for r in ROWS]
    (row,) = run("list", "--json").json
    assert (row["pair"], row["bars"], row["simulated"], row["sources"]) == ("eurusd", len(ROWS), False, ["metatrader"])
    before = state(project)
    again = run("import", path, "--licence", "CC0", "--json").json
    assert again["stored"]["eurusd"] == {
        "new": 0, "unchanged": len(ROWS), "corrected": 0, "months": [], "kept": 0, "removed": 0
    }  # fmt: skip
    assert again["import_id"] == done["import_id"]
    changed = {k for k, v in state(project).items() if v != before.get(k)}
    assert changed <= {f"imports/{folder.name}/{n}" for n in ("report.md", "report.html", "report.json")}
    assert "eurusd" in run("list").out


def test_dry_run_and_check_store_nothing(run: Run, project: Path, tmp_path: Path) -> None:
    path = bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS)
    before = state(project)
    done = run("import", path, "--dry-run", "--json").json
    assert (done["dry_run"], done["folder"], done["stored"]) == (True, None, {})
    assert run("check", path, "--json").json["pairs"] == done["pairs"]
    assert "clock UTC" in run("check", path).out
    assert state(project) == before


def test_check_needs_no_project(run: Run, tmp_path: Path) -> None:
    run.project = tmp_path / "nowhere"
    path = bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS)
    assert run("check", path, "--json").json["pairs"][0]["bars"] == len(ROWS)


def test_a_corrected_bar_is_a_new_version_and_as_of_reads_the_old(run: Run, project: Path, tmp_path: Path) -> None:
    path = bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS)
    run("import", path)
    between = datetime.now(UTC).isoformat()
    better = [ROWS[0]._replace(v=4321), *ROWS[1:]]
    bf.metatrader(path, better)
    done = run("import", path, "--json").json
    assert (done["stored"]["eurusd"]["corrected"], done["stored"]["eurusd"]["new"]) == (1, 0)
    assert stored(project)["volume"][0] == 4321.0
    assert stored(project, as_of=between)["volume"][0] == float(ROWS[0].v)
    assert run("list", "--json").json[0]["versions"] == 2
    assert run("list", "--as-of", between, "--json").json[0]["versions"] == 1


def test_quarantine_file_holds_the_lines_as_they_stand(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "EURUSD_M1.csv"
    path.write_text("\n".join([*LINES[:60], LINES[59], *LINES[60:]]))
    done = run("import", path, "--json").json
    rows = pl.read_csv(Path(done["folder"]) / "quarantine.csv").rows(named=True)
    assert [(r["line"], r["reason"], r["text"]) for r in rows] == [(60, "exact duplicate", LINES[59])]


def test_another_source_for_the_same_span_is_refused_by_name(run: Run, project: Path, tmp_path: Path) -> None:
    run("import", bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS))
    other = bf.metatrader(tmp_path / "EURUSD_other.csv", [r._replace(v=r.v + 1) for r in ROWS[1000:]])
    before = state(project)
    run("import", other, "--vendor", "acme", "--json")
    assert (run.code, run.error["code"]) == (6, "BQX401")
    assert f"{ROWS[1000].ts:%Y-%m-%d %H:%M} to {ROWS[-1].ts:%Y-%m-%d %H:%M}" in run.error["what"]
    assert state(project) == before
    assert run("import", other, "--vendor", "acme", "--overlap", "newest").code == 0
    assert stored(project)["volume"][1000] == float(ROWS[1000].v + 1)


@pytest.mark.parametrize(
    ("overlap", "want"),
    [
        ("newest", {"new": 40, "corrected": 900, "kept": 0, "removed": 0}),
        ("keep", {"new": 40, "corrected": 0, "kept": 900, "removed": 0}),
        ("replace", {"new": 40, "corrected": 900, "kept": 0, "removed": 60}),
    ],
)
def test_two_sources_merge_by_the_rule_and_say_so(
    overlap: str, want: dict[str, int], run: Run, project: Path, tmp_path: Path
) -> None:
    run("import", bf.metatrader(tmp_path / "EURUSD_M1.csv", [*ROWS[:1500], *ROWS[1540:]]))
    second = [r._replace(v=r.v + 1) for r in [*ROWS[1000:1200], *ROWS[1260:2000]]]
    other = bf.metatrader(tmp_path / "EURUSD_other.csv", second)
    options = ("--vendor", "acme", "--overlap", overlap, "--utc-offset=+00:00")
    assert run("import", other, *options, "--dry-run", "--json").json["overlap"] == overlap
    done = run("import", other, *options, "--json").json
    got = done["stored"]["eurusd"]
    assert {k: got[k] for k in want} == want
    assert stored(project).height == len(ROWS) - want["removed"]
    page = (Path(done["folder"]) / "report.md").read_text()
    assert f"Where bars were there already: {overlap}, " in page
    (row,) = run("list", "--json").json
    assert [(p["ym"], p["vendor"], p["overlap"]) for p in row["pieces"]] == [
        ("2024_06", "metatrader", "refuse"),
        ("2024_06", "acme", overlap),
    ]
    before = stored(project)
    run("import", other, *options)
    assert stored(project).equals(before)


def test_the_same_bars_from_another_source_are_welcome(run: Run, tmp_path: Path) -> None:
    run("import", bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS))
    done = run("import", tmp_path / "EURUSD_M1.csv", "--vendor", "acme", "--json").json
    assert done["stored"]["eurusd"]["unchanged"] == len(ROWS)


def test_price_sides_are_not_mixed(run: Run, project: Path, tmp_path: Path) -> None:
    run("import", bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS))
    quotes = tmp_path / "quotes"
    quotes.mkdir()
    bf.fxcm(quotes, bf.make_rows("2024-06-20T12:00", 5))
    before = state(project)
    assert run("import", quotes).code == 6
    assert state(project) == before


def test_a_wrong_clock_exits_4_with_the_option_to_use(run: Run, project: Path, tmp_path: Path) -> None:
    path = bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS, bf.ahead(-5))
    before = state(project)
    run("import", path, "--json")
    assert (run.code, run.error["code"]) == (4, "BQX202")
    assert "--utc-offset=-05:00" in run.error["fix"]
    assert state(project) == before
    assert run("import", path, "--utc-offset=-05:00").code == 0
    assert stored(project)["ts_utc"][0] == ROWS[0].ts


def test_known_bars_tell_the_clock_of_a_file_without_a_close(run: Run, tmp_path: Path) -> None:
    run("import", bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS))
    day = [r for r in ROWS if r.ts.weekday() == 0]
    part = bf.metatrader(tmp_path / "EURUSD_part.csv", day, bf.ahead(2))
    run("check", part, "--json")
    assert run.code == 4
    assert run.error["fix"].startswith("--utc-offset=+02:00 (there the 1-minute returns agree")


def test_two_sources_of_a_pair_in_one_call(run: Run, tmp_path: Path) -> None:
    bf.lean(tmp_path, ROWS)
    bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS)
    run("import", tmp_path / "forex", tmp_path / "EURUSD_M1.csv", "--json")
    assert (run.code, run.error["code"]) == (2, "BQX002")
    assert "two sources of eurusd" in run.error["what"]


def test_a_pair_the_project_does_not_have(run: Run, tmp_path: Path) -> None:
    run.project = tmp_path / "small"
    Project.create(run.project, pairs=["gbpusd"]).close()
    assert run("import", bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS)).code == 2


def test_trust_clock_needs_a_clock(run: Run, tmp_path: Path) -> None:
    assert run("check", bf.metatrader(tmp_path / "EURUSD_M1.csv", ROWS), "--trust-clock").code == 2


# --- killed imports


def import_apart(project: Path, files: Path, **env: str) -> int:
    code = "from bqx.cli.main import main; main()"
    args = [sys.executable, "-c", code, "-C", str(project), "bars", "import", str(files)]
    return subprocess.run(args, env={**os.environ, **env}, capture_output=True, check=False).returncode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files of three pairs, and a project that imported them in peace."""
    base = tmp_path_factory.mktemp("undisturbed")
    files, clean = base / "files", base / "clean"
    files.mkdir()
    for k, pair in enumerate(("AUDUSD", "EURUSD", "USDJPY")):
        bf.metatrader(files / f"{pair}.csv", [r._replace(v=r.v + k) for r in ROWS[:2500]])
    Project.create(clean).close()
    assert import_apart(clean, files) == 0
    return files, clean


@pytest.mark.parametrize("fault", ["after-temp-write:1", "after-rename:2", "before-commit:2", "after-commit:2"])
def test_an_import_killed_on_the_way_goes_on(fault: str, project: Path, undisturbed: tuple[Path, Path]) -> None:
    files, clean = undisturbed
    assert import_apart(project, files, BQX_FAULT=fault) == -signal.SIGKILL
    assert import_apart(project, files) == 0
    for pair in ("audusd", "eurusd", "usdjpy"):
        assert stored(project, pair).equals(stored(clean, pair))
    reports = [json.loads(next(x.glob("imports/*/report.json")).read_text())["pairs"] for x in (project, clean)]
    assert reports[0] == reports[1]


# --- simulated bars


def test_simulated_bars_are_labelled(run: Run, project: Path) -> None:
    args = ("simulate", "--from", "2024-06-03", "--to", "2024-06-05", "--seed", "3", "--json")
    done = run(*args).json
    assert (done["simulated"], done["pairs"]) == (True, 28)
    assert done["new"] == sum(r["bars"] for r in run("list", "--json").json)
    assert all(r["simulated"] for r in run("list", "--json").json)
    assert run("list").out.count("SIMULATED") == 28
    assert run(*args).json["new"] == 0
    assert Project.open(project).simulated


def test_simulate_before_its_origin_says_what_to_add(run: Run, tmp_path: Path) -> None:
    run.project = tmp_path / "small"
    Project.create(run.project, pairs=["eurusd"]).close()
    span = ("simulate", "--from", "2020-06-02", "--to", "2020-06-03", "--json")
    assert run(*span).code == 2
    assert run.error["fix"] == "add --origin 2020-06-02"
    assert run(*span, "--origin", "2020-06-01").json["new"] > 1000


def test_simulate_wants_a_span(run: Run) -> None:
    assert run("simulate", "--from", "2024-06-05", "--to", "2024-06-05").code == 2
