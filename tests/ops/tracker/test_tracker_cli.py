"""`bqx tracker` on a project, with the local tracker and with a served base; and nothing secret in what is printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tracker_fixtures import Airtable

from bqx.base.redaction import MASK
from bqx.base.report import Report, Table, Text
from bqx.base.runlog import event, start_run
from bqx.build.project import Project
from bqx.cli.main import main


@dataclass
class Shell:
    """A project and the command line on it; `said` keeps all that was printed."""

    root: Path
    capsys: pytest.CaptureFixture[str]
    said: str = ""

    def run(self, *args: str, code: int = 0) -> Any:
        """Exit code as told; stdout as JSON where asked for, else the whole text."""
        try:
            main(["-C", str(self.root), *args])
            found = 0
        except SystemExit as exit_:
            found = int(exit_.code or 0)
        out, err = self.capsys.readouterr()
        self.said += out + err
        assert found == code, out + err
        return json.loads(out) if "--json" in args and out else out + err


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    Project.create(tmp_path / "p", pairs=("eurusd",)).close()
    return Shell(tmp_path / "p", capsys)


def test_the_local_tracker_from_nothing_to_agreement(shell: Shell) -> None:
    assert "BQX717" in shell.run("tracker", "check", code=5)
    would = shell.run("tracker", "sync", "--dry-run", "--json")
    assert (would["waiting"], "1.6.9" in would["would_send"]) == ([], True)
    assert not (shell.root / "tracker").exists()
    assert not (shell.root / "plan.sqlite").exists()
    done = shell.run("tracker", "sync", "--json")
    assert done["differences"] == []
    assert len(done["delivered"]) == len(would["would_send"]) == done["records"]
    assert shell.run("tracker", "check", "--json")["records"] == done["records"]
    assert shell.run("tracker", "diff", "--json")["differences"] == []
    entries = shell.run("tracker", "log", "--code", "1.6.9", "--json")["entries"]
    assert {e["code"] for e in entries} == {"1.6.9"}
    assert {"field": "status", "before": None, "after": "defined", "effect": "created"}.items() <= next(
        e for e in entries if e["field"] == "status"
    ).items()
    again = shell.run("tracker", "sync", "--json")
    assert again["delivered"] == []


def test_an_edit_by_hand_shuts_the_gate_until_it_is_settled(shell: Shell) -> None:
    shell.run("tracker", "sync")
    path = shell.root / "tracker" / "records.json"
    data = json.loads(path.read_text())
    next(r for r in data["records"] if r["code"] == "1.6.10")["status"] = "validated"
    path.write_text(json.dumps(data))
    assert "BQX718" in shell.run("tracker", "check", code=5)
    row = shell.run("tracker", "diff", "--json")["differences"][0]
    assert (row["code"], row["field"], row["plan"], row["tracker"], row["why"]) == (
        "1.6.10",
        "status",
        "defined",
        "validated",
        "changed in the tracker",
    )
    assert "1 differences and 0 dead letters are left" in shell.run("tracker", "sync", code=5)
    shell.run("tracker", "sync", "--overwrite", "1.6.10")
    shell.run("tracker", "check")


def test_wrong_calls(shell: Shell) -> None:
    assert "say --why" in shell.run("tracker", "sync", "--drop", "1", code=2)
    assert "no dead letter" in shell.run("tracker", "sync", "--replay", "1", code=2)
    assert "the plan has no record" in shell.run("tracker", "sync", "--overwrite", "nothing", code=2)
    assert shell.run("tracker", "log", "--dead").strip() == "nothing"


@pytest.fixture
def there(shell: Shell, airtable: Airtable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Airtable:
    """The project's tracker is the served base; time is turned by hand."""
    vault = tmp_path / "vault.toml"
    held = {"airtable-token": airtable.token, "airtable-base": airtable.site.base.id}
    vault.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in held.items()))
    vault.chmod(0o600)
    for name, value in {
        "BQX_TRACKER_KIND": "airtable",
        "BQX_TRACKER_ENDPOINT": airtable.fake.url,
        "BQX_SECRETS_PROVIDER": "file",
        "BQX_SECRETS_PATH": str(vault),
    }.items():
        monkeypatch.setenv(name, value)
    for module in ("airtable", "delivery", "sync", "check"):
        monkeypatch.setattr(f"bqx.ops.tracker.{module}.SYSTEM", airtable.clock)
    return airtable


