"""`bqx tracker`: does it agree with plan and evidence, and make it so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bqx.cli.common import App, dry_run_option, emit, json_option

if TYPE_CHECKING:
    import sqlite3

    from bqx.ops.tracker.drift import Difference, Records
    from bqx.ops.tracker.port import Tracker
    from bqx.ops.tracker.sync import Synced


@click.group()
def tracker() -> None:
    """The project's tracker: check it, see differences, deliver, read the trail. See docs/tracker.md."""


class _Opened(NamedTuple):
    con: sqlite3.Connection
    tracker: Tracker
    expected: Records
    claims: Records
    max_age_s: float


@contextmanager
def _opened(app: App, *, make: bool = False) -> Iterator[_Opened]:
    """The outbox, the tracker, and what plan and evidence say. Without a plan state and `make` the outbox is empty."""
    import sqlite3

    from bqx.ops.plan.read import load_plan
    from bqx.ops.stages.board import make_board
    from bqx.ops.stages.state import PlanState
    from bqx.ops.stages.tracking import claims, records
    from bqx.ops.tracker import schema
    from bqx.ops.tracker.open import open_tracker

    with ExitStack() as stack:
        project = stack.enter_context(closing(app.open()))
        known: AbstractContextManager[PlanState | None]
        known = closing(PlanState(project.root)) if make else PlanState.existing(project.root)
        state = stack.enter_context(known)
        board = make_board(project, load_plan(), state)
        path = ":memory:" if state is None else str(state.path)
        con = stack.enter_context(closing(sqlite3.connect(path, timeout=60.0, isolation_level=None)))
        for step in schema.STEPS if state is None else ():
            step(con)
        age = project.config.tracker.max_age_min * 60
        yield _Opened(con, open_tracker(project.config), records(board), claims(board), age)


@tracker.command()
@json_option
@click.pass_obj
def check(app: App, as_json: bool) -> None:
    """What `bqx stage run` demands: synced lately, nothing waiting, no difference. Exit code 5 otherwise."""
    from bqx.ops.tracker.check import check as demand

    with _opened(app) as o:
        found = demand(o.con, o.tracker, o.expected, o.claims, max_age_s=o.max_age_s)
    text = f"{found.reached}\nsynced {found.age_s:.0f} s ago; {found.records} records, {found.fields} fields agree"
    emit(asdict(found), as_json, text)


@tracker.command()
@json_option
@click.pass_obj
def diff(app: App, as_json: bool) -> None:
    """Where plan, evidence and tracker say different things, field by field, and why."""
    from bqx.ops.tracker.drift import differences

    with _opened(app) as o:
        reached = o.tracker.probe()
        found = differences(o.con, o.tracker, o.expected, o.claims)
    data = {"tracker": o.tracker.name, "reached": reached, "differences": [asdict(d) for d in found]}
    emit(data, as_json, f"{reached}\n{_differences(found)}")


