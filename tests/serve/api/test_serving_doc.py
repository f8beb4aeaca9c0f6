"""The blocks of docs/serving.md run, in order, beside a project called P."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.M | re.S)
READY = """
for i in $(seq 1200); do python -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:8080/health")' 2>/dev/null \\
  && break
sleep 0.2; done
"""


def script(port: int) -> str:
    parts = ["set -eu", "set -m"]
    for number, (kind, body) in enumerate(BLOCK.findall((ROOT / "docs" / "serving.md").read_text())):
        parts.append(f'echo "== {number}"')
        parts.append(body if kind == "sh" else f"python - <<'PYTHON'\n{body}PYTHON")
        if body.rstrip().endswith("&"):
            parts.append(READY)
    return "\n".join(parts).replace("8080", str(port))


def test_the_page_runs(served_world: Any, tmp_path: Path) -> None:
    shutil.copytree(served_world.root, tmp_path / "P", ignore=shutil.ignore_patterns("serve"))
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, words in (("bqx", "-c 'from bqx.cli.main import main; main()' "), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (tools / name).chmod(0o755 | stat.S_IXUSR)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        ["bash", "-c", script(port)], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    said = done.stdout
    assert "SIMULATED DATA" in said
    assert re.search(r"^HOLD 2024-03-07T07:59:00\+00:00 0 bars old$", said, re.M)
    assert len(re.findall(r"^\d\d -?\d+\.\d+ \[-\d.*, \d.*\]$", said, re.M)) == 5
    assert "desk" in said
    assert "revoked" in said
    assert "2 written in forecasts, SIMULATED" in said
    assert pl.read_parquet(tmp_path / "forecasts" / "eurusd_2024_03.parquet").height > 5000
    assert json.loads((tmp_path / "P" / "serve" / "status.json").read_text())["state"] == "ended"
    key = (tmp_path / "key.txt").read_text().split()[0]
    assert key not in said + done.stderr + (tmp_path / "P" / "serve" / "keys.json").read_text()
