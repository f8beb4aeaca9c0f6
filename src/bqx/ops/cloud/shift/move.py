"""Blue/green: a new release beside the old one, 10, 50, 100 % of the traffic, judged at each, taken back when bad.

Every phase is written down before it begins. The same call goes on after a kill; `back` undoes from any phase.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bqx.base.errors import CloudHalfMade, ShiftRolledBack, UsageError
from bqx.base.runlog import event
from bqx.ops.cloud import names
from bqx.ops.cloud.apply import bring, remove
from bqx.ops.cloud.cloud import Cloud
from bqx.ops.cloud.kinds.kind import Wanted
from bqx.ops.cloud.kinds.sagemaker import ENDPOINT
from bqx.ops.cloud.release import Release
from bqx.ops.cloud.shift.judge import Judged, critical, judge
from bqx.ops.cloud.shift.measure import Seen, seen
from bqx.ops.cloud.shift.traffic import in_service, set_shares, shares, warm
from bqx.ops.cloud.wanted import config_of, model_of, watched
from bqx.serve.monitor.run import LATEST

LOOK_S = 60.0
Note = Callable[[str], None]


def shift(cloud: Cloud, to: Release | None = None, note: Note = lambda _: None) -> dict[str, Any]:
    """Give the release `to` all traffic, step by step; what was measured.

    to : None goes on with a move that was begun. Raises ShiftRolledBack when it is taken back, whatever the reason;
    UsageError when there is nothing to move.
    """
    now = cloud.state.get("shift")
    if now is None:
        now = _begin(cloud, to)
    elif to is not None and to.id != now["to"]["id"]:
        raise ShiftRolledBack(
            f"traffic is being moved to {now['to']['id']}, not to {to.id}",
            fix="`bqx cloud shift` goes on with it, `bqx cloud shift --back` takes it back",
        )
    if now["phase"] == "back":
        return _back(cloud, now, note)
    old, new = _both(now)
    try:
        if now["phase"] == "prepare":
            _prepare(cloud, old, new, note)
            _phase(cloud, now, phase="share", at=0, since=None)
        if now["phase"] == "share":
            _canary(cloud, now, old, new, note)
            _phase(cloud, now, phase="finish")
    except CloudHalfMade as error:  # the new release does not come up, or does not answer: the old one serves
        _take_back(cloud, now, [error.what], note)
    return _finish(cloud, now, note)


def back(cloud: Cloud, note: Note = lambda _: None) -> dict[str, Any]:
    """Undo a move that was begun; without one, give the traffic back to the release before, at once."""
    now = cloud.state.get("shift")
    if now is not None and now["phase"] != "finish":
        _phase(cloud, now, phase="back", reasons=["asked for"])
        return _back(cloud, now, note)
    if now is not None:
        _finish(cloud, now, note)
    kept = cloud.kept
    if kept is None:
        raise UsageError("there is no release before this one to go back to")
    now = _begin(cloud, kept)
    old, new = _both(now)
    _prepare(cloud, old, new, note)
    set_shares(cloud.aws, cloud.state, _endpoint(cloud), {_v(old): 0, _v(new): 100})
    _phase(cloud, now, phase="finish", reasons=["rolled back"])
    return _finish(cloud, now, note)


def _begin(cloud: Cloud, to: Release | None) -> dict[str, Any]:
    serving = cloud.serving
    if to is None:
        raise UsageError(
            "no move is under way, and there is no new release", fix="`bqx cloud submit release` makes one"
        )
    if serving is None:
        raise UsageError("nothing serves yet", fix="`bqx cloud apply` makes the endpoint of the first release")
    if serving.id == to.id:
        raise UsageError(f"release {to.id} serves already")
    now = {
        "to": to.as_dict(), "from": serving.as_dict(), "phase": "prepare", "at": 0, "since": None, "looks": [],
        "reasons": [], "alerts": sorted(critical(_latest(cloud))),
    }  # fmt: skip
    cloud.state.set("shift", now)
    event("cloud.shift", to=to.id, before=serving.id)
    return now


def _prepare(cloud: Cloud, old: Release, new: Release, note: Note) -> None:
    """The new release beside the old one, without traffic, every model in memory."""
    aws, d = cloud.aws, cloud.deployment
    both = config_of(aws, d, [(old, 100), (new, 0)])
    for want in (model_of(aws, d, new), both, _on(cloud, both), *watched(aws, d, new)):
        change = bring(aws, cloud.state, want, note)
        if change.action != "keep":
            note(f"{change.action} {want.kind} {want.name}")
    warm(aws, d.prefix, new)
    note(f"{len(new.models)} models of {new.id} answer")


def _canary(cloud: Cloud, now: dict[str, Any], old: Release, new: Release, note: Note) -> None:
    """Through the shares; takes the release back when one is bad, or does not become good in time."""
    aws, limits = cloud.aws, cloud.deployment.canary
    while now["at"] < len(limits.shares):
        share = limits.shares[now["at"]]
        set_shares(aws, cloud.state, _endpoint(cloud), {_v(old): 100 - share, _v(new): share})
        if now["since"] is None:
            _phase(cloud, now, since=_now(cloud))
        note(f"{share} % of the traffic to {new.id}")
        judged = _watch(cloud, now, old, new, share)
        if judged.verdict != "good":
            _take_back(cloud, now, [f"at {share} %: {r}" for r in judged.reasons], note)
        _phase(cloud, now, at=now["at"] + 1, since=None)


def _watch(cloud: Cloud, now: dict[str, Any], old: Release, new: Release, share: int) -> Judged:
    """Look each minute; bad at once, good after the step's minutes, `not yet` when the longest are over."""
    limits, clock = cloud.deployment.canary, cloud.aws.clock
    while True:
        clock.sleep(LOOK_S)
        at = _now(cloud)
        fresh, before = (_seen(cloud, r, now["since"], at) for r in (new, old))
        alerts = sorted(critical(_latest(cloud)) - set(now["alerts"]))
        judged = judge(fresh, before if share < 100 else None, limits, alerts)
        passed = (at - now["since"]) / 60.0
        over = passed >= limits.minutes
        if judged.verdict == "bad" or (judged.verdict == "good" and over) or passed >= limits.longest_minutes:
            look = {"share": share, "minutes": round(passed, 2), "new": fresh.as_dict(), "old": before.as_dict(),
                    "verdict": judged.verdict, "reasons": list(judged.reasons)}  # fmt: skip
            _phase(cloud, now, looks=[*now["looks"], look])
            if judged.verdict == "good" and not over:
                continue
            return judged


