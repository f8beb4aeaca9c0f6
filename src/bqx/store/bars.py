"""Bars in the project: monthly immutable files a pair, every version of a corrected minute kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bqx.market.bars import BARS_SCHEMA, empty_bars
from bqx.market.calendar import DAY
from bqx.store import ingest, registry
from bqx.store.files import Codec, Files, LocalFiles, Written
from bqx.store.ingest import IngestResult
from bqx.store.known import AsOf, known_us
from bqx.store.manifest import Manifest
from bqx.store.merge import Overlap
from bqx.store.registry import Baseline
from bqx.store.span import in_span

_CURRENT = "(?1 IS NULL AND m.known_to IS NULL OR m.known_from <= ?1 AND (m.known_to IS NULL OR m.known_to > ?1))"


def _sql(text: str) -> str:
    """`text` with AS_OF spelt out; parameter 1 is the as-of time or NULL."""
    return text.replace("AS_OF", _CURRENT)


class BarStore:
    """The bars of a project. `root` is the project folder, `files` where their files are, there unless given; minutes
    are minutes since 1970, spans are [start, end)."""

    def __init__(self, root: Path, manifest: Manifest, *, codec: Codec = "lz4", files: Files | None = None) -> None:
        self.manifest, self.codec = manifest, codec
        self.files = files or LocalFiles(root)

    def ingest(
        self,
        pair: str,
        frame: pl.DataFrame,
        source: Mapping[str, Any],
        *,
        known_at: AsOf = None,
        policy: Overlap = "refuse",
    ) -> IngestResult:
        """Add bars of one pair in one transaction; see `bqx.store.ingest`."""
        return ingest.ingest(
            self.files, self.manifest, self.codec, pair, frame, source, known_at=known_at, policy=policy
        )

    def read(
        self, pairs: Sequence[str], start_minute: int, end_minute: int, as_of: AsOf = None
    ) -> dict[str, pl.DataFrame]:
        """Bars of [start, end) a pair, sorted; an empty frame for a pair without any."""
        known = known_us(as_of)
        sql = _sql(
            "SELECT f.path, f.bytes, f.file_hash FROM bar_month m JOIN file f ON f.id = m.file_id "
            "WHERE AS_OF AND m.pair = ?2 AND m.first_minute < ?4 AND m.last_minute >= ?3 ORDER BY m.ym"
        )
        with self.manifest.connection() as con:
            found = {
                pair: [Written(*row) for row in con.execute(sql, (known, pair, start_minute, end_minute))]
                for pair in pairs
            }
        return {pair: self._load(months, start_minute, end_minute) for pair, months in found.items()}

    def _load(self, months: Sequence[Written], start: int, end: int) -> pl.DataFrame:
        if not months:
            return empty_bars()
        frames = [pl.read_parquet(path, glob=False, memory_map=False) for path in self.files.fetch(months)]
        frame = pl.concat(frames).select(list(BARS_SCHEMA))
        return frame.filter(in_span((start, end)))

    def spans(self, as_of: AsOf = None) -> dict[str, tuple[int, int]]:
        """First and last minute of each pair that has bars."""
        sql = _sql(
            "SELECT m.pair, min(m.first_minute), max(m.last_minute) FROM bar_month m "
            "WHERE AS_OF GROUP BY m.pair ORDER BY m.pair"
        )
        with self.manifest.connection() as con:
            return {pair: (first, last) for pair, first, last in con.execute(sql, (known_us(as_of),))}

    def months(self, as_of: AsOf = None) -> list[dict[str, Any]]:
        """One record a pair and month: pair, ym, rows, first_minute, last_minute, versions, simulated, path, bytes."""
        sql = _sql(
            "SELECT m.pair, m.ym, m.rows, m.first_minute, m.last_minute, m.simulated, f.path, f.bytes, "
            "(SELECT count(*) FROM bar_month o WHERE o.pair = m.pair AND o.ym = m.ym "
            "AND (?1 IS NULL OR o.known_from <= ?1)) "
            "FROM bar_month m JOIN file f ON f.id = m.file_id WHERE AS_OF ORDER BY m.pair, m.ym"
        )
        names = ("pair", "ym", "rows", "first_minute", "last_minute", "simulated", "path", "bytes", "versions")
        with self.manifest.connection() as con:
            rows = con.execute(sql, (known_us(as_of),)).fetchall()
        return [dict(zip(names, (*row[:5], bool(row[5]), *row[6:]), strict=True)) for row in rows]

    def day_hashes(
        self, pairs: Sequence[str], start_minute: int, end_minute: int, as_of: AsOf = None
    ) -> dict[tuple[str, int], str]:
        """Content hash of each pair's UTC day (days since 1970) that has bars and touches [start, end)."""
        sql = _sql(
            "SELECT d.day, d.hash FROM bar_month m JOIN bar_day d ON d.bar_month_id = m.id "
            "WHERE AS_OF AND m.pair = ?2 AND d.day BETWEEN ?3 AND ?4 ORDER BY d.day"
        )
        days = (start_minute // DAY, (end_minute - 1) // DAY)
        known = known_us(as_of)
        with self.manifest.connection() as con:
            return {
                (pair, int(day)): str(digest)
                for pair in pairs
                for day, digest in con.execute(sql, (known, pair, *days))
            }

    def sources(self, as_of: AsOf = None) -> list[dict[str, Any]]:
        return registry.sources(self.manifest, as_of)

    def pieces(self, as_of: AsOf = None) -> list[dict[str, Any]]:
        """Which sources made up each month of each pair, in the order they came: pair, ym, vendor, overlap, source."""
        sql = _sql(
            "SELECT m.pair, m.ym, s.vendor, json_extract(s.record, '$.overlap'), s.id FROM bar_month m "
            "JOIN bar_month_source b ON b.bar_month_id = m.id JOIN source s ON s.id = b.source_id "
            "WHERE AS_OF ORDER BY m.pair, m.ym, s.id"
        )
        with self.manifest.connection() as con:
            rows = con.execute(sql, (known_us(as_of),)).fetchall()
        return [dict(zip(("pair", "ym", "vendor", "overlap", "source"), row, strict=True)) for row in rows]

    def simulated(self, as_of: AsOf = None) -> bool:
        """Whether any bar that can be read is simulated."""
        sql = _sql("SELECT count(*) FROM bar_month m WHERE AS_OF AND m.simulated = 1")
        with self.manifest.connection() as con:
            return bool(con.execute(sql, (known_us(as_of),)).fetchone()[0])

    def put_baseline(
        self, pair: str, epoch: int, t0: int, baseline_ts: int, baseline_mid: float, source_hash: str
    ) -> None:
        registry.put_baseline(self.manifest, Baseline(pair, epoch, t0, baseline_ts, baseline_mid, source_hash))

    def baselines(self, as_of: AsOf = None) -> list[Baseline]:
        return registry.baselines(self.manifest, as_of)
