"""Which datasets a `bqx features` command speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bqx.cli.common import App

if TYPE_CHECKING:
    from bqx.features.declare import Dataset


def homes(app: App, names: Sequence[str] = ()) -> list[Dataset]:
    """Those named, extensions too; else all of the project here, or of one without extensions where there is none."""
    from bqx.features.catalogue import dataset, datasets, switched_on

    if names:
        return [dataset(name) for name in names]
    return [*datasets().values(), *switched_on(asked(app)).values()]


def asked(app: App) -> tuple[str, ...]:
    """What the project here names in `features.extensions`; nothing outside a project."""
    from bqx.base.config import CONFIG_NAME, load_config

    if not (app.project_path / CONFIG_NAME).is_file():
        return ()
    return load_config(app.project_path).features.extensions
