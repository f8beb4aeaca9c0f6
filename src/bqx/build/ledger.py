"""What the manifest remembers of builds: the last run, each unit's last outcome, measured rates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bqx.store.known import now_us
from bqx.store.manifest import Manifest

_LAST_RUN = "build.last_run"
_RATES = "build.rates"


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Rate:
    """Core-nanoseconds and file bytes a value, as last measured on this machine."""

    ns_per_value: float
    bytes_per_value: float


class Ledger:
    """Reads and writes the build's rows of the manifest; any thread."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def rates(self) -> dict[str, Rate]:
        data = self._get(_RATES) or {}
        return {name: Rate(*pair) for name, pair in data.items()}

    def put_rates(self, rates: Mapping[str, Rate]) -> None:
        merged = {**self.rates(), **rates}
        self._put(_RATES, {name: [r.ns_per_value, r.bytes_per_value] for name, r in merged.items()})

    def put_run(self, run: Mapping[str, Any]) -> None:
        """Keep the state of the latest run; one that was killed still says `running`."""
        self._put(_LAST_RUN, dict(run))

    def last_run(self) -> dict[str, Any] | None:
        return self._get(_LAST_RUN)

    def put_unit(
        self,
        dataset: str,
        ym: str,
        status: str,
        run_id: str,
        *,
        reason: str | None = None,
        attempts: int = 1,
        seconds: float = 0.0,
        rows: int = 0,
    ) -> None:
        """Record how a unit ended: `built` or `failed`."""
        sql = "INSERT OR REPLACE INTO unit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        with self._manifest.transaction() as con:
            con.execute(sql, (dataset, ym, status, reason, attempts, seconds, rows, run_id, now_us()))

    def failures(self) -> list[dict[str, Any]]:
        """Units whose latest attempt failed."""
        sql = "SELECT dataset, ym, attempts, reason, run_id FROM unit WHERE status = 'failed' ORDER BY ym, dataset"
        with self._manifest.connection() as con:
            rows = con.execute(sql).fetchall()
        names = ("dataset", "month", "attempts", "reason", "run_id")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _get(self, key: str) -> dict[str, Any] | None:
        with self._manifest.connection() as con:
            row = con.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def _put(self, key: str, value: Any) -> None:
        with self._manifest.transaction() as con:
            con.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", (key, json.dumps(value)))
