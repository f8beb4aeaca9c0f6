"""What the manifest remembers of builds: the last run, each unit's last outcome, measured costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bqx.build.costs import Costs
from bqx.store.known import now_us
from bqx.store.manifest import Manifest

_LAST_RUN = "build.last_run"
_COSTS = "build.costs"
_PROFILE = "build.profile"


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Ledger:
    """Reads and writes the build's rows of the manifest; any thread."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def costs(self) -> Costs | None:
        """What builds on this machine have cost; None before the first."""
        data = self._get(_COSTS)
        return Costs.from_dict(data) if data else None

    def put_costs(self, found: Costs) -> None:
        """Take in what a run has measured; datasets it did not build keep what was known."""
        known = self.costs()
        self._put(_COSTS, (known.updated(found) if known else found).as_dict())

    def profile(self) -> list[dict[str, Any]]:
        """Cost of columns as `bqx build run --profile` last found it."""
        return list(self._get(_PROFILE) or [])

    def put_profile(self, found: list[dict[str, Any]]) -> None:
        """Replace the costs of the datasets in `found`."""
        new = {row["dataset"] for row in found}
        self._put(_PROFILE, [row for row in self.profile() if row["dataset"] not in new] + found)

    def put_run(self, run: Mapping[str, Any]) -> None:
        """Keep the state of the latest run; one that was killed still says `running`."""
        self._put(_LAST_RUN, dict(run))

    def last_run(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._get(_LAST_RUN)
        return found

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

    def _get(self, key: str) -> Any:
        with self._manifest.connection() as con:
            row = con.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def _put(self, key: str, value: Any) -> None:
        with self._manifest.transaction() as con:
            con.execute("INSERT OR REPLACE INTO kv VALUES (?, ?)", (key, json.dumps(value)))
