"""Steps of Phases 2 and 3: bound to commands, checks and tests that exist; a task is run, holds, and goes stale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bqx.base.errors import PlanError, StageBlocked, StageFailed
from bqx.build.project import Project
from bqx.cli.main import COMMANDS, root
from bqx.ops.container.__main__ import main as container
from bqx.ops.plan.criteria import CRITERIA, KINDS, parse_criterion
from bqx.ops.plan.model import Plan, Stage
from bqx.ops.plan.read import load_plan
from bqx.ops.runbooks import wrong
from bqx.ops.stages.board import make_board
from bqx.ops.stages.register import add_file
from bqx.ops.stages.run import run_stage
from bqx.ops.stages.state import PlanState
from bqx.ops.stages.task_checks import NAMES, changed, task_check
from bqx.research.registry.gates import OPERATIONS, SERVICE
from bqx.research.registry.store import ALL_MODELS, Registry

ROOT = Path(__file__).parents[2]
STEPS = [s for s in load_plan().stages.values() if s.kind in ("task", "pipeline")]
LATER = {"cloud", "cost"} - set(COMMANDS)
"""Groups that another part brings."""


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.id)
def test_every_step_has_a_command_and_a_way_to_be_closed(step: Stage) -> None:
    assert step.commands and step.exit
    assert [t for t in step.suite if not (ROOT / t).is_file()] == []
    for text in step.commands:
        words = text.split()
        if words[0] == "bqx":
            why = wrong(root, words[1:])
            absent = next((w for w in words if w in LATER), None)
            assert not why or (absent and f"no command '{absent}'" in why), f"{text}: {why}"
        elif words[0] == "python":
            assert words[1:3] == ["-m", "bqx.ops.container"] and not wrong(container, words[3:])
        else:
            from benchmarks.soak.checks import CHECKS

            assert words[:2] == ["make", "soak"] and words[2].removeprefix("CHECK=") in CHECKS


def test_what_only_an_account_can_show_is_said_so() -> None:
    waiting = {s.id: s.manual for s in STEPS if s.manual}
    assert set(waiting) == {"3.3.3", "3.3.4", "3.5.6"}
    assert all(text.startswith("needs a cloud account: ") for texts in waiting.values() for text in texts)
    assert len(STEPS) == 36 and {k.partition(" ")[0] for k in CRITERIA} >= NAMES
    assert set(KINDS["evidence"]) == {*SERVICE, *OPERATIONS}
    for text, words in (
        ("evidence luck", "unknown evidence"),
        ("context gpu", "unknown context"),
        ("run now", "no machine"),
    ):
        with pytest.raises(PlanError, match=words):
            parse_criterion(text, [], "here")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with closing(Project.create(tmp_path / "p", pairs=("eurusd",))) as made:
        yield made


@pytest.fixture
def state(project: Project) -> Iterator[PlanState]:
    with closing(PlanState(project.root)) as made:
        yield made


def plan_of(*exits: tuple[str, ...]) -> Plan:
    """The current plan with tasks t0, t1 ... each after the one before."""
    made = {}
    for k, exit_ in enumerate(exits):
        after = (f"t{k - 1}",) if k else ()
        made[f"t{k}"] = Stage(
            f"t{k}", f"task {k}", "3.1", "task", "all", "me", 1.0, after, exit=exit_, commands=("bqx do",)
        )
    return replace(load_plan(), stages={**load_plan().stages, **made})


def look(project: Project, **changes: object) -> None:
    data = {"format": 1, "at": "2024-03-07T08:00:00+00:00", "findings": [], "sections": {}, **changes}
    (project.root / "monitor").mkdir(exist_ok=True)
    (project.root / "monitor" / "latest.json").write_text(json.dumps(data))


def test_a_task_fails_passes_is_reported_and_goes_stale(project: Project, state: PlanState, tmp_path: Path) -> None:
    plan = plan_of(("approval rollout", "monitored"), ("api-key",))
    with pytest.raises(StageBlocked, match="t0 is defined, not validated"):
        run_stage(project, plan, state, "t1")
    with pytest.raises(StageFailed, match=r"approval 'rollout' on record: 0 instead of 1.*no look") as caught:
        run_stage(project, plan, state, "t0")
    assert caught.value.fix == "`bqx do`"
    assert make_board(project, plan, state)["t0"].mark == "failed"
    path = tmp_path / "a.yaml"
    row = {"id": "rollout", "what": "3 pairs", "amount": 0, "currency": "USD", "period": "month", "estimate": "none"}
    row["who"] = "board"
    path.write_text(f"approvals:\n  - {json.dumps(row)[:-1]}, when: 2026-01-02}}\n")
    add_file(plan, state, path)
    look(project)
    done = run_stage(project, plan, state, "t0")
    assert done.status == "passed" and done.report[0] == "published", done
    page = (project.root / "reports" / "stages" / "stage-t0.md").read_text()
    assert "monitor/latest.json" in page and "Accepted when" in page and "bqx do" in page
    board = make_board(project, plan, state)
    assert board["t0"].validated and board["t1"].mark == "ready"
    assert run_stage(project, plan, state, "t0").status == "fresh"
    look(project, findings=[{"key": "parity/eurusd", "check": "parity", "severity": "critical", "what": "x"}])
    board = make_board(project, plan, state)
    assert not board["t0"].validated and "monitor/latest.json is another" in board["t0"].reasons[0]
    with pytest.raises(StageFailed, match=r"findings of parity.*: 1 instead of 0"):
        run_stage(project, plan, state, "t0")


def test_a_step_that_needs_an_account_is_refused_by_name(project: Project, state: PlanState) -> None:
    plan = plan_of(("cloud: traffic at an endpoint",))
    with pytest.raises(StageBlocked, match="needs a cloud account: traffic at an endpoint"):
        run_stage(project, plan, state, "t0")
    assert make_board(project, plan, state)["t0"].mark == "by hand"


def test_evidence_of_a_gate_counts_while_it_is_the_newest(project: Project) -> None:
    def observed(kind: str) -> int:
        return task_check(project, "evidence", kind)[0][0].observed

    assert observed("load") == 0 and not (project.root / "models" / "registry.sqlite").exists(), "looking makes nothing"
    registry = Registry(project.root)
    registry.add(pair="eurusd", digest="d" * 32, path="x", run="r", run_hash="h", simulated=True, facts={})
    registry.record("GATE7", ALL_MODELS, ok=True, figures={}, source="load")
    registry.record("GATE8", ALL_MODELS, ok=True, figures={}, source="load")
    assert (observed("load"), observed("cost")) == (1, 0)
    _, rests = task_check(project, "evidence", "load")
    assert changed(project, rests) is None
    registry.record("GATE7", "d" * 32, ok=False, figures={}, source="load")
    assert observed("load") == 0 and changed(project, rests)
    [pairs, gates], rests = task_check(project, "registered", "")
    assert pairs.ok and gates.ok and changed(project, rests) is None
    model = registry.model("eurusd")
    registry.move(model, "production", who="me", reason="a fault", gates=[])
    [_, gates], _ = task_check(project, "registered", "")
    assert not gates.ok and changed(project, rests), "something serves that rose by no gate"


def test_files_of_other_rooms_are_read_as_they_write_them(project: Project) -> None:
    def ok(name: str) -> bool:
        return all(c.ok for c in task_check(project, name, "")[0])

    names = (
        "tuned",
        "paper",
        "monitored",
        "alerted",
        "served",
        "api-key",
        "evaluated",
        "backtested",
        "run",
        "artefacts",
    )
    assert not any(ok(name) for name in names)

    def put(path: str, data: object) -> None:
        (project.root / path).parent.mkdir(parents=True, exist_ok=True)
        (project.root / path).write_text(json.dumps(data))

    put("tuning/a/result.json", {"trials": 50, "better": False})
    assert not ok("tuned")
    put("tuning/b/result.json", {"trials": 50, "better": True})
    assert ok("tuned")
    put("paper/a/paper.json", {"result": {"edge": {"days": 59}, "reconciled": {"equal": True}}})
    assert not ok("paper")
    put("paper/a/paper.json", {"result": {"edge": {"days": 60}, "reconciled": {"equal": True}}})
    assert ok("paper")
    put("serve/status.json", {"latency": {"requests": {"2xx": 3, "5xx": 1}}})
    assert not ok("served")
    put("serve/status.json", {"latency": {"requests": {"2xx": 3}}})
    put("monitor/alerts.jsonl", {})
    assert ok("served") and ok("alerted")
    from bqx.serve.api.keys import Keys

    made, _ = Keys(project.root).make("desk", 1.0)
    assert ok("api-key")
    Keys(project.root).revoke(made.id)
    assert not ok("api-key")


def test_the_command_line_shows_how_a_step_is_closed(project: Project) -> None:
    done = CliRunner().invoke(root, ["-C", str(project.root), "stage", "show", "3.6.4", "--json"])
    data = json.loads(done.stdout)
    assert data["exit"] == ["evidence load"] and data["commands"][0] == "make soak CHECK=api-load"
    done = CliRunner().invoke(root, ["-C", str(project.root), "stage", "run", "3.3.3"])
    assert isinstance(done.exception, StageBlocked)
