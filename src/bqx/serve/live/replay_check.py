"""Live against batch over a replayed span, every value to the bit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.build.fits import StoredFits, held_fits
from bqx.build.gather import anchors, gather
from bqx.build.loader import load_panel
from bqx.features.catalogue import earliest
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.streams import Streams
from bqx.market.calendar import datetime_of
from bqx.serve.live.engine import Engine

if TYPE_CHECKING:
    from bqx.build.project import Project

F4 = NDArray[np.float32]


@dataclass
class Recorder:
    """What was served: a row a minute of every dataset, float32 (columns, pairs)."""

    minutes: list[int] = field(default_factory=list)
    values: dict[str, list[F4]] = field(default_factory=dict)

    def __call__(self, engine: Engine) -> None:
        if self.minutes and self.minutes[-1] == engine.newest.minute:  # a revision moved it
            self.minutes.pop()
            for rows in self.values.values():
                rows.pop()
        self.minutes.append(engine.newest.minute)
        for name, value in engine.newest.values().items():
            self.values.setdefault(name, []).append(value.copy())


def differences(project: Project, homes: list[Dataset], seen: Recorder) -> dict[str, Any]:
    """Batch over the same minutes from the stored bars. compared : non-NULL values. differing : columns, how many
    values, the first minute."""
    inputs, _ = gather(project)
    first, last = seen.minutes[0], seen.minutes[-1]
    start = inputs.calendar.segment_start(min(s[0] for s in inputs.spans.values()))
    compared, wrong = 0, {}
    for home in homes:
        begin = max(earliest(home, first, inputs.calendar), start)
        quotes = "quotes" in home.uses
        panel = load_panel(project.bars, inputs, inputs.pairs, begin, last + 1, quotes=quotes)
        shelf = StoredFits(inputs, held_fits(project.manifest, [home.name])) if home.fits else None
        row = panel.grid.index(first)
        rows = np.searchsorted(panel.grid.minute[row:], np.array(seen.minutes))
        found = evaluate(home, Streams(panel, inputs.calendar, anchors(inputs), shelf), start_row=row)
        live = np.stack(seen.values[home.name])
        for k, column in enumerate(home.columns):
            want = found[column.name][rows].astype(np.float32)
            have = live[:, k]
            differs = ~((want.view(np.int32) == have.view(np.int32)) | (np.isnan(want) & np.isnan(have)))
            compared += int((~np.isnan(want)).sum())
            if differs.any():
                at = seen.minutes[int(np.argwhere(differs)[0, 0])]
                wrong[f"{home.name}.{column.name}"] = {
                    "values": int(differs.sum()),
                    "first": f"{datetime_of(at):%Y-%m-%dT%H:%MZ}",
                }
    return {"compared": compared, "differing": wrong, "equal": not wrong}