def test_airtable_from_nothing_to_agreement(shell: Shell, there: Airtable) -> None:
    there.add("1.6.9", Status="Todo", Assigned_To="somebody")
    decoy = there.add("1.6.99", Status="Todo")
    done = shell.run("tracker", "sync", "--json")
    assert (done["differences"], done["dead"], done["waiting"]) == ([], 0, 0)
    assert there.of("1.6.9")[0]["Assigned To"] == "somebody"
    assert there.table.records[decoy] == {"Stage Code": "BQX-1.6.99", "Status": "Todo"}
    codes = [f["Stage Code"] for f in there.table.records.values()]
    assert len(codes) == len(set(codes))
    shell.run("tracker", "check")
    there.site.fault = lambda method, number: "403"
    assert "BQX713" in shell.run("tracker", "check", code=10)


def test_a_stage_waits_for_the_tracker_and_tells_it(shell: Shell, there: Airtable) -> None:
    assert "BQX717" in shell.run("stage", "run", "1.6.9", code=5)
    shell.run("tracker", "sync")
    (wrong,) = [k for k, f in there.table.records.items() if f["Stage Code"] == "BQX-1.6.10"]
    there.table.edit(wrong, "Status", "Done")
    assert "BQX718" in shell.run("stage", "run", "1.6.9", code=5)
    assert there.of("1.6.9")[0]["Status"] == "Todo"
    there.table.edit(wrong, "Status", "Todo")
    there.site.fault = lambda method, number: "403" if method == "PATCH" else ""
    assert "could not be told" in shell.run("stage", "run", "1.6.9")
    assert there.of("1.6.9")[0]["Status"] == "Todo"
    assert len(shell.run("tracker", "log", "--waiting", "--json")["entries"]) == 1
    there.site.fault = lambda method, number: ""
    shell.run("tracker", "sync")
    assert (there.of("1.6.9")[0]["Status"], there.of("1.6.9")[0]["Outcome"]) == ("Done", "evidence 1")
    shell.run("tracker", "check")


def test_no_secret_in_anything_that_is_printed_or_kept(shell: Shell, there: Airtable) -> None:
    shell.run("tracker", "sync", "--json")
    twin = there.add("1.6.9")
    faults = {"401": 10, "403": 10, "500": 9, "cut": 9, "": 5}
    for fault, code in faults.items():
        there.site.fault = lambda method, number, fault=fault: fault
        for command in ("check", "diff", "sync"):
            shell.run("--log-json", "tracker", command, code=0 if (command, fault) == ("diff", "") else code)
    for command in (["log"], ["log", "--dead"], ["log", "--waiting"]):
        shell.run("tracker", *command)
    kept = "".join(p.read_text(errors="replace") for p in shell.root.rglob("*") if p.is_file())
    kept += (shell.root / "plan.sqlite").read_bytes().decode("latin-1")
    secrets = [there.token, there.site.base.id, there.table.id, twin, *there.table.records]
    assert [s[:3] for s in secrets if s in shell.said or s in kept] == []
    assert "Traceback" not in shell.said


def test_canaries_in_logs_exceptions_and_reports(
    shell: Shell, there: Airtable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What slips past the tracker meets the filter that all output passes."""
    canaries = [there.token, there.site.base.id, there.table.id, there.add("1.6.9")]
    for log_json in (False, True):
        start_run("test", log_json=log_json)
        event("tracker.test", level="warning", **{f"field{n}": f"has {c} in it" for n, c in enumerate(canaries)})
    logged = capsys.readouterr().err
    report = Report("Tracker").add(Text(" ".join(canaries)), Table(["canary"], [[c] for c in canaries]))
    shown = logged + report.markdown() + report.html() + json.dumps(report.as_dict())
    assert shown.count(MASK) >= 5 * len(canaries)

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError(f"unexpected: {canaries}")

    monkeypatch.setattr("bqx.ops.tracker.airtable.AirtableTracker.probe", broken)
    for args in (["tracker", "diff"], ["tracker", "diff", "--json"]):
        shell.run(*args, code=70)
    assert "RuntimeError" in shell.said
    assert [c[:3] for c in canaries if c in shown + shell.said] == []
