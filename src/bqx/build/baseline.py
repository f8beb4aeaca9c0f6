"""T0 and B_p: the one instant all index levels start from, and each pair's price there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bqx.market.calendar import Calendar, datetime_of
from bqx.store.registry import Baseline


def choose_t0(calendar: Calendar, spans: Mapping[str, tuple[int, int]]) -> int | None:
    """The first grid minute by which every pair that has bars has one; None without bars."""
    if not spans:
        return None
    return calendar.at_ordinal(calendar.ordinal(max(first for first, _ in spans.values())))


def resolve(
    configured: int | None,
    calendar: Calendar,
    spans: Mapping[str, tuple[int, int]],
    recorded: Mapping[str, Baseline],
    found: Mapping[str, tuple[int, float] | None],
) -> tuple[int | None, dict[str, Baseline], list[Baseline]]:
    """T0, each pair's baseline, and the rows the registry lacks.

    A recorded T0 stays when bars are prepended or corrected; only a T0 set in bqx.toml moves it, by a new epoch.
    A corrected baseline bar appends an epoch for its pair. `found` : minute and close of each pair's first bar in
    the 24 h from T0 (`features.anchors.find_baseline`).
    """
    t0 = fixed_t0(configured, calendar, spans, recorded)
    if t0 is None:
        return None, {}, []
    chosen: dict[str, Baseline] = {}
    fresh: list[Baseline] = []
    for pair in spans:
        bar = found.get(pair)
        if bar is None:
            continue
        minute, mid = bar
        known = recorded.get(pair)
        if known is not None and (known.t0, known.baseline_ts, known.baseline_mid) == (t0, minute, mid):
            chosen[pair] = known
            continue
        digest = hashlib.sha256(f"{pair}:{minute}:{mid.hex()}".encode()).hexdigest()[:32]
        chosen[pair] = Baseline(pair, known.epoch + 1 if known else 1, t0, minute, mid, digest)
        fresh.append(chosen[pair])
    return t0, chosen, fresh


def fixed_t0(
    configured: int | None,
    calendar: Calendar,
    spans: Mapping[str, tuple[int, int]],
    recorded: Mapping[str, Baseline],
) -> int | None:
    """The configured T0, else the recorded one, else the first minute all pairs have."""
    if configured is not None:
        return configured
    if recorded:
        return max(recorded.values(), key=lambda row: row.epoch).t0
    return choose_t0(calendar, spans)


def missing_note(pairs: list[str], t0: int) -> str:
    """The sentence a report shows for pairs whose level columns are NULL."""
    when = datetime_of(t0).isoformat(timespec="minutes")
    return f"no bar within 24 h of T0 {when}: level columns are NULL for {', '.join(pairs)}"
