"""The local tracker: one JSON file in the project, the default, needing nothing and nobody."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bqx.base.atomic import write_text
from bqx.ops.tracker.filetracker import FileTracker, Row

FORMAT = 1


class LocalTracker(FileTracker):
    """``records.json`` in `folder`: ``{"format": 1, "records": [{"code": ..., field: value}]}``, sorted by code."""

    name = "local"

    def _load(self) -> list[Row]:
        path = self.folder / "records.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except (ValueError, OSError) as error:
            raise self._broken(path, type(error).__name__) from None
        rows = data.get("records") if isinstance(data, dict) and data.get("format") == FORMAT else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._broken(path, f"not a list of records in format {FORMAT}")
        return rows

    def _save(self, rows: Sequence[Row]) -> None:
        ordered = [{"code": r.get("code"), **{k: r[k] for k in sorted(r) if k != "code"}} for r in _sorted(rows)]
        text = json.dumps({"format": FORMAT, "records": ordered}, indent=1, ensure_ascii=False, allow_nan=False)
        write_text(self.folder / "records.json", text + "\n")


def _sorted(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(row.get("code")))
