"""What every build checks before it writes: declared bounds and known identities, on the values to be stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bqx.base.errors import FeatureError
from bqx.build.tables import Lanes
from bqx.features.declare import Dataset


def check_values(home: Dataset, typed: Lanes, pairs: Sequence[str]) -> int:
    """Values and equations compared; `typed` holds arrays (pairs, rows).

    Raises FeatureError naming column or identity, pair and how far off it is: nothing of the unit is stored then.
    """
    compared = 0
    for name, lane in typed.items():
        low, high = home.by_name[name].bounds
        if low == -np.inf and high == np.inf:
            continue
        least, most = np.fmin.reduce(lane, axis=1), np.fmax.reduce(lane, axis=1)  # NaN where a pair has no value
        compared += lane.size
        outside = (least < lane.dtype.type(low)) | (most > lane.dtype.type(high))
        if outside.any():
            k = int(outside.argmax())
            raise FeatureError(
                f"{home.name}.{name} has values from {least[k]:g} to {most[k]:g}, declared are {low:g} to {high:g}",
                where=pairs[k],
                fix="either the formula or the declared bounds are wrong; nothing of this dataset's month was stored",
            )
    for identity in home.identities:
        if typed.keys() >= set(identity.columns):
            count, wrong = identity.broken(typed, pairs)
            compared += count
            if wrong:
                raise FeatureError(
                    f"{home.name}: {wrong}",
                    where=f"identity {identity.name}",
                    fix="a formula is wrong; nothing of this dataset's month was stored",
                )
    return compared
