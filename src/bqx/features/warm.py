"""`python -m bqx.features.warm`: compile every kernel into the cache, so that the first build does not wait for it."""

from __future__ import annotations

import argparse
import inspect
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
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


def warm(
    names: Iterable[str] | None = None,
    note: Callable[[str], None] | None = None,
    *,
    live: bool = False,
    jobs: int = 1,
) -> int:
    """Compile the kernels of the named datasets (without names of ours, but not of extensions) by evaluating them on
    two days of one simulated pair; the number of columns compiled. live : their steppers too, which only `bqx live` and
    its tests need.

    A dataset that this version has compiled into the cache before is passed over. note : told of each other one. jobs :
    processes that compile side by side, where the cache outlives them.
    """
    wanted = set(own_datasets() if names is None else names)
    homes = [home for name, home in built_in().items() if name in wanted]
    cold = [home for home in homes if not (cached() and _mark(home, live).exists())]
    if not cold:
        return 0
    if jobs > 1 and cached():
        warm_all(jobs, live, [home.name for home in cold], note)
    streams = None
    for home in cold:
        if cached() and _mark(home, live).exists():
            continue
        if note:
            note(home.name)
        streams = streams or two_days()
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


def two_days(pairs: Sequence[str] = ("eurusd",)) -> Streams:
    """Streams of two simulated days."""
    calendar = Calendar.load()
    start = calendar.segment_start(ORIGIN + 7 * DAY)
    frames = simulate(calendar, start, start + 2 * DAY, seed=1, pairs=pairs, origin_minute=start)
    found = {p: find_baseline(f, start) for p, f in frames.items()}
    baseline = {p: (1, *b) for p, b in found.items() if b is not None}
    anchors = Anchors(start, baseline, {p: segment_edges(f, calendar) for p, f in frames.items()})
    panel = make_panel(frames, tuple(frames), calendar.grid(start, start + 2 * DAY), quotes=True)
    return Streams(panel, calendar, anchors)


def warm_all(
    jobs: int, live: bool = False, names: Sequence[str] | None = None, note: Callable[[str], None] | None = None
) -> list[str]:
    """Compile datasets (ours unless named) in `jobs` processes, a family in one of them, each as soon as one is free,
    those with the most code first; families that a process failed over. note : told of each family as it ends.
    """
    todo: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    families: dict[str, list[str]] = {}
    for name, home in (own_datasets() if names is None else built_in()).items():
        if names is None or name in names:
            families.setdefault(home.family.split("_")[0], []).append(name)
    for family in sorted(families.values(), key=_code, reverse=True):
        todo.put(family)
    failed: list[str] = []
    count = itertools.count(1)

    def work() -> None:
        with _worker(live) as worker:
            while True:
                try:
                    family = todo.get_nowait()
                except queue.Empty:
                    return
                began = time.perf_counter()
                if not _ask(worker, family):
                    failed.extend(family)
                    return  # the process is gone, and the next family may end it as well
                if note:
                    note(f"{', '.join(family)} ({time.perf_counter() - began:.0f} s, {next(count)} of {len(families)})")

    threads = [threading.Thread(target=work) for _ in range(min(jobs, len(families)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while not todo.empty():
        failed.extend(todo.get())
    return failed


def _code(family: Sequence[str]) -> int:
    """Bytes of the family's own files: more code takes longer to compile."""
    file = Path(inspect.getfile(built_in()[family[0]].compute))
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.stem.split('_')[0]}*.py"))


def _worker(live: bool) -> subprocess.Popen[str]:
    """A process that compiles the datasets of a line, and answers each line."""
    source = str(Path(__file__).parents[2])
    code = (
        "import sys\nfrom bqx.features.warm import warm\nfor line in sys.stdin:\n"
        f"    warm(line.split(), live={live})\n    print('done', flush=True)"
    )
    path = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def _ask(worker: subprocess.Popen[str], family: Sequence[str]) -> bool:
    """Whether the process has compiled them; its own message is on stderr when it has not."""
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(" ".join(family) + "\n")
        worker.stdin.flush()
    except BrokenPipeError:
        return False
    return worker.stdout.readline().strip() == "done"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bqx.features.warm", description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--live", action="store_true", help="the steppers of `bqx live` too")
    args = parser.parse_args()
    began = time.perf_counter()
    failed = warm_all(max(args.jobs, 1), args.live, note=lambda line: print(f"compiled {line}", flush=True))
    if failed:
        print(f"not compiled: {', '.join(failed)}", file=sys.stderr)
        return 1
    print(f"kernels are compiled ({time.perf_counter() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
