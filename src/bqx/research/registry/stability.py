"""Do the selections a run was trained with agree from fold to fold?"""

from __future__ import annotations

import numpy as np
import polars as pl

from bqx.base.errors import RegistryError
from bqx.research.registry.evidence import Evidence
from bqx.research.selection.agreement import stability_index
from bqx.research.selection.run import FOLDER


def selection_stability(e: Evidence) -> float | None:
    """Index of Nogueira, Sechidis and Brown (2018) over the folds of the model's pair.

    None when every fold saw the same columns by design: a list, or all candidates.
    """
    mask = e.run.head["mask"]
    kind, _, name = str(mask["source"]).partition(" ")
    if kind != "selection":
        return None
    masks = []
    for fold in e.run.folds:
        path = e.registry.root / FOLDER / name / f"{e.model.pair}_{fold}.parquet"
        if not path.is_file():
            raise RegistryError(f"the mask of {e.model.pair} fold {fold} is gone", where=str(path))
        masks.append(np.asarray(pl.read_parquet(path, columns=["selected"], glob=False)["selected"], dtype=bool))
    return stability_index(masks)
