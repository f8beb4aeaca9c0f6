"""`python -m bqx.features.warm`: compile every kernel into the cache, so that the first build does not wait for it."""

from __future__ import annotations

from bqx.features.anchors import Anchors, find_baseline, segment_edges
from bqx.features.catalogue import own_datasets
from bqx.features.compute import evaluate
from bqx.features.streams import Streams
from bqx.market.calendar import DAY, Calendar
from bqx.market.panel import make_panel
from bqx.market.simulated import ORIGIN, simulate


def warm() -> int:
    """Evaluate all datasets on two days of one simulated pair; the number of columns."""
    calendar = Calendar.load()
    start = calendar.segment_start(ORIGIN + 7 * DAY)
    frames = simulate(calendar, start, start + 2 * DAY, seed=1, pairs=["eurusd"], origin_minute=start)
    found = {p: find_baseline(f, start) for p, f in frames.items()}
    baseline = {p: (1, *b) for p, b in found.items() if b is not None}
    anchors = Anchors(start, baseline, {p: segment_edges(f, calendar) for p, f in frames.items()})
    panel = make_panel(frames, tuple(frames), calendar.grid(start, start + 2 * DAY), quotes=True)
    streams = Streams(panel, calendar, anchors)
    return sum(len(evaluate(home, streams)) for home in own_datasets().values())


if __name__ == "__main__":
    print(f"kernels of {warm()} columns compiled")