@tracker.command()
@click.option("--replay", "replay_ids", type=int, multiple=True, help="Try this dead letter again; may be repeated.")
@click.option("--replay-all", is_flag=True, help="Try all dead letters again.")
@click.option("--drop", "drop_ids", type=int, multiple=True, help="Give this dead letter up; may be repeated.")
@click.option("--why", default="", help="Why dead letters are given up; kept in the trail.")
@click.option("--overwrite", multiple=True, metavar="CODE", help="Write over what others changed in this record.")
@dry_run_option
@json_option
@click.pass_obj
def sync(
    app: App,
    replay_ids: tuple[int, ...],
    replay_all: bool,
    drop_ids: tuple[int, ...],
    why: str,
    overwrite: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Deliver what waits, send what was never sent, say what others changed; those words stay unless --overwrite.

    Exit code 9 when the tracker could not be reached (nothing is lost), 5 when differences or dead letters are left.
    """
    from bqx.base.errors import TrackerDrift, UsageError
    from bqx.ops.tracker import box
    from bqx.ops.tracker.history import dead_ids
    from bqx.ops.tracker.sync import sync as bring
    from bqx.store.known import now_us

    if drop_ids and not why.strip():
        raise UsageError("dead letters are given up with a reason", fix="say --why")
    if dry_run:
        _would(app, as_json)
        return
    with _opened(app, make=True) as o:
        if drop_ids:
            box.drop(o.con, dead_ids(o.con, drop_ids), why, now_us())
        if replay_ids or replay_all:
            box.replay(o.con, ids=dead_ids(o.con, replay_ids))
        done = bring(o.con, o.tracker, o.expected, o.claims, overwrite=overwrite)
        buried = box.dead(o.con)
    emit(_synced(o.tracker.name, done, buried), as_json, lambda: _say(done, buried))
    if done.delivery.problem is not None:
        raise done.delivery.problem
    if done.left or buried:
        raise TrackerDrift(f"{len(done.left)} differences and {buried} dead letters are left", where=o.tracker.name)


@tracker.command()
@click.option("--code", default=None, help="Only of this record.")
@click.option("--waiting", "which", flag_value="waiting", help="Changes that wait to be delivered.")
@click.option("--dead", "which", flag_value="dead", help="Changes that could not be delivered, and why.")
@click.option("--dropped", "which", flag_value="dropped", help="Dead letters that were given up, and why.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many.")
@json_option
@click.pass_obj
def log(app: App, code: str | None, which: str | None, limit: int, as_json: bool) -> None:
    """The audit trail: when, which run, which record and field, before, after."""
    from bqx.ops.tracker import history

    with _opened(app) as o:
        rows = history.changes(o.con, which, code=code, limit=limit) if which else None
        trail = history.trail(o.con, code=code, limit=limit)
    if rows is None:
        lines = [
            f"{r['at']} {r['code']:8} {r['field']:10} {r['before']!r} -> {r['after']!r} ({r['effect']})" for r in trail
        ]
    else:
        lines = [f"{r['change']} {r['made_at']} {r['code']:8} {r['error'] or ''} {r['reason'] or ''}" for r in rows]
    emit({"entries": trail if rows is None else rows}, as_json, "\n".join(lines) or "nothing")


def _trail_line(row: dict[str, Any]) -> str:
    change = f"{row['before']!r} -> {row['after']!r} ({row['effect']})"
    return f"{row['at']} {row['code']:8} {row['field']:10} {change}  run {row['run_id']}"


def _would(app: App, as_json: bool) -> None:
    from bqx.ops.tracker.drift import differences
    from bqx.ops.tracker.history import changes

    with _opened(app) as o:
        o.tracker.probe()
        waiting = changes(o.con, "waiting", limit=1_000_000)
        found = differences(o.con, o.tracker, o.expected, o.claims)
    send = sorted({d.code for d in found if d.why in ("not sent", "not in the tracker")})
    data = {"dry_run": True, "waiting": waiting, "would_send": send, "differences": [asdict(d) for d in found]}
    text = f"would deliver {len(waiting)} changes, then send {len(send)} records"
    emit(data, as_json, f"{text}\n{_differences(found)}")


def _synced(name: str, done: Synced, buried: int) -> dict[str, Any]:
    problem = done.delivery.problem
    return {
        "tracker": name,
        "delivered": done.delivery.delivered,
        "waiting": done.delivery.waiting,
        "dead": buried,
        "longest_s": round(done.delivery.longest_s, 3),
        "records": done.records,
        "synced_at": done.at,
        "differences": [asdict(d) for d in done.left],
        "problem": None if problem is None else problem.as_dict(),
    }


def _say(done: Synced, buried: int) -> None:
    out = done.delivery
    click.echo(f"delivered {len(out.delivered)} changes, {out.waiting} wait, {buried} dead letters")
    if done.at is not None:
        click.echo(f"read {done.records} records; {_differences(done.left)}")


def _differences(found: list[Difference]) -> str:
    return "\n".join(["no difference" if not found else f"{len(found)} differences:", *(f"  {d}" for d in found)])
