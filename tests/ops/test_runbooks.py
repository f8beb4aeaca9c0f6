"""Runbooks: every step is a command that exists; planted faults are found; the evidence of GATE8."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bqx.base.errors import CheckError, RunbookError
from bqx.build.project import Project
from bqx.cli.main import COMMANDS, root
from bqx.ops.container.__main__ import main as container
from bqx.ops.runbooks import NEEDED, review, steps, wrong
from bqx.research.registry.store import ALL_MODELS, Registry

FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"
PROGRAMS = {"bqx": root, "python -m bqx.ops.container": container}
LATER = {"cloud", "cost"} - set(COMMANDS)
"""Groups that another part brings; once they are here, their steps are checked like all others."""


def test_every_step_is_a_command_that_exists() -> None:
    found = review(FOLDER, PROGRAMS)
    later = [p for p in found.problems if any(p.endswith(f"has no command '{name}'") for name in LATER)]
    assert [p for p in found.problems if p not in later] == []
    assert set(found.runbooks) >= set(NEEDED) and found.ours >= 40
    assert bool(later) == bool(LATER)


def test_links_of_runbooks_lead_somewhere() -> None:
    for page in FOLDER.glob("*.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("bqx modles list", "no command 'modles'"),
        ("bqx models lst", "no command 'lst'"),
        ("bqx models list --states production", "no option --states"),
        ("bqx models list --state gone", "does not take 'gone'"),
        ("bqx models restore PAIR:VERSION --by NAME", "needs --reason"),
        ("bqx models restore --by NAME --reason WHY", "needs 1 arguments"),
        ("bqx models restore A B --by NAME --reason WHY", "takes 1 arguments"),
        ("bqx models", "is a group"),
        ("bqx -C P build verify --recompute", "has no value"),
        ("python -m bqx.ops.container context --kind gpu --out X", "does not take 'gpu'"),
        ("frobnicate now", "no program"),
        ("true | bqx", "no program"),
    ],
)
def test_a_planted_fault_is_found_with_its_line(line: str, why: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "r")
    path = tmp_path / "r" / "rotate.md"
    text = path.read_text() + f"\n```sh\nA=1 bqx status && \\\n  {line}   # why\n```\n"
    path.write_text(text)
    before = set(review(FOLDER, PROGRAMS).problems)
    [problem, *_] = [p for p in review(tmp_path / "r", PROGRAMS).problems if p not in before]
    assert why in problem and problem.startswith(f"rotate.md:{text[: text.index('A=1')].count(chr(10)) + 1}:")


def test_a_runbook_that_is_absent_or_empty(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "r")
    (tmp_path / "r" / "deploy.md").write_text("# Deploy\n\nCall Ann.\n")
    assert "deploy.md: no step is a command" in review(tmp_path / "r", PROGRAMS).problems
    (tmp_path / "r" / "deploy.md").unlink()
    with pytest.raises(RunbookError, match="no runbook 'deploy'"):
        review(tmp_path / "r", PROGRAMS)
    with pytest.raises(RunbookError, match=r"cannot be read.*x\.md:2"):
        list(steps("```sh\nbqx 'open\n```\n", "x"))


def test_flags_counts_and_values_are_told_apart() -> None:
    @click.command()
    @click.option("--loud/--quiet")
    @click.option("-v", "verbose", count=True)
    @click.option("--two", nargs=2)
    @click.argument("files", nargs=-1)
    def tool(loud: bool, verbose: int, two: tuple[str, str], files: tuple[str, ...]) -> None: ...

    assert wrong(tool, ["--quiet", "-v", "--two", "a", "b", "c", "d"]) == ""
    assert wrong(tool, ["--two", "a"]) == "--two has no value"
    assert wrong(tool, ["--help", "--nonsense"]) == ""


def test_evidence_of_gate8_is_recorded_good_or_bad(tmp_path: Path) -> None:
    Project.create(tmp_path / "p", pairs=("eurusd",)).close()
    shutil.copytree(FOLDER, tmp_path / "r")
    for page in (tmp_path / "r").glob("*.md"):  # as if all groups were here
        page.write_text(
            "\n".join(line for line in page.read_text().splitlines() if not re.search(r"bqx.* (cloud|cost)\b", line))
        )
    words = ["-C", str(tmp_path / "p"), "models", "evidence", "runbooks", str(tmp_path / "r"), "--json"]
    done = CliRunner().invoke(root, words)
    assert done.exit_code == 0 and json.loads(done.stdout)["ok"] is True, done.output
    with (tmp_path / "r" / "restore.md").open("a") as page:
        page.write("\n```sh\nbqx restore everything\n```\n")
    done = CliRunner().invoke(root, words)
    assert isinstance(done.exception, CheckError)
    held = Registry(tmp_path / "p").evidence("GATE8", "x" * 32)["runbooks"]
    assert held["subject"] == ALL_MODELS and not held["ok"] and held["figures"]["problems"] == 1
