"""What decides the bits of a live state, each with its hash: a state made by anything else is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

import bqx.features.live
from bqx.build.inputs import Inputs
from bqx.features.declare import Dataset
from bqx.market.calendar import DAY
from bqx.store.bars import BarStore

FORMAT = "1"


@lru_cache(maxsize=1)
def live_code() -> str:
    """Hash of the steppers and of this folder."""
    digest = hashlib.sha256()
    for root in (Path(str(bqx.features.live.__file__)).parent, Path(__file__).parent):
        for path in sorted(root.rglob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def identity(inputs: Inputs, homes: Sequence[Dataset], bars: BarStore, begin: int, through: int) -> dict[str, str]:
    """begin, through : span of the stored bars that live began from."""
    found = {"format": FORMAT, "live code": live_code(), "pairs": " ".join(inputs.pairs)}
    found |= {f"dataset {home.name}": f"{home.version}:{home.code_hash}" for home in homes}
    found["calendar"] = inputs.calendar.digest(begin, through)
    found["bars"] = _bars(inputs, bars, begin, through)
    bases = sorted((pair, row.epoch, row.baseline_ts, row.baseline_mid.hex()) for pair, row in inputs.baselines.items())
    found["baselines"] = _hash(repr((inputs.t0, bases)).encode())
    return found


def _bars(inputs: Inputs, bars: BarStore, begin: int, through: int) -> str:
    """Days as the store hashes them; of the last one, which goes on after `through`, the bars themselves."""
    last = through // DAY
    days = sorted((p, d, h) for (p, d), h in inputs.days.items() if begin // DAY <= d < last)
    rest = bars.read(list(inputs.pairs), last * DAY, through + 1, as_of=inputs.as_of)
    parts = [repr(days).encode()]
    for pair in inputs.pairs:
        frame = rest[pair]
        parts += [
            pair.encode(),
            *(frame[c].to_physical().fill_null(np.nan).to_numpy().tobytes() for c in frame.columns),
        ]
    return _hash(b"|".join(parts))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
