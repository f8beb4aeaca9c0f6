"""The ledger: a trial is a row, the same trial one row, and no process loses another's."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bqx.base.errors import LedgerError, Unsupported
from bqx.research.trials import LEDGER_NAME, Trial, Trials


def test_each_difference_is_a_trial_and_a_repeat_is_not(tmp_path: Path) -> None:
    ledger = Trials(tmp_path)
    one = Trial("forecast", "ridge", {"penalty": 1.0}, "all", 2640, "seed", "abc", "eurusd", "0", "y3_60", 1)
    others = [
        Trial("forecast", "ridge", {"penalty": 10.0}, "all", 2640, "seed", "abc", "eurusd", "0", "y3_60", 1),
        Trial("forecast", "ridge", {"penalty": 1.0}, "some", 250, "seed", "abc", "eurusd", "0", "y3_60", 1),
        Trial("forecast", "ridge", {"penalty": 1.0}, "all", 2640, "extended", "abc", "eurusd", "0", "y3_60", 1),
        Trial("selection", "ridge", {"penalty": 1.0}, "all", 2640, "seed", "abc", "eurusd", "0", "y3_60", 1),
    ]
    assert ledger.record([one, *others]) == 5
    assert ledger.record([one]) == 0
    assert ledger.count() == 5 and ledger.count(kind="forecast") == 4 and ledger.count(lag_profile="extended") == 1
    first = ledger.list(kind="forecast", limit=1)[0]
    assert first["times"] == 2 and first["parameters"] == {"penalty": 1.0} and first["columns"] == 2640
    assert Trials(tmp_path).count(dataset="abc") == 5, "it is on disk"


def test_a_score_names_no_new_trial(tmp_path: Path) -> None:
    ledger = Trials(tmp_path)
    assert ledger.record([Trial("forecast", "ridge", score=0.5, score_name="mse")]) == 1
    assert ledger.record([Trial("forecast", "ridge", score=0.25, score_name="mse")]) == 0
    assert ledger.list()[0]["score"] == 0.25


def test_processes_share_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bqx.research.trials import Trial, Trials; "
        "t = Trials(Path(sys.argv[1])); "
        "[t.record([Trial('k', 'm', {'worker': sys.argv[2], 'i': i})]) for i in range(20)]"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(w)]) for w in range(3)]
    assert [w.wait() for w in workers] == [0, 0, 0]
    assert Trials(tmp_path).count(kind="k") == 60


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / LEDGER_NAME).write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match="cannot be read"):
        Trials(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    con = sqlite3.connect(other / LEDGER_NAME)
    con.execute("CREATE TABLE t (x)")
    con.close()
    with pytest.raises(LedgerError, match="not a ledger"):
        Trials(other)
    newer = tmp_path / "newer"
    newer.mkdir()
    Trials(newer)
    con = sqlite3.connect(newer / LEDGER_NAME)
    con.execute("PRAGMA user_version = 99")
    con.close()
    with pytest.raises(Unsupported, match="format 99"):
        Trials(newer)
    fine = tmp_path / "fine"
    fine.mkdir()
    with pytest.raises(LedgerError, match="no 'colour'"):
        Trials(fine).count(colour="red")
