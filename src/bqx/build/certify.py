"""Drive the array checks on a project's own bars and keep what they found."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bqx.base.errors import CheckError
from bqx.features.checks import CheckResult, World, run
from bqx.features.checks.reach import cut, longest
from bqx.features.declare import Dataset
from bqx.market.calendar import DAY

if TYPE_CHECKING:
    from bqx.build.project import Project


def project_world(
    project: Project, homes: Sequence[Dataset], pairs: Sequence[str] = (), days: int | None = None
) -> World:
    """The last `days` days of the project's bars, T0 on their second day, as a world that checks can bend.

    days : what the datasets' warm-ups ask for unless given; each dataset is then checked on its own share of them.

    pairs : three of the project's unless given: one is changed, others must not notice, and checks repeat the work
    about twenty times. Raises CheckError without bars.
    """
    spans = {p: s for p, s in project.bars.spans(as_of=project.as_of).items() if p in project.pairs}
    chosen = list(pairs) or sorted(spans)[:3]
    missing = [p for p in chosen if p not in spans]
    if not chosen or missing:
        raise CheckError(
            f"no bars of {', '.join(missing)}" if missing else "the project has no bars",
            fix="import some with `bqx bars import PATH`, or check on simulated ones with --simulated",
        )
    end = min(spans[p][1] for p in chosen) + 1
    days = days or longest(homes, project.calendar, end)
    start = project.calendar.segment_start(max(end - days * DAY, max(spans[p][0] for p in chosen)))
    frames = project.bars.read(chosen, start, end, as_of=project.as_of)
    return World(frames, project.calendar, start + DAY, tuple(chosen))


def data_hash(world: World) -> str:
    """Hash of the bars a certificate speaks of."""
    digest = hashlib.sha256()
    for pair in world.pairs:
        digest.update(pair.encode())
        digest.update(world.frames[pair].hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()[:32]


def certify(project: Project, homes: Sequence[Dataset], world: World, checks: Sequence[str]) -> Iterator[CheckResult]:
    """Run the checks; results come as they are found, and each column's are stored in the manifest at its dataset's
    end: date, data hash, code version, largest error."""
    for home in homes:
        part = cut(home, world)
        bars = data_hash(part)
        found: dict[str, list[CheckResult]] = {}
        for result in run([home], part, checks):
            found.setdefault(result.column, []).append(result)
            yield result
        date = time.time_ns() // 1000
        rows = [
            (home.name, column, home.code_hash, bars, date, json.dumps([r.as_dict() for r in results]))
            for column, results in found.items()
        ]
        with project.manifest.transaction() as con:
            con.executemany("INSERT OR REPLACE INTO certificate VALUES (?, ?, ?, ?, ?, ?)", rows)
