"""The outbox belongs to the transaction of the evidence, and takes nothing that may not leave the machine."""

from __future__ import annotations

import json
import math
import sqlite3

import pytest
from benchmarks.airtable.base import new_id
from benchmarks.airtable.world import new_token

from bqx.base.errors import TrackerPayload
from bqx.base.secret import Secret
from bqx.ops.tracker.outbox import CLAIMS, check_payload, enqueue


def test_a_change_is_there_with_the_evidence_or_not_at_all(con: sqlite3.Connection) -> None:
    con.execute("CREATE TABLE evidence (id TEXT)")
    for end in ("ROLLBACK", "COMMIT"):
        con.execute("BEGIN")
        con.execute("INSERT INTO evidence VALUES ('ev-1')")
        enqueue(con, code="1.6.9", fields={"status": "validated", "evidence": "ev-1"}, made_at=7)
        con.execute(end)
        count = (
            con.execute("SELECT count(*) FROM tracker_outbox").fetchone(),
            con.execute("SELECT count(*) FROM evidence").fetchone(),
        )
        assert count == ({"ROLLBACK": (0,), "COMMIT": (1,)}[end],) * 2
    assert con.execute("SELECT id, code, fields, made_at, status FROM tracker_outbox").fetchall() == [
        (1, "1.6.9", '{"evidence": "ev-1", "status": "validated"}', 7, "waiting")
    ]


@pytest.mark.parametrize("status", sorted(CLAIMS))
def test_a_claim_names_its_evidence(status: str) -> None:
    with pytest.raises(TrackerPayload, match="without evidence"):
        check_payload("1.6.9", {"status": status})
    with pytest.raises(TrackerPayload, match="without evidence"):
        check_payload("1.6.9", {"status": status, "evidence": ""})
    check_payload("1.6.9", {"status": status, "evidence": "ev-1"})
    check_payload("1.6.9", {"status": "defined"})


@pytest.mark.parametrize(
    "code", ["", " 1.6.9", "1.6.9 ", "1.6.9'", "1/6", "1.6.9\n", "é", "a" * 65, new_id("rec") + "/"]
)
def test_codes_that_cannot_name_a_record(code: str) -> None:
    with pytest.raises(TrackerPayload):
        check_payload(code, {"notes": "x"})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Notes": "x"},
        {"notes": math.nan},
        {"notes": math.inf},
        {"notes": True},
        {"notes": ["x"]},
        {"notes": "x" * 100_001},
    ],
)
def test_fields_that_no_tracker_holds(fields: dict[str, object]) -> None:
    with pytest.raises(TrackerPayload):
        check_payload("1.6.9", fields)  # type: ignore[arg-type]


CANARIES = {
    "token": new_token(),
    "record id": new_id("rec"),
    "base id": new_id("app"),
    "table id": new_id("tbl"),
    "key id": "AKIA" + "Q7" * 8,
    "dsn": "postgresql://bqx:" + "hunter2" * 2 + "@db.example/bqx",
    "assignment": "password = " + "hunter2" * 2,
    "bearer": "Authorization: Bearer " + "abc123" * 5,
    "private key": "-----BEGIN RSA PRIVATE" + " KEY-----\nabc\n",
    "github": "ghp_" + "A1b2" * 9,
}


@pytest.mark.parametrize("kind", sorted(CANARIES))
@pytest.mark.parametrize("place", ["alone", "in a sentence", "in JSON"])
def test_no_secret_gets_in(con: sqlite3.Connection, kind: str, place: str) -> None:
    secret = CANARIES[kind] if place != "in JSON" else CANARIES[kind].replace("\n", " ")
    value = {"alone": secret, "in a sentence": f"made with {secret} now", "in JSON": json.dumps([{"a": secret}])}[place]
    con.execute("BEGIN")
    with pytest.raises(TrackerPayload) as caught:
        enqueue(con, code="1.6.9", fields={"notes": value}, made_at=1)
    con.execute("COMMIT")
    assert con.execute("SELECT count(*) FROM tracker_outbox").fetchone() == (0,)
    assert CANARIES[kind] not in str(caught.value) + repr(caught.value.as_dict())
    assert "notes" in caught.value.what


def test_no_fetched_secret_gets_in_whatever_its_form() -> None:
    word = "an ordinary sentence that a vault keeps"
    check_payload("1.6.9", {"notes": f"we say {word} here"})
    Secret(word)
    with pytest.raises(TrackerPayload):
        check_payload("1.6.9", {"notes": f"we say {word} here"})


def test_names_that_speak_of_secrets_are_refused() -> None:
    with pytest.raises(TrackerPayload, match="api_key"):
        check_payload("1.6.9", {"api_" + "key": "x1"})


def test_the_trail_is_append_only(con: sqlite3.Connection) -> None:
    con.execute("INSERT INTO tracker_outbox (code, fields, made_at, run_id) VALUES ('1', '{}', 1, 'r')")
    con.execute("INSERT INTO tracker_log VALUES (1, 1, 'local', 'r', 1, '1', 'notes', NULL, '\"x\"', 'changed')")
    for statement in ("DELETE FROM tracker_log", "UPDATE tracker_log SET after = '1'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            con.execute(statement)
