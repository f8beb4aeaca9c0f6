"""`bqx bars` called in this process, and what a project holds afterwards."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bqx.build.project import Project
from bqx.cli.main import main


class Run:
    """Calls the command in this process; `code`, `out`, `err` of the last call."""

    def __init__(self, capsys: pytest.CaptureFixture[str], project: Path) -> None:
        self.capsys, self.project = capsys, project

    def __call__(self, *args: object) -> Run:
        self.code: Any = 0
        try:
            main(["-C", str(self.project), "bars", *map(str, args)])
        except SystemExit as done:
            self.code = done.code or 0
        self.out, self.err = self.capsys.readouterr()
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        last = [text for text in self.err.splitlines() if text.startswith('{"error"')][-1]
        return dict(json.loads(last)["error"])


def state(project: Path) -> dict[str, str]:
    """Every file of the project but SQLite's side files, and what the manifest holds."""
    out = {
        str(p.relative_to(project)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(project.rglob("*"))
        if p.is_file() and not p.name.startswith("manifest.sqlite")
    }
    opened = Project.open(project)
    out["manifest"] = json.dumps([opened.bars.months(), opened.bars.sources(), opened.snapshot()], default=str)
    opened.close()
    return out


def stored(project: Path, pair: str = "eurusd", as_of: str | None = None) -> pl.DataFrame:
    opened = Project.open(project, as_of=as_of)
    found = opened.bars.read([pair], 0, 10**9, as_of=opened.as_of)[pair]
    opened.close()
    return found
