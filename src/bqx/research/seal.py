"""The sealed test: opened once a release, on the record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bqx.base.errors import SealedError, UsageError
from bqx.base.runlog import current_run, event
from bqx.research.trials import LEDGER_NAME, Trials


def open_seal(root: Path, dataset: str, seal: str, release: str, reason: str) -> dict[str, Any]:
    """Log that the sealed test of a dataset (its hash) is opened for a release; SealedError the second time.

    seal : hash of the sealed labels, so that the record says which rows were seen.
    """
    if not release.strip() or not reason.strip():
        raise UsageError("a release and a reason are needed to open a sealed test")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    with Trials(root).transaction() as con:
        old = con.execute(
            "SELECT opened_at, run_id FROM opened WHERE dataset = ? AND release = ?", (dataset, release)
        ).fetchone()
        if old:
            raise SealedError(
                f"it was opened for release {release!r} at {old['opened_at']} (run {old['run_id']})",
                fix="a second look at the same test is no test; release what was measured, or wait for new data",
            )
        con.execute(
            "INSERT INTO opened VALUES (?, ?, ?, ?, ?, ?)", (dataset, release, seal, reason, current_run().run_id, now)
        )
        times = con.execute("SELECT count(*) FROM opened WHERE dataset = ?", (dataset,)).fetchone()[0]
    event("dataset.opened", dataset=dataset, release=release, times=times)
    return {"dataset": dataset, "release": release, "seal": seal, "opened_at": now, "times": int(times)}


def was_opened(root: Path, dataset: str, release: str) -> bool:
    """Whether the record says so."""
    return any(row["release"] == release for row in openings(root, dataset))


def openings(root: Path, dataset: str) -> list[dict[str, Any]]:
    """Every time the sealed test of a dataset was opened."""
    if not (root / LEDGER_NAME).is_file():
        return []
    with Trials(root).transaction() as con:
        rows = con.execute("SELECT * FROM opened WHERE dataset = ? ORDER BY opened_at", (dataset,)).fetchall()
    return [dict(row) for row in rows]
