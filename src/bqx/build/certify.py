"""Drive the array checks on bars, a project's or those of files, and keep what they found as certificates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bqx.base.atomic import write_text
from bqx.base.errors import CheckError, UsageError
from bqx.base.version import __version__
from bqx.build.certificate import Certificate, make_certificate
from bqx.features.checks import CHECKS, CheckResult, World, run
from bqx.features.checks.reach import cut, few_of, longest
from bqx.features.checks.world import trading_day_after
from bqx.features.declare import Dataset
from bqx.market.calendar import DAY, Calendar, datetime_of
from bqx.market.importers.plan import Job
from bqx.market.importers.read import ReadOptions, SourceBars, read_job

if TYPE_CHECKING:
    from bqx.build.project import Project


def project_world(
    project: Project, homes: Sequence[Dataset], pairs: Sequence[str] = (), days: int | None = None
) -> World:
    """The last `days` days of the project's bars, T0 on their second day, as a world that checks can bend.

    days : what the datasets' warm-ups ask for unless given; each dataset is then checked on its own share of them.
    pairs : three of the project's unless given, for checks repeat the work about twenty times; panel datasets are
    checked on all. Raises CheckError without bars.
    """
    spans = {p: s for p, s in project.bars.spans(as_of=project.as_of).items() if p in project.pairs}
    chosen, few = (list(pairs), ()) if pairs else few_of(homes, sorted(spans), sorted(spans)[:3])
    missing = [p for p in chosen if p not in spans]
    if not chosen or missing:
        raise CheckError(
            f"no bars of {', '.join(missing)}" if missing else "the project has no bars",
            fix="import some with `bqx bars import PATH`, or check on simulated ones with --simulated",
        )
    end = min(spans[p][1] for p in chosen) + 1
    days = days or longest(homes, project.calendar, end)
    first = max(spans[p][0] for p in chosen)
    start = max(first, project.calendar.segment_start(end - days * DAY))
    frames = project.bars.read(chosen, start, end, as_of=project.as_of)
    begin = trading_day_after(project.calendar, start)
    return World(frames, project.calendar, begin, tuple(chosen), few, project.schedule)


def files_world(
    jobs: Sequence[Job],
    calendar: Calendar,
    options: ReadOptions,
    days: int | None = None,
    tell: Callable[[SourceBars], None] = lambda _: None,
) -> tuple[World, list[SourceBars]]:
    """Bars of files as a world, over the days that all pairs have; `tell` hears of each pair that was read.

    Raises InputError and ClockError for the files, UsageError for two sources of one pair.
    """
    read: list[SourceBars] = []
    for job in jobs:
        if job.pair in {done.pair for done in read}:
            raise UsageError(f"two sources of {job.pair}: {job.paths[0]} is the second", fix="give one of them")
        read.append(read_job(job, calendar, options))
        tell(read[-1])
    spans = [(_minute(done, 0), _minute(done, -1) + 1) for done in read]
    start, end = max(s[0] for s in spans), min(s[1] for s in spans)
    if start >= end:
        raise CheckError("the files' pairs have no day in common", fix="give bars of the same days, or one pair")
    if days:
        start = max(start, calendar.segment_start(end - days * DAY))
    low, high = datetime_of(start), datetime_of(end)
    frames = {done.pair: done.frame.filter(done.frame["ts_utc"].is_between(low, high, closed="left")) for done in read}
    return World(frames, calendar, trading_day_after(calendar, start), tuple(frames)), read


def _minute(done: SourceBars, at: int) -> int:
    return int(done.frame["ts_utc"].to_physical()[at]) // 60_000_000


def data_hash(world: World) -> str:
    """Hash of the bars a certificate speaks of."""
    digest = hashlib.sha256()
    for pair in world.pairs:
        digest.update(pair.encode())
        digest.update(world.frames[pair].hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()[:32]


def certify(
    project: Project | None,
    homes: Sequence[Dataset],
    world: World,
    checks: Sequence[str],
    *,
    simulated: bool = False,
    made: list[Certificate] | None = None,
) -> Iterator[CheckResult]:
    """Run the checks; results come as they are found.

    Each dataset's certificates, one a column, are stored in the project's manifest when its checks are over, and
    added to `made`.
    """
    complete = set(checks) >= set(CHECKS)
    for home in homes:
        part = cut(home, world)
        bars = data_hash(part)
        found: dict[str, list[CheckResult]] = {}
        for result in run([home], part, checks):
            found.setdefault(result.column, []).append(result)
            yield result
        now = datetime.now(UTC)
        new = [
            make_certificate(home, home.by_name[name], results, part, bars, now, simulated, complete)
            for name, results in found.items()
        ]
        if made is not None:
            made.extend(new)
        if project is not None:
            _store(project, new)


def _store(project: Project, certificates: Sequence[Certificate]) -> None:
    rows = [
        (c.dataset, c.column, c.code_hash, c.data_hash, int(c.made.timestamp() * 1e6), json.dumps(c.as_dict()))
        for c in certificates
    ]
    with project.manifest.transaction() as con:
        con.executemany("INSERT OR REPLACE INTO certificate VALUES (?, ?, ?, ?, ?, ?)", rows)


def write_certificates(path: Path, certificates: Sequence[Certificate]) -> None:
    """Certificates as one JSON file, for users without a project."""
    data = {"format": 1, "bqx": __version__, "certificates": [c.as_dict() for c in certificates]}
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")