def _take_back(cloud: Cloud, now: dict[str, Any], reasons: list[str], note: Note) -> None:
    """Give the old release everything, then say why."""
    _phase(cloud, now, phase="back", reasons=reasons)
    _back(cloud, now, note)
    raise ShiftRolledBack(
        f"release {now['to']['id']} was taken back: {'; '.join(reasons)}",
        where=f"endpoint {_endpoint(cloud)}",
        fix=f"release {now['from']['id']} serves; `bqx cloud status` shows what was measured",
    )


def _back(cloud: Cloud, now: dict[str, Any], note: Note) -> dict[str, Any]:
    """All traffic to the old release first, then what was made for the new one goes."""
    aws, d, state = cloud.aws, cloud.deployment, cloud.state
    old, new = _both(now)
    both, alone = config_of(aws, d, [(old, 100), (new, 0)]), config_of(aws, d, [(old, 100)])
    have = ENDPOINT.have(aws, _endpoint(cloud))
    whole = have is not None and have.status != "failed"  # else it is made again below
    if whole:
        in_service(aws, _endpoint(cloud))
    if whole and _v(new) in shares(aws, _endpoint(cloud)):
        set_shares(aws, state, _endpoint(cloud), {_v(old): 100, _v(new): 0})
        note(f"all traffic to {old.id}")
    for want in reversed(watched(aws, d, new)):
        remove(aws, state, want.kind, want.name)
    for want in (alone, _on(cloud, alone)):
        bring(aws, state, want, note)
    remove(aws, state, "endpoint-config", both.name)
    if cloud.kept is None or cloud.kept.id != new.id:
        remove(aws, state, "model", model_of(aws, d, new).name)
    return _end(cloud, now, "rolled back", note)


def _finish(cloud: Cloud, now: dict[str, Any], note: Note) -> dict[str, Any]:
    """The new release alone; the old one's model stays for a roll-back."""
    aws, d, state = cloud.aws, cloud.deployment, cloud.state
    old, new = _both(now)
    both, alone = config_of(aws, d, [(old, 100), (new, 0)]), config_of(aws, d, [(new, 100)])
    for want in reversed(watched(aws, d, old)):  # a variant that scales cannot be taken away
        remove(aws, state, want.kind, want.name)
    for want in (alone, _on(cloud, alone), *watched(aws, d, new)):
        bring(aws, state, want, note)
    for name in (both.name, config_of(aws, d, [(old, 100)]).name):
        remove(aws, state, "endpoint-config", name)
    state.set("serving", new.as_dict())
    state.set("kept", old.as_dict())
    if (candidate := state.get("candidate")) is not None and candidate["id"] == new.id:
        state.set("candidate", None)
    return _end(cloud, now, "done", note)


def _end(cloud: Cloud, now: dict[str, Any], outcome: str, note: Note) -> dict[str, Any]:
    said = {"to": now["to"]["id"], "from": now["from"]["id"], "outcome": outcome, "looks": now["looks"],
            "reasons": now["reasons"]}  # fmt: skip
    cloud.state.set("last_shift", said)
    cloud.state.set("shift", None)
    note(f"release {now['to']['id']}: {outcome}")
    return said


def _phase(cloud: Cloud, now: dict[str, Any], **values: Any) -> None:
    now.update(values)
    cloud.state.set("shift", now)


def _both(now: dict[str, Any]) -> tuple[Release, Release]:
    old, new = Release.of(now["from"]), Release.of(now["to"])
    assert old is not None
    assert new is not None
    return old, new


def _on(cloud: Cloud, config: Wanted) -> Wanted:
    return Wanted("endpoint", _endpoint(cloud), {"EndpointConfigName": config.name}, cloud.deployment.tags)


def _endpoint(cloud: Cloud) -> str:
    return names.endpoint(cloud.deployment.prefix)


def _v(release: Release) -> str:
    return names.variant(release.id)


def _seen(cloud: Cloud, release: Release, start: float, end: float) -> Seen:
    return seen(cloud.aws, cloud.deployment.prefix, _endpoint(cloud), _v(release), start, end)


def _now(cloud: Cloud) -> float:
    return cloud.aws.clock.now_us() / 1e6


def _latest(cloud: Cloud) -> dict[str, Any] | None:
    path = cloud.root / LATEST
    return json.loads(path.read_text("utf-8")) if path.is_file() else None
