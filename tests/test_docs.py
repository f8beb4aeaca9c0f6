"""The tutorial's blocks run, in order, in an empty folder; its links lead somewhere."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.M | re.S)


def script() -> str:
    """All blocks as one shell script; a text block's lines must have been printed by the block before it."""
    parts = ["set -eu", "set -o pipefail", ": > last.txt", 'top="$PWD"']
    for number, (kind, body) in enumerate(BLOCK.findall((DOCS / "tutorial.md").read_text())):
        if kind == "sh":
            parts.append(f'echo "== block {number}"\n{{\n{body}}} > "$top/last.txt"\ncat "$top/last.txt"')
        elif kind == "python":
            parts.append(f"echo '== block {number}'\n(cd \"$top\" && python - <<'PYTHON'\n{body}PYTHON\n)")
        else:
            parts += [f"grep -qF -- '{line}' \"$top/last.txt\"" for line in body.splitlines() if line]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bqx` and `python` as an installation would have them."""
    folder = tmp_path_factory.mktemp("bin")
    for name, words in (("bqx", "-c 'from bqx.cli.main import main; main()' "), ("python", "")):
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


def test_tutorial_runs(tools: Path, tmp_path: Path) -> None:
    source = Path(__file__).parent.parent / "src"
    env = {k: v for k, v in os.environ.items() if not k.startswith("BQX_") or k == "BQX_CACHE_DIR"}
    env |= {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(source)}
    done = subprocess.run(
        ["bash", "-c", script()], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "SIMULATED" in done.stdout
    assert "minutes, 24 columns" in done.stdout


@pytest.mark.parametrize("page", sorted(p.name for p in DOCS.glob("*.md")))
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (DOCS / page).read_text())
    assert [link for link in links if not (DOCS / link).exists()] == []
