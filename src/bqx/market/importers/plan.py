"""From paths to jobs: one job is one pair from one source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bqx.base.errors import InputError, UsageError
from bqx.market.importers import fxcm, lean, metatrader
from bqx.market.importers.detect import FORMATS, detect
from bqx.market.importers.naming import pair_of, venue_of
from bqx.market.importers.raw import RawBars
from bqx.market.importers.text import load, peek

SUFFIXES = (".csv", ".txt", ".tsv", ".zip")


@dataclass(frozen=True, slots=True)
class Job:
    """Files that make up one pair's bars; two, bid and ask, for FXCM. venue: of Lean's folders."""

    pair: str
    format: str
    venue: str
    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        return f"{self.pair} ({self.format}{' ' + self.venue if self.venue else ''})"

    def read(self) -> RawBars:
        """Parse; raises InputError naming file and line."""
        texts = tuple(load(path) for path in self.paths)
        if self.format == "fxcm":
            bid, ask = texts
            return fxcm.read(bid, ask, self.pair)
        if self.format == "lean":
            return lean.read(texts, self.pair)
        return metatrader.read(texts, self.pair)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Files named, and those of folders with a known suffix, sorted; hidden files and folders are left out."""
    out: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file() and p.suffix.lower() in SUFFIXES)
            found = [p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts)]
            if not found:
                raise InputError("folder holds no bars", where=str(path), fix=f"bqx reads {', '.join(SUFFIXES)}")
            out.update(dict.fromkeys(found))
        elif path.exists():
            out[path] = None
        else:
            raise InputError("no such file or folder", where=str(path), fix="check the path")
    return list(out)


def plan_jobs(
    paths: Sequence[Path],
    *,
    format: str = "auto",
    pair: str | None = None,
    bid: Path | None = None,
    ask: Path | None = None,
) -> list[Job]:
    """Jobs sorted by pair. Raises UsageError when pair, side or grouping is unclear, InputError for bad files."""
    if format not in ("auto", *FORMATS):
        raise UsageError(f"unknown format {format!r}", fix=f"auto, {', '.join(FORMATS)}")
    if (bid is None) != (ask is None):
        raise UsageError("--bid and --ask come together", fix="give both files")
    if not paths and bid is None:
        raise UsageError("no files given", fix="bqx bars import PATH...")
    jobs = []
    if bid is not None and ask is not None:
        jobs.append(Job(pair_of(bid, pair), "fxcm", "", (bid, ask)))
    groups: dict[tuple[str, str, str], list[Path]] = {}
    for path in find_files(paths):
        text = peek(path)
        kind = detect(text) if format == "auto" else format
        if kind == "lean":
            lean.entry_of(text)
        name = pair_of(path, pair, lean.entry_of(text)[1] if kind == "lean" else "")
        groups.setdefault((name, kind, venue_of(path) if kind == "lean" else ""), []).append(path)
    for (name, kind, venue), files in groups.items():
        if kind == "fxcm":
            jobs += _both_sides(name, files)
        else:
            jobs.append(Job(name, kind, venue, tuple(files)))
    return sorted(jobs, key=lambda j: (j.pair, j.format, j.venue, j.paths))


def _both_sides(pair: str, files: Sequence[Path]) -> list[Job]:
    """Bid and ask files whose names agree but for the side."""
    found: dict[tuple[Path, str], dict[str, Path]] = {}
    for path in files:
        side, rest = fxcm.side_of(path.name)
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
