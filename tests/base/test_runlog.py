import json
import logging
import warnings

import pytest

from bqx.base.errors import UsageError
from bqx.base.redaction import register
from bqx.base.runlog import current_run, event, set_level, start_run

WORD = "correct" + "-horse-battery"


@pytest.fixture(autouse=True)
def _no_handlers_left():
    yield
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler).__module__ == "bqx.base.runlog":
            root.removeHandler(handler)
    logging.captureWarnings(False)


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_hold_the_promised_fields(capfd: pytest.CaptureFixture[str]) -> None:
    run = start_run("build", run_id="run-7", log_json=True)
    event("store.commit", pieces=3, share=0.5)
    logging.getLogger("bqx.store").warning("disk %s", "low", extra={"fields": {"free_gb": 1}})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("from\nelsewhere", stacklevel=1)
    out, err = capfd.readouterr()
    assert out == ""
    rows = lines(err)
    assert all(set(row) >= {"time", "level", "run_id", "event", "fields"} for row in rows)
    assert {row["run_id"] for row in rows} == {"run-7"} == {run.run_id}
    assert rows[0]["event"] == "run.start"
    assert rows[1]["fields"] == {"pieces": 3, "share": 0.5}
    assert (rows[2]["event"], rows[2]["level"], rows[2]["logger"]) == ("disk low", "warning", "bqx.store")
    assert rows[3]["logger"] == "py.warnings"
    assert rows[1]["time"].endswith("Z")


def test_people_see_warnings_only(capfd: pytest.CaptureFixture[str]) -> None:
    start_run("build")
    event("store.commit", pieces=3)
    event("disk.low", level="warning", free_gb=1)
    assert capfd.readouterr().err == "warning: disk.low free_gb=1\n"


def test_secrets_stay_out_of_every_part(capfd: pytest.CaptureFixture[str]) -> None:
    register(WORD)
    for log_json in (True, False):
        start_run("x", log_json=log_json)
        event(f"used {WORD}", level="error", password=len(WORD), nested={"k": [WORD]}, u=f"db://u:{'pw' * 3}@h")
        try:
            raise RuntimeError(f"driver says {WORD}")
        except RuntimeError:
            logging.getLogger("third.party").exception("failed with %s", WORD)
        err = capfd.readouterr().err
        assert WORD not in err
        assert "pwpwpw" not in err
        assert "password=***" in err or '"password": "***"' in err
        assert "driver says ***" in err
        if log_json:
            assert len(lines(err)) == 3


def test_a_record_that_cannot_be_formatted_is_withheld(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_run("x", log_json=True)
    ours = [h for h in logging.getLogger().handlers if type(h).__module__ == "bqx.base.runlog"]
    monkeypatch.setattr(logging.getLogger(), "handlers", ours)  # pytest's own would raise
    logging.getLogger("bqx").error("%d items", WORD)
    err = capfd.readouterr().err
    assert WORD not in err
    assert lines(err)[-1]["event"] == "log.failed"


def test_levels(capfd: pytest.CaptureFixture[str]) -> None:
    start_run("x", log_json=True)
    event("hidden", level="debug")
    set_level("debug")
    event("shown", level="debug")
    assert [row["event"] for row in lines(capfd.readouterr().err)] == ["run.start", "shown"]
    with pytest.raises(UsageError, match="loud"):
        set_level("loud")
    set_level("info")


def test_run_ids() -> None:
    first, second = start_run("x").run_id, start_run("x").run_id
    assert first != second
    assert current_run().run_id == second
    for wrong in ("", "a b", "../x", "x" * 65, "a\n"):
        with pytest.raises(UsageError):
            start_run("x", run_id=wrong)
