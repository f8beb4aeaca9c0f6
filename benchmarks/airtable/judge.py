"""What may not have happened in a run: something lost, doubled, written to the wrong record, or shown."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.airtable.watched import Event, WatchedTable

Row = dict[str, Any]
FIELDS = {"status": "Status", "evidence": "Outcome", "hours": "Duration (Hours)", "notes": "Notes"}
WORDS = {
    "defined": "Todo",
    "schema": "In Progress",
    "populated": "In Progress",
    "validated": "Done",
    "in model": "Done",
}


_WINDOW = 2  # calls: a batch is read once, then changed in one call and made in another
Contacts = Mapping[tuple[str, str], int]
"""Their code and field -> number of events when its value was first kept."""


def theirs(fields: Row) -> Row:
    """Our fields as the table shows them, by a second and dumber way than the adapter's."""
    return {FIELDS[k]: WORDS.get(v, v) if k == "status" else v for k, v in fields.items()}


def outbox(con: sqlite3.Connection) -> list[Row]:
    names = ("id", "code", "fields", "status", "error", "reason")
    rows = con.execute(f"SELECT {', '.join(names)} FROM tracker_outbox ORDER BY id").fetchall()  # noqa: S608
    return [{**dict(zip(names, row, strict=True)), "fields": json.loads(row[2])} for row in rows]


def judge(
    table: WatchedTable,
    before: Counter[str],
    con: sqlite3.Connection,
    asked: Sequence[tuple[str, Row]],
    contacts: Contacts,
) -> Row:
    """`problems` is empty when all is well. before : how many records bore each code; asked : what was committed."""
    rows, events = outbox(con), table.events
    problems = _lost(table, rows, events, asked) + _doubled(table, before, events, con) + _wrong(rows, events)
    trampled, in_window = _trampled(events, contacts)
    problems += trampled + [
        f"dead without cause: {r['id']} {r['error']}" for r in rows if not _caused(r, events, before)
    ]
    counts = Counter(r["status"] for r in rows)
    writes = [e for e in events if e.who == "bqx" and e.what == "write"]
    return {
        "problems": problems,
        "changes": len(rows),
        "delivered": counts["delivered"],
        "dead": counts["dead"],
        "writes": len(writes),
        "edits": sum(e.who == "person" for e in events),
        "edits_in_the_window": in_window,
    }


def _lost(table: WatchedTable, rows: list[Row], events: list[Event], asked: Sequence[tuple[str, Row]]) -> list[str]:
    out = [f"change {r['id']} still waits: {r['reason']}" for r in rows if r["status"] not in ("delivered", "dead")]
    if [(r["code"], r["fields"]) for r in rows] != list(asked):
        out.append("the outbox is not what was committed")
    last: dict[tuple[str, str], Any] = {}
    for row in rows:
        if row["status"] == "delivered":
            last.update({(f"BQX-{row['code']}", k): v for k, v in theirs(row["fields"]).items()})
    said = {(e.code, e.field): e.after for e in events if e.who == "person" and e.what == "write"}
    gone = {e.code for e in events if e.who == "person" and e.what in ("gone", "made")}
    for (code, name), value in last.items():
        held = [f.get(name) for f in table.records.values() if f.get("Stage Code") == code]
        partly = [
            [theirs(r["fields"]).get(name)] for r in rows if r["error"] == "BQX716" and f"BQX-{r['code']}" == code
        ]
        if held not in ([value], [said.get((code, name), value)], *partly) and code not in gone:
            out.append(f"lost: {code} {name} is {held}, delivered was {value!r}")
    return out


def _doubled(table: WatchedTable, before: Counter[str], events: list[Event], con: sqlite3.Connection) -> list[str]:
    now = Counter(str(f.get("Stage Code")) for f in table.records.values())
    people = Counter(str(e.code) for e in events if e.who == "person" and e.what == "made")
    out = [f"doubled: {code}" for code, n in now.items() if n > max(1, before[code]) + people[code]]
    own = [e for e in events if e.who == "bqx" and e.what == "write" and e.field != "Status" and e.before != e.after]
    real = Counter((e.record, e.field, repr(e.after)) for e in own)  # each change has values of its own in these
    out += [f"written {n} times: {key}" for key, n in real.items() if n > 1]
    logged = con.execute("SELECT outbox_id, field, count(*) n FROM tracker_log GROUP BY 1, 2 HAVING n > 1").fetchall()
    return out + [f"logged twice: {row}" for row in logged]


def _wrong(rows: list[Row], events: list[Event]) -> list[str]:
    wanted = {(f"BQX-{r['code']}", name, repr(v)) for r in rows for name, v in theirs(r["fields"]).items()}
    wanted |= {(f"BQX-{r['code']}", "Stage Code", repr(f"BQX-{r['code']}")) for r in rows}
    return [
        f"wrong record: {e.code} {e.field} = {e.after!r}"
        for e in events
        if e.who == "bqx" and e.what == "write" and (e.code, e.field, repr(e.after)) not in wanted
    ]


def _trampled(events: list[Event], contacts: Contacts) -> tuple[list[str], int]:
    """Words of people that were written over, although they came after first contact and were there when the record was
    read last; and how many came between that reading and the write, which nothing can see."""
    out, in_window = [], 0
    for k, write in enumerate(events):
        if write.who != "bqx" or write.what != "write" or write.before == write.after:
            continue
        own = [j for j, e in enumerate(events[:k]) if e.record == write.record]
        edits = [j for j in own if (events[j].who, events[j].what, events[j].field) == ("person", "write", write.field)]
        if not edits or any(events[j].who == "bqx" and events[j].field == write.field for j in own if j > edits[-1]):
            continue
        reads = [j for j in own if events[j].what == "read"]
        if reads and reads[-1] < edits[-1] and write.call - events[reads[-1]].call <= _WINDOW:
            in_window += 1
        elif contacts.get((str(write.code), write.field), len(events)) <= edits[-1]:
            out.append(f"trampled: {write.code} {write.field} {write.before!r} -> {write.after!r}")
    return out, in_window


def _caused(row: Row, events: list[Event], before: Counter[str]) -> bool:
    """Whether somebody did something that explains a dead letter."""
    if row["status"] != "dead":
        return True
    people = [e for e in events if e.who == "person" and e.code == f"BQX-{row['code']}"]
    causes = {
        "BQX714": lambda: row["fields"].get("status") not in WORDS or any(e.what == "option" for e in events),
        "BQX715": lambda: any(e.what in ("gone", "made") for e in people) or before[f"BQX-{row['code']}"] > 1,
        "BQX716": lambda: any(e.what == "write" and e.field in theirs(row["fields"]) for e in people),
        "BQX711": lambda: any(e.what == "gone" for e in people) or any(e.what == "option" for e in events),
    }
    return row["error"] in causes and causes[row["error"]]()
