"""The blocks of docs/serving.md run in order beside a project called P; only the server's process is a thread here."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from api_server import start_server

from bqx.cli.main import main
from bqx.cli.serve import serve as serve_command
from bqx.serve.api.keys import Keys

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.M | re.S)


def test_the_page_runs(
    served_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(served_world.root, tmp_path / "P", ignore=shutil.ignore_patterns("serve"))
    monkeypatch.chdir(tmp_path)
    started, ran = [], 0

    def words(line: str) -> list[str]:
        """Of a line as the shell would give them; `$(cut ...)` is the id of the key."""
        found = shlex.split(line, comments=True)
        return [Path("key.txt").read_text().split("_")[1] if w.startswith("$(cut") else w for w in found]

    for kind, body in BLOCK.findall(PAGE.read_text()):
        if kind == "python":
            exec(
                compile(body.replace("8080", started[0].server.url.split(":")[2].strip("/")), "serving.md", "exec"), {}
            )
            ran += 1
            continue
        for line in body.splitlines():
            match words(line):
                case ["bqx", "-C", "P", "serve", *options, "&"]:
                    given = serve_command.make_context("serve", options).params
                    assert (given["run"], given["port"]) == ("first", 8080)
                    then = datetime.fromisoformat(given["start"]).timestamp()
                    world = replace(served_world, root=tmp_path / "P")
                    started.append(start_server(world, after=then - world.now))
                case ["bqx", *rest, ">", "key.txt"]:
                    capsys.readouterr()
                    main(rest)
                    Path("key.txt").write_text(capsys.readouterr().out)
                case ["bqx", *rest]:
                    main(rest)
                    ran += 1
                case ["kill", *_]:
                    started[0].close()
                case other:
                    raise AssertionError(f"the page has a line that is not tested: {other}")
    said = capsys.readouterr().out
    assert ran == 5
    assert datetime.fromtimestamp(served_world.now, UTC) == datetime(2024, 3, 7, 8, tzinfo=UTC)
    assert re.search(r"^HOLD 2024-03-07T07:59:00\+00:00 0 bars old$", said, re.M)
    assert len(re.findall(r"^\d\d -?\d+\.\d+ \[-\d.*, \d.*\]$", said, re.M)) == 5
    assert "eurusd 2024-03-07T07:29:00+00:00 SIMULATED: HOLD" in said
    assert "2 written in forecasts, SIMULATED" in said
    assert pl.read_parquet(tmp_path / "forecasts" / "eurusd_2024_03.parquet").height > 5000
    states = {k.label: k.revoked_at is None for k in Keys(tmp_path / "P").list()}
    assert states == {"desk": False, "test": True}
