"""From paths to jobs: one job is one pair from one source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bqx.base.errors import InputError, UsageError
from bqx.market.importers import bi5, dukascopy, fxcm, histdata, lean, mapped, metatrader
from bqx.market.importers.detect import FORMATS, detect
from bqx.market.importers.layout import Layout
from bqx.market.importers.load import load, peek
from bqx.market.importers.naming import pair_of, venue_of
from bqx.market.importers.raw import RawBars
from bqx.market.importers.sides import find_side, side_of
from bqx.market.importers.text import Text

SUFFIXES = (".csv", ".txt", ".tsv", ".zip", ".bi5", ".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class Job:
    """Files that make up one pair's bars. venue: of Lean's folders. sides: `bid`, `ask` or empty, a file, when given.

    layout: of tables. spread: `ask` makes quotes of MetaTrader's spreads.
    """

    pair: str
    format: str
    venue: str
    paths: tuple[Path, ...]
    sides: tuple[str, ...] = ()
    layout: Layout = field(default_factory=Layout)
    spread: str = "ignore"

    @property
    def name(self) -> str:
        return f"{self.pair} ({self.format}{' ' + self.venue if self.venue else ''})"

    @property
    def vendor(self) -> str:
        """Who made the bars when the user does not say."""
        made_by = "dukascopy" if self.format == "bi5" else self.format
        return f"{made_by} {self.venue}".strip()

    def read(self) -> RawBars:
        """Parse; raises InputError naming file and line."""
        texts = tuple(load(path) for path in self.paths)
        match self.format:
            case "fxcm":
                bid, ask = texts
                return fxcm.read(bid, ask, self.pair)
            case "lean":
                return lean.read(texts, self.pair)
            case "histdata":
                return histdata.read(texts, self.pair)
            case "dukascopy":
                sides = self.sides or tuple(find_side(path.name) for path in self.paths)
                return dukascopy.read(texts, sides, self.pair)
            case "bi5":
                return bi5.read(texts, self.pair)
            case "table":
                return mapped.read(texts, self.pair, self.layout)
        return metatrader.read(texts, self.pair, spread=self.spread)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Files named, and those of folders with a known suffix, sorted; hidden files and folders are left out."""
    out: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file() and p.suffix.lower() in SUFFIXES)
            shown = {p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts)}
            found = sorted(p for p in shown if not _is_report(p, shown))
            if not found:
                raise InputError("folder holds no bars", where=str(path), fix=f"bqx reads {', '.join(SUFFIXES)}")
            out.update(dict.fromkeys(found))
        elif path.exists():
            out[path] = None
        else:
            raise InputError("no such file or folder", where=str(path), fix="check the path")
    return list(out)


def _is_report(path: Path, others: set[Path]) -> bool:
    """HistData's status report lies beside a CSV or zip of its name."""
    return path.suffix == ".txt" and bool({path.with_suffix(".csv"), path.with_suffix(".zip")} & others)


def plan_jobs(
    paths: Sequence[Path],
    *,
    format: str = "auto",
    pair: str | None = None,
    bid: Path | None = None,
    ask: Path | None = None,
    layout: Layout | None = None,
    spread: str = "ignore",
) -> list[Job]:
    """Jobs sorted by pair. Raises UsageError when pair, side or grouping is unclear, InputError for bad files."""
    if format not in ("auto", *FORMATS):
        raise UsageError(f"unknown format {format!r}", fix=f"auto, {', '.join(FORMATS)}")
    if (bid is None) != (ask is None):
        raise UsageError("--bid and --ask come together", fix="give both files")
    if not paths and bid is None:
        raise UsageError("no files given", fix="bqx bars import PATH...")
    format = "table" if format == "auto" and layout is not None else format
    jobs = []
    if bid is not None and ask is not None:
        kind = "dukascopy" if (detect(peek(bid)) if format == "auto" else format) == "dukascopy" else "fxcm"
        jobs.append(Job(pair_of(bid, pair), kind, "", (bid, ask), ("bid", "ask")))
    groups: dict[tuple[str, str, str], list[Path]] = {}
    for path in find_files(paths):
        text = peek(path)
        kind = detect(text) if format == "auto" else format
        name = _pair_of(path, pair, kind, text)
        groups.setdefault((name, kind, venue_of(path) if kind == "lean" else ""), []).append(path)
    for (name, kind, venue), files in groups.items():
        if kind == "fxcm":
            jobs += _both_sides(name, files)
        else:
            jobs.append(Job(name, kind, venue, tuple(files), (), layout or Layout(), spread))
    return sorted(jobs, key=lambda j: (j.pair, j.format, j.venue, j.paths))


def _pair_of(path: Path, given: str | None, kind: str, text: Text) -> str:
    if kind == "bi5":
        return bi5.place_of(path)[0]
    return pair_of(path, given, lean.entry_of(text)[1] if kind == "lean" else "")


def _both_sides(pair: str, files: Sequence[Path]) -> list[Job]:
    """Bid and ask files whose names agree but for the side."""
    found: dict[tuple[Path, str], dict[str, Path]] = {}
    for path in files:
        side, rest = side_of(path.name)
        slot = found.setdefault((path.parent, rest), {})
        if side in slot:
            raise UsageError(f"two {side} files", where=str(path), fix="give them as --bid FILE --ask FILE")
        slot[side] = path
    for sides in found.values():
        if len(sides) < 2:
            have = next(iter(sides))
            want = "ask" if have == "bid" else "bid"
            raise UsageError(
                f"there is the {have} side of {pair} but no {want} side",
                where=str(sides[have]),
                fix=f"give the {want} file too, or name both with --bid and --ask",
            )
    return [Job(pair, "fxcm", "", (sides["bid"], sides["ask"])) for sides in found.values()]
