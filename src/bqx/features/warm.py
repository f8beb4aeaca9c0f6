"""`python -m bqx.features.warm`: compile every kernel into the cache, so that the first build does not wait for it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

from bqx.base.atomic import write_bytes
from bqx.features.anchors import Anchors, find_baseline, segment_edges
from bqx.features.catalogue import built_in, own_datasets
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.kernels.jit import HERE, cache_folder, cached
from bqx.features.streams import Streams
from bqx.market.calendar import DAY, Calendar
from bqx.market.panel import make_panel
from bqx.market.simulated import ORIGIN, simulate

STEPPERS = HERE.parent / "live" / "steppers"


def warm(names: Iterable[str] | None = None, note: Callable[[str], None] | None = None, *, live: bool = False) -> int:
    """Compile the kernels of the named datasets (without names of ours, but not of extensions) by evaluating them on
    two days of one simulated pair; the number of columns compiled. live : their steppers too, which only `bqx live` and
    its tests need.

    A dataset that this version has compiled into the cache before is passed over. note : told of each other one.
    """
    wanted = set(own_datasets() if names is None else names)
    homes = [home for name, home in built_in().items() if name in wanted]
    cold = [home for home in homes if not (cached() and _mark(home, live).exists())]
    if not cold:
        return 0
    streams = _streams()
    for home in cold:
        if note:
            note(home.name)
        evaluate(home, streams)
        if live:
            _step(home, streams)
        if cached():
            _mark(home, live).parent.mkdir(exist_ok=True)
            write_bytes(_mark(home, live), b"")
    return sum(len(home.columns) for home in cold)


def _step(home: Dataset, streams: Streams) -> None:
    """A block of minutes and a minute alone through the dataset's steppers."""
    from bqx.features.fits import Kept
    from bqx.features.live.past import Past
    from bqx.features.live.session import Session

    panel, rows = streams.panel, len(streams.panel.grid)
    session = Session([home], streams.calendar, Past(streams.calendar, rows, Kept()))
    for low, high in ((0, rows - 1), (rows - 1, rows)):
        session.advance(panel.slice(low, high), streams.anchors)


def _mark(home: Dataset, live: bool) -> Path:
    """An empty file that says the dataset's kernels, as its code is now, are in the cache of this installation."""
    digest = sha256(f"{home.code_hash} {_installation()}".encode()).hexdigest()
    return cache_folder() / "warm" / f"{home.name}-{digest[:16]}.{'live' if live else 'warm'}"


@cache
def _installation() -> str:
    """What numba's cache goes by: where the kernels' sources lie and when each was written, not what is in them."""
    stats = ((path, path.stat()) for path in sorted([*HERE.glob("*.py"), *STEPPERS.glob("*.py")]))
    return sha256(repr([(str(path), at.st_mtime_ns, at.st_size) for path, at in stats]).encode()).hexdigest()


def _streams() -> Streams:
    calendar = Calendar.load()
    start = calendar.segment_start(ORIGIN + 7 * DAY)
    frames = simulate(calendar, start, start + 2 * DAY, seed=1, pairs=["eurusd"], origin_minute=start)
    found = {p: find_baseline(f, start) for p, f in frames.items()}
    baseline = {p: (1, *b) for p, b in found.items() if b is not None}
    anchors = Anchors(start, baseline, {p: segment_edges(f, calendar) for p, f in frames.items()})
    panel = make_panel(frames, tuple(frames), calendar.grid(start, start + 2 * DAY), quotes=True)
    return Streams(panel, calendar, anchors)


def warm_all(jobs: int, live: bool = False) -> int:
    """Compile all datasets in `jobs` processes, a family in one of them; 0 when every one ended well."""
    families: dict[str, list[str]] = {}
    for name, home in own_datasets().items():
        families.setdefault(home.family.split("_")[0], []).append(name)
    shares = [list(families.values())[k::jobs] for k in range(jobs)]
    code = f"import sys; from bqx.features.warm import warm; warm(sys.argv[1:], live={live})"
    names = [[name for family in share for name in family] for share in shares if share]
    running = [subprocess.Popen([sys.executable, "-c", code, *mine]) for mine in names]
    return max(process.wait() for process in running)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bqx.features.warm", description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--live", action="store_true", help="the steppers of `bqx live` too")
    args = parser.parse_args()
    began = time.perf_counter()
    failed = warm_all(max(args.jobs, 1), args.live)
    print(f"kernels are compiled ({time.perf_counter() - began:.0f} s)")
    return failed


if __name__ == "__main__":
    sys.exit(main())
